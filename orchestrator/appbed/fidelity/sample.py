"""What became of the frames sent through one direction of a cable, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from appbed.fidelity.plan import Series
from appbed.impairment import Impairment

_UNSURE_US = 200.0  # a frame whose sending took longer was interrupted: when it set out is not known
_FEWEST_IN_TRAIN = 6


@dataclass(frozen=True, slots=True)
class Train:
    """Frames sent back to back: how many arrived, and how long one took after the other (None: nobody can say).

    `early_ms` is how much sooner than at the rate one arrived; below zero when all were late.
    """

    sent: int
    came: int
    size: int
    spacing_ms: float | None
    early_ms: float
    sending_ms: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One direction, measured. `lost` are frames of probes and train; `runs` the rows in which the `lost_probes` were lost.

    `delays_ms` are of probes whose sending time is sure; `foreign` frames were in the cable besides ours (None: not counted).
    """

    size: int
    sent: int
    probes: int
    delays_ms: tuple[float, ...] = ()
    lost: int = 0
    damaged: int = 0
    copies: int = 0
    lost_probes: int = 0
    runs: int = 0
    train: Train | None = None
    queue: Train | None = None
    foreign: int | None = None
    measurements: int = 1

    def __add__(self, other: Sample) -> Sample:
        """Both as one, for what is counted; a train stays that of one measurement, and nobody else's frames are told of."""
        return replace(
            self,
            sent=self.sent + other.sent,
            probes=self.probes + other.probes,
            delays_ms=self.delays_ms + other.delays_ms,
            lost=self.lost + other.lost,
            damaged=self.damaged + other.damaged,
            copies=self.copies + other.copies,
            lost_probes=self.lost_probes + other.lost_probes,
            runs=self.runs + other.runs,
            foreign=None,
            measurements=self.measurements + other.measurements,
        )

    def plain(self) -> dict[str, Any]:
        """Without what is as usual: a run keeps many of these."""
        usual = {field.name: field.default for field in fields(self)}
        return {key: value for key, value in asdict(self).items() if value != usual[key]}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Sample:
        """What `plain` gave, also through JSON."""
        trains = {key: Train(**plain[key]) for key in ("train", "queue") if key in plain}
        return cls(**{**plain, **trains, "delays_ms": tuple(plain.get("delays_ms", ()))})


def sample(
    it: Impairment, planned: Sequence[Series], answer: Mapping[str, Any], counters: Sequence[Mapping[str, int] | None]
) -> Sample:
    """From the agent's `answer` to the series planned, and the cable's counters before and after."""
    played = dict(zip((series.kind for series in planned), answer["series"], strict=True))
    sizes = {series.kind: series.size for series in planned}
    counted = [played[kind] for kind in ("probes", "train") if kind in played]
    came = [{number for number, _ in one["came"]} for one in counted]
    sent = sum(len(one["sent_us"]) for one in counted)
    missing = [number for number in range(len(counted[0]["sent_us"])) if number not in came[0]]
    return Sample(
        size=sizes["probes"],
        sent=sent,
        lost=max(0, sent - sum(map(len, came)) - int(answer["damaged"])),
        damaged=int(answer["damaged"]),
        copies=sum(len(one["came"]) for one in counted) - sum(map(len, came)),
        probes=len(counted[0]["sent_us"]),
        lost_probes=len(missing),
        runs=_runs(missing),
        delays_ms=_delays(counted[0]),
        train=_train(it, played["train"], sizes["train"]) if "train" in played else None,
        queue=_train(it, played["queue"], sizes["queue"]) if "queue" in played else None,
        foreign=_foreign(counters, sum(len(one["sent_us"]) for one in played.values())),
    )


def _runs(missing: Sequence[int]) -> int:
    """Of ascending numbers, how many begin a row without a gap."""
    return sum(not at or missing[at - 1] != number - 1 for at, number in enumerate(missing))


def _delays(series: Mapping[str, Any]) -> tuple[float, ...]:
    """Of the first copy of each frame, in order of sending."""
    first: dict[int, float] = {}
    for number, when in series["came"]:
        first[number] = min(when, first.get(number, when))
    return tuple(
        round((first[number] - sent) / 1000, 3)
        for number, (sent, unsure) in enumerate(zip(series["sent_us"], series["unsure_us"], strict=True))
        if number in first and unsure <= _UNSURE_US
    )


def _train(it: Impairment, series: Mapping[str, Any], size: int) -> Train:
    sent: list[float] = series["sent_us"]
    frame_us = size * 8e6 / it.rate_bit if it.rate_bit else 0.0
    first, end = _busy(sent, frame_us) if frame_us else (0, len(sent))
    # A frame that overtakes the others was not sent at the rate.
    skipped = 500 * it.delay_ms if it.reorder_pct else 0.0
    came = sorted(when for number, when in series["came"] if first <= number < end and when - sent[number] >= skipped)
    spacing = early = 0.0
    if len(came) < _FEWEST_IN_TRAIN:
        pass
    elif frame_us:
        spacing, early = _at_rate([when - sent[first] - 1000 * it.delay_ms for when in came], frame_us)
    else:
        spacing = _slope([when - sent[number] for number, when in sorted(series["came"])])
    return Train(
        sent=len(sent),
        came=len({number for number, _ in series["came"]}),
        size=size,
        spacing_ms=max(round(spacing / 1000, 5), 1e-4) if len(came) >= _FEWEST_IN_TRAIN else None,
        early_ms=round(early / 1000, 4),
        sending_ms=round((sent[-1] - sent[0]) / 1000, 3),
    )


def _at_rate(came: Sequence[float], frame_us: float) -> tuple[float, float]:
    """From one frame to the next, and how early the earliest was; `came` counts from when the first could have been sent.

    A machine with too much to do lets frames be late, several at once, never early. So the slope is taken between those of the
    first and of the last third that were held up least.
    """
    late = [when - (number + 1) * frame_us for number, when in enumerate(came)]
    return frame_us + _slope(late), -min(late)


def _slope(late: Sequence[float]) -> float:
    """By how much each is later than the one before."""
    third = len(late) // 3
    first = min(range(third), key=late.__getitem__)
    last = min(range(len(late) - third, len(late)), key=late.__getitem__)
    return (late[last] - late[first]) / (last - first)


def _busy(sent: Sequence[float], frame_us: float) -> tuple[int, int]:
    """The longest row of frames during which the link was never without one, if it takes `frame_us` for each."""
    best, first, until = (0, 0), 0, sent[0] + frame_us
    for number, when in enumerate(sent[1:], start=1):
        if when > until:
            first, until = number, when
        until += frame_us
        best = max(best, (number + 1 - first, -first))
    return (-best[1], best[0] - best[1]) if best[0] else (0, 1)


def _foreign(counters: Sequence[Mapping[str, int] | None], ours: int) -> int | None:
    before, after = counters
    if not before or not after or "frames_in" not in before:
        return None
    return max(0, after["frames_in"] - before["frames_in"] - ours)
