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


class Severity(enum.StrEnum):
    """How much a finding matters: an error means that the target cannot be used."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst, so that sorting puts it first."""
        return list(Severity).index(self)


Rung = Literal["machine", "dns", "tcp", "proxy", "node", "tls", "chain", "https"]
RUNGS: tuple[Rung, ...] = ("machine", "dns", "tcp", "proxy", "node", "tls", "chain", "https")

#: Which way a connection takes: straight to the target, or through the proxy that applies to it.
Route = Literal["direct", "proxy"]

#: "net.tcp": another node of an integration runtime. "file": the target is a capture, a certificate, a log file, or
#: what nodes reported of each other; ``path`` is its name, host and port are empty.
Scheme = Literal["https", "http", "tcp", "net.tcp", "file"]


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
        """``host:port``, with brackets around an IPv6 address (RFC 3986 §3.2); a file's name."""
        return self.path if self.scheme == "file" else authority(self.host, self.port)


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
    # net.tcp (MC-NMF)
    "net-tcp-fault",
    "not-net-tcp",
    # TLS and certificates
    "tls-alert",
    "tls-malformed",
    "certificate",
    # HTTP
    "http-malformed",
    "web-page",
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
    #: How many connections of a capture this stands for. They ended alike; the times and the flow are the first's.
    connections: int = 1


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


#: Every path carries segments of this size (RFC 9293 §3.7.1: the default where no size was told): a handshake for the
#: purpose "small-segments" is limited to it.
SMALL_SEGMENT = 536

#: Why a handshake was made. "main" is what an application would do; the others are controls to compare it with.
#: "bare" is TLS at once with a port where net.tcp should come before it.
HandshakePurpose = Literal[
    "main",
    "tls1.2-only",
    "legacy-versions",
    "repeat",
    "other-name",
    "no-name",
    "small-segments",
    "proxy",
    "system",
    "bare",
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
    #: The fatal alert that the client of a capture sent: "unknown_ca" says that it does not trust the chain,
    #: "encrypted" that TLS 1.3 hides which it was. Empty for a probe.
    sent_alert: str = ""
    #: Whose alert, reset or FIN ended the handshake of a capture, by its address.
    ended_by: Literal["", "client", "server"] = ""
    #: The server asked for a client certificate.
    client_certificate_requested: bool = False
    #: A reset after a ServerHello is another thing than one right after our ClientHello.
    bytes_sent: int = 0
    bytes_received: int = 0
    #: The first bytes received when they were not TLS, decoded as Latin-1 ("HTTP/1.1 400 ...").
    not_tls: str = ""


class CertificateSummary(Struct, frozen=True, kw_only=True):
    """The part of a certificate that a reader needs to recognise it, and to see what it may be used for."""

    subject: str
    issuer: str
    serial: str
    not_before: float
    not_after: float
    #: Hexadecimal SHA-256 and SHA-1 of the DER.
    sha256: str
    sha1: str
    #: 1 or 3.
    version: int = 3
    key: str = ""
    signature_algorithm: str = ""
    names: tuple[str, ...] = ()
    is_ca: bool = False
    path_length: int | None = None
    self_signed: bool = False
    #: As RFC 5280 §4.2.1.3 names them: ("digitalSignature", "keyCertSign"); empty where the extension is absent.
    key_usage: tuple[str, ...] = ()
    #: Names where they are known, else dotted: ("serverAuth", "1.3.6.1.4.1.311.20.2.2").
    extended_key_usage: tuple[str, ...] = ()
    #: Dotted identifiers of certificate policies.
    policies: tuple[str, ...] = ()
    #: Hexadecimal key identifiers (RFC 5280 §4.2.1.1 and §4.2.1.2).
    subject_key_id: str = ""
    authority_key_id: str = ""
    #: caIssuers and ocsp URLs of the authority information access extension (RFC 5280 §4.2.2.1).
    aia: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    #: URLs of CRLs, and of delta CRLs (RFC 5280 §4.2.1.13 and §4.2.1.15).
    cdp: tuple[str, ...] = ()
    freshest_crl: tuple[str, ...] = ()


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
    "policy",
    "revoked",
    "revocation-offline",
    "revocation-unknown",
]

#: Whose rules decide which faults are errors; ``netdiag/pki/profiles.py`` says what each enforces. "clients" is what
#: today's clients refuse between them, for a server that has to please all of them.
ChainProfile = Literal["windows", "rfc5280", "webpki", "clients"]
#: What the certificate is to be used for.
ChainPurpose = Literal["server", "client", "any"]


class ChainFault(Struct, frozen=True, kw_only=True):
    """One thing wrong with one element of a path. ``element`` counts from the leaf, 0."""

    kind: FaultKind
    element: int
    subject: str
    detail: str
    #: Error: the profile that was asked for refuses the path for it. Warning: others do. Info: good to know.
    severity: Severity = Severity.ERROR
    #: The .NET X509ChainStatusFlags name that certutil and .NET would show, and its value (CERT_TRUST_* of wincrypt.h).
    status_flag: str = ""
    status: int = 0
    #: What Windows returns for it: "0x800B0101".
    hresult: str = ""
    #: Hexadecimal SHA-256 of the element; empty where it could not be read.
    certificate: str = ""
    #: Of what the profile in use does not refuse: the profiles that do.
    refused_by: tuple[ChainProfile, ...] = ()

    @property
    def finding(self) -> str:
        """The id of the finding that this fault leads to."""
        return "tls.name-mismatch" if self.kind == "name-mismatch" else f"chain.{self.kind}"


#: How a path ends: at a trust anchor, at a self-signed certificate that is none, or where no issuer is to be found.
PathEnd = Literal["anchor", "self-signed", "dead-end"]


class CertificatePath(Struct, frozen=True, kw_only=True):
    """One candidate path, leaf first, with everything that is wrong with it."""

    elements: tuple[CertificateSummary, ...]
    #: Where each element came from: "given", "store", or the URL it was fetched from.
    sources: tuple[str, ...]
    end: PathEnd
    faults: tuple[ChainFault, ...] = ()
    #: It ends at an anchor of the store in use, and no fault is an error.
    trusted: bool = False


class RejectedIssuer(Struct, frozen=True, kw_only=True):
    """A certificate that bears an issuer's name and was not taken for it, and why."""

    child: str
    subject: str
    sha256: str
    reason: str


RevocationState = Literal["good", "revoked", "unknown", "offline", "no-service", "not-checked"]


