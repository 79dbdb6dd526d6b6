"""Rules about chain: whether its certificates were revoked, and whether what they name can be retrieved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from netdiag.model import (
    Blame,
    ChainFault,
    ChainObservation,
    Culprit,
    FailureKind,
    RetrievalObservation,
    Severity,
)
from netdiag.rules.certificates import details_of, names_of, short_name
from netdiag.rules.chain_faults import bearer, faulty, owner, server_hit
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

#: Ports of URLs that name none.
_PORTS = {"http": 80, "https": 443, "ldap": 389, "ldaps": 636}
#: Whose business it is that nothing came.
_BLAME: dict[FailureKind, Blame] = {
    "timeout": "path-device",
    "prohibited": "path-device",
    "reset": "path-device",
    "local-policy": "this-machine",
    "no-route": "this-machine",
    "nxdomain": "dns",
    "servfail": "dns",
    "no-answer": "dns",
    "dns-refused": "dns",
    "proxy-status": "proxy",
    "proxy-authentication": "proxy",
    "not-a-proxy": "proxy",
    "proxy-setting": "proxy",
    "pac-error": "proxy",
    "web-page": "path-device",
}
#: A gateway's own words that it did not get an answer from the server (RFC 9110 §15.6.3 to §15.6.5).
_GATEWAY = (502, 503, 504)
#: What happened at an address, where the failure's own words are a code.
_WORDS: dict[FailureKind, str] = {
    "timeout": "no answer",
    "refused": "the connection was refused",
    "reset": "the connection was reset",
    "eof": "the connection was closed",
    "unreachable": "unreachable",
    "prohibited": "a filter on the way forbids it",
    "no-route": "this machine has no route to it",
    "nxdomain": "the name does not exist",
    "servfail": "the name server failed",
}
#: Failures whose details say which device told of them.
_TOLD_BY = ("prohibited", "unreachable")
#: Hosts listed in a remedy.
_LISTED = 4


@rule("chain.revoked", "Certificate was revoked", Severity.ERROR, reference="RFC 5280 §5.3.1")
def revoked(seen: Seen) -> Iterator[Hit]:
    """The authority has withdrawn a certificate of the chain, says its CRL or its OCSP responder.

    Clients that check revocation refuse it (Windows: Revoked, CRYPT_E_REVOKED 0x80092010), whatever
    its dates say. The reason tells how bad it is: keyCompromise means that somebody else may hold the
    key; superseded and cessationOfOperation mean that there is a newer one; certificateHold may end.

    Have a new certificate issued, with a new key, and install it. When an authority's certificate was
    revoked, everything below it has to be issued again by another one.
    """
    for chain, faults in faulty(seen, "revoked"):
        told = [o for o in _retrievals(seen, chain, faults) if o.status == "revoked"]
        above = [fault for fault in faults if fault.element]
        yield server_hit(
            seen,
            chain,
            faults,
            f"The certificate {names_of(faults)} was revoked: {details_of(faults)}",
            _replacement(seen, chain, faults),
            blame="certificate-authority" if above else "server",
            more=told,
        )


def _replacement(seen: Seen, chain: ChainObservation, faults: Sequence[ChainFault]) -> str:
    """What takes the place of a chain with revoked certificates."""
    leaf = short_name(chain.elements[0].subject)
    above = [fault for fault in faults if fault.element]
    if above:
        return (
            f"Have the certificate of {leaf} issued again by another authority, since nothing below {names_of(above)} "
            f"counts any more, and install it on {owner(seen, chain)} with its intermediates."
        )
    new = f"Have {leaf} issued again with a new key, and install the new certificate on {owner(seen, chain)}."
    if any(state.element == 0 and state.reason == "certificateHold" for state in chain.revocation):
        return f"Ask {_issuers(chain, faults)} why it is on hold, and to release it. If that is not to be: {new}"
    return new


@rule("chain.revocation-offline", "Revocation services cannot be reached", Severity.ERROR, reference="RFC 5280 §6.3")
def revocation_offline(seen: Seen) -> Iterator[Hit]:
    """None of the addresses that a certificate names for its revocation gave an answer.

    Certificates name where their revocation list lies (CRL distribution point) and who answers about
    them (OCSP), usually over plain HTTP on port 80. When a firewall or a proxy blocks these, Windows
    says CRYPT_E_REVOCATION_OFFLINE (0x80092013), and software that insists on the check refuses a
    certificate that is perfectly fine: the nodes of an integration runtime do so to each other.
    Either one suffices: one CRL address or one OCSP responder, over HTTP or LDAP.

    Allow this machine to reach the named hosts on the named ports, directly or through its proxy;
    services run under the machine's account, which has its own proxy settings ("netsh winhttp show
    proxy"). Where the authority no longer serves the address, have it serve it again, or have the
    certificate issued anew with an address that works.
    """
    for chain, faults in faulty(seen, "revocation-offline"):
        failed = [o for o in _retrievals(seen, chain, faults) if o.purpose != "aia" and o.failure is not None]
        yield _unreachable(
            chain,
            faults,
            failed,
            f"Whether {names_of(faults)} was revoked cannot be checked (0x80092013): {_tries(failed, faults)}",
        )


@rule("chain.revocation-unknown", "Revocation status is not known", Severity.ERROR, reference="RFC 5280 §6.3")
def revocation_unknown(seen: Seen) -> Iterator[Hit]:
    """What the revocation services answered does not tell whether the certificate was revoked.

    A list that has expired, is signed by somebody else, or is about other certificates counts for
    nothing, and neither does an OCSP answer that is stale, unsigned or says "unknown". Windows says
    RevocationStatusUnknown (0x80092012), and software that insists on the check refuses.

    The authority has to publish a current list, or set its responder right: on a Windows authority
    "certutil -crl" publishes a list, and "pkiview.msc" shows which address holds an old one. If a
    proxy or a portal answers in the authority's place, exempt these addresses from it.
    """
    for chain, faults in faulty(seen, "revocation-unknown"):
        useless = [o for o in _retrievals(seen, chain, faults) if o.purpose != "aia"]
        yield server_hit(
            seen,
            chain,
            faults,
            f"Whether {names_of(faults)} was revoked is not known: {_short(_why_unknown(chain, faults))}",
            f"Have the authority {_issuers(chain, faults)} publish a current revocation list, or repair its OCSP "
            "responder.",
            blame="certificate-authority",
            culprit=Culprit(name=_issuers(chain, faults)),
            more=useless,
        )


@rule(
    "chain.aia-unreachable", "Issuer's certificate cannot be retrieved", Severity.WARNING, reference="RFC 5280 §4.2.2.1"
)
def aia_unreachable(seen: Seen) -> Iterator[Hit]:
    """None of the addresses that a certificate names for its issuer's certificate gives it.

    The authority information access extension says where the next certificate of the chain lies.
    Windows fetches it there when the server or the file does not bring it along; if it cannot, the
    chain stays incomplete (PartialChain), although it may have worked on this machine, which has the
    issuer from elsewhere.

    Allow plain HTTP on port 80 to the named host, or have the authority put the certificate back. To
    be independent of it, install the intermediate certificates on every machine that verifies.
    """
    for chain in seen.effective(ChainObservation):
        by_element: dict[int, list[RetrievalObservation]] = {}
        for seen_url in seen.of(RetrievalObservation):
            if seen_url.parent == chain.id and seen_url.purpose == "aia" and seen_url.status != "unsupported":
                by_element.setdefault(seen_url.element, []).append(seen_url)
        bad = [o for urls in by_element.values() if all(u.status != "verified" for u in urls) for o in urls]
        bad = [o for o in bad if not (o.failure and o.failure.kind == "cancelled")]  # nobody asked there
        if bad:
            who = " and ".join(dict.fromkeys(short_name(o.subject) for o in bad))
            yield _unreachable(
                chain, (), bad, f"The certificate of the issuer of {who} cannot be retrieved: {_tries(bad, ())}"
            )


def _unreachable(
    chain: ChainObservation,
    faults: Sequence[ChainFault],
    failed: Sequence[RetrievalObservation],
    summary: str,
) -> Hit:
    """A hit about addresses that gave nothing: whose business that is, and what has to be opened."""
    tried = [o for o in failed if o.status != "unsupported"] or failed  # one that nobody asks blocks nothing
    first = next((o for o in tried if o.failure), None)
    kind = first.failure.kind if first and first.failure else "unknown"
    proxy = first.proxy if first else ""
    blame: Blame = "proxy" if proxy and kind == "web-page" else _BLAME.get(kind, "certificate-authority")
    hosts = list(dict.fromkeys(_place(o.url) for o in tried))
    remedy = (
        _remedy(chain, tried, kind, blame)
        if hosts
        else "Give netdiag the revocation list with --crl, or let it retrieve (without --no-fetch)."
    )
    return Hit(
        summary=summary,
        blame=blame,
        remedy=remedy,
        evidence=(chain, *failed),
        severity=faults[0].severity if faults else None,
        culprit=Culprit(name=proxy if blame == "proxy" else hosts[0] if hosts else bearer(chain)),
    )


def _remedy(chain: ChainObservation, failed: Sequence[RetrievalObservation], kind: FailureKind, blame: Blame) -> str:
    """What has to be opened, served or exempted, by the failure of the first address."""
    first = next((o for o in failed if o.failure), failed[0])
    proxy = first.proxy or "in use"
    hosts = [_place(o.url) for o in failed]
    places = _several(hosts)
    if blame == "proxy" and kind == "web-page":
        return f"Have the proxy {proxy} pass on what {places} says, in place of a page of its own."
    if blame == "proxy" and first.http_status in _GATEWAY:
        return (
            f"Have those who run the proxy {proxy} find out why it does not get to {places}; if nobody does, have "
            f"{_issuers(chain, failed)} serve {_several([o.url for o in failed])} again."
        )
    if blame == "proxy":
        return f"Have the proxy {proxy} allow {places}{' without a login' if kind == 'proxy-authentication' else ''}."
    if first.status == "unsupported":
        return (
            f"Have {_issuers(chain, failed)} name an HTTP address too, which every machine can reach. To check "
            "now, give netdiag the revocation list with --crl."
        )
    if blame == "certificate-authority":
        urls = _several([o.url for o in failed])
        return f"Have {_issuers(chain, failed)} serve {urls} again, or issue anew with addresses that work."
    if blame == "dns":
        names = _several([urlsplit(o.url).hostname or o.url for o in failed])
        return f"Make {names} resolvable here; if the name no longer exists, have the authority name another one."
    if kind == "web-page":
        return f"Log in where the page asks for it, or have {places} exempted on the device that answers in its place."
    through = f" through the proxy {first.proxy}" if first.proxy else ""
    enough = "; for each certificate one of its addresses suffices" if len(set(hosts)) > 1 else ""
    return f"Allow this machine to reach {places}{through}{enough}."


def _several(names: Iterable[str]) -> str:
    """The first few, each once, and how many more there are."""
    each = list(dict.fromkeys(names))
    return ", ".join(each[:_LISTED]) + (f" and {len(each) - _LISTED} more" if len(each) > _LISTED else "")


def _why_unknown(chain: ChainObservation, faults: Sequence[ChainFault]) -> str:
    """What was wrong with each answer."""
    elements = {fault.element for fault in faults}
    told = [state.detail for state in chain.revocation if state.element in elements and state.detail]
    return "; ".join(dict.fromkeys(told)) or details_of(faults)


def _retrievals(seen: Seen, chain: ChainObservation, faults: Sequence[ChainFault]) -> tuple[RetrievalObservation, ...]:
    """What became of the URLs of the certificates at fault."""
    elements = {fault.element for fault in faults}
    return tuple(o for o in seen.of(RetrievalObservation) if o.parent == chain.id and o.element in elements)


def _tries(failed: Iterable[RetrievalObservation], faults: Sequence[ChainFault]) -> str:
    """Each address with what happened there, the same trouble at the same host once."""
    by_trouble: dict[tuple[str, str], list[str]] = {}
    for o in failed:
        by_trouble.setdefault(("" if _by_proxy(o) else f" at {_place(o.url)}", _trouble(o)), []).append(o.url)
    said = [
        f"{urls[0]}{f' and {len(urls) - 1} more{where}' if len(urls) > 1 else ''}: {why}"
        for (where, why), urls in by_trouble.items()
    ]
    return _short("; ".join(said) or details_of(faults))


def _trouble(o: RetrievalObservation) -> str:
    kind = o.failure.kind if o.failure else None
    words = _WORDS.get(kind, "") if kind else ""
    if kind in _TOLD_BY:
        words = f"{words} ({o.detail})" if o.detail else words
    through = f" through the proxy {o.proxy}" if o.proxy and not _by_proxy(o) else ""
    return f"{words or o.detail or o.status}{through}"


def _by_proxy(o: RetrievalObservation) -> bool:
    """The trouble is the proxy's own, which its words then name."""
    return o.failure is not None and _BLAME.get(o.failure.kind) == "proxy"


def _short(text: str, limit: int = 400) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _place(url: str) -> str:
    """The host and port of a URL: "crl.contoso.com port 80"."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.lower())
        return f"{parts.hostname} port {port}" if parts.hostname and port else url
    except ValueError:
        return url


def _issuers(chain: ChainObservation, about: Iterable[ChainFault | RetrievalObservation]) -> str:
    """The issuers of the certificates that faults or URLs belong to."""
    elements = [chain.elements[entry.element] for entry in about if entry.element < len(chain.elements)]
    return " and ".join(dict.fromkeys(short_name(element.issuer) for element in elements)) or "that issued it"
