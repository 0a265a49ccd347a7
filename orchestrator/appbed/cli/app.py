"""The command's root, and what several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:  # they bring the engine's SDK with them, which `--help` need not wait for
    from appbed.engine import Engine
    from appbed.lab import Lab


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. No KeyboardInterrupt, which the library would turn into an exit status a command may have too."""


class Commands(TyperGroup):
    """The library's group, but a Ctrl-C passes through it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None


app = typer.Typer(
    help="The application layer of the Internet in containers, measured.",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
link_app = typer.Typer(
    help="Links: show, set, reset. A link is the cable between a host and its network.", no_args_is_help=True
)
capture_app = typer.Typer(help="Captures: start, stop.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option("--name", "-n", help="the instance; not needed while only one is up")]
Json = Annotated[bool, typer.Option("--json", help="machine-readable output")]


def open_engine() -> Engine:
    from appbed.engine.docker import DockerEngine

    return DockerEngine()


@contextmanager
def attached(name: str | None) -> Iterator[Lab]:
    """A lab that is up; the stream to its agent ends with the block."""
    from appbed.lab import Lab

    lab = Lab.attach(open_engine(), name)
    try:
        yield lab
    finally:
        lab.agent.close()
