"""What CRLs and OCSP responses tell of one certificate, and whom to ask about their signers.

Contract: values, and one protocol. No I/O, no clock; times are seconds since the epoch.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from cryptography import x509

from netdiag.model import UrlStatus
from netdiag.pki.distinguished import NameKey
from netdiag.pki.facts import Facts

#: Reasons of a revocation that a distribution point or a CRL may be limited to (ReasonFlags of RFC 5280 §4.2.1.13).
Reasons = frozenset[x509.ReasonFlags]
ALL_REASONS: Reasons = frozenset(x509.ReasonFlags) - {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
NO_REASONS: Reasons = frozenset()


class Directory(Protocol):
    """Where the certificates of other signers are: of CRLs signed with another key, and of indirect CRLs."""

    def named(self, name: NameKey) -> Iterable[Facts]:
        """Every known certificate with this subject, the likeliest first."""

    def vouches(self, certificate: Facts) -> bool:
        """Whether it has a valid path to the trust anchor of the certificate in question (RFC 5280 §6.3.3 (f)).

        A CRL may tell of its own signer, which makes the question circular: asked about a certificate that it is just
        judging, a directory says yes, because that CRL's own entry for its signer decides then.
        """


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one CRL or OCSP response is worth for one certificate.

    ``state`` is None when it does not decide: it cannot be used, or covers only the reasons in ``covers``.
    """

    status: UrlStatus
    detail: str = ""
    state: Literal["good", "revoked"] | None = None
    #: "OCSP", "CRL 1a2b" (its number in hexadecimal), "CRL 1a2b and delta CRL 1a2c".
    source: str = ""
    #: The name of the reason (RFC 5280 §5.3.1) and the moment, of a revocation.
    reason: str = ""
    revoked_at: float | None = None
    this_update: float | None = None
    next_update: float | None = None
    #: Reasons for which the certificate is known not to be revoked.
    covers: Reasons = NO_REASONS


@dataclass(frozen=True)
class Refusal:
    """Why a CRL or a response does not count."""

    status: UrlStatus
    detail: str


def reasons_text(reasons: Reasons) -> str:
    """Reasons by their names in RFC 5280, in its order."""
    return ", ".join(reason.value for reason in x509.ReasonFlags if reason in reasons)


def date_text(moment: float | None) -> str:
    """A moment for a reader, in UTC."""
    if moment is None:
        return "an unknown time"
    return f"{datetime.datetime.fromtimestamp(moment, datetime.UTC):%Y-%m-%d %H:%M} UTC"
