"""A ladder for the terminal: one line a message, plain characters."""

from __future__ import annotations

from appbed.analysis.ladder import Arrow, Ladder

_TIME_WIDTH = 13
_MARGIN = 30
_MIN_COLUMN, _MAX_COLUMN = 12, 40


def text(ladder: Ladder, width: int = 120) -> str:
    """The diagram as lines of at most `width` characters (more where the hosts need it).

    Times are in milliseconds from the first message. Beside the arrows stand the round trips they close and the labels
    too long for them.
    """
    if not ladder.arrows:
        return "\n".join(["no messages of these protocols", *ladder.notes]) + "\n"
    gaps = max(len(ladder.hosts) - 1, 1)
    step = min(max((width - _TIME_WIDTH - 5 - _MARGIN) // gaps, _MIN_COLUMN), _MAX_COLUMN)
    places = [_TIME_WIDTH + 5 + column * step for column in range(len(ladder.hosts))]
    lines = [_header(ladder.hosts, places, step)]
    lines += [_line(arrow, places, max(width, places[-1] + _MARGIN)) for arrow in ladder.arrows]
    if ladder.left_out:
        lines.append(f"... and {ladder.left_out} more messages")
    return "\n".join([*lines, *ladder.notes]) + "\n"


def _header(hosts: tuple[str, ...], places: list[int], step: int) -> str:
    line = [" "] * (places[-1] + step)
    line[9:11] = "ms"
    for host, place in zip(hosts, places, strict=True):
        shown = _printable(host[: step - 1])
        start = max(place - len(shown) // 2, 0)
        line[start : start + len(shown)] = shown
    return "".join(line).rstrip()


def _line(arrow: Arrow, places: list[int], width: int) -> str:
    line = [" "] * (places[-1] + 1)
    for place in places:
        line[place] = "|"
    line[:11] = f"{arrow.sent_s * 1000:11.3f}"[-11:]
    left, right = sorted((places[arrow.source], places[arrow.destination]))
    label = f" {_printable(arrow.label)} "
    aside = "" if arrow.round_trip_s is None else f"{arrow.round_trip_s * 1000:.1f} ms  "
    if left < right:
        line[left + 1 : right] = "-" * (right - left - 1)
        head = (right - 1, ">") if arrow.source < arrow.destination else (left + 1, "<")
        line[head[0]] = head[1]
    if len(label) <= right - left - 7:
        start = left + 1 + (right - left - 1 - len(label)) // 2
        line[start : start + len(label)] = label
    else:
        itself = "(to itself) " if left == right else ""
        aside += itself + label.strip()
    room = width - len(line) - 2
    aside = aside.rstrip()
    shown = aside if len(aside) <= room else aside[: room - 2] + ".."
    return "".join(line) + (f"  {shown}" if shown else "")


def _printable(label: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in label)
