"""What the engine kept of a capture -> the observations that probes make of a live network.

Contract: pure, and never raises for what is in the packets. ``observe`` yields, for each exhibit, its connection, the
attempt that it began with, and the tunnel, the net.tcp preamble and the handshake in it; and the DNS lookups. Ids are
``connection-N``, ``tcp-N``, ``proxy-N``, ``node-N``, ``tls-N`` with the connection's number, ``dns-N`` counted from 0.
A handshake's parent is the tunnel, the preamble or the attempt, whose parent is the connection. Chains are verified
elsewhere, from ``TlsObservation.chain``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from netdiag.capture.attempts import tcp_observation
from netdiag.capture.dialogue import Dialogue, listen_to
from netdiag.capture.exhibits import Capture, Exhibit, IcmpSeen
from netdiag.capture.handshakes import Place, handshake, speaks_tls
from netdiag.capture.lookups import dns_observations, lookups
from netdiag.capture.names import Names
from netdiag.capture.preambles import preamble
from netdiag.capture.tunnels import Tunnel, begins_socks, http_tunnel, socks_tunnel
from netdiag.model import (
    AnyObservation,
    ConnectionObservation,
    NodeObservation,
    ProxyObservation,
    Route,
    TlsObservation,
    authority,
)
from netdiag.wire import framing, overheard
from netdiag.wire.http import NotHttpError, parse_head

#: Characters of an exchange that is shown.
MAX_EXCHANGE = 300

_USER = re.compile(r"//[^/@]*@")


def names_in(capture: Capture, file_names: Mapping[str, tuple[str, ...]] | None = None) -> Names:
    """What the capture's DNS answers, and the file itself (``FileInfo.names``), call addresses."""
    return Names(lookups(capture.dns, capture.icmp), file_names)


def observe(capture: Capture, *, ended: float = 0.0, names: Names | None = None) -> tuple[AnyObservation, ...]:
    """The observations, connections in the order of their exhibits, then DNS.

    ``ended``: the moment of the capture's last packet (0: that of the last packet kept). ``names``: those of the
    capture, where they have been found already.
    """
    ended = max(ended, _last(capture))
    names = names_in(capture) if names is None else names
    quoting: dict[int, list[IcmpSeen]] = {}
    for icmp in capture.icmp:
        if icmp.connection is not None:
            quoting.setdefault(icmp.connection, []).append(icmp)
    observations: list[AnyObservation] = []
    for exhibit in capture.exhibits:
        icmp_errors = tuple(quoting.get(exhibit.connection.number, ()))
        observations += _of_exhibit(exhibit, icmp_errors, names, ended)
    servers = (exhibit.connection.server for exhibit in capture.exhibits)
    return (*observations, *dns_observations(names.lookups, ended, servers))


def _last(capture: Capture) -> float:
    moments = [exhibit.segments[-1].at for exhibit in capture.exhibits if exhibit.segments]
    return max((*moments, *(seen.at for seen in capture.dns), *(seen.at for seen in capture.icmp)), default=0.0)


class _Content(msgspec.Struct):
    """What a connection's payload turned out to be."""

    protocol: str = ""
    exchange: str = ""
    name: str = ""
    tunnel: ProxyObservation | None = None
    node: NodeObservation | None = None
    tls: TlsObservation | None = None
    route: Route = "direct"


def _of_exhibit(exhibit: Exhibit, icmp: tuple[IcmpSeen, ...], names: Names, ended: float) -> Iterator[AnyObservation]:
    dialogue = listen_to(exhibit, icmp, ended)
    row = exhibit.connection
    content = _content(dialogue)
    name = content.name or row.name or names.at(row.client, row.server, row.started)
    yield ConnectionObservation(
        id=f"connection-{row.number}",
        source="capture",
        started=row.started,
        took_s=row.duration_s,
        flow=dialogue.flow,
        connection=msgspec.structs.replace(row, name=name) if name != row.name else row,
        segments=tuple(exhibit.segments),
        omitted=exhibit.omitted,
        omitted_after=exhibit.omitted_after,
        protocol=content.protocol,
        exchange=content.exchange[:MAX_EXCHANGE],
    )
    yield tcp_observation(dialogue, content.route)
    if content.tunnel:
        yield content.tunnel
    if content.node:
        yield content.node
    if content.tls:
        yield content.tls


def _content(dialogue: Dialogue) -> _Content:
    """What was said, by the client's first bytes; by the server's where it speaks alone."""
    client, server = dialogue.client.data, dialogue.server.data
    if not client and not server:
        return _Content()
    if dialogue.connection.server_port == 53:
        return _Content("dns")
    if speaks_tls(client) or (not client and speaks_tls(server)):
        tls = handshake(dialogue, Place())
        return _Content("tls", tls=tls, name=tls.server_name if tls else "")
    if client.startswith(b"CONNECT "):
        return _tunnelled(dialogue, "http-connect", http_tunnel(dialogue))
    if client.startswith(overheard.METHODS):
        return _http(client, server)
    if framing.begins_framing(client):
        return _net_tcp(dialogue)
    if begins_socks(client, server):
        return _tunnelled(dialogue, "socks5", socks_tunnel(dialogue))
    return _Content()


def _tunnelled(dialogue: Dialogue, protocol: str, tunnel: Tunnel | None) -> _Content:
    if tunnel is None:
        return _Content(protocol)
    tls = None
    if tunnel.observation.outcome == "ok":
        place = Place(
            client=tunnel.client,
            server=tunnel.server,
            address=tunnel.host,
            port=tunnel.port,
            route="proxy",
            parent=tunnel.observation.id,
        )
        tls = handshake(dialogue, place)
    name = authority(tunnel.host, tunnel.port) if tunnel.host else ""
    return _Content(protocol, tunnel.exchange, name, tunnel.observation, tls=tls, route="proxy")


def _http(client: bytes, server: bytes) -> _Content:
    """Plain HTTP: the first request without user and query, which may be secrets, and the status of the answer."""
    try:
        asked = overheard.parse_request(client) or overheard.parse_request(_first_line(client))
    except NotHttpError:
        asked = None
    if asked is None:
        return _Content("http")
    request = asked[0]
    target = _USER.sub("//", request.target.partition("?")[0], 1)
    host = overheard.split_authority(request.host)[0]
    return _Content("http", f"{request.method} {target}{_http_answer(server)}", host)


def _http_answer(server: bytes) -> str:
    try:
        answered = parse_head(server) or parse_head(_first_line(server))
    except NotHttpError:
        return " → no HTTP"
    return f" → {answered[0].status} {answered[0].reason}".rstrip() if answered else ""


def _first_line(data: bytes) -> bytes:
    """The first line as a head of its own: of a head that was cut short it is all that is sure."""
    line, newline, _ = data.partition(b"\n")
    return line + b"\n\n" if newline else b""


def _net_tcp(dialogue: Dialogue) -> _Content:
    """MC-NMF: where the client wants to go, what the server answers, and the TLS that it may agree on."""
    asked = preamble(dialogue)
    if asked is None:
        return _Content("net.tcp")
    tls = None
    if asked.observation.answer == "upgrade" and asked.observation.upgrade == framing.TLS_UPGRADE:
        tls = handshake(dialogue, Place(client=asked.client, server=asked.server, parent=asked.observation.id))
    return _Content("net.tcp", asked.exchange, node=asked.observation, tls=tls)
