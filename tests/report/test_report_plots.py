"""Plots show what was measured where it was measured, and are safe in a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from appbed.report import plots
from appbed.report.curves import Dot, Plot
from appbed.verdict import Outcome

pytestmark = pytest.mark.thorough  # each draws plots

SVG = "{http://www.w3.org/2000/svg}"
NASTY = "$x^2$ </text><script>alert(1)</script>\x07\ud800"


def dot(x: float | None, measured: float, outcome: Outcome = Outcome.PASSED, **more: tuple[float, float]) -> Dot:
    return Dot(f"x {x}", x, 10.0, measured, outcome, more.get("allowed"), more.get("spread"))


def drawn(*dots: Dot, axis: str = "x, ms") -> str:
    return plots.svg(Plot("time", "ms", axis, {"": dots}), "salt")


def marks(svg: str, colour: str) -> list[tuple[float, float]]:
    """Where marks of a colour stand, that of the legend last."""
    uses = ElementTree.fromstring(svg).iter(f"{SVG}use")
    found = [use for use in uses if f"fill: {colour}" in use.attrib.get("style", "")]
    return [(float(use.attrib["x"]), float(use.attrib["y"])) for use in found]


def test_a_point_measured_higher_stands_higher() -> None:
    low, middle, high, _ = marks(drawn(dot(1, 5), dot(2, 10), dot(3, 20)), "#1a7f37")
    assert low[0] < middle[0] < high[0]
    assert low[1] > middle[1] > high[1]
    assert middle[1] - high[1] == pytest.approx(2 * (low[1] - middle[1]), rel=1e-6)


def test_a_verdict_has_its_own_mark_and_is_named() -> None:
    svg = drawn(dot(1, 5), dot(2, 30, Outcome.FAILED))
    assert "measured: PASSED" in svg
    assert "measured: FAILED" in svg
    assert marks(svg, "#b3261e")


@pytest.mark.parametrize("axis", ["x, ms", ""])
def test_repeated_measurements_are_bars_and_what_is_allowed_a_band(axis: str) -> None:
    plain = drawn(dot(1, 5), dot(2, 9), axis=axis)
    assert "allowed" not in plain
    barred = drawn(dot(1, 5, spread=(5, 9)), dot(2, 9, spread=(8, 9)), axis=axis)
    assert barred.count("<use") > plain.count("<use")  # caps of the bars
    assert "allowed" in drawn(dot(1, 5, allowed=(4, 6)), dot(2, 9, allowed=(8, 12)), axis=axis)


def test_plots_begin_at_zero() -> None:
    labels = re.findall(r">(\d+)</text>", drawn(dot(1, 100), dot(2, 101)))
    assert "0" in labels


@pytest.mark.parametrize("axis", [NASTY, ""])
def test_names_cannot_break_out_of_a_plot(axis: str) -> None:
    svg = plots.svg(
        Plot(NASTY, "", axis, {NASTY: (Dot(NASTY, 1, 1, 1, Outcome.PASSED), Dot("b", 2, 1, 1, Outcome.PASSED))}), "s"
    )
    root = ElementTree.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert "$x^2$" in "".join(root.itertext()), "a dollar sign is shown as one"
    svg.encode()


def test_plots_of_a_page_share_no_ids_and_no_style() -> None:
    one, other = (plots.svg(Plot("t", "", "x", {"": (dot(1, 2), dot(2, 3))}), salt) for salt in "ab")
    ids = [set(re.findall(r'\bid="([^"]*)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert "<style" not in one


def test_the_same_plot_is_the_same_bytes() -> None:
    assert drawn(dot(1, 5), dot(2, 9)) == drawn(dot(1, 5), dot(2, 9))


def test_errors_of_many_runs_are_rows_around_zero() -> None:
    svg = plots.errors_svg(
        [("W2  a", [(0.05, Outcome.PASSED), (-0.05, Outcome.PASSED)]), ("W3  b", [(0.0, Outcome.FAILED)])], "s"
    )
    (right, y1), (left, y2) = marks(svg, "#1a7f37")
    ((middle, y3),) = marks(svg, "#b3261e")
    assert y1 == y2 < y3
    assert right - middle == pytest.approx(middle - left)
