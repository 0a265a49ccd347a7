"""images/peer: its settings, its files and its events; no container needed. Its torrents: integration/test_peer_torrents.py."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PEER = Path(__file__).parents[2] / "images" / "peer"
MODULES = tuple(file.stem for file in (PEER / "driver").glob("*.py"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports the driver's modules as they lie in the image, and forgets them: their names are common ones."""
    monkeypatch.syspath_prepend(str(PEER / "driver"))
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PICKER", "random"),
            ("UNCHOKE_SLOTS", "-1"),
            ("UNCHOKE_SLOTS", "²"),
            ("UNCHOKE_INTERVAL", "0"),
            ("OPTIMISTIC_INTERVAL", "30s"),
            ("PEERS_WANTED", "201"),
            ("PIECE_SIZE", "8192"),
            ("PIECE_SIZE", "20000"),
            ("CONTENT", "zeros"),
            ("REQUEST_QUEUE", "0"),
            ("SAMPLE_MS", "99"),
            ("TRADES", "yes"),
        ],
    )
    def test_a_wrong_one_is_named_in_one_line(self, name: str, value: str) -> None:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PEER / "driver"), "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            [sys.executable, PEER / "entrypoint"],
            env={**environment, name: value, "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 78
        assert ran.stderr.startswith(f"peer: {name}='{value}' is not possible; choose ")
        assert ran.stderr.count("\n") == 1

    def test_an_empty_one_is_an_unset_one(self, load: Any) -> None:
        read = load("settings").read
        assert read({"PICKER": "", "UNCHOKE_SLOTS": ""}) == read({})

    @pytest.mark.parametrize(("given", "limit", "optimistic"), [("4", 5, 1), ("1", 2, 1), ("0", 0, 0), ("all", -1, 0)])
    def test_the_optimistic_slot_is_one_more(self, load: Any, given: str, limit: int, optimistic: int) -> None:
        settings = load("settings")
        pack = settings.for_libtorrent(settings.read({"UNCHOKE_SLOTS": given}))
        assert (pack["unchoke_slots_limit"], pack["num_optimistic_unchoke_slots"]) == (limit, optimistic)

    def test_others_are_laid_over_the_environment(self, load: Any) -> None:
        settings = load("settings")
        changed = settings.changed(
            {"PEERS_WANTED": "7", "PICKER": "sequential"}, ["PICKER=rarest-first", "CONTENT=lines"]
        )
        assert changed == settings.read({"PEERS_WANTED": "7", "CONTENT": "lines"})

    @pytest.mark.parametrize("assigned", ["PICKER", "picker=sequential", "LD_PRELOAD=x", "", "PICKER=last"])
    def test_what_is_no_setting_is_not_laid_over(self, load: Any, assigned: str) -> None:
        settings = load("settings")
        with pytest.raises(settings.WrongSetting, match="is not possible; choose "):
            settings.changed({}, [assigned])

    def test_the_readme_names_each_with_its_default(self, load: Any) -> None:
        readme = (PEER / "README.md").read_text()
        settings = load("settings").read({})
        for name, value in [
            ("PICKER", settings.picker),
            ("UNCHOKE_SLOTS", settings.unchoke_slots),
            ("UNCHOKE_INTERVAL", settings.unchoke_interval_s),
            ("OPTIMISTIC_INTERVAL", settings.optimistic_interval_s),
            ("PEERS_WANTED", settings.peers_wanted),
            ("PIECE_SIZE", settings.piece_size_bytes),
            ("CONTENT", settings.content),
            ("REQUEST_QUEUE", settings.request_queue),
            ("SAMPLE_MS", settings.sample_ms),
        ]:
            assert f"| `{name}` | `{value}` |" in readme


class TestFiles:
    @pytest.mark.parametrize("size", [1, 65535, 65537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
    def test_the_content_is_what_the_readme_says(self, load: Any, tmp_path: Path, size: int) -> None:
        path = tmp_path / "file"
        said = load("content").write(path, size, "demo")
        whole = b"".join(hashlib.shake_128(f"demo:{i}".encode()).digest(1 << 20) for i in range(2))
        assert path.read_bytes() == whole[:size]
        assert said == hashlib.sha256(whole[:size]).hexdigest() == load("content").sha256(path)

    @pytest.mark.parametrize("size", [1, 16, 65537, (1 << 20) + 17])
    def test_lines_are_those_of_the_web_server(self, load: Any, tmp_path: Path, size: int) -> None:
        """images/web makes its large files with `seq 100000000000000 ...`."""
        path = tmp_path / "file"
        said = load("content").write(path, size, "any", "lines")
        whole = "".join(f"{10**14 + i}\n" for i in range(size // 16 + 1)).encode()[:size]
        assert path.read_bytes() == whole
        assert said == hashlib.sha256(whole).hexdigest()

    def test_no_room_is_said_before_anything_is_written(self, load: Any, tmp_path: Path) -> None:
        with pytest.raises(
            load("control").Refused, match=r"the disk is full: [0-9]+ bytes are needed, [0-9]+ are free"
        ):
            load("content").write(tmp_path / "file", 1 << 60, "demo")
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_is_emptied_of_everything_but_one(self, load: Any, tmp_path: Path) -> None:
        (tmp_path / "files" / "deep").mkdir(parents=True)
        for name in ("control", "filler", "files/a.bin"):
            (tmp_path / name).write_text("x")
        (tmp_path / "link").symlink_to(tmp_path / "files")
        load("content").empty(tmp_path, but=tmp_path / "control")
        assert [path.name for path in tmp_path.iterdir()] == ["control"]


@pytest.mark.thorough  # a process each
class TestFetch:
    def fetch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PEER / "driver"), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [sys.executable, PEER / "fetch", *arguments]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)

    @contextlib.contextmanager
    def served(self, answer: bytes) -> Iterator[int]:
        """A socket that says `answer` to one request, whole or not; its port."""
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            yield server.getsockname()[1]
            thread.join(10)

    def test_it_says_what_came_and_from_whom_it_was_asked(self) -> None:
        body = b"x" * 200_000
        with self.served(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + body) as port:
            done = self.fetch(f"http://nowhere.invalid:{port}/f", "127.0.0.1")
        told = json.loads(done.stdout)
        assert (told["status"], told["size"], told["sha256"]) == (200, 200_000, hashlib.sha256(body).hexdigest())

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "status 404"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "4 bytes, 5 are missing"),
            (b"garbage\r\n\r\n", "garbage"),
        ],
    )
    def test_what_is_no_whole_file_is_one_line_and_status_1(self, answer: bytes, said: str) -> None:
        with self.served(answer) as port:
            done = self.fetch(f"http://127.0.0.1:{port}/f")
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_it_says_how_it_is_used(self) -> None:
        assert self.fetch("ftp://a/b").returncode == 64


