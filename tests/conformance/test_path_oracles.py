"""Other verifiers' opinions on every planted fault: where they differ from ours, the tables below say why.

cryptography's verifier follows the baseline requirements and is compared with our webpki profile; ``openssl verify``
and pyhanko-certvalidator follow RFC 5280 and are compared with our rfc5280 profile.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tests.conformance.path_cases import CASES, Case
from tests.support import require_modules, require_tools

Differences = Mapping[str, tuple[str, ...]]
BY_NAME = {f"{group}: {case.name}": case for group, cases in CASES.items() for case in cases}

ENDS = ("", ", none in the leaf")

CRYPTOGRAPHY: Differences = {
    "its limit of signature checks ends the search": (
        "graphs: everybody of one name certified everybody, and a root one of them",
    ),
    "it does not look at a leaf's key": (
        "baseline: DSA in the leaf",
        "baseline: P-192 in the leaf",
        "baseline: RSA of 1024 bits in the leaf",
        "baseline: RSA of 2052 bits in the leaf",
        "baseline: explicit curve in the leaf",
    ),
    "it does not look at a leaf's key usage, except for keyCertSign": (
        "ML-DSA: key usage dataEncipherment",
        "ML-DSA: key usage keyAgreement",
        "ML-DSA: key usage keyEncipherment",
        "baseline: RSA leaf that may do nothing",
    ),
    "it takes any size of RSA key from 2048 bits on": ("baseline: RSA of 2052 bits in the root",),
    "it does not look at common names": tuple(
        f"common names: {entry}"
        for entry in (
            "IPv4 in hexadecimal",
            "IPv4 with leading zeros",
            "IPv6 in capitals",
            "IPv6 in full",
            "IPv6 otherwise than RFC 5952",
            "a U-label",
            "a name that is not there",
            "another A-label",
            "in capitals",
            "in small letters, and the alternative name in capitals",
        )
    ),
    "it looks at alternative names until one fits": (
        "alternative names: an address of five octets",
        "alternative names: empty label",
        "alternative names: empty name",
        "alternative names: underscore beside a good one",
    ),
    "it has no list of public suffixes": (
        "host names: wildcard for a private suffix",
        "host names: wildcard for a public suffix",
        "host names: wildcard for a top-level domain",
    ),
    "it does without key identifiers of authorities": (
        "key identifiers: anchor that another signed, without one",
        "key identifiers: authority: no authority key identifier",
        "key identifiers: authority: no subject key identifier",
        "key identifiers: root: no subject key identifier",
    ),
    "it looks at whether a root's key identifier is there, and not at the rest": (
        "baseline: root's authority key identifier of another key",
        "baseline: root's authority key identifier with an issuer besides",
    ),
    "it asks for serverAuth where there is an extended key usage, and for nothing else": (
        "purposes: leaf for servers and any purpose",
        "purposes: leaf for servers and mail",
        "purposes: leaf without",
        "purposes: root for servers",
    ),
    "it does not look into an extension that it does not use": ("baseline: issuer's address, empty",),
    "it accepts zero, which some roots have": ("serial numbers: zero",),
    "it wants key usage of authorities, which RFC 5280 §6.1.4 (n) checks where present": (
        "general: a root without key usage",
        "general: an authority without key usage",
    ),
    "it compares distinguished names byte by byte": ("general: names are compared without regard to case and spaces",),
    "it counts self-issued authorities": (
        "path length: a self-issued authority does not count",
        "path length: depth 1, one intermediate twice",
    ),
    "it allows eight intermediates unless told otherwise": ("path length: fifteen intermediates",),
    "it knows no policies": (
        "policies: a policy is demanded and missing",
        "policies: a policy is demanded and there",
        "policies: policy constraints",
        "policies: policy constraints that are not critical",
        *(f"policies: {width} policies mapped to each other 15 times{end}" for width in (2, 14) for end in ENDS),
    ),
    "it knows no constraints on URIs and directory names": (
        "name constraints: URI, domain",
        "name constraints: URI, host",
        "name constraints: self-issued authority is exempt",
    ),
    "it does not look for mailboxes in the subject": (
        "graphs: mailboxes in the subject by the hundred",
        "name constraints: mailbox in the subject",
    ),
    "it takes an empty list of subtrees for an absent one": (
        "name constraints: empty list of excluded",
        "name constraints: empty list of permitted",
    ),
    "it takes the empty DNS name, which all names are below, for malformed": (
        "name constraints: the empty DNS base permits all",
    ),
}

OPENSSL: Differences = {
    "version 3.0 to 3.4 knows no ML-DSA": ("ML-DSA: ML-DSA-44", "ML-DSA: ML-DSA-65", "ML-DSA: ML-DSA-87"),
    "it does not look at the syntax of alternative names": (
        "alternative names: an address of five octets",
        "alternative names: empty label",
        "alternative names: empty name",
        "alternative names: underscore beside a good one",
        "alternative names: underscore",
        "name constraints: malformed DNS name, permitted",
        "name constraints: malformed mailbox, permitted",
    ),
    "it takes a host's name from the common name where there are no alternative names": (
        "host names: only the common name",
    ),
    "it lets a wildcard stand for a part of a label": ("host names: wildcard inside a label",),
    "it does not look at serial numbers": (
        "serial numbers: 22 octets",
        "serial numbers: negative, and the leaf is its own anchor",
        "serial numbers: negative",
        "serial numbers: zero",
    ),
    "SHA-1 is a matter of its security level, which distributions set": (
        "general: SHA-1 with ECDSA in the authority",
        "general: SHA-1 with ECDSA",
    ),
    "it wants basic constraints to be critical, and NIST's PKITS 4.6.4 does not": (
        "general: an authority whose basic constraints are not critical",
    ),
    "it wants key usage of authorities, which RFC 5280 §6.1.4 (n) checks where present": (
        "general: a root without key usage",
        "general: an authority without key usage",
        "revocation: a root without key usage",
    ),
    "for it, an authority is no server, and anyExtendedKeyUsage none of serverAuth": (
        "general: an authority as leaf",
        "path length: an authority in the leaf's place does not count",
        "purposes: authority for any purpose",
        "purposes: leaf for any purpose",
    ),
    "it has no limit that this reaches": (
        "graphs: a line of 100 with one name",
        "graphs: a line of 100",
        "graphs: mailboxes in the subject by the hundred",
    ),
    "a leading dot in a constraint on DNS names means below": (
        "graphs: names and constraints by the hundred, one malformed",
        "name constraints: a leading dot in a DNS base",
    ),
    "the key identifier of an anchor's issuer is of no interest to it": (
        "key identifiers: anchor that another signed, without one",
    ),
    "a key identifier decides for it who is the issuer; for RFC 5280 §4.2.1.1, it helps to find the path": (
        "key identifiers: leaf: another key's authority key identifier, and a good signature",
    ),
    "it lets name constraints be non-critical, empty, odd, and in a leaf": (
        "name constraints: DNS, permitted, not critical",
        "name constraints: IPv4 base with a mask of gaps",
        "name constraints: both lists empty",
        "name constraints: no constraint at all",
        "name constraints: empty list of excluded",
        "name constraints: empty list of permitted",
        "name constraints: constraints in a leaf, not critical",
        "name constraints: constraints in a leaf",
    ),
    "a wildcard is a name like others for its constraints": (
        "name constraints: wildcard that reaches an excluded name",
        "vulnerabilities: wildcard that reaches an excluded name (CVE-2025-61727)",
    ),
    "it judges the first path that it can build, and no other": (
        "name constraints: two ways to an authority, one constrained, one root",
        "name constraints: two ways to an authority, one constrained, two roots",
        "graphs: everybody of one name certified everybody, and a root one of them",
    ),
    "it counts self-issued authorities": ("path length: depth 1, one intermediate twice",),
    "it checks policies when told to": (
        "policies: a policy is demanded and missing",
        "policies: policy constraints that are not critical",
        *(f"policies: {width} policies mapped to each other 15 times{ENDS[1]}" for width in (2, 14)),
    ),
    "it asks for the status of the anchor, which these lists are not about": (
        "revocation: scope: the leaf's distribution point",
        "revocation: scope: end entities",
        "revocation: scope: end entities, as the leaf's distribution point says",
    ),
    "it reads lists of version 1, without a number or an end, and with repeated entries": (
        "revocation: no next update",
        "revocation: no number",
        "revocation: one serial number twice",
        "revocation: version 1",
    ),
    "notAfter is for it the first moment that is too late": (
        "validity: a few milliseconds into the last second",
        "validity: last second",
    ),
    "for a leaf without extensions, version 1 will do": ("baseline: version 1",),
    "an anchor, too, needs extensions": ("general: version 1 in the root",),
}

CERTVALIDATOR: Differences = {
    "it knows no constraints on addresses": ("name constraints: IPv4, permitted", "name constraints: IPv6, permitted"),
    "it cannot read constraints on other names": ("name constraints: other name excluded, none there",),
    "it lets constraints be non-critical and empty": (
        "name constraints: DNS, permitted, not critical",
        "name constraints: both lists empty",
        "name constraints: no constraint at all",
        "name constraints: empty list of excluded",
        "name constraints: empty list of permitted",
        "policies: policy constraints that are not critical",
    ),
    "it does not look at the syntax of alternative names": (
        "name constraints: malformed DNS name, permitted",
        "name constraints: malformed mailbox, permitted",
    ),
    "it looks for mailboxes in the subject where there are no alternative names of any form": (
        "name constraints: mailbox in the subject",
    ),
    "the empty DNS name is for it a name like others": (
        "name constraints: the empty DNS base excludes all",
        "name constraints: the empty DNS base permits all",
    ),
    "a wildcard is a name like others for its constraints": (
        "name constraints: wildcard that reaches an excluded name",
    ),
    "an anchor is a name and a key for it, and limits nothing (RFC 5280 §6.1.1 (d))": (
        "path length: the anchor's limit counts",
    ),
}


def explained(differences: Differences) -> frozenset[str]:
    return frozenset(name for names in differences.values() for name in names)


def _agrees(name: str, accepted: bool, profile: str, differences: Differences) -> None:
    """The verdicts are one, or the difference has its reason, wherever the constraints are."""
    reasons = explained(differences)
    assert accepted is (profile in BY_NAME[name].accepted) or name.replace(" of an authority", "") in reasons


@pytest.mark.parametrize(
    "differences", [CRYPTOGRAPHY, OPENSSL, CERTVALIDATOR], ids=["cryptography", "openssl", "certvalidator"]
)
def test_reasons_are_of_cases(differences: Differences) -> None:
    assert explained(differences) <= set(BY_NAME)


SERVERS = [
    name for name, case in BY_NAME.items() if case.purpose == "server" and case.host and case.roots and not case.crls
]


@pytest.mark.parametrize("name", SERVERS)
def test_cryptography(name: str) -> None:
    _agrees(name, _cryptography(BY_NAME[name]), "webpki", CRYPTOGRAPHY)


def _cryptography(case: Case) -> bool:
    assert case.host
    try:
        subject: x509.IPAddress | x509.DNSName = x509.IPAddress(ipaddress.ip_address(case.host))
    except ValueError:
        subject = x509.DNSName(case.host)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of serial numbers
        try:
            leaf, *pool = (x509.load_der_x509_certificate(made.der) for made in (case.leaf, *case.pool))
            store = Store([x509.load_der_x509_certificate(made.der) for made in case.roots])
            builder = PolicyBuilder().store(store).time(case.at)
            if case.max_depth is not None:
                builder = builder.max_chain_depth(case.max_depth)
            builder.build_server_verifier(subject).verify(leaf, pool)
        except (VerificationError, x509.InvalidVersion, ValueError):
            return False
    return True


@pytest.mark.parametrize("name", BY_NAME)
def test_openssl(name: str, tmp_path: Path) -> None:
    require_tools("openssl")
    _agrees(name, _openssl(BY_NAME[name], tmp_path), "rfc5280", OPENSSL)


def _openssl(case: Case, folder: Path) -> bool:
    command = ["openssl", "verify", "-x509_strict", "-partial_chain", "-attime", str(int(case.at.timestamp()))]
    command += ["-no-CAfile", "-no-CApath", "-no-CAstore", "-purpose", f"ssl{case.purpose}"]
    if case.max_depth is not None:
        command += ["-verify_depth", str(case.max_depth)]
    if case.crls:
        command += ["-crl_check_all", "-extended_crl"]
    for option, label, ders in (
        ("-trusted", "CERTIFICATE", [made.der for made in case.roots]),
        ("-untrusted", "CERTIFICATE", [made.der for made in case.pool]),
        ("-CRLfile", "X509 CRL", case.crls),
    ):
        if ders or option == "-trusted":
            command += [option, str(_pem(folder / option, label, *ders))]
    if case.host:
        command += [_name_option(case.host), case.host]
    command.append(str(_pem(folder / "leaf", "CERTIFICATE", case.leaf.der)))
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _name_option(host: str) -> str:
    if "@" in host:
        return "-verify_email"
    return "-verify_ip" if ":" in host or host.replace(".", "").isdigit() else "-verify_hostname"


def _pem(path: Path, label: str, *ders: bytes) -> Path:
    blocks = (f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n" for der in ders)
    path.write_text("".join(blocks))
    return path


#: It knows no names of hosts, and takes what a trust anchor says of itself for no constraint (RFC 5280 §6.2).
PATHS = [
    f"{group}: {case.name}"
    for group in ("policies", "name constraints of an authority", "path length")
    for case in CASES[group]
    if case.max_depth is None
]


@pytest.mark.parametrize("name", PATHS)
def test_certvalidator(name: str) -> None:
    require_modules("pyhanko_certvalidator")
    _agrees(name, _certvalidator(BY_NAME[name]), "rfc5280", CERTVALIDATOR)


def _certvalidator(case: Case) -> bool:
    from asn1crypto import x509 as other_x509
    from pyhanko_certvalidator import CertificateValidator, ValidationContext
    from pyhanko_certvalidator.errors import PathError, ValidationError

    leaf, *pool = (other_x509.Certificate.load(made.der) for made in (case.leaf, *case.pool))
    roots = [other_x509.Certificate.load(made.der) for made in case.roots]
    context = ValidationContext(trust_roots=roots, moment=case.at, allow_fetching=False)
    try:
        asyncio.run(CertificateValidator(leaf, pool, context).async_validate_path())
    except (
        PathError,
        ValidationError,
        NotImplementedError,
        ValueError,
        TypeError,
    ):  # the last two for what it cannot read
        return False
    return True
