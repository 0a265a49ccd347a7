"""www.shop.com: a catalogue, a cart, and recommendations from what this visitor looked at before.

HTTP keeps no state. The site does: the cookie carries a number, the database knows what belongs to it.
"""

from __future__ import annotations

import sys
import time

from catalogue import CATALOGUE, Product, siblings
from flask import Blueprint, Flask, Response, abort, current_app, g, redirect, render_template, request
from store import Store
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Redirect

COOKIE = "visitor"
COOKIE_SECONDS = 30 * 24 * 3600  # outlives the browser: it goes into the cookie file
MEMORYLESS = {"shop.health", None}  # neither reads nor sets the cookie; None is a page we do not have

shop = Blueprint("shop", __name__)


def create_app(store: Store) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config["STORE"] = store
    app.jinja_env.filters["money"] = lambda cents: f"${cents / 100:,.2f}"
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(shop)
    return app


def memory() -> Store:
    store: Store = current_app.config["STORE"]
    return store


@shop.before_app_request
def who_is_it() -> None:
    """Recognises the visitor by the cookie, or gives a number to a new one."""
    g.visitor = g.enrolled = None
    if request.endpoint in MEMORYLESS:
        return
    number = request.cookies.get(COOKIE, "")
    # A number we do not know (made up, or from before a reset) is a first visit; 18 digits are what SQLite can hold.
    if number.isascii() and number.isdigit() and len(number) <= 18 and memory().recognise(int(number)):
        g.visitor = int(number)
    else:
        g.visitor = g.enrolled = memory().enrol(request.headers.get("User-Agent", "")[:200])


@shop.after_app_request
def remember(response: Response) -> Response:
    if g.enrolled is not None:
        response.set_cookie(COOKIE, str(g.enrolled), max_age=COOKIE_SECONDS, httponly=True, samesite="Lax")
    # Pages differ from visitor to visitor: a shared cache must not keep them.
    response.headers["Cache-Control"] = "private, no-cache"
    if request.endpoint != "shop.health":
        log(response)
    return response


def log(response: Response) -> None:
    """One line a request, shaped like the origin server's; equal client ports show a shared connection."""
    peer = f"{request.environ['REMOTE_ADDR']}:{request.environ.get('REMOTE_PORT', '-')}"
    # As it came, still percent-encoded: a decoded line feed would start a line of its own.
    line = f"{request.method} {request.environ['REQUEST_URI']} {request.environ['SERVER_PROTOCOL']}"
    sys.stdout.write(  # not print: text and line end are one write, so threads do not mix their lines
        f'{time.time():.3f} {peer} "{line}" {response.status_code} {response.content_length or 0}'
        f" cookie={request.cookies.get(COOKIE, '-')!r} set={g.enrolled or '-'}\n"
    )


def page(template: str, **values: object) -> str:
    in_cart = sum(memory().cart(g.visitor).values()) if g.visitor else 0
    first_visit = g.enrolled is not None
    return render_template(template, visitor=g.visitor, first_visit=first_visit, in_cart=in_cart, **values)


def recommendations(history: list[str]) -> tuple[Product | None, list[Product]]:
    """What to offer, and because of which product: the latest one that has anything unseen beside it."""
    for slug in history:
        unseen = [product for product in siblings(CATALOGUE[slug]) if product.slug not in history]
        if unseen:
            return CATALOGUE[slug], unseen
    return None, []


@shop.get("/")
def home() -> str:
    because, offered = recommendations(memory().history(g.visitor))
    return page("home.html", products=CATALOGUE.values(), because=because, offered=offered)


@shop.get("/product/<slug>")
def product(slug: str) -> str:
    if slug not in CATALOGUE:
        abort(404)
    memory().look(g.visitor, slug)
    because, offered = recommendations(memory().history(g.visitor))
    return page("product.html", product=CATALOGUE[slug], because=because, offered=offered)


@shop.get("/cart")
def cart() -> str:
    lines = [(CATALOGUE[slug], quantity) for slug, quantity in memory().cart(g.visitor).items()]
    return page("cart.html", lines=lines, total=sum(item.price_cents * quantity for item, quantity in lines))


@shop.post("/cart")
def change_cart() -> Redirect:
    slug, quantity = request.form.get("product", ""), request.form.get("quantity", "")
    if slug not in CATALOGUE or quantity not in map(str, range(100)):
        abort(400)
    if quantity == "0":
        memory().take_from_cart(g.visitor, slug)
    else:
        memory().put_in_cart(g.visitor, slug, int(quantity))
    return redirect("/cart", 303)  # after a POST the browser GETs: reloading does not buy twice


@shop.get("/health")
def health() -> tuple[str, int]:
    return "", 204


@shop.app_errorhandler(HTTPException)
def wrong(error: HTTPException) -> tuple[str, int]:
    return page("wrong.html", error=error), error.code or 500
