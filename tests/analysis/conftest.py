"""Which of these tests take seconds: properties over random streams, mutated captures, other tools' judgement."""

from __future__ import annotations

import pytest

THOROUGH = {
    "test_analysis_truth.py",
    "test_analysis_fuzz.py",
    "test_analysis_tcp.py",
    "test_analysis_dns.py",
    "test_analysis_p2p.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name in THOROUGH:
            item.add_marker("thorough")
