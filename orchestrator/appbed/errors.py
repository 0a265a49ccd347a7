"""Everything appbed raises on purpose, one tree.

    AppbedError                 exit  what went wrong
      InputError                   2  something a person wrote: a topology, a value, an argument
        TopologyError              2  ... in a topology file: file, path, value, choices
        UnitError                  2  ... in a quantity: "fast" is no delay
        CaptureError               2  ... a file that is not a capture, or not readable as one
      EngineError                  3  the machine or the engine is not able
        StartError                 3  a lab did not come up; it was taken down again
        AgentError                 3  the agent refused or is gone
          LinkError                3  ... a cable does not do what it was told
      CommandError                 1  a command inside a host ended with a non-zero status
      CommandTimeout               1  what was waited for inside a lab did not happen in time

Every message is one line: place, value, choices; the remedy follows it.
"""

from __future__ import annotations

from collections.abc import Iterable


class AppbedError(Exception):
    """Base of all; `exit_code` is what the command line returns for it."""

    exit_code = 2

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = _one_line(message)
        super().__init__(self.message)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


def _one_line(text: str) -> str:
    """Line breaks and control characters as Python writes them: names come from files, last words from servers."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class InputError(AppbedError):
    """Something a person wrote is wrong."""


class TopologyError(InputError):
    """A topology file is wrong; `place` is "file: path.to.key"."""

    def __init__(self, place: str, problem: str, *, choices: Iterable[str] = (), remedy: str = "") -> None:
        self.place, self.problem, self.choices = place, problem, tuple(choices)
        known = ", ".join(self.choices)
        super().__init__(f"{place}: {problem}" + (f"; known: {known}" if known else ""), remedy=remedy)


class UnitError(InputError):
    """A quantity cannot be read."""


class CaptureError(InputError):
    """A capture cannot be read."""


class EngineError(AppbedError):
    """The machine or the engine is not able."""

    exit_code = 3


class StartError(EngineError):
    """A lab did not come up."""


class AgentError(EngineError):
    """The agent refused a request or cannot be reached."""


class LinkError(AgentError):
    """A cable does not do what it was told; the agent goes on trying."""


class CommandError(AppbedError):
    """A command inside a host failed; carries its output."""

    exit_code = 1

    def __init__(self, host: str, argv: Iterable[str], status: int, stdout: str, stderr: str) -> None:
        said = (stderr.strip() or stdout.strip()).splitlines()
        super().__init__(f"{host}: {' '.join(argv)}: exit status {status}" + (f": {said[-1]}" if said else ""))
        self.host = host
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


class CommandTimeout(AppbedError):
    """What was waited for inside a lab did not happen in time."""

    exit_code = 1
