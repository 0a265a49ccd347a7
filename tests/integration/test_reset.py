"""The shells through which hosts are reset, on real containers: none outlives its lab's talk, and a host may start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from appbed.engine.docker import DockerEngine
from appbed.lab import Lab

from .conftest import wait_for

pytestmark = pytest.mark.docker
HOSTS = ("client", "server")
# Of all processes of a host those that are `sh` and nothing more, as no command of a test is.
SHELLS = 'for each in /proc/[0-9]*; do [ "$(tr "\\0" " " < $each/cmdline)" != "sh " ] || echo $each; done 2> /dev/null'


def shells(lab: Lab) -> set[tuple[str, str]]:
    return {(host, pid) for host in HOSTS for pid in lab.exec(host, "sh", "-c", SHELLS, check=False).stdout.split()}


@pytest.fixture
def before(pair: Lab) -> set[tuple[str, str]]:
    """Shells of the lab that other tests share."""
    return shells(pair)


def test_shells_stay_between_resets_and_end_with_the_talk(
    engine: DockerEngine, pair: Lab, before: set[tuple[str, str]]
) -> None:
    lab = Lab.attach(engine, pair.name)
    try:
        assert {host: done.stdout for host, done in lab.renewed().items()} == dict.fromkeys(HOSTS, "")
        opened = shells(pair) - before
        assert sorted(host for host, _ in opened) == list(HOSTS)
        lab.renewed()
        assert shells(pair) - before == opened
    finally:
        lab.close()
    wait_for(lambda: shells(pair) == before, "no shell stays")


KILLED = """
import os, signal, sys
from appbed.engine.docker import DockerEngine
from appbed.lab import Lab

lab = Lab.attach(DockerEngine(), sys.argv[1])
lab.renewed()
print("reset", flush=True)
signal.pause()
"""


def test_shells_end_when_whoever_asked_is_killed(pair: Lab, before: set[tuple[str, str]]) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, pair.name], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "reset\n"
            assert len(shells(pair) - before) == len(HOSTS)
        finally:
            os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: shells(pair) == before, "no shell stays")


def test_a_host_that_was_started_again_is_reset_as_before(pair: Lab) -> None:
    page = f"http://{pair.topology.host('server').address}/dav/page"
    pair.renewed()
    pair.faults.restart("server")
    pair.exec("client", "sh", "-c", f"echo new > page && curl -sf -T page {page}")
    assert pair.renewed()["server"].stdout == ""
    assert pair.exec("client", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", page).stdout == "404"


def test_what_a_server_still_knows_is_told(pair: Lab) -> None:
    page = f"http://{pair.topology.host('server').address}/dav/page"
    pair.exec("client", "sh", "-c", f"echo new > page && curl -sf -T page {page}")
    assert pair.exec("server", "/appbed/remembers").stdout.splitlines() == ["/srv/site/dav/page"]
    assert pair.renewed()["server"].stdout == ""