class ElementRevocation(Struct, frozen=True, kw_only=True):
    """What is known about the revocation of one element of the best path.

    "unknown": there are answers, and none that counts. "offline": its services could not be reached. "no-service": it
    names none.
    """

    element: int
    subject: str
    state: RevocationState
    #: What told: "OCSP", "CRL 1a2b" (its number in hexadecimal), "CRL 1a2b and delta CRL 1a2c"; empty for nothing.
    source: str = ""
    #: The reason by its RFC 5280 §5.3.1 name ("keyCompromise"), and the moment, of a revocation.
    reason: str = ""
    revoked_at: float | None = None
    #: Until when the answer holds, where it says so.
    next_update: float | None = None
    detail: str = ""


class ChainObservation(Observation, tag="chain", frozen=True, kw_only=True):
    """The verification of a chain against the trust store in use."""

    #: The name that the leaf was matched with; empty for none.
    host: str
    #: The best path, leaf first; its faults that are errors or warnings, and those that are only good to know.
    elements: tuple[CertificateSummary, ...] = ()
    faults: tuple[ChainFault, ...] = ()
    notes: tuple[ChainFault, ...] = ()
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
    profile: ChainProfile = "clients"
    purpose: ChainPurpose = "server"
    #: Every candidate path, the best first, and why it is the best; candidates for an issuer that were not taken.
    #: Empty where only the best path was asked for.
    paths: tuple[CertificatePath, ...] = ()
    chosen: str = ""
    rejected: tuple[RejectedIssuer, ...] = ()
    #: The search ended at one of its limits, so there may be other paths.
    exhausted: bool = False
    #: One for each element of the best path below its anchor; empty where revocation was not looked at.
    revocation: tuple[ElementRevocation, ...] = ()


#: What a URL is named for: a certificate's issuer, its CRL, a delta CRL, its OCSP responder.
UrlPurpose = Literal["aia", "cdp", "delta", "ocsp"]

#: What became of a URL. "failed": nothing came. "refused": the responder answered with an error (RFC 6960 §2.3).
#: "unusable": what came is not what it should be. "wrong-scope": it is about other certificates or reasons.
#: "unsupported": a scheme that is not retrieved.
UrlStatus = Literal[
    "verified",
    "revoked",
    "expired",
    "not-yet-valid",
    "unknown",
    "wrong-issuer",
    "bad-signature",
    "wrong-scope",
    "unusable",
    "refused",
    "failed",
    "unsupported",
]


class RetrievalObservation(Observation, tag="retrieval", frozen=True, kw_only=True):
    """One URL of one certificate, retrieved and compared with it, as ``certutil -verify -urlfetch`` does.

    ``parent`` is the chain that asked for it. ``failure`` tells why nothing came; ``status`` what the content is worth.
    """

    url: str
    purpose: UrlPurpose
    #: The element of the best path that names the URL, and its subject.
    element: int
    subject: str
    status: UrlStatus
    detail: str = ""
    method: Literal["", "GET", "POST", "LDAP"] = ""
    #: The proxy that it went through, without credentials; empty for none.
    proxy: str = ""
    #: The HTTP status of the last answer, where there was one.
    http_status: int | None = None
    bytes: int = 0
    #: Taken from the cache of an earlier run.
    cached: bool = False
    #: The CRL's number in hexadecimal, or the subject of the certificate that came.
    object: str = ""
    this_update: float | None = None
    next_update: float | None = None


#: Where a key's provider keeps it: an old cryptographic service provider, or a key storage provider (CNG).
KeyProviderKind = Literal["", "csp", "ksp"]


class KeyObservation(Observation, tag="key", frozen=True, kw_only=True):
    """The private key that belongs, or should belong, to a certificate in a PKCS#12 or PEM file."""

    path: str
    #: "pkcs12", "pem", "der".
    format: str
    #: The certificate that it is about.
    subject: str = ""
    certificate: str = ""
    #: The file holds a private key; and that key's public half is the certificate's.
    present: bool = False
    matches: bool = False
    #: Its kind and size ("RSA 2048").
    key: str = ""
    #: The provider's name in the file (1.3.6.1.4.1.311.17.1) and its kind; empty where the file does not say.
    provider: str = ""
    provider_kind: KeyProviderKind = ""
    #: The key is to be put into the machine's store (1.3.6.1.4.1.311.17.2).
    machine_keyset: bool = False
    #: What the file says the key is for: AT_KEYEXCHANGE, AT_SIGNATURE; empty where it does not say.
    key_spec: Literal["", "exchange", "signature"] = ""
    friendly_name: str = ""
    #: Key usage and alternative names of the certificate, in its order.
    key_usage: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


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


class Segment(Struct, frozen=True, kw_only=True):
    """One TCP segment of a capture, as its headers say."""

    #: Its number in the capture, counted from 1.
    frame: int
    #: When, in seconds since the Unix epoch.
    at: float
    sender: Literal["client", "server"]
    #: Wireshark's way: "SYN", "SYN,ACK", "PSH,ACK", "RST"; in the order FIN SYN RST PSH ACK URG ECE CWR.
    flags: str
    seq: int
    #: 0 without the ACK flag.
    ack: int
    #: Bytes of payload on the wire.
    length: int
    #: As sent, not scaled.
    window: int
    ttl: int
    #: The identification field of IPv4; None for IPv6.
    ip_id: int | None = None
    #: Don't fragment.
    df: bool = False
    #: In the order sent, as tcpdump prints them: "mss 1460,sackOK,TS,nop,wscale 7".
    options: str = ""
    ts_val: int | None = None
    ts_ecr: int | None = None
    #: What the engine made of it ("summary": the packet itself was not kept, this is what its connection's row tells of
    #: it; window and options are not known): "retransmission", "syn-retransmission", "out-of-order", "duplicate-ack",
    #: "keep-alive", "zero-window", "previous-lost", "acked-unseen", "captured-twice".
    marks: tuple[str, ...] = ()


#: How a connection began. "complete": SYN, SYN-ACK and the client's ACK. "unfinished": SYN and SYN-ACK, but no ACK.
#: "unanswered": SYNs only. "refused": a reset instead of a SYN-ACK. "mid-stream": its beginning is not in the capture.
Opening = Literal["complete", "unfinished", "unanswered", "refused", "mid-stream"]

#: How it ended. "fin": both sides sent FIN. "half-close": one side did. "reset": a reset ended it before both FINs.
#: "none": the capture shows no end.
Closing = Literal["fin", "half-close", "reset", "none"]


