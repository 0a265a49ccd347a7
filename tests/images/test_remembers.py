"""images/*/remembers: a role that cannot look fails; it does not say that there is nothing. No container needed."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from images.test_page_loader import listening

IMAGES = Path(__file__).parents[2] / "images"


def remembers(role: str, tmp_path: Path, *changes: tuple[str, str], **stubs: str) -> subprocess.CompletedProcess[str]:
    """Runs a role's script with its paths changed, and with `stubs` for the programs it asks."""
    script = (IMAGES / role / "remembers").read_text()
    for old, new in changes:
        assert old in script
        script = script.replace(old, new)
    for name, lines in {**stubs, "remembers": script}.items():
        file = tmp_path / name.replace("_", "-")
        file.write_text(lines if lines.startswith("#!") else f"#!/bin/sh\n{lines}\n")
        file.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(
        [str(tmp_path / "remembers")], env={"PATH": path}, capture_output=True, text=True, check=False, timeout=30
    )


def test_a_resolver_that_does_not_answer_is_not_one_that_forgot(tmp_path: Path) -> None:
    cache = "printf 'msg . IN NS 33152 1\\nmsg www.x.edu. IN A 33152 1\\nwww.x.edu. 5 IN A 10.1.2.3\\n'"
    assert remembers("resolver", tmp_path, unbound_control=cache).stdout == "www.x.edu. A\n"
    done = remembers("resolver", tmp_path, unbound_control="echo 'error: connect: refused' >&2; exit 1")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: connect: refused\n")


def test_a_database_that_cannot_be_read_is_not_one_without_visitors(tmp_path: Path) -> None:
    here = ("/appbed/visitors", str(tmp_path / "visitors"))
    assert remembers("shop", tmp_path, here, visitors="echo '[{\"id\": 7}]'").stdout == "visitor 7\n"
    empty = remembers("shop", tmp_path, here, visitors="echo '[]'")
    assert (empty.returncode, empty.stdout) == (0, "")
    done = remembers("shop", tmp_path, here, visitors="echo '[]'; exit 3")
    assert (done.returncode, done.stdout) == (3, "")


@pytest.fixture
def site(tmp_path: Path) -> tuple[str, str]:
    for folder in ("srv/shipped", "srv/site/dav"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "srv/shipped/index.html").write_text("as shipped")
    (tmp_path / "srv/site/index.html").write_text("as shipped")
    return "/srv/", f"{tmp_path}/srv/"


def test_a_site_that_cannot_be_compared_is_not_one_as_shipped(tmp_path: Path, site: tuple[str, str]) -> None:
    # The pattern is a regular expression in which the slashes are quoted.
    changes = (site, ("\\/srv\\/", site[1].replace("/", "\\/")))
    same = remembers("web", tmp_path, *changes)
    assert (same.returncode, same.stdout) == (0, "")
    (tmp_path / "srv/site/new.html").touch()
    (tmp_path / "srv/site/dav/put").touch()
    known = remembers("web", tmp_path, *changes).stdout.splitlines()
    assert known == [f"Only in {tmp_path}/srv/site/: new.html", f"{tmp_path}/srv/site/dav/put"]
    (tmp_path / "srv/site/index.html").write_text("changed")
    assert "differ" in remembers("web", tmp_path, *changes).stdout
    done = remembers("web", tmp_path, *changes, diff="echo 'diff: out of memory' >&2; exit 2")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "diff: out of memory\n")


PAGE = "KEY 00A1\n\tGET http://x.edu/a.jpg\n\tGET http://x.edu/squid-internal-static/icons/b.png\n\n"


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (f"HTTP/1.1 200 OK\r\nServer: squid\r\n\r\n{PAGE}", 0, ("http://x.edu/a.jpg\n", "")),
        ("HTTP/1.1 200 OK\r\n\r\n", 0, ("", "")),
        ("HTTP/1.1 403 Forbidden\r\n\r\nno", 1, ("", "the manager's page: HTTP/1.1 403 Forbidden\n")),
        ("", 1, ("", "the manager's page: \n")),
    ],
    ids=["a copy", "none", "refused", "closed"],
)
def test_a_proxy_that_refuses_to_say_is_not_one_without_copies(
    tmp_path: Path, answer: str, status: int, says: tuple[str, str]
) -> None:
    def serve(line: socket.socket) -> None:
        # To the empty line: bash writes a line at a time, and closing with lines unread resets the connection.
        with line.makefile("rb") as question:
            while question.readline().strip():
                pass
        line.sendall(answer.encode())

    with listening(serve) as where:
        done = remembers("proxy", tmp_path, ("3128", where.partition(":")[2]))
    assert (done.returncode, (done.stdout, done.stderr)) == (status, says)


def test_a_queue_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    here = ("/run/appbed/", f"{tmp_path}/")
    assert remembers("mail", tmp_path, here, setpriv="echo 'mailbox: bob/Maildir/new/1'").stdout.count("mailbox: ") == 2
    (tmp_path / "settings").write_text("SMTP_REUSE=on\n")
    set_ = remembers("mail", tmp_path, here, setpriv=":")
    assert (set_.returncode, set_.stdout) == (0, "SMTP_REUSE=on\n")
    done = remembers("mail", tmp_path, here, setpriv="echo 'find: Permission denied' >&2; exit 1")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "find: Permission denied\n")
