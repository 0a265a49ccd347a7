"""What an image is made from: the files a Dockerfile copies, and the hash over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed.engine.build_context import Dockerfile, files, fingerprint, ignore_rules, is_ignored, parse


@pytest.mark.parametrize(
    ("text", "bases", "sources"),
    [
        ("FROM debian:bookworm-slim\nCOPY a b /x/", ("debian:bookworm-slim",), ("a", "b")),
        ("from debian\ncopy --chown=1:1 --chmod=755 a /x", ("debian",), ("a",)),
        ('FROM debian\nCOPY ["a file", "/x/"]', ("debian",), ("a file",)),
        ("FROM debian\nCOPY a \\\n  # a comment\n  b \\\n  /x/", ("debian",), ("a", "b")),
        ("# COPY z /z\nFROM debian AS build\nFROM build\nCOPY --from=build /a /b", ("debian",), ()),
        ("FROM debian\nCOPY --from=appbed/other:dev /a /b", ("debian", "appbed/other:dev"), ()),
        ("FROM debian AS one\nFROM alpine\nCOPY --from=0 /a /b", ("debian", "alpine"), ()),
        ("ARG BASE=debian:12\nFROM --platform=linux/amd64 ${BASE}", ("debian:12",), ()),
        ("FROM debian\nADD https://x.test/y /y\nADD z.tar /z", ("debian",), ("z.tar",)),
        ("FROM debian\nCOPY $WHAT /x", ("debian",), (".",)),
        ("FROM debian\nRUN --mount=type=bind,target=/src make", ("debian",), (".",)),
        ("FROM debian\nRUN apt-get install --from=x", ("debian",), ()),
    ],
)
def test_parse(text: str, bases: tuple[str, ...], sources: tuple[str, ...]) -> None:
    assert parse(text, {}) == Dockerfile(bases, sources)


def test_a_build_argument_names_the_base() -> None:
    assert parse("ARG BASE=debian:12\nFROM $BASE", {"BASE": "mine"}).bases == ("mine",)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in ("app/a.py", "app/__pycache__/a.pyc", "app/deep/b.py", "docs/c.md", "top.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


def names(context: Path, *sources: str) -> list[str]:
    return [path.relative_to(context).as_posix() for path in files(context, sources)]


def test_files_of_folders_files_and_patterns(context: Path) -> None:
    assert names(context, "app") == ["app/__pycache__/a.pyc", "app/a.py", "app/deep/b.py"]
    assert names(context, "./top.txt", "docs/") == ["docs/c.md", "top.txt"]
    assert names(context, "*.txt") == ["top.txt"]
    assert names(context, "nothing") == [], "docker build says so itself"


def test_files_without_the_ignored(context: Path) -> None:
    (context / ".dockerignore").write_text("# all but the package\n*\n!app\n**/__pycache__\n", encoding="utf-8")
    assert names(context, ".") == ["app/a.py", "app/deep/b.py"]
    (context / ".dockerignore").write_text("app/deep\ndocs\n", encoding="utf-8")
    assert names(context, ".") == [".dockerignore", "app/__pycache__/a.pyc", "app/a.py", "top.txt"]


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        ("*.md", "a.md", True),
        ("*.md", "docs/a.md", False),
        ("**/*.md", "a.md", True),
        ("**/*.md", "docs/deep/a.md", True),
        ("docs", "docs/deep/a.md", True),
        ("/docs/", "docs/a.md", True),
        ("doc", "docs/a.md", False),
        ("docs/**", "docs/deep/a.md", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("docs\n!docs/keep.md", "docs/keep.md", False),
        ("docs\n!docs/keep.md", "docs/other.md", True),
        ("!docs/keep.md\ndocs", "docs/keep.md", True),
        ("a.b", "axb", False),
    ],
)
def test_ignore_rules(lines: str, path: str, ignored: bool, tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text(lines, encoding="utf-8")
    assert is_ignored(path, ignore_rules(tmp_path)) is ignored


class TestFingerprint:
    def test_it_is_the_same_elsewhere_and_later(self, context: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        other = tmp_path_factory.mktemp("other")
        (other / "app").mkdir()
        (other / "app/a.py").write_text("app/a.py", encoding="utf-8")
        assert fingerprint(context, ["app/a.py"]) == fingerprint(other, ["app/a.py"])

    def test_content_name_mode_and_kind_count(self, context: Path) -> None:
        file = context / "top.txt"
        seen = {fingerprint(context, ["*.txt", "link"])}
        file.write_text("changed", encoding="utf-8")
        seen.add(fingerprint(context, ["*.txt", "link"]))
        file.chmod(0o755)
        seen.add(fingerprint(context, ["*.txt", "link"]))
        file.rename(context / "other.txt")
        seen.add(fingerprint(context, ["*.txt", "link"]))
        (context / "link").symlink_to("other.txt")
        seen.add(fingerprint(context, ["*.txt", "link"]))
        assert len(seen) == 5

    def test_what_is_told_beside_counts(self, context: Path) -> None:
        assert (
            len({fingerprint(context, [], *also) for also in ([], ["a"], ["b"], ["a", "b"], ["ab"], ["a", "", "b"])})
            == 6
        )
