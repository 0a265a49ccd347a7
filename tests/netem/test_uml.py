"""The harness: a command's output and status come back, and nothing stays behind, however it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.thorough
installed = pytest.mark.skipif(
    not shutil.which("linux.uml"),
    reason="linux.uml is not installed; as root on Debian or Ubuntu: apt-get install user-mode-linux",
)


def uml(*argv: str, temporary: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """In a folder of its own for temporary files, which is empty afterwards."""
    environment = {**os.environ, "TMPDIR": str(temporary), "PATH": path or os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "tests.netem.uml", *argv],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert list(temporary.iterdir()) == []
    assert _kernels(temporary) == []
    return done


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Short: a kernel's command line has 4 kB."""
    with tempfile.TemporaryDirectory(prefix="appbed-test-") as name:
        yield Path(name)


@installed
def test_output_and_status_come_back_and_files_are_read_only_but_where_it_may_write(temporary: Path) -> None:
    script = "tc qdisc add dev lo root netem delay 5ms && echo netem; touch nowhere; echo written > $0/result; exit 7"
    with tempfile.TemporaryDirectory(prefix="appbed-test-") as other:
        done = uml("--write", other, "--", "sh", "-c", script, other, temporary=temporary)
        assert (done.stdout.splitlines()[0], done.returncode) == ("netem", 7)
        assert "Read-only file system" in done.stdout
        assert (Path(other) / "result").read_text() == "written\n"


@installed
def test_inside_no_test_is_skipped_for_want_of_netem(temporary: Path) -> None:
    """On this kernel, of which nobody needs it, the same test is skipped."""
    without = (
        "import sys; sys.path.insert(0, 'tests'); import needed; needed.netem.available = bool; needed.need_netem()"
    )
    done = uml("--", "python", "-c", without, temporary=temporary)
    assert done.returncode == 1
    assert "this kernel has no netem, although these tests need it" in done.stdout


@installed
def test_a_command_that_takes_too_long_is_ended(temporary: Path) -> None:
    began = time.monotonic()
    done = uml("--seconds", "5", "--", "sleep", "1000", temporary=temporary)
    assert (done.returncode, done.stdout) == (1, "sleep 1000: not done within 5 s in user-mode Linux\n")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("needed", [0, 1])
def test_without_the_package_it_says_so_with_the_remedy_and_fails_where_it_is_needed(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, needed: int
) -> None:
    monkeypatch.setenv("APPBED_NETEM_NEEDED", str(needed))
    done = uml("--", "true", temporary=temporary, path="/nowhere")
    assert done.returncode == needed
    assert done.stdout.startswith("skipped: linux.uml is not installed; as root on Debian or Ubuntu: apt-get install ")


def _kernels(temporary: Path) -> list[str]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(temporary) in words:
                found.append(words)
    return found
