"""Is this certificate revoked? Every CRL and OCSP response that is at hand, judged for it, and what they say together.

Contract: pure. Never raises for hostile input. ``at`` is seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from netdiag.pki.answers import ALL_REASONS, NO_REASONS, Answer, Directory, reasons_text
from netdiag.pki.crl import Crl, judge_crl
from netdiag.pki.facts import Facts, Unreadable
from netdiag.pki.ocsp import OcspResponse, judge_response

__all__ = ["Answer", "Directory", "Revocation", "revocation"]


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """What is known about one certificate; the fields are those of ``Answer``.

    ``crls`` and ``responses`` hold one answer for each list and response that was given, in order.
    """

    state: Literal["good", "revoked", "unknown"]
    source: str = ""
    reason: str = ""
    revoked_at: float | None = None
    next_update: float | None = None
    detail: str = ""
    crls: tuple[Answer, ...] = ()
    responses: tuple[Answer, ...] = ()


def revocation(
    subject: Facts,
    issuer: Facts,
    crls: Sequence[Crl | Unreadable],
    responses: Sequence[OcspResponse | Unreadable],
    directory: Directory,
    at: float,
    *,
    nonce: bytes | None = None,
    strict: bool = True,
) -> Revocation:
    """What ``crls``, deltas among them, and ``responses`` say together of ``subject``, which ``issuer`` issued.

    One valid "revoked" outweighs every "good": a stale copy of the good news is easily had. It is good when a response
    says so, or when CRLs cover all reasons between them (RFC 5280 §6.3.3). ``nonce`` is that of the request, if the
    responses answer one. ``strict`` as for ``judge_crl``.
    """
    deltas = tuple(crl for crl in crls if isinstance(crl, Crl) and crl.base_number is not None)
    of_crls = tuple(
        _unreadable(crl, "CRL")
        if isinstance(crl, Unreadable)
        else judge_crl(crl, subject, issuer, directory, at, deltas=deltas, strict=strict)
        for crl in crls
    )
    of_responses = tuple(
        _unreadable(response, "OCSP")
        if isinstance(response, Unreadable)
        else judge_response(response, subject, issuer, directory, at, nonce=nonce)
        for response in responses
    )
    return _together(of_crls, of_responses)


def _unreadable(found: Unreadable, source: str) -> Answer:
    return Answer(status="unusable", detail=found.reason, source=source)


def _together(crls: tuple[Answer, ...], responses: tuple[Answer, ...]) -> Revocation:
    answers = (*responses, *crls)
    for state in ("revoked", "good"):
        for answer in answers:
            if answer.state == state:
                return _decided(answer, crls, responses)
    partial = [answer for answer in crls if answer.covers]
    covered = NO_REASONS.union(*(answer.covers for answer in partial))
    if covered == ALL_REASONS:
        return Revocation(
            state="good",
            source=" and ".join(answer.source for answer in partial),
            next_update=min((a.next_update for a in partial if a.next_update is not None), default=None),
            crls=crls,
            responses=responses,
        )
    missing = f"no CRL covers the reasons {reasons_text(ALL_REASONS - covered)}" if partial else ""
    useless = [answer for answer in answers if answer.detail and not answer.covers]
    # The lists of the authorities above are not about it, which is worth a word only where there is nothing else.
    useless = [answer for answer in useless if answer.status != "wrong-issuer"] or useless
    refused = [f"{answer.source}: {answer.detail}" for answer in useless]
    return Revocation(
        state="unknown", detail="; ".join(filter(None, (missing, *refused))), crls=crls, responses=responses
    )


def _decided(answer: Answer, crls: tuple[Answer, ...], responses: tuple[Answer, ...]) -> Revocation:
    assert answer.state is not None
    return Revocation(
        state=answer.state,
        source=answer.source,
        reason=answer.reason,
        revoked_at=answer.revoked_at,
        next_update=answer.next_update,
        detail=answer.detail,
        crls=crls,
        responses=responses,
    )
