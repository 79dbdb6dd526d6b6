"""The net.tcp prober against a node of the tests' own on loopback, and against other programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.model import Flow
from netdiag.probes import node, tls
from netdiag.probes.net import Address, Deadline, Net, SocketStream, Step
from tests import nodes
from tests.node_server import FAULTS, NEGOTIATE, TLS, NodeServer

VIA = "net.tcp://node-b:8060/ExternalService.svc/"
STEP = Step("node.direct.main", "tcp.direct.10.1.2.3:8060")


def connect(server: NodeServer) -> tuple[SocketStream, Address]:
    address = Address(server.host, server.port)
    return Net().connect(address, Deadline(5)), address


def ask(server: NodeServer, upgrade: str = TLS, seconds: float = 5):
    stream, address = connect(server)
    try:
        return node.preamble(stream, address=address, via=VIA, upgrade=upgrade, deadline=Deadline(seconds), step=STEP)
    finally:
        stream.close()


def told(seen) -> tuple[str, str, str]:
    return seen.outcome, seen.answer, seen.failure.kind if seen.failure else ""


def test_the_upgrade_to_tls_then_the_end_inside_it(tmp_path):
    with NodeServer("tls", nodes.context(tmp_path)) as server:
        stream, address = connect(server)
        first = node.preamble(stream, address=address, via=VIA, upgrade=TLS, deadline=Deadline(5), step=STEP)
        shaken, secured = tls.handshake(
            stream,
            address=address,
            server_name="",
            purpose="main",
            offered=("TLSv1.2", "TLSv1.2"),
            alpn=False,
            deadline=Deadline(5),
            step=Step("tls.direct.main", first.id),
        )
        assert secured
        last = node.finish(
            secured, address=address, via=VIA, upgrade=TLS, deadline=Deadline(5), step=Step("end", shaken.id)
        )
        secured.close()
    assert told(first) == ("ok", "upgrade", "")
    assert (first.id, first.parent, first.via, first.upgrade, first.asked) == (*STEP[:2], VIA, TLS, "preamble")
    assert (first.address, first.port, first.flow) == (address.host, address.port, stream.flow)
    assert told(last) == ("ok", "acknowledged", "")
    assert (last.asked, last.parent) == ("end", shaken.id)
    (seen,) = server.seen
    assert (seen.via, seen.upgrade, seen.ended, seen.left) == (VIA, TLS, True, True)
    assert (seen.sni, seen.alpn, server.complaints) == (None, None, [])


@pytest.mark.parametrize(
    ("mode", "upgrade", "wanted"),
    [
        ("negotiate", NEGOTIATE, ("ok", "upgrade", "")),
        ("negotiate", TLS, ("failed", "fault", "net-tcp-fault")),
        ("plain", "", ("ok", "acknowledged", "")),
        ("plain", TLS, ("failed", "fault", "net-tcp-fault")),
        ("ignores", TLS, ("failed", "", "timeout")),
        ("silent", TLS, ("failed", "", "timeout")),
        ("close", TLS, ("failed", "", "eof")),
        ("reset", TLS, ("failed", "", "reset")),
        ("says:HTTP/1.1 400 Bad Request\r\n\r\n", TLS, ("failed", "", "not-net-tcp")),
        ("echo", TLS, ("failed", "other", "not-net-tcp")),
        ("says:\x0a", "", ("failed", "other", "not-net-tcp")),  # an upgrade that nobody asked for
        ("says:\x0b", TLS, ("failed", "other", "not-net-tcp")),  # acknowledged before the preamble ended
        ("says:\x08", TLS, ("failed", "", "eof")),  # a fault without its text
        ("says:\x06\x7f" + "m" * 300, TLS, ("failed", "other", "not-net-tcp")),  # a message
    ],
)
def test_what_answers(mode, upgrade, wanted):
    with NodeServer(mode) as server:
        seen = ask(server, upgrade, 0.3 if wanted[2] == "timeout" else 5)
    assert told(seen) == wanted
    assert server.complaints == []
    assert seen.failure is None or seen.failure.step == "preamble"


def test_a_fault_is_told_by_its_uri():
    with NodeServer("fault:EndpointNotFound") as server:
        seen = ask(server)
    assert (seen.fault, seen.failure and seen.failure.detail) == (f"{FAULTS}EndpointNotFound", "EndpointNotFound")


def test_the_beginning_of_another_answer_is_kept_within_bounds():
    with NodeServer("says:SSH-2.0-" + "x" * 5000) as server:
        seen = ask(server)
    assert seen.not_net_tcp.startswith("SSH-2.0-xxx")
    assert 64 < len(seen.not_net_tcp) <= node.MAX_ANSWER
    assert seen.failure
    assert seen.failure.detail.startswith("it starts with 'SSH-2.0-xxx")


def test_a_web_server_is_found_by_a_request():
    with NodeServer("waits") as server:
        stream, address = connect(server)
        seen = node.http(stream, address=address, host="node-b:8060", deadline=Deadline(5), step=STEP)
        stream.close()
    assert told(seen) == ("ok", "other", "")
    assert (seen.asked, seen.not_net_tcp[:15]) == ("http", "HTTP/1.0 200 OK")


class Replay:
    """A stream that gives these bytes, as many at a time as asked for, then ends."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sent = b""
        self.flow: Flow | None = None

    def send(self, data: bytes, deadline: Deadline) -> None:
        self.sent += data

    def receive(self, deadline: Deadline, limit: int = 65536) -> bytes:
        piece, self.data = self.data[:limit], self.data[limit:]
        return piece

    def close(self) -> None:
        pass


def test_not_a_byte_behind_an_upgrade_response_is_taken():
    stream = Replay(b"\x0a\x16\x03\x03")
    seen = node.preamble(
        stream, address=Address("10.1.2.3", 8060), via=VIA, upgrade=TLS, deadline=Deadline(5), step=STEP
    )
    assert (seen.outcome, stream.data) == ("ok", b"\x16\x03\x03")
    assert stream.sent == (b"\x00\x01\x00\x01\x02\x02\x2a" + VIA.encode() + b"\x03\x08\x09\x13application/ssl-tls")


@given(st.binary(max_size=600), st.sampled_from([TLS, NEGOTIATE, ""]))
def test_any_answer_gives_an_observation(data, upgrade):
    stream = Replay(data)
    where = Address("10.1.2.3", 8060)
    for seen in (
        node.preamble(stream, address=where, via=VIA, upgrade=upgrade, deadline=Deadline(5), step=STEP),
        node.finish(stream, address=where, via=VIA, upgrade=upgrade, deadline=Deadline(5), step=STEP),
        node.http(stream, address=where, host="node-b", deadline=Deadline(5), step=STEP),
    ):
        assert (seen.outcome == "ok") == (seen.failure is None)
        assert len(seen.not_net_tcp) <= node.MAX_ANSWER
        assert seen.outcome == "failed" or seen.answer in ("upgrade", "acknowledged", "other")
