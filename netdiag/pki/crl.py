"""Certificate revocation lists, judged: RFC 5280 §6.3.3, for one list with its deltas, and one certificate.

Contract: pure. Never raises for hostile input. ``at`` is seconds since the epoch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cryptography import x509

from netdiag.model import UrlStatus
from netdiag.pki.answers import ALL_REASONS, NO_REASONS, Answer, Directory, Reasons, Refusal, date_text, reasons_text
from netdiag.pki.crl_facts import Crl, Entry, directory_names, read_crl
from netdiag.pki.distinguished import NameKey, name_key
from netdiag.pki.facts import Facts

__all__ = ["Crl", "judge_crl", "read_crl"]

#: Certificates with the name of a list's issuer whose keys are tried; an authority in a rollover has three or four.
MAX_SIGNERS = 8
#: Distribution points of one certificate that are looked at; real ones have one or two.
MAX_POINTS = 16

#: A name of a distribution point, so that equal ones are equal: a distinguished name, or a kind and a value.
_PointName = NameKey | tuple[type, object]


def judge_crl(
    crl: Crl,
    subject: Facts,
    issuer: Facts,
    directory: Directory,
    at: float,
    *,
    deltas: Sequence[Crl] = (),
    strict: bool = True,
) -> Answer:
    """What ``crl`` says of ``subject``, which ``issuer`` issued. The newest of ``deltas`` that fits it counts, too.

    ``strict``: a list that departs from RFC 5280 and can still be understood proves revocations only.
    """
    if crl.unusable:
        return _refused(crl, Refusal("unusable", crl.unusable))
    covers = _covered(crl, subject)
    if isinstance(covers, Refusal):
        return _refused(crl, covers)
    signer = _signer(crl, issuer, directory)
    if isinstance(signer, Refusal):
        return _refused(crl, signer)
    late = _untimely(crl, at)
    if late:
        return _refused(crl, late)
    if crl.base_number is not None:
        return _answer(crl, "verified", f"it adds to the complete CRL {crl.base_number:x}, and counts with that only")
    delta, notes = _newest_delta(crl, signer, deltas, at)
    return _verdict(crl, delta, subject, covers, "; ".join(notes), strict)


def _verdict(crl: Crl, delta: Crl | None, subject: Facts, covers: Reasons, notes: str, strict: bool) -> Answer:
    entry = crl.entry(subject.issuer, subject.serial)
    if delta:  # what it says is newer (RFC 5280 §6.3.3 (i) to (k))
        entry = delta.entry(subject.issuer, subject.serial) or entry
    found = _answer(crl, "verified", notes)
    if delta:
        ends = [moment for moment in (crl.next_update, delta.next_update) if moment is not None]
        source = f"{crl.label} and {delta.label}"
        found = replace(found, source=source, this_update=delta.this_update, next_update=min(ends, default=None))
    if entry and not entry.removed:
        return _revoked(found, entry)
    if crl.irregular:
        if strict:
            return replace(found, status="unusable", detail=crl.irregular)
        found = replace(found, detail="; ".join(filter(None, (crl.irregular, notes))))
    if covers == ALL_REASONS:
        return replace(found, state="good", covers=covers)
    partly = f"it covers some reasons only: {reasons_text(covers)}"
    return replace(found, detail="; ".join(filter(None, (partly, found.detail))), covers=covers)


def _revoked(found: Answer, entry: Entry) -> Answer:
    detail = f"revoked since {date_text(entry.revoked_at)}: {entry.reason}"
    return replace(
        found, status="revoked", detail=detail, state="revoked", reason=entry.reason, revoked_at=entry.revoked_at
    )


def _answer(crl: Crl, status: UrlStatus, detail: str = "") -> Answer:
    return Answer(
        status=status, detail=detail, source=crl.label, this_update=crl.this_update, next_update=crl.next_update
    )


def _refused(crl: Crl, refusal: Refusal) -> Answer:
    return _answer(crl, refusal.status, refusal.detail)


def _untimely(crl: Crl, at: float) -> Refusal | None:
    if at < crl.this_update:
        return Refusal("not-yet-valid", f"it was issued at {date_text(crl.this_update)}, which is in the future")
    if crl.next_update is not None and crl.next_update < at:
        return Refusal("expired", f"the next one was due at {date_text(crl.next_update)}")
    return None


@dataclass(frozen=True)
class _Point:
    """A distribution point of a certificate. ``issuers`` is empty where the certificate's issuer issues the list."""

    names: frozenset[_PointName]
    issuers: frozenset[NameKey]
    reasons: Reasons


def _covered(crl: Crl, subject: Facts) -> Reasons | Refusal:
    """The reasons for which ``crl`` tells about ``subject`` (RFC 5280 §6.3.3 (b) and (d)), or why for none."""
    scope = crl.scope
    if scope:
        kind = _wrong_kind(scope, subject)
        if kind:
            return Refusal("wrong-scope", kind)
    points = [point for point in _points(subject) if _issues(crl, point, subject)]
    if not points:
        if any(crl.issuer in point.issuers for point in _points(subject)):
            return Refusal("wrong-scope", "another authority's list, and not marked as indirect (RFC 5280 §6.3.3 (b))")
        return Refusal("wrong-issuer", f"it is a list of {crl.issuer_text}")
    names = _scope_names(crl.issuer, scope)
    if names:
        points = [point for point in points if not names.isdisjoint(point.names or point.issuers)]
        if not points:
            return Refusal("wrong-scope", "it is for another distribution point than the certificate names")
    limit = (scope and scope.only_some_reasons) or ALL_REASONS
    covered = NO_REASONS.union(*(point.reasons & limit for point in points))
    return covered or Refusal("wrong-scope", "it covers no reason that the certificate's distribution point is for")


