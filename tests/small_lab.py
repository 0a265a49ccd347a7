"""A lab small enough to read: a client, a router with a slow access link, a server. Tests change one thing in it."""

from __future__ import annotations

import signal
from pathlib import Path

from appbed.engine.fake import FakeEngine

SMALL = """\
name: small
x-testbed: {about: "A client and a server with a router between them."}
services:
  agent:
    image: lab/agent
    network_mode: host
    x-role: {name: agent}
    labels: {org.appbed.role: agent, org.appbed.owner: "${APPBED_OWNER:-}", org.appbed.lives-on: "${APPBED_LIVES_ON:-}"}
    environment: {APPBED_NET: "${APPBED_NET:-10.77}", APPBED_TOPOLOGY: "${APPBED_TOPOLOGY:-small.yaml}"}
  client:
    image: lab/client
    x-role: {name: client}
    dns: "${APPBED_NET:-10.77}.2.80"
    networks:
      campus: {ipv4_address: "${APPBED_NET:-10.77}.1.10"}
  gateway:
    image: lab/router
    x-role: {name: router, router: true}
    networks:
      campus: {ipv4_address: "${APPBED_NET:-10.77}.1.2"}
      access:
        ipv4_address: "${APPBED_NET:-10.77}.2.2"
        x-link: {rate: 10mbit, up: {delay: 30ms}, down: {delay: 20ms}}
  server:
    image: lab/web
    x-role: {name: web, ready: {tcp: 80}}
    networks:
      access: {ipv4_address: "${APPBED_NET:-10.77}.2.80"}
networks:
  campus:
    ipam: {config: [{subnet: "${APPBED_NET:-10.77}.1.0/24", aux_addresses: {DefaultGatewayIPv4: "${APPBED_NET:-10.77}.1.1"}}]}
  access:
    ipam: {config: [{subnet: "${APPBED_NET:-10.77}.2.0/24", aux_addresses: {DefaultGatewayIPv4: "${APPBED_NET:-10.77}.2.1"}}]}
"""


def write_small(folder: Path, *changes: tuple[str, str], name: str = "small.yaml") -> Path:
    """The small lab as a file, with pieces of text replaced; each piece must be there."""
    text = SMALL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def nothing_left(engine: FakeEngine) -> bool:
    """No container, no network, no stream; a signal ends this process as before."""
    return (
        engine.instances() == []
        and engine.open_streams == 0
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
