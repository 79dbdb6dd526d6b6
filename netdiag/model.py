"""The values that travel through netdiag: targets, observations, findings, verdicts, reports.

Contract of this file: every type is a frozen, keyword-only msgspec struct that survives a round trip through JSON.
Beside them stand two pure functions about how names are written. No I/O, no clock, nothing of netdiag imported. Times
are seconds (suffix ``_s``) or milliseconds (``_ms``); ``started`` is seconds since the Unix epoch. Collections are
tuples. Certificates are DER, which JSON carries as base64.

Probes, captures and logs produce observations; rules turn observations into findings; renderers print reports.
An observation has at most one failure, and says nothing about whose fault it is: that is the rules' business.
"""

from __future__ import annotations

import enum
import re
from typing import Literal

import msgspec

SCHEMA_VERSION = 1

Rung = Literal["machine", "dns", "tcp", "proxy", "tls", "chain", "https"]
RUNGS: tuple[Rung, ...] = ("machine", "dns", "tcp", "proxy", "tls", "chain", "https")

#: Which way a connection takes: straight to the target, or through the proxy that applies to it.
Route = Literal["direct", "proxy"]

Scheme = Literal["https", "http", "tcp"]


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every type here."""


class Target(Struct, frozen=True, kw_only=True):
    """What was asked about: ``host`` is a name in A-label form or an address without brackets."""

    host: str
    port: int = 443
    scheme: Scheme = "https"
    path: str = "/"
    #: What the port is for, where a profile says it ("interactive authoring").
    purpose: str = ""

    @property
    def authority(self) -> str:
        """``host:port``, with brackets around an IPv6 address (RFC 3986 §3.2)."""
        return authority(self.host, self.port)


def authority(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address (RFC 3986 §3.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


FailureKind = Literal[
    # any network step
    "timeout",
    "refused",
    "reset",
    "eof",
    "unreachable",
    "prohibited",
    "local-policy",
    "no-route",
    # names
    "nxdomain",
    "servfail",
    "dns-refused",
    "no-answer",
    "lame",
    "dns-malformed",
    # proxies
    "proxy-status",
    "not-a-proxy",
    "proxy-authentication",
    "pac-error",
    "proxy-setting",
    # TLS and certificates
    "tls-alert",
    "tls-malformed",
    "certificate",
    # HTTP
    "http-malformed",
    "too-many-redirects",
    # netdiag itself
    "cancelled",
    "internal",
    "unknown",
]


class Failure(Struct, frozen=True, kw_only=True):
    """Why one step did not succeed. ``kind`` is the closed vocabulary that rules decide on.

    ``step`` names the operation ("connect", "query", "handshake"); ``detail`` is for the reader, never for decisions.
    """

    kind: FailureKind
    step: str
    detail: str = ""


class Flow(Struct, frozen=True, kw_only=True):
    """The five-tuple that ties a probe to packets and log lines."""

    protocol: Literal["tcp", "udp"] = "tcp"
    client: str
    client_port: int
    server: str
    server_port: int


Source = Literal["probe", "capture", "file", "log"]
Outcome = Literal["ok", "failed", "not-run"]


class Observation(Struct, tag_field="type", frozen=True, kw_only=True):
    """One thing seen, and when. ``parent`` is the id of the observation this one depended on.

    ``route`` tells the direct way from the way through a proxy. ``took_s`` is wall time. ``failure`` is set exactly
    when ``outcome`` is "failed"; "not-run" means that it was planned and cut off before it could tell anything.
    """

    id: str
    parent: str | None = None
    source: Source = "probe"
    route: Route = "direct"
    started: float = 0.0
    took_s: float = 0.0
    outcome: Outcome = "ok"
    failure: Failure | None = None
    flow: Flow | None = None


class DnsRecord(Struct, frozen=True, kw_only=True):
    """One resource record of an answer section, in presentation form (RFC 1035 §5.1)."""

    name: str
    type: str
    ttl: int
    value: str


#: Who was asked for a name: the operating system as an application would (getaddrinfo), a name server, the hosts file.
Asker = Literal["system", "name-server", "hosts-file"]


class DnsObservation(Observation, tag="dns", frozen=True, kw_only=True):
    """The answer to one lookup. A name server is asked for one ``qtype``; the others give both address families."""

    asker: Asker
    #: "10.0.0.2:53" for a name server, the path for a hosts file, empty for the system.
    server: str = ""
    #: False for a server that the user added with --resolver: it is compared, but no application here asks it.
    configured: bool = True
    name: str
    qtype: str = "A+AAAA"
    rcode: str = ""
    addresses: tuple[str, ...] = ()
    records: tuple[DnsRecord, ...] = ()
    transport: Literal["", "udp", "tcp"] = ""
    #: The UDP answer was truncated, so the question was asked again over TCP (RFC 1035 §4.2.1).
    truncated: bool = False
    recursion_available: bool = True
    attempts: int = 1


class TcpInfo(Struct, frozen=True, kw_only=True):
    """What the kernel knows of a connection (Linux TCP_INFO, macOS TCP_CONNECTION_INFO)."""

    rtt_ms: float | None = None
    #: SYNs or segments sent again so far.
    retransmits: int | None = None
    mss: int | None = None


class IcmpError(Struct, frozen=True, kw_only=True):
    """The ICMP or ICMPv6 error that ended an attempt, and who sent it (Linux IP_RECVERR)."""

    version: Literal[4, 6]
    type: int
    code: int
    offender: str


class TcpObservation(Observation, tag="tcp", frozen=True, kw_only=True):
    """One connection attempt to one address."""

    address: str
    port: int
    #: The machine at the other end: the target, or the proxy in front of it.
    peer: Literal["target", "proxy"] = "target"
    info: TcpInfo | None = None
    icmp: IcmpError | None = None


class ProxySelection(Observation, tag="proxy-selection", frozen=True, kw_only=True):
    """Which proxy applies to the target, and why."""

    #: The proxies to try in order, as URLs without credentials. Empty: the connection goes out directly.
    proxies: tuple[str, ...] = ()
    #: The connection goes out directly when none of them can be reached (a PAC answer that ends in DIRECT).
    falls_back: bool = False
    #: What decided: "--proxy", "HTTPS_PROXY", "NO_PROXY", "Windows settings", "PAC http://...", "no setting".
    because: str = ""
    #: The setting's own words: the NO_PROXY entry that matched, or the PAC script's answer.
    setting: str = ""


class ProxyObservation(Observation, tag="proxy", frozen=True, kw_only=True):
    """One attempt to open a tunnel to the target through a proxy."""

    #: The proxy's URL without credentials; its scheme tells the protocol: http, https, socks5.
    proxy: str
    #: The HTTP status of the last answer to CONNECT, or the SOCKS5 reply code (RFC 1928 §6).
    status: int | None = None
    reason: str = ""
    #: Authentication schemes the proxy offered (Proxy-Authenticate), or SOCKS5 methods.
    offered: tuple[str, ...] = ()
    #: The scheme that was tried with credentials, empty for none.
    tried: str = ""
    #: Whether netdiag had credentials (or a Kerberos ticket) for one of the offered schemes.
    credentials: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    #: The start of the proxy's own page, decoded, at most 4096 characters.
    body: str = ""


#: Why a handshake was made. "main" is what an application would do; the others are controls to compare it with.
HandshakePurpose = Literal[
    "main", "tls1.2-only", "legacy-versions", "repeat", "other-name", "no-name", "proxy", "system"
]


class TlsObservation(Observation, tag="tls", frozen=True, kw_only=True):
    """One TLS handshake, made without judging the certificate."""

    address: str
    port: int
    purpose: HandshakePurpose = "main"
    #: The SNI sent (RFC 6066 §3); empty for none.
    server_name: str = ""
    #: Versions offered, lowest and highest ("TLSv1.2", "TLSv1.3").
    offered: tuple[str, str] = ("TLSv1.2", "TLSv1.3")
    version: str = ""
    cipher: str = ""
    alpn: str = ""
    #: The presented certificates as DER, leaf first, whether trusted or not.
    chain: tuple[bytes, ...] = ()
    #: The alert the peer sent, by its RFC 8446 §6 name ("handshake_failure"), whether or not it ended the handshake.
    alert: str = ""
    #: The server asked for a client certificate.
    client_certificate_requested: bool = False
    #: A reset after a ServerHello is another thing than one right after our ClientHello.
    bytes_sent: int = 0
    bytes_received: int = 0
    #: The first bytes received when they were not TLS, decoded as Latin-1 ("HTTP/1.1 400 ...").
    not_tls: str = ""


class CertificateSummary(Struct, frozen=True, kw_only=True):
    """The part of a certificate that a reader needs to recognise it."""

    subject: str
    issuer: str
    serial: str
    not_before: float
    not_after: float
    #: Hexadecimal SHA-256 and SHA-1 of the DER.
    sha256: str
    sha1: str
    key: str = ""
    signature_algorithm: str = ""
    names: tuple[str, ...] = ()
    is_ca: bool = False
    self_signed: bool = False
    #: caIssuers URLs of the authority information access extension (RFC 5280 §4.2.2.1).
    aia: tuple[str, ...] = ()


def name_part(name: str, key: str) -> str:
    """The first value of an attribute ("CN", "O") of a subject or issuer; empty where it has none.

    A separator counts only without a backslash before it, and a backslash before a character that is meant goes
    (RFC 4514 §2.4).
    """
    match = re.search(rf"(?:^|(?<!\\)[,+])\s*{key}=((?:\\.|[^,+\\])+)", name)
    return re.sub(r"\\(.)", r"\1", match[1]).strip() if match else ""


FaultKind = Literal[
    "expired",
    "not-yet-valid",
    "name-mismatch",
    "incomplete",
    "untrusted-root",
    "root-missing-locally",
    "bad-signature",
    "not-a-ca",
    "path-length-exceeded",
    "key-usage",
    "purpose-mismatch",
    "name-constraint",
    "weak-key",
    "weak-signature",
    "malformed",
]


class ChainFault(Struct, frozen=True, kw_only=True):
    """One thing wrong with one element of a chain. ``element`` counts from the leaf, 0."""

    kind: FaultKind
    element: int
    subject: str
    detail: str
    #: The .NET X509ChainStatusFlags name that certutil and .NET would show.
    status_flag: str = ""


class ChainObservation(Observation, tag="chain", frozen=True, kw_only=True):
    """The verification of a presented chain against the trust store in use."""

    #: The name that the leaf was matched with.
    host: str
    elements: tuple[CertificateSummary, ...] = ()
    faults: tuple[ChainFault, ...] = ()
    #: The trust stores, in words: ("system /etc/ssl/certs/ca-certificates.crt",).
    stores: tuple[str, ...] = ()
    store_size: int = 0
    #: The user named the store's files with --trust, so its roots are vouched for.
    store_vouched: bool = False
    #: Whether the chain ends in a root of the public WebPKI (certifi), whatever the store in use says.
    publicly_trusted: bool = False
    #: Whether DigiCert Global Root G2, which signs the service's certificates, is in the store.
    has_digicert_g2: bool = False
    #: The time that validity was judged at.
    at: float = 0.0


class HttpHop(Struct, frozen=True, kw_only=True):
    """One answer in a chain of redirects."""

    url: str
    status: int
    location: str = ""


class HttpsObservation(Observation, tag="https", frozen=True, kw_only=True):
    """One fetch as an application makes it, redirects followed."""

    url: str
    final_url: str = ""
    #: False when the chain was not trusted: the fetch then carried no secret and served only to read clock and page.
    verified: bool = True
    status: int | None = None
    reason: str = ""
    redirects: tuple[HttpHop, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    #: The start of the body, decoded, at most 4096 characters.
    body: str = ""
    body_bytes: int = 0
    first_byte_s: float | None = None
    #: The Date header minus this machine's clock at that moment, in seconds; None without a usable header.
    clock_offset_s: float | None = None


AnyObservation = (
    DnsObservation
    | TcpObservation
    | ProxySelection
    | ProxyObservation
    | TlsObservation
    | ChainObservation
    | HttpsObservation
)

#: The rung that each type belongs to, in ladder order.
RUNG_OF: dict[type[Observation], Rung] = {
    ProxySelection: "machine",
    DnsObservation: "dns",
    TcpObservation: "tcp",
    ProxyObservation: "proxy",
    TlsObservation: "tls",
    ChainObservation: "chain",
    HttpsObservation: "https",
}


class Severity(enum.StrEnum):
    """How much a finding matters: an error means that the target cannot be used."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst, so that sorting puts it first."""
        return list(Severity).index(self)


