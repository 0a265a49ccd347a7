"""pytest plugin: the mark `topology` says which lab a test wants, the fixture `testbed` is that lab, up and as if new.

@pytest.mark.topology("web")              # or a path to a Compose file, seen from the test's file
def test_a_page(testbed):
    testbed.host("client").run("curl", "-sf", "http://www.someschool.edu/")
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appbed.errors import AppbedError

if TYPE_CHECKING:  # these bring the engine with them, and most sessions need none
    from appbed.engine import Engine
    from appbed.lab import Lab
    from appbed.testbed import Testbed

_SCOPES = ("session", "module", "function")
_VERIFY = ("always", "failed", "never")
_BED = pytest.StashKey["Testbed"]()
_SPOILT = pytest.StashKey[bool]()
_KEPT = pytest.StashKey[list[str]]()
_INCONCLUSIVE = "INCONCLUSIVE"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("appbed", "labs of real servers")
    group.addoption(
        "--testbed-scope",
        choices=_SCOPES,
        default="session",
        help="how long a lab lives; within it, reset between tests",
    )
    group.addoption("--testbed-keep", action="store_true", help="leave the labs up at the end, to look at them")
    group.addoption("--testbed-links", choices=("auto", "netem", "relay"), default="auto", help="back-end of the links")
    group.addoption(
        "--testbed-verify",
        choices=_VERIFY,
        default="always",
        help="after which tests every link is measured against its settings",
    )
    group.addoption(
        "--testbed-bundles",
        default="testbed-failures",
        metavar="DIR",
        help="where failed tests leave packets, ladder and logs",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "topology(name_or_file, *overrides): the lab of this test: a shipped topology or a Compose file"
    )
    config.stash[_KEPT] = []


@dataclass
class Labs:
    """The labs of a scope, by the files they were made from; each is brought up when a test first wants it."""

    engine: Engine
    links: str
    keep: bool
    kept: list[str]
    _up: dict[tuple[Path, ...], Lab] = field(default_factory=dict)

    def get(self, files: tuple[Path, ...]) -> tuple[Lab, bool]:
        """The lab, and whether it is new."""
        from appbed.lab import Lab

        if files in self._up:
            return self._up[files], False
        lab = Lab.up(
            files[0], self.engine, name=self._name(files[0]), overrides=files[1:], links=self.links, lives_on=self.keep
        )
        self._up[files] = lab
        return lab, True

    def _name(self, file: Path) -> str:
        stem = re.sub(r"[^a-z0-9_-]+", "-", file.stem.lower())[:18]
        worker = os.environ.get("PYTEST_XDIST_WORKER")  # which its parent finds by that when it is killed
        return f"test-{stem}-{f'{os.getppid()}-{worker}' if worker else os.getpid()}-{len(self._up)}"

    def drop(self, lab: Lab) -> None:
        """One that cannot be made as new again goes; the next test that wants it gets another."""
        self._up = {files: one for files, one in self._up.items() if one is not lab}
        lab.down()

    def close(self) -> None:
        """Every one goes down, also when another will not."""
        with contextlib.ExitStack() as stack:
            for lab in self._up.values():
                if self.keep:
                    self.kept.append(lab.name)
                    stack.callback(lab.close)
                else:
                    stack.callback(lab.down)


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    return config.getoption("--testbed-scope")


@pytest.fixture(scope=_scope)
def testbed_labs(pytestconfig: pytest.Config) -> Iterator[Labs]:
    """The labs that tests of this scope share."""
    from appbed.engine import docker

    with _told():
        engine = docker.DockerEngine()
    labs = Labs(
        engine,
        pytestconfig.getoption("--testbed-links"),
        pytestconfig.getoption("--testbed-keep"),
        pytestconfig.stash[_KEPT],
    )
    with _told(), contextlib.closing(labs):
        yield labs


@pytest.fixture
def testbed(request: pytest.FixtureRequest, testbed_labs: Labs, tmp_path: Path) -> Iterator[Testbed]:
    """The lab that the test's mark `topology` names, as if it had just come up."""
    from appbed.testbed import Testbed

    with _told():
        lab, new = testbed_labs.get(_files(request.node))
        bed = Testbed(lab, tmp_path)
        with _dropped_if_failed(testbed_labs, lab):
            if not new:
                bed.reset()
            bed.begin()
    request.node.stash[_BED] = bed
    yield bed
    with _told(), _dropped_if_failed(testbed_labs, lab):
        bed.end()
        if request.node.stash.get(_SPOILT, False):
            testbed_labs.drop(lab)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A mistake of whoever wrote the test, or a lab that does not come up, is one line and no stack of ours."""
    try:
        yield
    except AppbedError as error:
        pytest.fail(f"{_named(error)}{error}", pytrace=False)


def _named(error: AppbedError) -> str:
    return f"{_INCONCLUSIVE}: " if type(error).__name__ == "Inconclusive" else ""


@contextlib.contextmanager
def _dropped_if_failed(labs: Labs, lab: Lab) -> Iterator[None]:
    try:
        yield
    except BaseException:
        labs.drop(lab)
        raise


def _files(item: pytest.Item) -> tuple[Path, ...]:
    """The topology's file and the overrides laid over it."""
    from appbed import places
    from appbed.errors import InputError

    mark = item.get_closest_marker("topology")
    if mark is None or not mark.args:
        known = ", ".join(places.topologies())
        raise InputError(
            f"{item.nodeid}: which topology?", remedy=f'mark it: @pytest.mark.topology("web"); known: {known}'
        )
    beside = [item.path.parent / str(name) for name in mark.args]
    return tuple(
        path if path.is_file() else places.topology_file(str(name))
        for path, name in zip(beside, mark.args, strict=True)
    )


