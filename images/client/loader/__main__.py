"""`load URL [--mode ...]`: one page load, reported as one line of JSON; exit status 64 for a wrong argument."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from dataclasses import asdict
from typing import Any, NoReturn
from urllib.parse import urlsplit

from loader.page import MODES, Load, Settings


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(64, f"load: {message}\n")


def settings(argv: list[str]) -> Settings:
    parser = _Arguments(prog="load", description="Loads a page as a browser would and reports times as JSON.")
    parser.add_argument("url", help="of the base HTML file, http only")
    parser.add_argument("--mode", choices=MODES, default="persistent")
    parser.add_argument("--connections", type=_count, default=6, metavar="M", help="at a time, in mode parallel")
    parser.add_argument("--http", choices=("1.0", "1.1"), default="1.1")
    parser.add_argument("--proxy", default="", metavar="HOST:PORT")
    parser.add_argument("--header", action="append", default=[], metavar="NAME: VALUE", help="sent with every request")
    parser.add_argument("--at-most", type=int, metavar="N", help="fetch only the first N objects of the page")
    parser.add_argument("--deadline", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument(
        "--stay", type=float, default=0.0, metavar="SECONDS", help="wait so long for the server to close"
    )
    given = parser.parse_args(argv)
    parts = urlsplit(given.url)
    if parts.scheme != "http" or not parts.hostname:
        parser.error(f"{given.url!r} is no http URL; write http://HOST/PATH")
    if given.mode == "pipelined" and given.http == "1.0":
        parser.error("pipelining came with HTTP/1.1; leave --http out or choose another --mode")
    if not given.deadline > 0:
        parser.error(f"a deadline of {given.deadline:g} s is none; write more than 0")
    if any("\n" in header or ":" not in header for header in given.header):
        parser.error("a header is one line, NAME: VALUE")
    return Settings(
        given.url, given.mode, given.connections, given.http, given.proxy, tuple(given.header), given.at_most,
        given.deadline, given.stay,
    )  # fmt: skip


def _count(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is not possible; choose 1 to 100")
    return int(text)


def report(load: Load) -> dict[str, Any]:
    """`page_s` runs from the first SYN to the last byte; `because` names the first thing that went wrong."""
    wrong = [each for each in load.objects if each.error]
    opened = [float(str(connection.record["opened_s"])) for connection in load.connections]
    arrived = [each.done_s for each in load.objects if each.status]
    return {
        **asdict(load.settings),
        "complete": not wrong,
        "because": f"{wrong[0].url}: {wrong[0].error}" if wrong else "",
        "name_s": load.name_s,
        "page_s": max(arrived) - min(opened) if arrived else None,
        "connections_opened": [connection.record for connection in load.connections],
        "objects": [asdict(each) for each in load.objects],
    }


def main(argv: list[str]) -> int:
    load = Load(settings(argv))
    gc.freeze()
    gc.disable()  # a millisecond in the middle of a page, for nothing: this process ends with it
    load.run()
    json.dump(report(load), sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
