"""``trace_path`` on loopback, where the server is the next hop: what it observes, concludes and refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from netdiag import TraceOptions, trace_path
from netdiag.model import TcpObservation, TlsObservation, TraceHop, TraceObservation, UsageError
from netdiag.probes.machine import Machine
from netdiag.probes.net import Net
from netdiag.session import route
from netdiag.session.recording import Recording

V4, V6 = "127.0.0.1", "::1"
QUICK = TraceOptions(numeric=True, timeout_s=2)


@pytest.fixture(autouse=True)
def no_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests as root would see packets, and others not."""
    monkeypatch.setattr(route, "start_recording", lambda *_: Recording())


@pytest.fixture(params=[V4, V6])
def listener(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """An open port that never says anything."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((request.param, 0))
        server.listen(64)
        yield request.param, server.getsockname()[1]


def closed_port(host: str = V4) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


def target(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def traces(report) -> dict[str, TraceObservation]:
    return {o.mode: o for o in report.observations if isinstance(o, TraceObservation)}


def test_an_open_port_is_the_next_hop(listener):
    seen: list[TraceHop] = []
    report = trace_path(target(*listener), options=QUICK, reached=seen.append)
    assert report.command == "trace"
    assert report.verdict.status == "healthy"
    assert report.verdict.summary == f"{target(*listener)} accepts connections at the next hop"
    assert [(o.answer, o.distance, o.outcome) for o in traces(report).values()] == [("open", 1, "ok")]
    assert [hop.ttl for hop in seen] == [1]
    assert not report.internal_errors


@pytest.mark.parametrize("host", [V4, V6])
def test_a_closed_port_refuses_and_udp_shows_how_far_the_host_is(host):
    report = trace_path(target(host, closed_port(host)), options=QUICK)
    assert (report.verdict.finding, report.verdict.blame) == ("tcp.refused", "server")
    assert {mode: (o.answer, o.distance) for mode, o in traces(report).items()} == {
        "syn": ("refused", 1),
        "udp": ("refused", 1),
    }


def test_several_queries_are_several_replies(listener):
    report = trace_path(target(*listener), options=TraceOptions(numeric=True, queries=3))
    [hop] = traces(report)["syn"].hops
    assert [reply.answer for reply in hop.replies] == ["open"] * 3
    assert len({reply.flow.client_port for reply in hop.replies if reply.flow}) == 3


def test_bytes_inside_a_connection_that_are_answered():
    with socket.create_server((V4, 0), backlog=64) as server:
        threading.Thread(target=_answer, args=(server,), daemon=True).start()
        options = TraceOptions(numeric=True, payload=b"hello", timeout_s=3)
        report = trace_path(f"{V4}:{server.getsockname()[1]}", options=options)
    data = traces(report)["data"]
    assert (data.answer, data.distance, data.payload, data.sent_bytes) == ("data", 1, "5 bytes", 5)
    assert report.verdict.status == "healthy"


def _answer(server: socket.socket) -> None:
    """Answer whoever says hello; the SYNs of a trace open connections that say nothing."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            connection.settimeout(5)
            with connection:
                if connection.recv(100) == b"hello":
                    connection.sendall(b"you too")
                    connection.recv(1)


def test_a_clienthello_that_nobody_answers(listener):
    options = TraceOptions(hello=True, server_name="app.contoso.test", numeric=True, timeout_s=0.4)
    report = trace_path(target(*listener), options=options)
    [shaken] = [o for o in report.observations if isinstance(o, TlsObservation)]
    data = traces(report)["data"]
    assert (shaken.server_name, data.server_name, data.payload) == ("app.contoso.test",) * 2 + ("ClientHello",)
    assert data.answer == "none"
    assert (report.verdict.finding, report.verdict.blame) == ("tls.interrupted", "unknown")


def test_connections_are_not_left_to_the_server(listener):
    """What a trace opened it resets: a server must not wait for a client that is gone."""
    host, port = listener
    trace_path(target(host, port), options=TraceOptions(payload=b"x", numeric=True, timeout_s=0.3))
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.connect((host, port))  # the backlog takes another


def test_no_address_of_the_wanted_version():
    machine = Machine(net=Net(lookup=lambda _name: (V4,)))
    with pytest.raises(UsageError, match=r"only4\.test has no IPv6 address"):
        trace_path("only4.test:443", options=TraceOptions(version=6), machine=machine)


def test_a_name_without_an_address():
    def lookup(_name: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    report = trace_path("nowhere.test", machine=Machine(net=Net(lookup=lookup)))
    assert report.verdict.finding == "dns.name-not-found"
    assert not traces(report)
    assert [entry.rung for entry in report.not_run] == ["tcp"]


def test_a_resolver_that_hangs_is_not_waited_for():
    gate = threading.Event()
    machine = Machine(net=Net(lookup=lambda _name: (gate.wait(30), ())[1]))
    report = trace_path("slow.test", options=TraceOptions(timeout_s=0.2), machine=machine)
    assert not gate.is_set()
    gate.set()
    assert report.verdict.status == "inconclusive"


def test_cancelled_before_it_began(listener):
    cancel = threading.Event()
    cancel.set()
    report = trace_path(target(*listener), options=QUICK, cancel=cancel)
    assert not report.internal_errors


def test_an_interruption_ends_the_attempt_as_well():
    cancel = threading.Event()
    black_hole = Machine(net=Net(translate=lambda _address: None))
    threading.Timer(0.3, cancel.set).start()
    report = trace_path("192.0.2.1:443", options=TraceOptions(numeric=True), machine=black_hole, cancel=cancel)
    assert report.verdict.status == "inconclusive"
    assert "interrupted" in report.verdict.summary
    assert [o.outcome for o in report.observations if isinstance(o, TcpObservation)] == ["not-run"]


def test_without_a_route():
    """An address of a version that this machine has no route for, or that a test environment does not let out."""
    machine = Machine(net=_NoRoute())
    report = trace_path("[2001:db8::1]:443", options=QUICK, machine=machine)
    assert (report.verdict.finding, report.verdict.blame) == ("tcp.unreachable", "this-machine")
    assert traces(report)["syn"].answer == "unsent"


class _NoRoute(Net):
    def start_connect(self, address, prepare=None):
        raise OSError(101, "Network is unreachable")
