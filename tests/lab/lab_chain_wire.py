"""What a plain client of the chain receives, without netdiag: the proof that a scenario does what it says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.lab.lab_chain import ADDRESSES, NAME, Chain
from tests.lab.lab_wire import packet_socket

#: Longer than any round trip here, even where a lost packet was sent again.
_PATIENCE_S = 0.6
_ICMP_ERRORS = {socket.IPPROTO_ICMP: (3, 11, 12), socket.IPPROTO_ICMPV6: (1, 2, 3, 4)}


def received(chain: Chain, target: str) -> frozenset[str]:
    """SYN-ACKs and resets with their TTLs, and ICMP errors, that a TLS client gets while it asks for a page."""
    with chain.network.entered("h0"), contextlib.ExitStack() as closing:
        ends = [closing.enter_context(packet_socket(device)) for device in ("h1", "h10")]
        _ask(target)
        return frozenset(words for end in ends for packet in _arrived(end) for words in _words(packet[14:]))


def _ask(target: str) -> None:
    """Connect, shake hands, ask, and read; how far that gets is no matter."""
    url = urlsplit(target if "//" in target else f"//{target}")
    address = ADDRESSES[url.hostname or NAME]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    # Wrapped before it connects: wrap_socket leaves a connection open that the server has already reset.
    with contextlib.suppress(OSError), context.wrap_socket(plain, server_hostname=url.hostname) as secured:
        secured.settimeout(_PATIENCE_S)
        secured.connect((address, url.port or 443))
        filling = f"User-Agent: a plain client of the lab\r\nAccept: {'*/*, ' * 40}*/*"
        secured.sendall(f"GET {url.path or '/'} HTTP/1.1\r\nHost: {url.hostname}\r\n{filling}\r\n\r\n".encode())
        secured.recv(65536)


def _arrived(end: socket.socket) -> Iterator[bytes]:
    end.settimeout(0.05)  # what is on its way still arrives
    with contextlib.suppress(TimeoutError):
        while True:
            yield end.recv(65536)


def _words(packet: bytes) -> Iterator[str]:
    """What there is to say about one IP packet."""
    if packet[0] >> 4 == 4:
        ttl, protocol, at = packet[8], packet[9], (packet[0] & 15) * 4
        source = socket.inet_ntop(socket.AF_INET, packet[12:16])
    elif packet[0] >> 4 == 6:
        ttl, protocol, at = packet[7], packet[6], 40
        source = socket.inet_ntop(socket.AF_INET6, packet[8:24])
    else:
        return
    if protocol == socket.IPPROTO_TCP:
        flags = struct.unpack_from("!B", packet, at + 13)[0]
        if flags & 0x04:
            yield f"RST {ttl}"
        elif flags & 0x12 == 0x12:
            yield f"SYN-ACK {ttl}"
    elif packet[at] in _ICMP_ERRORS.get(protocol, ()):
        yield f"ICMP {packet[at]}/{packet[at + 1]} {source}"
