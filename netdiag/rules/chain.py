"""Rules about chain: what the verification of the presented certificates found, and whose fault that is.

A refused chain is an error, since SChannel, OpenSSL and Java all end the connection there. Faults are merged: one
finding per id and chain. The clock comes first, because a wrong one makes good certificates look bad.
"""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import (
    Blame,
    ChainFault,
    ChainObservation,
    Culprit,
    FaultKind,
    HttpsObservation,
    Severity,
)
from netdiag.rules.azure import DIGICERT_GLOBAL_ROOT_G2
from netdiag.rules.certificates import (
    counts_as,
    details_of,
    element_of,
    is_anchor,
    names_of,
    short_name,
    skew,
    span,
    stores_of,
    utc,
)
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

#: Kerberos refuses a larger difference by default (RFC 4120 §1.6 recommends five minutes, and Active Directory's
#: "Maximum tolerance for computer clock synchronization" is five).
CLOCK_TOLERANCE_S = 300.0
#: Where a machine that lacks DigiCert Global Root G2 gets it (digicert.com/kb/digicert-root-certificates.htm).
DIGICERT_G2_URL = "http://cacerts.digicert.com/DigiCertGlobalRootG2.crt"

_TIME_KINDS: tuple[FaultKind, ...] = ("expired", "not-yet-valid")


@rule(
    "chain.clock-skew",
    "This machine's clock is wrong",
    Severity.ERROR,
    folds=("chain.expired", "chain.not-yet-valid"),
)
def clock_skew(seen: Seen) -> Iterator[Hit]:
    """The clock of this machine differs from that of the server, as the Date header of its answer tells.

    Certificates hold from one moment to another, and every program judges that by the clock of its
    own machine. A clock that is wrong by enough makes good certificates count as expired or not yet
    valid: that is an error here. When no certificate fails because of it, a difference above five
    minutes is still a warning, since Kerberos refuses it by default (RFC 4120), and with it sign-in
    to a domain and to proxies that want Negotiate.

    Set the clock, and let it be kept: "w32tm /resync" on Windows (a member of a domain follows its
    domain controller), "timedatectl set-ntp true" on Linux. If the clock of this machine is right
    after all, the server's is wrong, and its administrator has to act.
    """
    clock = _server_clock(seen)
    if clock is None:
        return
    offset = _offset(clock)
    remedy = "Set this machine's clock and let NTP keep it (Windows: w32tm /resync; Linux: timedatectl set-ntp true)."
    caused = [chain for chain in seen.effective(ChainObservation) if _cured_by(chain, offset)]
    for chain in caused:
        faults = [fault for fault in chain.faults if fault.kind in _TIME_KINDS]
        yield Hit(
            summary=f"This machine's clock is {skew(offset)} that of {chain.host}: {names_of(faults)} "
            f"{counts_as(faults)} here, and holds at the server's time, {utc(chain.at + offset)}",
            blame="this-machine",
            remedy=remedy,
            evidence=(chain, clock),
        )
    if not caused and abs(offset) > CLOCK_TOLERANCE_S:
        yield Hit(
            summary=f"This machine's clock is {skew(offset)} that of {seen.target.host}; Kerberos refuses more than 5 "
            "minutes",
            blame="this-machine",
            remedy=remedy,
            evidence=(clock,),
            severity=Severity.WARNING,
        )


@rule("chain.malformed", "Certificate cannot be read or understood", Severity.ERROR)
def malformed(seen: Seen) -> Iterator[Hit]:
    """The server presents bytes that are no well-formed certificate, or one with an unknown critical part.

    RFC 5280 section 4.2 obliges every client to refuse a certificate with a critical extension that
    it does not know, and nobody can verify what cannot be read. This is rare with public
    authorities. It happens with home-made certificates and with devices that write certificates of
    their own.

    Have the certificate issued again by an authority whose certificates other clients accept.
    """
    for chain, faults in _faulty(seen, "malformed"):
        yield _server_hit(
            seen,
            chain,
            f"{_owner(seen, chain)} presents a certificate that cannot be used: {details_of(faults)}",
            "Have the certificate issued again, by an authority that follows RFC 5280.",
        )


