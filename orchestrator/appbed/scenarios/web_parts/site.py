"""The site that the origin servers hold (images/web), as far as predictions need it."""

from __future__ import annotations

from dataclasses import dataclass

from appbed.models import Exchange

SITE = "www.someschool.edu"
REPLICAS = ("www-1", "www-2", "www-3")
_REQUEST_BYTES = 95  # the loader's request, give or take the length of a path; a tenth of a millisecond at 10 Mbit/s
_HEAD_BYTES = 240  # of an answer


@dataclass(frozen=True, slots=True)
class Page:
    """A base HTML file and what it refers to, sizes in bytes."""

    path: str
    base_bytes: int
    objects: tuple[tuple[str, int], ...]

    def base(self) -> Exchange:
        return Exchange(_REQUEST_BYTES, _HEAD_BYTES + self.base_bytes)

    def first(self, count: int) -> list[Exchange]:
        """The exchanges of its first `count` objects."""
        return [Exchange(_REQUEST_BYTES, _HEAD_BYTES + size) for _, size in self.objects[:count]]

    def files(self, count: int) -> dict[str, str]:
        """Path in a URL -> file on the server, of the page with its first `count` objects."""
        root = "/srv/site"
        return {self.path: f"{root}{self.path}index.html", **{path: root + path for path, _ in self.objects[:count]}}


def _numbered(folder: str, sizes: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((f"/{folder}/{number:02}.jpg", size) for number, size in enumerate(sizes, start=1))


HOME = Page("/", 2647, _numbered("img", (8297, 6064, 8941, 8423, 8582, 5529, 12433, 8573, 5074, 9068)))
SMALL = Page("/small/", 2704, _numbered("small", (653, 539, 551, 632, 692, 535, 830, 623, 506, 677)))
"""Its ten answers together fit into TCP's initial window."""
