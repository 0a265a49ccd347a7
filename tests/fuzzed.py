"""How many inputs a property is tried with: a few in every run, APPBED_FUZZ of them where that says so (`make fuzz`: 10 000).

APPBED_FUZZ_SEED gives other ones. A failure is made again with the same two settings.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("APPBED_FUZZ", "100"))
SLOWEST = timedelta(seconds=10)  # a thousand times what one input takes: whoever is slower hangs
Test = TypeVar("Test", bound=Callable[..., None])

words = st.sampled_from(
    [
        "", "0", "-1", "up", "down", "all", "..", "../../etc/passwd", "a@b", "client", "client@campus", "gateway@access",
        "10.77.1.10", "10.77.1.0/24", "10.0.0.0/33", "20ms", "1e999s", "NaN", "gemodel 1%", "100%", "1mbit", "\x1b[2J", "a\nb",
        "\0", "<b>", "$(id)", "é" * 3, "x" * 300, "{}", "[[", "🙂",
    ]
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([10**400, -(10**19), 2**64]), st.floats(), words, st.text(max_size=6)
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(words, st.text(max_size=4)), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip


def fuzzed(test: Test) -> Test:
    """So many examples of a property, each bounded in time."""
    many = settings(max_examples=CASES, deadline=SLOWEST, suppress_health_check=list(HealthCheck))(test)
    return hypothesis.seed(int(os.environ["APPBED_FUZZ_SEED"]))(many) if "APPBED_FUZZ_SEED" in os.environ else many
