"""What records of a conversation over TCP have in common: whose it was, where it was seen, and when."""

from __future__ import annotations

from dataclasses import dataclass

from appbed.analysis.tcp import Connection, Endpoint


@dataclass(frozen=True, slots=True)
class OnConnection:
    """Something that happened on a connection."""

    connection: Connection

    @property
    def point(self) -> str:
        return self.connection.point

    @property
    def client(self) -> Endpoint:
        return self.connection.client

    @property
    def server(self) -> Endpoint:
        return self.connection.server


@dataclass(frozen=True, slots=True)
class Session(OnConnection):
    """All of a connection."""

    @property
    def start_s(self) -> float:
        return self.connection.start_s

    @property
    def end_s(self) -> float:
        return self.connection.end_s
