"""Which resets are findings, how grave they are, and what they explain."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from netdiag.capture.resets import resets, with_alike
from netdiag.model import (
    ConnectionObservation,
    Failure,
    FailureKind,
    Finding,
    Observation,
    ResetObservation,
    Target,
    TcpObservation,
    TlsObservation,
)
from netdiag.rules import Seen, findings
from tests.talk import SERVER, Talk, guide

TARGET = Target(host="x.example")


def captured(talk: Talk, number: int = 7, **arguments: Any) -> tuple[Observation, ...]:
    """The connection, and what its resets look like."""
    exhibit = talk.exhibit(number, name="x.example")
    parent = ConnectionObservation(id=f"connection-{number}", source="capture", connection=exhibit.connection)
    return parent, *resets(exhibit, parent=parent.id, **arguments)


def judged(*observations: Observation) -> tuple[Finding, ...]:
    return findings(Seen(TARGET, "direct", observations))


def short(found: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    return [(f.id, str(f.severity), f.blame) for f in found]


def tcp(observations: tuple[Observation, ...], kind: Any) -> TcpObservation:
    [reset] = [o for o in observations if isinstance(o, ResetObservation)]
    return TcpObservation(
        id="tcp-7",
        source="capture",
        parent=observations[0].id,
        address=SERVER,
        port=443,
        flow=reset.flow,
        outcome="failed" if kind else "ok",
        failure=Failure(kind=kind, step="connect") if kind else None,
    )


def tls(observations: tuple[Observation, ...], kind: FailureKind = "reset") -> TlsObservation:
    flow = next(o.flow for o in observations if isinstance(o, ResetObservation))
    return TlsObservation(
        id="tls-7",
        source="capture",
        parent=observations[0].id,
        address=SERVER,
        port=443,
        flow=flow,
        server_name="x.example",
        outcome="failed",
        failure=Failure(kind=kind, step="handshake"),
    )


LATER = Talk().answered
BY_DEVICE, BY_SERVER, BY_CLIENT, UNKNOWN = (
    "tcp.reset-by-path-device",
    "tcp.reset-by-server",
    "tcp.reset-by-client",
    "tcp.reset-origin-unknown",
)


def done() -> Talk:
    """An exchange that has come to its end at 250 ms, and the connection left open."""
    return Talk().answered().send(249, "server", "PSH,ACK", 90).send(250, "client", "ACK")


def sure(talk: Talk, at: float, side: str = "server", **changes: Any) -> Talk:
    """A reset that nothing distinguishes from the sender's own packets."""
    return talk.send(at, side, "RST,ACK", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (guide(), [(BY_DEVICE, "error", "path-device")]),
        # the server's own: before its first data, while a question is open, in the middle of its answer, long after
        (sure(Talk().open(), 900), [(BY_SERVER, "error", "server")]),
        (sure(Talk().answered(), 241), [(BY_SERVER, "error", "server")]),
        (sure(done(), 300), [(BY_SERVER, "error", "server")]),
        (sure(done(), 90_000), [(BY_SERVER, "warning", "server")]),
        # the client's own: after the answer, without a question, and instead of waiting on
        (sure(Talk().answered(), 900, "client"), [(BY_CLIENT, "info", "this-machine")]),
        (sure(Talk().open(), 42, "client"), [(BY_CLIENT, "info", "this-machine")]),
        (sure(Talk().hello(), 30_000, "client"), [(BY_CLIENT, "warning", "this-machine")]),
        # ... seen at the server
        (sure(Talk(121, 64).hello(), 30_000, "client"), [(BY_CLIENT, "warning", "unknown")]),
        # signs that do not decide
        (done().send(9_000, "server", "RST", ttl=106, ip_id=22_000), [(UNKNOWN, "warning", "unknown")]),
        (Talk().hello().send(900, "server", "RST", ttl=106, ip_id=22_000), [(UNKNOWN, "error", "unknown")]),
        # in the middle of the answer, and after a long silence
        (Talk().answered().send(205, "server", "RST", ttl=61), [(BY_DEVICE, "error", "path-device")]),
        (done().send(300_000, "server", "RST", ttl=61), [(BY_DEVICE, "warning", "path-device")]),
        # a device's reset, and what the client's system answers to the server's further packets
        (guide().send(90, "server", "PSH,ACK", 99).send(90.1, "client", "RST"), [(BY_DEVICE, "error", "path-device")]),
        # a device resets the server in the client's name, seen there
        (
            Talk(107, 64).answered().send(240, "client", "RST", ttl=61, ip_id=0),
            [(BY_DEVICE, "error", "path-device")],
        ),
        # harmless: one side or both had closed; a refused opening is another finding's business
        (Talk().answered().send(210, "server", "FIN,ACK").send(250, "server", "RST"), []),
        (Talk().answered().send(210, "server", "FIN,ACK").send(250, "client", "RST"), []),
        (Talk().answered().send(210, "client", "FIN,ACK").send(250, "server", "RST"), []),
        (Talk().send(0, "client", "SYN").send(40, "server", "RST,ACK", ttl=61), []),
        (Talk().answered(), []),
    ],
)
def test_exactly(talk: Talk, expected: list[tuple[str, str, str]]) -> None:
    assert short(judged(*captured(talk))) == expected


