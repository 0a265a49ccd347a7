from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appbed import lease
from appbed.errors import AppbedError, EngineError

routes = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 32)).map(lambda pair: IPv4Network(pair, strict=False))
    | st.integers(70, 130).flatmap(
        lambda second: st.integers(12, 28).map(lambda bits: IPv4Network((f"10.{second}.0.0", bits), strict=False))
    ),
    max_size=20,
)


@given(routes)
@settings(max_examples=25)
def test_what_is_leased_overlaps_no_route(taken: list[IPv4Network]) -> None:
    free = lease.free(taken)
    for net in lease.CHOICES:
        assert (net in free) is not any(IPv4Network(f"{net}.0.0/16").overlaps(route) for route in taken)
    if free:
        assert lease.choose(taken) == free[0]
    else:
        with pytest.raises(EngineError):
            lease.choose(taken)


def test_the_first_lease_is_the_default_of_the_compose_files() -> None:
    assert lease.choose([]) == "10.77"


def test_when_all_are_taken_the_remedy_says_how_to_get_one() -> None:
    with pytest.raises(EngineError) as caught:
        lease.choose([IPv4Network("10.0.0.0/8")])
    assert str(caught.value) == (
        "every net from 10.77 to 10.126 is taken; take an instance down (`appbed ps`), or set APPBED_NET"
    )
    assert caught.value.exit_code == 3


def test_a_wanted_net_is_given_if_it_is_free() -> None:
    assert lease.choose([IPv4Network("10.77.0.0/16")], "10.200") == "10.200"


@pytest.mark.parametrize("route", ["10.80.0.0/16", "10.80.3.0/24", "10.80.255.255/32", "10.0.0.0/8", "8.0.0.0/5"])
def test_a_wanted_net_that_overlaps_a_route_is_refused_with_others(route: str) -> None:
    with pytest.raises(EngineError) as caught:
        lease.choose([IPv4Network("192.168.0.0/16"), IPv4Network(route)], "10.80")
    assert f"APPBED_NET=10.80: this machine has a route to {route}; " in str(caught.value)


def test_the_free_nets_offered_instead_are_free() -> None:
    with pytest.raises(EngineError, match=r"free are 10\.77, 10\.79, 10\.81"):
        lease.choose([IPv4Network("10.78.0.0/16"), IPv4Network("10.80.0.0/16")], "10.80")


@pytest.mark.parametrize("wanted", ["abc", "10.300"])
@pytest.mark.parametrize("taken", [[], [IPv4Network("10.77.0.0/16")]])
def test_what_is_no_net_is_refused(taken: list[IPv4Network], wanted: str) -> None:
    with pytest.raises(AppbedError) as caught:
        lease.choose(taken, wanted)
    assert caught.value.exit_code == 2


def test_one_process_at_a_time_holds_the_lease(quiet: None) -> None:
    """The other process is a real one: it may not have the lock while it is held here, and has it afterwards."""
    attempt = (
        "import fcntl, os, sys\n"
        "fd = os.open(sys.argv[1], os.O_RDWR)\n"
        "try: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: sys.exit(7)\n"
    )
    lock = Path(tempfile.gettempdir()) / f"appbed-lease-{os.getuid()}.lock"
    argv = [sys.executable, "-I", "-c", attempt, str(lock)]
    with lease.held():
        assert subprocess.run(argv, check=False).returncode == 7
    assert subprocess.run(argv, check=False).returncode == 0


def test_the_lease_ends_with_an_error_in_the_block(quiet: None) -> None:
    with pytest.raises(KeyboardInterrupt), lease.held():
        raise KeyboardInterrupt
    with lease.held():
        pass


def test_a_symbolic_link_in_the_place_of_the_lock_is_not_followed(quiet: None, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (Path(tempfile.gettempdir()) / f"appbed-lease-{os.getuid()}.lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"), lease.held():
        pass
    assert not victim.exists()
