"""The door against real processes: what it finds, what it opens, what it refuses to write."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from appbed.agent import door
from appbed.agent.door import Door, Found
from appbed.agent.netlink import Netlink

IN_ITS_ROOT = "import os, sys; os.chroot(sys.argv[1]); print('there', flush=True); sys.stdin.read()"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host's files."""
    etc = tmp_path / "root/etc"
    etc.mkdir(parents=True)
    (etc / "resolv.conf").write_text("nameserver 127.0.0.11\noptions ndots:0\n")
    (etc / "hosts").write_text("old\n")
    return tmp_path / "root"


@contextlib.contextmanager
def living_in(root: Path) -> Iterator[int]:
    """A process whose root is `root`."""
    argv = [sys.executable, "-I", "-c", IN_ITS_ROOT, str(root)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.root
def test_both_files_are_replaced(root: Path) -> None:
    with living_in(root) as pid:
        door._write(pid, "resolv.conf", "nameserver 10.77.1.53\n")
        door._write(pid, "hosts", "")
    assert (root / "etc/resolv.conf").read_text() == "nameserver 10.77.1.53\n"
    assert (root / "etc/hosts").read_text() == ""


@pytest.mark.root
@pytest.mark.parametrize("relative", [True, False])
def test_a_symbolic_link_is_not_followed_wherever_it_points(root: Path, tmp_path: Path, relative: bool) -> None:
    victim = tmp_path / "victim"
    victim.write_text("the agent's own\n")
    file = root / "etc/resolv.conf"
    file.unlink()
    file.symlink_to("../../victim" if relative else victim)
    assert file.read_text() == "the agent's own\n", "seen from the agent, the link leads there"
    with living_in(root) as pid, pytest.raises(OSError, match="symbolic links") as caught:
        door._write(pid, "resolv.conf", "nameserver 10.77.1.53\n")
    assert caught.value.errno == errno.ELOOP
    assert victim.read_text() == "the agent's own\n"


@pytest.mark.root
def test_a_symbolic_link_in_the_place_of_the_folder_is_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (root / "etc").rename(outside)
    (root / "etc").symlink_to("../outside")
    with living_in(root) as pid, pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        door._write(pid, "resolv.conf", "nameserver 10.77.1.53\n")
    assert "127.0.0.11" in (outside / "resolv.conf").read_text()


@pytest.mark.root
def test_a_file_that_is_not_there_is_not_made(root: Path) -> None:
    (root / "etc/hosts").unlink()
    with living_in(root) as pid, pytest.raises(FileNotFoundError):
        door._write(pid, "hosts", "x")
    assert not (root / "etc/hosts").exists()


@pytest.mark.root
def test_a_pipe_in_the_place_of_the_file_holds_nobody_up(root: Path) -> None:
    pipe = root / "etc/resolv.conf"
    pipe.unlink()
    os.mkfifo(pipe)

    def attempt(pid: int) -> None:
        with contextlib.suppress(OSError):
            door._write(pid, "resolv.conf", "x")

    with living_in(root) as pid:
        thread = threading.Thread(target=attempt, args=(pid,))
        thread.start()
        thread.join(0.3)
        held_up = thread.is_alive()
        if held_up:
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            thread.join()
            os.close(reader)
    assert not held_up


@pytest.mark.parametrize("name", ["shadow", "passwd", "../etc/hosts", "hosts/..", "", "/etc/hosts"])
def test_no_other_file_can_be_named(name: str) -> None:
    with pytest.raises(LookupError, match=r"is none of resolv\.conf, hosts"):
        door._write(os.getpid(), name, "x")


# ---- which processes it enters


@contextlib.contextmanager
def served(instance: str) -> Iterator[Door]:
    """The door's own side in a thread: entering a namespace holds for one thread only."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=door.serve, args=(theirs, instance))
    with mine, theirs:
        thread.start()
        try:
            yield Door(mine)
        finally:
            mine.close()
            thread.join(10)
    assert not thread.is_alive()


@contextlib.contextmanager
def first_process(instance: str, *namespaces: str) -> Iterator[int]:
    """A process 1 of a PID namespace of its own, as a container has; its id as this machine sees it."""
    environment = {"PATH": os.environ["PATH"], "APPBED_INSTANCE": instance}
    argv = ["unshare", "--pid", "--fork", "--kill-child", *namespaces, "sh", "-c", "echo there; exec cat"]
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"there\n":
            pytest.skip("no PID namespace may be made here: run pytest as root of the machine or with --privileged")
        yield int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        process.send_signal(signal.SIGKILL)


@pytest.fixture
def instance() -> str:
    return f"test-{uuid.uuid4().hex}"


def test_a_process_of_the_machine_is_never_entered(instance: str) -> None:
    with served(instance) as asked:
        assert asked.find() == []
        for kind in ("tcp", "route"):
            with pytest.raises(LookupError, match=f"process {os.getpid()} is no first process of this instance"):
                asked.socket(Found(os.getpid(), 0, 0), kind)
        with pytest.raises(LookupError, match="is no first process"):
            asked.write(Found(os.getpid(), 0, 0), "hosts", "x")


@pytest.mark.root
def test_a_host_of_the_instance_is_found_and_its_sockets_live_inside(instance: str) -> None:
    with first_process(instance, "--net") as pid, served(instance) as asked:
        (found,) = asked.find()
        assert found.pid == pid
        with Netlink(asked.socket(found, "route")) as inside, Netlink() as outside:
            assert [interface.name for interface in inside.interfaces()] == ["lo"]
            assert not inside.interfaces()[0].addresses
            assert outside.interfaces()[0].addresses
        for kind, expected in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM), ("packet", socket.SOCK_RAW)):
            with asked.socket(found, kind) as sock:
                assert sock.type == expected


@pytest.mark.root
def test_a_host_of_another_instance_is_not_found(instance: str) -> None:
    with first_process(instance + "2", "--net") as pid, served(instance) as asked:
        assert asked.find() == []
        with pytest.raises(LookupError):
            asked.socket(Found(pid, 0, 0), "tcp")


@pytest.mark.root
def test_a_container_in_the_machine_s_own_network_is_no_host(instance: str) -> None:
    with first_process(instance) as pid, served(instance) as asked:
        assert asked.find() == []
        with pytest.raises(LookupError):
            asked.socket(Found(pid, 0, 0), "tcp")


@pytest.mark.root
def test_another_process_with_the_same_number_is_not_entered(instance: str) -> None:
    with first_process(instance, "--net"), served(instance) as asked:
        (found,) = asked.find()
        with pytest.raises(LookupError):
            asked.socket(Found(found.pid, found.started + 1, found.namespace), "tcp")


@pytest.mark.root
def test_a_wish_for_an_unknown_socket_is_refused_and_the_door_goes_on(instance: str) -> None:
    with first_process(instance, "--net"), served(instance) as asked:
        (found,) = asked.find()
        with pytest.raises(LookupError):
            asked.socket(found, "telepathy")
        assert asked.find() == [found]
