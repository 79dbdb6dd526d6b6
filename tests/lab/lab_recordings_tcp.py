"""Recordings of TCP itself: openings, closings, resets and who sent them, loss, windows, MTU."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import replace
from functools import partial

from tests.lab.lab_capture_world import (
    CHAIN,
    GUIDE_SERVER,
    SERVER,
    SERVER_V6,
    WINDOWS_TTL,
    World,
    abort,
    client_hello,
    read_all,
)
from tests.lab.lab_recording import Shot, Table, failed, healthy, impaired
from tests.lab.lab_wire import Frame, checksum, forged_reset

TABLE = Table()
add = TABLE.add

FRONTEND = "wu2.frontend.clouddatahub.net"
_REQUEST = b"GET / HTTP/1.1\r\nHost: data.contoso.test\r\n\r\n"
_SYN = 0x02


def _answer(size: int, connection: socket.socket) -> None:
    """One request, one answer of ``size`` bytes, closed by whoever is first."""
    connection.recv(65536)
    connection.sendall(_answer_of(size))


def _answer_of(size: int) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
    return head + b"0123456789abcdef" * (size // 16)


def _fetch(world: World, address: str = SERVER, port: int = 80, **how: int) -> int:
    """Ask and read the whole answer; how many bytes came."""
    connection = world.connect(address, port, **how)
    with connection:
        connection.sendall(_REQUEST)
        return len(read_all(connection))


def _expect_failure(act: object, *kinds: type[OSError]) -> None:
    if not callable(act):
        raise TypeError
    try:
        act()
    except kinds:
        return
    raise AssertionError(f"expected {kinds}, and it worked")


# --- the guide's own -------------------------------------------------------------------------------------------------


def _windows_syn(source: str, port: int, destination: str, destination_port: int, ip_id: int) -> bytes:
    """The SYN of Windows: TTL 128, window 8192, "mss 1460,nop,wscale 8,nop,nop,sackOK" (p0f's database)."""
    options = bytes.fromhex("020405b40103030801010402")
    tcp = struct.pack("!HHIIBBHHH", port, destination_port, 0x3C61F2A7, 0, 0x80, _SYN, 8192, 0, 0) + options
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    total = checksum(ends + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), ip_id, 0x4000, 128, socket.IPPROTO_TCP, 0) + ends + tcp


def _windows_attempt(moments: tuple[float, ...], world: World) -> None:
    world.nft("firewall", "tcp dport 888 drop")
    raw = world.socket("client", socket.SOCK_RAW, protocol=socket.IPPROTO_RAW)
    start = time.monotonic()
    for i, moment in enumerate(moments):
        time.sleep(max(0.0, start + moment - time.monotonic()))
        raw.sendto(_windows_syn("10.10.1.2", 49733, GUIDE_SERVER, 888, 0x2B10 + i), (GUIDE_SERVER, 0))


add(
    Shot(
        "guide-telnet-888-windows",
        failed("tcp.no-reply", "path-device"),
        "telnet 8.8.8.8 888 ends with 'Could not open connection to the host': why?",
    ),
    made="A SYN as Windows sends it, and its two retransmissions after 3 and 9 s (InitialRto 3000, "
    "MaxSynRetransmissions 2), written to a raw socket; the firewall drops them.",
)(partial(_windows_attempt, (0.0, 3.0, 9.0)))

add(
    Shot(
        "guide-telnet-888-windows-current",
        failed("tcp.no-reply", "path-device"),
        "The same from a current Windows: who gives up after four repeated SYNs?",
    ),
    made="SYNs as current Windows sends them, at 0, 1, 3, 7 and 15 s (InitialRto 1000, MaxSynRetransmissions 4), "
    "written to a raw socket; the firewall drops them.",
)(partial(_windows_attempt, (0.0, 1.0, 3.0, 7.0, 15.0)))