class Connection(Struct, frozen=True, kw_only=True):
    """One TCP connection of a capture: the row of ``--flows``.

    What each count means stands in ``netdiag/capture/connections.py``. ``_client`` is what the client sent, ``_server``
    what the server sent.
    """

    #: Counted from 0 in the order of first packets, as Wireshark's tcp.stream.
    number: int
    client: str
    client_port: int
    server: str
    server_port: int
    #: The server's name: SNI, HTTP CONNECT or a DNS answer in the capture; empty when none tells it.
    name: str = ""
    started: float
    duration_s: float
    first_frame: int
    last_frame: int
    opening: Opening
    closing: Closing
    #: Wireshark's tcp.completeness: 1 SYN, 2 SYN-ACK, 4 ACK, 8 data, 16 FIN, 32 RST.
    completeness: int
    #: From the client's last SYN before the SYN-ACK to that, and on to the client's ACK; None where it is not seen.
    syn_rtt_ms: float | None = None
    ack_rtt_ms: float | None = None
    packets_client: int = 0
    packets_server: int = 0
    #: Payload on the wire.
    bytes_client: int = 0
    bytes_server: int = 0
    syn: int = 0
    syn_ack: int = 0
    fin_client: int = 0
    fin_server: int = 0
    rst_client: int = 0
    rst_server: int = 0
    retransmissions_client: int = 0
    retransmissions_server: int = 0
    out_of_order_client: int = 0
    out_of_order_server: int = 0
    duplicate_acks_client: int = 0
    duplicate_acks_server: int = 0
    zero_windows_client: int = 0
    zero_windows_server: int = 0
    keep_alives_client: int = 0
    keep_alives_server: int = 0
    #: Segments that are missing from the capture: a gap in the sender's sequence numbers, never filled in.
    previous_lost_client: int = 0
    previous_lost_server: int = 0
    #: ACKs for bytes of the other side that the capture does not hold: lost by the capture, not by the network.
    acked_unseen_client: int = 0
    acked_unseen_server: int = 0
    captured_twice: int = 0
    mss_client: int | None = None
    mss_server: int | None = None
    #: TTL of the SYN, the SYN-ACK, and the first reset that each side's address sent; None where there is none.
    ttl_syn: int | None = None
    ttl_syn_ack: int | None = None
    ttl_rst_client: int | None = None
    ttl_rst_server: int | None = None
    #: The lowest and highest TTL of each side's packets other than resets.
    ttl_client: tuple[int, int] | None = None
    ttl_server: tuple[int, int] | None = None
    #: The ICMP error that quotes it, in words ("administratively prohibited, from 10.0.0.1").
    icmp: str = ""
    #: The program that owned it, where the capture tells.
    process: str = ""


class CaptureObservation(Observation, tag="capture", frozen=True, kw_only=True):
    """One capture file: what it is, what is in it, what is missing from it."""

    path: str
    #: "pcap", "pcapng", "netmon 2.3", "etl".
    format: str
    compression: str = ""
    bytes: int = 0
    packets: int = 0
    #: Moments of the earliest and the latest packet.
    first: float = 0.0
    last: float = 0.0
    interfaces: tuple[str, ...] = ()
    os: str = ""
    application: str = ""
    #: Packets that the capturing system lost, by its own count.
    dropped: int = 0
    #: Packets that the capture cut shorter than they were, and how many of these lost TCP or UDP payload.
    snapped: int = 0
    #: Packets with a link layer that netdiag does not read: ("LINKTYPE_IEEE802_11 (105)", 12).
    unknown_links: tuple[tuple[str, int], ...] = ()
    #: Reading ended early: after this packet, at this byte of the decompressed file, for this reason.
    damaged_frame: int | None = None
    damaged_byte: int | None = None
    damage: str = ""
    remarks: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    tcp_packets: int = 0
    udp_packets: int = 0
    icmp_packets: int = 0
    connections: int = 0
    syn: int = 0
    syn_ack: int = 0
    fin: int = 0
    rst: int = 0
    retransmissions: int = 0
    out_of_order: int = 0
    duplicate_acks: int = 0
    zero_windows: int = 0
    keep_alives: int = 0
    previous_lost: int = 0
    acked_unseen: int = 0
    captured_twice: int = 0
    #: Connections by how they began and ended: ("complete", "fin", 71).
    outcomes: tuple[tuple[Opening, Closing, int], ...] = ()
    #: Packets that the capturing system says were dropped (pktmon), by reason: ("INET_PortUnreachable", 3).
    drops: tuple[tuple[str, int], ...] = ()


class ConnectionObservation(Observation, tag="connection", frozen=True, kw_only=True):
    """One TCP connection of a capture that matters, with its packets. ``flow`` names its ends."""

    connection: Connection
    #: The first packets and the last; ``omitted`` others stood between the two.
    segments: tuple[Segment, ...] = ()
    omitted: int = 0
    #: How many of ``segments`` come before the omitted ones.
    omitted_after: int = 0
    #: What the payload is: "tls", "http-connect", "socks5", "http", "net.tcp", "dns"; empty when nothing tells.
    protocol: str = ""
    #: What was asked and answered in clear text, for the reader: "CONNECT host:443 → 403 Forbidden".
    exchange: str = ""


class ResetObservation(Observation, tag="reset", frozen=True, kw_only=True):
    """The facts about the reset of one connection, for the question who sent it. ``parent`` is its connection.

    Nothing here is judged: the weighing is the rules' business.
    """

    #: Who sent it according to its source address.
    claimed: Literal["client", "server"]
    #: The resets that carry that address, in order; at most 16.
    resets: tuple[Segment, ...]
    #: The other packets of the same address: its SYN or SYN-ACK, the last before the reset, those after it (at most 4).
    opening: Segment | None = None
    before: Segment | None = None
    after: tuple[Segment, ...] = ()
    #: The other side's last packet before the reset: what the reset answers.
    answers: Segment | None = None
    #: The other side's last data before the reset.
    provoked_by: Segment | None = None
    #: The TTLs of all other packets of that address in the connection, and how often: ((107, 12),).
    ttls: tuple[tuple[int, int], ...] = ()
    #: TTLs of SYN-ACKs that the same address sent in other connections, for one that answered with nothing but a reset.
    ttls_elsewhere: tuple[tuple[int, int], ...] = ()
    #: The sequence number that address would have sent next, as far as the capture shows; and what the other side
    #: had acknowledged.
    next_seq: int | None = None
    acked: int | None = None
    #: From the capture point to that address and back.
    rtt_ms: float | None = None
    #: Both sides had closed with FIN before, or the claimed sender had.
    after_fin: bool = False
    #: Who had sent FIN before.
    fins: tuple[Literal["client", "server"], ...] = ()
    #: The identifications of that address's last packets before the reset, oldest first; at most 8, none for IPv6.
    ip_ids: tuple[int, ...] = ()
    #: Moments of the client's SYNs, before the reset and after; at most 16.
    syns: tuple[float, ...] = ()
    #: "post_syn", "post_ack", "post_psh", "later_in_flow": how far the connection had come (SIGCOMM 2023, whose last
    #: stage begins with the client's second data packet; here it begins with the server's first).
    stage: Literal["post_syn", "post_ack", "post_psh", "later_in_flow"] = "later_in_flow"
    #: Bytes of payload that each side had sent before it.
    bytes_client: int = 0
    bytes_server: int = 0
    #: The server's name that the client asked for, if TLS or HTTP showed it before the reset.
    server_name: str = ""
    #: How many connections to the same server ended alike (same claimed sender, stage and TTL).
    alike: int = 1


