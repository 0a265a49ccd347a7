"""setup's Compose, base image and role images on machines that are not real."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from bare_machine import UNREACHED, BareMachine, able, last_words, refused, role, set_up

from appbed.engine.base_image import BASE
from appbed.engine.computer import Result
from appbed.engine.daemon import ImageFacts
from appbed.errors import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    return BareMachine(tmp_path / "home")


class TestCompose:
    @pytest.mark.parametrize("found", ["", "1.29.2", "2.23.0"])
    def test_missing_or_too_old_it_is_fetched(self, found: str, root: Path, machine: BareMachine) -> None:
        able(machine).compose = found
        able_now, _ = set_up(root, machine)
        assert able_now.compose == "5.6.1"
        plugins = machine.home / ".docker/cli-plugins"
        assert [path.name for path in plugins.iterdir()] == ["docker-compose"], "no half of a plugin beside it"

    @pytest.mark.parametrize("found", ["2.23.1", "v2.39.1", "5.6.1+ds1"])
    def test_new_enough_it_stays(self, found: str, root: Path, machine: BareMachine) -> None:
        able(machine).compose = found
        set_up(root, machine)
        assert machine.ran == ["docker compose version --short"]

    def test_the_docker_command_alone_is_installed_for_an_engine_elsewhere(
        self, root: Path, machine: BareMachine
    ) -> None:
        able(machine).programs -= {"docker", "dockerd"}
        set_up(root, machine)
        assert any(command.endswith("DPkg::Lock::Timeout=120 docker.io") for command in machine.ran)

    def test_without_pip_it_is_told(self, root: Path, machine: BareMachine) -> None:
        able(machine).compose = ""
        machine.failing[f"{sys.executable} -m pip"] = Result(("pip",), 1, f"{sys.executable}: No module named pip")
        error = refused(root, machine)
        assert "No module named pip" in error.message
        assert "install Docker Compose 2.23.1 or newer" in error.remedy

    def test_a_newer_plugin_that_docker_does_not_see_is_not_overwritten(self, root: Path, machine: BareMachine) -> None:
        plugin = machine.home / ".docker/cli-plugins/docker-compose"
        plugin.parent.mkdir(parents=True)
        plugin.write_text("newer", encoding="utf-8")
        able(machine).compose = ""
        machine.failing[f"{plugin} version"] = Result((), 0, "9.9.9")
        machine.failing["docker compose"] = Result((), 1, "")
        assert "still missing" in refused(root, machine).message
        assert plugin.read_text(encoding="utf-8") == "newer"


class TestBaseImage:
    def test_it_is_pulled_where_a_registry_answers(self, root: Path, machine: BareMachine) -> None:
        able(machine).images.clear()
        machine.pulls = True
        able_now, events = set_up(root, machine)
        assert able_now.base_image == "sha256:pulled"
        assert not machine.ran_any("mmdebstrap")
        assert last_words(events)["base image"] == "done"

    def test_other_hosts_than_debian_need_its_keys(self, root: Path, machine: BareMachine) -> None:
        able(machine).images.clear()
        machine.files["/etc/os-release"] = "ID=ubuntu\nID_LIKE=debian\n"
        machine.packages.add("debian-archive-keyring")
        set_up(root, machine)
        assert any(command.endswith("mmdebstrap debian-archive-keyring") for command in machine.ran)

    def test_neither_pulled_nor_built(self, root: Path, machine: BareMachine) -> None:
        able(machine).images.clear()
        machine.is_root = False
        assert UNREACHED in refused(root, machine).message

    def test_a_full_disk(self, root: Path, machine: BareMachine) -> None:
        able(machine).images.clear()
        output = "I: extracting\ntar: write error: No space left on device\nE: mmdebstrap failed to run"
        machine.failing["mmdebstrap"] = Result(("mmdebstrap",), 25, output)
        error = refused(root, machine)
        assert "No space left on device" in error.message
        assert error.remedy.startswith("the disk is full")
        assert not machine.ran_any("docker import")

    def test_cut_short_no_image_has_its_name(self, root: Path, machine: BareMachine) -> None:
        able(machine).images.clear()
        folders: list[Path] = []

        def interrupt(command: str) -> None:
            if command.startswith("docker import"):
                folders.append(Path(command.split()[-1]).parent)
                assert folders[0].is_dir()
                raise KeyboardInterrupt

        machine.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            set_up(root, machine)
        assert machine.stopped
        assert BASE not in machine.images
        assert not folders[0].exists()


class TestRoleImages:
    def test_only_what_changed_is_built_again(self, root: Path, machine: BareMachine) -> None:
        able(machine)
        (role(root, "web", copies="site") / "site").write_text("one", encoding="utf-8")
        role(root, "router")
        set_up(root, machine)
        (root / "images/web/site").write_text("two", encoding="utf-8")
        (root / "images/web/README.md").write_text("not in the image", encoding="utf-8")
        _, events = set_up(root, machine)
        assert last_words(events)["image appbed/web:dev"] == "done"
        assert last_words(events)["image appbed/router:dev"] == "skipped"
        (root / "images/web/README.md").write_text("still not in the image", encoding="utf-8")
        assert set(last_words(set_up(root, machine)[1]).values()) == {"skipped"}

    def test_a_new_base_image_builds_all_again(self, root: Path, machine: BareMachine) -> None:
        able(machine)
        role(root, "router")
        set_up(root, machine)
        machine.images[BASE] = ImageFacts("sha256:newer", {})
        assert last_words(set_up(root, machine)[1])["image appbed/router:dev"] == "done"

    def test_an_image_that_was_replaced_is_removed_unless_it_has_another_name(
        self, root: Path, machine: BareMachine
    ) -> None:
        able(machine)
        role(root, "router")
        role(root, "web")
        machine.images["appbed/router:dev"] = ImageFacts("sha256:old", {})
        machine.images["kept"] = ImageFacts("sha256:old-web", {}, ("mine:kept",))
        machine.images["appbed/web:dev"] = ImageFacts("sha256:old-web", {}, ("mine:kept", "appbed/web:dev"))
        machine.images["gone"] = ImageFacts("sha256:old", {})
        set_up(root, machine)
        assert [command for command in machine.ran if command.startswith("remove")] == ["remove sha256:old"]

    def test_the_tag_and_the_engine_of_the_environment(self, root: Path, machine: BareMachine) -> None:
        able(machine).environment["APPBED_TAG"] = "v2"
        role(root, "router")
        assert set_up(root, machine)[0].images == ("appbed/router:v2",)

    def test_an_image_from_another_role_waits_for_it(self, root: Path, machine: BareMachine) -> None:
        able(machine)
        role(root, "a", base="appbed/z:dev")
        role(root, "z")
        set_up(root, machine)
        built = [command for command in machine.ran if command.startswith("docker build")]
        assert ["appbed/z:dev" in command for command in built] == [True, False]

    def test_roles_that_start_from_each_other(self, root: Path, machine: BareMachine) -> None:
        role(root, "a", base="appbed/z:dev")
        role(root, "z", base="appbed/a:dev")
        with pytest.raises(InputError, match="start from each other"):
            set_up(root, able(machine))

    def test_a_failing_build_shows_its_log_and_role(self, root: Path, machine: BareMachine) -> None:
        able(machine)
        role(root, "web")
        machine.failing["docker build"] = Result(
            (), 100, "Step 2/2 : RUN x\n\x1b[91mE: Unable to locate package x\x1b[0m\nfailed"
        )
        error = refused(root, machine)
        assert "images/web" in error.message
        assert error.message.endswith("E: Unable to locate package x"), "the cause, not the last line"
        assert "images/web/Dockerfile" in error.remedy
        assert "\n  | Step 2/2" in error.remedy
        assert machine.stopped, "the build beside it ends too"

    def test_an_engine_without_a_bridge_builds_on_the_hosts_network(self, root: Path, machine: BareMachine) -> None:
        able(machine).networks.clear()
        role(root, "web")
        set_up(root, machine)
        assert any("--network=host" in command for command in machine.ran)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("services: {web: {build: {context: .}}}", "has no image"),
            ("services: {web: {image: x}}", "no service builds"),
            ("services: {web: {image: x, build: {context: ., dockerfile: Other}}}", "Other is not there"),
        ],
    )
    def test_a_service_that_cannot_be_built(self, text: str, said: str, root: Path, machine: BareMachine) -> None:
        (role(root, "web") / "service.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=said) as error:
            set_up(root, able(machine))
        assert "images/web/service.yaml" in error.value.message
        assert machine.ran == [], "found out before anything is installed"

    def test_no_images_folder(self, tmp_path: Path, machine: BareMachine) -> None:
        with pytest.raises(InputError, match="no such folder"):
            set_up(tmp_path / "elsewhere", machine)


def test_a_second_run_is_quick_with_many_files(root: Path, machine: BareMachine) -> None:
    able(machine)
    folder = role(root, "web", copies="site")
    (folder / "site").mkdir()
    for number in range(300):
        (folder / "site" / f"{number}.html").write_text("x" * 1000, encoding="utf-8")
    set_up(root, machine)
    started = time.monotonic()
    set_up(root, machine)
    assert time.monotonic() - started < 1.0
