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


@pytest.mark.parametrize("late", [0, 1, 2])
def test_a_zone_that_was_updated_is_as_shipped_however_late_named_writes_it(tmp_path: Path, late: int) -> None:
    (tmp_path / "zones").mkdir()
    zone = tmp_path / "zones/com.zone"
    zone.write_text(SOA.format(1))
    (tmp_path / "zones/com.zone.jnl").touch()
    (tmp_path / "late").write_text(str(late))
    (tmp_path / "named.conf").touch()
    for name, text in {
        "rndc": RNDC,
        "render": "#!/bin/sh\n",
        "reset": RESET.read_text().replace("/run/named", str(tmp_path)).replace("/appbed/", f"{tmp_path}/"),
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [str(tmp_path / "reset")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "UPDATE_ZONES": "com"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert zone.read_text() == (tmp_path / "served").read_text() == SOA.format(1)
    assert not list((tmp_path / "zones").glob("*.shipped"))
