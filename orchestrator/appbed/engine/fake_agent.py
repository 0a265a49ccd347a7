"""The agent of an instance of the engine in memory: answers as agent/control.py does, about links only written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from appbed.agent.desired import Desired
from appbed.agent.emulation import Direction
from appbed.errors import AgentError, AppbedError, InputError
from appbed.impairment import Impairment, Link
from appbed.topology import Topology


class Circumstances(Protocol):
    """What a test says about an instance's hosts and captures; FakeEngine has it."""

    dead: set[str]
    unready: dict[str, str]
    captured: bytes
    capture_problem: str
    capture_options: dict[str, Any]
    dropped: int
    ticks: list[dict[str, int]]


class FakeAgent:
    """Answers as agent/control.py does; links follow the agent's own rules and are only written down. `now` is its clock."""

    def __init__(self, engine: Circumstances, shape: Topology, files: dict[tuple[str, str], bytes]) -> None:
        self.started = 1_700_000_000.0
        self.now = 1_000.0
        self.desired = Desired(shape)
        self._engine, self._topology, self._files = engine, shape, files
        self.hidden: dict[str, Link] = {}  # what cables do instead of what is set, behind the agent's back
        self._captures: dict[str, list[str]] = {}

    @property
    def links(self) -> dict[str, Link]:
        """Every link as it is set now."""
        self.desired = self.desired.standing(self.now)
        return self.desired.links(self.now)

    def answers(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        try:
            if request["op"] == "wait":
                yield from self._wait()
            else:
                yield self._answer(request)
        except AppbedError as error:
            yield {"error": error.message, "remedy": error.remedy, "input": isinstance(error, InputError)}
        except (LookupError, TypeError, ValueError) as error:
            yield {"error": f"{type(error).__name__}: {error}"}

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        match request["op"]:
            case "status":
                return {
                    "started": self.started,
                    "now": self.started,
                    "links": "fake",
                    "missing": self._missing(),
                    "hosts": sorted(set(self._topology.hosts) - self._engine.dead),
                    "captures": sorted(self._captures),
                    "processor": self._engine.ticks.pop(0) if self._engine.ticks else {"busy": 0, "all": 0},
                }
            case "links":
                return {"links": [self._line(name) for name in self.links], "backend": "fake"}
            case "link-change":
                self.desired = self.desired.change(request["changes"], request.get("base", "now"), self.now)
                return {"links": [self._line(str(self._topology.attachment(name))) for name in request["changes"]]}
            case "hold" | "holds" | "release" as op:
                return self._hold(op, request)
            case "events":
                return {"events": []}
            case "capture-start":
                self._engine.capture_options = dict(request.get("options") or {})
                return self._capture(request["name"], request["points"])
            case "introduce":
                return {"neighbours": 0}
            case "measure":
                return self._measured(request["series"])
            case "capture-stop":
                return self._captured(request["name"])
        raise AgentError(f"unknown command {request['op']!r}")

    def _missing(self) -> dict[str, str]:
        dead = {host: "its network namespace" for host in self._topology.hosts if host in self._engine.dead}
        return {**dead, **self._engine.unready}

    def _wait(self) -> Iterator[dict[str, Any]]:
        """Time is no matter here: whoever is not ready at once never will be."""
        missing = self._missing()
        yield {"missing": missing or dict.fromkeys(self._topology.hosts, "its network namespace"), "waiting": True}
        yield {"missing": missing, "done": not missing}

    def _hold(self, op: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.desired = self.desired.standing(self.now)
        if op == "hold":
            self.desired = self.desired.hold(request, self.now, self.now)
            return {"hold": self._shown(str(self.desired.number))}
        if op == "holds":
            return {"holds": [self._shown(name) for name in self.desired.holds]}
        ended = [self._shown(name) for name in request["holds"] if name in self.desired.holds]
        self.desired = self.desired.without([self.desired.holds[each["hold"]] for each in ended])
        return {"released": ended}

    def _shown(self, name: str) -> dict[str, Any]:
        hold = self.desired.holds[name]
        return {
            "hold": hold.name,
            "kind": hold.kind,
            "targets": list(hold.targets),
            "links": {name: step.links[name] for step in hold.active(self.now) for name in step.links},
            "over": list(hold.links),
            "began": hold.began,
            "seconds_left": None if hold.until == float("inf") else hold.until - self.now,
            "holder": hold.holder,
            "left_behind": False,
        }

    def _line(self, name: str) -> dict[str, Any]:
        at, link = self._topology.attachment(name), self.links[name]
        return {
            "attachment": name,
            "address": str(at.address),
            "declared": at.link.settings(),
            "set": link.settings(),
            "mac": at.address.packed.rjust(6, b"\2").hex(":"),
            "mtu": 1500,
            "cable": "bridge" if link.clean else "fake",
            "running": at.host not in self._engine.dead,
            "counters": None if link.clean else {"up": {"frames_out": 0}, "down": {"frames_out": 0}},
            "failed": None,
            "holds": [str(hold) for hold in self.desired.on([name])],
        }

    def _measured(self, wanted: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
        """As if the frames went through the relay's emulation, and through whatever hides in the cable."""
        measured: dict[str, Any] = {}
        for name, ways in wanted.items():
            link = self.hidden.get(name, self.links[name])
            measured[name] = {"cable": self._line(name)["cable"], "counters": [None, None]}
            for way, series in ways.items():
                measured[name][way] = played(link.up if way == "up" else link.down, series)
        return {"measured": measured, "absent": {}}

    def _capture(self, name: str, points: Sequence[str]) -> dict[str, Any]:
        if name in self._captures:
            raise AgentError(f"capture {name!r} is already running")
        named = [*self._topology.hosts, *self._topology.networks] if list(points) == ["all"] else list(points)
        for point in named:
            if point not in self._topology.networks:
                self._topology.host(point.partition("@")[0])
        self._captures[name] = named
        return {"ready": True}

    def _captured(self, name: str) -> dict[str, Any]:
        if name not in self._captures:
            raise AgentError(
                f"no capture {name!r} is running", remedy="running: " + (", ".join(self._captures) or "none")
            )
        file = f"/appbed/out/{name}.pcapng"
        self._files[self._topology.agent, file] = self._engine.captured
        points = [
            {"name": point, "frames": 0, "dropped": 0 if number else self._engine.dropped}
            for number, point in enumerate(self._captures.pop(name))
        ]
        return {
            "files": [file],
            "problem": self._engine.capture_problem,
            "bytes": len(self._engine.captured),
            "points": points,
        }


def played(it: Impairment, series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What becomes of frames sent on time through one direction, as the measuring process of an agent says it."""
    direction, now, damaged = Direction(it), 0, 0
    said: list[dict[str, Any]] = []
    for one in series:
        now += one["pause_us"] * 1000
        frame, sent, came = bytes(one["size"]), list[float](), list[list[float]]()
        for number in range(one["count"]):
            sent.append(now / 1000)
            out = direction.admit(now, frame)
            damaged += sum(data != frame for _, data in out)
            came += [[number, when / 1000] for when, data in out if data == frame]
            now += one["interval_us"] * 1000
        now = max([now, *(round(when * 1000) for _, when in came)])
        said.append({"sent_us": sent, "unsure_us": [0.0] * len(sent), "came": came})
    return {"damaged": damaged, "series": said}
