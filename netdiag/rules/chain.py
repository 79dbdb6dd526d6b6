"""Rules about chain: whether the presented certificates can be read, hold today, and lead to a root known here.

A refused chain is an error, since SChannel, OpenSSL and Java all end the connection there. Faults are merged: one
finding per id and chain.
"""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import ChainFault, ChainObservation, Culprit, Severity
from netdiag.rules.azure import DIGICERT_GLOBAL_ROOT_G2
from netdiag.rules.certificates import details_of, element_of, names_of, short_name, span, stores_of, utc
from netdiag.rules.chain_faults import accepted, bearer, captured_handshake, faulty, owner, server_hit
from netdiag.rules.node_words import is_node
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

#: Where a machine that lacks DigiCert Global Root G2 gets it (digicert.com/kb/digicert-root-certificates.htm).
DIGICERT_G2_URL = "http://cacerts.digicert.com/DigiCertGlobalRootG2.crt"


@rule("chain.malformed", "Certificate cannot be read or understood", Severity.ERROR)
def malformed(seen: Seen) -> Iterator[Hit]:
    """The server presents bytes that are no well-formed certificate, or one with an unknown critical part.

    RFC 5280 section 4.2 obliges every client to refuse a certificate with a critical extension that
    it does not know, and nobody can verify what cannot be read. This is rare with public
    authorities. It happens with home-made certificates and with devices that write certificates of
    their own.

    Have the certificate issued again by an authority whose certificates other clients accept.
    """
    for chain, faults in faulty(seen, "malformed"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"{owner(seen, chain)} presents a certificate that cannot be used: {details_of(faults)}",
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
    for chain, faults in faulty(seen, "expired"):
        yield server_hit(seen, chain, faults, *_out_of_time(seen, chain, faults))


@rule("chain.not-yet-valid", "Certificate is not valid yet", Severity.ERROR)
def not_yet_valid(seen: Seen) -> Iterator[Hit]:
    """A certificate that the server presents, or one above it, begins to hold only later.

    Every client refuses it until then (Windows: NotTimeValid). Either the clock of this machine is
    behind, or the certificate was made by an authority whose clock is ahead, or it was installed
    before its time.

    Compare this machine's clock with another one first. If it is right, the owner of the server
    puts the previous certificate back, or waits.
    """
    for chain, faults in faulty(seen, "not-yet-valid"):
        yield server_hit(seen, chain, faults, *_out_of_time(seen, chain, faults))


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
            since = f"{ago} before the capture" if seen.capture else f"{ago} ago"
            parts.append(f"{name} expired on {utc(element.not_after)}, {since}")
        else:
            ahead = span(element.not_before - chain.at)
            when = f"{ahead} after the capture" if seen.capture else f"in {ahead}"
            parts.append(f"{name} holds only from {utc(element.not_before)}, {when}")
    what = "certificate" if all(fault.element == 0 for fault in faults) else "chain"
    summary = f"The {what} of {owner(seen, chain)} {_not_valid(faults)}: {'; '.join(parts)}"
    if faults[0].kind == "expired" and all(fault.element for fault in faults):
        return summary, (
            f"Replace {names_of(faults)} on {owner(seen, chain)} by the current certificate, which its authority "
            "publishes, and reload the service there."
        )
    if faults[0].kind == "expired":
        return summary, f"Renew {names_of(faults)}, install it on {owner(seen, chain)}, and reload the service there."
    return summary, (
        f"Check {seen.client}'s clock against another; if it is right, put the previous certificate back on "
        f"{owner(seen, chain)} until then."
    )


def _not_valid(faults: tuple[ChainFault, ...]) -> str:
    return "has expired" if faults[0].kind == "expired" else "is not valid yet"


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
    for chain, faults in faulty(seen, "bad-signature"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"The signature of a certificate of {owner(seen, chain)} is wrong: {details_of(faults)}",
            f"Install the intermediate that signed {names_of(faults)} on the server; if it is there, compare the "
            "fingerprint with its owner's, since something may alter it on the way.",
        )


@rule(
    "chain.root-missing-locally",
    "Public root is missing on this machine",
    Severity.ERROR,
    folds=("tls.handshake-failed", "tls.interrupted"),
)
def root_missing_locally(seen: Seen) -> Iterator[Hit]:
    """The server's chain ends at a public root, and this machine's trust store lacks that root.

    Programs here refuse the connection (Windows: UntrustedRoot or PartialChain), while other
    machines accept it. Windows fetches public roots on demand from Microsoft; a machine that may
    not reach ctldl.windowsupdate.com, or whose policy turns that off, never gets new ones. Old
    Linux images and Java runtimes with a store of their own age too. Azure moved to DigiCert Global
    Root G2, which is the root most often missed.

    A capture shows it when the client ends the handshake with the alert unknown_ca (RFC 8446 §6.2)
    although the chain that it was given leads to a public root.

    Import the root into the machine's store, not a user's, because services look there: "certutil
    -addstore Root FILE" on Windows, update-ca-certificates or update-ca-trust on Linux. Compare its
    fingerprint with the one that the authority publishes before you trust it.
    """
    for chain, faults in faulty(seen, "root-missing-locally"):
        root = element_of(chain, faults[0])
        name = short_name(faults[0].subject)
        fingerprint = f" (SHA-1 {root.sha1})" if root else ""
        is_g2 = root is not None and root.sha1.lower() == DIGICERT_GLOBAL_ROOT_G2[1]
        source = f"from {DIGICERT_G2_URL}" if is_g2 else "from its authority"
        where = "the files named with --trust" if chain.store_vouched else "this machine's root store"
        yield Hit(
            summary=f"The public root {name}, which signs for {bearer(chain)}, is missing in {stores_of(chain)}",
            blame="this-machine",
            remedy=f"Get {name}{fingerprint} {source}, compare its fingerprint, and add it to {where}.",
            evidence=(chain,),
            culprit=Culprit(name=name),
        )
    for chain in seen.effective(ChainObservation):
        tls = captured_handshake(seen, chain)
        if tls and tls.sent_alert == "unknown_ca" and chain.publicly_trusted and not chain.faults:
            name = short_name(chain.elements[-1].subject)
            yield Hit(
                summary=f"{name}, a public root that signs for {bearer(chain)}, is missing on {seen.client}: "
                "it refuses the certificate with the alert unknown_ca",
                blame="this-machine",
                remedy=f"Add {name} to the root store of {seen.client}, for the whole machine, after a comparison of "
                "its fingerprint with the one that the authority publishes.",
                evidence=(chain, tls),
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
    for chain, faults in faulty(seen, "untrusted-root"):
        last = element_of(chain, faults[0])
        alone = last is not None and last.self_signed and faults[0].element == 0
        issuer = (
            short_name(last.subject if last is None or last.self_signed else last.issuer) if last else "an unknown root"
        )
        what = "is self-signed" if alone else f"comes from {issuer}"
        yield server_hit(
            seen,
            chain,
            faults,
            f"The certificate of {owner(seen, chain)} {what}, which {stores_of(chain)} does not trust and no "
            "public list of roots holds",
            f"If {issuer} is your organisation's own, import it into {_whose_store(seen)}; otherwise the server "
            "needs a certificate from a public authority.",
            severity=Severity.INFO if accepted(seen, chain) else None,  # the client knows the authority
            culprit=Culprit(name=issuer),
        )


def _whose_store(seen: Seen) -> str:
    if is_node(seen):
        return "the trusted roots of the local computer on every node"
    return f"{seen.client}'s root store"


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
    for chain, faults in faulty(seen, "incomplete"):
        if chain.source == "file":
            yield _file_incomplete(seen, chain, faults)
            continue
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
        yield server_hit(
            seen,
            chain,
            faults,
            f"{owner(seen, chain)} does not send the intermediate certificate {issuer}{more}",
            f"Install {issuer} on the server behind its own certificate, so that it sends the whole chain.",
            culprit=Culprit(name=issuer),
        )


def _file_incomplete(seen: Seen, chain: ChainObservation, faults: tuple[ChainFault, ...]) -> Hit:
    """Of a file, what was tried to find the certificate is in the fault's words."""
    last = element_of(chain, faults[0])
    issuer = short_name(last.issuer) if last else "its issuer"
    return server_hit(
        seen,
        chain,
        faults,
        f"The intermediate certificate {issuer} is missing: {details_of(faults)}",
        f"Get {issuer} from the authority, give it with --untrusted to test that, and install it wherever the "
        f"certificate of {owner(seen, chain)} is used, behind that.",
        culprit=Culprit(name=issuer),
    )
