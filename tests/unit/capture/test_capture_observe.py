"""From exhibits to observations: how connections began, what they carried, ids, parents, names, cost."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.capture.exhibits import Capture, DnsSeen, IcmpSeen
from netdiag.capture.observe import names_in, observe
from netdiag.model import (
    AnyObservation,
    ConnectionObservation,
    IcmpError,
    NodeObservation,
    TcpObservation,
    TlsObservation,
)
from netdiag.wire import framing
from tests import certs
from tests.dialogues import CLIENT, SERVER, START, Talk, answer, ask, client_context, server_context, shake


def seen(*talks: Talk, ended: float = 0.0, icmp=(), dns=(), names=None) -> tuple[AnyObservation, ...]:
    capture = Capture([talk.exhibit() for talk in talks], list(icmp), list(dns))
    return observe(capture, ended=ended, names=names_in(capture, names))


def of(kind, observations):
    return next(observation for observation in observations if isinstance(observation, kind))


def tcp(talk: Talk, **options) -> TcpObservation:
    return of(TcpObservation, seen(talk, **options))


def connection(talk: Talk, **options) -> ConnectionObservation:
    return of(ConnectionObservation, seen(talk, **options))


def kind(observation) -> str:
    return observation.failure.kind if observation.failure else ""


def test_a_connection():
    talk = Talk(number=5).open().close()
    found = seen(talk)
    assert [o.id for o in found] == ["connection-5", "tcp-5"]
    attempt, whole = of(TcpObservation, found), of(ConnectionObservation, found)
    assert (attempt.outcome, attempt.parent, attempt.address, attempt.port) == ("ok", "connection-5", SERVER, 443)
    assert round(attempt.took_s, 3) == 0.01
    assert attempt.info
    assert (attempt.info.rtt_ms, attempt.info.retransmits, attempt.info.mss) == (10.0, 0, 1460)
    assert whole.connection == talk.connection()
    assert len(whole.segments) == 6
    assert whole.flow == attempt.flow
    assert whole.protocol == whole.exchange == ""


def test_syns_that_nobody_answers():
    talk = Talk().packet("client", "SYN", seq=1000)
    assert tcp(talk).outcome == "not-run"
    assert tcp(talk, ended=START + 2).outcome == "not-run"
    assert kind(tcp(talk, ended=START + 60)) == "timeout"
    for wait in (3, 6):
        talk.now = START + wait if wait == 3 else START + 9
        talk.packet("client", "SYN", seq=1000)
    guide = tcp(talk, ended=START + 500)  # telnet on Windows: 0, 3, 9 s
    assert kind(guide) == "timeout"
    assert round(guide.took_s) == 21
    assert guide.info
    assert guide.info.retransmits == 2
    assert round(tcp(talk, ended=START + 12).took_s) == 12


def test_a_mirror_ports_copies_are_no_retransmissions():
    talk = Talk().packet("client", "SYN", seq=1000).packet("client", "SYN", seq=1000)
    talk.segments[1] = msgspec.structs.replace(talk.segments[1], marks=("captured-twice",))
    attempt = tcp(talk, ended=START + 2)
    assert attempt.outcome == "not-run"
    assert attempt.info
    assert attempt.info.retransmits == 0


def test_refused():
    attempt = tcp(Talk().packet("client", "SYN").packet("server", "RST,ACK"))
    assert (kind(attempt), attempt.failure.detail) == ("refused", "a reset answers the SYN")
    assert round(attempt.took_s, 3) == 0.01


def test_openings_that_are_not_completed():
    scan = Talk().packet("client", "SYN").packet("server", "SYN,ACK").packet("client", "RST")
    assert tcp(scan, ended=START + 99).outcome == "not-run"
    half = Talk().packet("client", "SYN").packet("server", "SYN,ACK")
    assert tcp(half).outcome == "not-run"
    half.wait(3).packet("server", "SYN,ACK", seq=half.server_isn)
    attempt = tcp(half)
    assert (kind(attempt), attempt.failure.detail) == ("timeout", "a SYN-ACK came, and no ACK after it")


def test_without_the_beginning():
    assert tcp(Talk().send("client", b"a").send("server", b"b")).outcome == "ok"
    assert tcp(Talk().packet("server", "RST")).outcome == "not-run"


def icmp(kind_: int, code: int, *, version: int = 4, number: int | None = 0) -> IcmpSeen:
    return IcmpSeen(
        frame=2,
        at=START + 0.05,
        version=version,
        type=kind_,
        code=code,
        source="10.0.0.1",
        destination=CLIENT,
        ttl=255,
        mtu=0,
        quoted_protocol=6,
        quoted_source=CLIENT,
        quoted_source_port=50_000,
        quoted_destination=SERVER,
        quoted_destination_port=443,
        quoted_ttl=1,
        connection=number,
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (icmp(3, 13), "prohibited"),
        (icmp(3, 1), "unreachable"),
        (icmp(3, 3), "refused"),
        (icmp(11, 0), "unreachable"),
        (icmp(1, 1, version=6), "prohibited"),
        (icmp(3, 4), "timeout"),
        (icmp(3, 13, number=1), "timeout"),
        (icmp(3, 13, number=None), "timeout"),
    ],
)
def test_icmp(error, expected):
    attempt = tcp(Talk().packet("client", "SYN"), icmp=[error], ended=START + 60)
    assert kind(attempt) == expected
    if expected == "timeout":
        assert attempt.icmp is None
    else:
        version = 4 if error.version == 4 else 6
        assert attempt.icmp == IcmpError(version=version, type=error.type, code=error.code, offender="10.0.0.1")
        assert round(attempt.took_s, 3) == 0.05
        assert attempt.failure.detail.endswith("says 10.0.0.1")


def test_icmp_does_not_end_a_connection_that_came_about():
    assert tcp(Talk().open(), icmp=[icmp(3, 13)]).outcome == "ok"


def test_names(tmp_path):
    flights = shake(client_context(), server_context(tmp_path)[0])
    question = ask(-1, name="dns.example")
    dns = [question, answer(question, SERVER)]
    assert connection(Talk().open().close(), dns=dns).connection.name == "dns.example"
    assert connection(Talk().open().play(flights), dns=dns).connection.name == certs.HOST
    assert connection(Talk().open(), names={SERVER: ("file.example",)}).connection.name == "file.example"
    assert connection(Talk().open()).connection.name == ""


@pytest.mark.parametrize(
    ("asked", "answered", "protocol", "exchange", "name"),
    [
        (
            b"GET /a?sig=secret HTTP/1.1\r\nHost: A.example:8080\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\n\r\n",
            "http",
            "GET /a → 404 Not Found",
            "a.example",
        ),
        (
            b"GET http://user:secret@b.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n",
            b"",
            "http",
            "GET http://b.example/",
            "b.example",
        ),
        (b"GET / HTTP/1.1\r\nHo", b"HTTP/1.1 200 OK\r\nCon", "http", "GET / → 200 OK", ""),
        (b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", "http", "GET / → no HTTP", ""),
        (b"GET / HT", b"", "http", "", ""),
        (b"POST nonsense\r\n", b"", "http", "", ""),
        (b"\x17\x03\x03\x00\x05hello", b"\x17\x03\x03\x00\x05hello", "tls", "", ""),
        (b"", b"\x16\x03\x03\x00\x05hello", "tls", "", ""),
        (b"", b"SSH-2.0-OpenSSH_9\r\n", "", "", ""),
        (b"\x05\x01\x00", b"HTTP/1.1 400", "", "", ""),
        (b"\x16\x02hello", b"", "", "", ""),
    ],
)
def test_protocols(asked, answered, protocol, exchange, name):
    talk = Talk(port=8080).open().send("client", asked).send("server", answered)
    found = connection(talk)
    assert (found.protocol, found.exchange, found.connection.name) == (protocol, exchange, name)
    assert "secret" not in repr(found)


def test_dns_over_tcp_is_labelled():
    assert connection(Talk(port=53).open().send("client", b"\0\x10abc")).protocol == "dns"


VIA = "net.tcp://node1:8060/ExternalService.svc/"
PREAMBLE = framing.preamble(VIA, upgrade=framing.TLS_UPGRADE)
NOT_FOUND = framing.record(framing.RecordType.FAULT, framing.FAULT_NAMESPACE + "EndpointNotFound")


@pytest.mark.parametrize(
    ("asked", "answered", "exchange"),
    [
        (PREAMBLE, NOT_FOUND, f"{VIA} (application/ssl-tls) → fault EndpointNotFound"),
        (PREAMBLE, b"", f"{VIA} (application/ssl-tls)"),
        (framing.preamble(VIA), b"\x0b", f"{VIA} → preamble ack"),
        (PREAMBLE, b"HTTP/1.1 400 Bad", f"{VIA} (application/ssl-tls) → not a net.tcp record: it starts with"),
        (PREAMBLE[:9], b"", ""),
        (PREAMBLE[:5] + b"\x7f", b"", ""),
    ],
)
def test_net_tcp(asked, answered, exchange):
    found = connection(Talk(port=8060).open().send("client", asked).send("server", answered))
    assert found.protocol == "net.tcp"
    assert found.exchange.startswith(exchange)


def node(asked: bytes, answered: bytes, **options) -> NodeObservation:
    return of(NodeObservation, seen(Talk(port=8060).open().send("client", asked).send("server", answered), **options))


def test_the_preamble_of_net_tcp():
    faulty = node(PREAMBLE, NOT_FOUND)
    assert (faulty.id, faulty.parent, faulty.address, faulty.port) == ("node-0", "tcp-0", SERVER, 8060)
    assert (faulty.via, faulty.upgrade, faulty.answer) == (VIA, framing.TLS_UPGRADE, "fault")
    assert faulty.fault == framing.FAULT_NAMESPACE + "EndpointNotFound"
    assert (kind(faulty), faulty.failure.detail) == ("net-tcp-fault", "EndpointNotFound")
    assert round(faulty.took_s, 3) == 0.01
    secured = node(PREAMBLE, b"\x0a")
    assert (secured.answer, secured.outcome) == ("upgrade", "ok")
    plain = node(framing.preamble(VIA), b"\x0b")
    assert (plain.answer, plain.upgrade, plain.outcome) == ("acknowledged", "", "ok")
    web = node(PREAMBLE, b"HTTP/1.1 400 Bad")
    assert (kind(web), web.not_net_tcp, web.answer) == ("not-net-tcp", "HTTP/1.1 400 Bad", "")


def test_a_preamble_without_an_answer():
    assert node(PREAMBLE, b"").outcome == "not-run"
    assert kind(node(PREAMBLE, b"", ended=START + 60)) == "timeout"
    assert node(PREAMBLE, NOT_FOUND[:9], ended=START + 60).outcome == "not-run"  # the capture lacks its end
    closed = Talk(port=8060).open().send("client", PREAMBLE).close("server")
    assert kind(of(NodeObservation, seen(closed))) == "eof"


def test_net_tcp_that_upgrades_to_tls(tmp_path):
    flights = shake(client_context(), server_context(tmp_path)[0], None)
    talk = Talk(port=8060).open().send("client", PREAMBLE).send("server", b"\x0a").play(flights).close()
    found = seen(talk)
    tls = of(TlsObservation, found)
    assert (tls.outcome, tls.server_name, tls.parent, tls.port) == ("ok", "", "node-0", 8060)
    assert of(ConnectionObservation, found).exchange.endswith("→ upgrade response")


def test_observations_survive_json(tmp_path):
    flights = shake(client_context(), server_context(tmp_path)[0])
    question = ask(-1)
    found = seen(Talk().open().play(flights).close(), dns=[question, answer(question, SERVER)])
    assert [o.id for o in found] == ["connection-0", "tcp-0", "tls-0", "dns-0"]
    assert msgspec.json.decode(msgspec.json.encode(found), type=tuple[AnyObservation, ...]) == found


def test_an_empty_capture():
    assert observe(Capture([], [], [])) == ()
    assert seen(Talk().packet("client", "SYN"))[0].id == "connection-0"


@given(
    st.lists(
        st.tuples(st.sampled_from(["client", "server"]), st.sampled_from(["PSH,ACK", "SYN", "RST", "FIN,ACK"]),
                  st.binary(max_size=80), st.integers(0, 2**32 - 1) | st.none()),
        min_size=1,
        max_size=12,
    )
)  # fmt: skip
def test_garbage_is_survived(packets):
    talk = Talk()
    for sender, flags, data, seq in packets:
        talk.packet(sender, flags, data, seq=seq)
    payload = packets[0][2]
    observe(Capture([talk.exhibit()], [], [DnsSeen(1, START, CLIENT, 1, SERVER, 53, payload)]))


def test_what_it_imports():
    script = (
        "import sys, netdiag.capture.observe\n"
        "print(*{'dns', 'cryptography', 'idna', 'requests', 'ssl', 'OpenSSL', 'numpy', 'scapy'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
