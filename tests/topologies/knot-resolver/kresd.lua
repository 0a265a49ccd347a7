-- The lab's own root, which signs nothing.
local lab = os.getenv('APPBED_NET')
net.ipv6 = false
net.listen('0.0.0.0', 53, { kind = 'dns' })
cache.size = 4 * MB
modules = { 'hints > iterate' }
hints.root({
    ['a.root-servers.net.'] = lab .. '.3.11',
    ['b.root-servers.net.'] = lab .. '.3.12',
})
trust_anchors.remove('.')
