"""A home-made caching proxy: what there is to test. GET only, one copy of each URL for as long as it says it is fresh."""

from __future__ import annotations

import re
import signal
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TIMEOUT_S = 3.0
copies: dict[str, tuple[float, bytes, str]] = {}  # by URL: fresh until, body, content type


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the library's name for it
        until, body, kind = copies.get(self.path, (0.0, b"", ""))
        if time.monotonic() < until:
            self.answer(200, body, kind, "hit")
            return
        try:
            with urllib.request.urlopen(self.path, timeout=TIMEOUT_S) as origin:
                body, kind = origin.read(), origin.headers.get_content_type()
                fresh = re.search(r"max-age=(\d+)", origin.headers.get("Cache-Control", "max-age=60"))
        except urllib.error.HTTPError as error:
            self.answer(error.code, error.read(), error.headers.get_content_type(), "miss")
            return
        except OSError as error:
            self.answer(502, f"{self.path}: {error}\n".encode(), "text/plain", "miss")
            return
        if fresh:
            copies[self.path] = (time.monotonic() + int(fresh[1]), body, kind)
        self.answer(200, body, kind, "miss")

    def answer(self, status: int, body: bytes, kind: str, cache: str) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("X-Cache", cache)):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: copies.clear())  # /appbed/reset
    signal.signal(signal.SIGTERM, lambda *_: exit(0))
    ThreadingHTTPServer(("", 3128), Proxy).serve_forever()
