"""The house's rules, read off the syntax tree: imports point down, effects live at the edge. docs and design say why."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import appbed

ROOT = Path(appbed.__file__).parent
# From the ground up; a module may import what stands on a lower floor, and a package's modules each other.
# "engine" is the protocol alone; what speaks to real engines ("engines": docker, setup, doctor, ...) only the top may choose.
FLOORS = (
    ("errors",),
    ("units", "models", "verdict", "places", "lease"),
    ("impairment", "analysis"),
    ("schema", "evidence"),
    ("loader", "report"),
    ("topology",),
    ("engine", "agent"),
    ("leftovers", "agent_client", "faults"),
    ("bringup",),
    ("lab",),
    ("scenario",),
    ("scenarios",),
    ("runner", "engines"),
    ("cli", "pytest_plugin"),
)
FLOOR = {part: height for height, parts in enumerate(FLOORS) for part in parts}
# `scenario` finds scenarios by walking their package, whose __init__ holds nothing.
REGISTRY = ("appbed.scenario", "appbed.scenarios")
STARTERS = {"subprocess", "docker", "multiprocessing", "pty", "pexpect"}
STARTING = {
    "os": {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell", "subprocess"},
    "concurrent.futures": {"ProcessPoolExecutor"},
}


def name_of(path: Path) -> str:
    """ "appbed.agent.door" of .../appbed/agent/door.py."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def nodes(module: str) -> tuple[ast.AST, ...]:
    """Every node of its syntax tree."""
    return tuple(ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))))


def part(module: str) -> str:
    """The part of the house a module belongs to: "agent" of "appbed.agent.door"; "" of the house itself."""
    if module.startswith("appbed.engine."):
        return "engines"
    return module.split(".")[1] if "." in module else ""


@cache
def imports(module: str) -> frozenset[str]:
    """Modules named in its imports, wherever they stand; `from appbed import lab` names appbed.lab."""
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package.split(".")[: len(package.split(".")) + 1 - node.level]] if node.level else [])
            source = ".".join(filter(None, [base, node.module]))
            inner = {f"{source}.{alias.name}" for alias in node.names}
            found |= {name if name in SOURCES else source for name in inner}
    return frozenset(found)


@cache
def reached(module: str) -> frozenset[str]:
    """All of the house that importing a module brings in, at the latest when its functions run."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        for name in imports(waiting.pop()):
            if name in SOURCES and name not in seen:
                seen.add(name)
                waiting.append(name)
    return frozenset(seen)


def calls(module: str) -> Iterator[tuple[int, str]]:
    """(line, "os.fork") of every use of an attribute of a name, and of every name called."""
    for node in nodes(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, node.func.id


def of(*parts: str) -> list[str]:
    return [module for module in SOURCES if part(module) in parts]


def others(*parts: str) -> list[str]:
    return [module for module in SOURCES if part(module) not in parts]


def test_every_module_has_its_floor() -> None:
    homeless = {part(module) for module in SOURCES} - set(FLOOR) - {""}
    assert not homeless, f"say in FLOORS where {', '.join(sorted(homeless))} stands"


def climbing() -> Iterator[tuple[str, str]]:
    """(module, what it imports) wherever that does not stand below it."""
    for module in others(""):
        for name in sorted(imports(module)):
            inside = name.startswith("appbed.") and part(name) != part(module) and (module, name) != REGISTRY
            if inside and FLOOR[part(name)] >= FLOOR[part(module)]:
                yield module, name


def test_imports_point_down() -> None:
    assert not [f"{module} imports {name}, which does not stand below it" for module, name in climbing()]


def test_what_judges_knows_nothing_of_labs() -> None:
    for module in of("analysis", "models", "verdict", "evidence", "report"):
        above = {name for name in reached(module) if FLOOR.get(part(name), 0) >= FLOOR["engine"]}
        assert not above, f"{module} reaches {sorted(above)}"


def test_only_engine_and_agent_start_processes() -> None:
    for module in others("engines", "agent"):
        assert not {name.partition(".")[0] for name in imports(module)} & STARTERS, module
        used = {name for _, name in calls(module)}
        for owner, names in STARTING.items():
            assert not {f"{owner.rpartition('.')[2]}.{name}" for name in names} & used, module
        assert not [name for name in used if name.startswith(("os.exec", "os.spawn"))], module
        for node in nodes(module):
            if isinstance(node, ast.ImportFrom) and node.module in STARTING:
                assert not STARTING[node.module] & {alias.name for alias in node.names}, module


def test_only_the_command_line_prints() -> None:
    """The agent prints too: its output is its log."""
    speaking = {"print", "sys.stdout", "sys.stderr", "rich.print"}
    for module in others("cli", "agent"):
        said = [f"{SOURCES[module]}:{line}: {name}" for line, name in calls(module) if name in speaking]
        assert not said


def test_scenarios_know_labs_and_nothing_above_or_behind_them() -> None:
    for module in of("scenarios"):
        known = imports(module)
        assert not known & {"appbed.cli", "appbed.runner", "appbed.pytest_plugin"}, module
        assert not [name for name in known if part(name) == "engines" or name.partition(".")[0] == "docker"], module


def test_no_shell_reads_a_command() -> None:
    for module in SOURCES:
        for node in nodes(module):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant), module
                assert node.value.value is False, module


def test_nothing_sleeps() -> None:
    """Waiting is for a condition with a deadline."""
    assert not [
        f"{SOURCES[module]}:{line}" for module in SOURCES for line, name in calls(module) if name == "time.sleep"
    ]


def test_what_the_agent_imports_is_in_its_image() -> None:
    """Standard library, the house below it, and the packages named in its Dockerfile."""
    packages = {"yaml": "python3-yaml", "pydantic": "python3-pydantic", "scapy": "python3-scapy"}
    dockerfile = (ROOT.parents[1] / "images/agent/Dockerfile").read_text(encoding="utf-8")
    programs = ("appbed.agent.__main__", "appbed.agent.talk", "appbed.agent.capture")
    for module in sorted({*programs, *(name for program in programs for name in reached(program))}):
        for name in imports(module):
            root = name.partition(".")[0]
            if root not in ("appbed", *sys.stdlib_module_names):
                assert packages.get(root, f"nothing for {root}") in dockerfile, f"{module} imports {name}"
