"""The net.tcp codec against the layouts of MC-NMF, whole and byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.wire import framing
from netdiag.wire.framing import NotFramingError, RecordType, parse_preamble, parse_record

VIA = "net.tcp://node1:8060/ExternalService.svc/"
FAULT = framing.FAULT_NAMESPACE + "EndpointNotFound"


def test_the_preamble_of_nettcpbinding_with_tls():
    assert framing.preamble(VIA, upgrade=framing.TLS_UPGRADE) == (
        b"\x00\x01\x00" + b"\x01\x02" + b"\x02\x29" + VIA.encode() + b"\x03\x08" + b"\x09\x13application/ssl-tls"
    )
    assert framing.preamble(VIA).endswith(b"\x03\x08\x0c")
    assert framing.record(RecordType.UPGRADE_REQUEST, framing.NEGOTIATE_UPGRADE)[:2] == b"\x09\x15"


@pytest.mark.parametrize(
    ("number", "wire"),
    [(0, "00"), (127, "7f"), (128, "8001"), (0x3FFF, "ff7f"), (0x4000, "808001"), (0xFFFFFFFF, "ffffffff0f")],
)
def test_sizes(number, wire):
    data = bytes.fromhex(wire)
    assert framing.size(number) == data
    assert framing.parse_size(data) == (number, len(data))
    assert framing.parse_size(data[:-1]) is None


@pytest.mark.parametrize("wire", ["8080808080", "ffffffff10", "ffffffffff01"])
def test_sizes_that_are_none(wire):
    with pytest.raises(NotFramingError):
        framing.parse_size(bytes.fromhex(wire))


@pytest.mark.parametrize("number", [-1, 1 << 32])
def test_sizes_that_do_not_fit(number):
    with pytest.raises(ValueError, match="32 bits"):
        framing.size(number)


def test_reading_the_preamble_byte_by_byte():
    data = framing.preamble(VIA, upgrade=framing.TLS_UPGRADE)
    whole = list(parse_preamble(data + b"\x16\x03\x01"))
    assert [record.type for record, _ in whole] == [
        RecordType.VERSION,
        RecordType.MODE,
        RecordType.VIA,
        RecordType.KNOWN_ENCODING,
        RecordType.UPGRADE_REQUEST,
    ]
    assert whole[0][0].version == (1, 0)
    assert whole[1][0].number == framing.DUPLEX
    assert whole[2][0].text == VIA
    assert whole[3][0].number == framing.BINARY_SESSION
    assert whole[-1] == (framing.Record(RecordType.UPGRADE_REQUEST, "application/ssl-tls"), len(data))
    for end in range(len(data)):
        assert list(parse_preamble(data[:end])) == [(r, at) for r, at in whole if at <= end]


#: Every record, and the bytes that MC-NMF §2.2.3 and §2.2.4 give it.
RECORDS = [
    (b"\x00\x01\x00", framing.Record(RecordType.VERSION, version=(1, 0))),
    (b"\x01\x02", framing.Record(RecordType.MODE, number=2)),
    (b"\x02\x29" + VIA.encode(), framing.Record(RecordType.VIA, VIA)),
    (b"\x02\x80\x10" + b"v" * 2048, framing.Record(RecordType.VIA, "v" * 2048)),
    (b"\x03\x08", framing.Record(RecordType.KNOWN_ENCODING, number=8)),
    (b"\x04\x08text/xml", framing.Record(RecordType.EXTENSIBLE_ENCODING, "text/xml")),
    (b"\x05", framing.Record(RecordType.UNSIZED_ENVELOPE)),
    (b"\x06\x03abc", framing.Record(RecordType.SIZED_ENVELOPE, payload=b"abc")),
    (b"\x07", framing.Record(RecordType.END)),
    (b"\x08\x47" + FAULT.encode(), framing.Record(RecordType.FAULT, FAULT)),
    (b"\x09\x13application/ssl-tls", framing.Record(RecordType.UPGRADE_REQUEST, framing.TLS_UPGRADE)),
    (b"\x09\x15application/negotiate", framing.Record(RecordType.UPGRADE_REQUEST, framing.NEGOTIATE_UPGRADE)),
    (b"\x0a", framing.Record(RecordType.UPGRADE_RESPONSE)),
    (b"\x0b", framing.Record(RecordType.PREAMBLE_ACK)),
    (b"\x0c", framing.Record(RecordType.PREAMBLE_END)),
]


@pytest.mark.parametrize(("data", "record"), RECORDS)
def test_each_record_whole_byte_by_byte_and_with_what_follows(data, record):
    assert parse_record(data) == (record, len(data))
    assert [parse_record(data[:end]) for end in range(len(data))] == [None] * len(data)
    assert parse_record(data + b"\x16\x03\x01") == (record, len(data))
    assert parse_record(b"\x0b" + data, 1) == (record, 1 + len(data))


def test_there_is_every_record():
    assert {record.type for _, record in RECORDS} == set(RecordType)


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"\x0a", RecordType.UPGRADE_RESPONSE), (b"\x0b", RecordType.PREAMBLE_ACK), (b"\x07", RecordType.END)],
)
def test_answers_of_one_byte(data, kind):
    assert parse_record(data + b"rest") == (framing.Record(kind), 1)


def test_a_fault():
    data = framing.record(RecordType.FAULT, FAULT)
    parsed = parse_record(data)
    assert parsed
    assert parsed[0].fault == "EndpointNotFound"
    assert list(parse_preamble(data + b"\x0a")) == [parsed]
    assert framing.Record(RecordType.FAULT, "urn:other").fault == "urn:other"


def test_an_envelope():
    assert parse_record(b"\x06\x03abcd") == (framing.Record(RecordType.SIZED_ENVELOPE, payload=b"abc"), 5)
    assert parse_record(b"\x06\x03ab") is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 400", "starts with 'HTTP/1.1 400'"),
        (b"\x15\x03\x01", "starts with bytes 15"),
        (b"\x02\x00", "of 0 bytes"),
        (b"\x08\x81\x02", "of 257 bytes"),
        (b"\x02\x02\xff\xfe", "not UTF-8"),
        (b"\x06" + framing.size(framing.MAX_ENVELOPE + 1), "SIZED_ENVELOPE"),
    ],
)
def test_what_is_no_record(data, why):
    with pytest.raises(NotFramingError, match=why):
        parse_record(data)


def test_texts_that_peers_do_not_take():
    with pytest.raises(ValueError, match="VIA"):
        framing.record(RecordType.VIA, "x" * 2049)
    with pytest.raises(ValueError, match="VIA"):
        framing.record(RecordType.VIA)


@given(st.binary(max_size=300))
def test_garbage_is_survived(data):
    framing.begins_framing(data)
    try:
        found = list(parse_preamble(data))
    except NotFramingError:
        return
    assert len(found) <= framing.MAX_RECORDS
    assert all(at <= len(data) for _, at in found)


def test_what_begins_framing():
    assert framing.begins_framing(framing.preamble(VIA))
    assert not framing.begins_framing(b"\x00\x01\x00\x01")
    assert not framing.begins_framing(b"\x00\x01\x00\x01\x09")
    assert not framing.begins_framing(b"GET / HTTP/1.1")
