"""Packets that scapy builds and writes, read back: a second opinion on every header, from who knows none of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netdiag.capture import engine
from netdiag.capture.options import CaptureOptions
from netdiag.capture.reader import open_capture
from tests.support import require_modules

require_modules("scapy")

Packets = Iterator[Any]
OUTER = ("198.51.100.1", "198.51.100.2")
CARRIERS = (
    *("ethernet", "vlan", "qinq", "cooked", "cooked-2", "raw", "null", "pppoe", "mpls", "fragments"),
    *("extension headers", "gre", "ip in ip", "vxlan"),
)


def carried(name: str) -> Callable[[Any], Packets]:
    """What puts an IP packet into the packets of a capture."""
    from scapy.contrib.mpls import MPLS
    from scapy.layers.inet import IP, UDP, fragment
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop
    from scapy.layers.l2 import GRE, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether, Loopback
    from scapy.layers.ppp import PPP, PPPoE
    from scapy.layers.vxlan import VXLAN

    source, destination = OUTER
    outer = IP(src=source, dst=destination, ttl=9)
    ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # said, or scapy asks the network for them
    heads = {
        "ethernet": ethernet,
        "vlan": ethernet / Dot1Q(vlan=10),
        "qinq": ethernet / Dot1AD(vlan=100) / Dot1Q(vlan=10),
        "cooked": CookedLinux(),
        "cooked-2": CookedLinuxV2(),
        "null": Loopback(),
        "pppoe": ethernet / PPPoE() / PPP(),
        "mpls": ethernet / MPLS(label=7, s=1),
        "gre": ethernet / outer / GRE(),
        "ip in ip": ethernet / outer,
        "vxlan": ethernet / outer / UDP(sport=40000, dport=4789) / VXLAN(vni=5) / ethernet,
    }

    def put(packet: Any) -> Packets:
        if name == "raw":
            yield packet
        elif name == "fragments":
            yield from (ethernet / piece for piece in fragment(packet, fragsize=16))
        elif name == "extension headers":
            v6 = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=packet.ttl)
            if packet.src == "203.0.113.9":
                v6.src, v6.dst = v6.dst, v6.src
            yield ethernet / v6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / packet.payload
        else:
            yield heads[name] / packet

    return put


def conversation() -> Packets:
    """Opening with options, a request, an answer sent twice, and a closing from both sides."""
    from scapy.layers.inet import IP, TCP
    from scapy.packet import Raw

    there = {"src": "192.0.2.1", "dst": "203.0.113.9", "ttl": 64, "flags": "DF"}
    back = {"src": "203.0.113.9", "dst": "192.0.2.1", "ttl": 120}
    client = {"sport": 49152, "dport": 443}
    server = {"sport": 443, "dport": 49152}
    syn_options = [("MSS", 1400), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]
    yield IP(**there, id=1) / TCP(**client, flags="S", seq=2**32 - 5, options=syn_options)
    yield IP(**back, id=1) / TCP(**server, flags="SA", seq=77, ack=2**32 - 4, options=[("MSS", 1380)])
    yield IP(**there, id=2) / TCP(**client, flags="A", seq=2**32 - 4, ack=78)
    yield IP(**there, id=3) / TCP(**client, flags="PA", seq=2**32 - 4, ack=78) / Raw(b"a question")
    for number in (2, 3):
        yield IP(**back, id=number) / TCP(**server, flags="PA", seq=78, ack=6) / Raw(b"an answer")
    yield IP(**there, id=4) / TCP(**client, flags="FA", seq=6, ack=87)
    yield IP(**back, id=4) / TCP(**server, flags="FA", seq=87, ack=7)
    yield IP(**there, id=5) / TCP(**client, flags="A", seq=7, ack=88)


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
@pytest.mark.parametrize("name", CARRIERS)
def test_one_conversation(name: str, suffix: str, tmp_path: Path) -> None:
    from scapy.utils import wrpcap, wrpcapng

    packets = []
    for number, packet in enumerate(conversation()):
        for piece in carried(name)(packet):
            piece.time = 1_700_000_000 + number * 0.02
            packets.append(piece)
    path = tmp_path / f"scapy.{suffix}"
    (wrpcap if suffix == "pcap" else wrpcapng)(str(path), packets)
    with open_capture(str(path)) as reader:
        (row,) = engine.analyze(reader, CaptureOptions()).connections.rows()
    six = name == "extension headers"
    assert (row.client, row.server) == (("2001:db8::1", "2001:db8::2") if six else ("192.0.2.1", "203.0.113.9"))
    assert (row.client_port, row.server_port) == (49152, 443)
    assert (row.opening, row.closing, row.completeness) == ("complete", "fin", 31)
    assert (row.bytes_client, row.bytes_server) == (10, 18)
    assert (row.retransmissions_client, row.retransmissions_server) == (0, 1)
    assert (row.mss_client, row.mss_server) == (1400, 1380)
    assert (row.ttl_syn, row.ttl_syn_ack) == (64, 120)
    assert row.syn_rtt_ms == pytest.approx(20, abs=0.01)