Blame = Literal[
    "this-machine",
    "dns",
    "local-network",
    "path-device",
    "proxy",
    "tls-interceptor",
    "server",
    "certificate-authority",
    "azure-service",
    "unknown",
]


class Culprit(Struct, frozen=True, kw_only=True):
    """The thing to look at, as far as it is known: a device's address and hop, a proxy, a vendor."""

    address: str = ""
    hop: int | None = None
    name: str = ""


class Finding(Struct, frozen=True, kw_only=True):
    """One fault, as judged by one rule.

    ``evidence`` holds observation ids. ``folded`` holds the ids of findings that this one explains, and so replaces.
    """

    id: str
    severity: Severity
    summary: str
    blame: Blame
    remedy: str
    evidence: tuple[str, ...] = ()
    culprit: Culprit | None = None
    reference: str = ""
    folded: tuple[str, ...] = ()


class NotRun(Struct, frozen=True, kw_only=True):
    """A rung that was not tried, and why."""

    rung: Rung
    route: Route = "direct"
    reason: str


Status = Literal["healthy", "impaired", "failed", "inconclusive"]


class Verdict(Struct, frozen=True, kw_only=True):
    """The one answer. ``finding`` is the root cause's id, null when the status is healthy."""

    status: Status
    finding: str | None
    blame: Blame | None
    summary: str


class Tool(Struct, frozen=True, kw_only=True):
    """What wrote a report."""

    name: str = "netdiag"
    version: str


class Report(Struct, frozen=True, kw_only=True):
    """Everything that one run found out about one target."""

    schema_version: int = SCHEMA_VERSION
    tool: Tool
    command: str
    target: Target
    #: The route that an application on this machine would take.
    route: Route = "direct"
    started: float
    took_s: float
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    observations: tuple[AnyObservation, ...] = ()
    not_run: tuple[NotRun, ...] = ()
    #: A bug in netdiag that ended a rung early, one line each.
    internal_errors: tuple[str, ...] = ()


class UsageError(Exception):
    """The user's input cannot be used. The message is one line that names the input and what is wrong with it."""
