"""Small files for each thing the loader knows; that it reads the shipped ones as Compose does is in tests/compose."""

from __future__ import annotations

from pathlib import Path

import pytest

from loading import Write, load, refused

# ---- words and numbers


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("10:20", "10:20"),
        ("2024-01-01", "2024-01-01"),
        ("017", 15),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("10.77", 10.77),
        ("~", None),
        ("'12'", "12"),
    ],
)
def test_words_and_numbers_are_what_compose_takes_them_for(write: Write, written: str, read: object) -> None:
    value = load(write(f"services: {{a: {{image: x, hostname: {written}}}}}"))["services"]["a"]["hostname"]
    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize(
    ("text", "environment", "value"),
    [
        ("$NET.1", {"NET": "10.80"}, "10.80.1"),
        ("${NET}.1", {"NET": "10.80"}, "10.80.1"),
        ("${NET:-10.77}.1", {}, "10.77.1"),
        ("${NET:-10.77}.1", {"NET": ""}, "10.77.1"),
        ("${NET-10.77}.1", {"NET": ""}, ".1"),
        ("${NET-10.77}.1", {}, "10.77.1"),
        ("${NET:-10.77}.1", {"NET": "10.80"}, "10.80.1"),
        ("${NET:-}", {}, ""),
        ("${NET}", {}, ""),
        ("$$NET", {"NET": "10.80"}, "$NET"),
        ("$${NET}", {"NET": "10.80"}, "${NET}"),
        ("a${A}b${B:-c}", {"A": "1"}, "a1bc"),
        ("${NET:-a b}", {}, "a b"),
    ],
)
def test_variables(write: Write, text: str, environment: dict[str, str], value: str) -> None:
    path = write(f"services: {{a: {{image: '{text}', dns: ['{text}']}}}}")
    service = load(path, **environment)["services"]["a"]
    assert service["image"] == value
    assert service["dns"] == [value]


def test_keys_are_not_substituted(write: Write) -> None:
    assert load(write("services: {a: {environment: {$A: x}}}"), A="b")["services"]["a"]["environment"] == {"$A": "x"}


@pytest.mark.parametrize("text", ["${A:?is needed}", "${A:+x}", "${A:-${B:-c}}", "5 $ a", "${A", "$1"])
def test_a_substitution_the_loader_does_not_know_is_refused(write: Write, text: str) -> None:
    path = write(f"services: {{a: {{image: '{text}'}}}}")
    said = refused(path, A="", B="b")
    assert text in said
    assert said.startswith(str(path))


# ---- what is refused


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.yaml") == f"{tmp_path}/no.yaml: cannot be read: No such file or directory"
    assert refused(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert refused(path) == f"{path}: cannot be read: is not UTF-8 text"


@pytest.mark.parametrize("text", ["services: [", "a: b: c", "\t- x", "services: {a: *nowhere}", "a: !!python/none x"])
def test_what_is_no_yaml_is_refused_in_one_line(write: Write, text: str) -> None:
    path = write(text)
    assert refused(path).startswith(f"{path}: is not YAML: ")


def test_yaml_that_is_nested_too_deep_is_refused(write: Write) -> None:
    path = write("services: " + "[" * 1100)
    assert refused(path).startswith(f"{path}: is not YAML: ")


@pytest.mark.parametrize("text", ["", "5", "- a", "just words"])
def test_yaml_that_is_no_compose_file_is_refused(write: Write, text: str) -> None:
    path = write(text)
    assert refused(path) == f"{path}: is not a Compose file; it needs `services:` or `include:` at the top"


@pytest.mark.parametrize("section", ["services", "networks"])
def test_a_section_that_is_no_mapping_is_refused(write: Write, section: str) -> None:
    path = write(f"{section}: [a]")
    assert refused(path).startswith(f"{path}: {section}: ")


@pytest.mark.parametrize("key", ["x-testbeds", "x-link", "x-Testbed"])
def test_a_misspelt_key_at_the_top_is_refused(write: Write, key: str) -> None:
    path = write(f"{key}: {{about: x}}\nservices: {{}}")
    said = refused(path)
    assert said.startswith(f"{path}: {key}: unknown key; known: x-testbed")


def test_the_home_of_an_anchor_is_no_misspelt_key(write: Write) -> None:
    path = write("x-testbed: {about: x}\nx-base: &base {image: x}\nservices: {a: {<<: *base}}")
    assert load(path)["services"]["a"] == {"image": "x"}


def test_a_misspelt_key_in_an_included_file_names_that_file(write: Write) -> None:
    inner = write("x-tesbed: {about: x}", "inner.yaml")
    assert refused(write("include: [inner.yaml]")).startswith(f"{inner}: x-tesbed: unknown key")


WRONG_KINDS = [
    "services: {a: words}",
    "services: {a: [words]}",
    "services: {a: 5}",
    "services: {a: {extends: []}}",
    "services: {a: {extends: {file: 5, service: a}}}",
    "include: 5",
    "include: [[]]",
]


@pytest.mark.parametrize("text", WRONG_KINDS)
def test_a_value_of_the_wrong_kind_is_refused(write: Write, text: str) -> None:
    path = write(text)
    assert refused(path).startswith(f"{path}: ")
