"""Which method ``netdiag trace`` takes, on loopback."""

import socket
from collections.abc import Iterator

import pytest

from netdiag.model import Target, TraceObservation, UsageError
from netdiag.probes import trace_raw
from netdiag.probes.net import Address, Net
from netdiag.probes.trace_raw import Ears, UnavailableError
from netdiag.session import route
from netdiag.session.route import Method, TraceOptions, trace_path


@pytest.fixture
def target() -> Iterator[Target]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Target(host="127.0.0.1", port=server.getsockname()[1])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """What was to be listened to; there are no rights to that."""
    asked: list[Address] = []

    def listen(net: Net, address: Address) -> Ears:
        asked.append(address)
        raise UnavailableError("raw packets take rights")

    monkeypatch.setattr(trace_raw, "listen", listen)
    return asked


def traced(target: Target, method: Method) -> TraceObservation:
    report = trace_path(target, options=TraceOptions(method=method, numeric=True))
    (seen,) = (o for o in report.observations if isinstance(o, TraceObservation))
    return seen


@pytest.mark.parametrize(
    ("method", "told", "asks"),
    [("auto", True, False), ("auto", False, True), ("sockets", True, False), ("sockets", False, False)],
)
def test_sockets(
    target: Target, asked: list[Address], method: Method, told: bool, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "TELLS_SENDERS", told)
    seen = traced(target, method)
    assert (seen.method, seen.answer) == ("sockets", "open")
    assert asked == ([Address("127.0.0.1", target.port)] if asks else [])
    assert ("raw packets take rights" in seen.limits) is asks


def test_the_raw_method_was_asked_for(target: Target, asked: list[Address]) -> None:
    with pytest.raises(UsageError, match=r"^--method raw: raw packets take rights$"):
        traced(target, "raw")


def test_no_way_to_listen(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace itself says what is in the way."""

    def listen(net: Net, address: Address) -> Ears:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(trace_raw, "listen", listen)
    assert traced(target, "raw").method == "sockets"
