"""The scenarios of ``netdiag cert``: break one thing of what a certificate names, expect one verdict. Data only.

Each says what its certificate is like (``Leaf``) and what else changes; the verdict, every finding's id, and what each
URL is worth are all there must be. The file holds the certificate and the authority that issued it, whose own URLs
work, unless it is told otherwise. One CRL or one OCSP answer suffices (RFC 5280 §6.3, and so does Windows), so that a
dead URL beside one that works leaves the verdict healthy and shows in ``urls``.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cryptography.x509 import ReasonFlags
from lab_certificate_servers import (
    CA_DN,
    DEAD,
    ENDLESS,
    MUTE,
    OCSP_URL,
    STALE_OCSP_URL,
    http,
    ldap,
)
from lab_scenarios import Expect, failed, healthy, impaired, via
from lab_services import CERTIFICATES, PASSWORD, USER
from lab_topology import FIREWALL
from lab_world import Setting

from tests.pfx import CSP, KSP

KEY, HOLD, RELEASED = ReasonFlags.key_compromise, ReasonFlags.certificate_hold, ReasonFlags.remove_from_crl


@dataclass(frozen=True)
class Leaf:
    """A certificate: the URLs that it names, who issued it, where it is revoked (a list's file, "ocsp") and why."""

    aia: tuple[str, ...] = (http("issuing.crt"),)
    cdp: tuple[str, ...] = (http("issuing.crl"),)
    delta: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = (OCSP_URL,)
    issuer: Literal["issuing", "withdrawn"] = "issuing"
    listed: Mapping[str, ReasonFlags] = field(default_factory=dict)
    end: datetime.datetime | None = None
    rsa: bool = False


@dataclass(frozen=True)
class Pfx:
    """A PKCS#12 file with the certificate: options of ``openssl pkcs12 -export``; whose private key is in it."""

    options: tuple[str, ...] = ()
    key: Literal["own", "none", "another"] = "own"


@dataclass(frozen=True)
class CertificateScenario:
    """One line of the table. ``urls``: "purpose status" of the leaf's URLs, in its order; ``above``: of its issuer's.

    ``says``: texts that the verdict or its remedy must have, for the person who reads it.
    """

    name: str
    expect: Expect
    urls: tuple[str, ...]
    leaf: Leaf = field(default_factory=Leaf)
    above: tuple[str, ...] = ("aia verified", "cdp verified")
    setting: Setting = field(default_factory=Setting)
    options: tuple[str, ...] = ()
    #: The issuer's certificate is in the file.
    complete: bool = True
    pfx: Pfx | None = None
    says: tuple[str, ...] = ()
    recorded: bool = False


_FINE = ("aia verified", "cdp verified", "ocsp verified")
#: At the firewall, to everything that the certificate servers offer.
_TO = f"ip daddr {CERTIFICATES} tcp"
_GOOD_USER = f"{USER}:{PASSWORD}"

_HEALTHY = (
    CertificateScenario("cert-healthy", healthy(), _FINE, recorded=True),
    CertificateScenario("cert-aia-der", healthy(), _FINE, complete=False, recorded=True),
    CertificateScenario("cert-aia-pem", healthy(), _FINE, Leaf(aia=(http("issuing.pem"),)), complete=False),
    CertificateScenario("cert-aia-pkcs7", healthy(), _FINE, Leaf(aia=(http("issuing.p7c"),)), complete=False),
    CertificateScenario(
        "cert-ldap-only",
        healthy(),
        ("aia verified", "cdp verified"),
        Leaf((ldap(CA_DN, "cACertificate"),), (ldap(CA_DN, "certificateRevocationList"),), ocsp=()),
        complete=False,
        recorded=True,
    ),
    CertificateScenario(
        "cert-http-dead-ldap-alive",
        healthy(),
        ("aia failed", "aia verified", "cdp failed", "cdp verified"),
        Leaf((DEAD, ldap(CA_DN, "cACertificate")), (DEAD, ldap(CA_DN, "certificateRevocationList")), ocsp=()),
        complete=False,
        recorded=True,
    ),
    CertificateScenario(
        "cert-ocsp-dead-crl-fine",
        healthy(),
        ("aia verified", "cdp verified", "ocsp failed"),
        Leaf(ocsp=(DEAD,)),
        recorded=True,
    ),
    CertificateScenario(
        "cert-crl-dead-ocsp-fine",
        healthy(),
        ("aia verified", "cdp failed", "ocsp verified"),
        Leaf(cdp=(DEAD,)),
    ),
    CertificateScenario(
        "cert-ocsp-delegated", healthy(), ("aia verified", "ocsp verified"), Leaf(cdp=()), recorded=True
    ),
    CertificateScenario(
        "cert-ocsp-nonce", healthy(), ("aia verified", "ocsp verified"), Leaf(cdp=()), options=("--nonce",)
    ),
    CertificateScenario("cert-through-squid", healthy(), _FINE, options=via(3128), recorded=True),
    CertificateScenario("cert-through-squid-with-login", healthy(), _FINE, options=via(3129, _GOOD_USER)),
    CertificateScenario(
        "cert-delta-crl",
        healthy(),
        ("aia verified", "cdp verified", "delta verified", "delta verified"),
        Leaf(delta=(http("delta.crl"), ldap(CA_DN, "deltaRevocationList")), ocsp=()),
        recorded=True,
    ),
    CertificateScenario(
        "cert-hold-released",
        healthy(),
        ("aia verified", "cdp verified", "delta verified"),  # a list is judged together with its delta
        Leaf(delta=(http("delta.crl"),), ocsp=(), listed={"issuing.crl": HOLD, "delta.crl": RELEASED}),
    ),
    CertificateScenario(
        "cert-crl-redirected",
        healthy(),
        ("aia verified", "cdp verified"),
        Leaf(cdp=(http("moved"),), ocsp=()),
    ),
)

_REVOKED = (
    CertificateScenario(
        "cert-revoked-by-crl",
        failed("chain.revoked", "server"),
        ("aia verified", "cdp revoked"),
        Leaf(ocsp=(), listed={"issuing.crl": KEY}),
        says=("keyCompromise", "2024-01-01"),
        recorded=True,
    ),
    CertificateScenario(
        "cert-revoked-by-ocsp-only",
        failed("chain.revoked", "server"),
        ("aia verified", "cdp verified", "ocsp revoked"),
        Leaf(listed={"ocsp": KEY}),
        says=("keyCompromise", "OCSP"),
        recorded=True,
    ),
    CertificateScenario(
        "cert-revoked-by-delta",
        failed("chain.revoked", "server"),
        ("aia verified", "cdp revoked", "delta verified"),
        Leaf(delta=(http("delta.crl"),), ocsp=(), listed={"delta.crl": KEY}),
    ),
    CertificateScenario(
        "cert-intermediate-revoked",
        failed("chain.revoked", "certificate-authority"),
        ("cdp verified",),
        Leaf(aia=(), cdp=(http("withdrawn.crl"),), ocsp=(), issuer="withdrawn"),
        above=("aia verified", "cdp revoked"),
        says=("Contoso Withdrawn CA", "cACompromise", "by another authority"),
        recorded=True,
    ),
    CertificateScenario(
        "cert-on-hold",
        failed("chain.revoked", "server"),
        ("aia verified", "cdp revoked"),
        Leaf(ocsp=(), listed={"issuing.crl": HOLD}),
        says=("certificateHold", "Ask Contoso Online CA why it is on hold"),
        recorded=True,
    ),
    CertificateScenario(
        "cert-expired-misnamed-revoked",
        failed("tls.name-mismatch", "server", "chain.expired", "chain.revoked"),
        ("aia verified", "cdp revoked", "ocsp verified"),
        Leaf(listed={"issuing.crl": KEY}, end=datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)),
        options=("--hostname", "another.contoso.test"),
        says=("not for another.contoso.test",),
        recorded=True,
    ),
)


