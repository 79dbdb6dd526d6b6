"""Traces with ordinary sockets: which TTLs are tried and for how long, what an error means, and loopback for real."""

import errno
import math
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from netdiag.model import Flow, IcmpError, TraceAnswer, TraceHop, TraceMode, TraceObservation, TraceReply
from netdiag.probes import trace, trace_probes
from netdiag.probes.icmp import Queued
from netdiag.probes.net import Address, Deadline, Net, Step
from netdiag.probes.trace import Limits, Trace, conclude
from netdiag.probes.trace_probes import Probe, meaning, same_host

HOST = {4: "198.51.100.9", 6: "2001:db8:9::9"}


# -- what an error means ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "type_", "code", "offender", "answer"),
    [
        (4, 11, 0, "10.0.0.1", "hop"),
        (4, 11, 1, "10.0.0.1", "unreachable"),  # a fragment that stayed alone
        (4, 3, 0, "10.0.0.1", "unreachable"),
        (4, 3, 1, "10.0.0.1", "unreachable"),
        (4, 3, 3, HOST[4], "refused"),
        (4, 3, 3, "10.0.0.1", "unreachable"),  # a router rejects in the host's stead
        (4, 3, 9, "10.0.0.1", "prohibited"),
        (4, 3, 10, "10.0.0.1", "prohibited"),
        (4, 3, 13, "10.0.0.1", "prohibited"),
        (4, 3, 13, HOST[4], "prohibited"),
        (4, 12, 0, "10.0.0.1", "unreachable"),
        (6, 3, 0, "fd00::1", "hop"),
        (6, 3, 1, "fd00::1", "unreachable"),
        (6, 1, 0, "fd00::1", "unreachable"),
        (6, 1, 1, "fd00::1", "prohibited"),
        (6, 1, 3, "fd00::1", "unreachable"),
        (6, 1, 4, HOST[6], "refused"),
        (6, 1, 4, "fd00::1", "unreachable"),
        (6, 1, 5, "fd00::1", "prohibited"),
        (6, 1, 6, "fd00::1", "prohibited"),
        (6, 4, 1, "fd00::1", "unreachable"),
    ],
)
def test_meaning(version: int, type_: int, code: int, offender: str, answer: TraceAnswer) -> None:
    icmp = IcmpError(version=4 if version == 4 else 6, type=type_, code=code, offender=offender)
    assert meaning(icmp, HOST[version]) == answer


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:DB8:0::9", "2001:db8::9", True),
        ("fe80::1%eth0", "fe80::1", True),
        ("::1", "127.0.0.1", False),
        ("", "10.0.0.1", False),
        ("", "", False),
    ],
)
def test_same_host(one: str, other: str, same: bool) -> None:
    assert same_host(one, other) is same


@pytest.mark.parametrize(
    ("number", "told", "not_told"),
    [
        (errno.ECONNREFUSED, "refused", "refused"),
        (errno.ECONNRESET, "reset", "reset"),
        (errno.ECONNABORTED, "reset", "reset"),
        (errno.ETIMEDOUT, "none", "none"),
        (errno.EACCES, "unsent", "unsent"),
        (10013, "unsent", "unsent"),
        (errno.ENETUNREACH, "unreachable", "unreachable"),
        (errno.EHOSTUNREACH, "unreachable", "hop"),  # where nothing more is told, it may be a TTL that ran out
        (errno.ENETRESET, "unreachable", "hop"),
    ],
)
def test_errors_by_system(number: int, told: str, not_told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_probes, "TELLS_SENDERS", True)
    assert trace_probes._end(number) == told
    monkeypatch.setattr(trace_probes, "TELLS_SENDERS", False)
    assert trace_probes._end(number) == not_told


