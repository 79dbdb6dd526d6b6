"""The observations of certificate files -> their facts in words: chains, URLs, keys. Pure; judges nothing.

Contract: as facts.py: the strings hold untrusted text as it came. The words for what became of a URL are those of
``certutil -verify -urlfetch`` where it has one.
"""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import (
    CertificatePath,
    CertificateSummary,
    ChainFault,
    ChainObservation,
    ElementRevocation,
    KeyObservation,
    RetrievalObservation,
    Severity,
    UrlPurpose,
    UrlStatus,
)
from netdiag.report.phrases import common_name, failure_words, some, validity
from netdiag.report.units import counted, day, duration, milliseconds, moment, size

STATUS: dict[UrlStatus, str] = {
    "verified": "Verified",
    "revoked": "Revoked",
    "expired": "Expired",
    "not-yet-valid": "Not yet valid",
    "unknown": "Unknown",
    "wrong-issuer": "Wrong Issuer",
    "bad-signature": "Bad Signature",
    "wrong-scope": "No IDP Intersection",
    "unusable": "Unusable",
    "refused": "Unsuccessful",
    "failed": "Failed",
    "unsupported": "Not retrieved",
}
PURPOSES: dict[UrlPurpose, str] = {"aia": "AIA", "cdp": "CDP", "delta": "Delta", "ocsp": "OCSP"}

_PROVIDERS = {"csp": " (CSP)", "ksp": " (KSP, CNG)", "": ""}
_KEY_SPECS = {"exchange": "AT_KEYEXCHANGE", "signature": "AT_SIGNATURE", "": ""}

#: As much of a URL as tells it from others.
_URL = 60

#: A certificate is as good as expired when it has no more than this.
_DAY_S = 86400.0


def short_name(certificate: CertificateSummary) -> str:
    """What a reader recognises it by: its common name, else its first alternative name, else whatever it has."""
    name = common_name(certificate.subject)
    if name and name != certificate.subject:
        return name
    return next(iter(certificate.names), "") or name or f"a certificate without a name, serial {certificate.serial}"


def lifetime(certificate: CertificateSummary, at: float) -> str:
    """``59 days left (until 2026-01-26)``; how long it is over, or still away."""
    begins, ends = certificate.not_before, certificate.not_after
    if at < begins:
        return f"valid only from {day(begins)}, in {_span(begins - at)}"
    if at > ends:
        return f"expired on {day(ends)}, {_span(at - ends)} ago"
    if ends - at < _DAY_S:
        return f"{_span(ends - at)} left (until {_minute(ends)})"
    return f"{validity(certificate, at)} (until {day(ends)})"


