"""What a page refers to and a browser fetches with it, in the order of the page."""

from __future__ import annotations

import codecs
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

KEPT_BYTES = 4 * 1024 * 1024
"""So much of a page is looked at."""

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


class References:
    """Of one page, read while it arrives, as a browser does: after its last byte there is little left to do."""

    def __init__(self, url: str) -> None:
        self._page = _Page(url)
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._left = KEPT_BYTES

    def feed(self, html: bytes) -> None:
        try:
            self._page.feed(self._text.decode(html[: self._left]))
            self._left -= min(self._left, len(html))
        except (
            AssertionError
        ):  # html.parser's word for a declaration that is none, "<![x]>": nobody knows where it ends
            self._left = 0

    @property
    def urls(self) -> list[str]:
        """Absolute http URLs, each once."""
        return list(self._page.found)
