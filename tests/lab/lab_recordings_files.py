"""Recordings that are about the capture file: link types, tunnels, formats, and what is missing from a file."""

from __future__ import annotations

import struct
import time
from functools import partial

from tests import etl, netmon
from tests.lab import lab_recordings_tcp
from tests.lab.lab_capture_world import SERVER, World, read_all
from tests.lab.lab_recording import Derived, Expect, Shot, Table, failed, healthy
from tests.lab.lab_wire import GRE, IP_IN_IP, vlan

TABLE = Table()
add = TABLE.add

_REQUEST = b"GET / HTTP/1.1\r\nHost: data.contoso.test\r\n\r\n"


def _small_talk(world: World) -> None:
    """One good connection, and one to a closed port."""
    _good_only(world)
    try:
        world.connect(SERVER, 8060)
    except ConnectionRefusedError:
        time.sleep(0.1)
        return
    raise AssertionError("port 8060 is open")


def _good_only(world: World) -> None:
    world.listen(80, lambda connection: (connection.recv(1000), connection.sendall(b"0123456789abcdef" * 120))[0])
    with world.connect(SERVER, 80) as client:
        client.sendall(_REQUEST)
        read_all(client)
    time.sleep(0.1)


# --- tunnels: the trunk inside the wire ------------------------------------------------------------------------------

_TRUNK = ("wire", "trunk-s")

for _name, _tunnel, _how in (
    ("vlan", vlan((0x8100, 10)), "on a trunk, in VLAN 10 (802.1Q)"),
    ("qinq", vlan((0x88A8, 100), (0x8100, 10)), "on a provider's trunk, in VLAN 10 inside VLAN 100 (802.1ad)"),
    ("gre", GRE, "between the ends of a GRE tunnel"),
    ("ip-in-ip", IP_IN_IP, "between the ends of an IP-in-IP tunnel"),
):
    add(
        Shot(f"tunnel-{_name}", failed("tcp.refused", "server"), "Which connection fails inside it?", at=_TRUNK),
        made=f"A good connection and one to a closed port, captured {_how}. The tag or tunnel header is put on and "
        "taken off by the lab's wire; the ends are real kernels.",
        tunnel=_tunnel,
    )(_small_talk)


@add(
    Shot("tunnel-vxlan", failed("tcp.refused", "server"), "Which connection fails inside it?", at=("firewall", "wire")),
    made="A good connection and one to a closed port through a VXLAN between firewall and server (the kernel's own), "
    "captured on the network below it.",
)
def _vxlan(world: World) -> None:
    for namespace, device, near, far, inner in (
        ("firewall", "wire", "20.42.1.254", SERVER, "172.20.0.1/24"),
        ("server", "wire", SERVER, "20.42.1.254", "172.20.0.2/24"),
    ):
        link = ["ip", "link", "add", "vx0", "type", "vxlan", "id", "42", "dstport", "4789", "dev", device]
        world.tool(namespace, *link, "local", near, "remote", far)
        world.tool(namespace, "ip", "addr", "add", inner, "dev", "vx0")
        world.tool(namespace, "ip", "link", "set", "vx0", "mtu", "1450", "up")
    world.tool("server", "ip", "route", "add", "10.10.1.0/24", "via", "172.20.0.1")
    world.listen(80, lambda connection: (connection.recv(1000), connection.sendall(b"0123456789abcdef" * 120))[0])
    with world.connect("172.20.0.2", 80) as client:
        client.sendall(_REQUEST)
        read_all(client)
    try:
        world.connect("172.20.0.2", 8060)
    except ConnectionRefusedError:
        time.sleep(0.1)


# --- link types ------------------------------------------------------------------------------------------------------

for _name, _words in (("LINUX_SLL", "cooked-v1"), ("LINUX_SLL2", "cooked-v2")):
    add(
        Shot(
            f"any-{_words}",
            failed("tcp.refused", "server"),
            "Captured with 'tcpdump -i any': can it be read?",
            at=("client", "any"),
            options=("-y", _name),
        ),
        made=f"A good connection and one to a closed port, captured on all devices of the client (tcpdump -i any -y "
        f"{_name}).",
    )(_small_talk)

add(
    Shot(
        "any-on-a-router",
        healthy("capture.captured-twice"),
        "Every packet is there twice, in and out: is anything retransmitted?",
        at=("router", "any"),
        options=("-y", "LINUX_SLL2"),
    ),
    made="A good connection, captured on all devices of a router (tcpdump -i any): every packet is seen when it comes "
    "in and when it goes out.",
)(_good_only)

