"""images/peer makes and reads torrents with its own libtorrent: the driver's functions, called inside one container."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.docker
URL = "http://tracker.torrents.edu:6969/announce"
# Answers each line, [function, arguments], with one: the result, or what was refused.
PROGRAM = """
import base64, json, pathlib, sys
import control, neighbours, torrent

def make(*arguments):
    return torrent.make(pathlib.Path("/data"), *arguments).record()

def read(given):
    info = torrent.read(base64.b64decode(given))
    return {"hash": str(info.info_hash()), "private": info.priv(), "size": info.total_size(), "pieces": info.num_pieces()}

known = {"make": make, "read": read, "told": neighbours.told}
for line in sys.stdin:
    function, *arguments = json.loads(line)
    try:
        answer = {"result": known[function](*arguments)}
    except control.Refused as refused:
        answer = {"refused": str(refused)}
    print(json.dumps(answer), flush=True)
"""
Driver = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    name, image = f"test-peer-torrents-{os.getpid()}", f"appbed/peer:{os.environ.get('APPBED_TAG') or 'dev'}"
    limits = ["--network", "none", "--cap-drop", "ALL", "--read-only", "--tmpfs", "/data:uid=65534,gid=65534"]
    argv = ["docker", "run", "--rm", "--interactive", "--name", name, *limits, "--entrypoint", "python3", image]
    with subprocess.Popen([*argv, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, back = process.stdin, process.stdout

        def ask(function: str, *arguments: object) -> dict[str, Any]:
            to.write(json.dumps([function, *arguments]) + "\n")
            to.flush()
            answer: dict[str, Any] = json.loads(back.readline())
            return answer

        try:
            yield ask
        finally:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(("size", "pieces"), [(1, 1), (65535, 1), (65536, 1), (65537, 2)])
def test_made_ones_are_read_in_each_form(driver: Driver, size: int, pieces: int) -> None:
    made = driver("make", str(size), "demo", URL, 65536)["result"]
    forms = [base64.b64decode(made["torrent"]), made["torrent"].encode(), json.dumps(made).encode()]
    read = [driver("read", encoded(form))["result"] for form in forms]
    assert read == [{"hash": made["info_hash"], "private": True, "size": size, "pieces": pieces}] * 3
    assert (made["pieces"], made["size"]) == (pieces, size)


def test_the_info_hash_does_not_depend_on_the_tracker(driver: Driver) -> None:
    urls = (URL, "http://10.0.0.1/announce")
    assert len({driver("make", "70000", "demo", url, 16384)["result"]["info_hash"] for url in urls}) == 1


@pytest.mark.parametrize(
    ("size", "seed", "url"),
    [("0", "a", URL), ("1.5", "a", URL), ("9" * 30, "a", URL), ("1", "../a", URL), ("1", "a", "udp://a:1/")],
)
def test_nonsense_is_refused(driver: Driver, size: str, seed: str, url: str) -> None:
    assert "is not possible; choose " in driver("make", size, seed, url, 65536)["refused"]


@pytest.mark.parametrize(
    "given", [b"", b"hello", b"{}", b'{"torrent": 1}', b"[1]", b"\xff\xfe", b"d4:infodee", b"ZDA="]
)
def test_what_is_no_torrent_file_is_said_to_be_none(driver: Driver, given: bytes) -> None:
    assert driver("read", encoded(given))["refused"].startswith("this is not a torrent file: ")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("==> UNCHOKE", ["unchoke", "us"]),
        ("<== NOT_INTERESTED", ["not-interested", "them"]),
        ("<== HAVE", None),
        ("*** UNCHOKE", None),
    ],
)
def test_chokes_are_read_from_the_log(driver: Driver, event: str, said: list[str] | None) -> None:
    line = f"x.bin peer [ 10.0.0.1:6881 client: libtorrent 2.0.8 ] [10.0.0.1:6881] {event} [  ]"
    assert driver("told", line)["result"] == said