class ServiceObservation(Observation, tag="service", frozen=True, kw_only=True):
    """Everything that a capture shows of one server's port, summed up over its connections.

    The last one may stand for all services that the report has no room for: ``address`` is then empty.
    """

    address: str
    port: int
    names: tuple[str, ...] = ()
    connections: int
    #: By ``Opening``.
    complete: int = 0
    unfinished: int = 0
    unanswered: int = 0
    refused: int = 0
    mid_stream: int = 0
    #: Reset before the server had sent any payload; and after.
    reset_early: int = 0
    reset_late: int = 0
    packets: int = 0
    bytes_client: int = 0
    bytes_server: int = 0
    retransmissions: int = 0
    zero_windows_client: int = 0
    zero_windows_server: int = 0
    #: Median of the SYN to SYN-ACK times.
    rtt_ms: float | None = None
    ttls_syn_ack: tuple[tuple[int, int], ...] = ()


#: What was sent of net.tcp. "preamble": its records up to the request for an upgrade, or to their end. "end": the end
#: of the preamble inside the TLS that was agreed on. "http": an HTTP request instead, to learn what else is there.
NodeAsked = Literal["preamble", "end", "http"]


class NodeObservation(Observation, tag="node", frozen=True, kw_only=True):
    """The preamble of one net.tcp connection (MC-NMF) and what answered it; of a capture, what is in clear text.

    Of a probe the one that asks for TLS is what an integration runtime sends; the others are there to compare.
    """

    address: str
    port: int
    asked: NodeAsked = "preamble"
    #: Where the client wants to go: "net.tcp://node1:8060/ExternalService.svc/".
    via: str = ""
    #: What it asked for before the first message: "application/ssl-tls", "application/negotiate"; empty for nothing, so
    #: that the messages themselves are in clear text.
    upgrade: str = ""
    #: The record that came: an upgrade response, an acknowledged preamble, a fault; "other" for another record, empty
    #: for none.
    answer: Literal["", "upgrade", "acknowledged", "fault", "other"] = ""
    #: The fault's URI as it was sent; its last part is its name (MC-NMF §2.2.5).
    fault: str = ""
    #: The first bytes of the answer when they were no record of MC-NMF, decoded as Latin-1.
    not_net_tcp: str = ""


class HostObservation(Observation, tag="host", frozen=True, kw_only=True):
    """Which machine this is, so that what several nodes report of each other can be put together."""

    #: As the operating system has it ("NODE-A"), and with its domain where that is known ("node-a.contoso.com").
    name: str
    full_name: str = ""
    #: Its own addresses other than loopback, as far as they are known without asking for each interface.
    addresses: tuple[str, ...] = ()


#: What one node found when it tried another. "certificate": TLS came about, and its certificate is not accepted.
#: "broken": it was reached, and the exchange failed otherwise. "untested": it was tried without a result.
ReachState = Literal[
    "reached",
    "name-unknown",
    "refused",
    "silent",
    "reset",
    "unreachable",
    "forbidden",
    "not-net-tcp",
    "fault",
    "tls",
    "certificate",
    "broken",
    "untested",
]


class Reach(Struct, frozen=True, kw_only=True):
    """One direction between two nodes: what the report of ``source`` says of ``target``."""

    source: str
    target: str
    state: ReachState
    #: The report's root cause and whom it blames; empty where it found none.
    finding: str = ""
    blame: str = ""
    summary: str = ""
    remedy: str = ""
    #: When it was tried.
    at: float = 0.0
    #: The file that says so.
    file: str = ""


class MatrixObservation(Observation, tag="matrix", frozen=True, kw_only=True):
    """Who reaches whom, put together from what ``netdiag node`` reported on each node."""

    #: Names as they were asked for, else as the reports have them, in this order.
    nodes: tuple[str, ...]
    #: One for each direction that some report tells of.
    reaches: tuple[Reach, ...] = ()
    #: The nodes that there is a report from.
    reporters: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[tuple[str, str], ...]:
        """The directions (from, to) that no report tells of, in the order of the nodes."""
        told = {(reach.source, reach.target) for reach in self.reaches}
        pairs = ((one, other) for one in self.nodes for other in self.nodes if one != other)
        return tuple(pair for pair in pairs if pair not in told)

    def reach(self, source: str, target: str) -> Reach | None:
        """What is known of one direction."""
        return next((r for r in self.reaches if (r.source, r.target) == (source, target)), None)


class AlignedPacket(Struct, frozen=True, kw_only=True):
    """One packet of a connection that two captures hold: in both, or in one of them."""

    sender: Literal["client", "server"]
    flags: str
    #: As in this capture; as in the other one where this has it not.
    seq: int
    length: int
    #: On this capture's clock.
    at: float
    #: Its number in each capture; None where it is not.
    frame: int | None = None
    other_frame: int | None = None
    ttl: int | None = None
    other_ttl: int | None = None
    #: What it is like here and there: "mss 1460 → 1300". TTL, addresses, ports and constant shifts of numbers are not
    #: among it.
    changes: tuple[str, ...] = ()
    #: It is in one capture only, and the other one would hold it if it had passed there.
    missing: bool = False
    #: The other one would, if it went on: its last packet is older, by a second at most.
    after_end: bool = False