def _wrong_kind(scope: x509.IssuingDistributionPoint, subject: Facts) -> str:
    if scope.only_contains_attribute_certs:
        return "it lists attribute certificates only"
    if scope.only_contains_user_certs and subject.is_ca:
        return "it lists end entities only, and this is an authority"
    if scope.only_contains_ca_certs and not subject.is_ca:
        return "it lists authorities only, and this is an end entity"
    return ""


def _issues(crl: Crl, point: _Point, subject: Facts) -> bool:
    """Whether the issuer of ``crl`` is the one that lists revocations for ``point`` (RFC 5280 §6.3.3 (b)(1))."""
    if point.issuers:
        return crl.issuer in point.issuers and crl.scope is not None and crl.scope.indirect_crl
    return crl.issuer == subject.issuer


@functools.lru_cache(maxsize=1024)
def _points(subject: Facts) -> tuple[_Point, ...]:
    """The distribution points of a certificate, and the one that every certificate has (end of RFC 5280 §6.3.3)."""
    alternative = subject.extension(x509.IssuerAlternativeName)
    own = {subject.issuer, *_general_names(alternative or ())}
    points = [_Point(frozenset(own), frozenset(), ALL_REASONS)]
    for named in list(subject.extension(x509.CRLDistributionPoints) or ())[:MAX_POINTS]:
        issuers = frozenset(directory_names(named.crl_issuer))
        if named.crl_issuer and not issuers:
            continue  # a list's issuer is a distinguished name, so none fits (RFC 5280 §4.2.1.13)
        names = _general_names(named.full_name or ())
        if named.relative_name:
            names |= {_below(issuer, named.relative_name) for issuer in issuers or {subject.issuer}}
        points.append(_Point(names, issuers, named.reasons or ALL_REASONS))
    return tuple(points)


@functools.lru_cache(maxsize=256)
def _scope_names(issuer: NameKey, scope: x509.IssuingDistributionPoint | None) -> frozenset[_PointName]:
    """The names of the distribution point that a list of ``issuer`` is for; empty where it is for all."""
    if scope is None:
        return frozenset()
    if scope.relative_name:
        return frozenset({_below(issuer, scope.relative_name)})
    return _general_names(scope.full_name or ())


def _below(issuer: NameKey, relative: x509.RelativeDistinguishedName) -> NameKey:
    return issuer + name_key(x509.Name([relative]))


def _general_names(names: Iterable[x509.GeneralName]) -> frozenset[_PointName]:
    """Names as they compare: distinguished names as RFC 5280 §7.1 wants, all others octet by octet."""
    return frozenset(
        name_key(name.value) if isinstance(name, x509.DirectoryName) else (type(name), name.value) for name in names
    )


def _signer(crl: Crl, issuer: Facts, directory: Directory) -> Facts | Refusal:
    """The certificate whose key signed ``crl``: the issuer's, or another vouched for by ``directory``."""
    candidates = [*([issuer] if issuer.subject == crl.issuer else []), *directory.named(crl.issuer)]
    if not candidates:
        return Refusal("wrong-issuer", f"the certificate of its issuer is not known: {crl.issuer_text}")
    # The key identifier says whom to try first; who signed is proved by the signature alone.
    likely = sorted(dict.fromkeys(candidates), key=lambda one: one.subject_key_id != crl.authority_key_id)
    refusal = Refusal("bad-signature", f"no known key of {crl.issuer_text} made its signature")
    for candidate in likely[:MAX_SIGNERS]:
        if not crl.signed.made_by(candidate):
            continue
        usage = candidate.extension(x509.KeyUsage)
        if usage is not None and not usage.crl_sign:
            refusal = Refusal("wrong-issuer", "the key usage of its signer lacks cRLSign (RFC 5280 §6.3.3 (f))")
        elif candidate == issuer or directory.vouches(candidate):
            return candidate
        else:
            refusal = Refusal("wrong-issuer", "the certificate of its signer has no valid path to the same root")
    return refusal


def _newest_delta(crl: Crl, signer: Facts, deltas: Sequence[Crl], at: float) -> tuple[Crl | None, list[str]]:
    """The newest delta that goes with ``crl``, and why others do not."""
    fitting: list[Crl] = []
    notes: list[str] = []
    for delta in deltas:
        if delta.issuer != crl.issuer:
            continue  # another authority's, of the same chain
        fault = _delta_fault(delta, crl, signer, at)
        if fault:
            notes.append(f"{delta.label} does not count: {fault}")
        else:
            fitting.append(delta)
    return max(fitting, key=lambda delta: delta.number or 0, default=None), notes


def _delta_fault(delta: Crl, crl: Crl, signer: Facts, at: float) -> str:
    """Why ``delta`` does not go with the complete list ``crl`` (RFC 5280 §5.2.4 and §6.3.3 (c) and (h))."""
    if delta.unusable:
        return delta.unusable
    if delta.base_number is None or delta.number is None:
        return "it is no delta with a number"
    if (delta.scope, delta.authority_key_id) != (crl.scope, crl.authority_key_id):
        return "its scope or key is another"
    if crl.number is None or crl.number < delta.base_number:
        return f"it adds to the complete CRL {delta.base_number:x}, which is newer"
    if delta.number < crl.number:
        return "it is older"
    if not delta.signed.made_by(signer):
        return "its signature does not hold"
    late = _untimely(delta, at)
    return late.detail if late else ""