def _span(seconds: float) -> str:
    return counted(int(seconds // _DAY_S), "day") if seconds >= _DAY_S else duration(seconds)


def tally(faults: Sequence[ChainFault]) -> str:
    """``2 errors, 1 warning``; empty for neither."""
    counts = [(sum(fault.severity is level for fault in faults), level) for level in (Severity.ERROR, Severity.WARNING)]
    return ", ".join(counted(count, str(level)) for count, level in counts if count)


def way(names: Sequence[str]) -> str:
    """Certificates from the leaf upwards."""
    return " → ".join(names)


def end(path: CertificatePath) -> str:
    """Where a path ends."""
    if path.end == "anchor":
        return "ends at a trusted root"
    return "ends at a root that is not trusted" if path.end == "self-signed" else "ends without an issuer"


def other_path(path: CertificatePath) -> str:
    """A candidate that was not chosen: its way, its end, how many errors it has and the first."""
    above = [short_name(element) for element in path.elements[1:]] or ["no issuer"]
    errors = [fault for fault in path.faults if fault.severity is Severity.ERROR]
    said = [f"via {way(above)}: {end(path)}"]
    if errors:
        first = errors[0]
        said.append(f"{counted(len(errors), 'error')}, first {first.finding} ({common_name(first.subject)})")
        said.append(first.detail)
    else:
        said.append("no error")
    return "; ".join(said)


def chain(observation: ChainObservation) -> str:
    """A file's chain: the way to its top, the days left, how much is wrong."""
    if not observation.elements:
        return "; ".join(fault.detail for fault in observation.faults) or "it cannot be read"
    parts = [
        way([short_name(element) for element in observation.elements]),
        validity(observation.elements[0], observation.at or observation.started),
        tally(observation.faults) or "nothing wrong",
    ]
    return "; ".join(parts)


def roots(observation: ChainObservation) -> tuple[tuple[str, str], ...]:
    """What matters of its root, and of the trust store: labels and values."""
    return (
        ("publicly trusted", _yes_no(observation.publicly_trusted)),
        ("DigiCert Global Root G2 in the trust store", _yes_no(observation.has_digicert_g2)),
    )


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def reason(observation: RetrievalObservation) -> str:
    """Why a URL is not fine; empty for one that is."""
    failure = observation.failure
    said = failure_words(failure, observation.took_s) if failure else ""
    if observation.detail and observation.detail.casefold() not in said.casefold():
        known = failure is not None and failure.detail and failure.detail in observation.detail
        said = observation.detail if known or not said else f"{said}: {observation.detail}"
    if observation.status == "verified":
        return said
    told = [said] if said else []
    if observation.http_status not in (None, 200) and str(observation.http_status) not in said:
        told.append(f"HTTP {observation.http_status}")
    if observation.proxy and observation.proxy not in said:
        told.append(f"through the proxy {observation.proxy}")
    return ", ".join(told)


def retrieval(observation: RetrievalObservation) -> str:
    """One URL in one line, by its beginning: it stands in full with its certificate."""
    o = observation
    took = "" if o.failure else " from the cache" if o.cached else f" in {milliseconds(o.took_s)}"
    came = f", {size(o.bytes)}" if o.bytes else ""
    why = reason(o)
    url = o.url if len(o.url) <= _URL else f"{o.url[: _URL - 1]}…"
    said = f"{STATUS[o.status]}{took}{came}{f', {why}' if why else ''}"
    return f"{PURPOSES[o.purpose]} of {common_name(o.subject)}: {said}: {url}"


def retrieval_details(observation: RetrievalObservation) -> str:
    """How it came, and what it is; empty where nothing came."""
    o = observation
    if o.http_status is None and not o.object and not o.bytes:
        return ""
    parts = [
        o.method,
        f"HTTP {o.http_status}" if o.http_status is not None else "",
        f"through the proxy {o.proxy}" if o.proxy else "",
        o.object,
        f"this update {moment(o.this_update)}" if o.this_update is not None else "",
        f"next update {moment(o.next_update)}" if o.next_update is not None else "",
    ]
    return ", ".join(filter(None, parts))


def revocation(found: ElementRevocation) -> str:
    """What is known of an element's revocation, with what told it."""
    if found.state == "good":
        until = f", good until {_minute(found.next_update)}" if found.next_update is not None else ""
        return f"not revoked ({found.source or 'by its issuer'}{until})"
    if found.state == "revoked":
        when = f" at {_minute(found.revoked_at)}" if found.revoked_at is not None else ""
        return f"revoked{when}{f' ({found.reason})' if found.reason else ''}, says {found.source or 'its issuer'}"
    words = {
        "offline": "revocation services cannot be reached",
        "no-service": "revocation cannot be checked",
        "not-checked": "revocation was not checked",
    }.get(found.state, "whether it is revoked is not known")
    return f"{words}: {found.detail}" if found.detail else words


def _minute(at: float) -> str:
    """A moment without its seconds."""
    said = moment(at)
    return f"{said[:16]} UTC" if said.endswith(" UTC") else said


def key(observation: KeyObservation) -> str:
    """A key in one line."""
    provider = observation.provider and f"{observation.provider}{_PROVIDERS[observation.provider_kind]}"
    spec = _KEY_SPECS[observation.key_spec]
    parts = [f"{observation.path}: {belonging(observation)}", provider, spec]
    return ", ".join(filter(None, parts))


def belonging(observation: KeyObservation) -> str:
    """Whether the private key is there, and whose it is."""
    whose = common_name(observation.subject)
    kind = f" ({observation.key})" if observation.key else ""
    if not observation.present:
        return f"no private key{f' for {whose}' if whose else ''}"
    if not observation.subject:
        return f"a private key{kind}, and no certificate that it belongs to"
    if observation.matches:
        return f"the private key of {whose}{kind}"
    return f"a private key{kind} that does not belong to {whose}"


def key_details(observation: KeyObservation) -> list[tuple[str, str]]:
    """What the file says of the key, a label and a value each."""
    o = observation
    pfx = o.format == "pkcs12"
    last = f", the last {o.names[-1]}" if len(o.names) > 1 else ""
    rows = [
        ("provider", f"{o.provider}{_PROVIDERS[o.provider_kind]}" if o.provider else "not said" if pfx else ""),
        ("key spec", _KEY_SPECS[o.key_spec] or ("not said" if pfx else "")),
        ("key set", "the machine's" if o.machine_keyset else ""),
        ("alias", o.friendly_name),
        ("key usage", ", ".join(o.key_usage)),
        ("names", f"{some(o.names, 3)}{last}" if o.names else ""),
    ]
    return [(label, value) for label, value in rows if value]
