"""``python -m bench``: print the table; exit status 1 when a limit was missed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable

from bench import allowlist, browser, capture, certificates, network, startup, world
from bench.table import Row, lines

PARTS = ("startup", "certificates", "allowlist", "chain", "network", "capture", "browser")


def main() -> int:
    args = _arguments()
    parts = args.only or PARTS
    left_out = ""
    if "network" in parts and not world.inside():
        left_out = world.why_no_namespace()
        if not left_out:
            world.enter_namespace()
    found: list[Row | str] = []
    if "startup" in parts:
        found += startup.rows()
    if "certificates" in parts:
        found += certificates.rows()
    if "allowlist" in parts:
        found += allowlist.rows()
    if "chain" in parts:  # before the next one leaves a resolv.conf behind that nothing can be mounted over
        found += _chain()
    if "network" in parts:
        found += network.rows()
    if left_out:
        found.append(f"Left out: name servers, dead addresses, many targets ({left_out}).")
    if "capture" in parts:
        found += capture.rows(capture.Sizes.scaled(args.scale), stream=args.stream)
    if "browser" in parts:
        found += browser.rows()
    rows = [row for row in found if isinstance(row, Row)]
    print(_machine(), *lines(rows), *(note for note in found if isinstance(note, str)), sep="\n")
    return 0 if all(row.kept for row in rows) else 1


def _chain() -> Iterable[Row | str]:
    why_not = world.why_no_lab()
    if why_not:
        return [f"Left out: the chain of routers ({why_not})."]
    os.environ["PATH"] = world.tool_path()
    from bench import chain  # it needs modules that only Linux has

    return chain.rows()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", allow_abbrev=False)
    parser.add_argument("--only", choices=PARTS, action="append", help="this part (may be repeated)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="captures of X times the size")
    parser.add_argument("--stream", action="store_true", help="also 100 M packets through stdin, which takes minutes")
    return parser.parse_args()


def _machine() -> str:
    busy = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores{busy}; a ratio is measured / peer"


if __name__ == "__main__":
    raise SystemExit(main())
