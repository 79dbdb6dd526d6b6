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

    None where the file's keys belong to other end-entity certificates of it, so that this one stands there for company.
    A key of its authority does not count: with that alone no server can use the file.
    """
    own = public_half_of(leaf)
    key = next((key for key in intake.keys if key.public_key == own), None)
    matches = key is not None
    if key is None and intake.keys:
        read = [found for found in map(facts.read, intake.certificates) if isinstance(found, Facts)]
        owners = {public_half_of(found): found for found in read}
        key = next((key for key in intake.keys if key.public_key not in owners), None)
        if key is None and not all(owners[key.public_key].is_ca for key in intake.keys):
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


def _names(leaf: Facts) -> tuple[str, ...]:
    """The alternative names in order; where they are too many, the last one stays the last."""
    names = leaf.alternative_names
    if len(names) > summary.MAX_NAMES:
        names = (*names[: summary.MAX_NAMES - 1], names[-1])
    return tuple(summary.clipped(summary.written(name)) for name in names)
