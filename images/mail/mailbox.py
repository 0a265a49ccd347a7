"""Reads a user's Maildir and prints one object a message, oldest first within each folder."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from email import policy
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

_HOMES = Path("/var/vmail")
_USERS = Path("/var/lib/appbed/passwords")
_FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_HEADERS = ("From", "To", "Subject", "Date", "Message-ID")


def main(arguments: list[str]) -> int:
    users = [line.partition("@")[0] for line in _USERS.read_text().splitlines()]
    if len(arguments) != 1 or arguments[0].partition("@")[0] not in users:
        print(f"mailbox: no mailbox '{' '.join(arguments)}' here; choose one of: {' '.join(users)}", file=sys.stderr)
        return 64
    inbox = _HOMES / arguments[0].partition("@")[0] / "Maildir"
    # Maildir++: INBOX is the folder itself, "Work.2024" is ".Work.2024" in it.
    folders = [
        ("INBOX", inbox),
        *((path.name[1:], path) for path in sorted(inbox.glob(".*")) if (path / "cur").is_dir()),
    ]
    print(json.dumps([message for name, path in folders for message in messages(name, path)], ensure_ascii=False))
    return 0


def messages(folder: str, path: Path) -> list[dict[str, object]]:
    keywords = keywords_of(path)
    files = [file for part in ("new", "cur") for file in (path / part).glob("*")]
    return [described(folder, file, keywords) for file in sorted(files, key=arrival)]


def arrival(file: Path) -> list[int]:
    """Seconds and microseconds, with which a file's name begins: 1795370702.M31465P99.mail.crepes.fr,S=479:2,S"""
    return [int(number) for number in re.findall("[0-9]+", file.name)[:2]]


def described(folder: str, file: Path, keywords: dict[str, str]) -> dict[str, object]:
    content = file.read_bytes()
    _, _, letters = file.name.partition(":2,")
    headers: Message = BytesHeaderParser(policy=policy.default).parsebytes(content)
    return {
        "folder": folder,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "flags": [_FLAGS.get(letter) or keywords.get(letter, letter) for letter in letters],
        **{name.lower().replace("-", "_"): headers[name] and str(headers[name]) for name in _HEADERS},
    }


def keywords_of(path: Path) -> dict[str, str]:
    """Letters a, b, ... in a file's name stand for the keywords that this file of Dovecot's numbers from 0."""
    listed = path / "dovecot-keywords"
    lines = listed.read_text().splitlines() if listed.exists() else []
    return {chr(ord("a") + int(number)): name for number, _, name in (line.partition(" ") for line in lines)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
