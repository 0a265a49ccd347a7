"""What pages tell a reader to type: every command is run by a test, or the page says why not; messages they quote exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from doc_blocks import ROOT, Block, Reader, blocks, commands, essence, missing, pages

PAGES = pages()
ALL = {page: blocks(page) for page in PAGES}
ALONE = [page for page in PAGES if any(block.runs == "alone" for block in ALL[page])]
TROUBLE = ROOT / "docs/troubleshooting.md"
QUOTED = re.findall(r"^### `(.+)`$", TROUBLE.read_text(encoding="utf-8"), re.MULTILINE)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_of_commands_is_run_or_says_why_not(page: Path) -> None:
    unmarked = [str(block) for block in ALL[page] if block.of_commands and not block.marked]
    assert not unmarked, "say above it how it is run (docs/writing.md)"
    hidden = [f"{block}: {line}" for block in ALL[page] if not block.marked for line in block.hidden]
    assert not hidden, "commands stand in a block `console` or `sh`, or the block says why they are not run"


@pytest.mark.thorough
def test_what_is_not_run_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = [block for page in PAGES for block in ALL[page] if block.why]
    with capsys.disabled():
        print("".join(f"\n  not run: {block}: {block.why}" for block in left_out))
    assert all(len(block.why.split()) > 3 for block in left_out), "a reason is a sentence"


@pytest.mark.thorough
@pytest.mark.parametrize("page", ALONE, ids=named)
def test_what_needs_no_engine_does_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    Reader(tmp_path).follow(page, "alone")


def test_the_korean_readme_has_the_same_commands() -> None:
    english, korean = (ALL[ROOT / name] for name in ("README.md", "README.ko.md"))
    assert [essence(block) for block in korean] == [essence(block) for block in english]
    assert [(block.word, block.runs, bool(block.why)) for block in korean] == [
        (block.word, block.runs, bool(block.why)) for block in english
    ]


def test_the_readmes_speak_of_the_same_things() -> None:
    """What stands in code or is linked within the text, and as many headings."""
    spans = []
    for name in ("README.md", "README.ko.md"):
        text = re.sub(
            r"^```.*?^```|^    .*?$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        linked = {target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("README")}
        spans.append((set(re.findall(r"`([^`]+)`", text)), linked, len(re.findall(r"^#+ ", text, re.MULTILINE))))
    assert spans[0] == spans[1]


def test_the_readmes_know_each_other() -> None:
    for name, other in (("README.md", "README.ko.md"), ("README.ko.md", "README.md")):
        assert f"]({other})" in (ROOT / name).read_text(encoding="utf-8")


@cache
def literals() -> str:
    """Every text in the package, a line each; `…` stands for what is put in."""
    found = []
    for path in sorted((ROOT / "orchestrator/appbed").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


@pytest.mark.thorough
@pytest.mark.parametrize("message", QUOTED)
def test_a_message_that_is_explained_is_one_that_occurs(message: str) -> None:
    assert re.search(_pattern(message), literals())


def _pattern(message: str) -> str:
    """`…` at an end need not be there; in between something is put in, or several things."""
    parts = [re.escape(part) for part in message.strip("…").split("…")]
    return "…".join(parts)


def test_many_messages_are_explained() -> None:
    assert len(QUOTED) == len(set(QUOTED)) > 40


# ---- the reader itself


def block(text: str, above: str = "") -> Block:
    page = ROOT / "docs/start.md"
    (found,) = blocks(page, f"{above}\n{text}")
    return found


def test_blocks_are_found_with_their_marks() -> None:
    fenced = "```console\n$ appbed list\nweb\n```"
    assert (block(fenced).marked, block(fenced).of_commands) == (False, True)
    assert block(fenced, "<!-- run: engine, exit 3 -->\n").runs == "engine"
    assert block(fenced, "<!-- run: engine, exit 3 -->\n").status == 3
    assert block(fenced, "<!-- not run: needs a moon that is full -->").why == "needs a moon that is full"
    assert not block(fenced, "<!-- not run: -->").marked
    assert block("text\n\n    appbed up web\n    and more").hidden == ["appbed up web"]
    assert block("```text\n$ make demo\n```").hidden == ["$ make demo"]
    assert block("```yaml\nmake: 3\n```").hidden == []


def test_a_console_is_commands_and_what_they_show() -> None:
    one, two = commands(block("```console\n$ appbed list\nweb\n...\n$ appbed ps\n```"))
    assert (one.line, one.shown) == ("appbed list", "web\n...")
    assert (two.line, two.shown) == ("appbed ps", "")


def test_what_is_shown_must_be_said_in_order_whatever_the_numbers() -> None:
    said = "begin\nRTT 30.2 ms   ok\nmore\nend: 7 hosts"
    assert missing("RTT 31 ms ok\n...\nend: 14 hosts", said) == ""
    assert missing("begin\nRTT ... ok", said) == ""
    assert missing("end: 14 hosts\nbegin", said) == "begin"
    assert missing("RTT 30.2 s ok", said) == "RTT # s ok"


@pytest.mark.thorough
def test_a_reader_notices_what_is_not_as_the_page_says(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.type(block("```console\n$ echo 3 hosts\n4 hosts\n```"))
    with pytest.raises(AssertionError, match="exit status 1"):
        reader.type(block("```console\n$ false\n```"))
    with pytest.raises(AssertionError, match="not said: '# networks'"):
        reader.type(block("```console\n$ echo 3 hosts\n4 networks\n```"))
