"""A topology of several files: include, extends, overrides, and which of them wrote what."""

from __future__ import annotations

from pathlib import Path

import pytest

from appbed import loader
from loading import Write, load, refused

# ---- include


def test_include_brings_services_and_networks_and_says_where_they_come_from(write: Write, tmp_path: Path) -> None:
    inner = write("services: {b: {image: y}}\nnetworks: {lan: {driver: bridge}}", "parts/inner.yaml")
    outer = write("include: [parts/inner.yaml]\nservices: {a: {image: x}}")
    document = loader.load(outer, {})
    assert document.data["services"] == {"a": {"image": "x"}, "b": {"image": "y"}}
    assert document.data["networks"] == {"lan": {"driver": "bridge"}}
    assert "include" not in document.data
    assert document.place("services.a.networks") == f"{outer}: services.a.networks"
    assert document.place("services.b") == f"{tmp_path}/parts/inner.yaml: services.b"
    assert document.place("networks.lan.x-link") == f"{inner}: networks.lan.x-link"
    assert document.place("x-testbed") == f"{outer}: x-testbed"


def test_include_with_an_override_merges_the_two(write: Write) -> None:
    write("services: {b: {image: y, networks: {lan: {ipv4_address: 10.0.0.1}}}}\nnetworks: {lan: {}}", "base.yaml")
    over = write("services: {b: {networks: {lan: {x-link: {delay: 5ms}}}}}", "over.yaml")
    document = loader.load(write("include: [{path: [base.yaml, over.yaml]}]"), {})
    assert document.data["services"]["b"] == {
        "image": "y",
        "networks": {"lan": {"ipv4_address": "10.0.0.1", "x-link": {"delay": "5ms"}}},
    }
    assert document.place("services.b") == f"{over}: services.b", "the last who wrote it is to be asked"


def test_the_same_definition_may_come_along_two_ways(write: Write) -> None:
    write("networks: {lan: {driver: bridge}}", "networks.yaml")
    write("include: [networks.yaml]\nservices: {a: {image: x}}", "one.yaml")
    write("include: [networks.yaml]\nservices: {b: {image: x}}", "two.yaml")
    assert set(load(write("include: [one.yaml, two.yaml]"))["services"]) == {"a", "b"}


def test_two_different_definitions_of_one_service_are_refused(write: Write, tmp_path: Path) -> None:
    write("services: {a: {image: y}}", "inner.yaml")
    outer = write("include: [inner.yaml]\nservices: {a: {image: x}}")
    said = refused(outer)
    assert said.startswith(f"{outer}: services.a: is also defined in {tmp_path}/inner.yaml, differently; ")
    assert "path: [base, override]" in said


@pytest.mark.parametrize("loop", ["lab.yaml", "./lab.yaml"])
def test_a_file_that_includes_itself_is_refused(write: Write, loop: str) -> None:
    path = write(f"include: [{loop}]")
    assert "includes itself" in refused(path)


def test_a_loop_of_includes_is_shown(write: Write, tmp_path: Path) -> None:
    write("include: [lab.yaml]", "other.yaml")
    path = write("include: [other.yaml]")
    said = refused(path)
    assert said == f"{path}: includes itself; remove one of {path} -> {tmp_path}/other.yaml"


def test_a_loop_of_includes_through_folders_is_refused(write: Write) -> None:
    write("include: [../parts/inner.yaml]", "parts/inner.yaml")
    assert "inner.yaml: includes itself" in refused(write("include: [parts/inner.yaml]"))


@pytest.mark.parametrize("entry", ["5", "{project_directory: x}", "[5]", "{path: [5]}", "{path: }"])
def test_an_include_that_names_no_file_is_refused(write: Write, entry: str) -> None:
    path = write(f"include: [{entry}]")
    said = refused(path)
    assert said.startswith(f"{path}: include: ")
    assert "{path: [base, override]}" in said


# ---- extends


def test_extends_lays_a_service_over_another(write: Write) -> None:
    write(
        "services:\n"
        "  base: {image: x, environment: {A: 1, B: 2}, cap_drop: [ALL], tmpfs: [/a]}\n"
        "  web: {extends: {service: base}, environment: [B=3, C=4], tmpfs: [/b]}\n",
        "role.yaml",
    )
    path = write("services: {a: {extends: {file: role.yaml, service: web}, environment: {C: 5}, image: y}}")
    assert load(path)["services"]["a"] == {
        "image": "y",
        "environment": {"A": 1, "B": "3", "C": 5},
        "cap_drop": ["ALL"],
        "tmpfs": ["/a", "/b"],
    }


