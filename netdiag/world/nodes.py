"""A node of an integration runtime, as far as netdiag talks to it: the preamble of net.tcp (MC-NMF), and TLS in it.

Contract: answers one accepted connection and may raise ``OSError`` or ``EOFError``; the loop closes it.
"""

from __future__ import annotations

import contextlib
import socket

from netdiag.wire import framing
from netdiag.wire.framing import NotFramingError, RecordType
from netdiag.world.authority import Authority, Handshake
from netdiag.world.servers import LINGER_S, linger
from netdiag.world.setting import Node

#: .NET Framework, which integration runtimes run on.
_HANDSHAKE = Handshake(newest="TLSv1.2")
#: A preamble has some 100 bytes.
_MAX_PREAMBLE = 4096


def serve_node(connection: socket.socket, node: Node, authority: Authority) -> None:
    """One connection, up to the acknowledged preamble."""
    last = _preamble(connection)
    if node.fault:
        _say(connection, RecordType.FAULT, framing.FAULT_NAMESPACE + node.fault)
    elif last.type is RecordType.PREAMBLE_END and node.leaf is None:
        _say(connection, RecordType.PREAMBLE_ACK)
    elif last.text == framing.TLS_UPGRADE and node.leaf is not None:
        connection.sendall(framing.record(RecordType.UPGRADE_RESPONSE))
        context = authority.context(node.leaf, _HANDSHAKE)
        with context.wrap_socket(connection, server_side=True) as secure:
            if secure.recv(1) == framing.record(RecordType.PREAMBLE_END):
                secure.sendall(framing.record(RecordType.PREAMBLE_ACK))
            secure.settimeout(LINGER_S)
            with contextlib.suppress(OSError):
                secure.recv(1)
    else:
        _say(connection, RecordType.FAULT, framing.FAULT_NAMESPACE + "UpgradeInvalid")


def _preamble(connection: socket.socket) -> framing.Record:
    """The record that ends what the client says first. Raises ``EOFError`` for another protocol."""
    data = b""
    while len(data) < _MAX_PREAMBLE:
        more = connection.recv(_MAX_PREAMBLE)
        data += more
        try:
            found = [record for record, _ in framing.parse_preamble(data)]
        except NotFramingError:
            break
        if found and found[-1].type in (RecordType.UPGRADE_REQUEST, RecordType.PREAMBLE_END):
            return found[-1]
        if not more:
            break
    raise EOFError("no preamble")


def _say(connection: socket.socket, kind: RecordType, text: str = "") -> None:
    connection.sendall(framing.record(kind, text))
    linger(connection)
