"""What runs inside the agent's container: one for each instance, no Docker socket, no port.

control   reads the topology, finds hosts, decides, answers commands     NET_ADMIN NET_RAW
  ├ door     opens sockets inside the hosts' namespaces, nothing else     + SYS_ADMIN SYS_PTRACE
  ├ relay    carries the frames of every impaired cable                   NET_ADMIN NET_RAW
  └ capture  writes frames to a file, one process a capture               NET_RAW
"""