def test_the_guides_words() -> None:
    [finding] = judged(*captured(guide()))
    assert finding.culprit is not None
    assert (finding.culprit.hop, finding.culprit.address) == (4, "")
    assert finding.summary == (
        "Connections to x.example:443 are reset right after the client's first data, which named x.example. The reset "
        "bears the server's address, but almost certainly a device on the path sent it: its TTL 61 = 64 - 3 puts the "
        "sender at the 4th hop from the client, while the server's SYN-ACK came with TTL 107 = 128 - 21 "
        "(21 routers away)"
    )
    assert finding.remedy.startswith(
        f"Check the 4th hop from the client towards the server ({SERVER}): find in its log, at 2023-11-14 "
        "22:13:20 UTC, the rule that resets connections to port 443 that name x.example"
    )
    assert any("TTL 61 = 64 - 3" in line for line in finding.details)
    assert finding.evidence == ("reset-7-server", "connection-7")


@pytest.mark.parametrize(
    ("elsewhere", "expected"),
    [
        (((107, 4),), [(BY_DEVICE, ("tcp.refused",), "path-device")]),
        (((61, 4),), [("tcp.refused", (), "server")]),
        ((), [("tcp.refused", (), "server")]),
    ],
)
def test_who_refused(elsewhere: tuple[tuple[int, int], ...], expected: list[object]) -> None:
    talk = Talk().send(0, "client", "SYN").send(3, "server", "RST,ACK", seq=0, ttl=61, ip_id=0)
    seen = captured(talk, ttls_elsewhere={SERVER: elsewhere})
    found = judged(*seen, tcp(seen, "refused"))
    assert [(f.id, f.folded, f.blame) for f in found] == expected


@pytest.mark.parametrize(
    ("talk", "identifier"),
    [
        (guide(), BY_DEVICE),
        (sure(Talk().answered(), 241), BY_SERVER),
        (sure(Talk().answered(), 300, "client"), BY_CLIENT),
        (Talk().answered().send(900, "server", "RST", ttl=106, ip_id=22_000), UNKNOWN),
    ],
)
def test_a_reset_explains_the_handshake_that_it_ended(talk: Talk, identifier: str) -> None:
    seen = captured(talk)
    [finding] = judged(*seen, tcp(seen, None), tls(seen))
    assert (finding.id, str(finding.severity), finding.folded) == (identifier, "error", ("tls.interrupted",))


def test_a_client_that_was_refused_may_abort() -> None:
    """The alert is the reason, and the reset only how the client hung up."""
    seen = captured(sure(Talk().answered(), 300, "client"))
    assert [f.id for f in judged(*seen, tls(seen, "tls-alert"))] == ["tls.handshake-failed"]


def test_a_server_that_closed_did_not_cut_with_its_later_reset() -> None:
    seen = captured(Talk().hello().send(90, "server", "FIN,ACK").send(95, "server", "RST"))
    assert [f.id for f in judged(*seen, tls(seen, "eof"))] == ["tls.interrupted"]


def test_an_idle_connection_is_told_from_one_in_use() -> None:
    [finding] = judged(*captured(sure(done(), 90_000)))
    assert "after 90 s of silence" in finding.summary
    assert "keep-alives" in finding.remedy


def test_the_same_ttl_is_said_shortly() -> None:
    [finding] = judged(*captured(sure(Talk().answered(), 241)))
    assert finding.summary.endswith("its TTL 107 = 128 - 21 (21 routers away) is that of the server's SYN-ACK")
    [finding] = judged(*captured(sure(Talk().answered(), 900, "client")))
    assert finding.summary.endswith("its TTL 128 = 128 - 0 (no router away) is that of the client's SYN")


def test_a_reset_explains_no_other_connections_handshake() -> None:
    seen, other = captured(guide()), captured(guide(), 8)
    assert sorted(f.id for f in judged(*seen, tls(other))) == [BY_DEVICE, "tls.interrupted"]


def test_resets_that_are_alike_are_one_finding() -> None:
    every: list[Observation] = []
    for number in range(5):
        every += captured(guide(), number)
    every += captured(Talk().hello().send(43, "server", "RST", ttl=251), 9)
    found = judged(*every)
    assert [(f.id, f.culprit.hop if f.culprit else None) for f in found] == [(BY_DEVICE, 4), (BY_DEVICE, 5)]
    assert len(found[0].evidence) == 10
    alike = with_alike([o for o in every if isinstance(o, ResetObservation)])
    assert [o.alike for o in alike] == [5, 5, 5, 5, 5, 1]


def test_facts_of_a_probe_are_judged_without_a_connection() -> None:
    fact = msgspec.structs.replace(guide().facts(), source="probe", parent=None)
    [finding] = judged(fact)
    assert finding.id == BY_DEVICE
    assert "the 4th hop from this machine" in finding.summary
    assert judged(msgspec.structs.replace(fact, flow=None))[0].id == BY_DEVICE


def test_a_report_without_packets_breaks_no_rule() -> None:
    assert judged(ResetObservation(id="r", claimed="server", resets=())) == ()


def test_a_capture_may_claim_any_time() -> None:
    fact = guide().facts()
    absurd = msgspec.structs.replace(fact, resets=(msgspec.structs.replace(fact.resets[0], at=1e300),))
    [finding] = judged(absurd)
    assert "at the time of the reset" in finding.remedy


def test_the_other_way_is_not_judged() -> None:
    assert findings(Seen(TARGET, "proxy", [guide().facts()])) == ()
