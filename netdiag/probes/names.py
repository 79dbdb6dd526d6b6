"""Names as this machine sees them: what an application gets for one, and which name servers are configured.

Contract: light to import and quick to start, since every run begins here; one observation per lookup; no judgement.
"""

from __future__ import annotations

import ipaddress
import re
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
_MAX_NAME = 253  # RFC 1035 §2.3.4, without the trailing dot
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


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


def canonical_address(text: str) -> str:
    """An IPv6 address as RFC 5952 writes it. Raises ``ValueError``."""
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not an IPv6 address") from None


def canonical_host(text: str) -> str:
    """The canonical form of an address, or a name's lower-case A-label form (RFC 5891). Raises ``ValueError``."""
    if ":" in text:
        return canonical_address(text)
    name = (text if text.isascii() else _to_a_labels(text)).rstrip(".").lower()
    if not name:
        raise ValueError("it names no host")
    if re.fullmatch(r"[0-9.]+", name):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError(f"{name[:60]!r} is not an IPv4 address") from None
    if len(name) > _MAX_NAME:
        raise ValueError(f"the name is longer than {_MAX_NAME} characters")
    for label in name.split("."):
        if not _LABEL.fullmatch(label):
            raise ValueError(f"the label {label[:70]!r} is not letters, digits and hyphens, 1 to 63 of them")
    return name


def _to_a_labels(name: str) -> str:
    import idna  # only internationalised names need its tables

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"not an internationalised name: {error}") from None
