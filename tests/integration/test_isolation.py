"""Nothing gets out of a lab: tried from every host, the outside being a namespace of this test's own that would receive it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from appbed.engine import Completed
from appbed.lab import Lab

from . import isolation_table

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="a sink needs a network namespace; run the tests as root on the engine's machine"
    ),
]
OUTSIDE, MACHINE = "203.0.113.1", "203.0.113.254"  # RFC 5737: documentation only, routed nowhere but into the sink


class Sink:
    """A namespace that owns 203.0.113.0/24 and counts what reaches it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def received(self) -> int:
        """IPv4 datagrams that reached it so far (RFC 4293 ipInReceives)."""
        lines = _run("ip", "netns", "exec", self.name, "cat", "/proc/net/snmp").splitlines()
        names, values = (line.split()[1:] for line in lines if line.startswith("Ip:"))
        return int(dict(zip(names, values, strict=True))["InReceives"])


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    name, here = f"sink-{os.getpid()}", f"sink{os.getpid() % 100000}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", "outside", "netns", name)
        for device in (
            ["sysctl", "-qw", f"net.ipv6.conf.{here}.disable_ipv6=1"],
            ["ip", "addr", "add", f"{MACHINE}/24", "dev", here],
        ):
            _run(*device)
        _run("ip", "link", "set", here, "up")
        inside = ["ip", "netns", "exec", name]
        _run(*inside, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        _run(*inside, "ip", "addr", "add", f"{OUTSIDE}/24", "dev", "outside")
        _run(*inside, "ip", "link", "set", "outside", "up")
        _run(*inside, "ip", "link", "set", "lo", "up")
        yield Sink(name)
    finally:
        subprocess.run(["ip", "link", "del", here], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_the_sink_would_notice(sink: Sink) -> None:
    before = sink.received()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"from the machine itself", (OUTSIDE, 53))
    deadline = time.monotonic() + 5
    while sink.received() == before:
        assert time.monotonic() < deadline, "a datagram from the machine did not reach the sink"


@pytest.mark.parametrize("target", [OUTSIDE, MACHINE])
def test_no_host_reaches_the_outside_or_the_machine(internet: Lab, sink: Sink, target: str) -> None:
    with socket.create_server((MACHINE, 0)) as server:
        port = server.getsockname()[1] if target == MACHINE else 80
        server.settimeout(0)
        before = sink.received()
        assert _who_reaches(internet, target, port) == []
        internet.exec("client", "ping", "-n", "-c", "1", "-W", "1", target, check=False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert sink.received() == before


def test_no_host_s_datagram_reaches_the_machine(internet: Lab) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((MACHINE, 0))
        server.settimeout(0.5)
        port = server.getsockname()[1]
        tried = f"for n in 1 2 3; do (echo x >/dev/udp/{MACHINE}/{port}) 2>/dev/null; done; exit 0"
        _on_every_host(internet, "timeout", "2", "bash", "-c", tried)
        with pytest.raises(TimeoutError):
            server.recv(9)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as from_here:  # it would have been heard
            from_here.sendto(b"x", (MACHINE, port))
        assert server.recv(9) == b"x"


def test_no_host_reaches_another_instance(internet: Lab, pair: Lab) -> None:
    """Whose server answers its own client meanwhile."""
    there = str(pair.topology.host("server").address)
    assert _who_reaches(internet, there, 80) == []
    assert internet.exec("client", "ping", "-n", "-c", "1", "-W", "1", there, check=False).status != 0
    assert _who_reaches(pair, there, 80, hosts=["client"]) == ["client"]


def test_no_host_has_an_address_of_ipv6_or_a_way_for_it(internet: Lab) -> None:
    """The machine's bridges have some of their own, one hop away; that of the client's network is tried."""
    seen = _on_every_host(internet, "bash", "-c", "cat /proc/net/if_inet6 2>/dev/null; exit 0")
    assert {host: one.stdout for host, one in seen.items() if one.stdout.strip()} == {}
    tried = "(exec 3<>/dev/tcp/fe80::1%eth0/80) 2>&1; (exec 3<>/dev/tcp/2001:db8::1/80) 2>&1; true"
    refused = internet.exec("client", "timeout", "5", "bash", "-c", tried).stdout
    said = [line for line in refused.splitlines() if line.startswith("bash: connect: ")]
    assert len(said) == 2, refused
    assert all("Cannot assign requested address" in line or "Network is unreachable" in line for line in said)


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)", id="frames of one's own"),
        pytest.param("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", id="packets of one's own"),
        pytest.param("fcntl.ioctl(socket.socket(), 0x8955, struct.pack('68s', b'\\2'))", id="a neighbour entry for the bridge"),
        pytest.param("fcntl.ioctl(socket.socket(), 0x890b, struct.pack('120s', b''))", id="a route"),
        pytest.param("os.unshare", id="a namespace in which it may"),
    ],
)  # fmt: skip
def test_a_host_cannot_address_the_machine_s_bridge(internet: Lab, attempt: str) -> None:
    """With NET_RAW or NET_ADMIN it could: the bridge hands frames for its own address to the machine."""
    if attempt == "os.unshare":
        attempt = "ctypes.CDLL(None, use_errno=True).unshare(0x10000000) and exec('raise PermissionError(ctypes.get_errno())')"
    done = internet.exec("client", "python3", "-c", f"import ctypes, fcntl, os, socket, struct\n{attempt}", check=False)
    assert "PermissionError" in done.stderr