add(
    Shot(
        "snaplen-96",
        healthy("capture.snapped-packets"),
        "The capture holds only the first 96 bytes of each packet: what can still be said?",
        options=("-s", "96"),
    ),
    made="A request and an answer of 30 kB, captured with tcpdump -s 96.",
)(next(r.act for r in lab_recordings_tcp.TABLE.recordings if r.shots[0].name == "healthy-download"))

add(
    Shot(
        "nanoseconds",
        failed("tcp.refused", "server"),
        "Are times of a nanosecond read rightly?",
        options=("--time-stamp-precision", "nano"),
    ),
    made="A good connection and one to a closed port (tcpdump --time-stamp-precision nano).",
)(_small_talk)

add(
    Shot(
        "pcapng-interface-names",
        failed("tcp.refused", "server"),
        "Captured with Wireshark's dumpcap: on which device?",
        tool="dumpcap",
        suffix="pcapng",
        options=("--capture-comment", "Captured on the node while the copy failed"),
    ),
    made="A good connection and one to a closed port, captured with dumpcap, with a comment about the file.",
)(_small_talk)

add(
    Shot(
        "pcapng-two-interfaces",
        healthy("capture.captured-twice"),
        "Captured on both sides of a router at once: is anything retransmitted?",
        at=("router", "client"),
        tool="dumpcap",
        suffix="pcapng",
        options=("-i", "firewall"),
    ),
    made="A good connection, captured with dumpcap on both devices of a router into one file: every packet is there "
    "twice.",
)(_good_only)


# --- files made of others --------------------------------------------------------------------------------------------


