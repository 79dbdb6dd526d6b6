"""Three routers in a row for traces, and a host beside it. Needs root, iproute2 and nftables.

client ── r1 ── r2 ── r3 ── server
          │
        beside   (forges ICMP errors, without seeing the packets that it lies about)
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable

from tests.lab.lab_topology import Link, Network, Topology, run
from tests.support import ROOT

CLIENT, SERVER = ("10.9.1.2", "fd09:1::2"), ("10.9.4.2", "fd09:4::2")
#: The routers' addresses on the client's side, hop by hop.
ROUTERS = (("10.9.1.1", "10.9.2.2", "10.9.3.2"), ("fd09:1::1", "fd09:2::2", "fd09:3::2"))

#: Ports of the server, and what happens to packets to them. Nobody listens on REFUSED; r2 has a rule for the others.
OPEN, REFUSED, DROPPED, PROHIBITED, RESETS, CUT, GREETS = 8443, 9, 81, 82, 83, 84, 25
#: How long interfaces and neighbours may take to be ready.
_READY_S = 15.0
_FILTER = f"""
table inet lab {{
  chain forward {{
    type filter hook forward priority 0;
    tcp dport {DROPPED} drop
    tcp dport {PROHIBITED} reject with icmpx admin-prohibited
    tcp dport {CUT} meta length > 100 reject with tcp reset
  }}
}}
"""


def _link(left: str, right: str, net: int) -> Link:
    return Link(left, right, (f"10.9.{net}.1/24", f"fd09:{net}::1/64"), (f"10.9.{net}.2/24", f"fd09:{net}::2/64"))


TOPOLOGY = Topology(
    links=(
        Link("client", "r1", ("10.9.1.2/24", "fd09:1::2/64"), ("10.9.1.1/24", "fd09:1::1/64")),
        _link("r1", "r2", 2),
        _link("r2", "r3", 3),
        Link("r3", "server", ("10.9.4.1/24", "fd09:4::1/64"), ("10.9.4.2/24", "fd09:4::2/64")),
        Link("r1", "beside", ("10.9.9.1/24", "fd09:9::1/64"), ("10.9.9.2/24", "fd09:9::2/64")),
    ),
    routes={
        "client": (("default", "10.9.1.1"), ("default", "fd09:1::1")),
        "r1": (("default", "10.9.2.2"), ("default", "fd09:2::2")),
        "r2": (
            ("10.9.1.0/24", "10.9.2.1"),
            ("fd09:1::/64", "fd09:2::1"),
            ("10.9.9.0/24", "10.9.2.1"),
            ("fd09:9::/64", "fd09:2::1"),
            ("default", "10.9.3.2"),
            ("default", "fd09:3::2"),
        ),
        "r3": (("default", "10.9.3.1"), ("default", "fd09:3::1")),
        "server": (("default", "10.9.4.1"), ("default", "fd09:4::1")),
        "beside": (("default", "10.9.9.1"), ("default", "fd09:9::1")),
    },
    forwarding=("r1", "r2", "r3"),
)


class Routers:
    """Built by ``open``, ended by ``close``."""

    def __init__(self) -> None:
        self.network = Network(TOPOLOGY, {})
        self._processes: list[subprocess.Popen[str]] = []

    def open(self) -> None:
        """Everything up, the server listening."""
        self.network.up()
        run(self.network.inside("r2", ["nft", "-f", "-"]), _FILTER)
        self.start("server", "serve")
        with self.network.entered("client"):
            end = time.monotonic() + _READY_S
            while not all(_accepts(address) for address in SERVER):
                if time.monotonic() > end:
                    raise RuntimeError("the server cannot be reached")

    def close(self) -> None:
        """End what was started, delete the namespaces. Never raises."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout:
                process.stdout.close()
        self.network.down()

    def start(self, namespace: str, role: str) -> None:
        """Start a role of this file, and wait until it is ready."""
        process = subprocess.Popen(
            self.network.inside(namespace, [sys.executable, "-m", "tests.lab.lab_routers", role]),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            cwd=ROOT,
        )
        self._processes.append(process)
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{role} in {namespace} did not start")

    def run(self, argv: Iterable[str], *, wrapper: Iterable[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run netdiag as the client."""
        command = [*wrapper, sys.executable, "-m", "netdiag", *argv]
        return subprocess.run(
            self.network.inside("client", command), capture_output=True, text=True, timeout=90, cwd=ROOT, check=False
        )


def _accepts(address: str) -> bool:
    """Whether the server can be reached; which also lets all neighbours on the way find each other."""
    try:
        socket.create_connection((address, OPEN), timeout=2).close()
    except OSError:
        return False
    return True


def serve() -> None:
    """Listen on every port that something is to happen to, over both IP versions."""
    selector = selectors.DefaultSelector()
    for port in (OPEN, DROPPED, PROHIBITED, RESETS, CUT, GREETS):
        for version in (0, 1):
            listener = socket.create_server(
                (SERVER[version], port), family=(socket.AF_INET, socket.AF_INET6)[version], backlog=64
            )
            selector.register(listener, selectors.EVENT_READ, port)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            connection, _ = key.fileobj.accept()
            threading.Thread(target=_answer, args=(connection, key.data), daemon=True).start()


def _answer(connection: socket.socket, port: int) -> None:
    with contextlib.suppress(OSError), connection:
        if port == GREETS:
            connection.sendall(b"220 mail.contoso.test\r\n")
        if not connection.recv(65536):
            return
        if port == RESETS:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.sendall(b"250 thanks\r\n")


def forge() -> None:
    """Send the client ICMP errors about packets that it might have sent to the server, over and over."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPerror  # noqa: F401 - a quote is built of IP
    from scapy.layers.inet6 import ICMPv6TimeExceeded, IPv6

    def forged(port: int) -> list[tuple[bytes, str]]:
        lies = []
        for payload in (TCP(sport=port, dport=OPEN, seq=1, flags="S"), UDP(sport=port, dport=33435, len=20)):
            quote = IP(src=CLIENT[0], dst=SERVER[0], ttl=1, id=4711) / payload
            lies.append((bytes(IP(src="10.9.9.2", dst=CLIENT[0]) / ICMP(type=11) / quote), CLIENT[0]))
            quote6 = IPv6(src=CLIENT[1], dst=SERVER[1], hlim=1) / payload
            lies.append((bytes(IPv6(src="fd09:9::2", dst=CLIENT[1]) / ICMPv6TimeExceeded() / quote6), CLIENT[1]))
        return lies

    packets = [lie for port in (1024, 33000, 40000, 50000, 60999) for lie in forged(port)]
    senders = {
        4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
    }
    print("ready", flush=True)
    pause = threading.Event()
    while True:
        for data, to in packets:
            senders[data[0] >> 4].sendto(data, (to, 0, 0, 0) if ":" in to else (to, 0))
        pause.wait(0.05)


if __name__ == "__main__":
    {"serve": serve, "forge": forge}[sys.argv[1]]()
