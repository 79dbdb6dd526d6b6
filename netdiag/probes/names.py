"""Names as this machine sees them: what an application gets for one, and which name servers are configured.

Contract: light to import and quick to start, since every run begins here; one observation per lookup; no judgement.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable
from pathlib import Path

from netdiag.model import DnsObservation, Failure
from netdiag.probes import failure
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Step, Stopwatch

PORT = 53
#: glibc asks 3 and Windows all of each adapter; a longer list is a mistake we need not repeat in full.
MAX_NAME_SERVERS = 8
#: Each is connected to, all at once. Big services answer with 8 or so; a hostile answer over TCP holds thousands.
MAX_ADDRESSES = 32
#: RFC 3879 deprecated it, but Windows lists fec0:0:0:ffff::1 to ::3 on every adapter that was given no IPv6 server.
_SITE_LOCAL = ipaddress.ip_network("fec0::/10")
RESOLV_CONF = Path("/etc/resolv.conf")
_MAX_RESOLV_CONF = 64 * 1024


def lookup(machine: Machine, name: str, step: Step) -> DnsObservation:
    """What an application on this machine gets for ``name``. Blocks for as long as the system's resolver does."""
    watch = Stopwatch()
    addresses: tuple[str, ...] = ()
    failed: Failure | None = None
    try:
        addresses = machine.net.lookup(name)[:MAX_ADDRESSES]
        if not addresses:
            failed = Failure(kind="no-answer", step="lookup", detail="the system gave no address")
    except UnicodeError as error:  # a label over 63 octets or an empty one never leaves Python's idna codec
        failed = Failure(kind="nxdomain", step="lookup", detail=f"not a host name: {error}")
    except OSError as error:  # socket.gaierror is one
        failed = failure.from_exception(error, "lookup")
    return DnsObservation(
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if failed else "ok",
        failure=failed,
        asker="system",
        name=name,
        addresses=addresses,
    )


def name_servers(machine: Machine) -> tuple[Address, ...]:
    """The name servers that ``machine`` is configured with, in its order; none when the system names none."""
    if machine.name_servers is not None:
        return machine.name_servers
    configured = _of_windows() if sys.platform == "win32" else _of_resolv_conf(RESOLV_CONF)
    servers = (Address(server, PORT) for server in configured if _usable(server))
    return tuple(dict.fromkeys(servers))[:MAX_NAME_SERVERS]


def _of_resolv_conf(path: Path) -> Iterable[str]:
    """The values of the nameserver lines (resolv.conf(5): the keyword begins the line)."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_RESOLV_CONF).decode("utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        words = line.split()
        if line.startswith("nameserver") and len(words) > 1 and words[0] == "nameserver":
            yield words[1]


def _of_windows() -> Iterable[str]:
    """What the registry says of every adapter that is up."""
    import dns.resolver  # slow to import: it brings the HTTP and QUIC transports along

    try:
        configured = dns.resolver.Resolver(configure=True).nameservers
    except (dns.resolver.NoResolverConfiguration, OSError, ValueError):
        return ()
    return [server for server in configured if isinstance(server, str)]


def _usable(server: str) -> bool:
    try:
        return ipaddress.ip_address(server) not in _SITE_LOCAL
    except ValueError:
        return False
