"""The command line: arguments in, tables and JSON out. No logic; the only part of the package that prints."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import typer

from appbed.cli import captures, faults, lab, links, machine, own, packets, reports, runs, swarm, verify
from appbed.cli.app import Interrupted, ReaderLeft, app, capture_app, fault_app, link_app
from appbed.cli.show import complain, out, say_wrong
from appbed.errors import AppbedError

__all__ = [
    "captures",
    "faults",
    "lab",
    "links",
    "machine",
    "main",
    "own",
    "packets",
    "reports",
    "runs",
    "swarm",
    "verify",
]
INTERRUPTED, READER_LEFT = 130, 141  # 128 + SIGINT, 128 + SIGPIPE, as a shell says it

app.add_typer(link_app, name="link", rich_help_panel="Links and packets")
app.add_typer(capture_app, name="capture", rich_help_panel="Links and packets")
app.add_typer(fault_app, name="fault", rich_help_panel="Links and packets")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line; what goes wrong is one line, a stack trace only with --debug."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments[: arguments.index("--") if "--" in arguments else None]
    if debug:
        arguments.remove("--debug")
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup's wish counts
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        sys.exit(_status(arguments, debug))
    except (ReaderLeft, OSError):  # OSError: a pipe without its reader, a terminal that is gone; others were told
        for descriptor in (1, 2):  # what is left in the buffers cannot be said to anybody
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        sys.exit(READER_LEFT)


def _status(arguments: Sequence[str], debug: bool) -> int:
    """Runs a command to its exit status."""
    try:
        status = app(args=arguments, standalone_mode=False) or 0  # a command that exits gives its status back
        sys.stdout.flush()
        return int(status)
    except (typer.Abort, KeyboardInterrupt, Interrupted) as error:
        _traced(error, debug)
        complain("interrupted; what was begun was taken down")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        _traced(error, debug)
        return _told(error)


def _traced(error: BaseException, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)


def _told(error: Exception) -> int:
    """Says the error in one line; its exit code. What is neither ours nor the system's is a defect and says so."""
    if isinstance(error, AppbedError):
        say_wrong(error)
        return error.exit_code
    if type(error).__name__ == "NoArgsIsHelpError":  # a command without its words asks what there is
        out.print(str(error))
        return 2
    if shown := getattr(error, "format_message", None):  # a usage error of the library's
        context = getattr(error, "ctx", None)
        say_wrong(shown().rstrip(".") + (f"; see {context.command_path} --help" if context else ""))
        return 2
    if isinstance(error, OSError):
        say_wrong(f"{error.filename}: {error.strerror or error}" if error.filename else error.strerror or error)
        return 3
    say_wrong(f"defect: {type(error).__name__}: {error}; repeat with --debug and report it")
    return 3


def _interrupt(*_: object) -> NoReturn:
    raise Interrupted
