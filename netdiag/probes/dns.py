"""DNS: what each name server answers by itself.

Contract: one observation per lookup, a failure for every kind of trouble, no judgement. Questions to one server go
out together over one connected UDP socket, so that other hosts' datagrams never arrive and ICMP errors do. Answers
are hostile: id and question must match (RFC 5452 §9.1), strays are counted, everything kept is bounded.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Sequence

import msgspec

from netdiag.model import DnsObservation, Failure, FailureKind, Flow
from netdiag.probes import failure
from netdiag.probes.dns_question import Question
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline, Net, Step, Stopwatch, Stream, flow_of
from netdiag.wire.dns import Answer, parse, read

#: The first wait for an answer, doubled each time: a lost datagram costs a second, as with Windows' own client.
RESEND_S = 1.0
#: Datagrams on the connected socket that answer none of our questions: more than this is a flood, not an accident.
MAX_STRAYS = 64


def ask(
    machine: Machine,
    server: Address,
    name: str,
    deadline: Deadline,
    step: Step,
    *,
    configured: bool = True,
    qtypes: Sequence[str] = ("A", "AAAA"),
) -> tuple[DnsObservation, ...]:
    """What one name server answers about ``name``: one observation per type, with the id ``STEP.TYPE``.

    All types are asked at once and again after 1 s, 3 s, ... until the deadline; truncated answers again over TCP.
    """
    watch = Stopwatch()
    try:
        questions = [Question.about(name, qtype) for qtype in qtypes]
    except ValueError as error:
        failed = Failure(kind="nxdomain", step="query", detail=str(error))
        blank = DnsObservation(
            **step._asdict(), asker="name-server", server=str(server), configured=configured, name=name, attempts=0
        )
        blank = msgspec.structs.replace(blank, started=watch.started, outcome="failed", failure=failed)
        return tuple(msgspec.structs.replace(blank, id=f"{step.id}.{qtype}", qtype=qtype) for qtype in qtypes)
    flow = _exchange(machine.net, server, questions, deadline)
    return tuple(_observation(question, server, name, step, watch.started, flow, configured) for question in questions)


def _observation(
    question: Question, server: Address, name: str, step: Step, started: float, flow: Flow | None, configured: bool
) -> DnsObservation:
    reply = question.reply if question.failure is None else None
    answer = read(reply) if reply else Answer((), (), question.failure)
    return DnsObservation(
        id=f"{step.id}.{question.qtype}",
        parent=step.parent,
        route=step.route,
        started=started,
        took_s=question.took_s,
        outcome="failed" if answer.failure else "ok",
        failure=answer.failure,
        flow=flow,
        asker="name-server",
        server=str(server),
        configured=configured,
        name=name,
        qtype=question.qtype,
        rcode=reply.rcode if reply else "",
        addresses=answer.addresses,
        records=answer.records,
        transport="tcp" if question.truncated else "udp",
        truncated=question.truncated,
        recursion_available=reply.recursion_available if reply else True,
        attempts=question.attempts,
    )


def _exchange(net: Net, server: Address, questions: Sequence[Question], deadline: Deadline) -> Flow | None:
    """Settle every question with a reply or a failure. The five-tuple of the UDP socket, where there was one."""
    watch = Stopwatch()
    if net.translated(server) is None:
        time.sleep(deadline.remaining())
        _settle(questions, Failure(kind="timeout", step="query", detail="no answer in time"), watch)
        return None
    try:
        with contextlib.closing(net.udp(server)) as sock:
            flow = flow_of(sock)
            try:
                _Conversation(net, server, sock, questions, watch).run(deadline)
            except OSError as error:
                _settle(questions, _udp_failure(error), watch)
            return msgspec.structs.replace(flow, protocol="udp") if flow else None
    except OSError as error:
        _settle(questions, failure.before_sending(error, "query"), watch)
        return None


def _settle(questions: Sequence[Question], failed: Failure, watch: Stopwatch) -> None:
    for question in questions:
        if question.pending:
            question.failure, question.took_s = failed, watch.took_s


def _udp_failure(error: OSError) -> Failure:
    failed = failure.from_exception(error, "query")
    # Winsock reports an ICMP port unreachable on UDP as WSAECONNRESET, because there is no connection to refuse.
    return msgspec.structs.replace(failed, kind="refused") if failed.kind == "reset" else failed


class _Conversation:
    """The questions to one server over one socket."""

    def __init__(
        self, net: Net, server: Address, sock: socket.socket, questions: Sequence[Question], watch: Stopwatch
    ) -> None:
        self.net, self.server, self.socket, self.questions, self.watch = net, server, sock, questions, watch
        self.strays = 0

    @property
    def pending(self) -> list[Question]:
        """What has neither reply nor failure."""
        return [question for question in self.questions if question.pending]

    def run(self, deadline: Deadline) -> None:
        """Ask, wait, ask again. Raises ``OSError`` when the socket says that the server cannot be reached."""
        wait = RESEND_S
        while self.pending and deadline.remaining() > 0:
            for question in self.pending:
                if question.attempts:
                    question.without_edns()  # a filter that drops EDNS looks like silence
                self.send(question)
            self.listen(deadline.within(wait), deadline)
            wait *= 2
        self.give_up()

    def give_up(self) -> None:
        """End what is open: garbage came, or nothing at all."""
        kind: FailureKind = "dns-malformed" if self.strays else "timeout"
        detail = f"{self.strays} datagrams came, none of them the answer" if self.strays else "no answer in time"
        _settle(self.questions, Failure(kind=kind, step="query", detail=detail), self.watch)

    def send(self, question: Question) -> None:
        """Send a question once more. Raises ``OSError``."""
        question.attempts += 1
        self.socket.send(question.wire)

    def listen(self, until: Deadline, deadline: Deadline) -> None:
        """Take answers until every question has one or ``until`` is over."""
        while self.pending and until.remaining() > 0:
            try:
                self.socket.settimeout(until.require())
                wire = self.socket.recv(65535)
            except TimeoutError:
                return
            self.take(wire, deadline)

    def take(self, wire: bytes, deadline: Deadline) -> None:
        """Give one datagram to the question it answers."""
        question = next((each for each in self.pending if each.matches(wire)), None)
        reply = parse(wire) if question else None
        if question is None or (reply is not None and not question.is_answered_by(wire, reply)):
            self.strays += 1
            if self.strays >= MAX_STRAYS:
                self.give_up()
            return
        if reply is None or (reply.damaged and not reply.truncated):  # a truncated message may end anywhere
            question.fail("dns-malformed", f"{len(wire)} bytes that are no DNS message")
        elif reply.truncated:
            question.truncated = True
            # Half of what is left: the other question's answer may still be on its way.
            self.ask_over_tcp(question, deadline.within(deadline.remaining() / 2))
        elif question.edns and reply.rcode in ("FORMERR", "NOTIMP", "BADVERS"):
            question.without_edns()
            self.send(question)
            return
        else:
            question.reply = reply
        question.took_s = self.watch.took_s

    def ask_over_tcp(self, question: Question, deadline: Deadline) -> None:
        """Ask again over TCP, where two octets of length come first (RFC 1035 §4.2.2)."""
        question.attempts += 1
        try:
            with contextlib.closing(self.net.connect(self.server, deadline)) as stream:
                stream.send(struct.pack("!H", len(question.wire)) + question.wire, deadline)
                (length,) = struct.unpack("!H", _exactly(stream, 2, deadline))
                wire = _exactly(stream, length, deadline)
        except (OSError, EOFError) as error:
            question.failure = failure.from_exception(error, "query over TCP")
            return
        reply = parse(wire)
        if reply is None or reply.damaged or reply.truncated or not question.is_answered_by(wire, reply):
            question.fail("dns-malformed", f"{len(wire)} bytes over TCP that are no answer to the question")
        else:
            question.reply = reply


def _exactly(stream: Stream, size: int, deadline: Deadline) -> bytes:
    """``size`` bytes, at most 65535 as the length is 16 bits. Raises ``OSError``, ``EOFError``."""
    data = b""
    while len(data) < size:
        piece = stream.receive(deadline, size - len(data))
        if not piece:
            raise EOFError("the name server closed the connection before its answer was complete")
        data += piece
    return data
