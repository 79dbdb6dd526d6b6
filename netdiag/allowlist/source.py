"""What is asked of every firewall: for which source, with which tags, by which chain, with which default.

Contract: pure. The source is the machine whose connections are meant; without one, a rule for certain sources only
counts with a condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from netdiag.allowlist import words
from netdiag.allowlist.addresses import EVERYTHING_V4, EVERYTHING_V6, Address, Addresses, union
from netdiag.allowlist.entries import Action
from netdiag.allowlist.tags import TagFile


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The question, beyond the rules themselves. ``chain`` and ``default`` go before what a file says."""

    tags: TagFile | None = field(default=None, repr=False)
    source: Address | None = None
    chain: str = ""
    default: Action | None = None

    def judge(self, texts: Sequence[str]) -> tuple[str, ...] | None:
        """The conditions that a rule's sources make: none, one in words, or None where the rule is for others."""
        found = [words.destination(text, self.tags) for text in texts]
        if not all(found):
            return (f"from {source_words(texts)}",)
        return self.fits(union(each.to for each in found if each), texts)

    def fits(self, sources: Addresses, texts: Sequence[str]) -> tuple[str, ...] | None:
        """The same for sources that are addresses already; ``texts`` is how they are written."""
        if not texts or EVERYTHING_V4.v4 == sources.v4 or EVERYTHING_V6.v6 == sources.v6:
            return ()
        if any(text.lower() == "virtualnetwork" for text in texts):  # the machine is in it
            return ()
        if self.source is None:
            return (f"from {source_words(texts)}",)
        return () if self.source in sources else None


def source_words(texts: Sequence[str], most: int = 3) -> str:
    """The first few sources of a rule."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"{', '.join(texts[:most])}{more}"
