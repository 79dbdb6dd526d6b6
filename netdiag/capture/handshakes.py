"""TLS handshakes overheard: the ``TlsObservation`` of a connection, as a probe would have made it.

Contract: pure. ``handshake`` reads both sides' bytes from where TLS begins in them. What is encrypted is known by its
size only. Of a capture that lacks bytes, a handshake is called failed or completed only where the rest leaves no doubt.
"""

from __future__ import annotations

import msgspec

from netdiag.capture.dialogue import Dialogue, Ender
from netdiag.model import Failure, FailureKind, Outcome, Route, TlsObservation
from netdiag.wire.alert import alert_meaning
from netdiag.wire.tls import APPLICATION_DATA, Speech, begins_tls, listen
from netdiag.wire.tls_ciphers import cipher_name
from netdiag.wire.tls_messages import is_tls13, version_name

_STEP = "handshake"

#: An encrypted alert of TLS 1.3: level, description, the content type, and a tag of 16 bytes (RFC 8446 §5.2). Records
#: may be padded, but a Finished message is never as short: 4 + 32 + 1 + 16.
ENCRYPTED_ALERT = 19
#: More than any alert that ends a handshake: what is longer after the client's second flight is the server going on.
SHORT_ANSWER = 100

#: With these a client says that it does not accept the certificate (RFC 8446 §6.2).
CERTIFICATE_ALERTS = frozenset(
    {
        "bad_certificate",
        "unsupported_certificate",
        "certificate_revoked",
        "certificate_expired",
        "certificate_unknown",
        "unknown_ca",
    }
)


class Place(msgspec.Struct, frozen=True):
    """Where TLS stands in a dialogue: offsets into the two streams, and to whom it leads."""

    client: int = 0
    server: int = 0
    address: str = ""
    port: int = 0
    route: Route = "direct"
    parent: str = ""


class _End(msgspec.Struct, frozen=True):
    """How a handshake ended: when, by whose doing, and the failure if it is one."""

    outcome: Outcome
    at: float
    failure: Failure | None = None
    by: Ender = ""
    sent_alert: str = ""


def speaks_tls(data: bytes) -> bool:
    """Whether a side's first bytes are a TLS record's: of a handshake, or of a connection that was begun before."""
    return len(data) >= 3 and begins_tls(data) and data[2] <= 4


def handshake(dialogue: Dialogue, place: Place) -> TlsObservation | None:
    """The handshake in a dialogue; None where no ClientHello was captured."""
    server = listen(dialogue.server.data[place.server :])
    client = listen(dialogue.client.data[place.client :], retried=server.retried)
    hello = client.client_hello
    if hello is None:
        return None
    heard = _Heard(dialogue, place, client, server)
    end = heard.end()
    done = end.outcome == "ok"
    chosen = server.server_hello
    negotiated = chosen if chosen and not chosen.retry and chosen.cipher else None
    alert = server.fatal or next(iter(server.alerts), None)
    row = dialogue.connection
    return TlsObservation(
        id=f"tls-{row.number}",
        parent=place.parent or f"tcp-{row.number}",
        source="capture",
        route=place.route,
        started=heard.started,
        took_s=max(0.0, end.at - heard.started),
        outcome=end.outcome,
        failure=end.failure,
        flow=dialogue.flow,
        address=place.address or row.server,
        port=place.port or row.server_port,
        server_name=hello.server_name,
        offered=hello.offered,
        version=version_name(negotiated.version) if negotiated else "",
        cipher=cipher_name(negotiated.cipher) if negotiated else "",
        alpn=negotiated.alpn if negotiated else "",
        chain=server.chain,
        alert=alert.name if alert else "",
        sent_alert=end.sent_alert,
        ended_by=end.by,
        client_certificate_requested=server.certificate_requested,
        bytes_sent=max(0, (dialogue.client.by(end.at) if done else dialogue.client.wire) - place.client),
        bytes_received=max(0, (dialogue.server.by(end.at) if done else dialogue.server.wire) - place.server),
        not_tls=server.not_tls.decode("latin-1"),
    )


