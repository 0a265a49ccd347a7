"""Whatever stands in a topology, a unit, an `x-` block or an answer of the agent: it is read, or one line says what is wrong where."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appbed import impairment, loader, schema, topology, units
from appbed.agent_client import AgentClient
from appbed.engine import Engine
from appbed.errors import AgentError, AppbedError, InputError, TopologyError, UnitError
from appbed.loader import Document
from fuzzed import CASES, fuzzed, values, words
from small_lab import SMALL, write_small

pytestmark = pytest.mark.timeout(120 + CASES // 10)
ROLE = "services: {browser: {image: lab/client, environment: [A=1], networks: [campus], x-role: {name: client}}}\n"
PART = "services: {}\nnetworks: {spare: {x-link: &slow {delay: 5ms}, ipam: {config: [{subnet: 10.77.9.0/24}]}}}\n"
PIECES = (
    "", "&a ", "*a", "*slow", "<<: *slow", "!!bool x", "!!binary aGk=", "!!set {a}", "!reset", "{", "}", "[", "]", "]]]]]]]",
    ": ", "- ", "? ", "#", "'", '"', '"\\0"', "\t", "\n", "\n  ", "|", "> ", "%", "@", "$", "${X", "${X:-", "$$", "~", "null",
    "yes", "089", "0x1F", ".inf", ".nan", "1_0", "190:20:30.15", "2001-01-01", "x-", "x-link: {delay: 5ms}", "extends: client",
    "include: [part.yaml]", "include: [lab.yaml]", "services:", "networks:", "ipv4_address", "10.77.1.2", "/32", "lab/web",
    "client", "campus", "\ufeff", "é", "🙂",
)  # fmt: skip
changes = st.lists(
    st.tuples(st.integers(0, 5), st.floats(0, 1, exclude_max=True), st.integers(1, 40), st.sampled_from(PIECES)),
    min_size=1,
    max_size=4,
)


def changed(text: str, done: Sequence[tuple[int, float, int, str]]) -> str:
    """Pieces put in, cut out, put in the place of others, doubled, moved to the end; lines taken out."""
    for kind, where, size, piece in done:
        at = int(where * len(text))
        cut = text[at : at + size]
        if kind == 0:
            text = text[:at] + piece + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + size :]
        elif kind == 2:
            text = text[:at] + piece + text[at + size :]
        elif kind == 3:
            text = text[:at] + cut + text[at:]
        elif kind == 4:
            text = text[:at] + text[at + size :] + cut
        else:
            lines = text.splitlines(keepends=True)
            del lines[int(where * len(lines)) : int(where * len(lines)) + 1]
            text = "".join(lines)
    return text


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def written(folder: Path) -> dict[str, str]:
    """A topology of three files, each of which may be the one that is wrong."""
    text = SMALL.replace(
        "    image: lab/client\n    x-role: {name: client}\n", "    extends: {file: role.yaml, service: browser}\n"
    )
    return {"lab.yaml": f"include: [part.yaml]\n{text}", "part.yaml": PART, "role.yaml": ROLE}


def read_or_refused(document: Document) -> None:
    """And what is read here is read alike by the agent, to which it goes as JSON."""
    read = topology.resolve(document)
    sent = Document(document.path, json.loads(json.dumps(document.data)))
    assert topology.resolve(sent) == read


def test_the_files_are_a_topology_before_they_are_changed(folder: Path) -> None:
    for name, text in written(folder).items():
        (folder / name).write_text(text, encoding="utf-8")
    read_or_refused(loader.load(folder / "lab.yaml", {}))


@fuzzed
@given(st.sampled_from(["lab.yaml", "lab.yaml", "part.yaml", "role.yaml"]), changes)
def test_a_changed_topology_file_is_read_or_refused_at_its_place(
    folder: Path, which: str, done: list[tuple[int, float, int, str]]
) -> None:
    for name, text in written(folder).items():
        (folder / name).write_text(changed(text, done) if name == which else text, encoding="utf-8")
    refused_in_one_line(folder, lambda: read_or_refused(loader.load(folder / "lab.yaml", {})))


def refused_in_one_line(folder: Path, read: Any) -> None:
    said = ""
    try:
        read()
    except TopologyError as error:
        said = str(error)
    assert not said or said.startswith(str(folder)), said
    assert said.isprintable()


def paths(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from paths(inner, (*at, key))


def small() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        return loader.load(write_small(Path(name)), {}).data


WHOLE = small()


@fuzzed
@given(
    st.lists(
        st.tuples(st.sampled_from(list(paths(WHOLE))[1:]), st.integers(0, 3), words, values), min_size=1, max_size=3
    )
)
def test_a_model_with_anything_anywhere_is_a_topology_or_refused_at_its_place(
    done: list[tuple[tuple[str | int, ...], int, str, object]],
) -> None:
    data = copy.deepcopy(WHOLE)
    for path, kind, name, value in done:
        with contextlib.suppress(KeyError, IndexError, TypeError, AttributeError):  # what an earlier change took away
            inner: Any = data
            for key in path[:-1]:
                inner = inner[key]
            if kind == 1:
                inner[name] = inner.pop(path[-1])
            elif kind == 2:
                inner[name] = value
            else:
                inner[path[-1]] = value
    refused_in_one_line(Path("lab.yaml"), lambda: topology.resolve(Document(Path("lab.yaml"), data)))


READERS = (units.duration_ms, units.share_pct, units.rate_bit, units.size_bytes, units.queue, units.moment_s)
NUMBERS = (
    "1",
    "0",
    "20",
    ".5",
    "1.",
    "1e3",
    "1e-9",
    "1e400",
    "1E+5",
    "-1",
    "+1",
    "٣",
    "1,5",
    "0x10",
    "9" * 400,
    "∞",
    "nan",
    "",
)
UNITS = (
    "ms",
    "s",
    "us",
    "µs",
    "%",
    "mbit",
    "gbps",
    "KiB",
    "packets",
    " packets",
    "MB",
    " ",
    "m s",
    "parsec",
    "\n",
    "‰",
    "",
)
quantities = st.one_of(
    st.tuples(st.sampled_from(NUMBERS), st.sampled_from(["", " ", "\t"]), st.sampled_from(UNITS)).map("".join),
    st.text(max_size=12),
    values,
)


@fuzzed
@given(st.sampled_from(READERS), quantities)
def test_a_quantity_is_a_finite_number_or_refused(read: Any, text: object) -> None:
    said = ""
    try:
        found = read(text)
        assert isinstance(found, units.Queue) or math.isfinite(found)
    except UnitError as error:
        said = str(error)
    assert said.isprintable()


KEYS = (
    *impairment.SETTINGS,
    "up",
    "down",
    "Delay",
    "",
    "self",
    "x-link",
    "name",
    "ready",
    "tcp",
    "dns",
    "router",
    "about",
    "needs",
)
blocks = st.recursive(
    st.dictionaries(st.sampled_from(KEYS), st.one_of(quantities, words), max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), st.one_of(quantities, inner), max_size=4),
    max_leaves=4,
)
SHAPES = (schema.LinkBlock, schema.RoleBlock, schema.TestbedBlock)


@fuzzed
@given(st.sampled_from(SHAPES), st.one_of(blocks, blocks, values))
def test_an_x_block_is_read_or_refused_at_its_place(shape: type[schema.LinkBlock], block: object) -> None:
    said = "here"
    try:
        read = schema.read(shape, block, "here")
        if shape is schema.LinkBlock:
            link = impairment.resolve("here", schema.settings(read))
            assert impairment.resolve("here", link.settings()) == link, "what is said of it reads back as the same"
    except TopologyError as error:
        said = str(error)
    assert said.startswith("here")
    assert said.isprintable()


# ---- what the agent answers


class Saying:
    """An engine whose one stream says what it is told."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = list(lines)

    @contextlib.contextmanager
    def stream(self, name: str, host: str, argv: Sequence[str]) -> Iterator[Saying]:
        yield self

    def send(self, line: str) -> None: ...

    def lines(self, timeout_s: float) -> Iterator[str]:
        while self._lines:
            yield self._lines.pop(0)


answers = st.one_of(
    values.map(json.dumps),
    st.dictionaries(st.sampled_from(["error", "remedy", "input", "links"]), values, max_size=3).map(json.dumps),
    st.sampled_from(
        ["", "{", "[" * 100_000, '{"a": ' * 100_000, "1" * 5000, '"\\ud800"', "OCI runtime exec failed: gone"]
    ),
    st.text(max_size=20),
)


@fuzzed
@given(st.lists(answers, max_size=3))
def test_an_answer_of_the_agent_is_an_object_or_an_error_that_names_the_instance(said: list[str]) -> None:
    client = AgentClient(cast(Engine, Saying(said)), "web", "agent")
    refused: AppbedError | None = None
    try:
        answer = client.ask("status")
        assert isinstance(answer, dict)
        assert "error" not in answer
    except (AgentError, InputError) as error:
        refused = error
    if refused:
        assert refused.message.isprintable()
        of_the_agent = said and said[0].startswith("{") and '"error"' in said[0]
        assert of_the_agent or (isinstance(refused, AgentError) and "web" in str(refused))
