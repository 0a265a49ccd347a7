"""Attributes packed and unpacked; and the calls, in a network namespace of the test's own."""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appbed.agent import netlink
from appbed.agent.netlink import Interface, Netlink

T = TypeVar("T")
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


# ---- attributes


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40), max_size=8))
def test_attributes_survive_being_packed(wanted: dict[int, bytes]) -> None:
    packed = b"".join(netlink._attribute(kind, payload) for kind, payload in wanted.items())
    assert len(packed) % 4 == 0
    assert netlink._attributes(packed) == wanted


def test_an_attribute_is_laid_out_as_the_kernel_reads_it() -> None:
    assert netlink._attribute(3, b"eth0\0") == struct.pack("=HH", 9, 3) + b"eth0\0\0\0\0"
    assert netlink._attribute(10, struct.pack("=I", 7)) == struct.pack("=HHI", 8, 10, 7)


def test_a_nested_attribute_is_read_without_its_flag() -> None:
    assert netlink._attributes(struct.pack("=HHI", 8, 0x8000 | 26, 7)) == {26: struct.pack("=I", 7)}


@given(st.binary(max_size=64))
def test_whatever_comes_is_unpacked_without_end(data: bytes) -> None:
    assert sum(map(len, netlink._attributes(data).values())) <= len(data)


def test_a_number_that_is_not_there_is_none() -> None:
    assert netlink._u32(None) == 0
    assert netlink._u32(struct.pack("=I", 5)) == 5


# ---- calls