@rule("chain.expired", "Certificate has expired", Severity.ERROR)
def expired(seen: Seen) -> Iterator[Hit]:
    """A certificate that the server presents, or one above it, is past the end of its validity.

    Windows (NotTimeValid), OpenSSL and Java refuse the whole chain, whichever of its certificates
    has expired. Somebody did not renew in time, or did renew and never restarted the server, which
    then goes on presenting the old one.

    The owner of the server installs the renewed certificate, with its current intermediates, and
    reloads the service. Where the certificate that has expired is an intermediate, it has to be
    replaced on the server; the server's own certificate can stay.
    """
    for chain, faults in _faulty(seen, "expired"):
        yield _server_hit(seen, chain, *_out_of_time(seen, chain, faults))


@rule("chain.not-yet-valid", "Certificate is not valid yet", Severity.ERROR)
def not_yet_valid(seen: Seen) -> Iterator[Hit]:
    """A certificate that the server presents, or one above it, begins to hold only later.

    Every client refuses it until then (Windows: NotTimeValid). Either the clock of this machine is
    behind, or the certificate was made by an authority whose clock is ahead, or it was installed
    before its time.

    Compare this machine's clock with another one first. If it is right, the owner of the server
    puts the previous certificate back, or waits.
    """
    for chain, faults in _faulty(seen, "not-yet-valid"):
        yield _server_hit(seen, chain, *_out_of_time(seen, chain, faults))


@rule("chain.bad-signature", "Certificate's signature is wrong", Severity.ERROR)
def bad_signature(seen: Seen) -> Iterator[Hit]:
    """A certificate names an issuer that did not sign it: the signature does not fit the issuer's key.

    Windows says NotSignatureValid and refuses. The certificate was altered or damaged, or somebody
    made one that borrows the name of an authority without having its key. A renewed intermediate
    with a new key, installed beside certificates that the old key signed, looks the same when the
    certificates carry no key identifiers.

    The owner of the server installs the intermediate that really signed the certificate. If the
    owner did so already, something between here and there alters certificates: compare the
    fingerprint with the owner's.
    """
    for chain, faults in _faulty(seen, "bad-signature"):
        yield _server_hit(
            seen,
            chain,
            f"The signature of a certificate of {_owner(seen, chain)} is wrong: {details_of(faults)}",
            f"Install the intermediate that signed {names_of(faults)} on the server; if it is there, compare the "
            "fingerprint with its owner's, since something may alter it on the way.",
        )


@rule("chain.root-missing-locally", "Public root is missing on this machine", Severity.ERROR)
def root_missing_locally(seen: Seen) -> Iterator[Hit]:
    """The server's chain ends at a public root, and this machine's trust store lacks that root.

    Programs here refuse the connection (Windows: UntrustedRoot or PartialChain), while other
    machines accept it. Windows fetches public roots on demand from Microsoft; a machine that may
    not reach ctldl.windowsupdate.com, or whose policy turns that off, never gets new ones. Old
    Linux images and Java runtimes with a store of their own age too. Azure moved to DigiCert Global
    Root G2, which is the root most often missed.

    Import the root into the machine's store, not a user's, because services look there: "certutil
    -addstore Root FILE" on Windows, update-ca-certificates or update-ca-trust on Linux. Compare its
    fingerprint with the one that the authority publishes before you trust it.
    """
    for chain, faults in _faulty(seen, "root-missing-locally"):
        root = element_of(chain, faults[0])
        name = short_name(faults[0].subject)
        fingerprint = f" (SHA-1 {root.sha1})" if root else ""
        is_g2 = root is not None and root.sha1.lower() == DIGICERT_GLOBAL_ROOT_G2[1]
        source = f"from {DIGICERT_G2_URL}" if is_g2 else "from its authority"
        where = "the files named with --trust" if chain.store_vouched else "this machine's root store"
        yield Hit(
            summary=f"The public root {name}, which signs for {chain.host}, is missing in {stores_of(chain)}",
            blame="this-machine",
            remedy=f"Get {name}{fingerprint} {source}, compare its fingerprint, and add it to {where}.",
            evidence=(chain,),
            culprit=Culprit(name=name),
        )


