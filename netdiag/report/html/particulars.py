"""One certificate on demand: everything that it says, its period as a bar, and the certificate itself as PEM.

Contract: as section.py.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from netdiag.model import CertificateSummary
from netdiag.report import chain_facts, units

#: Longer certificates are no certificates; the raw JSON holds them.
_MOST_DER = 32 * 1024
#: Values of one field: a certificate of a content delivery network has some hundred names, a hostile one any number.
_MOST_VALUES = 300
#: Narrower bars cannot be seen.
_LEAST = 0.01
#: Two dates need so much of the bar's width to stand side by side, on a phone.
_TWO_DATES = 0.55
#: A label that begins beyond this would leave the drawing.
_RIGHT, _LEFT = 0.7, 0.3
#: What a reader takes as a whole: one click selects it.
_WHOLE = frozenset({"serial", "SHA-256", "SHA-1", "key identifier", "issuer's key identifier"})

Anchor = Literal["start", "middle", "end"]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """Words at a place of a drawing, which is a share of its width."""

    share: float
    anchor: Anchor
    words: str


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """The validity period on a line, with the moment that it was judged at; all places are shares of the width."""

    begin: float
    width: float
    now: float
    state: Literal["valid", "expired", "future"]
    moment: Label
    dates: tuple[Label, ...]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A label and what stands behind it; ``more`` values are left out."""

    label: str
    values: tuple[str, ...]
    more: int = 0
    whole: bool = False


class Particulars(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate. ``pem`` is empty where the report does not hold it; ``anchor`` is the id of its text."""

    fields: tuple[Field, ...]
    pem: str
    anchor: str


def by_digest(ders: Iterable[bytes]) -> dict[str, bytes]:
    """Certificates (DER) by their SHA-256 in hexadecimal."""
    return {hashlib.sha256(der).hexdigest(): der for der in ders}


def particulars(element: CertificateSummary, ders: Mapping[str, bytes], anchor: str) -> Particulars:
    """Everything about one certificate; ``ders`` are those that the report holds."""
    rows = [
        *chain_facts.identity(element),
        ("key", (element.key,)),
        ("signed with", (element.signature_algorithm,)),
        ("alternative names", element.names),
        ("issuer's certificate (AIA)", element.aia),
        ("CRL (CDP)", element.cdp),
        ("delta CRL (freshest CRL)", element.freshest_crl),
        ("OCSP", element.ocsp),
    ]
    return Particulars(
        fields=tuple(
            Field(
                label=label,
                values=values[:_MOST_VALUES],
                more=max(len(values) - _MOST_VALUES, 0),
                whole=label in _WHOLE,
            )
            for label, values in rows
            if any(values)
        ),
        pem=pem(ders.get(element.sha256, b"")),
        anchor=anchor,
    )


def pem(der: bytes) -> str:
    """The certificate in the textual encoding of RFC 7468 §5, lines of 64 characters; empty for none and too long."""
    if not der or len(der) > _MOST_DER:
        return ""
    text = base64.b64encode(der).decode()
    lines = (text[at : at + 64] for at in range(0, len(text), 64))
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----"))


def period(element: CertificateSummary, at: float, *, now: bool) -> Period | None:
    """The bar of a certificate that is judged at ``at``, which is the moment of the run or not.

    None where its end is not after its beginning.
    """
    begins, ends = element.not_before, element.not_after
    if ends <= begins:
        return None
    first, last = min(begins, at), max(ends, at)
    span = last - first
    begin, end, here = ((moment - first) / span for moment in (begins, ends, at))
    return Period(
        begin=min(begin, 1 - _LEAST),
        width=max(end - begin, _LEAST),
        now=here,
        state="future" if at < begins else "expired" if at > ends else "valid",
        moment=_label(here, f"{'today' if now else 'judged at'}, {units.day(at)}"),
        dates=_dates(begin, end, units.day(begins), units.day(ends)),
    )


def _dates(begin: float, end: float, first: str, last: str) -> tuple[Label, ...]:
    if end - begin < _TWO_DATES:
        return (_label((begin + end) / 2, f"{first} to {last}"),)
    return Label(share=begin, anchor="start", words=first), Label(share=end, anchor="end", words=last)


def _label(share: float, words: str) -> Label:
    anchor: Anchor = "start" if share < _LEFT else "end" if share > _RIGHT else "middle"
    return Label(share=share, anchor=anchor, words=words)
