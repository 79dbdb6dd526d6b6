"""``python -m bench``: print the table; exit status 1 when a limit was missed."""

from __future__ import annotations

import os

from bench import network, startup, world
from bench.table import Row, lines


def main() -> int:
    left_out = "" if world.inside() else world.why_no_namespace()
    if not left_out and not world.inside():
        world.enter_namespace()
    rows: list[Row] = []
    for part in (startup, network):
        rows += part.rows()
    print(_machine(), *lines(rows), sep="\n")
    if left_out:
        print(f"Left out: name servers, dead addresses, many targets ({left_out}).")
    return 0 if all(row.kept for row in rows) else 1


def _machine() -> str:
    busy = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores{busy}; a ratio is measured / peer"


if __name__ == "__main__":
    raise SystemExit(main())
