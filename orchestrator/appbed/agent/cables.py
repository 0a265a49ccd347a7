"""The seam between the agent and whatever impairs links: netem or relay, one meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from appbed.impairment import Link


@dataclass(frozen=True, slots=True)
class Port:
    """Where a cable is: the engine's side of one host's veth, and the bridge of its network."""

    attachment: str
    name: str  # of the device the back-end makes, at most 15 characters
    veth: int
    veth_name: str
    bridge: int


class Cables(Protocol):
    """Impairs links at ports. An OSError means that nothing was applied to the port named."""

    kind: str
    unused: tuple[str, ...]  # settings that this back-end has no use for

    def plug(self, port: Port, link: Link) -> None: ...

    def clean(self, port: Port) -> None:
        """Takes away what an agent that was killed left at a port that is to have no cable."""

    def set(self, links: Mapping[str, Link]) -> None:
        """New settings for plugged ports, by device name, frames inside keep their times."""

    def unplug(self, port: Port, *, gone: bool) -> None:
        """Back to a plain bridge port; `gone` when the host's interface no longer exists."""

    def leave(self) -> None:
        """At the agent's orderly end: takes away what would stay on the machine. A link that had a cable is cut then."""

    def counters(self) -> Mapping[str, Any]:
        """By device name and direction: frames in, out, and dropped by cause."""
