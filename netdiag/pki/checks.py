"""What each element of one path must be like: RFC 5280, today's minimum strengths, and what each profile adds.

Contract: pure; all faults, not the first. The order is that of the functions below, leaf before issuers. What
elements may be used for stands in roles.py, their names in name_checks.py, policies in policies.py, revocation in
revocation.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from netdiag.model import ChainFault, Severity
from netdiag.pki import name_checks, roles
from netdiag.pki.context import Context, utc
from netdiag.pki.policies import Inputs, policy_problems
from netdiag.pki.profiles import ALL, CLIENTS, LINT, NOBODY, RFC5280, WEBPKI, WINDOWS, Profiles
from netdiag.pki.summary import key_text

#: Below this, public authorities may not issue (CA/Browser Forum BR §6.1.5), and OpenSSL's level 2 refuses.
MIN_RSA_BITS = 2048
#: Below this, Windows refuses (KB 2661254).
MIN_RSA_BITS_WINDOWS = 1024
#: P-224 is as strong as RSA 2048 (NIST SP 800-57 part 1, table 2).
MIN_EC_BITS = 224
#: Curves of public certificates (BR §6.1.5).
PUBLIC_CURVES = ("secp256r1", "secp384r1", "secp521r1")
#: RFC 5280 §4.1.2.2.
MAX_SERIAL_OCTETS = 20
#: Broken for signatures everywhere; SHA-1 is accepted by some.
BROKEN_HASHES = frozenset({"md2", "md4", "md5"})
#: ecdsa-with-SHA1 (RFC 3279 §2.2.3).
_ECDSA_SHA1 = "1.2.840.10045.4.1"
#: Dotted OIDs of signatures whose hash cryptography does not name: md2WithRSA, md4WithRSA.
_BROKEN_OIDS = frozenset({"1.2.840.113549.1.1.2", "1.2.840.113549.1.1.3"})

#: Extensions that say what a certificate may be used for: one that cannot be read may forbid what is being done.
_DECISIVE = frozenset(
    kind.oid.dotted_string
    for kind in (
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.NameConstraints,
        x509.SubjectAlternativeName,
        x509.CertificatePolicies,
        x509.PolicyConstraints,
        x509.InhibitAnyPolicy,
    )
)
#: Lists that RFC 5280 wants to have an entry at least, and that cryptography reads without one.
_NEVER_EMPTY: tuple[type[x509.ExtensionType], ...] = (
    x509.SubjectAlternativeName,
    x509.CertificatePolicies,
    x509.AuthorityInformationAccess,
    x509.CRLDistributionPoints,
)
#: Extensions that RFC 5280 wants to be non-critical (§4.2.1.1, §4.2.1.2, §4.2.2.1).
_NEVER_CRITICAL: tuple[type[x509.ExtensionType], ...] = (
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.AuthorityInformationAccess,
)


def path_faults(context: Context, inputs: Inputs) -> list[ChainFault]:
    """Every fault of the elements, leaf first."""
    found: list[ChainFault] = []
    for index in range(len(context.elements)):
        for check in (_readable, _identity, _time, _key, _signature, roles.purpose, _key_identifiers):
            found += check(context, index)
        if index:
            found += roles.authority(context, index)
            found += roles.path_length(context, index)
        else:
            found += roles.leaf(context)
            found += roles.leaf_usage(context)
            found += name_checks.alternative_names(context)
        found += name_checks.constraints(context, index)
    found += _policy_constraints(context)
    below = context.elements[:-1] if context.anchored else context.elements
    for index, problem in policy_problems(below or context.elements, inputs):
        found.append(context.fault("policy", index, problem, "InvalidPolicyConstraints", RFC5280 | WINDOWS))
    return found


def _readable(context: Context, index: int) -> Iterator[ChainFault]:
    element = context.elements[index]
    for entry in element.broken:
        name = extension_name(entry.oid)
        if entry.unsupported:
            who: Profiles = ALL if entry.critical else NOBODY
            detail = f"its extension {name} holds a form of name that is not read: {entry.error}"
            yield context.fault("malformed", index, detail, "HasNotSupportedCriticalExtension", who)
            continue
        decisive = entry.value is None and (entry.critical or entry.oid in _DECISIVE)
        who = ALL if decisive else LINT if entry.oid in _DECISIVE else WEBPKI
        yield context.fault(
            "malformed", index, f"its extension {name} cannot be read: {entry.error}", "InvalidExtension", who
        )
    for kind in _NEVER_EMPTY:
        value = element.extension(kind)
        if isinstance(value, Iterable) and not list(value):
            oid = kind.oid.dotted_string
            detail = f"its extension {extension_name(oid)} is empty (RFC 5280 §4.2)"
            yield context.fault("malformed", index, detail, "InvalidExtension", LINT if oid in _DECISIVE else WEBPKI)
    for oid in element.repeated:
        detail = f"it has the extension {extension_name(oid)} more than once (RFC 5280 §4.2)"
        yield context.fault("malformed", index, detail, "InvalidExtension")
    if element.key is None and not element.inherits_parameters:
        yield context.fault("malformed", index, "its public key is of no known kind", "NotSignatureValid")
    if element.spells_out_curve:  # CVE-2020-0601: such a curve may be anybody's
        detail = "its key spells out a curve in place of its name (RFC 5480 §2.1.1)"
        yield context.fault("malformed", index, detail, "InvalidExtension", LINT | CLIENTS, Severity.WARNING)
    # RFC 5280 §4.2: "A certificate-using system MUST reject the certificate if it encounters a critical extension it
    # does not recognize".
    for oid in element.unknown_critical:
        detail = f"its critical extension {oid} is unknown"
        yield context.fault("malformed", index, detail, "HasNotSupportedCriticalExtension")
    if element.structure.tbs.signature.data != element.structure.algorithm.data:
        detail = "it names two signature algorithms, one inside and one outside (RFC 5280 §4.1.1.2)"
        yield context.fault("malformed", index, detail, "NotSignatureValid")


def _identity(context: Context, index: int) -> Iterator[ChainFault]:
    """Version, serial number and names (RFC 5280 §4.1.2)."""
    element = context.elements[index]
    if element.version < 3:
        yield context.fault(
            "malformed", index, f"it is of version {element.version}, not 3", "InvalidExtension", WEBPKI
        )
    if element.version < 3 and element.extensions:
        detail = f"it has extensions, and is of version {element.version} (RFC 5280 §4.1.2.9)"
        yield context.fault("malformed", index, detail, "InvalidExtension", LINT)
    for name, what in ((element.subject_name, "subject"), (element.issuer_name, "issuer")):
        if name is None:
            yield context.fault("malformed", index, f"its {what} cannot be read", "InvalidExtension")
    if not element.issuer:
        yield context.fault("malformed", index, "it names no issuer (RFC 5280 §4.1.2.4)", "InvalidExtension")
    if element.is_ca and not element.subject:
        yield context.fault(
            "malformed", index, "it is an authority without a name (RFC 5280 §4.1.2.6)", "InvalidExtension"
        )
    if (not context.is_anchor(index) or not index) and not 0 < element.serial < 1 << (8 * MAX_SERIAL_OCTETS):
        shape = "larger than 20 octets" if element.serial > 0 else "not positive"
        yield context.fault(
            "malformed", index, f"its serial number is {shape} (RFC 5280 §4.1.2.2)", "InvalidExtension", LINT
        )
    for kind in _NEVER_CRITICAL:
        if element.critical(kind):
            detail = f"its extension {extension_name(kind.oid.dotted_string)} is critical, which RFC 5280 §4.2 forbids"
            yield context.fault("malformed", index, detail, "InvalidExtension", LINT)


def _time(context: Context, index: int) -> Iterator[ChainFault]:
    element = context.elements[index]
    if context.at > element.not_after:
        yield context.fault("expired", index, f"valid until {utc(element.not_after)}", "NotTimeValid")
    elif context.at < element.not_before:
        yield context.fault("not-yet-valid", index, f"valid from {utc(element.not_before)}", "NotTimeValid")


def _key(context: Context, index: int) -> Iterator[ChainFault]:
    key, anchor = context.elements[index].key, context.is_anchor(index) and index > 0
    who: Profiles = NOBODY
    match key:
        case rsa.RSAPublicKey() if key.key_size < MIN_RSA_BITS_WINDOWS:
            who = ALL - RFC5280
        case rsa.RSAPublicKey() if key.key_size < MIN_RSA_BITS:
            who = WEBPKI | CLIENTS
        case rsa.RSAPublicKey() if key.key_size % 8:
            who = WEBPKI
        case ec.EllipticCurvePublicKey() if key.key_size < MIN_EC_BITS:
            who = WEBPKI | CLIENTS
        case ec.EllipticCurvePublicKey() if key.curve.name not in PUBLIC_CURVES:
            who = WEBPKI
        case dsa.DSAPublicKey():
            who = WEBPKI | CLIENTS
        case _:
            return
    if who:  # a trusted root is used as it stands, whatever its size: most clients accept it
        refused = who & WEBPKI if anchor else who
        yield context.fault(
            "weak-key", index, f"its key is {key_text(key)}", "HasWeakSignature", refused, Severity.WARNING
        )


def _signature(context: Context, index: int) -> Iterator[ChainFault]:
    """Nobody relies on the signature of a self-signed certificate: it is trusted, or not, as it stands."""
    element = context.elements[index]
    if context.is_anchor(index) or element.self_signed:
        return
    oid, detail = element.certificate.signature_algorithm_oid.dotted_string, "it is signed with {}"
    if element.signature_hash in BROKEN_HASHES or oid in _BROKEN_OIDS:
        who = ALL
    elif element.signature_hash == "sha1":
        # RFC 3279 made SHA-1 the hash of RSA and DSA signatures; those of ECDSA came with SHA-2 (RFC 5758).
        who = WEBPKI | CLIENTS | (RFC5280 if oid == _ECDSA_SHA1 else NOBODY)
    else:
        return
    detail = detail.format(element.summary.signature_algorithm)
    yield context.fault("weak-signature", index, detail, "HasWeakSignature", who, Severity.WARNING)


def _key_identifiers(context: Context, index: int) -> Iterator[ChainFault]:
    """RFC 5280 §4.2.1.1 and §4.2.1.2; of self-signed roots, BR §7.1.2.1.3."""
    element = context.elements[index]
    anchor = context.is_anchor(index)
    identifier = element.extension(x509.AuthorityKeyIdentifier)
    if not element.self_signed and element.authority_key_id is None and element.version == 3:
        detail = "it has no key identifier of its issuer (RFC 5280 §4.2.1.1)"
        yield context.fault("malformed", index, detail, "InvalidExtension", LINT)
    if element.is_ca and not element.has(x509.SubjectKeyIdentifier) and (index or element.version == 3):
        detail = "it is an authority without a key identifier (RFC 5280 §4.2.1.2)"
        yield context.fault("malformed", index, detail, "InvalidExtension", LINT)
    if anchor and index and element.self_signed and identifier is not None:
        complete = identifier.key_identifier is not None and identifier.key_identifier == element.subject_key_id
        if not complete or identifier.authority_cert_issuer or identifier.authority_cert_serial_number is not None:
            detail = "its authority key identifier is more or less than its own key identifier (BR §7.1.2.1.3)"
            yield context.fault("malformed", index, detail, "InvalidExtension", WEBPKI)


def _policy_constraints(context: Context) -> Iterator[ChainFault]:
    """RFC 5280 §4.2.1.11 wants them critical.

    RFC 3280 did not, and certificates of its time that assert policies are verified by what they assert.
    """
    for index, element in enumerate(context.elements):
        present = element.has(x509.PolicyConstraints) and not element.critical(x509.PolicyConstraints)
        if present:
            who = NOBODY if element.has(x509.CertificatePolicies) else LINT
            detail = "its policy constraints are not critical (RFC 5280 §4.2.1.11)"
            yield context.fault("policy", index, detail, "InvalidPolicyConstraints", who)


def extension_name(oid: str) -> str:
    """The name that cryptography knows the extension by, else the OID."""
    name: str = x509.ObjectIdentifier(oid)._name
    return oid if name == "Unknown OID" else name
