"""www.registrar.com: is a name free, and if so, who serves it? Each page asks the top-level domain; nothing is kept."""

from __future__ import annotations

import sys
import time
from ipaddress import IPv4Network

from domains import NameServer, WrongInput, domain, name_servers
from flask import Blueprint, Flask, Response, abort, current_app, redirect, render_template, request, url_for
from registry import Refused, Registry, Unanswered
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Redirect

office = Blueprint("office", __name__)


def create_app(registry: Registry, net: IPv4Network) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(REGISTRY=registry, NET=net)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(office)
    return app


def registry() -> Registry:
    found: Registry = current_app.config["REGISTRY"]
    return found


@office.get("/")
def home() -> str:
    return render_template("home.html")


@office.get("/domain")
def show() -> str:
    name = domain(request.args.get("name", ""))
    try:
        server, servers = registry().show(name)
    except Refused as refused:
        if refused.answer != "NXDOMAIN":
            raise
        return render_template("domain.html", name=name, server=refused.server, servers=(), rows=_rows(name, ()))
    return render_template("domain.html", name=name, server=server, servers=servers, rows=_rows(name, servers))


@office.post("/register")
def register() -> Redirect:
    registry().register(*_asked_for())
    return _shown()


@office.post("/change")
def change() -> Redirect:
    registry().change(*_asked_for())
    return _shown()


@office.post("/remove")
def remove() -> Redirect:
    registry().remove(domain(request.form.get("name", "")))
    return _shown()


@office.get("/health")
def health() -> tuple[str, int]:
    return "", 204


@office.before_app_request
def own_forms_only() -> None:
    """A page of another site may not post in the visitor's name."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") == "cross-site":
        abort(403)


def _asked_for() -> tuple[str, tuple[NameServer, ...]]:
    name = domain(request.form.get("name", ""))
    rows = zip(request.form.getlist("server"), request.form.getlist("address"), strict=False)
    given = [(server, address) for server, address in rows if server.strip() or address.strip()]
    return name, name_servers(name, given, current_app.config["NET"])


def _shown() -> Redirect:
    """After a POST the browser GETs: reloading does not register twice, and what is shown is what the server says."""
    return redirect(url_for("office.show", name=domain(request.form["name"])), 303)


def _rows(name: str, servers: tuple[NameServer, ...]) -> list[tuple[str, str, str]]:
    """(server, address, example) of the form: one line more than there are, two at least."""
    rows = [(at.name, at.address, "") for at in servers]
    return rows + [("", "", f"dns{number}.{name}") for number in range(len(rows) + 1, max(3, len(rows) + 2))]


@office.app_errorhandler(WrongInput)
@office.app_errorhandler(Refused)
@office.app_errorhandler(Unanswered)
def no(error: Exception) -> tuple[str, int]:
    code = {WrongInput: 400, Refused: 409, Unanswered: 504}[type(error)]
    return render_template("no.html", said=str(error), answer=getattr(error, "answer", "")), code


@office.app_errorhandler(HTTPException)
def wrong(error: HTTPException) -> tuple[str, int]:
    return render_template("no.html", said=f"{error.code} {error.name}", answer=""), error.code or 500


@office.after_app_request
def log(response: Response) -> Response:
    """One line a request, shaped like the origin server's."""
    response.headers["Cache-Control"] = "private, no-cache"
    if request.endpoint != "office.health":
        # As it came, still percent-encoded: a decoded line feed would start a line of its own.
        line = f"{request.method} {request.environ['REQUEST_URI']} {request.environ['SERVER_PROTOCOL']}"
        peer = f"{request.environ['REMOTE_ADDR']}:{request.environ.get('REMOTE_PORT', '-')}"
        sys.stdout.write(f'{time.time():.3f} {peer} "{line}" {response.status_code} {response.content_length or 0}\n')
    return response
