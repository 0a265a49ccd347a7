"""fault pause, stop, kill, restart, cut, partition, flap, show, heal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appbed.cli import offers
from appbed.cli.app import Json, Name, attached, fault_app
from appbed.cli.show import out, print_json, table

if TYPE_CHECKING:
    from appbed.faults import Fault, Faults

Host = Annotated[str, typer.Argument(help="a host of the topology", autocompletion=offers.hosts)]
Link = Annotated[str, typer.Argument(help="host or host@network", autocompletion=offers.links)]
Stay = Annotated[
    str | None, typer.Option("--for", help="heal after this time (5s), waiting; else it stays until healed")
]
Lasting = Annotated[
    str | None, typer.Option("--for", help="heal by itself after this time (5s); else it stays until healed")
]


@fault_app.command("pause")
def pause(host: Host, lasting: Stay = None, name: Name = None, as_json: Json = False) -> None:
    """The host's processes stand still: nothing answers, nothing is said."""
    _host_fault(name, lasting, as_json, lambda faults: faults.pause(host))


@fault_app.command("stop")
def stop(host: Host, lasting: Stay = None, name: Name = None, as_json: Json = False) -> None:
    """The host ends as when asked to."""
    _host_fault(name, lasting, as_json, lambda faults: faults.stop(host))


@fault_app.command("kill")
def kill(host: Host, lasting: Stay = None, name: Name = None, as_json: Json = False) -> None:
    """The host ends in the middle of whatever it does."""
    _host_fault(name, lasting, as_json, lambda faults: faults.kill(host))


@fault_app.command("restart")
def restart(host: Host, name: Name = None, as_json: Json = False) -> None:
    """Stop the host and start it again; returns when it is ready."""
    with _faults(name) as faults:
        faults.restart(host)
    if as_json:
        print_json({"restarted": host})
    else:
        out.print(f"{host} was restarted")


@fault_app.command("cut")
def cut(
    link: Link,
    direction: Annotated[str | None, typer.Argument(help="up (from the host) or down (to it); else both")] = None,
    lasting: Lasting = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Nothing passes the link any more, in one direction or both."""
    with _faults(name) as faults:
        _say_begun(faults.cut(link, direction, lasting=lasting), as_json)


@fault_app.command("partition")
def partition(
    groups: Annotated[list[str], typer.Argument(help="client,campus server,core: hosts and networks, a group a word")],
    lasting: Lasting = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Groups cannot reach each other; one group is parted from all the rest."""
    with _faults(name) as faults:
        _say_begun(faults.partition(*(group.split(",") for group in groups), lasting=lasting), as_json)


@fault_app.command("flap")
def flap(
    link: Link,
    down: Annotated[str, typer.Option(help="how long it is cut each time: 1s")],
    up: Annotated[str, typer.Option(help="how long it is whole in between: 3s")],
    lasting: Lasting = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """The link is cut and whole by turns."""
    with _faults(name) as faults:
        _say_begun(faults.flap(link, down=down, up=up, lasting=lasting), as_json)


@fault_app.command("show")
def show(name: Name = None, as_json: Json = False) -> None:
    """What is wrong on purpose, and hosts that do not run."""
    with _faults(name) as faults:
        wrong = faults.show()
    if as_json:
        print_json(wrong)
    elif not wrong:
        out.print("nothing is wrong")
    else:
        table("fault", "kind", "of", "now", "ends", rows=[_row(fault) for fault in wrong])


@fault_app.command("heal")
def heal(
    targets: Annotated[list[str] | None, typer.Argument(help="host, host@network or number; else all")] = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """End faults, whoever began them: what the topology declares, or was set, holds again."""
    with _faults(name) as faults:
        healed = faults.heal(*(targets or ()))
    if as_json:
        print_json(healed)
        return
    for each in healed or ["nothing"]:
        out.print(f"healed: {each}")


@contextmanager
def _faults(name: str | None, *, outlive: bool = True) -> Iterator[Faults]:
    """Those of an instance; what a command begins mostly stays when the command ends."""
    from appbed.faults import Faults

    with attached(name) as lab:
        yield Faults(lab.engine, lab.name, lab.topology, lab.agent, outlive=outlive)


def _host_fault(name: str | None, lasting: str | None, as_json: bool, begin: Callable[[Faults], Fault]) -> None:
    """With a time the command stays and heals, also when it is interrupted: the agent cannot mend a host."""
    from appbed.links import seconds

    if lasting is None:
        with _faults(name) as faults:
            _say_begun(begin(faults), as_json)
        return
    length = seconds(lasting)
    with _faults(name, outlive=False) as faults, begin(faults) as fault:
        _say_begun(fault, as_json)
        threading.Event().wait(length)


def _say_begun(fault: Fault, as_json: bool) -> None:
    if as_json:
        print_json({"fault": fault.hold, "kind": fault.kind, "targets": list(fault.targets)})
    else:
        out.print(f"{fault.kind} of {', '.join(fault.targets)}; `appbed fault heal {fault.hold}` ends it")


def _row(fault: Mapping[str, Any]) -> tuple[str, ...]:
    left = fault.get("seconds_left")
    ends = f"in {left:.1f} s" if left is not None else "with its holder" if fault.get("holder") else "when healed"
    if fault["left_behind"]:
        ends = "when healed: whoever began it is gone" if fault["hold"] else "when healed: not begun here"
    return (fault["hold"] or "", fault["kind"], ", ".join(fault["targets"]), fault["state"], ends)
