"""A home-made proxy in the institution's network, judged by the packets on both sides of it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.topology("web", "lab.yaml")
PAGE, SHOP = "http://www.someschool.edu/", "http://www.shop.com/"


def fetch(testbed, url):
    """The status of a GET through the proxy."""
    through = ("-x", f"{testbed.host('proxy').address}:3128")
    return testbed.host("client").run("curl", "-s", *through, "-o", "/dev/null", "-w", "%{http_code}", url).stdout


def asked_origin(packets):
    """The requests that left the proxy."""
    return [exchange for exchange in packets.http("host:proxy") if exchange.server.port == 80]


def test_a_page_comes_through_it(testbed):
    assert fetch(testbed, PAGE) == "200"


def test_the_second_time_nothing_reaches_the_origin(testbed):
    with testbed.capture("proxy") as first:
        assert fetch(testbed, PAGE) == "200"
    with testbed.capture("proxy") as second:
        assert fetch(testbed, PAGE) == "200"
    assert len(asked_origin(first)) == 1
    assert asked_origin(second) == []


def test_a_copy_is_as_near_as_the_proxy_however_far_the_origin_is(testbed):
    with testbed.link("gateway@access").set(delay="150ms"), testbed.capture("client") as packets:
        fetch(testbed, PAGE)
        fetch(testbed, PAGE)
    miss, hit = packets.http("host:client")
    assert miss.end_s - miss.start_s > 0.6  # a handshake and an answer over the access link, 300 ms each
    assert hit.end_s - hit.start_s < 0.3


def test_an_origin_that_is_away_is_a_bad_gateway(testbed):
    with testbed.fault("stop", "shop"):
        assert fetch(testbed, SHOP) == "502"
    assert fetch(testbed, SHOP) == "200"


def test_a_page_that_does_not_exist_is_passed_on(testbed):
    assert fetch(testbed, PAGE + "no-such-page") == "404"
