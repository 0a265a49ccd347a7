"""Set, measured, allowed: one direction of a cable judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from appbed import units
from appbed.fidelity import bounds
from appbed.fidelity.plan import held_frames
from appbed.fidelity.sample import Sample, Train
from appbed.impairment import Impairment
from appbed.verdict import Outcome

TESTS = 8
"""Readings of one direction at most, for the family of all."""

_ETHERNET = 14  # bytes of a header; a frame damaged there goes astray and looks lost
_SLOWEST_BIT = 20e6  # what a cable without a rate carries at least, in any state of the machine
_AWAKE_MS = 1.0  # a machine with time for its cables delays most frames less
_FAST_BIT = 1e9  # from here on a short train's length is the sender's
_FULL_FRAME = 1514
_TELLING_LOSS_PCT = 80  # forty probes through this hardly ever leave fewer than the three that a delay takes
_ENOUGH = 50  # delays from which on a spread says something


@dataclass(frozen=True, slots=True)
class Allowance:
    """What engine and machine may add to what is set, beside chance."""

    delay_ms: float
    spread_ms: float
    rate_share: float
    train_ms: float  # of one frame against another


FULL = Allowance(delay_ms=0.5, spread_ms=0.2, rate_share=0.02, train_ms=0.3)
QUICK = Allowance(delay_ms=1.5, spread_ms=1.0, rate_share=0.1, train_ms=0.5)


@dataclass(frozen=True, slots=True)
class Reading:
    """One line: PASSED, FAILED, or INCONCLUSIVE where it cannot be told; `again` if another measurement may say more."""

    what: str
    set: str
    measured: str
    allowed: str
    outcome: Outcome
    because: str = ""
    again: bool = False


def judge(it: Impairment, found: Sample, error: float, allowed: Allowance = FULL) -> tuple[Reading, ...]:
    """Every setting of one direction that can be told from `found`; each test errs at most `error`."""
    if it.state == "down":
        came = found.sent - found.lost
        return (_reading("state", "down", f"{came} of {found.sent} frames arrived", "none", came == 0),)
    readings = [_delay(it, found, error, allowed), _loss(it, found, error)]
    if len(found.delays_ms) >= _ENOUGH:
        readings.append(_jitter(it, found, error, allowed))
    if (
        it.burst
        and it.burst.bad_loss_pct == 100
        and it.burst.good_loss_pct == 0
        and found.runs
        and not it.duplicate_pct
    ):
        readings.append(_burst(it.burst.r_pct, found, error))
    readings += _shares(it, found, error)
    if found.train and (it.rate_bit or not (it.jitter_ms or it.reorder_pct)):  # those scatter a train without a rate
        readings.append(_rate(it, found, found.train, error, allowed))
    if found.queue and it.rate_bit:
        readings.append(_queue(it, found, found.queue))
    return tuple(readings)


def _delay(it: Impairment, found: Sample, error: float, allowed: Allowance) -> Reading:
    """The median if there is jitter or much to take it of; of a few probes the quickest, which a busy machine disturbs least."""
    delays = _regular(it, found.delays_ms)
    set_ms = it.delay_ms + _frame_ms(it, found.size)
    said = _ms(set_ms)
    if len(delays) < 3:
        because = f"{found.lost} of {found.sent} frames were lost" if found.lost else "the machine was too busy to send"
        mean_pct = it.burst.mean_pct if it.burst else it.loss_pct
        again = not found.lost or mean_pct <= _TELLING_LOSS_PCT
        return Reading("delay", said, "", "", Outcome.INCONCLUSIVE, because, again=again)
    steady = not it.jitter_ms and len(delays) < _ENOUGH
    measured = min(delays) if steady else _quantile(it, delays, 0.5)
    # 1.2533: the standard deviation of a normal median over that of the mean
    chance = bounds.deviations(error) * 1.2533 * it.jitter_ms / len(delays) ** 0.5
    slack = chance + allowed.delay_ms
    late = measured - set_ms - slack
    excuse = _excuse(it, found, late / _frame_ms(it, _FULL_FRAME)) if it.rate_bit and late > 0 else ""
    return _reading("delay", said, _ms(measured), f"± {_ms(slack)}", abs(measured - set_ms) <= slack, excuse)


def _jitter(it: Impairment, found: Sample, error: float, allowed: Allowance) -> Reading:
    """From the 34 % of delays below the median: a busy machine makes frames late, never early."""
    delays = _regular(it, found.delays_ms)
    below = _quantile(it, delays, 0.5) - _quantile(it, delays, 0.16)
    measured = below / (0.9945 if it.distribution == "normal" or not it.jitter_ms else 0.68)
    # 1.48: the standard deviation of that difference of two normal quantiles; of two uniform ones it is less
    slack = bounds.deviations(error) * 1.48 * it.jitter_ms / len(delays) ** 0.5 + allowed.spread_ms
    said = f"{_ms(it.jitter_ms)} {it.distribution}" if it.jitter_ms else "0 ms"
    return _reading("jitter", said, _ms(measured), f"± {_ms(slack)}", abs(measured - it.jitter_ms) <= slack)


def _loss(it: Impairment, found: Sample, error: float) -> Reading:
    kept = 1 - it.duplicate_pct / 100  # a frame that is lost and duplicated arrives once
    astray = it.corrupt_pct / 100 * _ETHERNET / found.size
    said = str(it.burst) if it.burst else units.format_pct(it.loss_pct)
    if it.burst:
        thinned = replace(
            it.burst, bad_loss_pct=it.burst.bad_loss_pct * kept, good_loss_pct=it.burst.good_loss_pct * kept
        )
        low, high = bounds.band(found.sent, *bounds.bursts(found.sent, thinned), error)
        high += bounds.band(found.sent, *_tails(found.sent, astray, astray), error)[1] if astray else 0
    else:
        share = it.loss_pct / 100 * kept
        low, high = bounds.band(found.sent, *_tails(found.sent, share, share + astray * (1 - share)), error)
    held = held_frames(it, _FULL_FRAME)
    excuse = _excuse(it, found, max(1, held - found.sent)) if held is not None and found.lost > high else ""
    return _counted("loss", said, found.lost, found.sent, low, high, excuse)


def _burst(back_pct: float, found: Sample, error: float) -> Reading:
    """Of a channel that loses everything while it is bad, each loss ends its row with the chance to become good again."""
    low, high = bounds.band(found.lost_probes, *_tails(found.lost_probes, back_pct / 100, back_pct / 100), error)
    longest, shortest = found.lost_probes / max(low, 1), found.lost_probes / high
    measured = found.lost_probes / found.runs
    fits = low <= found.runs <= high + found.measurements  # the last row may have been cut short by the end
    return _reading(
        "burst", f"{100 / back_pct:.3g} frames", f"{measured:.3g}", f"{shortest:.3g} to {longest:.3g}", fits
    )


def _shares(it: Impairment, found: Sample, error: float) -> list[Reading]:
    arrived = found.sent - found.lost
    lost = (it.burst.mean_pct if it.burst else it.loss_pct) / 100
    twice, damaged, early = (share / 100 for share in (it.duplicate_pct, it.corrupt_pct, it.reorder_pct))
    readings = []
    if it.duplicate_pct or found.copies:
        sound = ((1 - lost) * (1 - damaged)) ** 2  # netem draws for the copy once more
        readings.append(_share("duplicate", it.duplicate_pct, found.copies, arrived, twice * sound, twice, error))
    if it.corrupt_pct or found.damaged:
        seen, most = damaged * (1 - _ETHERNET / found.size), min(1.0, damaged * (1 + twice))
        readings.append(_share("corrupt", it.corrupt_pct, found.damaged, arrived, seen, most, error))
    if it.reorder_pct:
        said = units.format_pct(it.reorder_pct)
        if not _apart(it):
            because = "with so much jitter nobody can tell which frames skipped the delay"
            readings.append(Reading("reorder", said, "", "", Outcome.INCONCLUSIVE, because))
        else:
            skipped = len(found.delays_ms) - len(_regular(it, found.delays_ms))
            most = min(1.0, early * (1 + twice))
            readings.append(_share("reorder", it.reorder_pct, skipped, len(found.delays_ms), early, most, error))
    return readings


def _rate(it: Impairment, found: Sample, train: Train, error: float, allowed: Allowance) -> Reading:
    said = units.format_rate(it.rate_bit) if it.rate_bit else "none"
    if train.spacing_ms is None:
        because = "too few frames of the train arrived, or they were not sent fast enough"
        return Reading("rate", said, "", "", Outcome.INCONCLUSIVE, because, again=train.came > train.sent / 2)
    bit = train.size * 8000 / train.spacing_ms
    measured = units.format_rate(float(f"{bit:.4g}"))
    if not it.rate_bit:
        measured = measured if bit < _FAST_BIT else f"over {units.format_rate(_FAST_BIT)}"
        return _reading("rate", said, measured, f"over {units.format_rate(_SLOWEST_BIT)}", bit >= _SLOWEST_BIT)
    # The slope lies between two frames two thirds of the train apart, each of them displaced by jitter.
    apart_ms = _frame_ms(it, train.size) * max(1, train.came) * 2 / 3
    slack_ms = allowed.rate_share * apart_ms + allowed.train_ms + bounds.deviations(error) * it.jitter_ms
    if slack_ms > apart_ms / 2:
        return Reading("rate", said, measured, "", Outcome.INCONCLUSIVE, "the train is too short to tell")
    late_ms = (train.spacing_ms / _frame_ms(it, train.size) - 1) * apart_ms
    fits = abs(late_ms) <= slack_ms
    excuse = _excuse(it, found, max(1.0, late_ms / _frame_ms(it, _FULL_FRAME))) if late_ms > 0 else ""
    if late_ms > 0 and not excuse:
        excuse = _held_up(it, found)
    if late_ms < 0 and train.early_ms <= slack_ms:
        excuse = "the frames were held up and came all at once"
    return _reading("rate", said, measured, f"± {slack_ms / apart_ms:.1%}", fits, excuse)


def _queue(it: Impairment, found: Sample, train: Train) -> Reading:
    """Of frames sent back to back those arrive that wait, the one being sent, and those sent meanwhile."""
    frame_ms = _frame_ms(it, train.size)
    meanwhile = train.sending_ms / frame_ms
    held = held_frames(it, train.size) or 0
    measured = train.came - 1 - meanwhile
    slack = 2 + 0.03 * held + 0.1 * meanwhile
    excuse = _excuse(it, found, 1)
    return _reading(
        "queue", f"{it.queue}", f"{measured:.0f} frames", f"{held} ± {slack:.0f}", abs(measured - held) <= slack, excuse
    )


# ---- pieces


def _reading(what: str, said: str, measured: str, allowed: str, fits: bool, excuse: str = "") -> Reading:
    if fits:
        return Reading(what, said, measured, allowed, Outcome.PASSED)
    if excuse:
        return Reading(what, said, measured, allowed, Outcome.INCONCLUSIVE, excuse, again=True)
    return Reading(what, said, measured, allowed, Outcome.FAILED, again=True)


def _excuse(it: Impairment, found: Sample, frames: float) -> str:
    """Why a figure may be worse than set on a sound link: others used it, and enough to explain `frames` in the way."""
    enough = it.rate_bit and found.foreign is not None and found.foreign >= max(1.0, frames)
    return f"the link carried {found.foreign} other frames meanwhile" if enough else ""


def _held_up(it: Impairment, found: Sample) -> str:
    """Probes far apart, on a link without jitter, are late one by one only if the machine is: then a train says nothing."""
    delays = _regular(it, found.delays_ms)
    if it.jitter_ms or len(delays) < 3:
        return ""
    late = _quantile(it, delays, 0.75) - delays[0]
    return f"the machine was busy: a quarter of the probes came more than {_ms(late)} late" if late > _AWAKE_MS else ""


def _share(what: str, set_pct: float, count: int, trials: int, least: float, most: float, error: float) -> Reading:
    low, high = bounds.band(trials, *_tails(trials, least, most), error)
    return _counted(what, units.format_pct(set_pct), count, trials, low, high)


def _counted(what: str, said: str, count: int, trials: int, low: int, high: int, excuse: str = "") -> Reading:
    allowed = f"{low} to {high}" if low < high else f"{high}"
    return _reading(what, said, f"{count} of {trials}", allowed, low <= count <= high, excuse)


def _tails(trials: int, least: float, most: float) -> tuple[bounds.Tail, bounds.Tail]:
    """Too few if even of the smaller share, too many if even of the larger."""
    return (lambda count: bounds.at_most(count, trials, least)), (lambda count: bounds.at_least(count, trials, most))


def _apart(it: Impairment) -> bool:
    """Frames that skip the delay can be told from those that do not."""
    return it.delay_ms > 1 and it.jitter_ms * (4 if it.distribution == "normal" else 1) < it.delay_ms / 2


def _regular(it: Impairment, delays: Sequence[float]) -> list[float]:
    """Delays, in order of size, of frames that did not skip the delay, as far as that can be told."""
    kept = sorted(delays)
    if it.reorder_pct and _apart(it):
        return [delay for delay in kept if delay >= it.delay_ms / 2]
    return kept


def _quantile(it: Impairment, ordered: Sequence[float], share: float) -> float:
    """Of the frames that did not skip the delay; those that did come before all others if they could not be told."""
    if it.reorder_pct and not _apart(it):
        share = it.reorder_pct / 100 + (1 - it.reorder_pct / 100) * share
    at = share * (len(ordered) - 1)
    low = int(at)
    return ordered[low] if low + 1 == len(ordered) else (ordered[low] + (at - low) * (ordered[low + 1] - ordered[low]))


def _frame_ms(it: Impairment, size: int) -> float:
    return size * 8000 / it.rate_bit if it.rate_bit else 0.0


def _ms(value: float) -> str:
    return f"{value:.2f} ms"
