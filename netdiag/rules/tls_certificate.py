"""Rules about whose certificate a TLS handshake brought: intercepted, name-mismatch.

They judge chain observations on the effective route; the other route's chain serves as comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netdiag.model import ChainObservation, Culprit, Severity, name_part
from netdiag.rules.azure import Service, known_service
from netdiag.rules.chain_faults import accepted, how_it_went_on
from netdiag.rules.interceptors import vendor_of
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import few

#: Names listed in a summary; the evidence has them all.
_LISTED = 5
#: Trust faults that a replaced certificate brings with it.
_UNTRUSTED = frozenset({"untrusted-root", "incomplete", "root-missing-locally"})
#: Faults of a chain that somebody broke or issued wrongly: whose it is, its names do not tell.
_BROKEN = frozenset({"bad-signature", "not-a-ca"})
#: Issuers of the known services. A chain that only lacks their intermediate is incomplete, not replaced.
_AZURE_ISSUER = re.compile(r"\bO=(?:Microsoft Corporation|DigiCert Inc)\b")


def _chains(observations: tuple[ChainObservation, ...], host: str) -> tuple[ChainObservation, ...]:
    return tuple(o for o in observations if o.elements and o.host.lower() == host.lower())


def _kinds(chain: ChainObservation) -> frozenset[str]:
    return frozenset(fault.kind for fault in chain.faults)


def _name(name: str) -> str:
    """CN of a subject or issuer, else O, else the whole."""
    return name_part(name, "CN") or name_part(name, "O") or name


def _vendor(chain: ChainObservation) -> str:
    """The maker of TLS inspection that any name in the chain gives away, issuers first."""
    leaf, *above = chain.elements
    names = [leaf.issuer, *(name for element in above for name in (element.subject, element.issuer)), leaf.subject]
    return next((vendor for name in names if (vendor := vendor_of(name))), "")


def _by_inspector(chain: ChainObservation) -> bool:
    """A device's own page, whose leaf names the vendor too, is no interception."""
    leaf = chain.elements[0]
    return bool(_vendor(chain)) and not vendor_of(leaf.subject) and not leaf.self_signed


def _lacks_intermediate(chain: ChainObservation) -> bool:
    """The server's own certificate without the one above it: a fault of the server's set-up."""
    kinds = _kinds(chain)
    top = chain.elements[-1]
    return "incomplete" in kinds and "untrusted-root" not in kinds and bool(_AZURE_ISSUER.search(top.issuer))


def _same_authority(one: ChainObservation, other: ChainObservation) -> bool:
    """Two servers of one name may have a certificate each, but from the same authority."""
    return bool({element.sha256 for element in one.elements} & {element.sha256 for element in other.elements})


def is_genuine(chain: ChainObservation) -> bool:
    """The server's own certificate, as far as public roots or those that the user vouched for can tell."""
    return chain.publicly_trusted or (chain.store_vouched and not _kinds(chain))


def _replaced(chain: ChainObservation, genuine: ChainObservation | None, service: Service | None) -> bool:
    kinds = _kinds(chain)
    if chain.publicly_trusted or kinds & _BROKEN:
        return False
    if genuine is not None:
        return not _same_authority(genuine, chain) and not _lacks_intermediate(chain)
    if _by_inspector(chain):
        return True
    # Where the user named the roots to expect, a lone leaf is more likely a server that forgot its intermediate.
    expected = chain.store_vouched and kinds & _UNTRUSTED <= {"incomplete"}
    return service is not None and not expected and not _lacks_intermediate(chain)


@rule(
    "tls.intercepted",
    "Somebody replaces the server's certificate",
    Severity.ERROR,
    folds=(
        "tls.name-mismatch",
        "chain.untrusted-root",
        "chain.incomplete",
        "chain.root-missing-locally",
    ),
    reference="learn.microsoft.com/azure/security/fundamentals/azure-ca-details",
)
def intercepted(seen: Seen) -> Iterator[Hit]:
    """The certificate that arrives here is not the server's own: a device on the way inspects TLS.

    An inspecting proxy, firewall or virus scanner ends the TLS connection itself, issues a certificate
    for the server's name with its own authority, and opens a second connection to the server. netdiag
    says so when one of three things shows it: a public service (Azure's certificates come from
    published roots: see "Azure Certificate Authority details") presents a chain that ends in no
    public root; the other way to the same host, direct or through the proxy, brings a publicly
    trusted chain; or the issuer bears the name of an inspection product.

    A machine that has the inspecting authority among its trusted roots works, with a warning: whoever
    holds that authority reads the traffic, and clients with a trust list or pins of their own refuse
    it all the same. The integration runtime is reported to distrust such chains even with the root
    installed (MicrosoftDocs/azure-docs issue 107495). Without the root, everything fails.

    Exempt the host from TLS inspection on the device that the finding names. Or import the inspecting
    authority's root into the trusted roots of the local computer (not of one user), and test the
    application itself.
    """
    host = seen.target.host
    service = known_service(host)
    others = _chains(seen.other(ChainObservation), host)
    for chain in _chains(seen.effective(ChainObservation), host):
        genuine = next((o for o in others if is_genuine(o)), None)
        if _replaced(chain, genuine, service):
            other = genuine or next(iter(others), None)
            yield _intercepted_hit(seen, chain, other, service)