def _linux_attempt(linear: int, wait_s: float, world: World) -> None:
    world.nft("firewall", "tcp dport 888 drop")
    world.tool("client", "sysctl", "-qw", f"net.ipv4.tcp_syn_linear_timeouts={linear}")
    client = world.socket("client")
    client.settimeout(wait_s)
    _expect_failure(lambda: client.connect((GUIDE_SERVER, 888)), TimeoutError)
    client.close()


add(
    Shot(
        "guide-telnet-888-linux",
        failed("tcp.no-reply", "path-device"),
        "The same from Linux 6.5 or later: SYNs at 0, 1, 2, 3, 4, 5 and 7 s.",
    ),
    made="A Linux client connects to port 888, which the firewall drops, and is stopped after 9 s.",
)(partial(_linux_attempt, 4, 9.0))

add(
    Shot(
        "guide-telnet-888-linux-classic",
        failed("tcp.no-reply", "path-device"),
        "The same from an older Linux: SYNs at 0, 1, 3 and 7 s.",
    ),
    made="The same with tcp_syn_linear_timeouts=0, as before Linux 6.5: a Linux client connects to port 888, which the "
    "firewall drops, and is stopped after 9 s.",
)(partial(_linux_attempt, 0, 9.0))


@add(
    Shot("guide-telnet-53", healthy(), "telnet 8.8.8.8 53 works: what does a good opening and closing look like?"),
    made="A client connects to port 53, waits, and closes; the server closes 50 ms later: three-way opening, four-way "
    "closing.",
)
def _telnet_53(world: World) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        time.sleep(0.05)

    world.listen(53, serve)
    client = world.connect(GUIDE_SERVER, 53)
    time.sleep(0.3)
    client.shutdown(socket.SHUT_WR)
    client.recv(1)
    time.sleep(0.1)


_RESET_DATA = "tcp dport 443 ct state established tcp flags & psh == psh reject with tcp reset"


@add(
    Shot(
        "guide-reset-ttl-61",
        failed("tcp.reset-by-path-device", "path-device"),
        "Who resets the connection to the Data Factory server? The reset has TTL 61, the SYN-ACK had 107.",
        at=("client", "hop1"),
        other="guide-reset-ttl-61-beyond",
        says="the reset is in the client's capture only, the ClientHello never reaches the other: a device between",
    ),
    Shot(
        "guide-reset-ttl-61-beyond",
        healthy(),
        "The same connection, captured just beyond the fourth hop: did the reset come from further on?",
        at=("hop5", "hop4"),
        other="guide-reset-ttl-61",
    ),
    made="A client, 21 routers, a server with TTL 128; the fourth router rejects the first data to port "
    "443 with a reset (nftables, 'reject with tcp reset', initial TTL 64).",
    topology=CHAIN,
)
def _ttl_61(world: World) -> None:
    world.listen(443, partial(_answer, 100))
    world.nft("hop4", _RESET_DATA)
    client = world.connect(SERVER, 443)
    client.sendall(client_hello(FRONTEND))
    _expect_failure(lambda: client.recv(1), ConnectionResetError)


# --- resets ----------------------------------------------------------------------------------------------------------


@add(
    Shot(
        "reset-by-server-unread-data",
        failed("tcp.reset-by-server", "server"),
        "'An existing connection was forcibly closed by the remote host': was it the server, or the firewall?",
    ),
    made="The server takes the connection and closes it 0.1 s later without having read the request: its kernel "
    "resets, three times in three tries.",
)
def _unread(world: World) -> None:
    world.listen(1433, lambda connection: time.sleep(0.1))
    for _ in range(3):
        client = world.connect(SERVER, 1433)
        client.sendall(_REQUEST)
        _expect_failure(lambda client=client: client.recv(1), ConnectionResetError)  # type: ignore[misc]


@add(
    Shot(
        "reset-by-server-mid-transfer",
        failed("tcp.reset-by-server", "server"),
        "The copy breaks off after the first part: who ended it?",
    ),
    made="The server sends 20 kB of an answer and then aborts (SO_LINGER 0), as a crashing process does.",
)
def _server_abort(world: World) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(_answer_of(1_000_000)[:20_000])
        time.sleep(0.2)
        abort(connection)

    world.listen(1433, serve)
    client = world.connect(SERVER, 1433)
    client.sendall(_REQUEST)
    _expect_failure(lambda: read_all(client), ConnectionResetError)


