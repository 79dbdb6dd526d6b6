"""Reassembly of an exhibit's payload: any order, overlaps, wrap-around, gaps, bytes that were not captured."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from netdiag.capture import streams as module
from netdiag.capture.streams import streams
from tests.dialogues import START, Talk


def data_of(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


@given(
    length=st.integers(1, 4000),
    isn=st.sampled_from([0, 1000, 2**32 - 1, 2**32 - 1500]),
    seed=st.integers(0, 2**32),
    repeats=st.integers(0, 5),
)
def test_any_order_and_overlap_gives_the_bytes_that_were_sent(length, isn, seed, repeats):
    chance, data = random.Random(seed), data_of(length)
    cuts = sorted({0, length, *(chance.randrange(length) for _ in range(6))})
    pieces = [(a, data[a:b]) for a, b in itertools.pairwise(cuts)]
    for _ in range(repeats):
        a = chance.randrange(length)
        pieces.append((a, data[a : a + chance.randrange(1, 1500)]))
    chance.shuffle(pieces)
    talk = Talk(client_isn=isn).open()
    for offset, piece in pieces:
        talk.packet("client", "PSH,ACK", piece, seq=isn + 1 + offset)
    client, server = streams(talk.exhibit())
    assert client.data == data
    assert client.wire == length
    assert not client.cut
    assert server.data == b""
    assert client.ends == sorted(client.ends)
    assert client.times == sorted(client.times)
    assert client.at(length) == client.times[-1]


def test_both_sides_and_when_bytes_came():
    talk = Talk().open().send("client", b"a" * 3000).send("server", b"b" * 10).wait(5).send("client", b"c")
    client, server = streams(talk.exhibit())
    assert client.data == b"a" * 3000 + b"c"
    assert server.data == b"b" * 10
    assert [round(client.at(n) - START, 2) for n in (1, 1400, 1401, 3000, 3001, 9999)] == [
        0.03,
        0.03,
        0.04,
        0.05,
        5.07,
        5.07,
    ]
    assert client.by(START + 1) == 3000
    assert client.by(START) == 0


def test_a_gap_ends_the_stream():
    talk = Talk().open().send("client", b"a" * 100)
    talk.next["client"] += 50
    talk.send("client", b"b" * 100)
    client, _ = streams(talk.exhibit())
    assert client.data == b"a" * 100
    assert client.wire == 250
    assert client.cut


def test_what_was_not_captured_ends_the_stream():
    client, _ = streams(Talk().open().send("client", b"a" * 2000, captured=40).exhibit())
    assert client.data == b"a" * 40
    assert client.cut
    assert client.wire == 2000


def test_data_in_the_syn():
    talk = Talk().packet("client", "SYN", b"early").packet("server", "SYN,ACK").send("client", b" and late")
    client, _ = streams(talk.exhibit())
    assert client.data == b"early and late"


def test_a_connection_without_its_beginning():
    talk = Talk().send("server", b"first").send("client", b"answer")
    client, server = streams(talk.exhibit())
    assert (client.data, server.data) == (b"answer", b"first")


def test_only_the_syn_ack_shows_where_the_client_began():
    talk = Talk()
    talk.next["client"] += 1
    talk.packet("server", "SYN,ACK")
    late = talk.next["client"] + 3
    talk.packet("client", "PSH,ACK", b"def", seq=late).packet("client", "PSH,ACK", b"abc", seq=late - 3)
    assert streams(talk.exhibit())[0].data == b"abcdef"


def test_a_reset_carries_no_data():
    client, _ = streams(Talk().open().send("client", b"abc").packet("client", "RST,ACK", b"go away").exhibit())
    assert client.data == b"abc"
    assert not client.cut


def test_a_keep_alive_adds_nothing():
    talk = Talk().open().send("client", b"abc")
    talk.packet("client", "ACK", b"\0", seq=talk.next["client"] - 1)
    assert streams(talk.send("client", b"def").exhibit())[0].data == b"abcdef"


def test_a_stream_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_STREAM", 1000)
    client, _ = streams(Talk().open().send("client", b"a" * 5000).exhibit())
    assert len(client.data) == 1400  # the packet that reached the limit
    assert client.wire == 5000
    assert client.cut


def test_nothing():
    client, server = streams(Talk().packet("client", "SYN").exhibit())
    assert (client.data, server.data, client.at(1), client.by(START), client.cut) == (b"", b"", 0.0, 0, False)
