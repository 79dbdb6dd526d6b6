"""What an answer says about a name, read with dnspython: the oracle for ``netdiag.wire.dns``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from netdiag.model import DnsRecord, Failure, FailureKind
from netdiag.wire.dns import MAX_CNAMES, MAX_RECORDS, MAX_VALUE

_BY_RCODE: dict[dns.rcode.Rcode, FailureKind] = {
    dns.rcode.NXDOMAIN: "nxdomain",
    dns.rcode.SERVFAIL: "servfail",
    dns.rcode.REFUSED: "dns-refused",
    dns.rcode.NOTAUTH: "dns-refused",
}


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
