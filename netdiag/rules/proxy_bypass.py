"""The way past the proxy, for the rules about proxy: whether it works, and how to take it."""

from __future__ import annotations

from netdiag.model import HttpsObservation, TlsObservation
from netdiag.rules.seen import Seen


def direct_works(seen: Seen) -> bool:
    """Whether the target answered on the direct way."""
    if fetches := seen.of(HttpsObservation, "direct"):
        return any(fetch.outcome == "ok" for fetch in fetches)
    return any(o.outcome == "ok" and o.purpose == "main" for o in seen.of(TlsObservation, "direct"))


def or_bypass(seen: Seen) -> str:
    """The other way out, where it is one."""
    if not direct_works(seen):
        return ""
    return (
        f" The direct way works: {seen.target.host} can instead be excluded from the proxy (the bypasslist in"
        " diahost.exe.config and diawp.exe.config, or NO_PROXY)."
    )
