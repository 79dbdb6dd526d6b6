"""The race of connection attempts, on loopback."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from netdiag.model import TcpObservation
from netdiag.probes.net import Address, Deadline, Net, SocketStream, Step
from netdiag.probes.tcp import Race


@pytest.fixture
def listener() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Address("127.0.0.1", server.getsockname()[1])


@pytest.fixture
def closed_port() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return Address("127.0.0.1", server.getsockname()[1])


Ends = list[tuple[TcpObservation, SocketStream | None]]


def run(race: Race) -> Ends:
    ends: Ends = []
    race.run(lambda observation, stream: ends.append((observation, stream)))
    for _, stream in ends:
        if stream:
            stream.close()
    return ends


def steps(*addresses: Address) -> list[tuple[Address, Step]]:
    return [(address, Step(f"tcp.{i}")) for i, address in enumerate(addresses)]


def test_connects(listener: Address) -> None:
    [(observation, stream)] = run(Race(Net(), steps(listener), deadline=Deadline(5)))
    assert stream is not None
    assert observation.outcome == "ok"
    assert observation.failure is None
    assert observation.flow is not None
    assert (observation.flow.server, observation.flow.server_port) == listener
    assert observation.flow.client_port > 0


def test_a_connection_that_was_reset_keeps_its_flow(listener: Address) -> None:
    with socket.create_server((listener.host, 0)) as server, socket.socket() as sock:
        there = Address(listener.host, server.getsockname()[1])
        sock.connect(there)
        accepted, _ = server.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        flow = SocketStream(sock, there).flow
    assert flow is not None
    assert (flow.server, flow.server_port) == there
    assert flow.client_port > 0


def test_kernel_numbers_where_there_are_any(listener: Address) -> None:
    [(observation, _)] = run(Race(Net(), steps(listener), deadline=Deadline(5)))
    if hasattr(socket, "TCP_INFO"):
        assert observation.info is not None
        assert observation.info.retransmits == 0
        assert observation.info.rtt_ms is not None
        assert 0 < observation.info.rtt_ms < 1000
    else:
        assert observation.info is None


def test_refused(closed_port: Address) -> None:
    [(observation, stream)] = run(Race(Net(), steps(closed_port), deadline=Deadline(5)))
    assert stream is None
    assert observation.failure is not None
    assert observation.failure.kind == "refused"
    assert observation.icmp is None


def test_silence_ends_at_the_deadline() -> None:
    net = Net(translate=lambda _: None)
    [(observation, _)] = run(Race(net, steps(Address("192.0.2.1", 443)), deadline=Deadline(0.05)))
    assert observation.failure is not None
    assert observation.failure.kind == "timeout"
    assert observation.took_s >= 0.05


def test_every_attempt_ends_once(listener: Address, closed_port: Address) -> None:
    dead = Address("2001:db8::1", 443)
    net = Net(translate=lambda address: None if address == dead else address)
    ends = run(Race(net, steps(listener, dead, closed_port), deadline=Deadline(0.4)))
    kinds = {observation.id: observation.failure.kind if observation.failure else "ok" for observation, _ in ends}
    assert kinds == {"tcp.0": "ok", "tcp.1": "timeout", "tcp.2": "refused"}
    assert len(ends) == 3


@pytest.mark.parametrize(("patient", "outcome"), [(True, "failed"), (False, "not-run")])
def test_stopped_early_silence_means_something_only_after_a_while(
    listener: Address, patient: bool, outcome: str
) -> None:
    dead = Address("192.0.2.1", 443)
    net = Net(translate=lambda address: None if address == dead else address)
    race = Race(net, steps(dead, listener), deadline=Deadline(20))
    ends: Ends = []

    def ended(observation: TcpObservation, stream: SocketStream | None) -> None:
        ends.append((observation, stream))
        if stream is not None:
            stream.close()
            threading.Timer(race.patience_s + 0.01, race.stop).start() if patient else race.stop()

    race.run(ended)
    assert [observation.outcome for observation, _ in ends] == ["ok", outcome]


def test_a_family_without_a_route_fails_at_once() -> None:
    class NoRoute(Net):
        def start_connect(self, address: Address) -> socket.socket:
            raise OSError(101 if hasattr(socket, "TCP_INFO") else 10051, "Network is unreachable")

    [(observation, _)] = run(Race(NoRoute(), steps(Address("2001:db8::1", 443)), deadline=Deadline(5)))
    assert observation.failure is not None
    assert observation.failure.kind == "no-route"
