"""The process that a PAC script runs in; ``pac.py`` is its parent.

Contract: one question in on stdin, one answer out on stdout, and in between names to resolve, each a line of JSON.
Nothing of netdiag is imported here, so that the process starts fast, and no socket is opened.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import sys
from typing import Any


def run() -> None:
    """Be the child: one question in on stdin, one answer out on stdout, each a line of JSON."""
    question = json.loads(sys.stdin.readline())
    pipe = sys.stdout
    sys.stdout = sys.stderr  # so that nothing else writes into the conversation

    def say(message: dict[str, Any]) -> None:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    def addresses(name: str) -> tuple[str, ...]:
        with contextlib.suppress(ValueError):
            return (str(ipaddress.ip_address(name)),)
        say({"lookup": name})
        return tuple(json.loads(sys.stdin.readline())["addresses"])

    _without_network(addresses)
    from pypac.parser import PACFile

    try:
        answer = PACFile(question["script"]).find_proxy_for_url(question["url"], question["host"])
    except Exception as error:  # noqa: BLE001 - whatever a foreign script provokes is an answer here
        say({"error": " ".join(str(error).split())[:500] or type(error).__name__})
    else:
        say({"answer": answer})


def _without_network(addresses: Any) -> None:
    """Replace this process's resolver by ``addresses``; pypac's functions look names up through these three."""

    def one(host: str) -> str:
        for address in addresses(host):
            if ":" not in address:
                return str(address)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    def every(host: str) -> tuple[str, list[str], list[str]]:
        return host, [], [one(host)]

    def information(host: str | None, port: Any, *_: Any, **__: Any) -> list[Any]:
        found = addresses(host) if host else ()
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port or 0)) for a in found
        ]

    socket.gethostbyname = one
    socket.gethostbyname_ex = every
    socket.getaddrinfo = information  # type: ignore[assignment] # a script calls it with less
