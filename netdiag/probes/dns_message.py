"""DNS messages: one question with its id, and what an answer to it says.

Contract: bytes and values only, no socket, no clock. Answers are hostile: every reader here is bounded, and raises
nothing but what its docstring names.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from netdiag.model import DnsRecord, Failure, FailureKind

#: What fits a UDP datagram on every path without fragments (dnsflagday.net/2020, RFC 9715 §3.1).
EDNS_PAYLOAD = 1232
#: Resolvers give up on longer chains too (BIND: 11 restarts, Unbound: 11); ours also ends loops.
MAX_CNAMES = 16
#: A report is read by people: more records than this tell them nothing.
MAX_RECORDS = 64
#: An A, AAAA or CNAME value fits (a name has at most 255 octets); escapes may quadruple it.
MAX_VALUE = 512

_TC = 0x02  # in the third octet of the header (RFC 1035 §4.1.1)

_BY_RCODE: dict[dns.rcode.Rcode, FailureKind] = {
    dns.rcode.NXDOMAIN: "nxdomain",
    dns.rcode.SERVFAIL: "servfail",
    dns.rcode.REFUSED: "dns-refused",
    dns.rcode.NOTAUTH: "dns-refused",
}


@dataclass(kw_only=True)
class Question:
    """One question on its way: the query, how often it was sent, and what became of it."""

    qtype: str
    query: dns.message.QueryMessage
    edns: bool = True
    attempts: int = 0
    reply: dns.message.Message | None = None
    failure: Failure | None = None
    truncated: bool = False
    took_s: float = 0.0
    wire: bytes = field(default=b"")

    @classmethod
    def about(cls, name: str, qtype: str) -> Question:
        """A question with a random id (RFC 5452 §4.3). Raises ``ValueError`` for a name that DNS cannot carry."""
        try:
            query = dns.message.make_query(
                dns.name.from_text(name), qtype, use_edns=0, payload=EDNS_PAYLOAD, id=secrets.randbits(16)
            )
            return cls(qtype=qtype, query=query, wire=query.to_wire())
        except (dns.exception.DNSException, UnicodeError) as error:
            raise ValueError(f"not a name that DNS can carry: {str(error) or type(error).__name__}") from error

    @property
    def pending(self) -> bool:
        """Neither answered nor failed yet."""
        return self.reply is None and self.failure is None

    def without_edns(self) -> None:
        """Ask as before 1999: some servers and firewalls know no EDNS (RFC 6891 §7)."""
        self.edns = False
        self.query.use_edns(False)
        self.wire = self.query.to_wire()

    def fail(self, kind: FailureKind, detail: str) -> None:
        """End it with a failure of the query."""
        self.failure = Failure(kind=kind, step="query", detail=detail)

    def matches(self, wire: bytes) -> bool:
        """Whether ``wire`` carries this question's id. Everything else can only be judged after parsing it."""
        return wire[:2] == self.wire[:2]


def parse(wire: bytes) -> dns.message.Message | None:
    """The message in ``wire``, None when it is none. A truncated message may end anywhere: its header is enough."""
    try:
        return dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, IndexError):  # the last two: hostile record data
        if len(wire) >= 12 and wire[2] & _TC:
            return _question_of(wire)
        return None


def _question_of(wire: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(wire, ignore_trailing=True, question_only=True)
    except (dns.exception.DNSException, ValueError, IndexError):
        return None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a reply says: the final addresses, the records that lead to them, and the failure when there are none."""

    rcode: str
    addresses: tuple[str, ...]
    records: tuple[DnsRecord, ...]
    recursion_available: bool
    failure: Failure | None


def read(reply: dns.message.Message, name: str, qtype: str) -> Answer:
    """Follow the chain of CNAMEs in the answer section to the records of ``qtype``. Never raises."""
    rrsets = list(_line(reply, dns.name.from_text(name), dns.rdatatype.from_text(qtype)))
    records = tuple(_records(rrsets))[:MAX_RECORDS]
    addresses = tuple(record.value for record in records if record.type == qtype)
    return Answer(
        rcode=dns.rcode.to_text(reply.rcode()),
        addresses=addresses,
        records=records,
        recursion_available=bool(reply.flags & dns.flags.RA),
        failure=None if reply.rcode() == dns.rcode.NOERROR and addresses else _failure(reply),
    )


def _line(reply: dns.message.Message, name: dns.name.Name, qtype: dns.rdatatype.RdataType) -> Iterator[dns.rrset.RRset]:
    """The CNAME records from ``name`` on, then the record set at their end."""
    by_key = {(rrset.name, rrset.rdtype): rrset for rrset in reply.answer if rrset.rdclass == dns.rdataclass.IN}
    for _ in range(MAX_CNAMES):
        final = by_key.get((name, qtype))
        if final is not None:
            yield final
            return
        cname = by_key.pop((name, dns.rdatatype.CNAME), None)
        if not cname:
            return
        yield cname
        name = cname[0].target


def _records(rrsets: list[dns.rrset.RRset]) -> Iterator[DnsRecord]:
    for rrset in rrsets:
        kind = dns.rdatatype.to_text(rrset.rdtype)
        owner = rrset.name.to_text(omit_final_dot=True)[:MAX_VALUE]
        for rdata in rrset:
            value = rdata.to_text()[:MAX_VALUE]
            yield DnsRecord(
                name=owner, type=kind, ttl=rrset.ttl, value=value.removesuffix(".") if kind == "CNAME" else value
            )


def _failure(reply: dns.message.Message) -> Failure:
    """Why a reply has no addresses."""
    rcode = reply.rcode()
    if rcode != dns.rcode.NOERROR:
        detail = ", ".join((dns.rcode.to_text(rcode), *_extended_errors(reply)))
        return Failure(kind=_BY_RCODE.get(rcode, "servfail"), step="query", detail=detail)
    if not reply.flags & (dns.flags.AA | dns.flags.RA):
        # RFC 8499 §7, "lame delegation": neither authoritative nor willing to look it up, at most a referral.
        return Failure(kind="lame", step="query", detail="the server neither knows the zone nor offers recursion")
    return Failure(kind="no-answer", step="query", detail="the name has no records of this type")


def _extended_errors(reply: dns.message.Message) -> Iterator[str]:
    """Extended DNS Errors (RFC 8914): the server's own reason, such as "DNSSEC Bogus"."""
    for option in reply.options[:4]:
        if isinstance(option, dns.edns.EDEOption):
            try:
                meaning = dns.edns.EDECode(option.code).name.replace("_", " ").lower()
            except ValueError:
                meaning = f"extended error {option.code}"
            yield meaning + (f" ({option.text[:200]})" if option.text else "")
