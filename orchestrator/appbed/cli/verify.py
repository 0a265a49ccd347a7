"""verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from appbed.cli import offers
from appbed.cli.app import Json, Name, app, attached
from appbed.cli.show import coloured, out, print_json, spinner, table
from appbed.verdict import Outcome

if TYPE_CHECKING:  # it brings the analysis with it, which `--help` need not wait for
    from appbed.fidelity import Checked


@app.command(rich_help_panel="Links and packets")
def verify(
    attachment: Annotated[
        list[str] | None,
        typer.Argument(help="host or host@network; default: every one", autocompletion=offers.links),
    ] = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Measure links against what is set: delay, jitter, loss, rate and queue, with bounds that err once in 10 000 times."""
    from appbed.verify import attachments, full

    checked: list[Checked] = []
    absent: dict[str, str] = {}
    with attached(name) as lab, spinner("verify") as say:
        for measured in full(lab, attachments(lab, attachment or ()), say):
            checked += measured.checked
            absent |= measured.absent
    if as_json:
        print_json([_plain(one) for one in checked] + [{"attachment": at, "absent": why} for at, why in absent.items()])
    else:
        _show(checked)
        for at, why in absent.items():
            out.print(f"{at}: not measured, {why}")
    outcomes = {one.outcome for one in checked}
    raise typer.Exit(1 if Outcome.FAILED in outcomes else 4 if Outcome.INCONCLUSIVE in outcomes or absent else 0)


def _show(checked: Sequence[Checked]) -> None:
    rows = []
    for one in checked:
        for number, reading in enumerate(one.readings):
            named = (one.attachment, one.direction, one.cable) if not number else ("", "", "")
            verdict = coloured(reading.outcome.value)
            rows.append(
                (*named, reading.what, reading.set, reading.measured or reading.because, reading.allowed, verdict)
            )
    table("link", "direction", "by", "what", "set", "measured", "allowed", "verdict", rows=rows)
    outcomes = [reading.outcome for one in checked for reading in one.readings]
    wrong, untold = outcomes.count(Outcome.FAILED), outcomes.count(Outcome.INCONCLUSIVE)
    frames = sum(sample.sent for one in checked for sample in one.samples)
    said = [f"{wrong} not as set"] * bool(wrong) + [f"{untold} could not be told"] * bool(untold)
    out.print(f"{len(checked)} directions, {frames} frames: {', '.join(said) or 'as set'}")


def _plain(one: Checked) -> dict[str, object]:
    readings = [
        {
            "what": reading.what,
            "set": reading.set,
            "measured": reading.measured,
            "allowed": reading.allowed,
            "outcome": reading.outcome.value,
            "because": reading.because,
        }
        for reading in one.readings
    ]
    return {
        "attachment": one.attachment,
        "direction": one.direction,
        "cable": one.cable,
        "outcome": one.outcome.value,
        "frames": [sample.sent for sample in one.samples],
        "readings": readings,
    }
