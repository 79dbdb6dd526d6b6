"""Exhibits made for tests: one connection, packet by packet; real TLS handshakes made in memory; DNS packets."""

from __future__ import annotations

import itertools
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from netdiag.capture.exhibits import DnsSeen, Exhibit
from netdiag.model import Closing, Connection, Opening, Segment
from tests import certs

Side = Literal["client", "server"]
#: 2026-06-01 12:00 UTC.
START = certs.AT
CLIENT, SERVER = "10.0.0.5", "192.0.2.10"
RESOLVER = "10.0.0.53"
_FRAMES = itertools.count(1)


@dataclass
class Talk:
    """A connection in the making. Each packet comes 10 ms after the one before."""

    number: int = 0
    client: str = CLIENT
    server: str = SERVER
    port: int = 443
    client_isn: int = 1_000
    server_isn: int = 4_294_967_000  # wraps soon
    mss: int = 1400
    now: float = START
    segments: list[Segment] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.next = {"client": self.client_isn, "server": self.server_isn}

    def packet(
        self, sender: Side, flags: str, payload: bytes = b"", *, seq: int | None = None, captured: int | None = None
    ) -> Talk:
        other = "server" if sender == "client" else "client"
        at = self.next[sender] if seq is None else seq
        length = len(payload) + ("SYN" in flags) + ("FIN" in flags)
        self.segments.append(
            Segment(
                frame=len(self.segments) + 1,
                at=self.now,
                sender=sender,
                flags=flags,
                seq=at % 2**32,
                ack=self.next[other] % 2**32 if "ACK" in flags else 0,
                length=len(payload),
                window=64240,
                ttl=64,
            )
        )
        self.payloads.append(payload if captured is None else payload[:captured])
        self.now += 0.01
        if seq is None and "RST" not in flags:
            self.next[sender] = at + length
        return self

    def open(self) -> Talk:
        return self.packet("client", "SYN").packet("server", "SYN,ACK").packet("client", "ACK")

    def send(self, sender: Side, data: bytes, *, captured: int | None = None) -> Talk:
        for at in range(0, len(data), self.mss):
            self.packet(sender, "PSH,ACK", data[at : at + self.mss], captured=captured)
        return self

    def play(self, flights: list[tuple[Side, bytes]]) -> Talk:
        for sender, data in flights:
            self.send(sender, data)
        return self

    def close(self, first: Side = "client") -> Talk:
        second: Side = "server" if first == "client" else "client"
        return self.packet(first, "FIN,ACK").packet(second, "FIN,ACK").packet(first, "ACK")

    def wait(self, seconds: float) -> Talk:
        self.now += seconds
        return self

    def exhibit(self) -> Exhibit:
        return Exhibit(self.connection(), list(self.segments), list(self.payloads))

    def connection(self) -> Connection:
        segments = self.segments

        def count(sender: str, *flags: str) -> int:
            return sum(s.sender == sender and s.flags in flags for s in segments)

        syns = [s for s in segments if s.flags == "SYN"]
        syn_acks = [s for s in segments if s.flags == "SYN,ACK"]
        rst_client, rst_server = count("client", "RST", "RST,ACK"), count("server", "RST", "RST,ACK")
        return Connection(
            number=self.number,
            client=self.client,
            client_port=50_000 + self.number,
            server=self.server,
            server_port=self.port,
            started=segments[0].at,
            duration_s=segments[-1].at - segments[0].at,
            first_frame=1,
            last_frame=len(segments),
            opening=self._opening(bool(syns), bool(syn_acks), bool(rst_server)),
            closing=self._closing(bool(rst_client or rst_server)),
            completeness=0,
            syn_rtt_ms=10.0 if syn_acks and syns else None,
            packets_client=sum(s.sender == "client" for s in segments),
            packets_server=sum(s.sender == "server" for s in segments),
            syn=len(syns),
            syn_ack=len(syn_acks),
            rst_client=rst_client,
            rst_server=rst_server,
            mss_server=1460 if syn_acks else None,
        )

    def _opening(self, syn: bool, syn_ack: bool, reset: bool) -> Opening:
        if not syn:
            return "mid-stream"
        if not syn_ack:
            return "refused" if reset else "unanswered"
        acked = any(s.sender == "client" and s.flags.endswith("ACK") and "RST" not in s.flags for s in self.segments)
        return "complete" if acked else "unfinished"

    def _closing(self, reset: bool) -> Closing:
        fins = {s.sender for s in self.segments if "FIN" in s.flags}
        return "fin" if len(fins) == 2 else "reset" if reset else "half-close" if fins else "none"


def server_context(folder: Path, name: str = certs.HOST) -> tuple[ssl.SSLContext, certs.Issued]:
    """A server's side with a certificate for ``name``, and the authority that issued it."""
    root = certs.authority("Root for dialogues")
    leaf = certs.make(name, root, hosts=[name], starts=-3650, ends=3650)
    path = folder / "server.pem"
    path.write_bytes(leaf.pem + root.pem + leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, root


def client_context() -> ssl.SSLContext:
    """A client's side that trusts everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shake(
    client: ssl.SSLContext, server: ssl.SSLContext, name: str | None = certs.HOST, *, talk: bool = True
) -> list[tuple[Side, bytes]]:
    """The flights of a handshake between two real engines, up to its end or failure; then, if it succeeded, a word
    each way."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    flights: list[tuple[Side, bytes]] = []
    done: dict[Side, bool] = {"client": False, "server": False}
    broken = False
    for _ in range(8):
        turns: tuple[tuple[Side, ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO], ...] = (
            ("client", one, to_server, to_client),
            ("server", other, to_client, to_server),
        )
        for side, engine, out, _into in turns:
            try:
                if not done[side]:
                    engine.do_handshake()
                    done[side] = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                broken = True
            data = out.read()
            if data:
                flights.append((side, data))
                out.write(data)
        if all(done.values()) or broken:
            break
    if talk and all(done.values()) and not broken:
        one.write(b"GET / HTTP/1.1\r\n\r\n")
        flights.append(("client", _moved(to_server)))
        other.read(100)
        other.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200)
        flights.append(("server", _moved(to_client)))
    return flights


def _moved(bio: ssl.MemoryBIO) -> bytes:
    data = bio.read()
    bio.write(data)
    return data


def ask(
    at: float = 0.0,
    *,
    number: int = 7,
    port: int = 40_000,
    qtype: str = "A",
    name=certs.HOST,
    tcp=False,
    server=RESOLVER,
):
    query = dns.message.make_query(name, qtype, id=number)
    return DnsSeen(next(_FRAMES), START + at, CLIENT, port, server, 53, query.to_wire(), tcp)


def answer(
    question: DnsSeen, *addresses: str, after: float = 0.02, rcode: str = "NOERROR", truncated: bool = False, cut=None
):
    query = dns.message.from_wire(question.payload)
    reply = dns.message.make_response(query, recursion_available=True)
    reply.set_rcode(dns.rcode.from_text(rcode))
    if truncated:
        reply.flags |= dns.flags.TC
    if addresses:
        asked = query.question[0]
        reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", dns.rdatatype.to_text(asked.rdtype), *addresses))
    return DnsSeen(
        next(_FRAMES),
        question.at + after,
        question.destination,
        53,
        question.source,
        question.source_port,
        reply.to_wire()[:cut],
        question.tcp,
    )
