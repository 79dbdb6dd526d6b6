"""DNS messages, as probes exchange them and captures overhear them by the thousand: header, question, answers, EDNS.

Contract: pure; ``parse`` returns None for what is no message and never raises. dnspython knows every record type; this
module reads and writes what diagnosis needs in a tenth of its time. Values of record types that it does not know are in
RFC 3597's generic form.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator

import msgspec

from netdiag.model import DnsRecord, Failure, FailureKind

#: Records read of one message; a UDP answer holds some thirty addresses, one over TCP up to 4,000.
MAX_RECORDS_READ = 512
#: Records kept of one answer: a report is read by people, and more than this tell them nothing.
MAX_RECORDS = 64
#: Characters of a value. An address or a name fits (a name has at most 255 octets); escapes may quadruple it.
MAX_VALUE = 512
#: Resolvers give up on longer chains (BIND: 11 restarts, Unbound: 11); ours also ends loops.
MAX_CNAMES = 16
#: Octets of a name on the wire and of one label in it (RFC 1035 §3.1, §2.3.4).
MAX_NAME = 255
MAX_LABEL = 63
#: Compression pointers in one name; real messages need two or three.
MAX_JUMPS = 32

_TYPES: dict[int, str] = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    35: "NAPTR",
    39: "DNAME",
    43: "DS",
    46: "RRSIG",
    48: "DNSKEY",
    64: "SVCB",
    65: "HTTPS",
    255: "ANY",
}
_QTYPES = {text: number for number, text in _TYPES.items()}
_OPT = 41
_IN = 1
_RECURSION_DESIRED = 0x0100
_RCODES: dict[int, str] = {
    0: "NOERROR",
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
    6: "YXDOMAIN",
    7: "YXRRSET",
    8: "NXRRSET",
    9: "NOTAUTH",
    10: "NOTZONE",
    11: "DSOTYPENI",
    16: "BADVERS",
    17: "BADKEY",
    18: "BADTIME",
    19: "BADMODE",
    20: "BADNAME",
    21: "BADALG",
    22: "BADTRUNC",
    23: "BADCOOKIE",
}
_BY_RCODE: dict[str, FailureKind] = {
    "NXDOMAIN": "nxdomain",
    "SERVFAIL": "servfail",
    "REFUSED": "dns-refused",
    "NOTAUTH": "dns-refused",
}
#: Extended DNS Errors (RFC 8914 §4), as IANA names them.
_EXTENDED_ERRORS = (
    "other", "unsupported dnskey algorithm", "unsupported ds digest type", "stale answer", "forged answer",
    "dnssec indeterminate", "dnssec bogus", "signature expired", "signature not yet valid", "dnskey missing",
    "rrsigs missing", "no zone key bit set", "nsec missing", "cached error", "not ready", "blocked", "censored",
    "filtered", "prohibited", "stale nxdomain answer", "not authoritative", "not supported",
    "no reachable authority", "network error", "invalid data", "signature expired before valid", "too early",
    "unsupported nsec3 iterations value", "unable to conform to policy", "synthesized", "invalid query type",
    "rate limited", "over quota",
)  # fmt: skip

#: Id, flags, and the counts of the four sections (RFC 1035 §4.1.1).
_HEADER = struct.Struct("!6H")
#: Octets before the question.
HEADER = _HEADER.size
_PLAIN_LABEL = re.compile(rb"[0-9A-Za-z_-]+")


class Message(msgspec.Struct, frozen=True):
    """One message. ``name`` is as sent, without the root's dot; the records are the answer's.

    A server that understood no question may answer without one: ``name`` and ``qtype`` are then empty.
    """

    id: int
    response: bool
    truncated: bool
    authoritative: bool
    recursion_available: bool
    rcode: str
    name: str
    qtype: str
    records: tuple[DnsRecord, ...] = ()
    #: The server's own reasons (RFC 8914): "dnssec bogus (no DNSKEY)".
    reasons: tuple[str, ...] = ()
    #: It ends early, or a record in it is malformed; what came before that is kept.
    damaged: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What a reply says: the records from its question to the final ones, the addresses, or why there are none."""

    records: tuple[DnsRecord, ...]
    addresses: tuple[str, ...]
    failure: Failure | None


