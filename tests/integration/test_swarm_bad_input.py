"""What a swarm does with files of odd sizes, data that is not as promised, and a disk that is full."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from appbed.lab import Lab

pytestmark = pytest.mark.docker
TRACKER = "http://tracker.someschool.edu:6969/announce"
CHUNK = 65536


@pytest.fixture(autouse=True)
def fresh(internet: Lab) -> Iterator[None]:
    """Whatever a test left in the swarm is gone after it."""
    yield
    internet.reset("seed", "peer-1", "peer-2", "tracker")


def _status(lab: Lab, host: str) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(lab.exec(host, "/appbed/status").stdout)
    return status


def _made(lab: Lab, size: int) -> tuple[str, str]:
    """A torrent the tracker serves, and the SHA-256 of its file."""
    torrent = lab.exec("seed", "/appbed/make", str(size), f"odd-{size}", TRACKER).stdout
    made = json.loads(torrent)
    lab.exec("tracker", "/appbed/allow", made["info_hash"])
    return torrent, made["sha256"]


def _join(lab: Lab, torrent: str, *hosts: str) -> None:
    for host in hosts:
        lab.exec(host, "/appbed/join", stdin=torrent)
        lab.until(lambda host=host: _status(lab, host)["tracker"] == "ok", f"the tracker heard {host}")  # type: ignore[misc]


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_a_file_of_any_size_arrives_whole(internet: Lab, size: int) -> None:
    torrent, sha256 = _made(internet, size)
    _join(internet, torrent, "seed", "peer-1")
    internet.until(lambda: bool(_status(internet, "peer-1")["sha256"]), "peer-1 is complete")
    status = _status(internet, "peer-1")
    assert (status["sha256"], status["size"], status["pieces_total"]) == (sha256, size, -(-size // CHUNK))


def test_nothing_spoiled_is_kept_and_another_source_makes_it_whole(internet: Lab) -> None:
    torrent, sha256 = _made(internet, 4 * CHUNK)
    _join(internet, torrent, "seed", "peer-1")
    internet.until(lambda: bool(_status(internet, "peer-1")["sha256"]), "peer-1 is complete")
    internet.exec("seed", "/appbed/leave")
    internet.exec("peer-1", "/appbed/corrupt", "2")
    _join(internet, torrent, "peer-2")
    internet.until(lambda: _status(internet, "peer-2")["hash_failures"] > 0, "peer-2 noticed the spoiled piece")
    status = _status(internet, "peer-2")
    assert (status["state"], status["sha256"]) == ("downloading", None)
    assert status["pieces"] <= 3
    _join(internet, torrent, "seed")
    internet.until(lambda: bool(_status(internet, "peer-2")["sha256"]), "peer-2 is complete")
    assert _status(internet, "peer-2")["sha256"] == sha256


def test_a_peer_whose_disk_is_full_refuses_to_join_and_joins_when_there_is_room(internet: Lab) -> None:
    torrent, sha256 = _made(internet, 16 * CHUNK)
    free = int(internet.exec("peer-1", "df", "--output=avail", "--block-size=1", "/data").stdout.split()[-1])
    internet.exec("peer-1", "fallocate", "--length", str(free - 8 * CHUNK), "/data/filler")
    done = internet.exec("peer-1", "/appbed/join", stdin=torrent, check=False)
    assert (done.status, len(done.stderr.splitlines())) == (64, 1)
    assert "the disk is full: " in done.stderr
    internet.exec("peer-1", "rm", "/data/filler")
    _join(internet, torrent, "seed", "peer-1")
    internet.until(lambda: bool(_status(internet, "peer-1")["sha256"]), "peer-1 is complete")
    assert _status(internet, "peer-1")["sha256"] == sha256


def test_a_swarm_that_began_before_its_tracker_fills_once_that_is_there(internet: Lab) -> None:
    """The tracker does not serve the torrent at the start: each peer asks again, and all find each other."""
    torrent = internet.exec("seed", "/appbed/make", str(2 * CHUNK), "early", TRACKER).stdout
    made = json.loads(torrent)
    for host in ("seed", "peer-1"):
        internet.exec(host, "/appbed/join", stdin=torrent)
    internet.until(lambda: bool(_status(internet, "peer-1")["tracker"]), "peer-1 was refused")
    assert _status(internet, "peer-1")["state"] == "downloading"
    internet.exec("tracker", "/appbed/allow", made["info_hash"])
    internet.until(lambda: bool(_status(internet, "peer-1")["sha256"]), "peer-1 is complete")
    assert _status(internet, "peer-1")["sha256"] == made["sha256"]


def test_a_swarm_whose_tracker_is_dead_at_the_start_fills_once_it_lives(internet: Lab) -> None:
    with internet.faults.stop("tracker"):
        torrent = internet.exec("seed", "/appbed/make", str(2 * CHUNK), "dead", TRACKER).stdout
        for host in ("seed", "peer-1"):
            internet.exec(host, "/appbed/join", stdin=torrent)
        internet.until(lambda: bool(_status(internet, "peer-1")["tracker"]), "peer-1 was told that nobody answers")
        assert _status(internet, "peer-1")["peers_given"] is None
    made = json.loads(torrent)
    internet.exec("tracker", "/appbed/allow", made["info_hash"])
    internet.until(lambda: bool(_status(internet, "peer-1")["sha256"]), "peer-1 is complete")
    assert _status(internet, "peer-1")["sha256"] == made["sha256"]


def test_a_swarm_whose_tracker_dies_midway_goes_on(internet: Lab) -> None:
    torrent, sha256 = _made(internet, 16 * CHUNK)
    with internet.link("seed").set(up={"rate": "2mbit"}):
        _join(internet, torrent, "seed", "peer-1")
        with internet.faults.kill("tracker"):
            assert _status(internet, "peer-1")["state"] == "downloading"
            internet.until(lambda: bool(_status(internet, "peer-1")["sha256"]), "peer-1 is complete")
    assert _status(internet, "peer-1")["sha256"] == sha256
