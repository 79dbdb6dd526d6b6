from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.model import DnsObservation
from netdiag.probes import dns as probe
from netdiag.probes.dns_question import Question
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline, Net, Step
from netdiag.wire.dns import MAX_RECORDS, MAX_VALUE, Answer, parse, read
from tests.listener import Listener

NAME = "a.example"
STEP = Step("dns.server", "before")

#: What a server sends back for one message: nothing, or some datagrams. ``tcp`` tells the transport.
Script = Callable[[dns.message.Message, bool], list[bytes]]


class Server:
    """A name server on loopback, UDP and TCP on one port; ``script`` makes its answers."""

    def __init__(self, script: Script, *, tcp: bool = True) -> None:
        self.script = script
        self.queries: list[dns.message.Message] = []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = self._bind_both() if tcp else None
        if self.tcp is None:
            self.udp.bind(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self.udp.getsockname()[1])
        self.thread = threading.Thread(target=self._serve_udp)
        self.thread.start()

    def _bind_both(self) -> Listener:
        """A TCP server, and UDP on its port; another process may hold that port for UDP."""
        while True:
            tcp = Listener(self._serve_tcp)
            try:
                self.udp.bind(tcp.address)
            except OSError as error:
                tcp.close()
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return tcp

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.address)
        self.thread.join()
        self.udp.close()
        if self.tcp:
            self.tcp.close()

    def _serve_udp(self) -> None:
        while True:
            wire, client = self.udp.recvfrom(4096)
            if not wire:
                return
            for reply in self._answer(wire, tcp=False):
                self.udp.sendto(reply, client)

    def _serve_tcp(self, connection: socket.socket) -> None:
        head = connection.recv(2)
        if not head:
            return
        (length,) = struct.unpack("!H", head)
        for reply in self._answer(connection.recv(length), tcp=True):
            connection.sendall(reply)

    def _answer(self, wire: bytes, *, tcp: bool) -> list[bytes]:
        query = dns.message.from_wire(wire)
        self.queries.append(query)
        return self.script(query, tcp)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(script: Script, *, tcp: bool = True) -> Server:
        servers.append(Server(script, tcp=tcp))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(server: Address, name: str = NAME, seconds: float = 5.0, **options: Any) -> dict[str, DnsObservation]:
    found = probe.ask(Machine(), server, name, Deadline(seconds), STEP, **options)
    return {observation.qtype: observation for observation in found}


def reply_to(query: dns.message.Message, *records: str, rcode: str = "NOERROR", ra: bool = True) -> dns.message.Message:
    reply = dns.message.make_response(query, recursion_available=ra)
    reply.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        reply.answer.append(dns.rrset.from_text(*record.split(" ", 4)))  # type: ignore[arg-type] # the TTL may be text
    return reply


def answer_in(reply: dns.message.Message) -> Answer:
    parsed = parse(reply.to_wire())
    assert parsed is not None
    return read(parsed)


def qtype(query: dns.message.Message) -> str:
    return query.question[0].rdtype.name


def framed(reply: dns.message.Message) -> bytes:
    wire = reply.to_wire()
    return struct.pack("!H", len(wire)) + wire


CHAIN = ("a.example. 60 IN CNAME b.privatelink.example.", "B.privatelink.example. 30 IN CNAME c.example.")
FINAL = {"A": "c.example. 9 IN A 192.0.2.1", "AAAA": "c.example. 9 IN AAAA 2001:db8::1"}


def test_both_families_over_one_socket_with_their_chain(serve: Callable[..., Server]) -> None:
    server = serve(lambda query, tcp: [reply_to(query, *CHAIN, FINAL[qtype(query)]).to_wire()])
    found = ask(server.address)
    assert found["A"].addresses == ("192.0.2.1",)
    assert found["AAAA"].addresses == ("2001:db8::1",)
    a = found["A"]
    assert [(r.name.lower(), r.type, r.ttl, r.value) for r in a.records] == [
        ("a.example", "CNAME", 60, "b.privatelink.example"),
        ("b.privatelink.example", "CNAME", 30, "c.example"),
        ("c.example", "A", 9, "192.0.2.1"),
    ]
    assert (a.id, a.parent, a.asker, a.server, a.name) == (
        "dns.server.A",
        "before",
        "name-server",
        str(server.address),
        NAME,
    )
    assert (a.outcome, a.rcode, a.transport, a.truncated, a.attempts) == ("ok", "NOERROR", "udp", False, 1)
    assert a.flow is not None
    assert a.flow == found["AAAA"].flow
    assert (a.flow.protocol, a.flow.server_port) == ("udp", server.address.port)
    assert len({query.id for query in server.queries}) == 2
    assert {(query.edns, query.payload) for query in server.queries} == {(0, 1232)}


