"""The site that images/web ships, and its refusal of wrong settings; no container needed."""

from __future__ import annotations

import os
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "images" / "web"
SITE = WEB / "site"
HEADER_BYTES = 260  # an answer's header, measured 230 to 245
INITIAL_WINDOW_BYTES = 10 * 1448  # ten segments with time stamps


class Page(HTMLParser):
    """Collects what a browser would fetch beside the page itself."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.objects: list[str] = []
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        source = dict(attrs).get({"img": "src", "script": "src", "link": "href"}.get(tag, ""))
        if source and not source.startswith("data:"):
            self.objects.append(source)


@pytest.mark.parametrize(("page", "folder"), [("index.html", "img"), ("small/index.html", "small")])
def test_a_page_refers_to_its_ten_jpegs(page: str, folder: str) -> None:
    assert Page(SITE / page).objects == [f"/{folder}/{number:02}.jpg" for number in range(1, 11)]


@pytest.mark.parametrize("file", sorted(SITE.rglob("*.jpg")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_picture_is_a_whole_jpeg(file: Path) -> None:
    content = file.read_bytes()
    assert content.startswith(b"\xff\xd8\xff")
    assert content.endswith(b"\xff\xd9")


def test_no_object_needs_more_than_the_initial_window() -> None:
    for file in SITE.rglob("*.*"):
        assert file.stat().st_size + HEADER_BYTES <= INITIAL_WINDOW_BYTES, file


def test_the_small_pictures_fit_into_one_initial_window_together() -> None:
    answers = [file.stat().st_size + HEADER_BYTES for file in (SITE / "small").glob("*.jpg")]
    assert len(answers) == 10
    assert sum(answers) <= INITIAL_WINDOW_BYTES


def test_the_broken_page_has_one_broken_reference() -> None:
    objects = Page(SITE / "broken.html").objects
    assert [path for path in objects if not (SITE / path[1:]).exists()] == ["/img/missing.jpg"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEEPALIVE_TIMEOUT", "soon"),
        ("KEEPALIVE_TIMEOUT", "15s\n15s"),
        ("KEEPALIVE_REQUESTS", "0"),
        ("CACHE_CONTROL", 'no-cache"; return 500; #'),
        ("HTTPS_NAME", "localhost"),
        ("HTTPS_NAME", "www.someschool.edu, DNS:*"),
        ("MEMBER", "alice"),
        ("MEMBER", "alice:short"),
        ("ANSWER_DELAY_MS", "30ms"),
        ("ANSWER_DELAY_MS", "007"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    environment = {"PATH": os.environ["PATH"], name: value}
    ran = subprocess.run([WEB / "entrypoint"], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 78
    assert ran.stderr.startswith(f"web: {name}='{value}' is not possible; choose ")