class Losses(Struct, frozen=True, kw_only=True):
    """Where what one side sent was lost, by two captures on its way: packets that take sequence numbers."""

    #: That the capture nearer to the sender holds.
    packets: int = 0
    #: Sent again, and the first copy is not even in the capture nearer to the sender.
    before: int = 0
    #: In the capture nearer to the sender, and not in the other.
    between: int = 0
    #: Sent again although it had passed both: it was lost beyond, or its acknowledgement was.
    after: int = 0


class AlignedObservation(Observation, tag="aligned", frozen=True, kw_only=True):
    """One connection in two captures, packet by packet. ``parent`` is the connection in this one; ``flow`` its ends."""

    #: Its number in each capture; None where it is not.
    connection: int | None = None
    other_connection: int | None = None
    #: The names of the files.
    path: str
    other: str
    #: Its ends in the other capture, where an address or a port was translated in between.
    other_flow: Flow | None = None
    #: Which capture was taken nearer to the client; empty where nothing tells.
    nearer_client: Literal["", "this", "other"] = ""
    #: How many routers lie between the two places, by TTL.
    routers: int | None = None
    #: By how much the sequence numbers of each side are larger in the other capture, modulo 2^32.
    shift_client: int = 0
    shift_server: int = 0
    #: Packets in both captures, and missing from one of them.
    both: int = 0
    only_here: int = 0
    only_there: int = 0
    #: None where it is not known which capture is nearer to the client.
    lost_client: Losses | None = None
    lost_server: Losses | None = None
    #: Who sent what is different in the two captures, in which way, how often: ("client", "mss 1460 → 1300", 1).
    changes: tuple[tuple[Literal["client", "server"], str, int], ...] = ()
    #: The packets that matter: openings, resets, the missing and the changed; ``omitted`` others are not here.
    packets: tuple[AlignedPacket, ...] = ()
    omitted: int = 0


class AlignmentObservation(Observation, tag="alignment", frozen=True, kw_only=True):
    """Two captures of the same traffic: their clocks, and which connections both of them hold."""

    path: str
    other: str
    #: The other capture's clock minus this one's, in the middle of the packets compared; None without such packets.
    offset_s: float | None = None
    #: It is off by at most so much: by the whole of the way, if that took no time in one direction.
    uncertainty_s: float | None = None
    #: From one place to the other, if both directions take equally long.
    delay_s: float | None = None
    #: How much faster the other clock runs, in millionths; 0 where it is not measurable.
    drift_ppm: float = 0.0
    #: Packets that were compared, by direction: from this place to the other, and back.
    forth: int = 0
    back: int = 0
    #: Connections that were looked for in the other capture, and what became of them.
    matched: int = 0
    only_here: int = 0
    only_there: int = 0
    #: Connections of the other capture that carry the same data, but are others: a proxy answers in between.
    terminated: int = 0
    #: Addresses here and there that translate into each other.
    translated: tuple[tuple[str, str], ...] = ()
    nearer_client: Literal["", "this", "other"] = ""
    routers: int | None = None


#: What a probe of a trace tests: the port's own SYN; data inside a connection that was opened before; or, for how far
#: away the host is, a UDP datagram to a port that nobody listens on.
TraceMode = Literal["syn", "data", "udp"]

#: What came back for one probe. "hop": its TTL ended there (ICMP time exceeded). "open": the port accepts. "refused": a
#: reset, or for UDP the host's own "port unreachable", which shows that the host was reached. "reset", "closed" and
#: "data" end a probe inside a connection: a reset, a FIN, an answer. "unreachable" and "prohibited" are ICMP errors.
#: "unsent": the system would not send it. "none": nothing at all.
TraceAnswer = Literal[
    "none", "hop", "open", "refused", "reset", "closed", "data", "unreachable", "prohibited", "unsent"
]


class TraceReply(Struct, frozen=True, kw_only=True):
    """What came of one probe that was sent with a limited TTL."""

    answer: TraceAnswer
    #: Who sent the ICMP error; empty where no ICMP error came, or the system does not tell whose it is.
    address: str = ""
    rtt_ms: float | None = None
    icmp: IcmpError | None = None
    #: The TTL that the answer arrived with, where packets could be seen.
    ttl: int | None = None
    flow: Flow | None = None


