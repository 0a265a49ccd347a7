"""images/nameserver/reset: an updated zone is as shipped again, also when named writes its file late. No container needed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough  # seconds pass until named writes

RESET = Path(__file__).parents[2] / "images" / "nameserver" / "reset"
SOA = "com. 60 SOA a. b. {} 1 1 1 1\n"
# Freezing makes named write what it serves; how much later, and how often, is what the tests say. It serves what it found at `thaw`.
RNDC = """#!/bin/bash
here=$(dirname "$0")
case "$3" in
  freeze)
    if [ "$(cat "$here/late")" -gt 0 ]; then
      echo $(($(cat "$here/late") - 1)) > "$here/late"
      late() {
        until [ -e "$here/thawed" ]; do sleep 0.001; done
        echo "com. 60 SOA a. b. 9 1 1 1 1" > "$here/zones/com.zone"
      }
      late > /dev/null 2>&1 &
      echo $! > "$here/writer"
    fi
    rm -f "$here/thawed" ;;
  thaw)
    touch "$here/thawed"
    if [ -e "$here/writer" ]; then tail -s 0.01 --pid="$(cat "$here/writer")" -f /dev/null; rm "$here/writer"; fi
    cp "$here/zones/com.zone" "$here/served" ;;
  zonestatus) echo "serial: $(awk '{print $6}' "$here/served")"; echo "frozen: no" ;;
esac
"""


def reset(folder: Path, render: str = "#!/bin/sh\n", rndc: str = RNDC) -> None:
    """Runs the script in `folder`, in place of /run/named."""
    for name, text in {
        "rndc": rndc,
        "render": render,
        "reset": RESET.read_text().replace("/run/named", str(folder)).replace("/appbed/", f"{folder}/"),
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [str(folder / "reset")],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "UPDATE_ZONES": "com"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("late", [0, 1, 2])
def test_a_zone_that_was_updated_is_as_shipped_however_late_named_writes_it(tmp_path: Path, late: int) -> None:
    (tmp_path / "zones").mkdir()
    zone = tmp_path / "zones/com.zone"
    zone.write_text(SOA.format(1))
    (tmp_path / "zones/com.zone.jnl").touch()
    (tmp_path / "late").write_text(str(late))
    (tmp_path / "named.conf").touch()
    reset(tmp_path)
    assert zone.read_text() == (tmp_path / "served").read_text() == SOA.format(1)
    assert not list((tmp_path / "zones").glob("*.shipped"))


# Each time it is called leaves a line.
CALLED = '#!/bin/bash\necho "${0##*/}" "$@" >> "${0%/*}/called"\n'


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """A server's folder after its start, as the entrypoint leaves it."""
    for folder in (tmp_path, tmp_path / "start"):
        (folder / "zones").mkdir(parents=True)
        (folder / "named.conf").write_text("options {};\n")
        for zone in ("com", "edu"):
            (folder / f"zones/{zone}.zone").write_text(SOA.format(1))
    return tmp_path


def test_a_server_that_nobody_touched_is_asked_nothing(started: Path) -> None:
    reset(started, render=CALLED, rndc=CALLED)
    assert not (started / "called").exists()


@pytest.mark.parametrize("file", ["named.conf", "zones/com.zone", "zones/edu.zone"])
@pytest.mark.parametrize("change", ["changed", "gone"])
def test_whatever_is_not_as_at_the_start_is_rendered_anew(started: Path, file: str, change: str) -> None:
    (started / file).write_text("" if change == "gone" else (started / file).read_text() + "x")
    reset(started, render=CALLED, rndc=CALLED)
    assert "render" in (started / "called").read_text().split()
