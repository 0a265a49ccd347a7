"""What a link does to frames in one direction, and in both: pure values, in tc's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from appbed import units
from appbed.errors import TopologyError, UnitError

DIRECTIONS = ("up", "down")
DEFAULT_QUEUE = units.Queue(packets=100)  # 121 ms of full frames at 10 Mbit/s: a queue, not a warehouse


@dataclass(frozen=True, slots=True)
class Burst:
    """Gilbert-Elliott loss, parameters as tc-netem's `gemodel`, all in percent.

    `p_pct` good to bad and `r_pct` bad to good per packet; loss in bad `bad_loss_pct` (tc: 1-h), in good `good_loss_pct` (1-k).
    """

    p_pct: float
    r_pct: float
    bad_loss_pct: float = 100.0
    good_loss_pct: float = 0.0

    @property
    def mean_pct(self) -> float:
        """Long-run share of packets lost, percent."""
        if self.p_pct + self.r_pct == 0:
            return self.good_loss_pct
        bad = self.p_pct / (self.p_pct + self.r_pct)
        return bad * self.bad_loss_pct + (1 - bad) * self.good_loss_pct

    def __str__(self) -> str:
        return "gemodel " + " ".join(
            units.format_pct(x) for x in (self.p_pct, self.r_pct, self.bad_loss_pct, self.good_loss_pct)
        )


@dataclass(frozen=True, slots=True)
class Impairment:
    """One direction of a cable. Times in ms, shares in percent, rate in bit/s of layer-2 bytes; the default is a clean cable."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    distribution: Literal["uniform", "normal"] = "uniform"
    loss_pct: float = 0.0
    burst: Burst | None = None
    duplicate_pct: float = 0.0
    reorder_pct: float = 0.0
    corrupt_pct: float = 0.0
    rate_bit: float | None = None
    queue: units.Queue = DEFAULT_QUEUE
    state: Literal["up", "down"] = "up"
    seed: int | None = None

    @property
    def clean(self) -> bool:
        """Nothing to do: frames pass as on a plain bridge port."""
        return replace(self, seed=None, queue=DEFAULT_QUEUE, distribution="uniform") == CLEAN

    def settings(self) -> dict[str, str | int]:
        """As written in `x-link`, only what differs from a clean cable; `parse` reads it back."""
        said: dict[str, str | int] = {}
        for key, text in (
            ("delay", units.format_ms(self.delay_ms) if self.delay_ms else None),
            ("jitter", units.format_ms(self.jitter_ms) if self.jitter_ms else None),
            ("distribution", self.distribution if self.distribution != "uniform" else None),
            ("loss", str(self.burst) if self.burst else units.format_pct(self.loss_pct) if self.loss_pct else None),
            ("duplicate", units.format_pct(self.duplicate_pct) if self.duplicate_pct else None),
            ("reorder", units.format_pct(self.reorder_pct) if self.reorder_pct else None),
            ("corrupt", units.format_pct(self.corrupt_pct) if self.corrupt_pct else None),
            ("rate", units.format_rate(self.rate_bit) if self.rate_bit else None),
            ("queue", str(self.queue) if self.queue != DEFAULT_QUEUE else None),
            ("state", self.state if self.state != "up" else None),
        ):
            if text is not None:
                said[key] = text
        if self.seed is not None:
            said["seed"] = self.seed
        return said

    def __str__(self) -> str:
        return " ".join(f"{key} {value}" for key, value in self.settings().items()) or "clean"


CLEAN = Impairment()


@dataclass(frozen=True, slots=True)
class Link:
    """Both directions of one attachment: `up` leaves the host, `down` reaches it."""

    up: Impairment = CLEAN
    down: Impairment = CLEAN

    @property
    def clean(self) -> bool:
        return self.up.clean and self.down.clean

    def settings(self) -> dict[str, dict[str, str | int]]:
        return {"up": self.up.settings(), "down": self.down.settings()}

    def __str__(self) -> str:
        return str(self.up) if self.up == self.down else f"up {self.up}, down {self.down}"


_PARSERS: dict[str, Any] = {
    "delay": ("delay_ms", units.duration_ms),
    "jitter": ("jitter_ms", units.duration_ms),
    "duplicate": ("duplicate_pct", units.share_pct),
    "reorder": ("reorder_pct", units.share_pct),
    "corrupt": ("corrupt_pct", units.share_pct),
    "rate": ("rate_bit", units.rate_bit),
    "queue": ("queue", units.queue),
}
SETTINGS = (
    "delay",
    "jitter",
    "distribution",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "rate",
    "queue",
    "state",
    "seed",
)