@rule("chain.untrusted-root", "Certificate comes from an authority that is not trusted here", Severity.ERROR)
def untrusted_root(seen: Seen) -> Iterator[Hit]:
    """The chain ends at a root that neither this machine nor the public list knows, or is self-signed.

    That is how certificates of an organisation's own authority look, and those that an appliance
    made for itself. Programs refuse them on every machine where nobody imported that root (Windows:
    UntrustedRoot, or PartialChain when the server does not send the root).

    There are two ways out. Where the authority is your organisation's, import its root into the
    machine's store of every machine that connects ("certutil -addstore Root FILE" on Windows), or
    hand it to netdiag with --trust to test that. Otherwise the owner of the server gets a
    certificate from a public authority. Never import a root only because it makes the message go
    away: whoever owns its key can then pose as any server.
    """
    for chain, faults in _faulty(seen, "untrusted-root"):
        last = element_of(chain, faults[0])
        alone = last is not None and last.self_signed and faults[0].element == 0
        issuer = (
            short_name(last.subject if last is None or last.self_signed else last.issuer) if last else "an unknown root"
        )
        what = "is self-signed" if alone else f"comes from {issuer}"
        yield _server_hit(
            seen,
            chain,
            f"The certificate of {_owner(seen, chain)} {what}, which {stores_of(chain)} does not trust and no "
            "public list of roots holds",
            f"If {issuer} is your organisation's own, import it into this machine's root store; otherwise the server "
            "needs a certificate from a public authority.",
            culprit=Culprit(name=issuer),
        )


@rule("chain.incomplete", "Server does not send its intermediate certificate", Severity.ERROR)
def incomplete(seen: Seen) -> Iterator[Hit]:
    """The server presents its certificate without the intermediate that leads to a root.

    RFC 8446 section 4.4.2 and RFC 5246 section 7.4.2 oblige the server to send every certificate
    but the root. Windows repairs the gap by fetching the intermediate from the address that the
    certificate names (authority information access); OpenSSL, Java, Python and Go do not, and
    neither does Windows when a firewall blocks that address. So it works in one program and fails
    in the next, which makes the fault hard to see. It is an error here because programs of both
    kinds run on such machines, and the gap is the server's either way.

    The owner of the server installs the whole chain: the certificate, then each intermediate, in
    this order.
    """
    for chain, faults in _faulty(seen, "incomplete"):
        last = element_of(chain, faults[0])
        issuer = short_name(last.issuer) if last else "its issuer"
        urls = [url for url in (last.aia if last else ()) if url.lower().startswith("http://")]
        came = last is not None and len(chain.elements) > faults[0].element + 1
        if came and urls:
            more = f"; it is available at {urls[0]}, where Windows fetches it, and OpenSSL and Java do not"
        elif urls:
            more = f"; the certificate says that it is at {urls[0]}, where only Windows would look"
        else:
            more = ""
        yield _server_hit(
            seen,
            chain,
            f"{_owner(seen, chain)} does not send the intermediate certificate {issuer}{more}",
            f"Install {issuer} on the server behind its own certificate, so that it sends the whole chain.",
            culprit=Culprit(name=issuer),
        )


@rule("chain.not-a-ca", "Certificate was signed by something that is no authority", Severity.ERROR)
def not_a_ca(seen: Seen) -> Iterator[Hit]:
    """A certificate in the chain signed another one, although it is not marked as an authority's.

    RFC 5280 section 6.1.4 (k) asks for basic constraints with cA set. Without that check the owner
    of any server certificate could sign for any name, so every client refuses (Windows:
    InvalidBasicConstraints).

    Have the certificate issued by a real authority. Where a home-made root lacks the extension,
    make it again with "basicConstraints = critical, CA:TRUE".
    """
    for chain, faults in _faulty(seen, "not-a-ca"):
        yield _server_hit(
            seen,
            chain,
            f"{names_of(faults)} signed in the chain of {chain.host} and is no authority: {details_of(faults)}",
            "Have the server's certificate issued by an authority whose own has basic constraints with CA:TRUE.",
        )


@rule("chain.path-length-exceeded", "Chain has more authorities than one of them allows", Severity.ERROR)
def path_length_exceeded(seen: Seen) -> Iterator[Hit]:
    """An authority in the chain limits how many further authorities may follow, and more do.

    The limit is pathLenConstraint of RFC 5280 section 4.2.1.9. Windows says InvalidBasicConstraints
    and refuses, like every other client. It happens when somebody adds a level to an organisation's
    own authorities.

    The authority issues the server's certificate from a level that may do so, or is itself issued
    again with a larger limit.
    """
    for chain, faults in _faulty(seen, "path-length-exceeded"):
        yield _server_hit(
            seen,
            chain,
            f"{names_of(faults)} does not allow so many authorities below it: {details_of(faults)}",
            f"Issue the certificate of {chain.host} from an authority directly below the limit, or issue "
            f"{names_of(faults)} again with a larger path length.",
        )