@pytest.mark.parametrize(
    ("offender", "type_", "code", "answer", "kind"),
    [
        ("10.0.0.2", 3, 1, "unsent", "unreachable"),  # nobody answered this machine's ARP
        ("10.0.0.2", 3, 13, "unsent", "local-policy"),
        ("10.0.0.1", 3, 1, "unreachable", None),
    ],
)
def test_errors_that_this_machine_sends_itself(
    offender: str, type_: int, code: int, answer: str, kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    icmp = IcmpError(version=4, type=type_, code=code, offender=offender)
    monkeypatch.setattr(trace_probes, "queued_icmp_error", lambda sock: Queued(icmp, None))
    with socket.socket() as sock:
        probe = Probe(1, sock, flow=Flow(client="10.0.0.2", client_port=1, server=HOST[4], server_port=2))
        assert probe.answered("unreachable").answer == answer
        assert (probe.failure and probe.failure.kind) == kind


# -- what hops amount to ----------------------------------------------------------------------------------------------


def observation(mode: TraceMode, *answers: TraceAnswer) -> TraceObservation:
    hops = tuple(TraceHop(ttl=ttl, replies=(TraceReply(answer=a),)) for ttl, a in enumerate(answers, 1))
    return TraceObservation(id="trace", started=0.0, address=HOST[4], port=443, mode=mode, hops=hops)


@pytest.mark.parametrize(
    ("mode", "answers", "distance", "kind"),
    [
        ("syn", ["hop", "none", "open"], 3, None),
        ("data", ["hop", "data"], 2, None),
        ("udp", ["hop", "refused"], 2, None),
        ("udp", ["data"], 1, None),
        ("syn", ["hop", "refused"], 2, "refused"),
        ("data", ["hop", "reset"], 2, "reset"),
        ("data", ["hop", "closed"], 2, "eof"),
        ("syn", ["hop", "unreachable"], 2, "unreachable"),
        ("syn", ["hop", "prohibited"], 2, "prohibited"),
        ("syn", ["hop", "none"], None, "timeout"),
        ("syn", ["hop", "hop"], None, "unreachable"),
        ("syn", [], None, "timeout"),
    ],
)
def test_conclude(mode: TraceMode, answers: list[TraceAnswer], distance: int | None, kind: str | None) -> None:
    seen = conclude(observation(mode, *answers))
    assert (seen.answer, seen.distance) == (answers[-1] if answers else "none", distance)
    assert (seen.outcome, seen.failure and seen.failure.kind) == ("failed" if kind else "ok", kind)


# -- which TTLs are tried ---------------------------------------------------------------------------------------------


class Script:
    """Probes that are answered at once, or never, as ``answers`` says by TTL; a string is a TTL's answer."""

    mode: TraceMode = "syn"
    words = ""
    size = 0

    def __init__(self, answers: Callable[[int], TraceAnswer]) -> None:
        self._answers = answers
        self._far: list[socket.socket] = []
        self.started: list[socket.socket] = []
        self.tried: list[int] = []
        self.most = 0

    def start(self, net: Net, address: Address, probe: Probe) -> int:
        self.tried.append(probe.ttl)
        if self._answers(probe.ttl) == "unsent":
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        probe.sock, far = socket.socketpair()
        probe.sock.setblocking(False)
        self._far.append(far)
        self.started.append(probe.sock)
        self.most = max(self.most, sum(sock.fileno() != -1 for sock in self.started))
        if self._answers(probe.ttl) != "none":
            far.send(b"x")
        return selectors.EVENT_READ

    def event(self, probe: Probe) -> TraceReply:
        return TraceReply(answer=self._answers(probe.ttl), rtt_ms=float(probe.ttl))

    def close(self) -> None:
        for far in self._far:
            far.close()


def play(
    answers: Callable[[int], TraceAnswer],
    deadline: Deadline | None = None,
    told: list[int] | None = None,
    **limits: object,
) -> tuple[Script, tuple[TraceHop, ...]]:
    script = Script(answers)
    run = Trace(
        Net(),
        Address(HOST[4], 443),
        script,
        deadline or Deadline(20),
        Limits(**{"wait_s": 0.05, **limits}),
        reached=lambda hop: told.append(hop.ttl) if told is not None else None,
    )
    try:
        return script, run.run()
    finally:
        script.close()
        assert not run._open


def test_it_ends_at_the_first_that_does_not_end_on_the_way() -> None:
    told: list[int] = []
    script, hops = play(lambda ttl: "hop" if ttl < 4 else "open", told=told)
    assert [hop.answer for hop in hops] == ["hop", "hop", "hop", "open"]
    assert told == [1, 2, 3, 4]
    assert max(script.tried) <= Limits.window


def test_silent_hops_between_are_waited_for() -> None:
    told: list[int] = []
    _, hops = play(lambda ttl: "hop" if ttl == 1 else "none" if ttl < 4 else "refused", told=told)
    assert [hop.answer for hop in hops] == ["hop", "none", "none", "refused"]
    assert told == [1, 2, 3, 4]


def test_the_window_is_kept() -> None:
    script, hops = play(lambda ttl: "none", max_ttl=10, window=3, silent_hops=10, wait_s=0.01)
    assert script.most == 3
    assert len(hops) == 10


def test_so_many_silent_hops_are_enough() -> None:
    script, hops = play(lambda ttl: "hop" if ttl <= 2 else "none", window=1, silent_hops=3, wait_s=0.01)
    assert script.tried == [1, 2, 3, 4, 5]
    assert [hop.answer for hop in hops] == ["hop", "hop", "none", "none", "none"]


def test_several_probes_of_each_ttl() -> None:
    script, hops = play(lambda ttl: "hop" if ttl < 3 else "open", queries=10, window=5)
    assert [len(hop.replies) for hop in hops[:2]] == [10, 10]
    assert hops[-1].answer == "open"
    assert script.tried[:20] == [1] * 10 + [2] * 10


def test_the_largest_trace() -> None:
    script, hops = play(lambda ttl: "hop", max_ttl=255, queries=10)
    assert len(script.tried) == 2550
    assert [hop.ttl for hop in hops] == list(range(1, 256))
    assert all(len(hop.replies) == 10 for hop in hops)


def test_what_cannot_be_sent_ends_it() -> None:
    script, hops = play(lambda ttl: "unsent")
    assert script.tried == [1]
    assert [hop.answer for hop in hops] == ["unsent"]


def test_it_can_be_cancelled() -> None:
    cancel = threading.Event()

    def answers(ttl: int) -> TraceAnswer:
        if ttl == 3:
            cancel.set()
        return "none"

    script, hops = play(answers, Deadline(20, cancel), wait_s=20.0)
    assert script.tried == [1, 2, 3]
    assert [hop.answer for hop in hops] == ["none"] * 3


def test_patience() -> None:
    run = Trace(Net(), Address(HOST[4], 443), Script(lambda ttl: "none"), Deadline(20), Limits(wait_s=1.5, max_ttl=9))
    assert run._expiry(Probe(2, sent=100.0)) == 101.5
    run._ended(Probe(5), TraceReply(answer="hop", rtt_ms=80.0))
    assert [run._expiry(Probe(ttl, sent=100.0)) for ttl in (1, 5, 6)] == [100.8, 100.8, 101.5]
    run._ended(Probe(3), TraceReply(answer="hop", rtt_ms=1.0))  # routers have other things to do
    assert [run._expiry(Probe(ttl, sent=100.0)) for ttl in (3, 4)] == [100.3, 100.8]
    run._ended(Probe(7), TraceReply(answer="hop", rtt_ms=500.0))
    assert run._expiry(Probe(7, sent=100.0)) == 101.5
    assert run._expiry(Probe(5, sent=100.0)) == 100.8
    assert run._fastest[8] == math.inf


def test_a_connection_may_take_a_second_syn() -> None:
    data = trace_probes.Data(b"x", "1 byte")
    run = Trace(Net(), Address(HOST[4], 443), data, Deadline(20), Limits(wait_s=1.5, max_ttl=9))
    run._ended(Probe(5), TraceReply(answer="hop", rtt_ms=1.0))
    assert run._expiry(Probe(2, sent=100.0)) == 101.5
    assert run._expiry(Probe(2, sent=100.0, opened=True)) == 100.3


def test_a_socket_is_closed_when_the_start_fails() -> None:
    started: list[socket.socket] = []

    class Failing(Script):
        def start(self, net: Net, address: Address, probe: Probe) -> int:
            probe.sock = socket.socket()
            started.append(probe.sock)
            raise OSError(errno.EPERM, "Operation not permitted")

    run = Trace(Net(), Address(HOST[4], 443), Failing(lambda ttl: "none"), Deadline(20))
    assert [hop.answer for hop in run.run()] == ["unsent"]
    assert [sock.fileno() for sock in started] == [-1]
    assert run.unsent is not None
    assert run.unsent.kind == "local-policy"


def test_two_events_for_one_probe() -> None:
    """What ended while other events were handled is not asked again."""
    run = Trace(Net(), Address(HOST[4], 443), Script(lambda ttl: "none"), Deadline(20))
    with selectors.DefaultSelector() as selector:
        run._ready(selector, selectors.SelectorKey(0, 0, selectors.EVENT_READ, Probe(1)))


# -- loopback, for real -----------------------------------------------------------------------------------------------

LOOPBACKS = ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6"))]


@pytest.fixture(params=LOOPBACKS)
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@pytest.fixture
def closed(host: str) -> Address:
    with socket.create_server((host, 0), family=family(host)) as server:
        return Address(host, server.getsockname()[1])


def traced(address: Address, kind: trace_probes.Kind, **limits: object) -> TraceObservation:
    return trace.trace(
        Net(), address, kind, Step("trace"), deadline=Deadline(20), limits=Limits(**{"max_ttl": 3, **limits})
    )


def test_open(host: str) -> None:
    with socket.create_server((host, 0), family=family(host)) as server:
        seen = traced(Address(host, server.getsockname()[1]), trace_probes.Syn())
    assert (seen.answer, seen.distance, seen.outcome, seen.method) == ("open", 1, "ok", "sockets")
    (reply,) = seen.hops[0].replies
    assert reply.flow is not None
    assert (reply.flow.client, reply.address, reply.icmp) == (host, "", None)
    assert reply.rtt_ms is not None


def test_refused(closed: Address) -> None:
    seen = traced(closed, trace_probes.Syn())
    assert (seen.answer, seen.distance) == ("refused", 1)
    assert seen.failure is not None
    assert (seen.failure.kind, seen.failure.step) == ("refused", "trace")


def test_the_host_refuses_a_datagram(closed: Address) -> None:
    seen = traced(closed, trace_probes.Udp())
    assert (seen.mode, seen.answer, seen.distance, seen.outcome) == ("udp", "refused", 1, "ok")
    if trace.TELLS_SENDERS:
        (reply,) = seen.hops[0].replies
        assert reply.icmp == IcmpError(
            version=6 if ":" in closed.host else 4,
            type=1 if ":" in closed.host else 3,
            code=4 if ":" in closed.host else 3,
            offender=closed.host,
        )


def test_an_address_in_other_words() -> None:
    assert traced(Address("0:0::0:1", 1), trace_probes.Udp()).answer == "refused"


def test_no_such_interface() -> None:
    seen = traced(Address("::1%nope", 1), trace_probes.Syn())
    assert (seen.answer, [hop.answer for hop in seen.hops]) == ("unsent", ["unsent"])
    assert seen.failure is not None
    assert (seen.failure.kind, seen.failure.detail) == ("no-route", "there is no interface nope")


@pytest.fixture
def deaf() -> Iterator[Address]:
    """A port that drops SYNs, because nobody accepts what is waiting there (listen(2))."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        with socket.create_connection(server.getsockname()):
            yield Address("127.0.0.1", server.getsockname()[1])


@pytest.mark.skipif(not trace.TELLS_SENDERS, reason="only Linux drops SYNs when nobody accepts")
def test_no_answer(deaf: Address) -> None:
    seen = traced(deaf, trace_probes.Syn(), wait_s=0.05)
    assert [reply.answer for hop in seen.hops for reply in hop.replies] == ["none"] * 3
    assert seen.failure is not None
    assert (seen.answer, seen.distance, seen.failure.kind) == ("none", None, "timeout")


def _reset(connection: socket.socket) -> None:
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("act", "answer"),
    [
        (lambda connection: connection.sendall(connection.recv(100)), "data"),
        (lambda connection: connection.recv(100), "closed"),
        (_reset, "reset"),
    ],
)
def test_inside_a_connection(host: str, act: Callable[[socket.socket], object], answer: str) -> None:
    with socket.create_server((host, 0), family=family(host)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                act(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        seen = traced(Address(host, server.getsockname()[1]), trace_probes.Data(b"hello", "5 bytes"), max_ttl=1)
        thread.join()
    assert (seen.mode, seen.payload, seen.sent_bytes) == ("data", "5 bytes", 5)
    assert (seen.answer, seen.distance) == (answer, 1)


def test_connections_are_not_left_half_open() -> None:
    """What had a small TTL ends with a reset that gets to the server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen = traced(Address(*server.getsockname()), trace_probes.Data(b"hello", "5 bytes"), max_ttl=1, wait_s=0.05)
        assert seen.answer == "none"
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as received, pytest.raises(ConnectionResetError):
            received.read()


@pytest.mark.parametrize(("allowed", "limits"), [(True, ()), (False, (trace.NO_TTLS,))])
def test_what_root_would_add(
    closed: Address, allowed: bool, limits: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "TELLS_SENDERS", True)
    monkeypatch.setattr(trace, "may_send_raw", lambda: allowed)
    assert traced(closed, trace_probes.Syn()).limits == limits
