"""The house's rules, read off the syntax tree: imports point down, effects live at the edge. docs and design say why."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import appbed

pytestmark = pytest.mark.thorough  # reads every module

ROOT = Path(appbed.__file__).parent
# From the ground up; a module may import what stands on a lower floor, and a package's modules each other.
# "engine" is the protocol alone; what speaks to real engines ("engines": docker, setup, doctor, ...) only CHOOSERS may name.
FLOORS = (
    ("errors", "process"),
    ("units", "models", "verdict", "claims", "places", "lease", "fields", "analysis"),
    ("impairment",),
    ("schema", "evidence", "fidelity", "swarms"),
    ("loader", "report", "starter"),
    ("topology",),
    ("engine", "agent", "partition"),
    ("engines",),
    ("leftovers", "agent_client", "captured", "shells"),
    ("bringup", "links", "forgetting"),
    ("faults",),
    ("lab",),
    ("scenario", "verify"),
    ("scenarios",),
    ("runner",),
    ("testbed",),
    ("cli", "pytest_plugin"),
)
CHOOSERS = ("cli", "pytest_plugin")
FLOOR = {part: height for height, parts in enumerate(FLOORS) for part in parts}
# `scenario` finds scenarios by walking their package, whose __init__ holds nothing.
REGISTRY = ("appbed.scenario", "appbed.scenarios")
PURE = (
    "units",
    "models",
    "verdict",
    "claims",
    "fields",
    "impairment",
)  # the same answer every time, whatever the machine
JUDGES = ("analysis", "models", "verdict", "evidence", "report", "fidelity")
OUTSIDE = {"os", "socket", "time", "random", "secrets", "threading", "asyncio", "pathlib", "tempfile", "shutil"}
STARTERS = {"subprocess", "docker", "multiprocessing", "pty", "pexpect", "requests"}
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
def tree(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text(encoding="utf-8"))


@cache
def nodes(module: str) -> tuple[ast.AST, ...]:
    """The nodes of its syntax tree that a rule here is about."""
    asked = (ast.Import, ast.ImportFrom, ast.Attribute, ast.Call, ast.keyword, ast.List, ast.Tuple)
    return tuple(node for node in ast.walk(tree(module)) if isinstance(node, asked))


def part(module: str) -> str:
    """The part of the house a module belongs to: "agent" of "appbed.agent.door"; "" of the house itself."""
    if module.startswith("appbed.engine."):
        return "engines"
    return module.split(".")[1] if "." in module else ""


@cache
def imports(module: str, *, at_once: bool = False) -> frozenset[str]:
    """Modules named in its imports, wherever they stand, or `at_once` those of its first level; `from appbed import lab` names
    appbed.lab."""
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in tree(module).body if at_once else nodes(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package.split(".")[: len(package.split(".")) + 1 - node.level]] if node.level else [])
            source = ".".join(filter(None, [base, node.module]))
            inner = {f"{source}.{alias.name}" for alias in node.names}
            found |= {name if name in SOURCES else source for name in inner}
    return frozenset(found)


@cache
def reached(module: str, *, at_once: bool = False) -> frozenset[str]:
    """All of the house that importing a module brings in, at the latest when its functions run."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        for name in imports(waiting.pop(), at_once=at_once):
            if name in SOURCES and name not in seen:
                seen.add(name)
                waiting.append(name)
    return frozenset(seen)


@cache
def calls(module: str) -> tuple[tuple[int, str], ...]:
    """(line, "os.fork") of every use of an attribute of a name, and of every name called."""
    return tuple(_calls(module))