@rule("chain.key-usage", "Key usage does not allow what the key is used for", Severity.ERROR)
def key_usage(seen: Seen) -> Iterator[Hit]:
    """The key usage of a certificate forbids what its key does in this chain.

    An authority needs keyCertSign to sign certificates (RFC 5280 section 6.1.4 (n)), a server needs
    digitalSignature, keyEncipherment or keyAgreement to shake hands. Windows says NotValidForUsage
    and refuses; OpenSSL and Java do so too.

    Have the certificate issued again with the right key usage.
    """
    for chain, faults in _faulty(seen, "key-usage"):
        yield _server_hit(
            seen,
            chain,
            f"The key usage of {names_of(faults)} forbids its use in the chain of {chain.host}: {details_of(faults)}",
            f"Issue {names_of(faults)} again: keyCertSign for an authority, digitalSignature and keyEncipherment for a "
            "server.",
        )


@rule("chain.purpose-mismatch", "Certificate is not meant for servers", Severity.ERROR)
def purpose_mismatch(seen: Seen) -> Iterator[Hit]:
    """The certificate, or an authority above it, is limited to other purposes than serving TLS.

    The extended key usage lists what a certificate is for; when it is there without serverAuth,
    clients refuse the certificate for a server (RFC 5280 section 4.2.1.12; Windows:
    NotValidForUsage). Certificates for clients, code or mail that somebody installed on a server
    are the usual reason. An authority's list limits everything below it.

    Have a certificate issued from a template for servers ("Web Server" in Active Directory
    Certificate Services).
    """
    for chain, faults in _faulty(seen, "purpose-mismatch"):
        yield _server_hit(
            seen,
            chain,
            f"{names_of(faults)} is not meant for servers: {details_of(faults)}",
            f"Install a certificate for {chain.host} that was issued for server authentication (1.3.6.1.5.5.7.3.1).",
        )


@rule("chain.name-constraint", "Authority may not issue for this name", Severity.ERROR)
def name_constraint(seen: Seen) -> Iterator[Hit]:
    """An authority in the chain is limited to certain names, and the certificate holds another one.

    RFC 5280 section 4.2.1.10. Windows says HasNotPermittedNameConstraint or
    HasExcludedNameConstraint and refuses. One name outside is enough, even when it is not the one
    that was asked for.

    Have the certificate issued without that name, or by an authority that may issue for it.
    """
    for chain, faults in _faulty(seen, "name-constraint"):
        yield _server_hit(
            seen,
            chain,
            f"The certificate of {_owner(seen, chain)} holds a name that its authority may not issue for: "
            f"{details_of(faults)}",
            f"Issue the certificate for {chain.host} without that name, or from an authority that is allowed it.",
        )


@rule("chain.weak-key", "Key is too small", Severity.ERROR)
def weak_key(seen: Seen) -> Iterator[Hit]:
    """A certificate has a key that is too easy to break: RSA below 2048 bits, a curve below 224, or DSA.

    Windows refuses RSA below 1024 bits (KB 2661254), OpenSSL on current systems everything below
    2048, browsers as well. Public authorities may not issue such certificates any more. When only
    the root's own key is small, and the machine trusts that root, most clients accept it, so that
    is a warning.

    Make a new key of RSA 2048 or EC P-256 at least, and have the certificate issued for it.
    """
    for chain, faults in _faulty(seen, "weak-key"):
        yield _server_hit(
            seen,
            chain,
            f"The key of a certificate of {_owner(seen, chain)} is too small: {names_of(faults)}, {details_of(faults)}",
            f"Make a key of RSA 2048 or EC P-256 at least for {names_of(faults)}, and have it certified again.",
            severity=Severity.WARNING if all(is_anchor(chain, fault) for fault in faults) else None,
        )


