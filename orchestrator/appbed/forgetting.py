"""What servers remember of what was done: they forget it by their role's `reset`, and are asked by its `remembers`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from appbed.engine import Completed
from appbed.errors import CommandError
from appbed.shells import Shells
from appbed.topology import Topology

RESET, REMEMBERS = "/appbed/reset", "/appbed/remembers"
_CANNOT_SAY = (69, 126, 127)  # EX_UNAVAILABLE, and no such program


class Forgetting:
    """Of an instance's hosts; routers have nothing to forget."""

    def __init__(self, shells: Shells, shape: Topology) -> None:
        self._shells, self._topology = shells, shape

    def reset(self, *hosts: str) -> None:
        """These, or all; local DNS servers last, since a server that starts again asks them for names."""
        names = hosts or self._all()
        local = self._local(names)
        self._forget([name for name in names if name not in local])
        self._forget(local)

    def remembered(self, *hosts: str) -> dict[str, Completed]:
        """What these say they still know, or all; those that cannot say are left out."""
        said = self._shells.run(REMEMBERS, hosts or self._all())
        return {host: done for host, done in said.items() if done.status not in _CANNOT_SAY}

    def renewed(self) -> dict[str, Completed]:
        """`reset` of all, then what is `remembered`: the others are asked while local DNS servers fetch what they begin with."""
        names = self._all()
        local = self._local(names)
        others = [name for name in names if name not in local]
        self._forget(others)
        with ThreadPoolExecutor(1) as beside:
            forgotten = beside.submit(self._forget, local)
            said = self.remembered(*others) if others else {}
            forgotten.result()
        return said | (self.remembered(*local) if local else {})

    def _forget(self, hosts: Sequence[str]) -> None:
        for host, done in self._shells.run(RESET, hosts).items():
            if done.status:
                raise CommandError(host, (RESET,), done.status, done.stdout, done.stderr)

    def _all(self) -> tuple[str, ...]:
        return tuple(name for name, host in self._topology.hosts.items() if not host.role.router)

    def _local(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if self._topology.host(name).role.name == "resolver"]
