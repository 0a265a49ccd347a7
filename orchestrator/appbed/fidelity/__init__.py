"""Is a link as it is set? What is sent through its cable to find out, and how the answer is judged: pure."""

from appbed.fidelity.checked import Checked, Measured, judged, unsound
from appbed.fidelity.judge import Reading, judge
from appbed.fidelity.plan import Series, full, quick
from appbed.fidelity.sample import Sample, Train, sample

__all__ = [
    "Checked", "Measured", "Reading", "Sample", "Series", "Train", "full", "judge", "judged", "quick", "sample", "unsound",
]  # fmt: skip