@pytest.mark.parametrize(
    ("rcode", "kind"),
    [
        ("NXDOMAIN", "nxdomain"),
        ("SERVFAIL", "servfail"),
        ("REFUSED", "dns-refused"),
        ("NOERROR", "no-answer"),
        ("YXDOMAIN", "servfail"),
    ],
)
def test_answers_without_addresses(serve: Callable[..., Server], rcode: str, kind: str) -> None:
    server = serve(lambda query, tcp: [reply_to(query, rcode=rcode).to_wire()])
    for observation in ask(server.address, configured=False).values():
        assert observation.outcome == "failed"
        assert observation.failure is not None
        assert (observation.failure.kind, observation.rcode, observation.configured) == (kind, rcode, False)


def test_a_nxdomain_at_the_end_of_a_chain_keeps_the_chain(serve: Callable[..., Server]) -> None:
    server = serve(lambda query, tcp: [reply_to(query, CHAIN[0], rcode="NXDOMAIN").to_wire()])
    found = ask(server.address)["A"]
    assert found.failure is not None
    assert found.failure.kind == "nxdomain"
    assert [record.value for record in found.records] == ["b.privatelink.example"]


def test_one_family_may_be_empty(serve: Callable[..., Server]) -> None:
    records = {"A": ("a.example. 1 IN A 192.0.2.1", "a.example. 1 IN A 192.0.2.2"), "AAAA": ()}
    server = serve(lambda query, tcp: [reply_to(query, *records[qtype(query)]).to_wire()])
    found = ask(server.address)
    assert found["A"].addresses == ("192.0.2.1", "192.0.2.2")
    assert found["AAAA"].failure is not None
    assert found["AAAA"].failure.kind == "no-answer"


def test_a_referral_is_a_lame_answer(serve: Callable[..., Server]) -> None:
    def refer(query: dns.message.Message, tcp: bool) -> list[bytes]:
        reply = reply_to(query, ra=False)
        reply.authority.append(dns.rrset.from_text("example.", 60, "IN", "NS", "ns.example."))
        return [reply.to_wire()]

    found = ask(serve(refer).address)["A"]
    assert found.failure is not None
    assert found.failure.kind == "lame"
    assert found.recursion_available is False


def test_an_authoritative_empty_answer_is_not_lame(serve: Callable[..., Server]) -> None:
    def empty(query: dns.message.Message, tcp: bool) -> list[bytes]:
        reply = reply_to(query, ra=False)
        reply.flags |= dns.flags.AA
        return [reply.to_wire()]

    found = ask(serve(empty).address)["A"]
    assert found.failure is not None
    assert found.failure.kind == "no-answer"


def test_the_servers_own_reason_is_kept(serve: Callable[..., Server]) -> None:
    def bogus(query: dns.message.Message, tcp: bool) -> list[bytes]:
        reply = reply_to(query, rcode="SERVFAIL")
        reply.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "no RRSIG")])
        return [reply.to_wire()]

    found = ask(serve(bogus).address)["A"]
    assert found.failure is not None
    assert found.failure.detail == "SERVFAIL, dnssec bogus (no RRSIG)"


def test_truncated_answers_are_asked_for_again_over_tcp(serve: Callable[..., Server]) -> None:
    def truncate(query: dns.message.Message, tcp: bool) -> list[bytes]:
        if tcp:
            return [framed(reply_to(query, *CHAIN, FINAL[qtype(query)]))]
        reply = reply_to(query)
        reply.flags |= dns.flags.TC
        return [reply.to_wire()[:-1]] if qtype(query) == "A" else [reply.to_wire()]  # cut anywhere

    for observation in ask(serve(truncate).address).values():
        assert observation.outcome == "ok"
        assert (observation.transport, observation.truncated, observation.attempts) == ("tcp", True, 2)


@pytest.mark.parametrize(
    ("tcp_bytes", "kind"),
    [(b"", "eof"), (b"\x00", "eof"), (b"\x00\x05abc", "eof"), (b"\x00\x03abc", "dns-malformed")],
)
def test_tcp_may_fail_after_truncation(serve: Callable[..., Server], tcp_bytes: bytes, kind: str) -> None:
    def truncate(query: dns.message.Message, tcp: bool) -> list[bytes]:
        if tcp:
            return [tcp_bytes]
        reply = reply_to(query)
        reply.flags |= dns.flags.TC
        return [reply.to_wire()]

    found = ask(serve(truncate).address)["A"]
    assert found.failure is not None
    assert (found.failure.kind, found.truncated, found.transport) == (kind, True, "tcp")


