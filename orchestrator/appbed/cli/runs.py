"""run, check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appbed import places
from appbed.cli import offers
from appbed.cli.app import Json, app, open_engine
from appbed.cli.lab import checked_links
from appbed.cli.show import coloured, out, print_json, spinner, table
from appbed.verdict import Outcome, Verdict

if TYPE_CHECKING:  # it brings the engine with it
    from appbed.runner import Ran

PANEL = "Scenarios"


@app.command(rich_help_panel=PANEL)
def run(
    what: Annotated[list[str], typer.Argument(help="scenario, group, claim, or all", autocompletion=offers.scenarios)],
    seed: Annotated[
        int | None,
        typer.Option(
            help="of every random number: by relay the same seed loses the same frames; netem draws numbers of its own"
        ),
    ] = None,
    links: Annotated[str, typer.Option(help="back-end of the links: auto, netem, relay")] = "auto",
    short: Annotated[bool, typer.Option("--short", help="fewer points in every sweep")] = False,
    as_json: Json = False,
) -> None:
    """Bring the topology up, act, judge, take it down: predictions beside measurements, evidence under runs/."""
    import secrets

    from appbed import runner, scenario

    chosen, back_end = scenario.select(what), checked_links(links)
    several = len(chosen) > 1
    number = secrets.randbelow(2**31) if seed is None else seed
    finished = []
    with spinner("run") as say:
        for ran in runner.run(chosen, open_engine(), places.runs(), seed=number, links=back_end, say=say, short=short):
            finished.append(ran)
            if not as_json and not (several and ran.verdict.outcome is Outcome.PASSED):
                _show_verdict(ran.name, ran.scenario.about, ran.verdict, ran.folder)
    if as_json:
        print_json([_run_json(ran) for ran in finished])
    elif several:
        _show_all(finished)
    raise typer.Exit(_exit_code(ran.verdict.outcome.value for ran in finished))


@app.command(rich_help_panel=PANEL)
def check(folder: Annotated[Path, typer.Argument(help="a run's folder, below runs/")], as_json: Json = False) -> None:
    """Judge a saved run again, from its evidence alone."""
    from appbed import runner

    verdict = runner.check(folder)
    if as_json:
        print_json(verdict.plain())
    else:
        _show_verdict(folder.name, "judged again", verdict, folder)
    raise typer.Exit(_exit_code([verdict.outcome.value]))


def _run_json(ran: Any) -> dict[str, Any]:
    plain = ran.verdict.plain()
    return {
        "scenario": ran.name,
        "claims": list(ran.scenario.claims),
        "outcome": plain["outcome"],
        "because": plain["because"],
        "predicted": {line["what"]: line["expected"] for line in plain["findings"]},
        "measured": {line["what"]: line["seen"] for line in plain["findings"]},
        "figures": plain["figures"],
        "evidence": str(ran.folder),
    }


def _show_all(finished: Sequence[Ran]) -> None:
    """One line a claim: the finding that tells most of each scenario."""
    rows = []
    for ran in sorted(finished, key=lambda ran: [_by_number(claim) for claim in ran.scenario.claims]):
        line, outcome = ran.verdict.headline, ran.verdict.outcome.value
        told = (line.what, line.expected, line.seen) if line else (ran.verdict.because, "", "")
        error = f"{line.error:+.1%}" if line and line.error is not None else ""
        rows.append((", ".join(ran.scenario.claims), ran.name, *told, error, coloured(outcome)))
    out.print()
    table("claim", "scenario", "nearest to the limit", "prediction", "measured", "error", "verdict", rows=rows)


def _by_number(claim: str) -> tuple[str, int]:
    return claim[:1], int(claim[1:]) if claim[1:].isdigit() else 0


def _show_verdict(name: str, about: str, verdict: Verdict, folder: Path) -> None:
    out.print(f"\n{name}: {about}", style="bold")
    rows = [(line.what, line.expected, line.seen, coloured(line.outcome.value)) for line in verdict.findings]
    table("step", "expected", "seen in packets", "verdict", rows=rows)
    for key, value in (verdict.figures or {}).items():
        out.print(f"  {key}: {value:.4g}")
    out.print(coloured(verdict.outcome.value), f"{verdict.because}", sep=": ")
    out.print(f"evidence: {folder}")


def _exit_code(outcomes: Iterable[str]) -> int:
    """0 passed, 1 a verdict failed, 4 inconclusive."""
    seen = set(outcomes)
    return 1 if "FAILED" in seen else 4 if "INCONCLUSIVE" in seen else 0
