"""A client, 21 routers and a server in a row, on real kernels; ``applied`` breaks something on the way for a while.

    h0 ── h1 ── h2 ── ... ── h21 ── h22        IPv4: h0 10.77.0.1, hop i shows 10.77.(i-1).2, server 10.77.21.2

IPv6 is the same with fd77:i::1 and fd77:i::2. The first router is the name server too, as in a home's network. Two
shortcuts, h0 ── h10 and h10 ── h22, are there for routes that a scenario adds. Contract: everything is in namespaces,
threads of this process, a web server, and one temporary folder; ``close`` may be called at any moment and leaves
nothing behind.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import lab_chain_servers, lab_pki
from tests.lab.lab_device import Install
from tests.lab.lab_topology import Link, Network, Topology, run

ROOT = Path(__file__).parent.parent.parent
ROUTERS = 21
SERVER_NODE = f"h{ROUTERS + 1}"
CLIENT, CLIENT_V6 = "10.77.0.1", "fd77::1"
SERVER, SERVER_V6 = "10.77.21.2", "fd77:21::2"
NAME_SERVER = "10.77.0.2"
NAME, NAME_V6 = "app.contoso.test", "app6.contoso.test"
#: Its certificate and all that comes with it fits in one packet; those of the others take three, as on the Internet.
NAME_SMALL = "small.contoso.test"
ADDRESSES = {NAME: SERVER, NAME_V6: SERVER_V6, NAME_SMALL: SERVER}
TOOLS = ("ip", "nft", "nsenter", "unshare", "nginx", "setpriv")
#: Runs a command that may do no more than the owner of its files.
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
#: Ports of the server's: nginx, and those of lab_chain_servers.
HTTPS, CLOSED = 443, 9999


def hop_address(hop: int, *, v6: bool = False) -> str:
    """What a router shows in a traceroute from the client."""
    return str(ipaddress.ip_address(f"fd77:{hop - 1}::2" if v6 else f"10.77.{hop - 1}.2"))


def _topology() -> Topology:
    links = tuple(
        Link(f"h{i}", f"h{i + 1}", (f"10.77.{i}.1/24", f"fd77:{i}::1/64"), (f"10.77.{i}.2/24", f"fd77:{i}::2/64"))
        for i in range(ROUTERS + 1)
    )
    shortcuts = (
        Link("h0", "h10", ("10.78.0.1/24",), ("10.78.0.2/24",)),
        Link("h10", SERVER_NODE, ("10.78.1.1/24",), ("10.78.1.2/24",)),
    )
    routes: dict[str, tuple[tuple[str, str], ...]] = {}
    for i in range(ROUTERS + 2):
        onward = [("default", f"10.77.{i}.2"), ("default", f"fd77:{i}::2")] if i <= ROUTERS else []
        back = [
            (prefix.format(k), gateway.format(i - 1))
            for k in range(i - 1)
            for prefix, gateway in (("10.77.{}.0/24", "10.77.{}.1"), ("fd77:{}::/64", "fd77:{}::1"))
        ]
        routes[f"h{i}"] = (*onward, *back)
    return Topology(links + shortcuts, routes, tuple(f"h{i}" for i in range(1, ROUTERS + 1)))


CHAIN = _topology()


@dataclass(frozen=True)
class Setting:
    """What is broken, by namespace.

    ``filters``: chains of nftables. ``ttls``: the TTL (hop limit) that its own packets start with, 64 where not said.
    ``commands``: (namespace, command of ip(8), the command that undoes it). ``devices``: programs in a router's way.
    """

    filters: Mapping[str, str] = field(default_factory=dict)
    ttls: Mapping[str, int] = field(default_factory=dict)
    sysctls: tuple[tuple[str, str, str], ...] = ()
    commands: tuple[tuple[str, str, str], ...] = ()
    devices: tuple[Install, ...] = ()


class Chain:
    """Built by ``open``, ended by ``close``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="netdiag-chain-"))
        self.folder.chmod(0o755)
        self.network = Network(CHAIN, {})
        self._processes: list[subprocess.Popen[bytes]] = []
        self._servers: list[Callable[[], object]] = []

    def open(self) -> None:
        """Everything up and accepting connections."""
        self.network.up()
        for namespace in CHAIN.namespaces:
            # A shortcut makes paths asymmetric, which is no reason to drop packets here.
            self.network.sysctl(namespace, "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        self._write_files()
        with self.network.entered(SERVER_NODE):
            self._servers += lab_chain_servers.start(self.folder)
        with self.network.entered("h1"):
            self._servers.append(lab_chain_servers.start_names(_zone(), NAME_SERVER))
        self._start_nginx()

    def close(self) -> None:
        """End the servers, delete the namespaces and the folder. Never raises."""
        for stop in self._servers:
            with contextlib.suppress(OSError):
                stop()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.network.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def applied(self, setting: Setting) -> Iterator[None]:
        """Under ``setting``, which is undone in the end."""
        with contextlib.ExitStack() as undo:
            for namespace, ttl in setting.ttls.items():
                undo.callback(self._start_ttl, namespace, 64)
                self._start_ttl(namespace, ttl)
            for namespace, value, before in setting.sysctls:
                undo.callback(self.network.sysctl, namespace, before)
                self.network.sysctl(namespace, value)
            for namespace, chains in setting.filters.items():
                undo.callback(run, self.network.inside(namespace, ["nft", "delete table inet lab"]))
                run(self.network.inside(namespace, ["nft", "-f", "-"]), f"table inet lab {{\n{chains}\n}}\n")
            for namespace, command, reverse in setting.commands:
                self.network.ip(namespace, command)
                undo.callback(self.network.ip, namespace, *([reverse] if reverse else []))
            for install in setting.devices:
                undo.callback(install(self.network).stop)
            yield

    def netdiag(
        self, *argv: str, prefix: Iterable[str] = (), timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run netdiag as the client; ``prefix`` is a command that runs a command."""
        return self.execute(*prefix, sys.executable, "-m", "netdiag", *argv, timeout_s=timeout_s)

    def execute(self, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command as the client, in the project's folder."""
        return subprocess.run(
            self.as_client(*command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"},
        )

    def as_client(self, *command: str) -> list[str]:
        """The command line that runs on the client, with its own hosts and resolv.conf in place of the host's."""
        mounts = " && ".join(f"mount --bind {self.folder}/{name} /etc/{name}" for name in ("hosts", "resolv.conf"))
        shell = ["sh", "-c", f'{mounts} && exec "$@"', "sh", *command]
        return self.network.inside("h0", ["unshare", "--mount", "--propagation", "private", *shell])

    @property
    def trust(self) -> Path:
        """The authority that the client trusts."""
        return self.folder / "root.pem"

    def _start_ttl(self, namespace: str, ttl: int) -> None:
        number = int(namespace.removeprefix("h"))
        devices = [f"h{n}" for n in (number - 1, number + 1) if 0 <= n <= ROUTERS + 1]
        self.network.sysctl(
            namespace,
            f"net.ipv4.ip_default_ttl={ttl}",
            *(f"net.ipv6.conf.{device}.hop_limit={ttl}" for device in devices),
        )

    def _write_files(self) -> None:
        root = lab_pki.authority("Contoso Lab Root", "Contoso Trust Services")
        issuing = lab_pki.authority("Contoso Lab Issuing CA", "Contoso Trust Services", root)
        lab_pki.write(self.folder, "root", root)
        many = tuple(f"tenant-{number}.app.contoso.test" for number in range(60))
        lab_pki.write(self.folder, "server", lab_pki.leaf((NAME, NAME_V6, *many), issuing), issuing)
        lab_pki.write(self.folder, "small", lab_pki.leaf((NAME_SMALL,), issuing), issuing)
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
        (self.folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:2\n")

    def _start_nginx(self) -> None:
        conf = self.folder / "nginx.conf"
        conf.write_text(lab_chain_servers.nginx_conf(self.folder, HTTPS, NAME_SMALL))
        with (self.folder / "nginx.out").open("wb") as log:
            process = subprocess.Popen(
                self.network.inside(SERVER_NODE, ["nginx", "-c", str(conf)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        end = time.monotonic() + 15
        while not self._accepts(HTTPS):
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError(f"nginx did not start: {(self.folder / 'nginx.out').read_text()}")
            time.sleep(0.02)

    def _accepts(self, port: int) -> bool:
        """Whether the client can connect; which also lets all neighbours on the way find each other."""
        with self.network.entered("h0"):
            return all(lab_chain_servers.accepts(address, port) for address in (SERVER, SERVER_V6))


def _zone() -> dict[tuple[str, str], str]:
    """Names and addresses, both ways."""
    zone = {(name, "AAAA" if ":" in address else "A"): address for name, address in ADDRESSES.items()}
    named = {hop_address(hop, v6=v6): f"router{hop}.isp.test" for hop in range(1, ROUTERS + 1) for v6 in (False, True)}
    named |= {SERVER: NAME, SERVER_V6: NAME_V6}
    return zone | {(lab_chain_servers.reverse(address), "PTR"): f"{name}." for address, name in named.items()}
