"""What a file says of the private key of its certificate -> one ``KeyObservation``.

Contract: pure. Nothing of a private key goes into an observation.
"""

from __future__ import annotations

from netdiag.model import KeyObservation
from netdiag.pki import facts, summary
from netdiag.pki.facts import Facts
from netdiag.pki.intake import Intake
from netdiag.pki.private import HeldKey, public_half_of


def key_observation(intake: Intake, leaf: Facts, *, id: str, path: str) -> KeyObservation | None:  # noqa: A002
    """What is known of the key of ``leaf``, a certificate of ``intake``; ``path`` is the file's name for the report.

    None where the file's keys belong to its other certificates, so that this one stands there for company.
    """
    own = public_half_of(leaf)
    key = next((key for key in intake.keys if key.public_key == own), None)
    matches = key is not None
    if key is None and intake.keys:
        key = _stray(intake)
        if key is None:
            return None
    known = key or HeldKey()
    summary = leaf.summary
    return KeyObservation(
        id=id,
        source="file",
        path=path,
        format=intake.format,
        subject=summary.subject,
        certificate=leaf.sha256,
        present=key is not None,
        matches=matches,
        key=known.key,
        provider=known.provider,
        provider_kind=known.provider_kind,
        machine_keyset=known.machine_keyset,
        key_spec=known.key_spec,
        friendly_name=known.friendly_name,
        key_usage=summary.key_usage,
        names=_names(leaf),
    )


def _stray(intake: Intake) -> HeldKey | None:
    """A key of the file that belongs to none of its certificates."""
    read = [facts.read(der) for der in intake.certificates]
    others = {public_half_of(found) for found in read if isinstance(found, Facts)}
    return next((key for key in intake.keys if key.public_key not in others), None)


def _names(leaf: Facts) -> tuple[str, ...]:
    """The alternative names in order; where they are too many, the last one stays the last."""
    names = leaf.alternative_names
    if len(names) > summary.MAX_NAMES:
        names = (*names[: summary.MAX_NAMES - 1], names[-1])
    return tuple(summary.clipped(summary.written(name)) for name in names)
