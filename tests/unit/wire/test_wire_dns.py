"""DNS messages against dnspython, which wrote them: every field, cut anywhere, damaged."""

from __future__ import annotations

import random

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.wire import dns as wire
from tests import slow_dns

NAME = "wu2.frontend.clouddatahub.net"


def reply(*records: str, qtype: str = "A", name: str = NAME, rcode: str = "NOERROR", edns: bool = True, recursive=True):
    query = dns.message.make_query(name, qtype, use_edns=0 if edns else False)
    message = dns.message.make_response(query, recursion_available=recursive)
    message.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        owner, ttl, kind, *values = record.split(" ")
        message.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, *values))
    return message


CASES = {
    "addresses": reply(f"{NAME}. 60 A 192.0.2.1 192.0.2.2"),
    "aliases": reply(f"{NAME}. 60 CNAME x.Example.", "x.example. 5 CNAME y.example.", "y.example. 5 A 192.0.2.3"),
    "ipv6": reply(f"{NAME}. 60 AAAA 2001:db8::1", qtype="AAAA"),
    "alias without an end": reply(f"{NAME}. 60 CNAME x.example."),
    "alias loop": reply(f"{NAME}. 60 CNAME x.example.", f"x.example. 60 CNAME {NAME}."),
    "nxdomain": reply(rcode="NXDOMAIN"),
    "servfail": reply(rcode="SERVFAIL"),
    "refused": reply(rcode="REFUSED", edns=False),
    "notauth": reply(rcode="NOTAUTH"),
    "formerr": reply(rcode="FORMERR"),
    "badvers": reply(rcode="BADVERS"),
    "empty": reply(),
    "lame": reply(recursive=False),
    "ptr": reply("1.2.0.192.in-addr.arpa. 60 PTR host.example.", qtype="PTR", name="1.2.0.192.in-addr.arpa"),
    "odd name": reply(r"a\.b\001c.example. 60 A 192.0.2.9", name=r"a\.b\001c.example"),
    "another record on the way": reply(f"{NAME}. 60 TXT hello", f"{NAME}. 60 A 192.0.2.1"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_reads_what_dnspython_reads(case):
    data = CASES[case].to_wire()  # in an order of its own
    message = dns.message.from_wire(data)
    question = message.question[0]
    qtype = dns.rdatatype.to_text(question.rdtype)
    expected = slow_dns.read(message, question.name.to_text(), qtype)
    parsed = wire.parse(data)
    assert parsed
    assert parsed.response
    assert (parsed.id, parsed.qtype) == (message.id, qtype)
    assert parsed.name == question.name.to_text(omit_final_dot=True)
    assert not parsed.damaged
    answer = wire.read(parsed)
    assert parsed.rcode == expected.rcode
    if qtype in ("A", "AAAA"):
        assert answer.addresses == expected.addresses
    assert [(r.name.lower(), r.type, r.ttl, r.value.lower()) for r in answer.records] == [
        (r.name.lower(), r.type, r.ttl, r.value.removesuffix(".").lower()) for r in expected.records
    ]
    assert answer.failure == expected.failure


def test_the_server_says_why():
    message = CASES["servfail"]
    other = dns.message.from_wire(message.to_wire())
    other.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "no keys")])
    parsed = wire.parse(other.to_wire())
    assert parsed
    assert parsed.reasons == ("dnssec bogus (no keys)",)
    failure = wire.read(parsed).failure
    assert failure
    assert (failure.kind, failure.detail) == ("servfail", "SERVFAIL, dnssec bogus (no keys)")
    assert failure == slow_dns.read(other, NAME, "A").failure


def test_extended_errors_are_named_as_dnspython_names_them():
    for code in dns.edns.EDECode:
        assert wire._EXTENDED_ERRORS[code] == code.name.replace("_", " ").lower()


def test_other_types_are_in_the_generic_form():
    message = reply("a.example. 60 TXT hello", qtype="TXT", name="a.example")
    parsed = wire.parse(message.to_wire())
    assert parsed
    answer = wire.read(parsed)
    assert answer.failure is None
    assert [record.value for record in answer.records] == [r"\# 6 0568656c6c6f"]
    assert answer.addresses == ()