def _intercepted_hit(
    seen: Seen, chain: ChainObservation, other: ChainObservation | None, service: Service | None
) -> Hit:
    host, leaf = seen.target.host, chain.elements[0]
    issuer, vendor = _name(leaf.issuer), _vendor(chain)
    by = f"it was issued by {issuer!r}" + (f" ({vendor})" if vendor else "")
    if leaf.self_signed:
        by = f"it is self-signed by {issuer!r}"
    way, other_way = ("through the proxy", "directly") if chain.route == "proxy" else ("directly", "through the proxy")
    summary = f"The certificate of {host} was replaced on the way: {by}"
    if other is not None:
        theirs = _name(other.elements[0].issuer)
        summary += f" {way}" + (" and also " if theirs == issuer else f", but by {theirs!r} ") + other_way
    elif service:
        summary += f"; {service.name}'s own comes from a public root such as {service.expected_roots[0][0]}"
    broken = bool(_kinds(chain) & (_UNTRUSTED | {"name-mismatch", "bad-signature", "malformed"}))
    broken = broken and not accepted(seen, chain)
    device = f"the {vendor} device" if vendor else "the proxy" if chain.route == "proxy" else "the inspecting device"
    root = _name(chain.elements[-1].issuer)
    remedy = f"Exempt {host} from TLS inspection on {device}"
    if broken and not leaf.self_signed:
        remedy += f", or import its root {root!r} into the trusted roots of the local computer"
    return Hit(
        summary=summary,
        blame="tls-interceptor",
        remedy=f"{remedy}.",
        evidence=(chain,) if other is None else (chain, other),
        severity=Severity.ERROR if broken else Severity.WARNING,
        culprit=Culprit(name=vendor or issuer),
    )


@rule(
    "tls.name-mismatch",
    "The certificate is for another name",
    Severity.ERROR,
    reference="RFC 9525 §6",
)
def name_mismatch(seen: Seen) -> Iterator[Hit]:
    """The server presents a certificate that does not name the host that was asked for.

    A client compares the name that it connects to with the names in the certificate's subject
    alternative names; a wildcard stands for exactly one label on the left (RFC 9525 §6.3), and an
    address must be listed as an address. No match means that the client cannot know whom it talks to,
    and it closes the connection. The usual reasons: the server has no certificate for this name and
    sends its default one; DNS or the hosts file leads to another machine; the target was given as an
    address or an alias.

    Use a name that the certificate lists, or have the server's operator install a certificate that
    lists this name. If the listed names belong to somebody else, look at how the name resolves first.
    """
    for chain in seen.effective(ChainObservation):
        if "name-mismatch" not in _kinds(chain):
            continue
        of_target = chain.host == seen.target.host or chain.source == "file"
        who = seen.target.authority if of_target else f"the proxy {chain.host}"
        presents = "" if chain.source == "file" else f" that {who} presents"
        yield Hit(
            summary=f"The certificate{presents} is for {_listed(chain)}, not for {chain.host}"
            + how_it_went_on(seen, chain),
            blame="server" if of_target else "proxy",
            remedy=f"Install a certificate on the server that lists {chain.host}, or connect by a name that it lists; "
            "check first that DNS leads to the right machine.",
            evidence=(chain,),
            severity=Severity.WARNING if accepted(seen, chain) else None,
        )


def _listed(chain: ChainObservation) -> str:
    names = chain.elements[0].names if chain.elements else ()
    if not names:
        return f"{_name(chain.elements[0].subject)} (it lists no names)" if chain.elements else "nobody"
    return few(names, _LISTED)
