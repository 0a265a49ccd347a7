"""What predictions of transport services take for granted, and how they read what two hosts captured."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace as Fake
from typing import Any

import pytest

from appbed.analysis import Passage
from appbed.impairment import parse
from appbed.scenarios.transport import datagrams, security
from appbed.scenarios.transport_parts import transfers
from appbed.scenarios.transport_parts.flows import Flow, Flown
from appbed.scenarios.web_parts.site import SITE

IMAGES = Path(__file__).parents[2] / "images"


def test_the_large_file_has_the_size_predicted() -> None:
    entrypoint = (IMAGES / "web" / "entrypoint").read_text()
    numbers = re.search(r"seq (\d+) (\d+) > \S+/big/1m\.bin", entrypoint)
    assert numbers
    first, last = int(numbers[1]), int(numbers[2])
    assert (last - first + 1) * (len(numbers[1]) + 1) == transfers.MIB


def test_the_member_is_the_server_s_default_and_its_certificate_does_not_name_the_alias() -> None:
    entrypoint = (IMAGES / "web" / "entrypoint").read_text()
    assert f"member=${{MEMBER:-{security.MEMBER}}}" in entrypoint
    assert f"https_name=${{HTTPS_NAME-{SITE}}}" in entrypoint
    alias, _, domain = security.ALIAS.partition(".")
    zone = (IMAGES / "nameserver" / "zones" / f"{domain}.zone").read_text()
    assert re.search(rf"^{alias} +IN CNAME {SITE.partition('.')[0]}$", zone, re.MULTILINE)


def test_a_password_can_be_read_as_it_is_and_as_http_writes_it() -> None:
    def line(said: bytes) -> Any:
        return Fake(from_client=Fake(data=said), from_server=Fake(data=b"\x17\x03\x03"))

    written = b"GET / HTTP/1.1\r\nAuthorization: Basic YWxpY2U6ZG93bi10aGUtcmFiYml0LWhvbGU=\r\n\r\n"
    assert security._readable([line(written)]) == "readable"
    assert security._readable([line(b"name=alice&password=down-the-rabbit-hole")]) == "readable"
    assert security._readable([line(b"\x16\x03\x01 something else")]) == "unreadable"
    assert security._readable([]) == "not sent"


def test_a_flow_has_as_many_datagrams_as_rate_and_time_give() -> None:
    assert Flow(9001, 2e6, 3.0).datagrams == 750
    assert Flow(9001, 1e6, 4.0, frame_bytes=250).datagrams == 2000


def test_shares_of_a_bad_link_count_copies() -> None:
    """Of 10 000 with 10 % lost and 10 % doubled: 900 gone, for of 1000 lost ones 100 have a copy; 810 twice."""
    shares = datagrams._shares(parse({"loss": "10%", "duplicate": "10%"}, "here"), Flow(9001, 1e6, 1))
    assert shares == pytest.approx({"lost": 0.09, "copies": 0.081, "overtaking": 0.0})


def test_a_share_is_judged_by_what_chance_does_once_in_ten_thousand_times() -> None:
    """100 of 2000 at 5 %: standard deviation 9.7, so 70 and 130 are chance and 60 and 145 are not."""
    outcomes = [datagrams._share("lost", 0.05, count, 2000).outcome.value for count in (60, 70, 130, 145)]
    assert outcomes == ["FAILED", "PASSED", "PASSED", "FAILED"]
    assert datagrams._share("lost", 0.05, 0, 0).outcome.value == "FAILED"


def test_a_share_is_allowed_exactly_where_it_passes() -> None:
    for share in (0.0, 0.05, 0.5):
        for count in range(0, 201):
            line = datagrams._share("lost", share, count, 200)
            assert line.allowed
            assert line.measured is not None
            assert (line.outcome.value == "PASSED") == (line.allowed[0] <= line.measured <= line.allowed[1])


def flown(*ways: tuple[float, float | None]) -> Flown:
    evidence: Any = Fake(capture=None, address=lambda host: host)
    found = Flown(evidence, Flow(9001, 8e3, 1.0))
    found.__dict__["passages"] = [Passage(at, sent_s, received_s, 0) for at, (sent_s, received_s) in enumerate(ways, 1)]
    return found


def test_what_arrives_before_something_sent_earlier_overtook_it() -> None:
    assert flown((0, 10), (1, 2), (2, 12)).overtaking == 1
    assert flown((0, 10), (1, 11), (2, 12)).overtaking == 0
    assert flown((0, None), (1, 11), (2, 3)).overtaking == 1


def test_rate_losses_and_delays_of_a_flow() -> None:
    seen = flown((0, 0.5), (1, None), (2, 2.25))
    assert (seen.sent, seen.lost, seen.delays_s) == (3, 1, [0.5, 0.25])
    assert seen.rate_bit == pytest.approx(8000)
    assert flown().rate_bit == 0