def question(name: str, qtype: str) -> bytes:
    """The question section for a name in A-label form. Raises ``ValueError`` for a name that DNS cannot carry."""
    wire = b""
    for label in name.encode("ascii").removesuffix(b".").split(b"."):
        if not 0 < len(label) <= MAX_LABEL:
            raise ValueError(f"A DNS label is > {MAX_LABEL} octets long." if label else "A DNS label is empty.")
        wire += bytes((len(label),)) + label
    if len(wire) >= MAX_NAME:
        raise ValueError(f"A DNS name is > {MAX_NAME} octets long.")
    return wire + struct.pack("!BHH", 0, _QTYPES[qtype], _IN)


def query(number: int, asked: bytes, payload: int = 0) -> bytes:
    """A query that carries a ``question``; with a ``payload``, EDNS offers to take datagrams of so many bytes."""
    edns = struct.pack("!BHHIH", 0, _OPT, payload, 0, 0) if payload else b""  # RFC 6891 §6.1.2
    return _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 1 if payload else 0) + asked + edns


def parse(wire: bytes) -> Message | None:
    """The message in ``wire``; None when it is none, or no standard query (RFC 1035 §4.1.1).

    A query has one question, and a reply the same one, or none.
    """
    if len(wire) < HEADER:
        return None
    number, flags, questions, *counts = _HEADER.unpack_from(wire)
    response = flags & 0x8000 != 0
    if questions > 1 or not (questions or response) or flags & 0x7800:
        return None
    reader = _Reader(wire)
    name, qtype, at = "", "", HEADER
    if questions:
        try:
            name, at = reader.name(at)
        except ValueError:
            return None
        if at + 4 > len(wire):
            return None
        number_of_type = wire[at] << 8 | wire[at + 1]
        qtype, at = _TYPES.get(number_of_type, f"TYPE{number_of_type}"), at + 4
    records: list[DnsRecord] = []
    rcode, damaged = flags & 0x0F, False
    reasons: tuple[str, ...] = ()
    if response:
        try:
            rcode, reasons = reader.records(at, counts, records, rcode)
        except ValueError:
            damaged = True
    return Message(
        id=number,
        response=response,
        truncated=flags & 0x0200 != 0,
        authoritative=flags & 0x0400 != 0,
        recursion_available=flags & 0x0080 != 0,
        rcode=_RCODES.get(rcode, f"RCODE{rcode}"),
        name=name,
        qtype=qtype,
        records=tuple(records),
        reasons=reasons,
        damaged=damaged,
    )


class _Reader:
    """Reads names and records of one message. Everything raises ``ValueError`` for what is malformed."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        #: Offset -> the name that begins there, and its octets.
        self._names: dict[int, tuple[str, int]] = {}

    def name(self, at: int) -> tuple[str, int]:
        """The name at ``at`` in presentation form without the root's dot, and the index behind it."""
        wire, start, end, size, jumps = self._wire, at, 0, 1, 0
        labels: list[str] = []
        while at < len(wire):
            length = wire[at]
            if not length:
                return self._keep(start, labels, size), end or at + 1
            if length >= 0xC0:
                target = (length & 0x3F) << 8 | int.from_bytes(wire[at + 1 : at + 2], "big")
                end = end or at + 2
                jumps += 1
                if target >= at or end > len(wire) or jumps > MAX_JUMPS:  # "a prior occurrence" (RFC 1035 §4.1.4)
                    break
                if target in self._names:
                    text, octets = self._names[target]
                    return self._keep(start, [*labels, text] if octets > 1 else labels, size + octets - 1), end
                at = target
                continue
            label = wire[at + 1 : at + 1 + length]
            size += 1 + length
            if length > MAX_LABEL or len(label) < length or size > MAX_NAME:
                break
            labels.append(label.decode("ascii") if _PLAIN_LABEL.fullmatch(label) else _escaped(label))
            at += 1 + length
        raise ValueError("not a name")

    def _keep(self, start: int, labels: list[str], size: int) -> str:
        if size > MAX_NAME:
            raise ValueError(f"a name of more than {MAX_NAME} octets")
        text = ".".join(labels) or "."
        self._names[start] = text, size
        return text

    def records(self, at: int, counts: list[int], kept: list[DnsRecord], rcode: int) -> tuple[int, tuple[str, ...]]:
        """Read the three sections, keep the answer's records; the whole response code, and the reasons for it."""
        wire, left = self._wire, MAX_RECORDS_READ
        reasons: tuple[str, ...] = ()
        for section, count in enumerate(counts):
            for _ in range(count):
                if not left:
                    return rcode, reasons
                left -= 1
                owner, at = self.name(at)
                if at + 10 > len(wire):
                    raise ValueError("a record that ends early")
                kind = wire[at] << 8 | wire[at + 1]
                ttl = int.from_bytes(wire[at + 4 : at + 8], "big")
                start = at + 10
                at = start + (wire[at + 8] << 8 | wire[at + 9])
                if at > len(wire):
                    raise ValueError("a record that ends early")
                if section == 0 and wire[start - 8 : start - 6] == b"\0\1":  # class IN
                    value = self._value(kind, start, at)
                    kept.append(DnsRecord(name=owner, type=_TYPES.get(kind, f"TYPE{kind}"), ttl=ttl, value=value))
                elif section == 2 and kind == _OPT:
                    rcode |= ttl >> 24 << 4  # the upper bits (RFC 6891 §6.1.3)
                    reasons = tuple(_reasons(wire[start:at]))
        return rcode, reasons

    def _value(self, kind: int, start: int, end: int) -> str:
        data = self._wire[start:end]
        if kind == 1 and len(data) == 4:
            return socket.inet_ntoa(data)
        if kind == 28 and len(data) == 16:
            return socket.inet_ntop(socket.AF_INET6, data)
        if kind in (1, 28):
            raise ValueError("an address of another length")
        if kind in (2, 5, 12, 39):
            return self.name(start)[0][:MAX_VALUE]
        return f"\\# {len(data)} {data[: MAX_VALUE // 2 - 16].hex()}"  # RFC 3597 §5


