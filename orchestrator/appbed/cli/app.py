"""The command's root, and what several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from appbed.cli import offers
from appbed.cli.show import out
from appbed.errors import InputError

if TYPE_CHECKING:  # they bring the engine's SDK with them, which `--help` need not wait for
    from appbed.engine import Engine
    from appbed.lab import Lab


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. No KeyboardInterrupt, which the library would turn into an exit status a command may have too."""


class ReaderLeft(BaseException):
    """Nobody reads our output any more: `appbed list | head -1`. No OSError, which the library would turn into exit status 1."""


PANELS = ("The lab", "Links and packets", "Scenarios", "Your own lab", "The machine")


class Commands(TyperGroup):
    """The library's group, but a Ctrl-C and a reader that left pass through it, and `--help` says what commands are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """By panel, in the order of PANELS; the library does this only in boxes."""
        shown = {name: command for name, command in self.commands.items() if not command.hidden}
        width = max(map(len, shown))
        rows: dict[str, list[tuple[str, str]]] = {panel: [] for panel in PANELS}
        for name, command in shown.items():
            said = command.get_short_help_str(formatter.width - width - 6)
            rows.setdefault(getattr(command, "rich_help_panel", None) or PANELS[-1], []).append(
                (name.ljust(width), said)
            )
        for panel, lines in rows.items():
            if lines:
                with formatter.section(panel):
                    formatter.write_dl(lines)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _passing():  # `--help` is printed here
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _passing():
            return super().invoke(ctx)


class Foreign(TyperCommand):
    """A command whose last words are another program's: what begins with a dash there belongs behind `--`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if type(error).__name__ != "NoSuchOption":
                raise
            said = getattr(error, "message", str(error)).rstrip(".")
            remedy = f"write -- before the command: {ctx.command_path} HOST -- COMMAND"
            raise InputError(said, remedy=remedy) from None


@contextmanager
def _passing() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None
    except BrokenPipeError:
        raise ReaderLeft from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(f"appbed {version('appbed')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="say which it is")
    ] = False,
) -> None:
    """The application layer of the Internet in containers, measured."""


link_app = typer.Typer(
    help="Links: show, set, schedule, reset. A link is the cable between a host and its network.", no_args_is_help=True
)
capture_app = typer.Typer(help="Captures: start, stop.", no_args_is_help=True)
fault_app = typer.Typer(
    help="Faults: pause, stop, kill, restart a host; cut, part, flap links; show and heal.", no_args_is_help=True
)

Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        "-n",
        envvar="APPBED_NAME",
        help="the instance; not needed while only one is up",
        autocompletion=offers.instances,
    ),
]
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