def _calls(module: str) -> Iterator[tuple[int, str]]:
    for node in nodes(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, node.func.id


def brought(module: str, source: str) -> set[str]:
    """Names that `from source import ...` brings into a module."""
    taken = [node for node in nodes(module) if isinstance(node, ast.ImportFrom) and node.module == source]
    return {alias.name for node in taken for alias in node.names}


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


def test_only_the_top_chooses_an_engine() -> None:
    for module in others("engines", *CHOOSERS):
        assert not {name for name in imports(module) if part(name) == "engines"}, module


def test_what_is_pure_asks_nothing_of_the_machine() -> None:
    for module in of(*PURE):
        assert not {name.partition(".")[0] for name in imports(module)} & OUTSIDE, module
        asked = {"open", "datetime.now", "datetime.today", "date.today"} & {name for _, name in calls(module)}
        assert not asked, f"{module}: {asked}"


def test_what_judges_knows_nothing_of_labs() -> None:
    for module in of(*JUDGES):
        above = {name for name in reached(module) if FLOOR.get(part(name), 0) >= FLOOR["engine"]}
        assert not above, f"{module} reaches {sorted(above)}"


def test_only_engine_and_agent_start_processes() -> None:
    for module in others("engines", "agent"):
        assert not {name.partition(".")[0] for name in imports(module)} & STARTERS, module
        used = {name for _, name in calls(module)}
        for owner, names in STARTING.items():
            used |= {f"{owner.rpartition('.')[2]}.{name}" for name in brought(module, owner)}
            assert not {f"{owner.rpartition('.')[2]}.{name}" for name in names} & used, module
        assert not [name for name in used if name.startswith(("os.exec", "os.spawn"))], module


def test_only_the_command_line_prints() -> None:
    """The agent prints too: its output is its log."""
    speaking = {"print", "input", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "warnings.warn"}
    for module in others("cli"):
        speakers = {name.partition(".")[0] for name in imports(module)} & {"rich", "typer", "click", "logging"}
        assert not speakers, f"{module} imports {speakers}"
    for module in others("cli", "agent"):
        said = [f"{SOURCES[module]}:{line}: {name}" for line, name in calls(module) if name in speaking]
        assert not said
        assert not brought(module, "sys") & {"stdout", "stderr", "__stdout__", "__stderr__"}, module


def test_help_waits_for_nothing_heavy() -> None:
    """The SDK, packets and the models take longer to import than the rest of a short command."""
    loaded = {"appbed.cli", *reached("appbed.cli", at_once=True)}
    packages = {name.partition(".")[0] for module in loaded for name in imports(module, at_once=True)}
    assert not packages & {"docker", "scapy", "pydantic", "yaml", "dns", "h11", "requests", "jinja2", "matplotlib"}
    assert not {part(module) for module in loaded} & {"analysis", "lab", "engines", "report"}


def test_scenarios_know_labs_and_nothing_above_them() -> None:
    for module in of("scenarios"):
        assert not {"cli", "runner", "pytest_plugin"} & {part(name) for name in reached(module)}, module


def test_the_door_brings_nothing_of_the_house_along() -> None:
    """What opens other containers' namespaces is one short file that reads no topology, no frame and no setting."""
    assert not reached("appbed.agent.door")
    assert not {name.partition(".")[0] for name in imports("appbed.agent.door")} - sys.stdlib_module_names


def test_no_shell_reads_a_command() -> None:
    """Not by shell=True, not by a call that always asks one, not by a command in one piece."""
    shells = {
        "os.system",
        "os.popen",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "asyncio.create_subprocess_shell",
    }
    starting = {"run", "Popen", "call", "check_call", "check_output"}
    for module in SOURCES:
        assert not shells & {name for _, name in calls(module)}, module
        for node in nodes(module):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant), module
                assert node.value.value is False, module
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in starting:
                assert not isinstance(node.args[0] if node.args else None, ast.JoinedStr), f"{module}:{node.lineno}"
                named = isinstance(node.func.value, ast.Name) and node.func.value.id == "subprocess"
                assert not (named and isinstance(node.args[0], ast.Constant)), f"{module}:{node.lineno}"
            if isinstance(node, ast.List | ast.Tuple):
                words = [item.value for item in node.elts[:2] if isinstance(item, ast.Constant)]
                assert words not in (["sh", "-c"], ["bash", "-c"], ["/bin/sh", "-c"]), f"{module}:{node.lineno}"


def test_nothing_sleeps() -> None:
    """Waiting is for a condition with a deadline."""
    assert not [
        f"{SOURCES[module]}:{line}" for module in SOURCES for line, name in calls(module) if name == "time.sleep"
    ]
    assert not [module for module in SOURCES if "sleep" in brought(module, "time") | brought(module, "asyncio")]


def test_modules_are_imported_by_name_only_where_scenarios_are_found() -> None:
    """An import that is not written down is one that no test here sees."""
    for module in SOURCES:
        hidden = {"importlib", "runpy"} & imports(module)
        asked = {"__import__", "exec", "eval"} & {name for _, name in calls(module)}
        assert not hidden | asked or module == REGISTRY[0], f"{module}: {hidden | asked}"


def test_every_module_says_what_it_is_for() -> None:
    for module, path in SOURCES.items():
        empty = not tree(module).body or path.name == "__main__.py"
        assert empty or ast.get_docstring(tree(module)), f"{path}: begin with one sentence on what it is for"


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