def test_each_key_is_known_by_the_file_that_wrote_it_and_its_name_there(write: Write, tmp_path: Path) -> None:
    write("services: {base: {x-role: {name: x, ready: {tcp: 80}}, environment: {A: 1}}}", "common.yaml")
    write("services: {web: {extends: {file: common.yaml, service: base}, x-role: {name: web}}}", "role.yaml")
    path = write("services: {a: {extends: {file: role.yaml, service: web}, environment: {B: 2}}}")
    over = write("services: {a: {environment: {A: 3}}}", "over.yaml")
    document = loader.load(path, {}, over)
    assert document.place("services.a.x-role.name") == f"{tmp_path}/role.yaml: services.web.x-role.name"
    assert document.place("services.a.x-role.ready.tcp") == f"{tmp_path}/common.yaml: services.base.x-role.ready.tcp"
    assert document.place("services.a.environment.A") == f"{over}: services.a.environment.A"
    assert document.place("services.a.environment.B") == f"{path}: services.a.environment.B"
    assert document.place("services.a.build") == f"{over}: services.a.build", "nobody wrote it: the last one may"


def test_extends_by_name_stays_in_the_file(write: Write) -> None:
    assert load(write("services: {base: {image: x}, a: {extends: base}}"))["services"]["a"] == {"image": "x"}


def test_extends_looks_from_the_folder_of_the_file_that_says_so(write: Write) -> None:
    write("services: {base: {image: x}}", "images/common.yaml")
    write("services: {web: {extends: {file: ../common.yaml, service: base}}}", "images/web/service.yaml")
    path = write("services: {a: {extends: {file: images/web/service.yaml, service: web}}}")
    assert load(path)["services"]["a"] == {"image": "x"}


@pytest.mark.parametrize("key", ["command", "entrypoint"])
def test_commands_are_replaced_and_other_lists_joined(write: Write, key: str) -> None:
    path = write(f"services: {{base: {{{key}: [a, b], dns: [a]}}, s: {{extends: base, {key}: [c], dns: [a, b]}}}}")
    service = load(path)["services"]["s"]
    assert service[key] == ["c"]
    assert service["dns"] == ["a", "b"]


def test_a_healthcheck_s_test_is_replaced(write: Write) -> None:
    base = "{healthcheck: {test: [CMD, a], interval: 60s}}"
    path = write(f"services: {{base: {base}, s: {{extends: base, healthcheck: {{test: [CMD, b]}}}}}}")
    assert load(path)["services"]["s"]["healthcheck"] == {"test": ["CMD", "b"], "interval": "60s"}


def test_networks_as_a_list_and_as_a_mapping_go_together(write: Write) -> None:
    path = write("services: {base: {networks: [lan]}, s: {extends: base, networks: {wan: {ipv4_address: 1.2.3.4}}}}")
    assert load(path)["services"]["s"]["networks"] == {"lan": {}, "wan": {"ipv4_address": "1.2.3.4"}}


def test_extending_what_is_not_there_names_file_service_and_choices(write: Write) -> None:
    role = write("services: {web: {image: x}, proxy: {image: x}}", "role.yaml")
    path = write("services: {a: {extends: {file: role.yaml, service: wep}}}")
    assert refused(path) == f"{path}: services.a.extends: {role} has no service 'wep'; known: web, proxy"


def test_a_role_without_its_file_names_who_needs_it(write: Write, tmp_path: Path) -> None:
    path = write("services: {a: {extends: {file: no/service.yaml, service: a}}}")
    assert refused(path) == (
        f"{tmp_path}/no/service.yaml: cannot be read: No such file or directory (needed by {path}: services.a.extends)"
    )


@pytest.mark.parametrize("services", ["{a: {extends: a}}", "{a: {extends: b}, b: {extends: a}}"])
def test_a_loop_of_extends_is_refused(write: Write, services: str) -> None:
    path = write(f"services: {services}")
    assert refused(path).startswith(f"{path}: services.a")


# ---- overrides


def test_an_override_is_laid_over_the_topology_and_named_as_the_place(write: Write) -> None:
    path = write("name: lab\nservices: {a: {image: x, environment: {A: 1}}}")
    over = write("services: {a: {image: y}, b: {image: z}}", "over.yaml")
    document = loader.load(path, {}, over)
    assert document.data["name"] == "lab"
    assert document.data["services"] == {"a": {"image": "y", "environment": {"A": 1}}, "b": {"image": "z"}}
    assert document.place("services.a") == f"{over}: services.a"
    assert document.place("services.b") == f"{over}: services.b"


def test_empty_sections_and_services_are_mappings(write: Write) -> None:
    assert load(write("services: {a: }\nnetworks: ")) == {"services": {"a": {}}, "networks": {}}
