"""A browser on the engine's machine that looks at one page of the lab through the window's published port."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appbed.engine import pages
from appbed.lab import Lab


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


class _AsGiven(urllib.request.HTTPRedirectHandler):
    """Redirects are answers here."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Browser:
    """Keeps cookies. Goes to 127.0.0.1, because whether names in localhost are known is up to each program."""

    def __init__(self, lab: Lab, page: str) -> None:
        self.port = int(urllib.parse.urlsplit(pages(lab.engine.containers(lab.name))[page]).port or 0)
        self.url = f"http://127.0.0.1:{self.port}"
        direct, cookies = urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
        self._opener = urllib.request.build_opener(direct, cookies, _AsGiven)

    def get(self, path: str = "/", **headers: str) -> Answer:
        return self._answer(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path: str, form: Mapping[str, str] | Sequence[tuple[str, str]], **headers: str) -> Answer:
        return self._answer(urllib.request.Request(self.url + path, urllib.parse.urlencode(form).encode(), headers))

    def log_in(self, user: str, password: str) -> Answer:
        """At the webmail's own form."""
        token = re.search(r'name="_token" value="([^"]+)"', self.get("/?_task=login").text)
        assert token, "the page has no login form"
        form = {"_token": token[1], "_task": "login", "_action": "login", "_user": user, "_pass": password}
        return self.post("/?_task=login", {**form, "_timezone": "UTC", "_url": ""})

    def _answer(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode(), answer.headers)
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.read().decode(), refused.headers)
