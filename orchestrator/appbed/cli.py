"""The command line: arguments in, tables and JSON out. No logic; the only module that prints."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from appbed import places
from appbed.errors import AppbedError, InputError

app = typer.Typer(
    help="The application layer of the Internet in containers, measured.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
link_app = typer.Typer(
    help="Links: show, set, reset. A link is the cable between a host and its network.", no_args_is_help=True
)
capture_app = typer.Typer(help="Captures: start, stop.", no_args_is_help=True)
app.add_typer(link_app, name="link", rich_help_panel="Links and packets")
app.add_typer(capture_app, name="capture", rich_help_panel="Links and packets")
_WIDTH = None if sys.stdout.isatty() else 140  # a file or a pipe has no width of its own
out = Console(highlight=False, soft_wrap=True, width=_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True, width=_WIDTH)

Name = Annotated[str | None, typer.Option("--name", "-n", help="the instance; not needed while only one is up")]
Json = Annotated[bool, typer.Option("--json", help="machine-readable output")]
INTERRUPTED = 130  # 128 + SIGINT, as a shell says it
LAB, LINKS, RUNS = "The lab", "Links and packets", "Scenarios"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line; every appbed error is one line, a stack trace only with --debug."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments[: arguments.index("--") if "--" in arguments else None]
    if debug:
        arguments.remove("--debug")
    signal.signal(signal.SIGTERM, lambda *_: _interrupt())
    try:
        status = app(args=arguments, standalone_mode=False) or 0  # a command that exits gives its status back
        if status == INTERRUPTED:
            err.print("appbed: interrupted; what was begun was taken down", style="bold")
        sys.exit(status)
    except (typer.Abort, KeyboardInterrupt):
        if debug:
            raise
        err.print("appbed: interrupted; what was begun was taken down", style="bold")
        sys.exit(INTERRUPTED)
    except AppbedError as error:
        if debug:
            raise
        err.print(f"appbed: {error}", style="bold red", markup=False)
        sys.exit(error.exit_code)
    except Exception as error:
        _unexpected(error, debug)


def _unexpected(error: Exception, debug: bool) -> NoReturn:
    """Click's own usage errors, a broken pipe, a full disk; anything else is a defect and says so."""
    if debug:
        raise error
    shown = getattr(error, "format_message", None)
    if shown:
        context = getattr(error, "ctx", None)
        err.print(
            f"appbed: {shown()}" + (f"; see {context.command_path} --help" if context else ""),
            style="bold red",
            markup=False,
        )
        sys.exit(2)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        err.print(f"appbed: {place}{error.strerror or error}", style="bold red", markup=False)
        sys.exit(3)
    err.print(
        f"appbed: defect: {type(error).__name__}: {error}; repeat with --debug and report it",
        style="bold red",
        markup=False,
    )
    sys.exit(3)


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


# ---- the machine


@app.command(rich_help_panel="The machine")
def setup() -> None:
    """Make this machine able: engine, Compose, base image, role images. What is there is left as it is."""
    from appbed.engine.setup import setup as make_able

    with _steps() as emit:
        machine = make_able(places.root(), emit)
    out.print(f"ready: engine {machine.engine}, Compose {machine.compose}, {len(machine.images)} role images")


@app.command(rich_help_panel="The machine")
def doctor(as_json: Json = False) -> None:
    """Say what this machine has and lacks, each with its fix. Changes nothing."""
    from appbed.engine.doctor import doctor as examine

    checks = examine(places.root())
    if as_json:
        _print_json([check.__class__ and _plain(check) for check in checks])
    else:
        table = Table("check", "", "found", "fix", box=None)
        for check in checks:
            table.add_row(check.name, _coloured(check.state), check.found, check.fix)
        out.print(table)
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(3)


# ---- the lab


@app.command("list", rich_help_panel=LAB)
def list_topologies(as_json: Json = False) -> None:
    """The topologies that can be brought up."""
    from appbed import topology

    shown = {name: topology.load(path, os.environ) for name, path in places.topologies().items()}
    if as_json:
        _print_json(
            [
                {"topology": name, "about": it.about, "hosts": sorted(it.hosts), "networks": sorted(it.networks)}
                for name, it in shown.items()
            ]
        )
        return
    table = Table("topology", "hosts", "networks", "about", box=None)
    for name, it in shown.items():
        table.add_row(name, str(len(it.hosts)), str(len(it.networks)), it.about)
    out.print(table)


