# How the commands beside this file speak to opentracker.
LC_ALL=C # an info hash is bytes, not text

# ask PATH: what opentracker on loopback answers, without the zero bytes that bash cannot hold
ask() {
    exec 3<>"/dev/tcp/127.0.0.1/${PORT:-6969}"
    printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3
    tr -d '\0' <&3
    exec 3>&-
}

# in_url INFO-HASH: the form it has in a URL, %xx for each byte
in_url() {
    sed 's/../%&/g' <<< "$1"
}
