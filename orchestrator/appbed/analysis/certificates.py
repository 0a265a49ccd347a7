"""X.509 certificates, as far as a reader of packets asks: who is named, who vouches for it (RFC 5280); nothing is verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_SEQUENCE, _OID, _OCTETS = 0x30, 0x06, 0x04
_VERSION, _EXTENSIONS, _DNS_NAME = 0xA0, 0xA3, 0x82
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")  # 2.5.29.17


@dataclass(frozen=True, slots=True)
class Certificate:
    """`names` are the host names it was issued for (subjectAltName); `subject` and `issuer` are as encoded, to be compared."""

    subject: bytes
    issuer: bytes
    names: tuple[str, ...]


def certificate(der: bytes) -> Certificate | None:
    """One certificate; None where the bytes are none."""
    parts = list(_inside(_body(_body(der, _SEQUENCE), _SEQUENCE)))
    if parts and parts[0][0] == _VERSION:
        del parts[0]
    if len(parts) < 6 or any(tag != _SEQUENCE for tag, _ in parts[1:6]):
        return None  # serial number, then algorithm, issuer, validity, subject, key
    return Certificate(parts[4][1], parts[2][1], tuple(_names(dict(parts[6:]).get(_EXTENSIONS, b""))))


def _names(extensions: bytes) -> Iterator[str]:
    for _, extension in _inside(_body(extensions, _SEQUENCE)):
        fields = list(_inside(extension))
        if fields and fields[0] == (_OID, _ALTERNATIVE_NAMES) and fields[-1][0] == _OCTETS:
            for tag, name in _inside(_body(fields[-1][1], _SEQUENCE)):
                if tag == _DNS_NAME:
                    yield name.decode("ascii", "replace")


def _body(der: bytes, tag: int) -> bytes:
    """What the first element holds, if it has this tag."""
    found, content = next(_inside(der), (tag, b""))
    return content if found == tag else b""


def _inside(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of one element after the other (ITU-T X.690), up to one that is cut short."""
    at = 0
    while at + 2 <= len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size & 0x80:
            digits = size & 0x7F
            size, at = int.from_bytes(der[at : at + digits], "big"), at + digits
        if at + size > len(der):
            return
        yield tag, der[at : at + size]
        at += size