# ---- reports


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test whose links were not as set is an error named INCONCLUSIVE, whatever it found; one that failed leaves a bundle."""
    report = yield
    bed = item.stash.get(_BED, None)
    if bed is None or call.when != "call" or report.skipped:
        return report
    if why := _inconclusive(item.config, bed, call, report):
        item.stash[_SPOILT] = True
        report.outcome = "failed"
        report.longrepr = f"{_INCONCLUSIVE}: {why}"
        report.user_properties.append(("testbed", _INCONCLUSIVE))
    if report.failed:
        report.sections.append(("testbed", _bundled(item, bed, report)))
    return report


def _inconclusive(config: pytest.Config, bed: Testbed, call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    from appbed.testbed import Inconclusive

    if call.excinfo and isinstance(call.excinfo.value, Inconclusive):
        return str(call.excinfo.value)
    when = config.getoption("--testbed-verify")
    if when == "never" or (when == "failed" and not report.failed):
        return ""
    try:
        return bed.unsound()
    except AppbedError as error:
        return f"its links could not be measured: {error}"


def _bundled(item: pytest.Item, bed: Testbed, report: pytest.TestReport) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", item.nodeid)[-100:].strip("-")
    folder = Path(item.config.getoption("--testbed-bundles")) / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{name}"
    try:
        bed.bundle(folder, report.longreprtext)
    except (AppbedError, OSError) as error:
        return f"{folder}: incomplete: {error}"
    return f"packets, ladder, logs and links of this test: {folder}"


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    if ("testbed", _INCONCLUSIVE) in getattr(report, "user_properties", ()) and report.when == "call":
        return "error", "I", _INCONCLUSIVE
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """A worker of pytest-xdist that was killed leaves its labs; others' are none of ours to remove."""
    if error:
        from appbed import leftovers
        from appbed.engine import docker

        with contextlib.suppress(
            AppbedError
        ):  # without an engine there was no lab; what will not go is for `appbed gc`
            engine = docker.DockerEngine()
            for leftover in leftovers.find(engine):
                if f"-{os.getpid()}-gw" in leftover.instance:
                    leftovers.remove(engine, leftover)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for name in config.stash[_KEPT]:
        terminalreporter.write_line(f"testbed: {name} is still up: appbed ps; appbed down --name {name}")
