"""Open a tunnel to the target through a proxy: CONNECT (RFC 9110 §9.3.6) or SOCKS5.

Contract: one ``ProxyObservation`` out, and the tunnel when it opened; network trouble is a ``Failure`` in it.
Credentials are sent only when the proxy asked for a scheme that carries them, and appear in no observation. Every
answer is bounded in size and every wait in time. Nothing is judged beyond what the bytes prove.
"""

from __future__ import annotations

from netdiag.model import Failure, Flow, ProxyObservation
from netdiag.probes.failure import from_exception
from netdiag.probes.net import Deadline, Step, Stopwatch, Stream
from netdiag.probes.proxy_attempt import Dial, RefusedError
from netdiag.probes.proxy_connect import ConnectAttempt
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.probes.proxy_socks import SocksAttempt
from netdiag.wire.http import NotHttpError
from netdiag.wire.socks import NotSocksError


def tunnel(
    dial: Dial, proxy: ProxyServer, target_host: str, target_port: int, deadline: Deadline, step: Step
) -> tuple[ProxyObservation, Stream | None]:
    """Ask ``proxy`` for a tunnel to the target, logging in when it asks for that.

    ``dial`` connects to the proxy anew and may raise ``OSError``; it is called again when the proxy closes after a
    challenge. The stream is positioned at the first byte behind the proxy's answer. It is closed when there is no
    tunnel.
    """
    watch = Stopwatch()
    kind = SocksAttempt if proxy.scheme == "socks5" else ConnectAttempt
    attempt = kind(dial, proxy, target_host, target_port, deadline)
    failure: Failure | None = None
    try:
        attempt.run()
    except RefusedError as refused:
        failure = refused.failure
    except (NotHttpError, NotSocksError) as error:
        detail = f"unexpected answer: {attempt.clean(str(error))}"
        if attempt.buffer[:1] in (b"\x15", b"\x16") and attempt.buffer[1:2] == b"\x03":
            detail = "the port answers in TLS"  # a record header: alert or handshake, version 3.x (RFC 8446 §5.1)
        failure = Failure(kind="not-a-proxy", step=attempt.step, detail=detail)
    except (OSError, EOFError) as error:
        failure = from_exception(error, attempt.step)
    stream = attempt.stream
    observation = ProxyObservation(
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if failure else "ok",
        failure=failure,
        flow=attempt.flow,
        proxy=proxy.url,
        status=attempt.status,
        reason=attempt.reason,
        offered=attempt.offered,
        tried=attempt.tried,
        credentials=attempt.credentials,
        headers=attempt.headers,
        body=attempt.body,
    )
    if failure is not None or stream is None:
        attempt.hang_up()
        return observation, None
    return observation, _Resumed(stream, attempt.buffer) if attempt.buffer else stream


class _Resumed:
    """A stream of which some bytes have been received already."""

    def __init__(self, stream: Stream, received: bytes) -> None:
        self._stream, self._received = stream, received

    @property
    def flow(self) -> Flow | None:
        return self._stream.flow

    def send(self, data: bytes, deadline: Deadline) -> None:
        self._stream.send(data, deadline)

    def receive(self, deadline: Deadline, limit: int = 65536) -> bytes:
        if self._received:
            data, self._received = self._received[:limit], self._received[limit:]
            return data
        return self._stream.receive(deadline, limit)

    def close(self) -> None:
        self._received = b""
        self._stream.close()
