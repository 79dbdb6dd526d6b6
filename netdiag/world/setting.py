"""What stands where in one scene: values only. ``world.py`` builds it.

Contract: every class is frozen and hashable where it is a server, so that equal servers can be told apart by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from netdiag.world.authority import Handshake, Issuer, Leaf
from netdiag.world.names import Zone

#: The loopback entries of an ordinary hosts file (RFC 6761 §6.3 asks for the same answers).
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"

# --- servers ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer. ``headers`` are name and value."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


@dataclass(frozen=True, kw_only=True)
class Web:
    """An HTTP server; over TLS when it has a certificate. Without an answer it reads the request and hangs."""

    answer: Answer | None
    leaf: Leaf | None = None
    handshake: Handshake = field(default_factory=Handshake)


@dataclass(frozen=True, kw_only=True)
class HelloFilter:
    """A device on the path that reads the ClientHello, and cuts the connection when it names a forbidden server.

    ``names`` empty forbids every handshake. What it lets through goes on to ``behind``.
    """

    names: tuple[str, ...] = ()
    how: Literal["reset", "close"] = "reset"
    behind: Web | None = None


@dataclass(frozen=True, kw_only=True)
class Banner:
    """A server that says its line and hangs up: no HTTP, no TLS."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """An HTTP proxy. Without an ``answer`` it opens the tunnels that it is asked for.

    ``account`` (user, password) is asked for with Basic. With ``inspects`` it opens TLS: it answers in the target's
    name with a certificate of its own authority.
    """

    answer: Answer | None = None
    account: tuple[str, str] | None = None
    inspects: Issuer | None = None


@dataclass(frozen=True, kw_only=True)
class Node:
    """Another node of an integration runtime: net.tcp, over TLS when it has a certificate, else without encryption.

    With a ``fault`` (its name) it answers every connection with that.
    """

    leaf: Leaf | None = None
    fault: str = ""


Server = Web | HelloFilter | Banner | Proxy | Node

#: A firewall drops what goes there; nobody listens there.
Nobody = Literal["dropped", "closed"]

# --- the scene's surroundings ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The network around one machine, and the machine itself.

    ``servers`` maps "host:port" ("[v6]:port") to what stands there; an address that is not listed is dropped.
    ``zones`` maps each of the machine's name servers (addresses; port 53) to what it knows, in the order of asking.
    """

    zones: Mapping[str, Zone]
    servers: Mapping[str, Server | Nobody]
    #: What the proxy's own name server knows; None is the machine's first one.
    proxy_zone: Zone | None = None
    hosts: str = HOSTS
    environment: Mapping[str, str] = field(default_factory=dict)
    #: The roots in the machine's trust store; the public list always holds the world's public root.
    trust: tuple[Issuer, ...] = ("public",)
    #: The machine's clock minus the true time.
    clock_offset_s: float = 0.0
