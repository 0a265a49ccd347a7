from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.protocols import Validator

from appbed import loader, schema
from appbed.errors import TopologyError
from appbed.impairment import SETTINGS
from appbed.schema import DirectionBlock, LinkBlock, ReadyBlock, RoleBlock

PLACE = "lab.yaml: services.client"


def refused(block: type[Any], data: object) -> str:
    with pytest.raises(TopologyError) as caught:
        schema.read(block, data, PLACE)
    text = str(caught.value)
    assert text.startswith(PLACE)
    assert "\n" not in text
    return text


def test_blocks_are_read_as_written() -> None:
    role = schema.read(RoleBlock, {"name": "proxy", "ready": {"tcp": 3128}, "unsupported": ["web.push"]}, PLACE)
    assert (role.name, role.router, role.unsupported) == ("proxy", False, ["web.push"])
    assert role.ready == ReadyBlock(tcp=3128)
    assert schema.read(schema.TestbedBlock, {"about": "x"}, PLACE).needs == []


def test_settings_are_what_a_person_wrote_and_nothing_else() -> None:
    written = {"delay": "5ms", "rate": 0, "up": {"loss": "1%"}, "down": {}}
    assert schema.settings(schema.read(LinkBlock, written, PLACE)) == written
    assert schema.settings(LinkBlock()) == {}


def test_each_setting_of_a_link_is_known_to_the_impairment_and_the_other_way_round() -> None:
    assert tuple(schema.fields(DirectionBlock)) == SETTINGS
    assert schema.fields(LinkBlock) == [*SETTINGS, "up", "down"]


@pytest.mark.parametrize(
    ("block", "data", "path", "choices"),
    [
        (LinkBlock, {"dealy": "5ms"}, "dealy", "delay, jitter, distribution"),
        (LinkBlock, {"dealy": "5ms"}, "dealy", "up, down"),
        (LinkBlock, {"up": {"dealy": "5ms"}}, "up.dealy", "delay, jitter"),
        (LinkBlock, {"down": {"up": {}}}, "down.up", "delay, jitter"),
        (LinkBlock, {5: "5ms"}, "5", "delay, jitter"),
        (RoleBlock, {"name": "x", "redy": {}}, "redy", "name, ready, router, unsupported"),
        (RoleBlock, {"name": "x", "ready": {"udp": 53}}, "ready.udp", "tcp, dns"),
        (schema.TestbedBlock, {"about": "x", "neds": []}, "neds", "about, needs"),
    ],
)
def test_a_misspelt_key_is_named_with_the_choices(block: type[Any], data: object, path: str, choices: str) -> None:
    text = refused(block, data)
    assert text.startswith(f"{PLACE}.{path}: unknown key")
    assert choices in text


def test_choices_inside_a_direction_do_not_offer_directions() -> None:
    assert "up, down" not in refused(LinkBlock, {"up": {"dealy": "5ms"}})


@pytest.mark.parametrize("data", [None, 5, "delay 5ms", ["delay"]])
def test_what_is_no_mapping_is_shown(data: object) -> None:
    text = refused(LinkBlock, data)
    assert f"{data!r} is not a mapping" in text
    assert "delay" in text


