"""Lookups and name servers in words, for the sentences of the rules about names. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import Blame, Culprit
from netdiag.rules.addresses import is_here, is_private
from netdiag.rules.lookups import Server
from netdiag.rules.words import few


def reason(server: Server) -> str:
    """Why a name server is of no use, in words."""
    answer = server.deciding
    if answer is None or answer.failure is None:
        return ""
    kind = answer.failure.kind
    words = {
        "timeout": "no answer",
        "refused": "nothing listens on its port",
        "nxdomain": "no such name",
        "no-answer": "no address",
        "lame": "it does not look names up for others",
        "dns-malformed": "its answer is no DNS message",
        "no-route": "this machine has no route to it",
        "local-policy": "this machine's own firewall or policy stops the question",
        "unreachable": "unreachable",
    }.get(kind, answer.failure.detail or kind)
    if kind == "timeout" and not answer.truncated and answer.took_s >= 0.1:
        words += f" in {answer.took_s:.1f} s"
    if answer.truncated:
        words = f"answers are too long for UDP, and over TCP: {words}"
    if server.addresses and answer.qtype in ("A", "AAAA"):
        words = f"{answer.qtype} question: {words}"
    return words


def says(server: Server) -> str:
    """What a server answers, in words."""
    if not server.addresses:
        return "says that it does not exist" if server.cause == "name-not-found" else "has no address for it"
    return f"gives {few(server.addresses)} ({kind(server.addresses)})"


def kind(addresses: Sequence[str]) -> str:
    """Where the addresses are: "local", "private" or "public"."""
    if any(map(is_here, addresses)):
        return "local"
    return "private" if any(map(is_private, addresses)) else "public"


def but(server: Server | None) -> str:
    """The contradiction by a server that does have addresses; empty for none."""
    return f", but name server {server.server} answers {few(server.addresses)}" if server else ""


def names(servers: Sequence[Server]) -> str:
    """The servers' addresses, for a sentence."""
    return few([server.server for server in servers])


def culprit(servers: Sequence[Server]) -> Culprit | None:
    """The first server, as the thing to look at."""
    return Culprit(name=f"name server {servers[0].server}", address=servers[0].server) if servers else None


def server_blame(servers: Sequence[Server]) -> Blame:
    """Whose fault it is that the servers are of no use: theirs, unless this machine cannot send to them."""
    kinds = {server.deciding.failure.kind for server in servers if server.deciding and server.deciding.failure}
    return "this-machine" if kinds <= {"no-route", "local-policy"} else "dns"
