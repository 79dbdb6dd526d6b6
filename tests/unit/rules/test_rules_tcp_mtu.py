"""Large packets that vanish: what shows it, and what only looks like it."""

import msgspec
import pytest

from netdiag.model import ConnectionObservation
from tests.service import attempt, connection, judge, service, told
from tests.talk import Talk

FAILED = ("tcp.mtu-black-hole", "error", "path-device")
SACK = "nop,nop,sack 1 {2448:2748}"


def repeat(talk: Talk, at_ms: float, side: str, length: int, seq: int, **changes: object) -> Talk:
    kept = talk.next[side]
    talk.send(at_ms, side, "ACK", length, seq=seq, **changes)  # type: ignore[arg-type]
    talk.next[side] = kept
    return talk


def upload(copies: int, *, size: int = 1448, **changes: object) -> Talk:
    """The client's first data is a large segment and a small one; the large one is sent ``copies`` times in all."""
    talk = Talk().open()
    start = talk.next["client"]
    talk.send(50, "client", "ACK", size, **changes).send(50.1, "client", "PSH,ACK", 300, **changes)
    for number in range(1, copies):
        repeat(talk, 50 + 300 * 2**number, "client", size, start, **changes)
    return talk


def holed(talk: Talk, **changes: object) -> ConnectionObservation:
    return connection(talk, mss_client=1460, mss_server=1460, **changes)  # type: ignore[arg-type]


def with_answer(talk: Talk, ack: int, at_ms: float = 90, **changes: object) -> Talk:
    """An ACK of the server in between, at its place in time."""
    talk.send(at_ms, "server", "ACK", ack=ack, **changes)  # type: ignore[arg-type]
    talk.segments.sort(key=lambda s: s.at)
    talk.segments = [msgspec.structs.replace(s, frame=n) for n, s in enumerate(talk.segments, 1)]
    return talk


def test_a_large_segment_is_never_acknowledged_and_the_next_arrives():
    made = holed(with_answer(upload(4), 1001, options=SACK))
    assert told(made, service(complete=1)) == [FAILED]
    (finding,) = judge(made, service(complete=1))
    assert "1448 bytes, sent 4 times without an answer" in finding.summary
    assert "no ICMP error says so" in finding.summary


def test_the_other_side_goes_on_sending():
    made = holed(with_answer(upload(4), 1001, at_ms=5000))
    assert told(made, service(complete=1)) == [FAILED]


@pytest.mark.parametrize(
    "talk",
    [
        with_answer(upload(2), 1001, options=SACK),  # two may be lost by chance
        upload(5),  # nothing at all comes back: that is silence, not size
        with_answer(upload(5, size=900), 1001, options=SACK),  # not large
        with_answer(upload(5, df=False), 1001, options=SACK),  # a router would have cut it up
        with_answer(upload(5), 1001 + 1448, at_ms=5000),  # it arrived after all
    ],
)
def test_not_a_black_hole(talk):
    assert "tcp.mtu-black-hole" not in [identifier for identifier, _, _ in told(holed(talk), service(complete=1))]


def test_a_sender_that_finds_out_by_itself_is_impaired():
    talk = upload(4)
    repeat(talk, 6000, "client", 512, 1001)
    made = holed(with_answer(talk, 1001 + 512, at_ms=6050))
    assert told(made, service(complete=1)) == [("tcp.mtu-black-hole", "warning", "path-device")]


def test_a_sender_that_does_not_heed_icmp_is_to_blame():
    made = holed(upload(4), icmp="fragmentation needed, from 192.0.2.1")
    assert told(made, service(complete=1)) == [("tcp.mtu-black-hole", "error", "this-machine")]


def test_other_connections_carry_as_much():
    good = Talk().open().send(50, "client", "ACK", 1448).send(90, "server", "ACK")
    made = (holed(with_answer(upload(4), 1001, options=SACK)), connection(good, 1), service(connections=2, complete=2))
    assert told(*made) == [("tcp.mtu-black-hole", "warning", "path-device")]


def behind(mark: bool = True, size: int = 700, gap: int = 2896) -> Talk:
    """Captured at the client: two large segments of the server are missing, a smaller one behind them is there."""
    talk = Talk().hello()
    start = talk.next["server"]
    talk.next["server"] += gap
    talk.send(90, "server", "PSH,ACK", size, marks=("previous-lost",) if mark else ())
    for at in (90.1, 600, 1600):
        talk.send(at, "client", "ACK", ack=start)
    return talk


def test_the_large_segments_never_arrive_here():
    made = holed(behind(), previous_lost_server=1)
    assert told(made, service(complete=1)) == [FAILED]
    assert "missing from this capture" in judge(made, service(complete=1))[0].summary


@pytest.mark.parametrize("talk", [behind(mark=False), behind(gap=500), behind(size=1448)])
def test_other_gaps_are_loss(talk):
    made = holed(talk, previous_lost_server=1)
    assert "tcp.mtu-black-hole" not in [identifier for identifier, _, _ in told(made, service(complete=1))]


def test_it_explains_the_repeats():
    made = holed(with_answer(upload(6), 1001, options=SACK))
    counts = service(complete=1, packets=12, retransmissions=5)
    assert told(made, attempt(), counts) == [FAILED]