def test_tcp_may_be_closed_after_truncation(serve: Callable[..., Server]) -> None:
    def truncate(query: dns.message.Message, tcp: bool) -> list[bytes]:
        reply = reply_to(query)
        reply.flags |= dns.flags.TC
        return [reply.to_wire()]

    found = ask(serve(truncate, tcp=False).address)["A"]
    assert found.failure is not None
    assert (found.failure.kind, found.failure.step) == ("refused", "query over TCP")


def test_spoofed_answers_are_passed_over(serve: Callable[..., Server]) -> None:
    def spoof(query: dns.message.Message, tcp: bool) -> list[bytes]:
        wrong_id = reply_to(query, f"a.example. 1 IN {qtype(query)} {'::6' if qtype(query) == 'AAAA' else '192.0.2.6'}")
        wrong_id.id = query.id ^ 0x5555
        wrong_name = reply_to(dns.message.make_query("b.example", qtype(query), id=query.id))
        echo = query.to_wire()
        return [wrong_id.to_wire(), wrong_name.to_wire(), echo, reply_to(query, *CHAIN, FINAL[qtype(query)]).to_wire()]

    found = ask(serve(spoof).address)
    assert found["A"].addresses == ("192.0.2.1",)
    assert found["AAAA"].addresses == ("2001:db8::1",)


def test_a_flood_of_strays_ends_the_wait(serve: Callable[..., Server]) -> None:
    server = serve(lambda query, tcp: [b"\x00"] * (probe.MAX_STRAYS + 1))
    found = ask(server.address, seconds=60)
    assert {o.failure.kind for o in found.values() if o.failure} == {"dns-malformed"}


def test_silence_is_a_timeout(serve: Callable[..., Server]) -> None:
    server = serve(lambda query, tcp: [])
    for observation in ask(server.address, seconds=0.3).values():
        assert observation.failure is not None
        assert (observation.failure.kind, observation.rcode) == ("timeout", "")


def test_a_black_hole_is_a_timeout() -> None:
    machine = Machine(net=Net(translate=lambda address: None))
    found = probe.ask(machine, Address("192.0.2.53", 53), NAME, Deadline(0.05), STEP)
    assert [o.failure.kind for o in found if o.failure] == ["timeout", "timeout"]


def test_a_lost_question_is_sent_again(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "RESEND_S", 0.05)
    seen: list[str] = []

    def lose_the_first(query: dns.message.Message, tcp: bool) -> list[bytes]:
        seen.append(qtype(query))
        return [reply_to(query, *CHAIN, FINAL[qtype(query)]).to_wire()] if seen.count(qtype(query)) > 1 else []

    server = serve(lose_the_first)
    found = ask(server.address)
    assert found["A"].outcome == "ok"
    assert found["A"].attempts > 1
    assert [query.edns for query in server.queries if qtype(query) == "A"][:2] == [0, -1]


def test_a_server_without_edns_is_asked_without(serve: Callable[..., Server]) -> None:
    def old(query: dns.message.Message, tcp: bool) -> list[bytes]:
        if query.edns >= 0:
            return [query.id.to_bytes(2, "big") + b"\x80\x01" + bytes(8)]  # FORMERR, no question section
        return [reply_to(query, *CHAIN, FINAL[qtype(query)]).to_wire()]

    found = ask(serve(old).address)
    assert found["A"].addresses == ("192.0.2.1",)
    assert found["A"].attempts == 2


def test_formerr_for_good_is_the_servers_failure(serve: Callable[..., Server]) -> None:
    found = ask(serve(lambda query, tcp: [reply_to(query, rcode="FORMERR").to_wire()]).address)["A"]
    assert found.failure is not None
    assert (found.failure.kind, found.rcode) == ("servfail", "FORMERR")


def test_garbage_with_the_right_id_is_malformed(serve: Callable[..., Server]) -> None:
    found = ask(serve(lambda query, tcp: [query.id.to_bytes(2, "big") + b"\x80"]).address)["A"]
    assert found.failure is not None
    assert found.failure.kind == "dns-malformed"


def test_an_answer_that_ends_early_is_malformed(serve: Callable[..., Server]) -> None:
    server = serve(lambda query, tcp: [reply_to(query, *CHAIN, FINAL[qtype(query)]).to_wire()[:-12]])
    found = ask(server.address)["A"]
    assert found.failure is not None
    assert (found.failure.kind, found.records) == ("dns-malformed", ())


