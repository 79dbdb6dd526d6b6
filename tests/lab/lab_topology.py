"""The lab's network as data, and the namespaces that make it real. Needs root and iproute2.

    client ── router ── firewall ─┬─ server   (every web server, one address each)
                                  ├─ proxy    (squid, the KDC, and a web server that is no proxy)
                                  └─ dns      (name servers)

Contract: everything lives in network namespaces whose names carry this run's tag; links are made between namespaces,
never in the host's. Nothing under /etc changes.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """A veth pair; the interface in ``left`` is called ``right``, and the other way round."""

    left: str
    right: str
    left_addresses: tuple[str, ...]
    right_addresses: tuple[str, ...]


@dataclass(frozen=True)
class Topology:
    """``routes``: namespace -> (destination, gateway) pairs."""

    links: tuple[Link, ...]
    routes: Mapping[str, tuple[tuple[str, str], ...]]
    forwarding: tuple[str, ...]

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every namespace's name, without the run's tag."""
        return tuple(dict.fromkeys(name for link in self.links for name in (link.left, link.right)))


TOPOLOGY = Topology(
    links=(
        Link("client", "router", ("10.10.1.2/24", "fd10:1::2/64"), ("10.10.1.1/24", "fd10:1::1/64")),
        Link("router", "firewall", ("10.10.2.1/24", "fd10:2::1/64"), ("10.10.2.2/24", "fd10:2::2/64")),
        Link(
            "firewall", "server", ("20.42.1.254/24", "93.184.7.254/24", "2603:1030:c06::ff:1/64"), ("20.42.1.253/24",)
        ),
        Link("firewall", "proxy", ("10.10.5.1/24", "fd10:5::1/64"), ("10.10.5.2/24", "10.10.5.88/24", "fd10:5::2/64")),
        Link(
            "firewall",
            "dns",
            ("10.10.4.1/24", "fd10:4::1/64"),
            ("10.10.4.53/24", "10.10.4.54/24", "10.10.4.56/24", "fd10:4::53/64"),
        ),
    ),
    routes={
        "client": (("default", "10.10.1.1"), ("default", "fd10:1::1")),
        "router": (("default", "10.10.2.2"), ("default", "fd10:2::2")),
        "firewall": (("10.10.1.0/24", "10.10.2.1"), ("fd10:1::/64", "fd10:2::1")),
        "server": (("default", "20.42.1.254"), ("default", "2603:1030:c06::ff:1")),
        "proxy": (("default", "10.10.5.1"), ("default", "fd10:5::1")),
        "dns": (("default", "10.10.4.1"), ("default", "fd10:4::1")),
    },
    forwarding=("router", "firewall"),
)

#: The firewall's address on the client's side: who sends its ICMP errors.
FIREWALL = "10.10.2.2"
FIREWALL_V6 = "fd10:2::2"

_SYSCTLS = (
    "net.ipv4.icmp_ratelimit=0",
    "net.ipv6.icmp.ratelimit=0",
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
)
_FORWARDING = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")


class Network:
    """The namespaces of one run. ``up`` builds them, ``down`` deletes whatever of them exists."""

    def __init__(self, topology: Topology, extra_addresses: Mapping[str, Iterable[str]]) -> None:
        self.topology = topology
        self._extra = extra_addresses
        self.tag = f"nd{os.getpid()}{secrets.token_hex(2)}"

    def name(self, namespace: str) -> str:
        """The full name: this run's tag and ours."""
        return f"{self.tag}-{namespace}"

    def up(self) -> None:
        """Build everything. Raises ``subprocess.CalledProcessError`` with what the tool said."""
        for namespace in self.topology.namespaces:
            run(["ip", "netns", "add", self.name(namespace)])
            sysctls = _SYSCTLS + (_FORWARDING if namespace in self.topology.forwarding else ())
            run(self.inside(namespace, ["sysctl", "-qw", *sysctls]))
        for link in self.topology.links:
            left, right = self.name(link.left), self.name(link.right)
            run(["ip", "link", "add", link.right, "netns", left, "type", "veth", "peer", link.left, "netns", right])
            self._configure(link.left, link.right, link.left_addresses)
            self._configure(link.right, link.left, link.right_addresses)
        for namespace, routes in self.topology.routes.items():
            self._batch(namespace, [f"route add {destination} via {gateway}" for destination, gateway in routes])

    def down(self) -> None:
        """Delete the namespaces; their links, routes and filters go with them. Never raises."""
        for namespace in self.topology.namespaces:
            subprocess.run(["ip", "netns", "del", self.name(namespace)], capture_output=True, check=False)

    def inside(self, namespace: str, argv: Iterable[str]) -> list[str]:
        """The command line that runs ``argv`` in a namespace, with the host's file system untouched."""
        return ["nsenter", f"--net=/run/netns/{self.name(namespace)}", *argv]

    def _configure(self, namespace: str, device: str, addresses: tuple[str, ...]) -> None:
        every = [*addresses, *(self._extra.get(namespace, ()) if device == "firewall" else ())]
        lines = [f"addr add {a} dev {device}{' nodad' if ':' in a else ''}" for a in every]
        self._batch(namespace, ["link set lo up", *lines, f"link set {device} up"])

    def _batch(self, namespace: str, lines: list[str]) -> None:
        run(["ip", "-n", self.name(namespace), "-batch", "-"], "\n".join(lines) + "\n")


def run(argv: list[str], text: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a tool to its end. ``RuntimeError`` with its words when it fails."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}\n{text or ''}")
    return done.stdout
