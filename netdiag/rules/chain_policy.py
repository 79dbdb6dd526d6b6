"""Rules about chain: what a certificate in it does and may not do, or does too weakly."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import Severity
from netdiag.rules.certificates import details_of, is_anchor, names_of
from netdiag.rules.chain_faults import bearer, faulty, owner, server_hit
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen


@rule("chain.not-a-ca", "Certificate was signed by something that is no authority", Severity.ERROR)
def not_a_ca(seen: Seen) -> Iterator[Hit]:
    """A certificate in the chain signed another one, although it is not marked as an authority's.

    RFC 5280 section 6.1.4 (k) asks for basic constraints with cA set. Without that check the owner
    of any server certificate could sign for any name, so every client refuses (Windows:
    InvalidBasicConstraints).

    Have the certificate issued by a real authority. Where a home-made root lacks the extension,
    make it again with "basicConstraints = critical, CA:TRUE".
    """
    for chain, faults in faulty(seen, "not-a-ca"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"{names_of(faults)} signed in the chain of {bearer(chain)} and is no authority: {details_of(faults)}",
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
    for chain, faults in faulty(seen, "path-length-exceeded"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"{names_of(faults)} does not allow so many authorities below it: {details_of(faults)}",
            f"Issue the certificate of {bearer(chain)} from an authority directly below the limit, or issue "
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
    for chain, faults in faulty(seen, "key-usage"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"The key usage of {names_of(faults)} forbids its use for {bearer(chain)}: {details_of(faults)}",
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
    for chain, faults in faulty(seen, "purpose-mismatch"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"{names_of(faults)} is not meant for servers: {details_of(faults)}",
            f"Install a certificate for {bearer(chain)} that was issued for server authentication (1.3.6.1.5.5.7.3.1).",
        )


@rule("chain.name-constraint", "Authority may not issue for this name", Severity.ERROR)
def name_constraint(seen: Seen) -> Iterator[Hit]:
    """An authority in the chain is limited to certain names, and the certificate holds another one.

    RFC 5280 section 4.2.1.10. Windows says HasNotPermittedNameConstraint or
    HasExcludedNameConstraint and refuses. One name outside is enough, even when it is not the one
    that was asked for.

    Have the certificate issued without that name, or by an authority that may issue for it.
    """
    for chain, faults in faulty(seen, "name-constraint"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"The certificate of {owner(seen, chain)} holds a name that its authority may not issue for: "
            f"{details_of(faults)}",
            f"Issue the certificate for {bearer(chain)} without that name, or from an authority that is allowed it.",
        )


@rule("chain.policy", "Certificate policies do not fit together", Severity.ERROR, reference="RFC 5280 §6.1")
def policy(seen: Seen) -> Iterator[Hit]:
    """An authority demands a certificate policy that does not run through the whole chain below it.

    Policies are promises about how certificates are issued (RFC 5280 section 4.2.1.4). With policy
    constraints an authority demands one on the whole way down, and with inhibitions it takes back
    mappings or the policy that stands for all. Windows says InvalidPolicyConstraints
    (CERT_E_INVALID_POLICY, 0x800B0113) and refuses; most other clients do not look.

    Have the certificate issued with a policy that the authorities above it assert, or have the
    authority's own certificate issued again without the constraint.
    """
    for chain, faults in faulty(seen, "policy"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"The certificate policies along the chain of {owner(seen, chain)} do not fit: {names_of(faults)}, "
            f"{details_of(faults)}",
            f"Issue the certificate for {bearer(chain)} with a policy that every authority above it asserts.",
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
    for chain, faults in faulty(seen, "weak-key"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"The key of a certificate of {owner(seen, chain)} is too small: {names_of(faults)}, {details_of(faults)}",
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
    for chain, faults in faulty(seen, "weak-signature"):
        yield server_hit(
            seen,
            chain,
            faults,
            f"A certificate in the chain of {owner(seen, chain)} has a signature that can be forged: "
            f"{names_of(faults)}, {details_of(faults)}",
            f"Have {names_of(faults)} issued again with SHA-256.",
        )