@app.command(rich_help_panel=LAB)
def up(
    topology: Annotated[str, typer.Argument(help="a shipped topology (see `appbed list`) or a Compose file")],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="of the instance; default: the topology's name")
    ] = None,
    over: Annotated[list[Path] | None, typer.Option("--file", "-f", help="Compose file laid over the topology")] = None,
    links: Annotated[str, typer.Option(help="back-end of the links: auto, netem, relay")] = "auto",
    timeout: Annotated[float, typer.Option(help="seconds to wait until every host is ready")] = 60.0,
    as_json: Json = False,
) -> None:
    """Bring a topology up and wait until every host is ready."""
    from appbed.lab import Lab

    if links not in ("auto", "netem", "relay"):
        raise InputError(f"--links {links!r} is unknown", remedy="choose one of auto, netem, relay")
    with _spinner(f"up {topology}") as say:
        lab = Lab.up(
            places.topology_file(topology),
            _engine(),
            name=name,
            overrides=over or (),
            links=links,
            net=os.environ.get("APPBED_NET") or None,
            timeout_s=timeout,
            lives_on=True,
            say=lambda step: say(f"{step.seconds:5.1f} s  {step.what}"),
        )
    status = lab.agent.ask("status")
    lab.agent.close()
    if as_json:
        _print_json(
            {"name": lab.name, "topology": lab.topology.name, "hosts": status["hosts"], "links": status["links"]}
        )
    else:
        out.print(f"{lab.name} is up: {len(status['hosts'])} hosts, links by {status['links']}")


@app.command(rich_help_panel=LAB)
def down(name: Name = None, everything: Annotated[bool, typer.Option("--all", help="every instance")] = False) -> None:
    """Take an instance down; nothing of it stays."""
    from appbed.lab import the_one

    engine = _engine()
    instances = engine.instances()
    for instance in instances if everything else [the_one(instances, name)]:
        with _spinner(f"down {instance.name}"):
            removed = engine.down(instance.name)
        out.print(f"{instance.name} is down: {removed} containers and networks removed")


@app.command(rich_help_panel=LAB)
def ps(name: Name = None, as_json: Json = False) -> None:
    """What is up: instances and their hosts."""
    instances = [one for one in _engine().instances() if name in (None, one.name)]
    if as_json:
        _print_json([_plain(instance) for instance in instances])
        return
    if not instances:
        out.print("nothing is up")
    for instance in instances:
        table = Table(
            "host",
            "state",
            "health",
            "image",
            title=f"{instance.name} ({' + '.join(file.stem for file in instance.files)}, {instance.net}.0.0/16)",
            title_justify="left",
            box=None,
        )
        for container in instance.containers:
            table.add_row(container.service, container.state, container.health, container.image)
        out.print(table)


@app.command("exec", rich_help_panel=LAB)
def execute(host: str, command: Annotated[list[str], typer.Argument(help="after --")], name: Name = None) -> None:
    """Run a command inside a host: appbed exec client -- curl -s http://www.someschool.edu/"""
    done = _attached(name).exec(host, *command, check=False, timeout_s=600)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    raise typer.Exit(done.status)


@app.command(rich_help_panel=LAB)
def logs(
    host: str, name: Name = None, tail: Annotated[int | None, typer.Option(help="only the last lines")] = None
) -> None:
    """What a host's server logged."""
    lab = _attached(name)
    sys.stdout.write(lab.engine.logs(lab.name, host, tail=tail))


@app.command(rich_help_panel=LAB)
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False, as_json: Json = False
) -> None:
    """Remove what killed commands left behind; running instances that somebody brought up stay."""
    from appbed import leftovers

    engine = _engine()
    found = leftovers.find(engine)
    if as_json:
        _print_json([_plain(leftover) for leftover in found])
    for leftover in found:
        if not dry_run:
            leftovers.remove(engine, leftover)
        if not as_json:
            out.print(f"{'would remove' if dry_run else 'removed'} {leftover.what}: {leftover.why}")
    if not found and not as_json:
        out.print("nothing to remove")


# ---- links and packets


