"""Objects of the web site put into mail: the same bytes are pulled by HTTP and pushed by SMTP."""

from __future__ import annotations

import base64

from appbed.lab import Lab

ORIGIN, ROOT = "www-1", "/srv/site"
JPEG = "/img/07.jpg"


def fetched(lab: Lab, path: str) -> bytes:
    """What the origin server has for a path, as its disk has it."""
    return base64.b64decode(lab.exec(ORIGIN, "base64", ROOT + path).stdout)
