"""The lab's network as data, and the namespaces that make it real. Needs root and iproute2.

    client ── router ── firewall ─┬─ server   (every web server, one address each)
                                  ├─ proxy    (squid, the KDC, and a web server that is no proxy)
                                  └─ dns      (name servers)

Contract: everything lives in network namespaces whose names carry this run's tag; links are made between namespaces,
never in the host's. Nothing under /etc changes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


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

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


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
        _batch([], [f"netns add {self.name(namespace)}" for namespace in self.topology.namespaces])
        for namespace in self.topology.namespaces:
            self.sysctl(namespace, *_SYSCTLS, *(_FORWARDING if namespace in self.topology.forwarding else ()))
        _batch(
            [],
            [
                f"link add {link.right} netns {self.name(link.left)} type veth "
                f"peer {link.left} netns {self.name(link.right)}"
                for link in self.topology.links
            ],
        )
        for link in self.topology.links:
            self._configure(link.left, link.right, link.left_addresses)
            self._configure(link.right, link.left, link.right_addresses)
        for namespace, routes in self.topology.routes.items():
            self.ip(namespace, *(f"route add {destination} via {gateway}" for destination, gateway in routes))

    def down(self) -> None:
        """Delete the namespaces; their links, routes and filters go with them. Never raises."""
        for namespace in self.topology.namespaces:
            subprocess.run(["ip", "netns", "del", self.name(namespace)], capture_output=True, check=False)

    def inside(self, namespace: str, argv: Iterable[str]) -> list[str]:
        """The command line that runs ``argv`` in a namespace, with the host's file system untouched."""
        return ["nsenter", f"--net=/run/netns/{self.name(namespace)}", *argv]

    @contextlib.contextmanager
    def entered(self, namespace: str) -> Iterator[None]:
        """The calling thread in a namespace. A socket, or another descriptor, stays where it was made."""
        with Path("/proc/thread-self/ns/net").open() as home:
            with Path(f"/run/netns/{self.name(namespace)}").open() as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def ip(self, namespace: str, *commands: str, family: int | None = None) -> None:
        """Carry out commands of ip(8), up to the first that fails. ``family``: 4 or 6, where they do not tell."""
        _batch(["-n", self.name(namespace), *([f"-{family}"] if family else [])], commands)

    def sysctl(self, namespace: str, *settings: str) -> None:
        """Set ``name=value``, as sysctl(8) has them."""
        with self.entered(namespace):
            for setting in settings:
                name, value = setting.split("=")
                Path("/proc/sys", *name.split(".")).write_text(value)

    def _configure(self, namespace: str, device: str, addresses: tuple[str, ...]) -> None:
        every = [*addresses, *(self._extra.get(namespace, ()) if device == "firewall" else ())]
        lines = [f"addr add {a} dev {device}{' nodad' if ':' in a else ''}" for a in every]
        self.ip(namespace, "link set lo up", *lines, f"link set {device} up")


def _batch(options: list[str], commands: Iterable[str]) -> None:
    run(["ip", *options, "-batch", "-"], "".join(f"{command}\n" for command in commands))


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def run(argv: list[str], text: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a tool to its end. ``RuntimeError`` with its words when it fails."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}\n{text or ''}")
    return done.stdout