@add(
    Shot(
        "refused-closed-port", failed("tcp.refused", "server"), "Error 10061: does the machine exist, and who refuses?"
    ),
    made="Nobody listens on port 8060 of the server; another connection to it, on port 80, works.",
)
def _refused(world: World) -> None:
    world.listen(80, partial(_answer, 160))
    _fetch(world)
    _expect_failure(lambda: world.connect(SERVER, 8060), ConnectionRefusedError)


@add(
    Shot(
        "refused-by-firewall",
        failed("tcp.reset-by-path-device", "path-device"),
        "Error 10061, but the server's owner swears that the service listens: who refuses?",
    ),
    made="The firewall rejects SYNs to port 8060 with a reset of its own; port 80 of the same server works, so that "
    "the TTLs of both can be compared.",
)
def _refused_by_firewall(world: World) -> None:
    world.listen(80, partial(_answer, 160))
    world.nft("firewall", "tcp dport 8060 reject with tcp reset")
    _fetch(world)
    _expect_failure(lambda: world.connect(SERVER, 8060), ConnectionRefusedError)


@add(
    Shot(
        "reset-by-client-abort",
        healthy("tcp.reset-by-client"),
        "The server's log says 'connection reset by peer': does our own program end it?",
    ),
    made="The client reads the first part of an answer, waits and aborts (SO_LINGER 0).",
)
def _client_abort(world: World) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        for _ in range(10):
            connection.sendall(b"0123456789abcdef" * 100)
            time.sleep(0.1)

    world.listen(80, serve)
    client = world.connect(SERVER, 80)
    client.sendall(_REQUEST)
    client.recv(1000)
    time.sleep(0.35)
    abort(client)
    time.sleep(0.3)


@add(
    Shot(
        "reset-both-ways",
        failed("tcp.reset-by-path-device", "path-device"),
        "Client and server both log that the other one reset the connection: who lies?",
        other="reset-both-ways-server",
        says="each side sees resets that the other never sent: a device between forges them in both directions",
    ),
    Shot(
        "reset-both-ways-server",
        failed("tcp.reset-by-path-device", "path-device"),
        "The same connection, captured at the server.",
        at=("server", "wire"),
        other="reset-both-ways",
    ),
    made="A client with TTL 128; a device beside the wire lets the request pass and sends a forged reset to each side "
    "(initial TTL 64, IP identification 0x4242), as out-of-band filters do, before the server has answered.",
)
def _both_ways(world: World) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        time.sleep(0.1)  # the reset is to be here first, also on a busy machine
        connection.sendall(_answer_of(800))

    world.tool("client", "sysctl", "-qw", WINDOWS_TTL)
    world.listen(443, answer)

    def act(frame: Frame) -> list[Frame] | None:
        if frame.tcp and frame.toward == "server" and frame.tcp.payload:
            return [
                frame,
                forged_reset(frame, toward="client", ttl=64, ip_id=0x4242),
                forged_reset(frame, toward="server", ttl=64, ip_id=0x4242),
            ]
        return None

    world.wire.act = act
    client = world.connect(SERVER, 443)
    client.sendall(_REQUEST)
    _expect_failure(lambda: client.recv(1), ConnectionResetError)
    time.sleep(0.2)


@add(
    Shot(
        "handshake-incomplete-at-server",
        failed("tcp.handshake-incomplete", "path-device"),
        "The server answers every SYN: why does no connection come about?",
        at=("server", "wire"),
    ),
    made="The firewall drops every SYN-ACK on its way to the client (asymmetric routing looks the same); captured at "
    "the server.",
)
def _incomplete(world: World) -> None:
    world.nft("firewall", "tcp sport 80 drop")
    world.listen(80, partial(_answer, 160))
    client = world.socket("client")
    client.settimeout(3.5)
    _expect_failure(lambda: client.connect((SERVER, 80)), TimeoutError)
    client.close()