class TestEvents:
    def test_one_object_a_line(self, load: Any, tmp_path: Path) -> None:
        with contextlib.closing(load("events").EventLog(tmp_path / "events.jsonl")) as events:
            events.add("forgotten")
            events.empty()
            events.add("piece", piece=3)
            events.add("left", tracker="ok\n")
        lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
        assert [(line["event"], line.get("piece")) for line in lines] == [("piece", 3), ("left", None)]
        assert all(line["t"] > 1e9 for line in lines)

    def test_a_full_disk_loses_them_and_counts(self, load: Any) -> None:
        with contextlib.closing(load("events").EventLog(Path("/dev/full"))) as events:
            events.add("piece", piece=3)
        assert events.lost == 1


class TestControl:
    @pytest.fixture
    def control(self, load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        control = load("control")
        monkeypatch.setattr(control, "SOCKET", str(tmp_path / "control"))
        return control

    def served(self, control: Any, answer: dict[str, object]) -> list[list[str]]:
        """Answers one command in the background; what was asked comes into the list."""
        asked: list[list[str]] = []

        def act(words: list[str]) -> dict[str, object]:
            asked.append(words)
            return answer

        server = control.listen()

        def serve() -> None:
            with server:
                control.answer(server, act)

        threading.Thread(target=serve).start()
        return asked

    def test_an_answer_is_printed(self, control: Any, capsys: pytest.CaptureFixture[str]) -> None:
        asked = self.served(control, {"result": {"state": "idle"}})
        control.ask("join", "x" * 1_000_000)
        assert json.loads(capsys.readouterr().out) == {"state": "idle"}
        assert asked == [["join", "x" * 1_000_000]]

    def test_a_refusal_is_one_line_and_its_status(self, control: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.served(control, {"refused": "this peer is in no swarm", "status": 64})
        with pytest.raises(SystemExit) as ended:
            control.ask("leave")
        assert ended.value.code == 64
        assert capsys.readouterr().err == "leave: this peer is in no swarm\n"

    def test_what_is_asked_for_to_be_looked_at_is_not_printed(
        self, control: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.served(control, {"result": {"state": "idle"}})
        assert control.request("status") == {"state": "idle"}
        assert capsys.readouterr().out == ""

    def test_a_peer_that_is_not_there_is_said(self, control: Any) -> None:
        with pytest.raises(SystemExit, match=r"^status: the peer does not answer: "):
            control.ask("status")
