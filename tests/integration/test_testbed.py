"""The pytest plugin on real containers: a stranger's repository from the built wheel, and what failing tests leave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from appbed.analysis import Capture
from appbed.engine.docker import DockerEngine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/proxy"
LOCK = ROOT / "requirements.lock"


def ran(*argv: object, cwd: Path, status: int = 0, path: str = "") -> str:
    """What a command said; it ends with `status`. Python finds nothing of this checkout, unless on its `path`."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    environment = {**{key: value for key, value in os.environ.items() if key not in hidden}, "PYTHONPATH": path}
    done = subprocess.run([*map(str, argv)], cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == status, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment into which the built wheel was installed."""
    folder = tmp_path_factory.mktemp("stranger")
    quiet = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    ran(sys.executable, *quiet, "wheel", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    venv.create(folder / "venv", with_pip=True)
    (wheel,) = folder.glob("appbed-*.whl")
    ran(folder / "venv/bin/python", *quiet, "install", "--constraint", LOCK, wheel, "pytest", cwd=folder)
    return folder / "venv/bin"


def test_an_installed_appbed_brings_its_topologies_and_images_along(installed: Path, tmp_path: Path) -> None:
    here = json.loads(ran(sys.executable, "-m", "appbed.cli", "list", "--json", cwd=ROOT))
    assert json.loads(ran(installed / "appbed", "list", "--json", cwd=tmp_path)) == here
    assert "up to date" in ran(installed / "appbed", "setup", cwd=tmp_path)
    assert "building" not in ran(installed / "appbed", "setup", cwd=tmp_path), "the same images as of the checkout"


def test_the_example_repository_passes_as_its_readme_says(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "proxy")
    ran("docker", "build", "--quiet", "--tag", "example/proxy:dev", ".", cwd=tmp_path / "proxy")
    assert "5 passed" in ran(installed / "pytest", "-q", cwd=tmp_path / "proxy")
    assert not (tmp_path / "proxy/testbed-failures").exists()


def test_a_folder_that_init_wrote_is_tested_as_its_readme_says(installed: Path, tmp_path: Path) -> None:
    assert "mine/lab.yaml" in ran(installed / "appbed", "init", "mine", cwd=tmp_path)
    assert "3 passed" in ran(installed / "pytest", "-q", cwd=tmp_path / "mine")
    assert not (tmp_path / "mine/testbed-failures").exists()


TESTS = """
import pytest
from tests.integration.behind import hide

pytestmark = pytest.mark.topology("{pair}")


def page(testbed):
    testbed.host("client").run("curl", "-sf", "-o", "/dev/null", f"http://{{testbed.host('server').address}}/")


def test_the_code_under_test_is_wrong(testbed):
    page(testbed)
    assert False, "the page is wrong"


def test_the_link_is_not_as_set(testbed):
    hide(testbed.lab, "gateway@access", {{"up": {{"delay": "60ms"}}, "down": {{"delay": "20ms"}}}})
    assert False, "and neither is anything else"


def test_the_next_one_has_a_lab_as_new(testbed):
    with testbed.capture("client") as packets:
        page(testbed)
    (exchange,) = packets.http()
    assert exchange.response.status == 200
    assert exchange.connection.handshake_s > 0.050
"""


@pytest.mark.root
def test_failing_tests_leave_what_one_needs_to_find_out_why(tmp_path: Path, engine: DockerEngine) -> None:
    (tmp_path / "test_it.py").write_text(TESTS.format(pair=ROOT / "tests/topologies/pair.yaml"))
    pytest_here = (sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--testbed-links=relay")
    before = {instance.name for instance in engine.instances()}
    said = ran(*pytest_here, cwd=tmp_path, status=1, path=str(ROOT))
    assert "1 failed, 1 passed, 1 error" in said
    assert "INCONCLUSIVE: gateway@access up was not as set after the run: delay 30.00 ms" in said
    wrong, unsound = sorted((tmp_path / "testbed-failures").iterdir())
    assert "the page is wrong" in (wrong / "failure.txt").read_text()
    capture = Capture.open(wrong / "capture.pcapng")
    assert [each.response.status for each in capture.once(capture.http()) if each.response] == [200]
    assert "GET /" in (wrong / "ladder.txt").read_text()
    assert '"GET / HTTP/1.1" 200' in (wrong / "logs/server.log").read_text()
    assert json.loads((wrong / "conditions.json").read_text())["backend"] == "relay"
    assert (unsound / "failure.txt").read_text().startswith("INCONCLUSIVE: ")
    assert {each.name for each in engine.instances() if each.name.startswith("test-pair-")} <= before
