"""DNS questions and answers overheard: ``DnsObservation``s as probes make them, and the names of addresses.

Contract: pure. An answer belongs to the question with its id, ports, name and type (RFC 5452 §9.1). A question that is
asked again while it is open (the same client, server, name and type) is one lookup with several attempts. At most
``MAX_LOOKUPS`` are reported: those that name a server in question, those that failed, the others; one of those that
are alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from netdiag.capture.attempts import icmp_error
from netdiag.capture.dialogue import TELLING_SILENCE_S
from netdiag.capture.exhibits import DnsSeen, IcmpSeen
from netdiag.model import DnsObservation, Failure, Flow, Outcome, authority
from netdiag.wire import icmp as icmp_wire
from netdiag.wire.dns import Answer, Message, parse, read

#: Lookups that a report holds.
MAX_LOOKUPS = 200

_PORT = 53
#: Client and its port, server, id, TCP or not, name, type.
_Key = tuple[str, int, str, int, bool, str, str]


class Lookup(msgspec.Struct):
    """One question, however often it was asked, and what became of it."""

    client: str
    client_port: int
    server: str
    name: str
    qtype: str
    asked: float
    tcp: bool
    last_asked: float = 0.0
    attempts: int = 1
    answered: float | None = None
    reply: Message | None = None
    answer: Answer | None = None
    truncated: bool = False
    icmp: IcmpSeen | None = None

    @property
    def good(self) -> bool:
        """It was answered with records."""
        return self.answer is not None and self.answer.failure is None


class _Log(msgspec.Struct):
    """The lookups in order, and those that wait for an answer."""

    lookups: list[Lookup] = msgspec.field(default_factory=list)
    by_question: dict[_Key, Lookup] = msgspec.field(default_factory=dict)
    #: Client, server, name, type -> the open lookup.
    waiting: dict[tuple[str, str, str, str], Lookup] = msgspec.field(default_factory=dict)

    def ask(self, seen: DnsSeen, question: Message) -> None:
        name = question.name.lower()
        same = (seen.source, seen.destination, name, question.qtype)
        lookup = self.waiting.get(same)
        if lookup is None:
            lookup = Lookup(
                client=seen.source,
                client_port=seen.source_port,
                server=seen.destination,
                name=question.name,
                qtype=question.qtype,
                asked=seen.at,
                tcp=seen.tcp,
            )
            self.waiting[same] = lookup
            self.lookups.append(lookup)
        else:
            lookup.attempts += 1
            lookup.tcp = lookup.tcp or seen.tcp
        lookup.last_asked = seen.at
        self.by_question[_key(seen.source, seen.source_port, seen.destination, seen, question)] = lookup

    def tell(self, seen: DnsSeen, reply: Message) -> None:
        lookup = self.by_question.get(_key(seen.destination, seen.destination_port, seen.source, seen, reply))
        if lookup is None or (lookup.reply is not None and not lookup.truncated):
            return
        lookup.reply, lookup.answered = reply, seen.at
        lookup.answer = read(reply)
        if reply.truncated and not seen.tcp:
            lookup.truncated = True  # it is asked again over TCP (RFC 1035 §4.2.1)
            return
        lookup.truncated = lookup.truncated and seen.tcp
        self.waiting.pop((lookup.client, lookup.server, lookup.name.lower(), lookup.qtype), None)


def _key(client: str, port: int, server: str, seen: DnsSeen, message: Message) -> _Key:
    return client, port, server, message.id, seen.tcp, message.name.lower(), message.qtype


def lookups(messages: Iterable[DnsSeen], icmp: Iterable[IcmpSeen] = ()) -> list[Lookup]:
    """The lookups in the packets of port 53, in the order in which they were begun."""
    log = _Log()
    for seen in messages:
        message = parse(seen.payload)
        if message is None:
            continue
        if message.response and seen.source_port == _PORT:
            log.tell(seen, message)
        elif not message.response and seen.destination_port == _PORT:
            log.ask(seen, message)
    open_ports = {(one.client, one.client_port, one.server): one for one in log.waiting.values()}
    for error in icmp:
        if error.quoted_protocol == 17 and error.quoted_destination_port == _PORT:
            lookup = open_ports.get((error.quoted_source, error.quoted_source_port, error.quoted_destination))
            if lookup and not lookup.icmp and icmp_wire.failure_kind(error.version, error.type, error.code):
                lookup.icmp = error
    return log.lookups


def dns_observations(found: Iterable[Lookup], ended: float, wanted: Iterable[str] = ()) -> Iterator[DnsObservation]:
    """What is worth reporting of the lookups; ``wanted``: addresses whose names matter most.

    A client asks the same again and again: of those that ended alike the first stands for all.
    """
    addresses = frozenset(wanted)
    #: How much it matters, its place in the order, and itself.
    alike: dict[tuple[str, ...], tuple[int, int, Lookup, Outcome, Failure | None]] = {}
    for place, lookup in enumerate(found):
        outcome, failure = _result(lookup, ended)
        if outcome == "not-run":
            continue
        kind = failure.kind if failure else ""
        key = (lookup.client, lookup.server, lookup.name.lower(), lookup.qtype, kind)
        if key not in alike:
            matters = lookup.answer is not None and not addresses.isdisjoint(lookup.answer.addresses)
            alike[key] = (0 if matters else 1 if failure else 2, place, lookup, outcome, failure)
    chosen = sorted(alike.values(), key=lambda entry: entry[:2])[:MAX_LOOKUPS]
    for number, (_, _, lookup, outcome, failure) in enumerate(sorted(chosen, key=lambda entry: entry[1])):
        yield _observation(number, lookup, ended, outcome, failure)


def _result(lookup: Lookup, ended: float) -> tuple[Outcome, Failure | None]:
    if lookup.reply is not None and lookup.answer is not None:
        failure = lookup.answer.failure
        if lookup.reply.truncated and failure and failure.kind == "no-answer":
            detail = "the answer was truncated, and none came over TCP"
            return "failed", Failure(kind="timeout", step="query over TCP", detail=detail)
        if lookup.reply.damaged and failure and failure.kind in ("no-answer", "lame"):
            return "not-run", None  # a capture that keeps the beginnings of packets alone cannot tell
        return ("failed" if failure else "ok"), failure
    if lookup.icmp:
        error = icmp_error(lookup.icmp)
        kind = icmp_wire.failure_kind(error.version, error.type, error.code) or "unreachable"
        detail = f"{icmp_wire.words(error.version, error.type, error.code)}, says {error.offender}"
        return "failed", Failure(kind=kind, step="query", detail=detail)
    if lookup.attempts < 2 and ended - lookup.asked < TELLING_SILENCE_S:
        return "not-run", None
    return "failed", Failure(kind="timeout", step="query", detail=f"no answer to {lookup.attempts} questions")


def _observation(
    number: int, lookup: Lookup, ended: float, outcome: Outcome, failure: Failure | None
) -> DnsObservation:
    answer, reply = lookup.answer, lookup.reply
    settled = lookup.icmp.at if lookup.icmp else lookup.answered
    if settled is None:  # a client waits some seconds after its last question, which the capture does not show
        settled = min(ended, lookup.last_asked + TELLING_SILENCE_S)
    return DnsObservation(
        id=f"dns-{number}",
        source="capture",
        started=lookup.asked,
        took_s=max(0.0, settled - lookup.asked),
        outcome=outcome,
        failure=failure,
        flow=Flow(
            protocol="tcp" if lookup.tcp else "udp",
            client=lookup.client,
            client_port=lookup.client_port,
            server=lookup.server,
            server_port=_PORT,
        ),
        asker="name-server",
        server=authority(lookup.server, _PORT),
        name=lookup.name,
        qtype=lookup.qtype,
        rcode=reply.rcode if reply else "",
        addresses=answer.addresses if answer else (),
        records=answer.records if answer else (),
        transport="tcp" if lookup.tcp else "udp",
        truncated=lookup.truncated,
        recursion_available=reply.recursion_available if reply else True,
        attempts=lookup.attempts,
    )