def _unknown(name: str, status: str, url: str, **more: object) -> CertificateScenario:
    """The one list that the certificate names is there, and useless."""
    return CertificateScenario(
        name,
        failed("chain.revocation-unknown", "certificate-authority"),
        ("aia verified", f"cdp {status}"),
        Leaf(cdp=(url,), ocsp=()),
        **more,
    )


def _no_answer(name: str, blame: str, url: str, **more: object) -> CertificateScenario:
    """The one list that the certificate names cannot be had."""
    return CertificateScenario(
        name,
        failed("chain.revocation-offline", blame),
        ("aia verified", "cdp failed"),
        Leaf(cdp=(url,), ocsp=()),
        **more,
    )


def _useless_ocsp(name: str, status: str, url: str, *says: str) -> CertificateScenario:
    return CertificateScenario(
        name,
        failed("chain.revocation-unknown", "certificate-authority"),
        ("aia verified", f"ocsp {status}"),
        Leaf(cdp=(), ocsp=(url,)),
        says=says,
        recorded=True,
    )


_LISTS = (
    _unknown("cert-crl-expired", "expired", http("expired.crl"), says=("2025-06-08",), recorded=True),
    _unknown("cert-crl-forged", "bad-signature", http("forged.crl"), recorded=True),
    _unknown("cert-crl-of-another", "wrong-issuer", http("root.crl"), says=("Contoso Online Root",), recorded=True),
    _unknown("cert-crl-cut", "unusable", http("cut.crl"), says=("cut off",)),
    _no_answer("cert-crl-login-page", "path-device", http("page"), says=("'Welcome'", "in its place"), recorded=True),
    _no_answer("cert-crl-gone", "certificate-authority", http("gone"), says=("404",)),
    _no_answer("cert-crl-circle", "certificate-authority", http("loop"), says=("circle",), recorded=True),
    _no_answer(
        "cert-crl-to-file", "certificate-authority", http("to-file"), says=("file:///etc/passwd",), recorded=True
    ),
    _no_answer("cert-crl-of-2-gb", "certificate-authority", http("huge"), says=("2147483648",)),
    _no_answer("cert-crl-endless", "certificate-authority", ENDLESS, says=("65536 KiB",)),
    _no_answer("cert-crl-never", "path-device", MUTE, options=("--timeout=1",), says=("port 8082",)),
    _no_answer(
        "cert-crl-no-such-name",
        "dns",
        "http://nobody.contoso.test/issuing.crl",
        says=("Make nobody.contoso.test resolvable",),
        recorded=True,
    ),
    _useless_ocsp("cert-ocsp-try-later", "refused", http("try-later"), "tryLater"),
    _useless_ocsp("cert-ocsp-unauthorized", "refused", http("unauthorized"), "unauthorized"),
    _useless_ocsp("cert-ocsp-stale", "expired", STALE_OCSP_URL, "2025-06-02"),
)

