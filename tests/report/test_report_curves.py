"""Which findings are a plot, over which axis, in which unit."""

from __future__ import annotations

import math

import pytest

from appbed.report.curves import Plot, plots
from appbed.verdict import Finding, Outcome, timed


def times(**seconds: float) -> list[Finding]:
    return [
        timed(f"{point}: page time", at, at * 1.01, 0.02, 0.0, [at * 1.01, at * 1.1]) for point, at in seconds.items()
    ]


def places(plot: Plot) -> dict[str, list[float | None]]:
    return {label: [dot.x for dot in dots] for label, dots in plot.series.items()}


def test_a_sweep_is_a_curve_over_the_number_in_its_names() -> None:
    (plot,) = plots(times(**{"RTT 100 ms": 0.7, "RTT 20 ms": 0.2, "RTT 200 ms": 1.4}))
    assert (plot.quantity, plot.axis, plot.unit) == ("page time", "RTT, ms", "ms")
    assert places(plot) == {"": [20.0, 100.0, 200.0]}
    first = plot.series[""][0]
    assert (first.predicted, first.measured) == (200.0, pytest.approx(202))
    assert first.allowed == (pytest.approx(180), pytest.approx(220))
    assert first.spread == (pytest.approx(202), pytest.approx(220))


def test_what_a_name_has_besides_its_number_is_a_series_of_its_own() -> None:
    (plot,) = plots(times(**{"N = 1": 1, "N = 4": 4, "N = 1, peers": 1, "N = 4, peers": 1.5}))
    assert plot.axis == "N"
    assert places(plot) == {"": [1, 4], "peers": [1, 4]}


def test_of_several_numbers_the_one_that_varies_is_the_axis() -> None:
    found = plots(times(**{"RTT 20 ms": 1, "RTT 100 ms": 2, "RTT 100 ms, 2 objects": 1, "RTT 100 ms, 5 objects": 2}))
    assert [(plot.axis, places(plot)) for plot in found] == [
        ("RTT, ms", {"": [20, 100]}),
        ("RTT 100 ms, objects", {"": [2, 5]}),
    ]


def test_points_without_a_number_stand_one_below_the_other() -> None:
    (plot,) = plots(times(idle=1, crowded=2))
    assert plot.axis == ""
    assert [dot.name for dot in plot.series[""]] == ["idle", "crowded"]


def test_points_beside_a_curve_are_not_lost() -> None:
    curve, rows = plots(times(**{"s/R 1": 1, "s/R 2": 2, "bad link": 3, "good link": 1}))
    assert places(curve) == {"": [1, 2]}
    assert [dot.name for dot in rows.series[""]] == ["bad link", "good link"]


def test_every_quantity_has_its_own_plot() -> None:
    shares = [Finding(f"s/R {s}: lost", f"{s:.2%}", f"{s:.2%}", Outcome.PASSED, "", s, s) for s in (0.25, 0.5)]
    found = plots([*times(**{"s/R 1": 1, "s/R 2": 2}), *shares])
    assert [(plot.quantity, plot.unit) for plot in found] == [("page time", "ms"), ("lost", "%")]
    assert [dot.predicted for dot in found[1].series[""]] == [25.0, 50.0]


def test_numbers_of_no_known_unit_stay_as_they_are() -> None:
    lines = [Finding(f"N = {n}: copies", f"{n} or so", "1", Outcome.PASSED, "", float(n), float(n)) for n in (1, 2)]
    (plot,) = plots(lines)
    assert (plot.unit, [dot.measured for dot in plot.series[""]]) == ("", [1.0, 2.0])


def test_a_unit_that_does_not_fit_the_numbers_is_not_believed() -> None:
    lines = [Finding(f"N = {n}: x", "7 ms", "", Outcome.PASSED, "", float(n), float(n)) for n in (1, 2)]
    (plot,) = plots(lines)
    assert (plot.unit, plot.series[""][1].predicted) == ("", 2.0)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_drawn(number: float) -> None:
    good = times(**{"N = 1": 1, "N = 2": 2})
    bad = [
        Finding("N = 3: page time", "", "", Outcome.FAILED, "", number, 1.0),
        Finding("N = 4: page time", "", "", Outcome.FAILED, "", 1.0, number),
    ]
    (plot,) = plots([*good, *bad])
    assert places(plot) == {"": [1, 2]}


def test_one_point_and_words_are_no_plot() -> None:
    assert plots([*times(**{"RTT 20 ms": 1}), Finding("names", "a", "a", Outcome.PASSED)]) == []
