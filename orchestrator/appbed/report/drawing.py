"""A topology as SVG: networks as bands with their hosts in them, routers beside them, links as set and as measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from appbed.report.links import Direction, Links

_ROUTER, _LANE, _BOX, _BOX_HEIGHT, _GAP, _COLUMNS = 104, 12, 112, 36, 8, 5
_HEAD, _LINE, _PAD, _BETWEEN = 22, 14, 8, 14
_BAND = _COLUMNS * (_BOX + _GAP) + _GAP
_CHARACTERS = int(_BAND / 5.3)
_MANY = 3  # hosts that are named before the rest is counted
_STYLE = "".join(
    f".topology {rule}"
    for rule in (
        "text{font:11px Helvetica,Arial,sans-serif;fill:#000}",
        ".name{font-weight:bold;text-anchor:middle}",
        ".address{text-anchor:middle;font-size:9.5px;fill:#555}",
        ".network{font-weight:bold}",
        ".link{font-size:10px;fill:#0a3069}",
        ".wrong{font-weight:bold;fill:#b3261e}",
        ".band{fill:#f3f5f7;stroke:#d0d7de}",
        ".host{fill:#fff;stroke:#57606a}",
        ".shaped{stroke:#0a58ca;stroke-width:2}",
        ".cable{stroke:#57606a;fill:none;stroke-width:1.3}",
    )
)


@dataclass(frozen=True, slots=True)
class _Band:
    """A network where it is drawn: its own hosts in rows, and a line for each kind of shaped link at it."""

    name: str
    subnet: str
    hosts: tuple[str, ...]
    notes: tuple[tuple[str, bool], ...]
    top: float

    @property
    def rows(self) -> int:
        return -(-len(self.hosts) // _COLUMNS)

    @property
    def height(self) -> float:
        return _HEAD + self.rows * (_BOX_HEIGHT + _GAP) + len(self.notes) * _LINE + _PAD


def svg(conditions: Mapping[str, Any], links: Links) -> str:
    """Raises what reading a malformed file raises."""
    networks = {str(name): str(subnet) for name, subnet in conditions["networks"].items()}
    addresses = {str(name): [str(each) for each in found] for name, found in conditions["hosts"].items()}
    joins: dict[str, list[str]] = defaultdict(list)
    for line in conditions["links"]:
        host, _, network = str(line["attachment"]).partition("@")
        joins[host].append(network)
    routers = {host: found for host, found in joins.items() if len(found) > 1}
    bands = _bands(networks, joins, routers, links)
    shaped = {each.host for each in links.directions if each.settings}
    width = _ROUTER + _LANE * (len(routers) + 1) + _BAND + 2
    height = max(bands[-1].top + bands[-1].height, len(routers) * (_BOX_HEIGHT + _GAP)) + 2 if bands else 2
    parts = [
        f'<svg class="topology" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" '
        f'height="{height:.0f}" role="img"><style>{_STYLE}</style>'
    ]
    left = width - _BAND - 1
    parts += [part for band in bands for part in _band(band, left, addresses, shaped)]
    parts += _routers(routers, {band.name: band for band in bands}, left, addresses, shaped)
    return "".join(parts) + "</svg>"


def _bands(
    networks: Mapping[str, str], joins: Mapping[str, Sequence[str]], routers: Mapping[str, Sequence[str]], links: Links
) -> list[_Band]:
    bands, top = list[_Band](), 1.0
    for name in _in_order(networks, routers):
        own = tuple(host for host, found in joins.items() if list(found) == [name])
        band = _Band(name, networks[name], own, _notes(each for each in links.told if each.network == name), top)
        bands.append(band)
        top += band.height + _BETWEEN
    return bands


def _in_order(networks: Iterable[str], routers: Mapping[str, Sequence[str]]) -> list[str]:
    """Neighbours beside each other: from the first network on, along the routers."""
    order: list[str] = []
    for first in networks:
        waiting = [first]
        while waiting:
            name = waiting.pop(0)
            if name not in order:
                order.append(name)
                waiting += [beside for found in routers.values() if name in found for beside in found]
    return [name for name in order if name in set(networks)]


def _notes(directions: Iterable[Direction]) -> tuple[tuple[str, bool], ...]:
    """A line for all hosts of a network whose links are set alike, and whether each was so."""
    alike: dict[tuple[str, str, bool], list[Direction]] = defaultdict(list)
    for each in directions:
        alike[each.direction, each.settings, each.sound].append(each)
    return tuple((_note(*key, found), key[2]) for key, found in alike.items())


def _note(direction: str, settings: str, sound: bool, found: Sequence[Direction]) -> str:
    hosts = [each.host for each in found]
    named = (
        ", ".join(hosts)
        if len(hosts) <= _MANY
        else f"{', '.join(hosts[: _MANY - 1])} and {len(hosts) - _MANY + 1} more"
    )
    arrow = "\N{UPWARDS ARROW}" if direction == "up" else "\N{DOWNWARDS ARROW}"
    measured = [", ".join(f"{row.what} {row.before}" for row in each.rows) for each in found[:1]]
    for row in found[0].rows:
        if row.before != row.after and not sound:
            measured.append(f"after: {row.what} {row.after}")
    more = " (the first)" if len(found) > 1 else ""
    return f"{arrow} {named}: {settings or 'plain'}; measured{more}: {'; '.join(measured)}"


def _band(band: _Band, left: float, addresses: Mapping[str, Sequence[str]], shaped: set[str]) -> list[str]:
    parts = [
        f'<rect class="band" x="{left}" y="{band.top}" width="{_BAND}" height="{band.height}" rx="5"/>',
        f'<text x="{left + _GAP}" y="{band.top + 15}"><tspan class="network">{_text(band.name)}</tspan> '
        f"{_text(band.subnet)}</text>",
    ]
    for at, host in enumerate(band.hosts):
        row, column = divmod(at, _COLUMNS)
        x = left + _GAP + column * (_BOX + _GAP)
        parts.append(_host(host, x, band.top + _HEAD + row * (_BOX_HEIGHT + _GAP), _BOX, addresses, host in shaped))
    y = band.top + _HEAD + band.rows * (_BOX_HEIGHT + _GAP) + 8
    for at, (note, sound) in enumerate(band.notes):
        parts.append(
            f'<text class="link{"" if sound else " wrong"}" x="{left + _GAP}" y="{y + at * _LINE}">'
            f"<title>{_text(note)}</title>{_text(_cut(note, _CHARACTERS))}</text>"
        )
    return parts


def _host(name: str, x: float, y: float, width: float, addresses: Mapping[str, Sequence[str]], shaped: bool) -> str:
    middle, found = x + width / 2, addresses.get(name, ())
    return (
        f"<g><title>{_text(name)}: {_text(', '.join(found))}</title>"
        f'<rect class="host{" shaped" if shaped else ""}" x="{x}" y="{y}" width="{width}" height="{_BOX_HEIGHT}" rx="4"/>'
        f'<text class="name" x="{middle}" y="{y + 15}">{_text(_cut(name, int(width / 7.5)))}</text>'
        f'<text class="address" x="{middle}" y="{y + 29}">{_text(found[0] if found else "")}</text></g>'
    )


def _routers(
    routers: Mapping[str, Sequence[str]],
    bands: Mapping[str, _Band],
    left: float,
    addresses: Mapping[str, Sequence[str]],
    shaped: set[str],
) -> list[str]:
    """Beside the networks they join, as near to their middle as the one above leaves room for; each has a lane for its cables."""
    parts, free = list[str](), 1.0
    joined = {host: [bands[name] for name in found if name in bands] for host, found in routers.items()}
    middles = {host: sum(b.top + _HEAD / 2 for b in found) / len(found) for host, found in joined.items() if found}
    for lane, (host, middle) in enumerate(sorted(middles.items(), key=lambda item: item[1])):
        y = max(free, middle - _BOX_HEIGHT / 2)
        free = y + _BOX_HEIGHT + _GAP
        x, side = _ROUTER + _LANE * (lane + 1), y + _BOX_HEIGHT / 2
        for at, band in enumerate(joined[host]):
            end = band.top + 6 + 3 * lane % (band.height - 12)
            parts.append(f'<path class="cable" d="M{_ROUTER},{side + 3 * at - 3}H{x}V{end:.1f}H{left}"/>')
        parts.append(_host(host, 1, y, _ROUTER - 1, addresses, host in shaped))
    return parts


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _text(words: str) -> str:
    """Safe in XML, which allows no control characters."""
    return escape("".join(char if char.isprintable() else "?" for char in words))