def parse(settings: Mapping[str, object], place: str) -> Impairment:
    """One direction from `x-link` settings; `place` ("file: path") begins every error."""
    values: dict[str, Any] = {}
    for key, text in settings.items():
        try:
            if key in _PARSERS:
                field, read = _PARSERS[key]
                values[field] = read(text)
            elif key == "loss":
                values.update(_loss(text))
            elif key == "seed":
                values["seed"] = _seed(text)
            elif key in ("distribution", "state"):
                values[key] = _choice(text, ("uniform", "normal") if key == "distribution" else ("up", "down"))
            else:
                raise TopologyError(f"{place}.{key}", "unknown setting", choices=SETTINGS)
        except UnitError as error:
            raise TopologyError(f"{place}.{key}", error.message, remedy=error.remedy) from None
    impairment = Impairment(**values)
    _sensible(impairment, place)
    return impairment


def resolve(place: str, *blocks: Mapping[str, object]) -> Link:
    """The link that several `x-link` blocks give, later ones overriding earlier ones (network, then attachment).

    Within a block the keys `up` and `down` override what the block says for both.
    """
    return Link(*(parse(_direction(direction, blocks, place), place) for direction in DIRECTIONS))


def _direction(direction: str, blocks: Iterable[Mapping[str, object]], place: str) -> dict[str, object]:
    merged: dict[str, object] = {}
    for block in blocks:
        merged.update({key: value for key, value in block.items() if key not in DIRECTIONS})
        own = block.get(direction) or {}
        if not isinstance(own, Mapping):
            raise TopologyError(
                f"{place}.{direction}",
                f"{own!r} is no setting",
                remedy=f"write {direction}.delay=5ms, or {direction}: {{delay: 5ms}}",
            )
        merged.update(own)
    return merged


def change(link: Link, changes: Mapping[str, object], place: str) -> Link:
    """`link` with the settings in `changes` (an `x-link` block) replaced, the others kept."""
    return resolve(place, {"up": link.up.settings(), "down": link.down.settings()}, changes)


def _loss(text: object) -> dict[str, Any]:
    words = str(text).split()
    if words and words[0].lower() == "gemodel":
        if not 3 <= len(words) <= 5:
            raise UnitError(
                f"{text!r}: gemodel takes 2 to 4 shares",
                remedy="write gemodel P R [1-H [1-K]], for example gemodel 1% 10%",
            )
        return {"burst": Burst(*(units.share_pct(word) for word in words[1:])), "loss_pct": 0.0}
    return {"loss_pct": units.share_pct(text), "burst": None}


def _seed(text: object) -> int:
    return units.whole(text, "seed")


def _choice(text: object, known: tuple[str, ...]) -> str:
    # YAML 1.1 reads a bare `up` as text but `on`/`off` as booleans: only the words count.
    if text not in known:
        raise UnitError(f"{text!r} is unknown", remedy=f"choose one of {', '.join(known)}")
    return str(text)


def _sensible(it: Impairment, place: str) -> None:
    """Combinations that mean nothing are refused with the reason."""
    if it.jitter_ms > it.delay_ms:
        raise TopologyError(
            f"{place}.jitter",
            f"{units.format_ms(it.jitter_ms)} is more than the delay of {units.format_ms(it.delay_ms)}",
            remedy="no frame can arrive before it was sent: raise the delay or lower the jitter",
        )
    if it.reorder_pct and not it.delay_ms:
        raise TopologyError(
            f"{place}.reorder", "reordering needs a delay: reordered frames are those that skip it", remedy="set delay"
        )
    if it.queue != DEFAULT_QUEUE and it.rate_bit is None:
        raise TopologyError(f"{place}.queue", "a queue forms only before a rate", remedy="set rate")
    if it.queue.ms is not None and it.rate_bit is not None and it.queue.ms * it.rate_bit / 8000 < 1514:
        raise TopologyError(
            f"{place}.queue",
            f"{it.queue} at {units.format_rate(it.rate_bit)} holds less than one full frame",
            remedy="write a longer time or a number of packets",
        )