def test_nothing_but_garbage_is_malformed_not_silent(serve: Callable[..., Server]) -> None:
    found = ask(serve(lambda query, tcp: [b"!"]).address, seconds=0.3)["A"]
    assert found.failure is not None
    assert found.failure.kind == "dns-malformed"


def test_a_closed_port_is_refused_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", free.getsockname()[1])
    for observation in ask(address, seconds=60).values():
        assert observation.failure is not None
        assert observation.failure.kind == "refused"


def test_winsocks_reset_on_udp_is_a_closed_port() -> None:
    assert probe._udp_failure(ConnectionResetError(10054, "forcibly closed")).kind == "refused"


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example", ".".join(["a" * 60] * 5)])
def test_a_name_that_dns_cannot_carry(name: str) -> None:
    found = ask(Address("127.0.0.1", 9), name)
    assert [o.failure.kind for o in found.values() if o.failure] == ["nxdomain", "nxdomain"]
    assert [o.id for o in found.values()] == ["dns.server.A", "dns.server.AAAA"]


def test_what_is_kept_of_an_answer_is_bounded() -> None:
    query = dns.message.make_query(NAME, "A")
    reply = reply_to(query)
    many = [f"192.0.{i // 250}.{i % 250}" for i in range(300)]
    reply.answer.append(dns.rrset.from_text("a.example.", 1, "IN", "A", *many))
    answer = answer_in(reply)
    assert len(answer.records) == len(answer.addresses) == MAX_RECORDS


def test_a_circle_of_aliases_ends() -> None:
    query = dns.message.make_query(NAME, "A")
    reply = reply_to(query, "a.example. 1 IN CNAME b.example.", "b.example. 1 IN CNAME a.example.")
    answer = answer_in(reply)
    assert answer.failure is not None
    assert answer.failure.kind == "no-answer"
    assert len(answer.records) == 2


def test_an_address_of_another_name_is_not_an_answer() -> None:
    reply = reply_to(dns.message.make_query(NAME, "A"), "evil.example. 1 IN A 192.0.2.66")
    assert answer_in(reply).addresses == ()


HEADER = dns.message.make_query(NAME, "A", id=7).to_wire()


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans(), st.binary(min_size=8, max_size=8))
def test_any_bytes_are_an_answer_or_none(noise: bytes, keep_question: bool, counts: bytes) -> None:
    wire = (b"\0\7\x81\x80" + counts + HEADER[12:] if keep_question else b"") + noise
    reply = parse(wire)
    if reply is None:
        return
    Question.about(NAME, "A").is_answered_by(wire, reply)
    answer = read(reply)
    if reply.qtype in ("A", "AAAA"):
        assert (answer.failure is None) == bool(answer.addresses)
    assert all(len(record.value) <= MAX_VALUE for record in answer.records)


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 400))
def test_any_damage_to_a_real_answer_is_survived(position: int, value: int, cut: int) -> None:
    wire = bytearray(reply_to(dns.message.make_query(NAME, "A"), *CHAIN, FINAL["A"]).to_wire())
    wire[position % len(wire)] = value
    reply = parse(bytes(wire[: max(1, len(wire) - cut)]))
    if reply is not None:
        read(reply)


@pytest.mark.parametrize(
    ("name", "type_", "flags", "rcode", "answers"),
    [
        (NAME, "A", dns.flags.QR, "NOERROR", True),
        ("A.eXample", "A", dns.flags.QR, "NOERROR", True),
        (NAME, "A", 0, "NOERROR", False),
        (NAME, "AAAA", dns.flags.QR, "NOERROR", False),
        ("b.example", "A", dns.flags.QR, "NOERROR", False),
        (None, "A", dns.flags.QR, "NOERROR", False),
        (None, "A", dns.flags.QR, "NXDOMAIN", False),
        (None, "A", dns.flags.QR, "SERVFAIL", True),
    ],
)
def test_what_answers_a_question(name: str | None, type_: str, flags: int, rcode: str, answers: bool) -> None:
    question = Question.about(NAME, "A")
    message = dns.message.make_query(name or NAME, type_, id=int.from_bytes(question.wire[:2], "big"))
    message.flags = dns.flags.Flag(flags)
    message.set_rcode(dns.rcode.from_text(rcode))
    if name is None:
        message.question.clear()
    parsed = parse(message.to_wire())
    assert (parsed is not None and question.is_answered_by(message.to_wire(), parsed)) == answers
    asked = dns.message.from_wire(question.wire)
    assert asked.is_response(message) == answers  # dnspython says the same