def _escaped(label: bytes) -> str:
    r"""A label with what is special in zone files behind a backslash, and what cannot be printed as \DDD."""
    return "".join(
        f"\\{chr(byte)}" if byte in b'"().;\\@$' else chr(byte) if 32 < byte < 127 else f"\\{byte:03d}"
        for byte in label
    )


def _reasons(options: bytes) -> Iterator[str]:
    """Extended DNS Errors among the options of an OPT record: the server's own reason."""
    at = found = 0
    while at + 4 <= len(options) and found < 4:
        code, length = int.from_bytes(options[at : at + 2], "big"), int.from_bytes(options[at + 2 : at + 4], "big")
        data = options[at + 4 : at + 4 + length]
        at += 4 + length
        if code == 15 and len(data) >= 2:
            found += 1
            number = int.from_bytes(data[:2], "big")
            known = number < len(_EXTENDED_ERRORS)
            text = data[2:202].decode("utf-8", "replace").rstrip("\0")
            yield (_EXTENDED_ERRORS[number] if known else f"extended error {number}") + (f" ({text})" if text else "")


def read(reply: Message) -> Answer:
    """Follow the aliases of a reply to the records of the type asked for, and judge it as the probes do."""
    line = tuple(_line(reply))[:MAX_RECORDS]
    final = [record for record in line if record.type == reply.qtype]
    addresses = tuple(record.value for record in final) if reply.qtype in ("A", "AAAA") else ()
    good = reply.rcode == "NOERROR" and bool(final or (reply.qtype == "ANY" and reply.records))
    return Answer(line, addresses, None if good else _failure(reply))


def _line(reply: Message) -> Iterator[DnsRecord]:
    """The CNAME records from the question on, then the records at their end."""
    by_owner: dict[str, list[DnsRecord]] = {}
    for record in reply.records:
        by_owner.setdefault(record.name.lower(), []).append(record)
    name = reply.name.lower()
    for _ in range(MAX_CNAMES):
        mine = by_owner.pop(name, [])
        final = [record for record in mine if record.type == reply.qtype]
        alias = next((record for record in mine if record.type == "CNAME"), None)
        if final or alias is None:
            yield from final
            return
        yield alias
        name = alias.value.lower()


def _failure(reply: Message) -> Failure:
    """Why a reply has no answer."""
    if reply.rcode != "NOERROR":
        detail = ", ".join((reply.rcode, *reply.reasons))
        return Failure(kind=_BY_RCODE.get(reply.rcode, "servfail"), step="query", detail=detail)
    if not (reply.authoritative or reply.recursion_available):
        # RFC 8499 §7, "lame delegation": neither authoritative nor willing to look it up, at most a referral.
        return Failure(kind="lame", step="query", detail="the server neither knows the zone nor offers recursion")
    return Failure(kind="no-answer", step="query", detail="the name has no records of this type")
