"""Joins a program's stdin and stdout to the agent's control socket: `docker exec -i` runs it, so no port is needed."""

import os
import selectors
import socket
import sys

PATH = "/run/appbed/control.sock"


def main() -> None:
    """Until either side closes."""
    with socket.socket(socket.AF_UNIX) as control, selectors.DefaultSelector() as selector:
        try:
            control.connect(PATH)
        except OSError as error:
            sys.exit(f"{PATH}: {error.strerror}")
        selector.register(0, selectors.EVENT_READ, control.sendall)
        selector.register(control, selectors.EVENT_READ, lambda data: os.write(1, data))
        while True:
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                if data:
                    key.data(data)
                elif key.fd == 0:  # no more questions; the answers still come
                    selector.unregister(0)
                    control.shutdown(socket.SHUT_WR)
                else:
                    return


if __name__ == "__main__":
    main()