def _cut(data: bytes) -> bytes:
    """A copy that broke off in the middle of a packet."""
    return data[: len(data) * 2 // 3]


def _linktype(data: bytes) -> bytes:
    """The same bytes, said to be IEEE 802.11 (LINKTYPE 105)."""
    return data[:20] + struct.pack("<I", 105) + data[24:]


def _packets(data: bytes) -> list[tuple[float, bytes]]:
    """Seconds after the first, and bytes, of every packet of a little-endian pcap with microseconds."""
    found, at = [], 24
    while at < len(data):
        seconds, micros, captured = struct.unpack_from("<III", data, at)
        found.append((seconds * 1_000_000 + micros, data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return [((moment - found[0][0]) / 1e6, packet) for moment, packet in found]


def _sent(packet: bytes) -> bool:
    """By the client: its addresses begin with 10."""
    return packet[12:14] == b"\x08\x00" and packet[26] == 10


def _netmon(data: bytes) -> bytes:
    """Network Monitor 2.3, with the program that owned the connection, and somebody's comment on the third frame."""
    frames = [netmon.Frame(packet, at, process=0 if _sent(packet) else 0xFFFFFFFF) for at, packet in _packets(data)]
    frames[2].comment = ("Here", "It is sent again and again.")
    owner = netmon.Owner("C:\\Windows\\System32\\telnet.exe", 4711, "10.10.1.2", 49733, "8.8.8.8", 888)
    return netmon.build(frames, (2, 3), owners=[owner]).data


def _netmon_1(data: bytes) -> bytes:
    """Network Monitor 1.1: times in whole milliseconds."""
    return netmon.build([netmon.Frame(packet, at) for at, packet in _packets(data)], (1, 1)).data


def _netsh(data: bytes) -> bytes:
    """What ``netsh trace start capture=yes`` writes."""
    way = {True: etl.SEND, False: etl.RECEIVE}
    events = [
        etl.ndis(packet, at, etl.ETHERNET | etl.BOTH | way[_sent(packet)], pid=4711) for at, packet in _packets(data)
    ]
    return etl.build(events)


def _pktmon(data: bytes) -> bytes:
    """What ``pktmon start --capture`` writes: every packet is met by two components on its way through Windows."""
    events = [etl.component(5, "adapter", "Ethernet adapter"), etl.component(6, "wfp", "WFP Native MAC Layer")]
    for number, (at, packet) in enumerate(_packets(data), 1):
        way = 2 if _sent(packet) else 1
        events += [
            etl.pktmon(packet, at + turn * 1e-6, group=number, appearance=turn, tag=way, component=4 + turn)
            for turn in (1, 2)
        ]
    return etl.build(events)


_INCONCLUSIVE = partial(Expect, "inconclusive")
_COMPRESSED = failed("tcp.reset-by-server", "server")

DERIVED: tuple[Derived, ...] = (
    *(
        Derived(
            f"compressed-{program}",
            "reset-by-server-mid-transfer",
            f"pcap.{suffix}",
            f"reset-by-server-mid-transfer, compressed with {program}.",
            "Can it be read as it was sent to me?",
            _COMPRESSED,
            (program, "-9", "-c", *options, "{source}"),
        )
        for program, suffix, options in (
            ("gzip", "gz", ("-n",)),
            ("zstd", "zst", ("-q",)),
            ("xz", "xz", ()),
            ("lz4", "lz4", ("-q",)),
        )
    ),
    Derived(
        "pcapng-comments",
        "guide-reset-ttl-61",
        "pcapng",
        "guide-reset-ttl-61, rewritten by editcap with comments on two packets.",
        "What did my colleague write into the capture?",
        failed("tcp.reset-by-path-device", "path-device"),
        (
            *("editcap", "-F", "pcapng"),
            *("-a", "1:Here the connection begins", "-a", "3:Is this the firewall?", "{source}", "{file}"),
        ),
    ),
    Derived(
        "mirror-port",
        "healthy-download",
        "pcap",
        "healthy-download with every packet twice, as a mirror port of both directions gives it (mergecap).",
        "Every packet is there twice: is anything retransmitted?",
        healthy("capture.captured-twice"),
        ("mergecap", "-F", "pcap", "-w", "{file}", "{source}", "{source}"),
    ),
    Derived(
        "mid-stream",
        "reset-by-server-mid-transfer",
        "pcap",
        "reset-by-server-mid-transfer without its beginning.",
        "The capture was started too late: what broke the connection?",
        failed("tcp.reset-by-server", "server"),
        ("tshark", "-r", "{source}", "-F", "pcap", "-w", "{file}", "-Y", "tcp.seq > 5000 || tcp.ack > 5000"),
    ),
    Derived(
        "netmon-telnet-888",
        "guide-telnet-888-windows",
        "cap",
        "guide-telnet-888-windows as Network Monitor 3 saves it (format 2.3, built by tests/netmon.py), with a comment "
        "and the program that owned the connection.",
        "The guide's own trace: which program tried to connect, and who did not answer?",
        failed("tcp.no-reply", "path-device"),
        convert=_netmon,
    ),
    Derived(
        "netmon-1-telnet-53",
        "guide-telnet-53",
        "cap",
        "guide-telnet-53 as Network Monitor 2 saved it (format 1.1, built by tests/netmon.py).",
        "Can traces of old systems be read?",
        healthy(),
        convert=_netmon_1,
    ),
    Derived(
        "netsh-reset-ttl-61",
        "guide-reset-ttl-61",
        "etl",
        "guide-reset-ttl-61 as 'netsh trace start capture=yes' saves it (built by tests/etl.py).",
        "The reset of the guide, captured with what Windows has on board.",
        failed("tcp.reset-by-path-device", "path-device"),
        convert=_netsh,
    ),
    Derived(
        "pktmon-reset-ttl-61",
        "guide-reset-ttl-61",
        "etl",
        "guide-reset-ttl-61 as 'pktmon start --capture' saves it (built by tests/etl.py): two components report each "
        "packet.",
        "The same with Windows' newer tool.",
        failed("tcp.reset-by-path-device", "path-device"),
        convert=_pktmon,
    ),
    Derived(
        "cut-off",
        "healthy-download",
        "pcap",
        "healthy-download without its last third, cut within a packet.",
        "The copy of the file broke off: what can still be said?",
        Expect("impaired", "capture.truncated-file", "unknown", frozenset({"capture.truncated-file"})),
        convert=_cut,
    ),
    Derived(
        "unknown-link-type",
        "guide-telnet-53",
        "pcap",
        "guide-telnet-53 with another link type in its head (IEEE 802.11, 105).",
        "Why is there nothing in it?",
        _INCONCLUSIVE(ids=frozenset({"capture.unknown-link-type"})),
        convert=_linktype,
    ),
    Derived(
        "no-packets",
        "guide-telnet-53",
        "pcap",
        "The head of a capture without any packet.",
        "Why is there nothing in it?",
        _INCONCLUSIVE(),
        convert=lambda data: data[:24],
    ),
)
