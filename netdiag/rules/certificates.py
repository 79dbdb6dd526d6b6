"""How the rules about chain speak of certificates, names and times. Pure; any text may come from a hostile server."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from netdiag.model import CertificateSummary, ChainFault, ChainObservation, name_part


def counts_as(faults: Sequence[ChainFault]) -> str:
    """What such certificates count as: "counts as expired"."""
    kinds = {fault.kind for fault in faults}
    words = [word for kind, word in (("expired", "expired"), ("not-yet-valid", "not valid yet")) if kind in kinds]
    return f"counts as {' and '.join(words)}"


def element_of(chain: ChainObservation, fault: ChainFault) -> CertificateSummary | None:
    """The certificate that a fault is about, None when the chain does not hold it."""
    return chain.elements[fault.element] if 0 <= fault.element < len(chain.elements) else None


def is_anchor(chain: ChainObservation, fault: ChainFault) -> bool:
    """The fault is the trusted root's: the last element, self-signed, above others, and not refused itself."""
    element = element_of(chain, fault)
    refused = any(f.kind in ("untrusted-root", "root-missing-locally") for f in chain.faults)
    return element is not None and 0 < fault.element == len(chain.elements) - 1 and element.self_signed and not refused


def names_of(faults: Sequence[ChainFault]) -> str:
    """The common names of the certificates at fault, each once."""
    return " and ".join(dict.fromkeys(short_name(fault.subject) for fault in faults))


def details_of(faults: Sequence[ChainFault]) -> str:
    """The details of the faults, each once."""
    return "; ".join(dict.fromkeys(fault.detail for fault in faults))


def short_name(name: str) -> str:
    """The common name of a distinguished name in RFC 4514 form, else the whole name."""
    return name_part(name, "CN") or name or "a certificate without a name"


def covers(name: str, host: str) -> bool:
    """Whether an alternative name, as reports write it, is for ``host``; a "*" is one label (RFC 9525 §6.3)."""
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def stores_of(chain: ChainObservation) -> str:
    """The trust store, and what it was read from."""
    return f"the trust store ({', '.join(chain.stores)})" if chain.stores else "the trust store"


def skew(offset: float) -> str:
    """How a clock stands to another that is ``offset`` seconds ahead of it: "3 days behind"."""
    return f"{span(abs(offset))} {'behind' if offset > 0 else 'ahead of'}"


def span(seconds: float) -> str:
    """A length of time in its two largest fitting units: "3 days", "2 h 5 min", "40 s"."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} day{'s' if days > 1 else ''}"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole} s"


def utc(seconds: float) -> str:
    """A moment: "2026-11-23 15:09 UTC"."""
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):  # a certificate may say anything
        return f"{seconds:.0f} s after 1970"