class TraceHop(Struct, frozen=True, kw_only=True):
    """What came of the probes with one TTL, in the order sent. TTL 1 reaches the first router, and dies there."""

    ttl: int
    replies: tuple[TraceReply, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """The routers at this distance; several where packets take several ways (ECMP)."""
        return tuple(dict.fromkeys(r.address for r in self.replies if r.answer == "hop" and r.address))

    @property
    def answer(self) -> TraceAnswer:
        """The most telling answer: one that ends the trace, else a router's, else none."""
        answers = [reply.answer for reply in self.replies]
        return next((a for a in answers if a not in ("hop", "none")), "hop" if "hop" in answers else "none")


class TraceObservation(Observation, tag="trace", frozen=True, kw_only=True):
    """A traceroute to one port: probes with growing TTL, and what answered each.

    ``failure`` is set unless the target answered as it should ("open", "data"; for UDP "refused").
    """

    address: str
    port: int
    peer: Literal["target", "proxy"] = "target"
    mode: TraceMode = "syn"
    #: How it was done: ordinary sockets that tell of ICMP errors (Linux IP_RECVERR), or packets made by hand.
    method: Literal["sockets", "raw"] = "sockets"
    #: Inside a connection: what was sent in words ("ClientHello"), the server's name in it, the number of bytes.
    payload: str = ""
    server_name: str = ""
    sent_bytes: int = 0
    #: By TTL from 1 on, without gaps, up to the first that did not end on the way.
    hops: tuple[TraceHop, ...] = ()
    #: The names of addresses by reverse DNS: ("10.0.0.1", "gw.contoso.test").
    names: tuple[tuple[str, str], ...] = ()
    #: What ended it, and the first TTL that had this end: with "open", how many hops away the server is.
    answer: TraceAnswer = "none"
    distance: int | None = None
    #: What could not be observed, and what would be needed for it, a sentence each.
    limits: tuple[str, ...] = ()


class WireObservation(Observation, tag="wire", frozen=True, kw_only=True):
    """The capture that a run made of its own packets. "not-run": it had no right to, ``limits`` says what is missing.

    The connections in it are ``ConnectionObservation`` and ``ResetObservation`` with this one as ancestor, as far as
    they failed. Frame numbers are those of ``path``, if the packets were kept.
    """

    #: The file that holds the packets; empty where they were not kept.
    path: str = ""
    method: Literal["", "af-packet", "scapy"] = ""
    packets: int = 0
    #: Packets that the system could not hand over in time, or that had no room: what is missing then proves nothing.
    dropped: int = 0
    #: Those that packets came from.
    interfaces: tuple[str, ...] = ()
    #: Flows of failed probes of which this machine put no packet on any interface, although none was lost. It dropped
    #: or rejected them itself (a firewall, endpoint protection), waited for the next hop's link address (ARP, neighbour
    #: discovery), or sent them translated (local NAT) or encrypted (IPsec).
    unseen: tuple[Flow, ...] = ()
    #: What could not be observed, and what would be needed for it, a sentence each.
    limits: tuple[str, ...] = ()


class PrefixList(Struct, frozen=True, kw_only=True):
    """A set of addresses as the smallest list of prefixes that covers exactly them, IPv4 first.

    ``total`` counts the prefixes; ``prefixes`` holds the first of them, all but in extreme cases.
    """

    total: int = 0
    prefixes: tuple[str, ...] = ()


class TagNeed(Struct, frozen=True, kw_only=True):
    """A service tag whose addresses are needed, on one port, and for what."""

    #: Empty where no tag is known for ``hosts``: then only names and what DNS gives can be compared.
    tag: str
    region: str = ""
    port: int = 443
    hosts: tuple[str, ...] = ()
    #: Why this tag, and what is to be known of it, in words.
    because: str = ""
    remark: str = ""
    prefixes: PrefixList = PrefixList()
    #: What came and went since the earlier file.
    added: PrefixList = PrefixList()
    removed: PrefixList = PrefixList()


class ServiceTagsObservation(Observation, tag="service-tags", frozen=True, kw_only=True):
    """A file of service tags, and what is needed of it."""

    path: str
    #: "Public"; its change number; the date in its name ("2025-07-28", empty where it has none), and how old that is.
    cloud: str = ""
    change_number: str = ""
    date: str = ""
    age_days: int | None = None
    tags: int = 0
    needs: tuple[TagNeed, ...] = ()
    #: Prefixes of these tags that could not be read.
    unreadable: tuple[str, ...] = ()
    #: The earlier file that it is compared with; empty for none.
    previous: str = ""
    previous_change_number: str = ""
    previous_date: str = ""


#: What lets the addresses of a tag through. "open": nothing holds them back. "names" and "tags" follow the service by
#: themselves; "addresses" does not. "partly": some are not let through. "nothing": none is. "not-known": no tag is
#: known, so there are no addresses to compare.
AllowedBy = Literal["open", "names", "tags", "addresses", "partly", "nothing", "not-known"]


class TagCoverage(Struct, frozen=True, kw_only=True):
    """What one firewall does with the addresses of one needed tag."""

    tag: str
    port: int
    by: AllowedBy
    #: The addresses that are let through only because their addresses are written down.
    by_addresses: PrefixList = PrefixList()
    missing: PrefixList = PrefixList()
    #: The rule that keeps the first of them back.
    kept_back_by: str = ""
    #: Of these: what an allowing rule names, too late; and the first rule that decides instead.
    shadowed: PrefixList = PrefixList()
    shadowed_by: str = ""
    #: Every missing address is new since the earlier file.
    missing_is_new: bool = False
    #: A family that the rules say nothing about is not judged: (6,) for an IPv4 list.
    left_out: tuple[Literal[4, 6], ...] = ()
    #: Tags of the same service that the rules allow, but this one.
    other_tags: tuple[str, ...] = ()
    #: Names of the need that no rule by name covers, where there are rules by name.
    unnamed: tuple[str, ...] = ()


class AddressCoverage(Struct, frozen=True, kw_only=True):
    """What one firewall does with one address that a needed name has now."""

    host: str
    address: str
    port: int
    allowed: bool
    #: The rule that decides.
    rule: str = ""
    #: It lies in the tag that is needed for the name; None where no tag is known. Where it does not: the tags of the
    #: same service that it lies in.
    in_tag: bool | None = None
    other_tags: tuple[str, ...] = ()


class UnreadRule(Struct, frozen=True, kw_only=True):
    """A part of a rule file that was not understood. ``may``: what it might do, as far as that is known."""

    place: str
    text: str
    why: str
    may: Literal["allow", "deny", "either"] = "either"


#: What kind of rules a file holds.
FirewallKind = Literal["list", "table", "nsg", "iptables", "nftables", "windows"]


class AllowlistObservation(Observation, tag="allowlist", frozen=True, kw_only=True):
    """The rules of one firewall, compared with what is needed. ``parent`` is the file of service tags."""

    path: str
    kind: FirewallKind
    #: What it is, in words: "network security group nsg-ir", "iptables, chain FORWARD".
    what: str
    #: Rules in the file, and those among them for other directions, protocols or tables.
    rules: int = 0
    elsewhere: int = 0
    #: Which scenario of Microsoft's notice about new addresses it is: 1 a firewall in front of a self-hosted
    #: integration runtime, 2 a network security group around one, 3 one around an Azure-SSIS integration runtime.
    scenario: Literal[1, 2, 3] = 1
    #: Nothing is held back on the ports in question.
    unrestricted: bool = False
    coverage: tuple[TagCoverage, ...] = ()
    addresses: tuple[AddressCoverage, ...] = ()
    #: Public addresses that are allowed, one by one, and needed for nothing. ``stale_since``: they were the service's
    #: in the earlier file; without one, they are merely in no tag of this one.
    stale: PrefixList = PrefixList()
    stale_since: bool = False
    #: Names and service tags that rules allow.
    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    unread: tuple[UnreadRule, ...] = ()
    unread_total: int = 0
    #: Rules with conditions that could not be tested, and how they were counted; a sentence each.
    assumed: tuple[str, ...] = ()
    assumed_total: int = 0
    remarks: tuple[str, ...] = ()


class LogCode(Struct, frozen=True, kw_only=True):
    """The number of an error in a log, decoded. What the table does not hold has no name."""

    #: As an unsigned number of 32 bits; and as Windows writes it in hexadecimal ("0x8009030D").
    value: int
    hexadecimal: str
    name: str = ""
    meaning: str = ""
    #: The header that defines it, and the page that documents it.
    source: str = ""


class LogException(Struct, frozen=True, kw_only=True):
    """One of the exceptions that were nested in each other, outermost first. ``type`` is empty for mere text."""

    type: str = ""
    message: str = ""
    #: The program or component that reported it, where the log says so.
    source: str = ""


class LogPlace(Struct, frozen=True, kw_only=True):
    """Where something wanted to connect to. ``host`` is a name or an address, exactly as far as it is a valid one."""

    host: str
    port: int | None = None
    #: As in the URL, in lower case ("net.tcp", "https"); empty where there was no URL.
    scheme: str = ""
    #: The address that was tried, where the log tells it beside the name.
    address: str = ""


class LogAssembly(Struct, frozen=True, kw_only=True):
    """A .NET assembly, or a DLL, that could not be loaded."""

    name: str
    version: str = ""
    public_key_token: str = ""


class LogObservation(Observation, tag="log", frozen=True, kw_only=True):
    """One error of a log, as often as it occurred; everything as the log tells it.

    ``started`` is its first time, 0 where the log tells none.
    """

    count: int = 1
    #: Its last time; and how often it occurred in each span that it did: (start of the span, count).
    last: float = 0.0
    spans: tuple[tuple[float, int], ...] = ()
    #: How long such a span is: an hour, or more where it occurred in very many.
    span_s: float = 3600.0
    level: str = ""
    provider: str = ""
    event_id: int | None = None
    nodes: tuple[str, ...] = ()
    #: The file and the line (the record of an event log) of the first.
    path: str = ""
    line: int = 0
    #: The first one's text, without frames of stacks; cut where it is long.
    text: str = ""
    exceptions: tuple[LogException, ...] = ()
    codes: tuple[LogCode, ...] = ()
    #: HTTP status codes that it tells.
    statuses: tuple[int, ...] = ()
    places: tuple[LogPlace, ...] = ()
    assembly: LogAssembly | None = None
    #: The subject of the certificate that it names.
    certificate: str = ""
    #: How long the attempt lasted before it failed, where it says so.
    waited_s: float | None = None
    activity_ids: tuple[str, ...] = ()


class LogFileObservation(Observation, tag="log-file", frozen=True, kw_only=True):
    """What was read: files, times, nodes, identifiers. ``started`` is the time of the first entry."""

    paths: tuple[str, ...]
    #: ("text", "event-xml", "csv", "evtx", "json"), one for each file.
    formats: tuple[str, ...]
    bytes: int = 0
    #: Events, rows or entries; of text files lines.
    entries: int = 0
    #: By level, as far as the log tells one.
    errors: int = 0
    warnings: int = 0
    #: Entries that look like errors, whatever their level.
    suspicious: int = 0
    last: float = 0.0
    #: Whether times are UTC. Otherwise they are the clock of the machine that wrote the log.
    utc: bool = False
    nodes: tuple[str, ...] = ()
    activity_ids: tuple[str, ...] = ()
    more_activity_ids: int = 0
    report_ids: tuple[str, ...] = ()
    #: Different errors that there was no room for, how often those occurred, and which codes they named.
    more_errors: int = 0
    more_count: int = 0
    more_codes: tuple[LogCode, ...] = ()
    #: What could not be read, a sentence each.
    damage: tuple[str, ...] = ()
    #: The whole was not read: it was interrupted.
    interrupted: bool = False


AnyObservation = (
    CaptureObservation
    | ServiceObservation
    | ConnectionObservation
    | ResetObservation
    | AlignmentObservation
    | AlignedObservation
    | WireObservation
    | DnsObservation
    | TcpObservation
    | TraceObservation
    | ProxySelection
    | ProxyObservation
    | NodeObservation
    | HostObservation
    | MatrixObservation
    | TlsObservation
    | ChainObservation
    | RetrievalObservation
    | KeyObservation
    | HttpsObservation
    | ServiceTagsObservation
    | AllowlistObservation
    | LogFileObservation
    | LogObservation
)

#: The rung that each type belongs to, in ladder order.
RUNG_OF: dict[type[Observation], Rung] = {
    CaptureObservation: "machine",
    ServiceObservation: "tcp",
    ConnectionObservation: "tcp",
    ResetObservation: "tcp",
    AlignmentObservation: "machine",
    AlignedObservation: "tcp",
    WireObservation: "tcp",
    ProxySelection: "machine",
    HostObservation: "machine",
    MatrixObservation: "machine",
    DnsObservation: "dns",
    TcpObservation: "tcp",
    TraceObservation: "tcp",
    ProxyObservation: "proxy",
    NodeObservation: "node",
    TlsObservation: "tls",
    ChainObservation: "chain",
    RetrievalObservation: "chain",
    KeyObservation: "chain",
    HttpsObservation: "https",
    ServiceTagsObservation: "machine",
    AllowlistObservation: "machine",
    LogFileObservation: "machine",
    LogObservation: "machine",
}


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
    ``details`` are the steps of the reasoning, a sentence each, where the summary cannot hold them. ``commands`` are
    netdiag's own that look further, each as its arguments without the quotes of any shell: ("netdiag", "dns", "h").
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
    details: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()


class ResetEntry(Struct, frozen=True, kw_only=True):
    """The resets of one side of one connection of a capture, judged; ``pcap --resets`` lists them all."""

    #: The number of the connection, when that began, its ends, its server's name.
    connection: int
    started: float
    flow: Flow
    name: str = ""
    #: Whose address they carry, how many they are, and where the first is; None where its packets were not kept.
    claimed: Literal["client", "server"]
    count: int
    frame: int | None = None
    at: float | None = None
    ttl: int
    #: Who most likely sent the first, how sure that is (from 0.5, which is no knowledge, to 1), and both in a sentence.
    origin: Literal["server", "client", "path-device", "unknown"]
    confidence: float
    conclusion: str
    #: "TTL 61 = 64 - 3: ..." for the reset, and for what it is compared with.
    arithmetic: tuple[str, ...] = ()


class ConversationRow(Struct, array_like=True, frozen=True, kw_only=True):
    """One TCP connection of a capture, in short: a row of the table of all of them. An array in JSON, to stay small.

    The members mean what those of ``Connection`` do.
    """

    number: int
    started: float
    duration_s: float
    client: str
    client_port: int
    server: str
    server_port: int
    name: str
    opening: Opening
    closing: Closing
    packets_client: int
    packets_server: int
    bytes_client: int
    bytes_server: int
    #: Segments that either side sent again.
    retransmissions: int
    rst_client: int
    rst_server: int
    #: From SYN to SYN-ACK; None where that is not seen.
    rtt_ms: float | None
    process: str
    first_frame: int


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


class MachineInfo(Struct, frozen=True, kw_only=True):
    """The machine that a report was made on, so that reports of several machines can be told apart."""

    #: Its own host name, as it calls itself: at most 253 characters.
    name: str = ""
    #: The operating system in words: "Windows Server 2022", "Debian GNU/Linux 12 (bookworm)"; at most 100 characters.
    system: str = ""
    #: How far its local time is ahead of UTC, as its time zone says; None where that is not known.
    utc_offset_s: int | None = None


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
    #: Every reset of a capture, where they were asked for; and how many more connections with one there are.
    resets: tuple[ResetEntry, ...] = ()
    more_resets: int = 0
    #: The connections of a capture, where a table of them was asked for: those with a fault first, then by number; and
    #: how many more there are.
    conversations: tuple[ConversationRow, ...] = ()
    more_conversations: int = 0
    #: A bug in netdiag that ended a rung early, one line each.
    internal_errors: tuple[str, ...] = ()
    #: Where it was made. None where the user wants that left out, and in reports on captures and logs, which tell of
    #: other machines.
    machine: MachineInfo | None = None

    @property
    def seen_at(self) -> float:
        """When what it tells of was first seen: a capture or a log is older than the report on it."""
        told = (o.started for o in self.observations if o.source in ("capture", "log") and o.started > 0)
        return min(told, default=self.started)


class Rejudgement(Struct, frozen=True, kw_only=True):
    """How today's rules judge a saved report otherwise than it was judged when it was made."""

    #: The verdict that it was saved with.
    verdict: Verdict
    #: Ids of findings that it has got by it, and of those that it has lost; sorted.
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class LabelledReport(Struct, frozen=True, kw_only=True):
    """One report of an incident."""

    #: What it is called in this incident: unique in it, one short line ("node-b", "node-b 14:05", "trace.pcapng").
    label: str
    #: The file that it was read from, as the user named it; empty for none.
    file: str = ""
    report: Report
    #: Set where today's rules judge it otherwise.
    rejudged: Rejudgement | None = None


class FindingSource(Struct, frozen=True, kw_only=True):
    """One report that has a finding, and what it has to say of it."""

    #: The label of the report.
    report: str
    severity: Severity
    summary: str
    #: Ids of observations in that report.
    evidence: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


class ExplainedFinding(Struct, frozen=True, kw_only=True):
    """A finding of one report that is only a symptom of what another finding of the incident tells."""

    #: The label of the report that has it; ``finding.evidence`` are ids of observations in that report.
    report: str
    finding: Finding
    #: Why, a sentence: "The reason is tcp.reset-by-path-device of trace.pcapng, for both are about the connection ...".
    because: str


class IncidentFinding(Finding, frozen=True, kw_only=True):
    """One fault, as all reports together show it: a ``Finding`` in the words of the best informed report.

    ``evidence`` is empty here, for ids of observations mean something within one report only: they stand in
    ``sources``. ``folded`` holds the ids of all findings that it explains, in its own reports and in ``explains``.
    """

    #: What it is about: "host:port" or a file, each once, sorted; several where one device or name server fails them.
    targets: tuple[str, ...] = ()
    #: Every report that has it, at least one, the best informed first.
    sources: tuple[FindingSource, ...]
    #: Symptoms of it, in whichever report.
    explains: tuple[ExplainedFinding, ...] = ()


class SeenBy(Struct, frozen=True, kw_only=True):
    """What one report shows of the thing that a ``Difference`` is about."""

    #: The label of the report.
    report: str
    #: In words, for a cell of a table: "TLSv1.2", "10.0.0.4, 10.0.0.5", "none"; may be long.
    value: str


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that reports about the same target show differently. What is the same for all is never one."""

    rung: Rung
    #: The way that it was seen on.
    route: Route = "direct"
    #: The thing, in words: "addresses", "proxy", "TLS version", "issuer of the chain", "trust store", "HTTP status".
    what: str
    #: For each report that shows it, in the order of the comparison's reports.
    values: tuple[SeenBy, ...]
    #: In a sentence: "Only node-b goes through the proxy http://proxy:8080; the others connect directly.".
    sentence: str
    #: A report that fails shows what none that works shows.
    telling: bool = False


class Comparison(Struct, frozen=True, kw_only=True):
    """What several reports show of one and the same target: other machines, or the same one at other times."""

    #: "host:port".
    target: str
    #: Labels of the reports that are compared, those that work first; which of them work, and which do not.
    reports: tuple[str, ...]
    working: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    #: The telling ones first, then in the order of the ladder.
    differences: tuple[Difference, ...] = ()
    #: What follows from it, a sentence each, the most telling first; never empty.
    conclusions: tuple[str, ...]


class Changes(Struct, frozen=True, kw_only=True):
    """What is different in one report from the baseline, which was made when all was well."""

    #: "host:port", or the file, that the report is about.
    target: str
    #: The label of the report, and of the one of ``Incident.baseline`` that it is compared with.
    report: str
    baseline: str
    #: By what they belong together: the same target, the same host, or only the same command.
    matched: Literal["target", "host", "command"] = "target"
    #: ``values`` holds the baseline's first, the report's second; all count as telling.
    differences: tuple[Difference, ...] = ()
    #: Findings that the baseline has not got, the worst first; ids of findings that only the baseline has.
    new: tuple[Finding, ...] = ()
    vanished: tuple[str, ...] = ()
    #: What follows from it, a sentence each, the most telling first; never empty.
    conclusions: tuple[str, ...]


class Incident(Struct, tag_field="kind", tag="incident", frozen=True, kw_only=True):
    """Several reports as one case: what is wrong, who is to blame, what to do, and which report shows it.

    In JSON ``"kind": "incident"`` tells it from a report.
    """

    schema_version: int = SCHEMA_VERSION
    tool: Tool
    #: When the earliest of what its reports tell of was seen.
    started: float
    #: The one root cause: the first of ``findings`` where the status is "failed" or "impaired".
    verdict: Verdict
    #: How the reports together lead to the verdict, a sentence each; empty where one report says it all.
    reasoning: tuple[str, ...] = ()
    #: Merged: the root cause first, then the worst first.
    findings: tuple[IncidentFinding, ...] = ()
    #: At least one; in the order of time.
    reports: tuple[LabelledReport, ...]
    #: One for each target that several reports are about.
    comparisons: tuple[Comparison, ...] = ()
    #: The reports of ``--baseline``, and for each report that one of them matches, what changed since.
    baseline: tuple[LabelledReport, ...] = ()
    changes: tuple[Changes, ...] = ()
    #: What to know of the reports themselves, a sentence each: made far apart in time, no baseline that matches.
    remarks: tuple[str, ...] = ()


class UsageError(Exception):
    """The user's input cannot be used. The message is one line that names the input and what is wrong with it."""
