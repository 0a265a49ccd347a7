"""Links as set and as measured: in a table and in the drawing of the topology."""

from __future__ import annotations

import ipaddress
import json
import os
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from appbed import places, topology
from appbed.report import drawing
from appbed.report.links import Links, links

SVG = "{http://www.w3.org/2000/svg}"
ACCESS = "gateway@access"


@pytest.fixture
def conditions(judged: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((judged / "web.page" / "conditions.json").read_text())
    return found


def delayed(conditions: dict[str, Any], attachment: str, by_ms: float) -> dict[str, Any]:
    """As if that link's frames had taken longer when they were measured before the run."""
    for one in conditions["measured"]["before"]["links"]:
        if one["attachment"] == attachment:
            for sample in one["samples"]:
                sample["delays_ms"] = [each + by_ms for each in sample["delays_ms"]]
    return conditions


def test_a_shaped_link_is_told_setting_by_setting_before_and_after(conditions: dict[str, Any]) -> None:
    found = links(conditions, {})
    assert [(each.attachment, each.direction) for each in found.told] == [(ACCESS, "up"), (ACCESS, "down")]
    delay = next(row for row in found.told[0].rows if row.what == "delay")
    assert (delay.set, delay.outcome) == ("15.05 ms", "PASSED")
    for measured in (delay.before, delay.after):
        assert 15 < float(measured.removesuffix(" ms")) < 16.5
    assert found.plain == len(found.directions) - 2
    assert found.measured


@pytest.mark.parametrize("attachment", [ACCESS, "client@campus"])
def test_a_link_that_was_not_as_set_is_told_shaped_or_not(conditions: dict[str, Any], attachment: str) -> None:
    found = links(delayed(conditions, attachment, 20), {})
    wrong = [each for each in found.told if not each.sound]
    assert [(each.attachment, each.direction) for each in wrong] == [(attachment, "up"), (attachment, "down")]
    assert "FAILED" in {row.outcome for row in wrong[0].rows}
    assert ElementTree.fromstring(drawing.svg(conditions, found)).findall(f".//{SVG}text[@class='link wrong']")


def test_runs_of_before_there_were_measurements_show_what_was_set(conditions: dict[str, Any]) -> None:
    del conditions["measured"]
    found = links(conditions, {})
    assert not found.measured
    assert found.told[0].sound, "nobody says that it was not"
    assert [(row.what, row.set, row.before) for row in found.told[0].rows] == [
        ("delay", "15ms", "not measured"),
        ("rate", "10mbit", "not measured"),
    ]


def test_what_could_not_be_measured_and_what_a_sweep_sets_is_told(conditions: dict[str, Any]) -> None:
    conditions["measured"]["after"]["absent"] = {"client@campus": "its host is not running"}
    sweep = {"RTT 20 ms": {"set": {ACCESS: {"delay": "10ms", "down": {"rate": "1mbit"}}}}, "idle": {"set": {}}}
    found = links(conditions, {"under": {"sweep": sweep}})
    assert found.absent == {"client@campus, after": "its host is not running"}
    assert found.points == {"RTT 20 ms": f"{ACCESS}: delay 10ms, down (rate 1mbit)", "idle": "as above"}


def test_the_drawing_has_every_host_and_network_and_says_what_is_set(conditions: dict[str, Any]) -> None:
    root = ElementTree.fromstring(drawing.svg(conditions, links(conditions, {})))
    shown = {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    assert set(conditions["hosts"]) <= shown
    assert {f"{name} {subnet}" for name, subnet in conditions["networks"].items()} <= shown
    (up,) = [
        text for text in shown if text.startswith("\N{UPWARDS ARROW} gateway: delay 15ms, rate 10mbit; measured: ")
    ]
    assert "rate 10mbit" in up.partition("measured")[2]


def _of(name: str) -> dict[str, Any]:
    """The conditions of a run on a shipped topology, as far as a drawing needs them."""
    shape = topology.load(places.topology_file(name), os.environ)
    lines = [
        {"attachment": str(at), "set": {"up": {}, "down": {"delay": "1ms"}}, "cable": ""} for at in shape.attachments()
    ]
    return {
        "networks": {network.name: str(network.subnet) for network in shape.networks.values()},
        "hosts": {host.name: [str(address) for address in host.addresses] for host in shape.hosts.values()},
        "links": lines,
    }


@pytest.mark.parametrize("name", sorted(places.topologies()))
def test_boxes_of_every_shipped_topology_lie_in_the_picture_and_not_on_each_other(name: str) -> None:
    conditions = _of(name)
    root = ElementTree.fromstring(drawing.svg(conditions, links(conditions, {})))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for kind in ("host", "band"):
        boxes = [_box(rect) for rect in root.iter(f"{SVG}rect") if rect.attrib["class"].split()[0] == kind]
        assert len(boxes) == len(conditions["hosts" if kind == "host" else "networks"])
        assert all(min(x, y) >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
        for (x, y, w, h), (left, top, wide, high) in combinations(boxes, 2):
            apart = left >= x + w or x >= left + wide or top >= y + h or y >= top + high
            assert apart, f"{kind} on {kind}"


def _box(rect: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
    return x, y, width, height


def test_many_hosts_set_alike_are_one_line() -> None:
    names = [f"peer-{number}" for number in range(1, 31)]
    conditions = {
        "networks": {"homes": "10.77.0.0/24"},
        "hosts": {name: [str(ipaddress.ip_address("10.77.0.1") + at)] for at, name in enumerate(names)},
        "links": [{"attachment": f"{name}@homes", "set": {"up": {"rate": "1mbit"}, "down": {}}} for name in names],
    }
    root = ElementTree.fromstring(drawing.svg(conditions, links(conditions, {})))
    (line,) = root.findall(f".//{SVG}text[@class='link']")
    assert "peer-1, peer-2 and 28 more: rate 1mbit" in "".join(line.itertext())


def test_a_run_without_links_is_an_empty_picture() -> None:
    empty: dict[str, Any] = {"networks": {}, "hosts": {}, "links": []}
    ElementTree.fromstring(drawing.svg(empty, Links((), {}, {})))
    assert links(empty, {}).directions == ()