@link_app.command("show")
def link_show(
    attachment: Annotated[str | None, typer.Argument(help="host or host@network")] = None,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Links as declared, as set, and what they carried and dropped."""
    with _agent(name) as lab:
        lines = lab.links()
        if attachment:
            wanted = (
                {str(lab.topology.attachment(attachment))}
                if "@" in attachment
                else {str(at) for at in lab.topology.host(attachment).attachments}
            )
            lines = [line for line in lines if line["attachment"] in wanted]
    _show_links(lines, as_json)


@link_app.command("set")
def link_set(
    attachment: Annotated[str, typer.Argument(help="host or host@network")],
    settings: Annotated[
        list[str], typer.Argument(help="delay=20ms loss=1% rate=10mbit ...; up.delay=20ms for one direction")
    ],
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Change a link of a running instance; what is not named stays."""
    with _agent(name) as lab:
        _show_links([lab.link(attachment).change(**_settings(settings))], as_json)


@link_app.command("reset")
def link_reset(
    attachment: Annotated[list[str] | None, typer.Argument()] = None, name: Name = None, as_json: Json = False
) -> None:
    """Back to what the topology declares; without a name all links."""
    with _agent(name) as lab:
        names = attachment or [str(each) for each in lab.topology.attachments()]
        _show_links([lab.link(each).reset() for each in names], as_json)


@capture_app.command("start")
def capture_start(
    points: Annotated[list[str], typer.Argument(help="hosts, host@network, networks, or all")],
    label: Annotated[str, typer.Option(help="name of the capture")] = "capture",
    bpf: Annotated[str, typer.Option("--filter", help="pcap-filter(7) expression")] = "",
    snaplen: Annotated[int, typer.Option(help="bytes kept of each frame; 0 is all")] = 0,
    name: Name = None,
) -> None:
    """Capture on hosts (what the application lived through) and networks (what the wire carried)."""
    with _agent(name) as lab:
        lab.start_capture(label, points, filter=bpf, snaplen=snaplen)
    out.print(f"capturing as {label!r}; `appbed capture stop FILE` ends it")


@capture_app.command("stop")
def capture_stop(
    file: Annotated[Path, typer.Argument(help="where the pcapng file goes")],
    label: Annotated[str, typer.Option(help="name of the capture")] = "capture",
    name: Name = None,
    as_json: Json = False,
) -> None:
    """End a capture and fetch its file."""
    with _agent(name) as lab:
        captured = lab.stop_capture(label, file)
    if as_json:
        _print_json({"file": str(captured.file), "points": dict(captured.points), "dropped": captured.dropped})
        return
    table = Table("point", "frames", "dropped", box=None)
    for point, counts in captured.points.items():
        table.add_row(point, str(counts["frames"]), str(counts["dropped"]))
    out.print(table)


# ---- scenarios


@app.command(rich_help_panel=RUNS)
def run(
    what: Annotated[list[str], typer.Argument(help="scenario, group, claim, or all")],
    seed: Annotated[
        int | None, typer.Option(help="of every random number; the same seed loses the same frames")
    ] = None,
    links: Annotated[str, typer.Option(help="back-end of the links: auto, netem, relay")] = "auto",
    as_json: Json = False,
) -> None:
    """Bring the topology up, act, judge, take it down: predictions beside measurements, evidence under runs/."""
    import secrets

    from appbed import runner, scenario

    chosen = scenario.select(what)
    number = secrets.randbelow(2**31) if seed is None else seed
    finished = []
    with _spinner("run") as say:
        for ran in runner.run(chosen, _engine(), places.runs(), seed=number, links=links, say=say):
            finished.append(ran)
            if not as_json:
                _show_verdict(ran.name, ran.scenario.about, ran.verdict, ran.folder)
    if as_json:
        _print_json([_run_json(ran) for ran in finished])
    raise typer.Exit(_exit_code(ran.verdict.outcome.value for ran in finished))


@app.command(rich_help_panel=RUNS)
def check(folder: Annotated[Path, typer.Argument(help="a run's folder, below runs/")], as_json: Json = False) -> None:
    """Judge a saved run again, from its evidence alone."""
    from appbed import runner

    verdict = runner.check(folder)
    if as_json:
        _print_json(verdict.plain())
    else:
        _show_verdict(folder.name, "judged again", verdict, folder)
    raise typer.Exit(_exit_code([verdict.outcome.value]))


def _run_json(ran: Any) -> dict[str, Any]:
    plain = ran.verdict.plain()
    return {
        "scenario": ran.name,
        "claims": list(ran.scenario.claims),
        "outcome": plain["outcome"],
        "because": plain["because"],
        "predicted": {line["what"]: line["expected"] for line in plain["findings"]},
        "measured": {line["what"]: line["seen"] for line in plain["findings"]},
        "figures": plain["figures"],
        "evidence": str(ran.folder),
    }


def _show_verdict(name: str, about: str, verdict: Any, folder: Path) -> None:
    out.print(f"\n{name}: {about}", style="bold", markup=False)
    table = Table("step", "expected", "seen in packets", "verdict", box=None)
    for line in verdict.findings:
        table.add_row(line.what, line.expected, line.seen, _coloured(line.outcome.value))
    out.print(table)
    for key, value in (verdict.figures or {}).items():
        out.print(f"  {key}: {value:.4g}")
    out.print(f"{_coloured(verdict.outcome.value)}: {verdict.because}")
    out.print(f"evidence: {folder}", markup=False)


def _exit_code(outcomes: Iterable[str]) -> int:
    """0 passed, 1 a verdict failed, 4 inconclusive."""
    seen = set(outcomes)
    return 1 if "FAILED" in seen else 4 if "INCONCLUSIVE" in seen else 0


# ---- showing


def _settings(words: Sequence[str]) -> dict[str, Any]:
    """["delay=20ms", "up.loss=1%"] as an x-link block."""
    block: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{word!r} is no setting", remedy="write key=value, for example delay=20ms or up.loss=1%")
        direction, dot, inner = key.partition(".")
        if dot and direction not in ("up", "down"):
            raise InputError(
                f"{word!r}: direction {direction!r} is unknown", remedy="write up.KEY=VALUE or down.KEY=VALUE"
            )
        if dot:
            block.setdefault(direction, {})[inner] = value
        else:
            block[key] = value
    return block


def _show_links(lines: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        _print_json(list(lines))
        return
    table = Table("link", "address", "by", "direction", "declared", "set", "carried", "dropped", box=None)
    for line in lines:
        for direction in ("up", "down"):
            counted = (line["counters"] or {}).get(direction, {})
            dropped = sum(counted.get(cause, 0) for cause in ("lost", "overflowed", "down", "refused"))
            first = direction == "up"
            table.add_row(
                line["attachment"] if first else "",
                line["address"] if first else "",
                line["cable"] if first else "",
                direction,
                _words(line["declared"][direction]),
                _words(line["set"][direction]),
                str(counted.get("frames_out", "")),
                str(dropped) if counted else "",
            )
    out.print(table)


def _words(settings: Mapping[str, object]) -> str:
    return " ".join(f"{key} {value}" for key, value in settings.items()) or "clean"


def _engine() -> Any:
    from appbed.engine.docker import DockerEngine

    return DockerEngine()


def _attached(name: str | None) -> Any:
    from appbed.lab import Lab

    return Lab.attach(_engine(), name)


@contextmanager
def _agent(name: str | None) -> Iterator[Any]:
    lab = _attached(name)
    try:
        yield lab
    finally:
        lab.agent.close()


@contextmanager
def _spinner(title: str) -> Iterator[Callable[[str], None]]:
    """One moving line on a terminal, plain lines elsewhere."""
    if not err.is_terminal:
        yield lambda text: err.print(f"{title}: {text}", markup=False)
        return
    with err.status(title) as status:
        yield lambda text: status.update(f"{title}  {text}")


@contextmanager
def _steps() -> Iterator[Callable[[Any], None]]:
    """A line for each finished step; on a terminal the one under way is shown moving."""
    with _spinner("setup") as say:

        def emit(event: Any) -> None:
            if event.state in ("done", "skipped"):
                out.print(f"{event.step:<18} {event.state:<8} {event.seconds:6.1f} s  {event.detail}", markup=False)
            elif err.is_terminal or event.state == "progress":
                say(f"{event.step}: {event.detail}" if event.detail else event.step)

        yield emit


def _coloured(state: str) -> str:
    colours = {
        "ok": "green",
        "warn": "yellow",
        "fail": "red",
        "PASSED": "green",
        "FAILED": "red",
        "INCONCLUSIVE": "yellow",
    }
    return f"[{colours[state]}]{state}[/]" if state in colours else state


def _plain(value: Any) -> Any:
    from dataclasses import asdict

    return asdict(value)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