class _Heard:
    """Both sides of one handshake."""

    def __init__(self, dialogue: Dialogue, place: Place, client: Speech, server: Speech) -> None:
        self.dialogue, self.place, self.client, self.server = dialogue, place, client, server
        self.started = dialogue.client.at(place.client + 1)

    def _client_at(self, offset: int) -> float:
        return self.dialogue.client.at(self.place.client + offset)

    def _server_at(self, offset: int) -> float:
        return self.dialogue.server.at(self.place.server + offset)

    def end(self) -> _End:
        """How it ended."""
        completed = self._completed()
        if completed is not None:
            return _End("ok", completed)
        told = self._alerted() or self._malformed()
        if told:
            return told
        dialogue = self.dialogue
        cut = dialogue.client.cut or dialogue.server.cut
        if cut and self._second_flight() is not None:
            went_on = self._went_on()
            return _End("not-run" if went_on is None else "ok", went_on or dialogue.ending.at)
        last = max((*dialogue.client.times[-1:], *dialogue.server.times[-1:]), default=self.started)
        failure = dialogue.broken_off(_STEP, last)
        by = dialogue.ending.by if failure else ""
        return _End("failed" if failure else "not-run", dialogue.ending.at, failure, by)

    def _completed(self) -> float | None:
        """When both sides had sent what ends a handshake, as far as that can be seen."""
        client, server = self.client, self.server
        hello = server.server_hello
        if hello is None or hello.retry:
            return None
        if is_tls13(hello.version):
            answered = self._server_at(server.hello_end)
            own = (self._client_at(r.end) for r in client.protected if r.length > ENCRYPTED_ALERT)
            return next((at for at in own if at >= answered), None)
        if client.finished and server.finished:
            return max(self._client_at(client.finished.end), self._server_at(server.finished.end))
        data = next((record for record in server.protected if record.type == APPLICATION_DATA), None)
        return self._server_at(data.end) if data else None

    def _alerted(self) -> _End | None:
        """The first fatal alert, in clear text or by its size."""
        server, client = self.server.fatal, self.client.fatal
        ending = self.dialogue.ending
        if client and ending.by == "server" and ending.at <= self._client_at(client.end):
            client = None  # it complains of the connection's end
        if server and client and self._client_at(client.end) < self._server_at(server.end):
            server = None
        if server:
            failure = Failure(kind="tls-alert", step=_STEP, detail=_said(server.name))
            return _End("failed", self._server_at(server.end), failure, "server")
        if client:
            return self._refused(client.name, self._client_at(client.end))
        hello = self.server.server_hello
        hidden = self.client.protected
        if hello and is_tls13(hello.version) and hidden and hidden[0].length == ENCRYPTED_ALERT:
            return self._refused("encrypted", self._client_at(hidden[0].end))
        return None

    def _refused(self, alert: str, at: float) -> _End:
        """The client ended it."""
        kind: FailureKind = "certificate" if alert in CERTIFICATE_ALERTS else "tls-alert"
        if kind == "certificate":
            detail = f"the client does not accept the certificate: {_said(alert)}"
        elif alert == "encrypted":
            detail = "the client answers the server's certificate with an alert, which TLS 1.3 encrypts"
        else:
            detail = f"the client ends the handshake with {_said(alert)}"
        return _End("failed", at, Failure(kind=kind, step=_STEP, detail=detail), "client", alert)

    def _malformed(self) -> _End | None:
        server, client = self.server, self.client
        if server.not_tls:
            detail = f"the answer is not TLS: {server.not_tls.decode('latin-1')!r}"
        elif server.error or client.error:
            detail = f"the server sent {server.error}" if server.error else f"the client sent {client.error}"
        else:
            return None
        at = self._server_at(1) if server.error else self._client_at(client.taken + 1)
        return _End("failed", at, Failure(kind="tls-malformed", step=_STEP, detail=detail))

    def _second_flight(self) -> float | None:
        """When the client first sent data after the server's first. Before that, no handshake is complete."""
        answered = next((at for at in self.dialogue.server.times if at >= self.started), None)
        for segment in self.dialogue.exhibit.segments:
            if answered is not None and segment.sender == "client" and segment.length and segment.at > answered:
                return segment.at
        return None

    def _went_on(self) -> float | None:
        """Of a handshake with bytes missing: when the server had said more than an alert after the second flight."""
        flight, said = self._second_flight(), 0
        if flight is None or self.server.retried:
            return None
        for segment in self.dialogue.exhibit.segments:
            if segment.sender == "server" and segment.at > flight:
                said += segment.length
                if said > SHORT_ANSWER:
                    return segment.at
        return None


def _said(alert: str) -> str:
    meaning = alert_meaning(alert)
    return f"{alert}: {meaning}" if meaning else alert
