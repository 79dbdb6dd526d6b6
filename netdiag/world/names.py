"""A name server that answers as a zone tells it to, and the resolver of a machine that asks it.

Contract: messages are dnspython's; both UDP and TCP are served. The resolver behaves like getaddrinfo: hosts file
first, then each name server in turn, and ``socket.gaierror`` for the rest.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

from netdiag.probes.net import Address

TTL_S = 300

#: A chain of aliases is followed no further, as name servers do (BIND's default is 11).
MAX_ALIASES = 11

Rcode = Literal["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"]


@dataclass(frozen=True, kw_only=True)
class Name:
    """What the server knows of one name, or how it fails to answer."""

    addresses: tuple[str, ...] = ()
    alias: str = ""
    rcode: Rcode = "NOERROR"
    silent: bool = False
    #: UDP answers come back empty and truncated, so that only TCP tells.
    truncated: bool = False


Zone = Mapping[str, Name]

UNKNOWN = Name(rcode="NXDOMAIN")


def answer(zone: Zone, question: bytes, *, udp: bool) -> bytes | None:
    """The reply to one message, None for silence. A message that cannot be read gets none either."""
    try:
        query = dns.message.from_wire(question)
        asked = query.question[0]
    except (dns.exception.DNSException, IndexError):
        return None
    response = dns.message.make_response(query, recursion_available=True)
    name = asked.name.to_text(omit_final_dot=True).lower()
    known = zone.get(name, UNKNOWN)
    if known.silent:
        return None
    if known.truncated and udp:
        response.flags |= dns.flags.TC
        return response.to_wire()
    _fill(response, zone, name, asked.rdtype)
    return response.to_wire()


def _fill(response: dns.message.Message, zone: Zone, name: str, kind: dns.rdatatype.RdataType) -> None:
    """Aliases and addresses into the answer section, and the last name's rcode."""
    for _ in range(MAX_ALIASES):
        known = zone.get(name, UNKNOWN)
        if not known.alias:
            break
        response.answer.append(dns.rrset.from_text(f"{name}.", TTL_S, "IN", "CNAME", f"{known.alias}."))
        name = known.alias
    response.set_rcode(dns.rcode.from_text(known.rcode))
    wanted = {dns.rdatatype.A: socket.AF_INET, dns.rdatatype.AAAA: socket.AF_INET6}.get(kind)
    addresses = [address for address in known.addresses if _family(address) is wanted]
    if addresses:
        response.answer.append(dns.rrset.from_text(f"{name}.", TTL_S, "IN", dns.rdatatype.to_text(kind), *addresses))


def serve_tcp(zone: Zone, connection: socket.socket) -> None:
    """Questions over TCP, each behind its length (RFC 1035 §4.2.2)."""
    while True:
        question = _exactly(connection, int.from_bytes(_exactly(connection, 2), "big"))
        reply = answer(zone, question, udp=False)
        if reply is not None:
            connection.sendall(len(reply).to_bytes(2, "big") + reply)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError("the client is done")
        data += piece
    return data


@dataclass(frozen=True, kw_only=True)
class StubResolver:
    """getaddrinfo of a machine in the world. ``timeout_s`` bounds the wait for each name server."""

    hosts: Mapping[str, tuple[str, ...]]
    name_servers: tuple[Address, ...]
    translate: Callable[[Address], Address | None]
    timeout_s: float

    def __call__(self, name: str) -> tuple[str, ...]:
        """The addresses of a name. Raises ``socket.gaierror`` as the C library would."""
        name = name.rstrip(".").lower()
        if is_address(name):
            return (name,)
        if name in self.hosts:
            return self.hosts[name]
        for server in self.name_servers:
            answers = self._ask(server, name)
            if all(reply is None or reply.rcode() in _TRY_NEXT for reply in answers):
                continue
            found = tuple(value for reply in answers if reply is not None for value in _addresses(reply))
            if found:
                return found
            if any(reply is not None and reply.rcode() == dns.rcode.NXDOMAIN for reply in answers):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            raise socket.gaierror(
                getattr(socket, "EAI_NODATA", socket.EAI_NONAME), "No address associated with hostname"
            )
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def _ask(self, server: Address, name: str) -> list[dns.message.Message | None]:
        """Both families at once, as resolvers do."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda kind: self._ask_one(server, name, kind), ("A", "AAAA")))

    def _ask_one(self, server: Address, name: str, kind: str) -> dns.message.Message | None:
        actual = self.translate(server)
        query = dns.message.make_query(name, kind)
        try:
            if actual is None:
                return None
            reply, _ = dns.query.udp_with_fallback(query, actual.host, self.timeout_s, actual.port)
        except (dns.exception.DNSException, OSError):
            return None
        return reply


#: Answers that make a resolver ask the next server (resolv.conf(5), glibc's res_send).
_TRY_NEXT = (dns.rcode.SERVFAIL, dns.rcode.REFUSED)


def _addresses(reply: dns.message.Message) -> tuple[str, ...]:
    return tuple(
        record.to_text()
        for rrset in reply.answer
        if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
        for record in rrset
    )


def is_address(text: str) -> bool:
    """Whether it is an IP address rather than a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
