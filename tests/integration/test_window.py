"""Pages of the lab in a browser on the engine's machine: through published ports of 127.0.0.1, under names of the lab."""

from __future__ import annotations

import os
import shutil
import subprocess
from http.client import HTTPConnection
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import matplotlib.image
import pytest

from appbed.lab import Lab

from .browser import Browser

pytestmark = pytest.mark.docker
SHOWN = {
    "www.shop.com": 'id="visitor"',
    "webmail.hamburger.edu": 'name="_user"',
    "www.registrar.com": "Is your name free?",
}


@pytest.mark.parametrize("page", SHOWN)
def test_each_page_has_a_port_of_its_own(internet: Lab, page: str) -> None:
    answer = Browser(internet, page).get()
    assert answer.status == 200
    assert SHOWN[page] in answer.text
    assert f"//{page}" not in answer.text, "a link with the page's own name leads nowhere in a browser outside"


@pytest.mark.parametrize("page", SHOWN)
def test_a_real_browser_shows_each_page(internet: Lab, page: str, tmp_path: Path) -> None:
    """By the name that `appbed up` prints. The pictures stay in the folder named by APPBED_PICTURES, where there is one."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium here; Debian's package is chromium")
    picture = Path(os.environ.get("APPBED_PICTURES", tmp_path)).resolve() / f"{page}.png"
    looking = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile")
    for asked in ("--dump-dom", f"--screenshot={picture}"):
        url = f"http://{page}.localhost:{Browser(internet, page).port}/"
        done = subprocess.run([chromium, *looking, asked, url], capture_output=True, text=True, timeout=100, check=True)
        assert asked != "--dump-dom" or SHOWN[page] in done.stdout
    drawn = matplotlib.image.imread(picture)[:, :, :3].reshape(-1, 3)
    assert len({tuple(each) for each in drawn[::7]}) > 20, (
        "letters with soft edges have many shades; an empty page has one"
    )


def test_only_127_0_0_1_is_published_and_nothing_but_the_pages(internet: Lab) -> None:
    containers = {each.service: each for each in internet.engine.containers(internet.name)}
    assert {service for service, each in containers.items() if each.published} == {"window"}
    assert set(containers["window"].published) == {8081, 8082, 8083}
    shown = subprocess.run(["docker", "port", containers["window"].name], capture_output=True, text=True, check=True)
    assert {line.split(" -> ")[1].rpartition(":")[0] for line in shown.stdout.splitlines()} == {"127.0.0.1"}


def test_forms_of_the_page_are_taken_and_those_of_another_site_are_not(internet: Lab) -> None:
    """What a browser says about where a form stands arrives."""
    browser, form = Browser(internet, "www.registrar.com"), {"name": "looked-at.com", "server": "", "address": ""}
    own, foreign = (
        browser.post("/register", form, **{"Sec-Fetch-Site": site}) for site in ("same-origin", "cross-site")
    )
    assert (own.status, foreign.status) == (400, 403)
    assert "has 0 name servers" in own.text


def test_a_cookie_and_a_redirect_lead_back_to_the_page(internet: Lab) -> None:
    browser = Browser(internet, "www.shop.com")
    assert "Welcome, visitor" in browser.get().text
    bought = browser.post("/cart", {"product": "kettle", "quantity": "2"}, Origin=browser.url)
    assert (bought.status, bought.headers["Location"].removeprefix(browser.url)) == (303, "/cart")
    cart = browser.get("/cart").text
    assert "Welcome back, visitor" in cart
    assert "Kettle" in cart


@pytest.mark.parametrize("name", ["www.shop.com", "rebound.example", "10.77.1.60"])
def test_another_name_in_the_address_line_is_refused(internet: Lab, name: str) -> None:
    """A page outside may turn its name to 127.0.0.1 and have the browser read the lab's pages for it."""
    answer = Browser(internet, "www.shop.com").get(Host=name)
    assert (answer.status, answer.text) == (403, "This is a window for 127.0.0.1 and localhost.\n")


@pytest.mark.parametrize("target", ["http://www.someschool.edu/", "http://{own}/"])
def test_it_is_no_proxy(internet: Lab, target: str) -> None:
    """Whatever the request line names, nobody but the page's own server is asked."""
    browser = Browser(internet, "www.shop.com")
    own = f"127.0.0.1:{browser.port}"
    connection = HTTPConnection("127.0.0.1", browser.port, timeout=30)
    try:
        connection.request("GET", target.format(own=own), headers={"Host": own})
        answer = connection.getresponse()
        shown = SHOWN["www.shop.com"] in answer.read().decode()
    finally:
        connection.close()
    assert (answer.status, shown) == ((200, True) if "own" in target else (400, False))
    fetched_from = internet.logs("window", tail=1).split()[-1]
    assert fetched_from == (str(internet.topology.host("shop").address) if shown else "-")


def test_its_routes_lead_to_the_lab_and_nowhere_else(internet: Lab) -> None:
    lines = internet.exec("window", "cat", "/proc/net/route").stdout.splitlines()[1:]
    found = set()
    for line in lines:
        _, destination, gateway, *_, mask, _, _, _ = line.split()
        address, via, bits = (
            IPv4Address(int.from_bytes(bytes.fromhex(each)[::-1])) for each in (destination, gateway, mask)
        )
        found.add((IPv4Network((int(address), int(bits).bit_count())), via))
    lab, router = internet.topology, internet.topology.host("gateway").attachment("campus").address
    here = {"campus", "browser"}
    wanted = {(each.subnet, IPv4Address(0) if name in here else router) for name, each in lab.networks.items()}
    assert found == wanted
