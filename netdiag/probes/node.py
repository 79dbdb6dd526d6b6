"""net.tcp (MC-NMF) with another node: a preamble as .NET sends it, and what answers it.

Contract: network trouble and every answer become a ``NodeObservation``; the stream stays open. After an upgrade
response not a byte more than it has been taken from the stream, so that TLS can begin on it. No credentials are ever
sent: an upgrade to Windows security ends with the response. Nothing is judged.
"""

from __future__ import annotations

import contextlib
from typing import Literal

import msgspec

from netdiag.model import Failure, NodeAsked, NodeObservation
from netdiag.probes.failure import FailedError, from_exception
from netdiag.probes.net import Address, Deadline, Step, Stopwatch, Stream
from netdiag.wire import framing
from netdiag.wire.framing import NotFramingError, RecordType
from netdiag.wire.http import printable, request_head

#: What a connection can be upgraded to before the first message (MC-NMF §2.2.3.5).
TLS_UPGRADE, NEGOTIATE_UPGRADE = framing.TLS_UPGRADE, framing.NEGOTIATE_UPGRADE
#: Enough of another program's answer to recognise it.
MAX_ANSWER = 200
#: The rest of such an answer comes with its first byte or soon after; nobody waits for a slow one.
REST_S = 0.25

_Answer = Literal["", "upgrade", "acknowledged", "fault", "other"]
_ANSWERS: dict[RecordType, _Answer] = {
    RecordType.UPGRADE_RESPONSE: "upgrade",
    RecordType.PREAMBLE_ACK: "acknowledged",
    RecordType.FAULT: "fault",
}


def opening(via: str, upgrade: str) -> bytes:
    """What a client sends first, up to its request for ``upgrade``, or to the end of the preamble."""
    return framing.preamble(via, upgrade=upgrade)


def preamble(
    stream: Stream, *, address: Address, via: str, upgrade: str, deadline: Deadline, step: Step
) -> NodeObservation:
    """Send a whole preamble over ``stream``, asking for ``upgrade`` (empty for none), and read what answers it."""
    about = _about("preamble", address, step, via, upgrade)
    return _exchange(stream, opening(via, upgrade), "upgrade" if upgrade else "acknowledged", about, deadline)


def finish(
    stream: Stream, *, address: Address, via: str, upgrade: str, deadline: Deadline, step: Step
) -> NodeObservation:
    """End the preamble inside what the upgrade brought, and take leave once that is acknowledged (MC-NMF §3.1)."""
    about = _about("end", address, step, via, upgrade)
    observation = _exchange(stream, framing.record(RecordType.PREAMBLE_END), "acknowledged", about, deadline)
    if observation.answer == "acknowledged":
        leave(stream, deadline)
    return observation


def leave(stream: Stream, deadline: Deadline) -> None:
    """Say that no message will come: without it the node would write an aborted connection into its log."""
    with contextlib.suppress(OSError, EOFError):
        stream.send(framing.record(RecordType.END), deadline)


def http(stream: Stream, *, address: Address, host: str, deadline: Deadline, step: Step) -> NodeObservation:
    """Ask over HTTP instead, to learn whether a web server owns the port: "other" when one answers."""
    watch = Stopwatch()
    data, failure = b"", None
    try:
        stream.send(request_head("HEAD", "/", (("Host", host), ("Connection", "close"))), deadline)
        data = _more(stream, stream.receive(deadline, MAX_ANSWER), deadline)
    except (OSError, EOFError) as error:
        failure = from_exception(error, "http")
    if not data and failure is None:
        failure = Failure(kind="eof", step="http", detail="connection closed")
    return msgspec.structs.replace(
        _about("http", address, step),
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if failure else "ok",
        failure=failure,
        flow=stream.flow,
        answer="other" if data else "",
        not_net_tcp=data.decode("latin-1"),
    )


def unconnected(
    error: OSError | EOFError, *, asked: NodeAsked, address: Address, step: Step, via: str = "", upgrade: str = ""
) -> NodeObservation:
    """What there is to tell when no connection came about for an exchange."""
    about = _about(asked, address, step, via, upgrade)
    failure = from_exception(error, "connect")
    return msgspec.structs.replace(about, started=Stopwatch().started, outcome="failed", failure=failure)


def _about(asked: NodeAsked, address: Address, step: Step, via: str = "", upgrade: str = "") -> NodeObservation:
    """An exchange that is still to be made."""
    return NodeObservation(
        **step._asdict(), address=address.host, port=address.port, asked=asked, via=via, upgrade=upgrade
    )


def _exchange(
    stream: Stream, data: bytes, wanted: _Answer, about: NodeObservation, deadline: Deadline
) -> NodeObservation:
    watch = Stopwatch()
    flow = stream.flow
    answer: _Answer = ""
    fault, foreign = "", b""
    failure: Failure | None = None
    try:
        stream.send(data, deadline)
        record, foreign = _record(stream, deadline)
        if record is None:
            raise FailedError("not-net-tcp", about.asked, f"it starts with {_start(foreign)}")
        answer = _ANSWERS.get(record.type, "other")
        if answer == "fault":
            fault = record.text
            raise FailedError("net-tcp-fault", about.asked, record.fault)
        if answer != wanted:
            answer = "other"
            words = record.type.name.lower().replace("_", " ")
            raise FailedError("not-net-tcp", about.asked, f"a record ({words}) that no server sends there")
    except (FailedError, OSError, EOFError) as error:
        failure = from_exception(error, about.asked)
    return msgspec.structs.replace(
        about,
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if failure else "ok",
        failure=failure,
        flow=flow,
        answer=answer,
        fault=fault,
        not_net_tcp=foreign.decode("latin-1"),
    )


def _record(stream: Stream, deadline: Deadline) -> tuple[framing.Record | None, bytes]:
    """The one record that answers, or the start of what is none. Raises ``OSError`` or ``EOFError``.

    Byte by byte: what follows an upgrade response belongs to TLS. A fault has some 80 bytes.
    """
    data = b""
    while True:
        more = stream.receive(deadline, 1)
        if not more:
            raise EOFError(f"after {printable(data)}" if data else "connection closed")
        data += more
        try:
            parsed = framing.parse_record(data)
        except NotFramingError:
            return None, _more(stream, data, deadline)
        if parsed is not None:
            return parsed[0], b""
        if len(data) > MAX_ANSWER:  # an envelope: only somebody else sends one here
            return None, data[:MAX_ANSWER]


def _more(stream: Stream, data: bytes, deadline: Deadline) -> bytes:
    """``data`` and what follows it soon, as far as it serves to recognise who speaks."""
    soon = deadline.within(REST_S)
    with contextlib.suppress(OSError, EOFError):
        while len(data) < MAX_ANSWER and b"\n" not in data[1:] and (more := stream.receive(soon, MAX_ANSWER)):
            data += more
    return data[:MAX_ANSWER]


def _start(data: bytes) -> str:
    """The first line of a text, else the first bytes."""
    return printable(data.partition(b"\n")[0] or data)
