"""A setting turned into servers on loopback, and into the ``Machine`` that netdiag is told to run on.

Contract: ``World`` owns every port, thread and file; leaving it ends them. Machines made by it are useless after.
"""

from __future__ import annotations

import ipaddress
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from netdiag.model import MachineInfo
from netdiag.pki.trust import TrustStore
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Net
from netdiag.world import names, nodes, proxies, servers
from netdiag.world.authority import Authority
from netdiag.world.loop import IDLE_S, Handler, Loop
from netdiag.world.names import StubResolver, Zone
from netdiag.world.setting import Banner, HelloFilter, Node, Proxy, Server, Setting, Web

DNS_PORT = 53

#: How long a machine's resolver waits for each name server. Shorter than the probes' patience, as the C library's
#: five seconds are shorter than theirs.
RESOLVER_TIMEOUT_S = 1.0


class World:
    """The embedded world. Use it as a context manager; machines may be made and used side by side.

    A dozen machines at most, since each brings listeners of its own, and Windows selects among 512 sockets.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="netdiag-world-", ignore_cleanup_errors=True)
        self._files = 0
        self._loop = Loop()
        self.authority = Authority(Path(self._folder.name), time.time())
        self._closed = self._loop.closed()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every server. Raises ``RuntimeError`` when one of them had a bug."""
        self._loop.stop()
        self._folder.cleanup()
        if self._loop.bugs:
            raise RuntimeError("a server of the world had a bug: " + "; ".join(self._loop.bugs))

    def machine(self, setting: Setting) -> Machine:
        """A machine in these surroundings, whose servers are started."""
        place = _Place(self._loop, self.authority, self._closed, setting)
        name_servers = tuple(Address(host, DNS_PORT) for host in setting.zones)
        hosts_file = self._write_hosts(setting.hosts)
        resolver = StubResolver(
            hosts=_parse_hosts(setting.hosts),
            name_servers=name_servers,
            translate=place.translate,
            timeout_s=RESOLVER_TIMEOUT_S,
        )
        return Machine(
            net=Net(translate=place.translate, lookup=resolver),
            hosts_file=hosts_file,
            name_servers=name_servers,
            environment=dict(setting.environment),
            system_settings=False,
            clock=lambda: time.time() + setting.clock_offset_s,
            info=MachineInfo(name="demo", system="the embedded world", utc_offset_s=0),
            public_roots=self.authority.store("public"),
        )

    def trust(self, setting: Setting) -> TrustStore:
        """What that machine believes in."""
        return self.authority.store(*setting.trust)

    def _write_hosts(self, text: str) -> Path:
        self._files += 1
        path = Path(self._folder.name) / f"hosts-{self._files}"
        path.write_text(text, encoding="utf-8")
        return path


class _Place:
    """One setting's servers, and the translation from the addresses they seem to have."""

    def __init__(self, loop: Loop, authority: Authority, closed: Address, setting: Setting) -> None:
        self._loop = loop
        self._authority = authority
        self._setting = setting
        self._actual: dict[Address, Address | None] = {}
        for host, zone in setting.zones.items():
            self._actual[Address(host, DNS_PORT)] = self._start_dns(zone)
        for text, server in setting.servers.items():
            actual = None if server == "dropped" else closed if server == "closed" else self._start(server)
            self._actual[parse_address(text)] = actual

    def translate(self, address: Address) -> Address | None:
        """Where ``address`` is on loopback; None for one that is dropped on the way."""
        return self._actual.get(address)

    # --- what a proxy sees ---

    def web(self, host: str, port: int) -> Web | None:
        """The web server behind a name, as the proxy's name server knows it."""
        for address in self._resolve(host):
            server = self._standing(Address(address, port))
            if isinstance(server, Web):
                return server
        return None

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection to the first address that is there."""
        addresses = self._resolve(host)
        if not addresses:
            raise LookupError(host)
        for address in addresses:
            actual = self.translate(Address(address, port))
            if actual is not None:
                return socket.create_connection(actual, timeout=IDLE_S)
        raise TimeoutError("no answer")  # at once: a scene should not wait for the proxy's patience

    def _resolve(self, host: str) -> tuple[str, ...]:
        if names.is_address(host):
            return (host,)
        zone = self._setting.proxy_zone
        if zone is None:
            zone = next(iter(self._setting.zones.values()))
        known = zone.get(host, names.UNKNOWN)
        return self._resolve(known.alias) if known.alias else known.addresses

    def _standing(self, address: Address) -> object:
        by_address: Mapping[Address, object] = {parse_address(k): v for k, v in self._setting.servers.items()}
        return by_address.get(address)

    # --- starting ---

    def _start_dns(self, zone: Zone) -> Address:
        return self._loop.tcp_and_udp(
            lambda connection: names.serve_tcp(zone, connection),
            lambda question: names.answer(zone, question, udp=True),
        )

    def _start(self, server: Server) -> Address:
        return self._loop.tcp(self._handler(server))

    def _handler(self, server: Server) -> Handler:
        authority = self._authority
        match server:
            case Web():
                return lambda connection: servers.serve_web(connection, server, authority)
            case Node():
                return lambda connection: nodes.serve_node(connection, server, authority)
            case Banner():
                return lambda connection: servers.serve_banner(connection, server)
            case Proxy():
                return lambda connection: proxies.serve_proxy(connection, server, authority, self)
            case HelloFilter():
                behind = self._start(server.behind) if server.behind else None
                return lambda connection: servers.serve_filter(connection, server, lambda: _dial(behind))


def _dial(address: Address | None) -> socket.socket:
    if address is None:
        raise TimeoutError("no answer")
    return socket.create_connection(address, timeout=IDLE_S)


def parse_address(text: str) -> Address:
    """``host:port`` or ``[v6]:port``, as settings write it."""
    host, _, port = text.rpartition(":")
    return Address(str(ipaddress.ip_address(host.strip("[]"))), int(port))


def _parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Addresses by name, in the file's order (hosts(5))."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        for alias in aliases:
            found[alias.lower()] = (*found.get(alias.lower(), ()), address)
    return found