@pytest.mark.parametrize(
    ("block", "data", "path", "value"),
    [
        (RoleBlock, {"name": "x", "ready": {"tcp": 99_999}}, "ready.tcp", "99999"),
        (RoleBlock, {"name": "x", "ready": {"tcp": 0}}, "ready.tcp", "0"),
        (RoleBlock, {"name": "x", "ready": {"tcp": "http"}}, "ready.tcp", "'http'"),
        (RoleBlock, {"name": "x", "ready": 80}, "ready", "80"),
        (RoleBlock, {"name": "x", "router": "perhaps"}, "router", "'perhaps'"),
        (RoleBlock, {"name": "x", "unsupported": "web.push"}, "unsupported", "'web.push'"),
        (RoleBlock, {"name": ["x"]}, "name", "['x']"),
        (LinkBlock, {"up": 5}, "up", "5"),
        (LinkBlock, {"seed": "abc"}, "seed", "'abc'"),
        (LinkBlock, {"distribution": 5}, "distribution", "5"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_place(
    block: type[Any], data: object, path: str, value: str
) -> None:
    text = refused(block, data)
    assert text.startswith(f"{PLACE}.{path}: ")
    assert value in text


@pytest.mark.parametrize(("data", "path"), [({"delay": [5]}, "delay"), ({"up": {"delay": [5]}}, "up.delay")])
def test_a_list_where_a_quantity_belongs_is_named_with_its_place(data: object, path: str) -> None:
    text = refused(LinkBlock, data)
    assert text.startswith(f"{PLACE}.{path}: ")
    assert "[5]" in text


@pytest.mark.parametrize(
    ("block", "data", "key"), [(RoleBlock, {"router": True}, "name"), (schema.TestbedBlock, {}, "about")]
)
def test_a_missing_key_is_named(block: type[Any], data: object, key: str) -> None:
    assert refused(block, data).startswith(f"{PLACE}.{key}: ")


ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs/schema/appbed.schema.json"


def test_the_json_schema_knows_every_key_and_refuses_others() -> None:
    known = schema.json_schema()["definitions"]
    blocks = {"LinkBlock": LinkBlock, "DirectionBlock": DirectionBlock, "RoleBlock": RoleBlock}
    for name, block in {**blocks, "ReadyBlock": ReadyBlock, "TestbedBlock": schema.TestbedBlock}.items():
        assert list(known[name]["properties"]) == schema.fields(block)
        assert known[name]["additionalProperties"] is False
    described = [key for key, entry in known["LinkBlock"]["properties"].items() if entry.get("description")]
    assert described == schema.fields(LinkBlock), "an editor shows the descriptions"


def test_the_published_json_schema_is_that_of_the_code() -> None:
    """Made anew by: appbed schema --out docs/schema/appbed.schema.json"""
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == schema.json_schema()


@pytest.fixture(scope="module")
def judge() -> Validator:
    Draft7Validator.check_schema(schema.json_schema())
    return Draft7Validator(schema.json_schema())


@pytest.mark.thorough  # reads every file
def test_every_shipped_file_is_as_the_json_schema_says(judge: Validator) -> None:
    files = [
        *(ROOT / "compose").rglob("*.yaml"),
        *(ROOT / "images").rglob("*.yaml"),
        *ROOT.glob("tests/topologies/*.yaml"),
    ]
    assert len(files) > 30
    for file in files:
        data = loader._parsed(file.read_text(encoding="utf-8"))
        assert [f"{file}: {each.json_path}: {each.message}" for each in judge.iter_errors(data)] == []


SLIPS = [
    ({"x-testbed": {"abuot": "x"}}, "abuot"),
    ({"services": {"a": {"x-role": {"name": "a", "redy": {}}}}}, "redy"),
    ({"services": {"a": {"x-role": {"name": "a", "ready": {"tcp": 70000}}}}}, "70000"),
    ({"services": {"a": {"networks": {"n": {"x-link": {"dealy": "5ms"}}}}}}, "dealy"),
    ({"networks": {"n": {"x-link": {"up": {"down": {}}}}}}, "down"),
]


@pytest.mark.parametrize(("data", "slip"), SLIPS)
def test_a_slip_anywhere_is_seen_by_the_json_schema(judge: Validator, data: object, slip: str) -> None:
    (seen,) = judge.iter_errors(data)
    assert slip in seen.message or any(slip in inner.message for inner in seen.context or ())


def test_what_is_composes_own_is_left_to_compose(judge: Validator) -> None:
    judge.validate(
        {"name": "x", "services": {"a": {"image": "b", "networks": ["n"]}}, "networks": {"n": None}, "configs": {}}
    )
