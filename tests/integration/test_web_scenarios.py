"""The scenarios of the web, for real: as they are, and in a world that is not as predicted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appbed import models, scenario
from appbed.engine.docker import DockerEngine
from appbed.lab import Lab
from appbed.scenarios.web_parts import loading
from appbed.scenarios.web_parts.loading import ACCESS, Mode
from appbed.scenarios.web_parts.site import HOME, REPLICAS
from appbed.verdict import Outcome

from .behind import hidden
from .short_forms import all_pass, disturbed, group, outcomes, verdicts

pytestmark = [pytest.mark.docker, pytest.mark.scenarios, pytest.mark.timeout(480)]
WEB = group("web")
TIMED = {"web.nonpersistent", "web.parallel", "web.persistent", "web.pipelined"}
ABOUT_CACHES = {"web.cache", "web.conditional"}
OTHERS = {"web.page", "web.stateless", "web.statuses"}


def test_every_claim_of_the_web_passes_in_its_short_form(tmp_path: Path) -> None:
    all_pass("web", tmp_path)


def test_without_keep_alive_at_the_server_exactly_the_claims_about_persistent_connections_fail(
    engine: DockerEngine, tmp_path: Path
) -> None:
    without = '  www-{}: {{environment: {{KEEPALIVE_TIMEOUT: "0"}}}}\n'
    override = "services:\n" + "".join(without.format(number) for number in (1, 2, 3))
    chosen = [name for name in WEB if name != "web.cookies"]  # the shop is another server
    found = outcomes(engine, tmp_path, chosen, override)
    # The institution's cache then opens a connection for each miss, a round trip the prediction does not have.
    dependent = {"web.persistent", "web.pipelined", "web.idle", "web.institution"}
    assert {name for name, outcome in found.items() if outcome is not Outcome.PASSED} == dependent, found


def test_without_a_cache_exactly_the_claims_about_it_fail(engine: DockerEngine, tmp_path: Path) -> None:
    chosen = ["web.cache", "web.conditional", "web.page", "web.stateless"]
    found = outcomes(engine, tmp_path, chosen, 'services:\n  proxy: {environment: {CACHE: "off"}}\n')
    assert {name for name, outcome in found.items() if outcome is Outcome.FAILED} == {"web.cache", "web.conditional"}
    assert found["web.page"] is found["web.stateless"] is Outcome.PASSED


def test_a_cache_that_never_revalidates_fails_exactly_the_claim_that_it_does(
    engine: DockerEngine, tmp_path: Path
) -> None:
    override = 'services:\n  proxy: {environment: {REVALIDATE: "off"}}\n'
    found = outcomes(engine, tmp_path, sorted(ABOUT_CACHES | OTHERS), override)
    assert {name for name, outcome in found.items() if outcome is Outcome.FAILED} == {"web.conditional"}
    assert {outcome for name, outcome in found.items() if name != "web.conditional"} == {Outcome.PASSED}, found


def test_a_client_that_goes_past_the_proxy_fails_exactly_the_claims_about_caches(
    engine: DockerEngine, tmp_path: Path
) -> None:
    override = 'services:\n  client: {environment: {NO_PROXY: "*"}}\n'
    found = outcomes(engine, tmp_path, sorted(ABOUT_CACHES | OTHERS), override)
    assert {name for name, outcome in found.items() if outcome is Outcome.FAILED} == ABOUT_CACHES
    assert {found[name] for name in OTHERS} == {Outcome.PASSED}, found


def test_a_server_that_waits_before_each_answer_fails_exactly_the_claims_about_page_times(
    engine: DockerEngine, tmp_path: Path
) -> None:
    """Of the servers, not of the links: those are as set, and it is FAILED."""
    waiting = '  www-{}: {{environment: {{ANSWER_DELAY_MS: "30"}}}}\n'
    override = "services:\n" + "".join(waiting.format(number) for number in (1, 2, 3))
    known = scenario.discover()
    found = verdicts(engine, tmp_path, {name: known[name] for name in sorted(TIMED | ABOUT_CACHES | OTHERS)}, override)
    assert {name for name, verdict in found.items() if verdict.outcome is Outcome.FAILED} == TIMED, found
    assert all("page time: expected" in found[name].because for name in TIMED), found
    assert {found[name].outcome for name in ABOUT_CACHES | OTHERS} == {Outcome.PASSED}, found


# ---- a lab that changes while it is looked at


@contextmanager
def standing_still(lab: Lab) -> Iterator[None]:
    """Kernels still shake hands; no server answers."""
    with ExitStack() as until_the_end:
        for replica in REPLICAS:
            until_the_end.enter_context(lab.faults.pause(replica))
        yield


@contextmanager
def refusing(lab: Lab) -> Iterator[None]:
    """The proxy no longer listens where its clients look for it."""
    move = (
        "sed -i 's/^http_port .*/http_port {}/' /run/squid/squid.conf && kill -HUP $(cat /run/squid/pid) && "
        "for look in $(seq 500); do (exec 3<>/dev/tcp/127.0.0.1/{}) 2>/dev/null && exit 0; sleep 0.01; done; exit 1"
    )
    lab.exec("proxy", "bash", "-c", move.format(3129, 3129))
    try:
        yield
    finally:
        lab.exec("proxy", "bash", "-c", move.format(3128, 3128))


@pytest.mark.root
def test_what_goes_wrong_on_the_way_is_told_by_its_cause_and_the_other_scenarios_go_on(
    engine: DockerEngine, tmp_path: Path
) -> None:
    known = scenario.discover()
    impatient = Mode(
        HOME, ("--mode", "persistent", "--deadline", "3"), models.persistent_page_s, opens=lambda objects: 1
    )
    thirty = {way: {"delay": f"{delay}ms", "rate": "10mbit"} for way, delay in (("up", 80), ("down", 50))}
    chosen = {
        **{name: disturbed(known[name], lambda lab: hidden(lab, ACCESS, thirty)) for name in sorted(TIMED | OTHERS)},
        "proxy down": replace(disturbed(known["web.cache"], refusing), claims=()),
        "no answer": disturbed(loading.scenario("x", "W4", impatient), standing_still),
        "web.cache": known["web.cache"],
    }
    found = verdicts(engine, tmp_path, chosen, "services: {}\n")
    for name in TIMED:
        assert found[name].outcome is Outcome.INCONCLUSIVE, found[name].because
        assert "the links were set for 100.1 ms and handshakes took " in found[name].because
    assert {found[name].outcome for name in OTHERS | {"web.cache"}} == {Outcome.PASSED}
    assert found["proxy down"].outcome is found["no answer"].outcome is Outcome.FAILED
    assert "exit status 7: curl: (7) Failed to connect to" in found["proxy down"].because
    assert "no answer: not complete before the deadline" in found["no answer"].because