# --- ICMP ------------------------------------------------------------------------------------------------------------


@add(
    Shot("prohibited-icmp", failed("tcp.prohibited", "path-device"), "Which device forbids the connection?"),
    made="The firewall rejects SYNs to port 1433 with ICMP 'administratively prohibited'.",
)
def _prohibited(world: World) -> None:
    world.nft("firewall", "tcp dport 1433 reject with icmpx admin-prohibited")
    _expect_failure(lambda: world.connect(SERVER, 1433), OSError)


@add(
    Shot("prohibited-icmpv6", failed("tcp.prohibited", "path-device"), "The same over IPv6."),
    made="The firewall rejects SYNs to port 1433 with ICMPv6 'administratively prohibited'.",
)
def _prohibited_v6(world: World) -> None:
    world.nft("firewall", "tcp dport 1433 reject with icmpx admin-prohibited")
    _expect_failure(lambda: world.connect(SERVER_V6, 1433), OSError)


@add(
    Shot("unreachable-host", failed("tcp.unreachable", "path-device"), "Is the address wrong, or the host down?"),
    made="The client connects to an address of the server's network that no host has; the firewall, its router, "
    "answers with ICMP 'host unreachable' after its ARP requests stayed without an answer.",
)
def _unreachable(world: World) -> None:
    _expect_failure(lambda: world.connect("20.42.1.99", 443), OSError)


@add(
    Shot("routing-loop", failed("tcp.unreachable", "path-device"), "Nothing answers but routers: where do packets go?"),
    made="Router and firewall each hold the other for the way to 198.51.100.0/24; packets circle until their TTL ends, "
    "and ICMP 'time exceeded' comes back.",
)
def _loop(world: World) -> None:
    world.tool("firewall", "ip", "route", "add", "198.51.100.0/24", "via", "10.10.2.1")
    client = world.socket("client")
    client.settimeout(4)
    _expect_failure(lambda: client.connect(("198.51.100.7", 443)), OSError)
    client.close()


# --- MTU -------------------------------------------------------------------------------------------------------------


def _narrow(world: World, mtu: int) -> None:
    """The link between router and firewall carries packets of this size at most, in both directions."""
    for namespace, device in (("router", "firewall"), ("firewall", "router")):
        world.tool(namespace, "ip", "link", "set", device, "mtu", str(mtu))


def _upload(world: World, size: int, wait_s: float) -> bool:
    """Send ``size`` bytes and wait for "done"; whether it came."""

    def serve(connection: socket.socket) -> None:
        left = size
        while left and (data := connection.recv(65536)):
            left -= len(data)
        connection.sendall(b"done")

    world.listen(443, serve)
    client = world.connect(SERVER, 443)
    client.sendall(b"small")
    time.sleep(0.1)
    client.sendall(b"u" * (size - 5))
    client.settimeout(wait_s)
    try:
        done = client.recv(10) == b"done"
        client.shutdown(socket.SHUT_WR)
        client.recv(1)
    except TimeoutError:
        return False
    return done


@add(
    Shot(
        "mtu-black-hole",
        failed("tcp.mtu-black-hole", "path-device"),
        "Connecting works, small requests work, and the upload hangs: why?",
    ),
    made="The link behind the router has an MTU of 1300, and the router's ICMP 'fragmentation needed' is filtered "
    "out: full-sized segments vanish, small ones pass.",
)
def _black_hole(world: World) -> None:
    _narrow(world, 1300)
    world.nft("router", "icmp type destination-unreachable drop", hook="filter hook output priority 0")
    assert not _upload(world, 4000, 5)


