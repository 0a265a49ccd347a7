"""What a page refers to and a browser fetches with it, in the order of the page."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

_ATTRIBUTE = {"img": "src", "script": "src", "link": "href", "iframe": "src", "embed": "src", "input": "src"}
_LINKS = {"stylesheet", "icon"}  # other <link>s are not fetched with the page


class _Page(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.base = url
        self.found: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "base" and given.get("href"):
            self.base = urljoin(self.base, given["href"] or "")
        reference = given.get(_ATTRIBUTE.get(tag, "")) or ""
        if tag == "link" and not _LINKS & set((given.get("rel") or "").lower().split()):
            return
        if reference:
            try:
                url = urldefrag(urljoin(self.base, reference.strip())).url
                if urlsplit(url).scheme == "http":
                    self.found[url] = None
            except ValueError:
                return  # no URL: a browser shows a broken picture and asks nobody


def references(html: bytes, url: str) -> list[str]:
    """Absolute http URLs, each once."""
    page = _Page(url)
    page.feed(html.decode("utf-8", errors="replace"))
    return list(page.found)
