"""images/shop: what the site remembers of its visitors; no container needed."""

from __future__ import annotations

import importlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SHOP = Path(__file__).parents[2] / "images" / "shop"
MODULES = ("app", "catalogue", "settings", "store")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports the shop's modules as they lie in the image, and forgets them: their names are common ones."""
    monkeypatch.syspath_prepend(str(SHOP))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def store(load: Any, tmp_path: Path) -> Any:
    store = load("store").Store(tmp_path / "shop.db")
    store.empty(1678)
    return store


def test_each_browser_is_a_row_with_a_number_of_its_own(store: Any) -> None:
    assert [store.enrol("one"), store.enrol("two")] == [1678, 1679]
    assert [(row["id"], row["browser"]) for row in store.visitors()] == [(1678, "one"), (1679, "two")]


def test_a_known_number_counts_a_request_and_an_unknown_one_is_nobody(store: Any) -> None:
    visitor = store.enrol("one")
    assert store.recognise(visitor)
    assert not store.recognise(visitor + 1)
    assert store.visitors()[0]["requests"] == 2


def test_the_history_is_the_visitors_own_and_the_latest_comes_first(store: Any) -> None:
    one, two = store.enrol("one"), store.enrol("two")
    for product in ("kettle", "atlas", "kettle"):
        store.recognise(one)
        store.look(one, product)
    assert store.history(one) == ["kettle", "atlas"]
    assert store.history(two) == []
    assert store.visitors()[0]["looked_at"] == [{"product": "atlas", "times": 1}, {"product": "kettle", "times": 2}]


def test_the_cart_adds_up_to_99_and_gives_back(store: Any) -> None:
    visitor = store.enrol("one")
    store.put_in_cart(visitor, "mug", 98)
    store.put_in_cart(visitor, "mug", 5)
    assert store.cart(visitor) == {"mug": 99}
    store.take_from_cart(visitor, "mug")
    assert store.cart(visitor) == {}


def test_what_a_visitor_sends_is_data_and_not_sql(store: Any) -> None:
    browser = "'); DROP TABLE visitor; --"
    store.look(store.enrol(browser), browser)
    assert store.visitors()[0]["browser"] == browser


def test_emptied_it_begins_again_at_the_first_number(store: Any) -> None:
    store.look(store.enrol("one"), "mug")
    store.empty(1678)
    assert store.visitors() == []
    assert store.enrol("two") == 1678


def test_a_reader_cannot_write(store: Any, load: Any, tmp_path: Path) -> None:
    reader = load("store").Store(tmp_path / "shop.db", read_only=True)
    assert reader.visitors() == []
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.enrol("one")


@pytest.mark.parametrize("given", ["0", "-1", "many", "1e3", "1678\n", "9" * 10])
def test_a_wrong_first_number_is_named(
    load: Any, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIRST_VISITOR", given)
    with pytest.raises(SystemExit) as ended:
        load("settings").first_visitor()
    assert ended.value.code == 78
    assert capsys.readouterr().err.startswith(f"shop: FIRST_VISITOR='{given}' is not possible; choose ")


class TestPages:
    """The site as a browser meets it; skipped where Flask is not installed."""

    @pytest.fixture
    def app(self, load: Any, store: Any) -> Any:
        pytest.importorskip("flask")
        return load("app").create_app(store)

    def test_the_first_answer_gives_the_number_and_later_ones_do_not(self, app: Any) -> None:
        browser = app.test_client()
        first, second = browser.get("/"), browser.get("/")
        assert first.headers["Set-Cookie"].startswith("visitor=1678; ")
        assert "Set-Cookie" not in second.headers
        assert "Welcome back" in second.text

    def test_recommendations_come_from_this_visitors_history(self, app: Any) -> None:
        one, two = app.test_client(), app.test_client()
        one.get("/product/kettle")
        assert 'data-because="kettle"' in one.get("/").text
        assert "data-because" not in two.get("/").text

    @pytest.mark.parametrize("number", ["1", "9" * 30, "²", "1 or 1=1", ""])
    def test_an_unknown_number_is_a_first_visit(self, app: Any, number: str) -> None:
        answer = app.test_client().get("/", headers={"Cookie": f"visitor={number}"})
        assert answer.status_code == 200
        assert answer.headers["Set-Cookie"].startswith("visitor=1678; ")

    def test_a_bought_thing_is_in_the_cart_after_the_redirect(self, app: Any) -> None:
        browser = app.test_client()
        browser.get("/")
        assert browser.post("/cart", data={"product": "mug", "quantity": "2"}).status_code == 303
        assert '<td class="number">2</td>' in browser.get("/cart").text

    @pytest.mark.parametrize(("product", "quantity"), [("", ""), ("<b>", "1"), ("mug", "-1"), ("mug", "100")])
    def test_nonsense_in_the_form_is_400(self, app: Any, product: str, quantity: str) -> None:
        assert app.test_client().post("/cart", data={"product": product, "quantity": quantity}).status_code == 400

    @pytest.mark.parametrize("path", ["/nothing", "/health"])
    def test_what_is_no_page_makes_no_visitor(self, app: Any, store: Any, path: str) -> None:
        assert "Set-Cookie" not in app.test_client().get(path).headers
        assert store.visitors() == []