@add(
    Shot(
        "mtu-black-hole-download",
        failed("tcp.mtu-black-hole", "path-device"),
        "The answer begins and then nothing comes any more: why?",
        other="mtu-black-hole-download-at-server",
        says="the server's full-sized segments are in its own capture only, however often it repeats them",
    ),
    Shot(
        "mtu-black-hole-download-at-server",
        failed("tcp.mtu-black-hole", "path-device"),
        "The same transfer, captured at the server.",
        at=("server", "wire"),
        other="mtu-black-hole-download",
    ),
    made="The link behind the router has an MTU of 1300, and the firewall's ICMP is filtered out: the server's "
    "full-sized segments vanish and only the last, short one of its answer arrives.",
)
def _black_hole_down(world: World) -> None:
    _narrow(world, 1300)
    world.nft("firewall", "icmp type destination-unreachable drop", hook="filter hook output priority 0")
    world.listen(443, partial(_answer, 4000))
    client = world.connect(SERVER, 443)
    client.sendall(_REQUEST)
    client.settimeout(5)
    _expect_failure(lambda: client.recv(100), TimeoutError)


@add(
    Shot("mtu-discovery-works", healthy(), "A router says 'fragmentation needed': is that a fault?"),
    made="The link behind the router has an MTU of 1300; its ICMP arrives, and the client sends smaller segments.",
)
def _discovery(world: World) -> None:
    _narrow(world, 1300)
    assert _upload(world, 12_000, 5)


# --- windows, loss, waiting ------------------------------------------------------------------------------------------


@add(
    Shot("zero-window", impaired("tcp.zero-window", "server"), "The upload stalls: network, or the server?"),
    made="The server reads nothing for 2 s, with a receive buffer of 8 kB, and then everything.",
)
def _zero_window(world: World) -> None:
    done = threading.Event()

    def serve(connection: socket.socket) -> None:
        time.sleep(2)
        read_all(connection)
        done.set()

    world.tool("server", "sysctl", "-qw", "net.ipv4.tcp_rmem=4096 8192 8192")
    world.listen(1433, serve)
    client = world.connect(SERVER, 1433)
    client.sendall(b"0123456789abcdef" * 1500)
    client.shutdown(socket.SHUT_WR)
    done.wait(10)
    client.recv(1)


@add(
    Shot("keep-alives", healthy(), "Packets without data every second: is something wrong?"),
    made="A client with SO_KEEPALIVE (every second) stays idle for 3.5 s and then closes.",
)
def _keep_alives(world: World) -> None:
    world.listen(1433, lambda connection: (connection.recv(10), connection.sendall(b"hi"), read_all(connection))[0])
    client = world.connect(SERVER, 1433)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    client.sendall(b"hello")
    client.recv(10)
    time.sleep(3.5)
    client.shutdown(socket.SHUT_WR)
    client.recv(1)


@add(
    Shot(
        "idle-connection-forgotten",
        failed("tcp.reset-by-path-device", "path-device"),
        "After an idle minute the first query fails with 'connection reset': who forgot the connection?",
    ),
    made="The firewall rejects what belongs to no connection that it knows; after a pause its state is lost, and it "
    "resets the client's next request.",
)
def _forgotten(world: World) -> None:
    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(_answer_of(320))

    world.listen(1433, serve)
    client = world.connect(SERVER, 1433)
    for _ in range(3):
        client.sendall(_REQUEST)
        client.recv(1000)
    time.sleep(1)
    world.nft("firewall", "tcp dport 1433 reject with tcp reset")
    client.sendall(_REQUEST)
    _expect_failure(lambda: client.recv(10), ConnectionResetError)


@add(
    Shot("half-close", healthy(), "The client said FIN long before the server did: is that a fault?"),
    made="The client sends its request and shuts down its sending side; the server answers for a second after that "
    "and then closes.",
)
def _half_close(world: World) -> None:
    def serve(connection: socket.socket) -> None:
        read_all(connection)
        for _ in range(5):
            connection.sendall(b"0123456789abcdef" * 60)
            time.sleep(0.2)

    world.listen(80, serve)
    client = world.connect(SERVER, 80)
    client.sendall(_REQUEST)
    client.shutdown(socket.SHUT_WR)
    read_all(client)
    time.sleep(0.1)