_CUT_OFF = {
    "urls": ("aia failed", "cdp failed", "ocsp failed"),
    "above": ("aia failed", "cdp failed"),
    "recorded": True,
}
_OFFLINE = ("chain.revocation-offline", "chain.aia-unreachable")


def _blocked(name: str, blame: str, rule: str, *says: str) -> CertificateScenario:
    return CertificateScenario(
        name,
        failed(_OFFLINE[0], blame, *_OFFLINE[1:]),
        setting=Setting(forward=f"{_TO} {rule}"),
        options=("--timeout=1",),
        says=("certs.contoso.test port 80", *says),
        **_CUT_OFF,
    )


_WAYS = (
    _blocked("cert-all-dropped", "path-device", "dport 1-65535 drop"),
    _blocked("cert-all-reset", "certificate-authority", "dport 1-65535 reject with tcp reset", "refused"),
    _blocked("cert-all-prohibited", "path-device", "dport 1-65535 reject with icmpx admin-prohibited", FIREWALL),
    CertificateScenario(
        "cert-squid-wants-a-login",
        failed(_OFFLINE[0], "proxy", *_OFFLINE[1:]),
        options=via(3129),
        says=("Basic", "10.10.5.2:3129"),
        **_CUT_OFF,
    ),
    _no_answer(
        "cert-squid-forbids",
        "proxy",
        "http://blocked.contoso.test/issuing.crl",
        options=via(3128),
        says=("403", "allow blocked.contoso.test port 80."),
        recorded=True,
    ),
    _no_answer(
        "cert-squid-dead-origin",
        "proxy",
        "http://20.42.1.99/issuing.crl",
        options=via(3128),
        says=("503", "does not get to 20.42.1.99 port 80"),
        recorded=True,
    ),
)


def _no_issuer(name: str, status: str, url: str, *says: str) -> CertificateScenario:
    """The file lacks the issuer's certificate, and the URL does not give it: nobody knows whose answers count."""
    return CertificateScenario(
        name,
        failed("chain.incomplete", "server", "chain.aia-unreachable"),
        (f"aia {status}",),
        Leaf(aia=(url,), ocsp=()),
        above=(),
        complete=False,
        says=says,
        recorded=True,
    )


_ISSUERS = (
    _no_issuer("cert-aia-gone", "failed", http("gone"), "Contoso Online CA", "404"),
    _no_issuer("cert-aia-of-another", "wrong-issuer", http("root.crt"), "Contoso Online CA", "another certificate"),
    _no_issuer("cert-aia-login-page", "failed", http("page"), "Contoso Online CA", "'Welcome'"),
    CertificateScenario(
        "cert-aia-gone-and-not-needed",
        impaired("chain.aia-unreachable", "certificate-authority"),
        ("aia failed", "cdp verified", "ocsp verified"),
        Leaf(aia=(http("gone"),)),
        says=("404",),
    ),
)

_KEYS = (
    CertificateScenario("cert-pfx-for-a-node", healthy(), _FINE, Leaf(rsa=True), pfx=Pfx(("-CSP", CSP, "-keyex"))),
    CertificateScenario(
        "cert-pfx-of-a-ksp",
        failed("key.provider-ksp", "this-machine"),
        _FINE,
        Leaf(rsa=True),
        pfx=Pfx(("-CSP", KSP, "-keyex")),
        says=(KSP, f'certutil -importpfx -csp "{CSP}"'),
    ),
    CertificateScenario(
        "cert-pfx-for-signatures",
        failed("key.not-for-exchange", "this-machine"),
        _FINE,
        Leaf(rsa=True),
        pfx=Pfx(("-CSP", CSP, "-keysig")),
        says=("AT_SIGNATURE", "AT_KEYEXCHANGE"),
    ),
    CertificateScenario(
        "cert-pfx-without-key",
        failed("key.missing", "this-machine"),
        _FINE,
        pfx=Pfx(key="none"),
        says=("certutil -repairstore",),
        recorded=True,
    ),
    CertificateScenario(
        "cert-pfx-with-anothers-key",
        failed("key.mismatch", "this-machine"),
        _FINE,
        pfx=Pfx(key="another"),
        recorded=True,
    ),
)

CERTIFICATE_SCENARIOS = (*_HEALTHY, *_REVOKED, *_LISTS, *_WAYS, *_ISSUERS, *_KEYS)