@rule("chain.weak-signature", "Signature uses a broken hash", Severity.ERROR)
def weak_signature(seen: Seen) -> Iterator[Hit]:
    r"""A certificate is signed with MD5 or SHA-1, for which certificates can be forged.

    Windows (HasWeakSignature), OpenSSL at its default level, Java and browsers refuse such a
    certificate for a server. The signature of a root does not matter, because a root is trusted as
    it stands.

    Have the certificate issued again with SHA-256. In an authority of your own, set its hash first
    ("certutil -setreg ca\csp\CNGHashAlgorithm SHA256").
    """
    for chain, faults in _faulty(seen, "weak-signature"):
        yield _server_hit(
            seen,
            chain,
            f"A certificate in the chain of {_owner(seen, chain)} has a signature that can be forged: "
            f"{names_of(faults)}, {details_of(faults)}",
            f"Have {names_of(faults)} issued again with SHA-256.",
        )


def _faulty(seen: Seen, kind: FaultKind) -> Iterator[tuple[ChainObservation, tuple[ChainFault, ...]]]:
    """Each chain on the effective route with a fault of this kind, and those faults."""
    for chain in seen.effective(ChainObservation):
        faults = tuple(fault for fault in chain.faults if fault.kind == kind)
        if faults:
            yield chain, faults


def _server_hit(
    seen: Seen,
    chain: ChainObservation,
    summary: str,
    remedy: str,
    *,
    severity: Severity | None = None,
    culprit: Culprit | None = None,
) -> Hit:
    """A hit that the owner of the server, or of the proxy with a certificate of its own, has to mend."""
    blame: Blame = "proxy" if _is_proxy(seen, chain) else "server"
    return Hit(summary=summary, blame=blame, remedy=remedy, evidence=(chain,), severity=severity, culprit=culprit)


def _is_proxy(seen: Seen, chain: ChainObservation) -> bool:
    return seen.route == "proxy" and chain.host.lower() != seen.target.host.lower()


def _owner(seen: Seen, chain: ChainObservation) -> str:
    return f"the proxy {chain.host}" if _is_proxy(seen, chain) else chain.host


def _server_clock(seen: Seen) -> HttpsObservation | None:
    """The answer whose clock counts: one of the effective route, else any; a verified one before another."""
    answers = [
        answer
        for answer in (*seen.effective(HttpsObservation), *seen.other(HttpsObservation))
        if answer.clock_offset_s is not None
    ]
    return next((a for a in answers if a.verified), answers[0] if answers else None)


def _offset(answer: HttpsObservation) -> float:
    """The server's clock minus this machine's. A cache sends the old Date, and its Age in seconds (RFC 9111 §5.1)."""
    age = next((value.strip() for name, value in answer.headers if name.lower() == "age"), "")
    return (answer.clock_offset_s or 0.0) + (int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0)


def _cured_by(chain: ChainObservation, offset: float) -> bool:
    """Whether the chain has faults of time, and none of them at the server's time."""
    faults = [fault for fault in chain.faults if fault.kind in _TIME_KINDS]
    elements = [element_of(chain, fault) for fault in faults]
    now = chain.at + offset
    return bool(faults) and all(e is not None and e.not_before <= now <= e.not_after for e in elements)


def _out_of_time(seen: Seen, chain: ChainObservation, faults: tuple[ChainFault, ...]) -> tuple[str, str]:
    """Summary and remedy for certificates that are past or before their time."""
    parts: list[str] = []
    for fault in faults:
        element = element_of(chain, fault)
        name = short_name(fault.subject)
        if element is None:
            parts.append(f"{name}: {fault.detail}")
        elif fault.kind == "expired":
            ago = span(chain.at - element.not_after)
            parts.append(f"{name} expired on {utc(element.not_after)}, {ago} ago")
        else:
            ahead = span(element.not_before - chain.at)
            parts.append(f"{name} holds only from {utc(element.not_before)}, in {ahead}")
    what = "certificate" if all(fault.element == 0 for fault in faults) else "chain"
    summary = f"The {what} of {_owner(seen, chain)} {_not_valid(faults)}: {'; '.join(parts)}"
    if faults[0].kind == "expired":
        return summary, f"Renew {names_of(faults)}, install it on {_owner(seen, chain)}, and reload the service there."
    return summary, (
        f"Check this machine's clock against another; if it is right, put the previous certificate back on "
        f"{_owner(seen, chain)} until then."
    )


def _not_valid(faults: tuple[ChainFault, ...]) -> str:
    return "has expired" if faults[0].kind == "expired" else "is not valid yet"