def test_no_host_has_the_engine_s_socket(internet: Lab) -> None:
    look = "for at in /run/docker.sock /var/run/docker.sock; do test -e $at && echo $at; done; printenv DOCKER_HOST; exit 0"
    said = _on_every_host(internet, "bash", "-c", look)
    assert {host: one.stdout for host, one in said.items() if one.stdout} == {}
    agent = internet.exec(internet.topology.agent, "sh", "-c", look)
    assert agent.stdout == "", "the agent has none either"


def test_roles_may_do_what_the_documentation_says_and_nothing_more(internet: Lab) -> None:
    """After a change that is meant: `make isolation`."""
    assert isolation_table.table(isolation_table.rows(internet)) == isolation_table.written()


def test_the_window_alone_stands_beside_the_machine(internet: Lab) -> None:
    """It could ask what listens on the machine's address in its network (its README says so); that also shows that the others
    would have been noticed."""
    beside = str(internet.topology.networks["browser"].subnet[1])
    with socket.create_server((beside, 0)) as server:
        assert _who_reaches(internet, beside, server.getsockname()[1]) == ["window"]


def test_the_window_forwards_nothing_between_its_networks(internet: Lab) -> None:
    said = internet.exec(
        "window", "bash", "-c", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding"
    ).stdout
    assert set(said.split()) == {"0"}


def _on_every_host(lab: Lab, *argv: str) -> dict[str, Completed]:
    with ThreadPoolExecutor(6) as pool:
        hosts = list(lab.topology.hosts)
        return dict(zip(hosts, pool.map(lambda host: lab.exec(host, *argv), hosts), strict=True))


def _who_reaches(lab: Lab, target: str, port: int, hosts: Sequence[str] = ()) -> list[str]:
    """Hosts whose TCP connection came about; each also sends a datagram."""
    tried = f"(exec 3<>/dev/tcp/{target}/{port}) 2>&1; tcp=$?; (echo x >/dev/udp/{target}/53) 2>&1; exit $tcp"

    def reached(host: str) -> bool:
        return lab.exec(host, "timeout", "2", "bash", "-c", tried, check=False).status == 0

    with ThreadPoolExecutor(6) as pool:
        asked = list(hosts or lab.topology.hosts)
        return [host for host, got in zip(asked, pool.map(reached, asked), strict=True) if got]


def test_no_host_knows_another_resolver(internet: Lab) -> None:
    """The engine's own resolver would answer for names outside, from the machine."""
    for host in internet.topology.hosts:
        said = internet.exec(host, "cat", "/etc/resolv.conf").stdout
        assert "127.0.0.11" not in said, f"{host}: {said}"
