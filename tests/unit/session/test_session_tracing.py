"""When a run traces, what, and how often; the network is loopback, taken for a remote one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from netdiag.model import HttpsObservation, Report, TcpObservation, TlsObservation, TraceObservation
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline, Net, Step
from netdiag.probes.tcp import Race
from netdiag.session import Options, diagnose_endpoint, diagnose_endpoints, tracing
from netdiag.session import context as run_context

HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_local", lambda _host: False)


class Server:
    """Accepts, and does to each connection what ``serve`` does."""

    def __init__(self, serve):
        self._listener = socket.create_server((HERE, 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._serve = serve
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        connection.settimeout(5)
        try:
            with connection:
                self._serve(connection)
        except OSError:
            pass

    def close(self):
        self._listener.close()


def reset_after_data(connection: socket.socket) -> None:
    if connection.recv(1):  # the rest stays unread, so closing resets (RFC 2525 §2.17)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.fixture
def resetting() -> Iterator[Server]:
    server = Server(reset_after_data)
    yield server
    server.close()


def closed_port() -> int:
    with socket.create_server((HERE, 0)) as free:
        return int(free.getsockname()[1])


def run(target: str, machine: Machine | None = None, **options) -> Report:
    asked = Options(**{"proxy": "none", "trust": ("certifi",), "timeout_s": 2, "numeric": True, **options})
    return diagnose_endpoint(target, options=asked, machine=machine)


def traced(report: Report) -> dict[str, str]:
    return {o.mode: o.answer for o in report.observations if isinstance(o, TraceObservation)}


def test_a_refused_port_is_traced_and_the_host_with_it():
    report = run(f"{HERE}:{closed_port()}")
    assert traced(report) == {"syn": "refused", "udp": "refused"}
    attempt = next(o for o in report.observations if isinstance(o, TcpObservation))
    assert {o.parent for o in report.observations if isinstance(o, TraceObservation)} == {attempt.id}


def test_a_handshake_that_is_cut_is_traced_with_its_clienthello(resetting):
    report = run(f"{HERE}:{resetting.port}")
    assert traced(report) == {"syn": "open", "data": "reset"}
    data = next(o for o in report.observations if isinstance(o, TraceObservation) and o.mode == "data")
    main = next(o for o in report.observations if isinstance(o, TlsObservation) and o.purpose == "main")
    assert (data.payload, data.parent, data.distance) == ("ClientHello", main.parent, 1)
    assert 0 < data.sent_bytes <= main.bytes_sent + 64  # the same hello, but for its padding and keys


def test_a_request_that_is_cut_is_traced(resetting):
    report = run(f"http://{HERE}:{resetting.port}/")
    assert traced(report) == {"syn": "open", "data": "reset"}
    data = next(o for o in report.observations if isinstance(o, TraceObservation) and o.mode == "data")
    assert data.payload == "HTTP request"
    assert next(o for o in report.observations if isinstance(o, HttpsObservation)).failure


def test_what_works_is_not_traced_unless_asked():
    with socket.create_server((HERE, 0)) as server:
        target = f"tcp://{HERE}:{server.getsockname()[1]}"
        assert traced(run(target)) == {}
        assert traced(run(target, trace=True)) == {"syn": "open"}


def test_nothing_is_traced_when_the_user_does_not_want_it(resetting):
    assert traced(run(f"{HERE}:{resetting.port}", trace=False)) == {}


def test_an_embedded_world_has_no_path():
    machine = Machine(net=Net(translate=lambda address: address))
    assert traced(run(f"{HERE}:{closed_port()}", machine=machine)) == {}


def test_what_is_on_this_machine_has_no_path(monkeypatch):
    monkeypatch.undo()
    assert traced(run(f"{HERE}:{closed_port()}")) == {}


def test_many_failures_share_what_may_be_traced(monkeypatch):
    monkeypatch.setattr("netdiag.session.fleet.MAX_TRACED", 2)
    monkeypatch.setattr(run_context, "MAX_TRACED", 2)
    targets = [f"{HERE}:{closed_port()}" for _ in range(4)]
    options = Options(proxy="none", trust=("certifi",), timeout_s=2, numeric=True)
    reports = list(diagnose_endpoints(targets, options=options))
    syn = [o for r in reports for o in r.observations if isinstance(o, TraceObservation) and o.mode == "syn"]
    assert sorted(o.outcome for o in syn) == ["failed", "failed", "not-run", "not-run"]
    assert all(o.limits for o in syn if o.outcome == "not-run")
    assert {r.verdict.finding for r in reports} == {"tcp.refused"}


def test_silence_raises_the_alarm_once_and_before_its_end():
    black_hole = Net(translate=lambda _address: None)
    told: list[tuple[Address, str]] = []
    race = Race(
        black_hole,
        [(Address("192.0.2.1", 443), Step("tcp.a"))],
        deadline=Deadline(1.6),
        alarm=lambda *what: told.append(what),
    )
    ends: list[str] = []
    race.run(lambda observation, _: ends.append(f"{observation.id} after {len(told)}"))
    assert told == [(Address("192.0.2.1", 443), "tcp.a")]
    assert ends == ["tcp.a after 1"]


def test_no_alarm_where_another_address_answered():
    with socket.create_server((HERE, 0)) as server:
        there = Address(HERE, server.getsockname()[1])
        net = Net(translate=lambda address: address if address == there else None)
        told: list[tuple[Address, str]] = []
        attempts = [(there, Step("tcp.a")), (Address("192.0.2.1", 443), Step("tcp.b"))]
        race = Race(net, attempts, deadline=Deadline(1.3), alarm=lambda *what: told.append(what))
        race.run(lambda _, stream: stream.close() if stream else None)
    assert told == []
