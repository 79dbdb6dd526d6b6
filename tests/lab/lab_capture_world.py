"""The network in which captures are recorded: namespaces, a wire with delay, sockets inside them, tcpdump beside them.

    client ── router ── firewall ─┬─ wire ── server   (a site's address each; 8.8.8.8 too)
                                  ├─ proxy            (squid)
                                  └─ dns              (named)

Contract: one process. A thread enters a namespace to open a socket and leaves again: a socket stays where it was made.
Each recording has a world of its own, so that none can see what another left; ``close`` leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab.lab_topology import Link, Network, Topology, run
from tests.lab.lab_wire import Side, Tunnel, Wire, packet_socket

CLIENT, ROUTER, FIREWALL = "10.10.1.2", "10.10.1.1", "10.10.2.2"
#: The firewall's address outside, behind which NAT hides the client.
OUTSIDE = "20.42.1.254"
SERVER, SERVER_V6 = "20.42.1.1", "2603:1030:c06::1:1"
PROXY, DNS = "10.10.5.2", "10.10.4.53"
GUIDE_SERVER = "8.8.8.8"

SITE = Topology(
    links=(
        Link("client", "router", ("10.10.1.2/24", "fd10:1::2/64"), ("10.10.1.1/24", "fd10:1::1/64")),
        Link("router", "firewall", ("10.10.2.1/24", "fd10:2::1/64"), ("10.10.2.2/24", "fd10:2::2/64")),
        Link("firewall", "wire", ("20.42.1.254/24", "8.8.8.254/24", "2603:1030:c06::ff:1/64"), ()),
        Link(
            "wire",
            "server",
            (),
            (*(f"20.42.1.{host}/24" for host in (1, 2, 3, 4)), "8.8.8.8/24", "2603:1030:c06::1:1/64"),
        ),
        Link("firewall", "proxy", ("10.10.5.1/24",), ("10.10.5.2/24",)),
        Link("firewall", "dns", ("10.10.4.1/24",), ("10.10.4.53/24",)),
    ),
    routes={
        "client": (("default", "10.10.1.1"), ("default", "fd10:1::1")),
        "router": (("default", "10.10.2.2"), ("default", "fd10:2::2")),
        "firewall": (("10.10.1.0/24", "10.10.2.1"), ("fd10:1::/64", "fd10:2::1")),
        "server": (("default", "20.42.1.254"), ("default", "2603:1030:c06::ff:1")),
        "proxy": (("default", "10.10.5.1"),),
        "dns": (("default", "10.10.4.1"),),
    },
    forwarding=("router", "firewall"),
)

#: The guide's path: 21 routers between client and server; the wire, which no TTL counts, between the 12th and 13th.
HOPS = 21
_WIRE_AFTER = 12


def _hops() -> tuple[str, ...]:
    return tuple(f"hop{i}" for i in range(1, HOPS + 1))


def _chain() -> Topology:
    nodes = ("client", *_hops(), "server")
    addresses = [(f"10.77.{i}.1/24", f"10.77.{i}.2/24") for i in range(HOPS)] + [("20.42.1.254/24", "20.42.1.1/24")]
    links, routes = [], {}
    for i, (left, right) in enumerate(itertools.pairwise(nodes)):
        near, far = addresses[i]
        if i == _WIRE_AFTER:
            links += [Link(left, "wire", (near,), ()), Link("wire", right, (), (far,))]
        else:
            links.append(Link(left, right, (near,), (far,)))
    for i, node in enumerate(nodes):
        back = [(f"10.77.{k}.0/24", addresses[i - 1][0].split("/")[0]) for k in range(i - 1)]
        onward = [("default", addresses[i][1].split("/")[0])] if i <= HOPS else []
        routes[node] = tuple(back + onward)
    return Topology(tuple(links), routes, _hops())


CHAIN = _chain()

TOOLS = ("ip", "nft", "nsenter", "sysctl", "ethtool", "tcpdump")

#: The service runs on Windows: what its server sends starts with that TTL.
WINDOWS_TTL = "net.ipv4.ip_default_ttl=128"


class World:
    """Built by ``open``, ended by ``close``. ``offload``: the client leaves cutting segments to its device."""

    def __init__(self, topology: Topology = SITE, *, tunnel: Tunnel | None = None, offload: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="netdiag-captures-"))
        self.folder.chmod(0o755)
        self.network = Network(topology, {})
        self.wire: Wire
        self._tunnel, self._offload = tunnel, offload
        self._closing: list[Callable[[], object]] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def open(self) -> None:
        """Namespaces, links, and the wire between firewall and server."""
        self.network.up()
        self.network.sysctl("server", WINDOWS_TTL)
        if self._tunnel:
            name = self.network.name("wire")
            run(["ip", "-n", name, "link", "add", "trunk-c", "type", "veth", "peer", "name", "trunk-s"])
            for end in ("trunk-c", "trunk-s"):
                run(["ip", "-n", name, "link", "set", end, "mtu", "1600", "up"])
        self.network.sysctl("wire", "net.ipv6.conf.all.disable_ipv6=1")
        for namespace in self.network.topology.namespaces:
            for device in () if self._offload and namespace == "client" else self._devices(namespace):
                self.tool(namespace, "ethtool", "-K", device, *"rx off tx off sg off tso off gso off gro off".split())
        self._start_wire()
        for address in (SERVER, GUIDE_SERVER, SERVER_V6) if self.network.topology is SITE else (SERVER,):
            self._introduce(address)

    def close(self) -> None:
        """End servers and the wire, delete the namespaces and the folder."""
        for step in reversed(self._closing):
            with contextlib.suppress(OSError):
                step()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.network.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def tool(self, namespace: str, *argv: str, text: str | None = None) -> str:
        """Run a program in a namespace to its end."""
        return run(self.network.inside(namespace, argv), text)

    def nft(
        self, namespace: str, rules: str, hook: str = "filter hook forward priority 0", family: str = "inet"
    ) -> None:
        """Add a chain called forward with these rules to a namespace, in place of the one it had."""
        text = f"table {family} lab {{ chain forward {{ type {hook};\n{rules}\n}}\n}}\n"
        self.tool(namespace, "nft", "-f", "-", text=f"add table {family} lab\ndelete table {family} lab\n{text}")

    def start(self, namespace: str, *argv: str) -> None:
        """A server program, until ``close``."""
        with (self.folder / f"{argv[0]}.out").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    self.network.inside(namespace, argv),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def socket(
        self, namespace: str, kind: int = socket.SOCK_STREAM, *, v6: bool = False, protocol: int = 0
    ) -> socket.socket:
        """A socket that belongs to a namespace, closed with the world at the latest. No wait is longer than 10 s."""
        with self.network.entered(namespace):
            made = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, kind, protocol)
        made.settimeout(10)
        self._closing.append(made.close)
        return made

    def connect(self, address: str, port: int, *, source_port: int = 0, namespace: str = "client") -> socket.socket:
        """A connection from a namespace, the client's if not said otherwise."""
        made = self.socket(namespace, v6=":" in address)
        if source_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(("::" if ":" in address else "0.0.0.0", source_port))
        made.connect((address, port))
        return made

    def listen(
        self, port: int, serve: Callable[[socket.socket], None], *, v6: bool = False, namespace: str = "server"
    ) -> None:
        """A server on every address of a namespace. ``serve`` gets each connection, which is closed after it."""
        listener = self.socket(namespace, v6=v6)
        listener.settimeout(None)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("::" if v6 else "0.0.0.0", port))
        listener.listen(64)

        def handle(connection: socket.socket) -> None:
            connection.settimeout(10)
            with contextlib.suppress(OSError), connection:
                serve(connection)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        self._closing.append(lambda: listener.shutdown(socket.SHUT_RDWR))

    @contextlib.contextmanager
    def capture(self, file: Path, namespace: str, device: str, *options: str, tool: str = "tcpdump") -> Iterator[None]:
        """tcpdump (or dumpcap) on a device, from its "listening" to a moment after the last packet."""
        argv = (
            [
                "tcpdump",
                "-U",
                "-B",
                "8192",
                "--immediate-mode",
                "-n",
                "-Z",
                "root",
                "-i",
                device,
                "-w",
                str(file),
                *options,
            ]
            if tool == "tcpdump"
            else ["dumpcap", "-q", "-i", device, "-w", str(file), *options]
        )
        process = subprocess.Popen(
            self.network.inside(namespace, argv), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert process.stderr is not None
        words = []
        for line in process.stderr:
            words.append(line)
            if "listening on" in line or line.startswith("File: "):
                break
        else:
            raise RuntimeError("".join(words))
        try:
            time.sleep(0.2 if tool == "tcpdump" else 0.6)
            yield
            time.sleep(0.2 if tool == "tcpdump" else 1.2)  # dumpcap writes what it has twice a second
        finally:
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=10)
        lost = re.search(r"(\d+) packets? dropped by kernel|dropped on interface .*: \d+/(\d+)", rest)
        if lost and any(int(number) for number in lost.groups() if number):
            raise RuntimeError(f"{tool} lost packets: {lost[0]}")

    def certificates(self) -> None:
        """Write the lab's certificates to ``folder``."""
        import lab_sites  # it finds its neighbours by their bare names, as pytest has them

        lab_sites.write_pki(self.folder, datetime.datetime.now(datetime.UTC))

    def _introduce(self, address: str) -> None:
        """Let all neighbours on the way find each other, so that no capture has their delay in its round trips."""
        asker = self.socket("client", socket.SOCK_DGRAM, v6=":" in address)
        asker.settimeout(2)
        asker.connect((address, 9))
        asker.send(b"")
        with contextlib.suppress(ConnectionRefusedError):
            asker.recv(1)
        asker.close()

    def _devices(self, namespace: str) -> list[str]:
        listed = run(["ip", "-n", self.network.name(namespace), "-o", "link", "show", "type", "veth"])
        return [line.split()[1].split("@")[0] for line in listed.splitlines()]

    def _start_wire(self) -> None:
        links = [link for link in self.network.topology.links if "wire" in (link.left, link.right)]
        near, far = links[0].left, links[1].right
        with self.network.entered("wire"):
            ends: dict[Side, socket.socket] = {"client": packet_socket(near), "server": packet_socket(far)}
            trunk: dict[Side, socket.socket] | None = (
                {"client": packet_socket("trunk-c"), "server": packet_socket("trunk-s")} if self._tunnel else None
            )
        self.wire = Wire(ends, trunk, self._tunnel)
        self.wire.start()
        self._closing.append(self.wire.stop)


def abort(connection: socket.socket) -> None:
    """Close with a reset (tcp(7), SO_LINGER)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_all(connection: socket.socket) -> bytes:
    """Until the other side has finished."""
    data = b""
    while more := connection.recv(65536):
        data += more
    return data


def client_hello(name: str) -> bytes:
    """A TLS ClientHello for ``name`` as Python's ssl sends it."""
    outgoing = ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