class Namespace:
    """A network namespace; `within` runs a function in it, `run` a program."""

    def __init__(self) -> None:
        def make() -> int:
            if LIBC.unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

        self.fd = _in_a_thread(make)

    def within(self, work: Callable[[], T]) -> T:
        def inside() -> T:
            if LIBC.setns(self.fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            return work()

        return _in_a_thread(inside)

    def run(self, command: str) -> str:
        argv = ["nsenter", f"--net=/proc/self/fd/{self.fd}", *command.split()]
        done = subprocess.run(argv, pass_fds=(self.fd,), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def netlink(self) -> Netlink:
        return self.within(Netlink)


def _in_a_thread(work: Callable[[], T]) -> T:
    """A thread's namespace is its own; this process stays where it is."""
    outcome: list[T] = []
    failure: list[OSError] = []

    def attempt() -> None:
        try:
            outcome.append(work())
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A bridge br0, a cable eth0 = port0, and port0 in the bridge."""
    try:
        made = Namespace()
    except PermissionError:
        pytest.skip("no network namespace may be made here: run pytest as root of the machine or with --privileged")
    try:
        made.run("ip link add br0 type bridge")
        made.run("ip link add eth0 type veth peer name port0")
        made.run("ip link set port0 master br0")
        made.run("ip address add 10.77.1.10/24 dev eth0")
        yield made
    finally:
        os.close(made.fd)


@pytest.fixture
def link(namespace: Namespace) -> Iterator[Netlink]:
    with namespace.netlink() as opened:
        yield opened


def interface(link: Netlink, name: str) -> Interface:
    return next(each for each in link.interfaces() if each.name == name)


@pytest.mark.root
def test_interfaces_with_addresses_peer_and_master(namespace: Namespace, link: Netlink) -> None:
    bridge, port, eth = (interface(link, name) for name in ("br0", "port0", "eth0"))
    assert eth.addresses == (IPv4Interface("10.77.1.10/24"),)
    assert (eth.peer, eth.master) == (port.index, 0)
    assert (port.peer, port.master) == (eth.index, bridge.index)
    assert (bridge.peer, bridge.addresses, eth.mtu) == (0, (), 1500)
    assert eth.mac.hex(":") in namespace.run("ip link show eth0")


@pytest.mark.root
def test_an_address_is_added_once_and_makes_its_route(namespace: Namespace, link: Netlink) -> None:
    eth = interface(link, "eth0")
    for _ in range(2):
        link.add_address(eth.index, IPv4Interface("10.77.1.1/24"))
    assert set(interface(link, "eth0").addresses) == {IPv4Interface("10.77.1.10/24"), IPv4Interface("10.77.1.1/24")}


@pytest.mark.root
def test_routes_are_added_read_and_removed(namespace: Namespace, link: Netlink) -> None:
    link.set_link(interface(link, "eth0").index, up=True)
    there, everywhere, via = IPv4Network("10.77.2.0/24"), IPv4Network("0.0.0.0/0"), IPv4Address("10.77.1.2")
    assert link.routes() == [], "a route to its own network goes through nobody"
    for _ in range(2):
        link.add_route(there, via)
        link.add_route(everywhere, via)
    assert set(link.routes()) == {(there, via), (everywhere, via)}
    assert "10.77.2.0/24 via 10.77.1.2" in namespace.run("ip route")
    for _ in range(2):
        link.remove_route(everywhere, via)
    assert link.routes() == [(there, via)]


@pytest.mark.root
def test_a_neighbour_is_known_and_takes_another_address(namespace: Namespace, link: Netlink) -> None:
    eth, address = interface(link, "eth0"), IPv4Address("10.77.1.2")
    link.set_link(eth.index, up=True)
    for mac in ("02:00:00:00:00:07", "02:00:00:00:00:08"):
        link.add_neighbour(eth.index, address, bytes.fromhex(mac.replace(":", "")))
        assert namespace.run("ip neigh show 10.77.1.2").split()[:5] == ["10.77.1.2", "dev", "eth0", "lladdr", mac]


@pytest.mark.root
def test_a_route_through_nowhere_is_refused(link: Netlink) -> None:
    with pytest.raises(OSError, match="unreachable") as caught:
        link.add_route(IPv4Network("10.77.2.0/24"), IPv4Address("10.99.9.9"))
    assert caught.value.errno == errno.ENETUNREACH


@pytest.mark.root
def test_a_port_is_unplugged_and_plugged_in_again(link: Netlink) -> None:
    port, bridge = interface(link, "port0"), interface(link, "br0")
    link.set_link(port.index, master=0)
    assert interface(link, "port0").master == 0
    link.set_link(port.index, master=bridge.index)
    assert interface(link, "port0").master == bridge.index


@pytest.mark.root
def test_a_link_goes_up_and_down_and_gets_its_queue(namespace: Namespace, link: Netlink) -> None:
    index = interface(link, "eth0").index
    link.set_link(index, up=True, queue=4321)
    shown = namespace.run("ip link show eth0")
    assert "qlen 4321" in shown
    assert ",UP" in shown
    link.set_link(index, queue=1000)
    assert ",UP" in namespace.run("ip link show eth0"), "what is not named stays"
    link.set_link(index, up=False)
    assert ",UP" not in namespace.run("ip link show eth0")


@pytest.mark.root
def test_an_interface_that_is_not_there_is_an_os_error(link: Netlink) -> None:
    for attempt in (lambda: link.set_link(9999, up=True), lambda: link.quiet_ipv6(9999)):
        with pytest.raises(OSError, match="No such device") as caught:
            attempt()
        assert caught.value.errno == errno.ENODEV
    assert interface(link, "lo"), "the next question gets its own answer"


@pytest.mark.root
def test_a_quiet_interface_gives_itself_no_address(namespace: Namespace, link: Netlink) -> None:
    """Without it the kernel gives an interface that comes up fe80::/64, and speaks."""
    for name in ("eth0", "port0"):
        link.quiet_ipv6(interface(link, name).index)
        link.set_link(interface(link, name).index, up=True)
    assert "inet6" not in namespace.run("ip address show eth0")
    assert "inet6" not in namespace.run("ip address show port0")


@pytest.mark.root
def test_an_address_an_interface_gave_itself_before_is_taken_away(namespace: Namespace, link: Netlink) -> None:
    """The engine brings interfaces up before the agent sees them."""
    for name in ("eth0", "port0"):
        link.set_link(interface(link, name).index, up=True)
    assert "inet6 fe80" in namespace.run("ip address show port0")
    link.quiet_ipv6(interface(link, "port0").index)
    assert "inet6" not in namespace.run("ip address show port0")
    assert "inet6 fe80" in namespace.run("ip address show eth0")


@pytest.mark.root
def test_an_interface_that_appears_is_told(namespace: Namespace) -> None:
    with namespace.within(netlink.link_events) as events:
        assert not select.select([events], [], [], 0)[0]
        namespace.run("ip link add another type bridge")
        assert select.select([events], [], [], 5)[0]


@pytest.mark.root
def test_offloads_are_off_afterwards(namespace: Namespace) -> None:
    """Tx checksum, scatter-gather, TSO, GSO, GRO: ethtool's numbers to ask for each and to set it."""
    offloads = {0x16: 0x17, 0x18: 0x19, 0x1E: 0x1F, 0x23: 0x24, 0x2B: 0x2C}
    with namespace.within(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as inside:

        def ethtool(command: int, value: int = 0) -> int:
            said = array.array("I", [command, value])
            fcntl.ioctl(inside, 0x8946, struct.pack("16sP16x", b"eth0", said.buffer_info()[0]))
            return said[1]

        for switch in offloads.values():
            ethtool(switch, 1)
        assert [ethtool(question) for question in offloads] == [1] * 5
        netlink.offloads_off(inside, "eth0")
        assert [ethtool(question) for question in offloads] == [0] * 5
        with pytest.raises(OSError, match="No such device"):
            netlink.offloads_off(inside, "eth9")