def test_a_question():
    query = dns.message.make_query(NAME, "HTTPS")
    parsed = wire.parse(query.to_wire())
    assert parsed
    assert (parsed.response, parsed.id, parsed.name, parsed.qtype) == (False, query.id, NAME, "HTTPS")


@pytest.mark.parametrize("name", [NAME, "a", "UPPER.example", "xn--9ca.example", "a.example.", "a" * 63 + ".b_c"])
@pytest.mark.parametrize("qtype", ["A", "AAAA", "CNAME", "HTTPS"])
@pytest.mark.parametrize("payload", [0, 1232])
def test_queries_are_written_as_dnspython_writes_them(name, qtype, payload):
    expected = dns.message.make_query(name, qtype, use_edns=0 if payload else False, payload=payload, id=0xBEEF)
    assert wire.query(0xBEEF, wire.question(name, qtype), payload) == expected.to_wire()


LONGEST = ".".join(["a" * 63] * 3 + ["a" * 61])


@pytest.mark.parametrize(
    "name", ["", ".", ".a", "a..b", "a..", "a" * 64, LONGEST + "a", "b." + LONGEST, "\u00e9.example"]
)
def test_names_that_dns_cannot_carry(name):
    with pytest.raises(ValueError, match=r"label|name|ascii"):
        wire.question(name, "A")


def test_the_longest_name():
    assert len(wire.question(LONGEST, "A")) == wire.MAX_NAME + 4


@pytest.mark.parametrize("rcode", [*range(11), 11, *range(16, 24)])
def test_response_codes_are_named_as_dnspython_names_them(rcode):
    parsed = whole(
        b"\x12\x34\x80" + bytes((rcode & 15,)) + bytes(7) + b"\1" + b"\0\0\x29\4\xd0" + bytes((rcode >> 4,)) + bytes(5)
    )
    assert parsed.rcode == dns.rcode.to_text(dns.rcode.Rcode(rcode))


def test_an_answer_without_the_question():
    parsed = whole(b"\x12\x34\x81\x85" + bytes(8))
    assert (parsed.response, parsed.name, parsed.qtype, parsed.rcode) == (True, "", "", "REFUSED")
    failure = wire.read(parsed).failure
    assert failure
    assert failure.kind == "dns-refused"


def test_cut_anywhere():
    data = CASES["aliases"].to_wire()
    question = data.index(b"\x00\x00\x01\x00\x01") + 5
    for end in range(len(data)):
        parsed = wire.parse(data[:end])
        assert (parsed is None) == (end < question)
        if parsed:
            assert parsed.damaged
            assert wire.read(parsed).records == wire.read(whole(data)).records[: len(parsed.records)]


def whole(data: bytes) -> wire.Message:
    parsed = wire.parse(data)
    assert parsed
    return parsed


def test_truncated():
    message = reply()
    message.flags |= dns.flags.TC
    assert whole(message.to_wire()).truncated


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(12),
        b"\x12\x34\x80\x00\0\2\0\0\0\0\0\0\x01a\0\0\1\0\1\x01a\0\0\1\0\1",  # two questions
        b"\x12\x34\x28\x00\0\1\0\0\0\0\0\0\x01a\0\0\1\0\1",  # an update (RFC 2136)
        b"\x12\x34\x80\x00\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1",  # a name that points to itself
        b"\x12\x34\x80\x00\0\1\0\0\0\0\0\0\x40a\0\0\1\0\1",  # a label type that does not exist
    ],
)
def test_what_is_no_message(data):
    assert wire.parse(data) is None


def test_no_name_is_too_long():
    labels = (b"\x3f" + b"a" * 63) * 4 + b"\0"
    assert wire.parse(b"\x12\x34\x00\x00\0\1\0\0\0\0\0\0" + labels + b"\0\1\0\1") is None


@given(st.binary(max_size=200))
def test_garbage_is_survived(data):
    parsed = wire.parse(data)
    if parsed:
        wire.read(parsed)


@given(st.sampled_from(sorted(CASES)), st.integers(0, 2**32), st.integers(1, 8))
def test_damage_is_survived(case, seed, count):
    data = bytearray(CASES[case].to_wire())
    chance = random.Random(seed)
    for _ in range(count):
        data[chance.randrange(len(data))] = chance.randrange(256)
    parsed = wire.parse(bytes(data))
    if parsed:
        answer = wire.read(parsed)
        assert len(answer.records) <= wire.MAX_RECORDS