@add(
    Shot("half-close-open-end", healthy(), "The capture ends while only one side has closed."),
    made="The client shuts down its sending side; the server still sends when the capture ends.",
)
def _half_close_open(world: World) -> None:
    def serve(connection: socket.socket) -> None:
        read_all(connection)
        for _ in range(40):
            connection.sendall(b"tick\n")
            time.sleep(0.2)

    world.listen(80, serve)
    client = world.connect(SERVER, 80)
    client.sendall(_REQUEST)
    client.shutdown(socket.SHUT_WR)
    time.sleep(1)


@add(
    Shot("port-reuse", healthy(), "The same two ports twice: one connection, or two?"),
    made="The client uses its port 50500 for two connections in a row; the server closes first, so that the port is "
    "free again at once.",
)
def _port_reuse(world: World) -> None:
    world.listen(80, partial(_answer, 160))
    for _ in range(2):
        _fetch(world, source_port=50500)
        time.sleep(0.2)


@add(
    Shot("six-at-once", healthy(), "Which packets belong together?"),
    made="Six connections at the same time to two addresses and two ports.",
)
def _six(world: World) -> None:
    for port in (80, 8080):
        world.listen(port, partial(_answer, 2400))
    places = [(SERVER, 80), (SERVER, 8080), (GUIDE_SERVER, 80)] * 2
    threads = [threading.Thread(target=_fetch, args=(world, *place)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.1)


@add(
    Shot("simultaneous-open", healthy(), "Both sides sent a SYN: who is the client?"),
    made="Both ends connect to each other at the same moment (RFC 9293 §3.5); the wire holds the SYNs back so that "
    "they cross.",
)
def _simultaneous(world: World) -> None:
    world.wire.delay_s = 0.2
    ends = {"client": ("10.10.1.2", 40001), "server": (SERVER, 40002)}
    sockets = {}
    for name, place in ends.items():
        sockets[name] = world.socket(name)
        sockets[name].bind(place)
    second = threading.Thread(target=sockets["server"].connect, args=(ends["client"],))
    second.start()
    time.sleep(0.05)
    sockets["client"].connect(ends["server"])
    second.join()
    sockets["client"].sendall(b"hello")
    sockets["server"].recv(10)
    for each in sockets.values():
        each.shutdown(socket.SHUT_WR)
    for each in sockets.values():
        each.recv(1)
    time.sleep(0.5)


@add(
    Shot(
        "loss",
        impaired("tcp.retransmissions", "unknown"),
        "The copy is slow: is it the network?",
        other="loss-at-server",
        says="the server's segments are in its own capture and missing from the client's: lost between the two",
    ),
    Shot(
        "loss-at-server",
        impaired("tcp.retransmissions", "unknown"),
        "The same transfer, captured at the server.",
        at=("server", "wire"),
        other="loss",
    ),
    made="The firewall drops every twelfth segment of the server's answer (nftables, numgen).",
)
def _loss(world: World) -> None:
    world.nft("firewall", "tcp sport 80 ip length > 500 numgen inc mod 12 vmap { 6 : drop }")
    world.listen(80, partial(_answer, 48_000))
    assert _fetch(world) > 48_000
    time.sleep(0.1)


@add(
    Shot("syn-lost-once", impaired("tcp.retransmissions", "unknown"), "Connecting takes a second longer each time."),
    made="The wire loses the first SYN of each of three connections; the repeated one arrives.",
)
def _syn_lost(world: World) -> None:
    seen: set[tuple[int, int]] = set()

    def act(frame: Frame) -> list[Frame] | None:
        segment = frame.tcp
        if segment and segment.flags == _SYN and (segment.source, segment.seq) not in seen:
            seen.add((segment.source, segment.seq))
            return []
        return None

    world.wire.act = act
    world.listen(80, partial(_answer, 160))
    for _ in range(3):
        _fetch(world)


@add(
    Shot("reordered", healthy(), "Segments arrive in the wrong order: is that loss?"),
    made="The wire holds every tenth full-sized segment of the answer back by a millisecond.",
)
def _reordered(world: World) -> None:
    count = 0

    def act(frame: Frame) -> list[Frame] | None:
        nonlocal count
        if frame.toward == "client" and frame.tcp and len(frame.tcp.payload) > 1000:
            count += 1
            if count % 10 == 5:
                return [replace(frame, late_s=0.001)]
        return None

    world.wire.act = act
    world.listen(80, partial(_answer, 40_000))
    _fetch(world)


@add(
    Shot("healthy-download", healthy(), "What does a good transfer look like?"),
    made="A request and an answer of 30 kB.",
)
def _download(world: World) -> None:
    world.listen(80, partial(_answer, 30_000))
    _fetch(world)
    time.sleep(0.1)


@add(
    Shot("segmentation-offload", healthy(), "Packets larger than Ethernet carries, and wrong checksums: a fault?"),
    made="An upload of 60 kB with the network adapter's offloads on, as on most machines: the capture shows "
    "packets before the adapter cuts them up and fills in checksums.",
    offload=True,
)
def _offloaded(world: World) -> None:
    assert _upload(world, 60_000, 5)


# --- two captures, with NAT between ----------------------------------------------------------------------------------


def _masquerade(world: World) -> None:
    world.nft("firewall", 'oifname "wire" masquerade', hook="nat hook postrouting priority srcnat", family="ip")


@add(
    Shot(
        "nat-client-side",
        healthy(),
        "Is the connection at the firewall's outside the client's?",
        other="nat-firewall-side",
        says="the same connections: the client's address is 20.42.1.254 there; nothing lost or changed but addresses",
    ),
    Shot(
        "nat-firewall-side",
        healthy(),
        "The same connections, captured outside the firewall that hides the client behind its own address.",
        at=("firewall", "wire"),
        other="nat-client-side",
    ),
    made="The firewall translates the client's address (masquerade); two downloads, one at a time.",
)
def _nat(world: World) -> None:
    _masquerade(world)
    world.listen(80, partial(_answer, 4000))
    for _ in range(2):
        _fetch(world)
    time.sleep(0.1)


@add(
    Shot(
        "nat-reset-client-side",
        failed("tcp.reset-by-path-device", "path-device"),
        "Does the reset come from beyond the firewall, or from itself?",
        other="nat-reset-firewall-side",
        says="the reset is on the client's side only: the firewall made it",
    ),
    Shot(
        "nat-reset-firewall-side",
        healthy(),
        "The same connection, captured outside the firewall.",
        at=("firewall", "wire"),
        other="nat-reset-client-side",
    ),
    made="The firewall translates the client's address (masquerade), and resets the connection at the first data.",
)
def _nat_reset(world: World) -> None:
    _masquerade(world)
    world.nft("firewall", _RESET_DATA)
    world.listen(443, partial(_answer, 160))
    client = world.connect(SERVER, 443)
    client.sendall(client_hello(FRONTEND))
    _expect_failure(lambda: client.recv(1), ConnectionResetError)
    time.sleep(0.1)


@add(
    Shot(
        "syn-dropped-client-side",
        failed("tcp.no-reply", "path-device"),
        "No answer: does the SYN leave our network at all?",
        other="syn-dropped-firewall-side",
        says="the SYNs to port 1433 are in the client's capture only: the firewall drops them",
    ),
    Shot(
        "syn-dropped-firewall-side",
        healthy(),
        "The same moment, captured outside the firewall.",
        at=("firewall", "wire"),
        other="syn-dropped-client-side",
    ),
    made="The firewall lets port 80 pass and drops SYNs to port 1433.",
)
def _syn_dropped(world: World) -> None:
    world.nft("firewall", "tcp dport 1433 drop")
    world.listen(80, partial(_answer, 160))
    _fetch(world)
    client = world.socket("client")
    client.settimeout(3.5)
    _expect_failure(lambda: client.connect((SERVER, 1433)), TimeoutError)
    client.close()
    _fetch(world)
    time.sleep(0.1)
