"""How to look: the choices a user has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from netdiag.pki.trust import TrustStore

#: One network wait, in seconds.
DEFAULT_TIMEOUT_S = 8.0
MAX_TIMEOUT_S = 3600.0
#: A whole run against one target, in seconds: a person waits in front of it.
RUN_LIMIT_S = 55.0


Until = Literal["dns", "tcp", "tls", "chain", "https"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The same choices as the command line's, with its defaults."""

    #: "system", "none", a URL, HOST:PORT, or "pac:FILE-or-URL". For a node only what its certificate names is retrieved
    #: through it.
    proxy: str = "system"
    #: User name and password for the proxy.
    credentials: tuple[str, str] | None = None
    #: "certifi", "system", files, folders; or a store.
    trust: tuple[str, ...] | TrustStore = ("system",)
    #: Name servers to ask and compare, besides those of the machine: IP or IP:PORT.
    resolvers: tuple[str, ...] = ()
    timeout_s: float = DEFAULT_TIMEOUT_S
    #: Whether to trace the path: None does so where something on it may be to blame for a failure.
    trace: bool | None = None
    #: Without the names of the routers.
    numeric: bool = False
    #: Say in the report which machine this is: name, system, time zone.
    name_machine: bool = True
    #: The last rung to climb.
    until: Until = "https"
    #: Capture the packets of the probes where this process has the right to, for what they tell of a failure.
    tap: bool = True
    #: Keep these packets in this file (pcapng), even if ``tap`` is off.
    capture: str = ""
    #: Retrieve what a node's certificate names (issuers, revocation), as ``netdiag cert`` does; and use and keep the
    #: revocation lists of earlier runs.
    fetch: bool = True
    cache: bool = True
