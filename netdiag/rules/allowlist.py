"""Rules about allowlist: whether a firewall lets through the addresses that a service has, and keeps on doing so.

What is judged follows Microsoft's notice about new addresses ("Troubleshoot self-hosted integration runtime"): who
allows names or service tags has nothing to do, who allows addresses has to compare them with each new file of service
tags (learn.microsoft.com/azure/virtual-network/service-tags-overview).
"""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import (
    AddressCoverage,
    AllowlistObservation,
    DnsObservation,
    Observation,
    ServiceTagsObservation,
    Severity,
    TagCoverage,
    TagNeed,
)
from netdiag.rules.addresses import is_private
from netdiag.rules.allowlist_remedy import blame, culprit, to_add
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted, few

#: A new file comes out each week, and ranges that are new in it are not used for a week (service-tags-overview). After
#: a month, several weeks' worth of new ranges are in use.
OLD_DAYS = 30
#: Prefixes named in a summary, and in a detail.
_NAMED = 3
_DETAILED = 20

Pair = tuple[AllowlistObservation, TagCoverage]


def _missing(seen: Seen) -> Iterator[Pair]:
    """Every tag of which a firewall keeps something back."""
    for firewall in seen.of(AllowlistObservation):
        for coverage in firewall.coverage:
            if coverage.missing.total:
                yield firewall, coverage


def _cause(firewall: AllowlistObservation, coverage: TagCoverage) -> str:
    """Why something is missing: the one finding of the four that tells it best."""
    if coverage.other_tags:
        return "tag"
    if coverage.shadowed == coverage.missing:
        return "shadowed"
    if coverage.unnamed and firewall.names and not coverage.by_addresses.total:
        return "name"
    return "addresses"


@rule(
    "allowlist.tag-mismatch",
    "The rules allow another service tag than is needed",
    Severity.ERROR,
    reference="https://learn.microsoft.com/azure/virtual-network/service-tags-overview",
)
def tag_mismatch(seen: Seen) -> Iterator[Hit]:
    """The firewall allows a service tag of the right service, and not the one that is needed.

    A tag such as DataFactory.WestUS2 holds the addresses of one region only, DataFactory those of all,
    and DataFactoryManagement those that an Azure-SSIS integration runtime needs. With the tag of
    another region, connections fail although "Data Factory is allowed".

    Allow the tag of the region that the service's name tells (wu2 is westus2), beside the other one or
    in its place. Which addresses lie in which tag is in the file of service tags.
    """
    for firewall, coverage in _missing(seen):
        if _cause(firewall, coverage) == "tag":
            yield Hit(
                summary=(
                    f"{firewall.path} allows {few(coverage.other_tags)}, but {coverage.tag} is needed"
                    f"{_for(seen, coverage)} on port {coverage.port}: {_prefixes(coverage)} of it "
                    f"{_are(coverage)} kept back"
                ),
                blame=blame(firewall),
                remedy=to_add(seen, firewall, coverage),
                evidence=_evidence(seen, firewall),
                culprit=culprit(firewall),
                severity=_severity(firewall, coverage),
                details=tuple(_details(firewall, coverage)),
            )


@rule("allowlist.shadowed", "A rule that denies comes before the one that allows", Severity.ERROR)
def shadowed(seen: Seen) -> Iterator[Hit]:
    """The addresses are allowed by a rule, and denied by another one that decides first.

    Most firewalls ask their rules in order and stop at the first that fits; a network security group
    starts at the lowest priority number; in Windows' firewall, a rule that blocks goes before all that
    allow. So the rule that was made for the service is never asked.

    Move the allowing rule before the denying one (give it a lower priority number), or take the
    addresses out of the rule that denies.
    """
    for firewall, coverage in _missing(seen):
        if _cause(firewall, coverage) == "shadowed":
            first = coverage.shadowed_by
            named = few(coverage.missing.prefixes)
            fix = (
                f"Take {named} out of {first}: in Windows' firewall blocking goes first"
                if firewall.kind == "windows"
                else f"Move the rule that allows {named} before {first}"
            )
            yield Hit(
                summary=(
                    f"{firewall.path} allows {_prefixes(coverage)} of {coverage.tag} on port {coverage.port}, "
                    f"but {first} comes first and denies {_it(coverage)}"
                ),
                blame=blame(firewall),
                remedy=fix,
                evidence=_evidence(seen, firewall),
                culprit=culprit(firewall),
                details=tuple(_details(firewall, coverage)),
            )


@rule("allowlist.name-not-allowed", "The rules allow names, and not this one", Severity.ERROR)
def name_not_allowed(seen: Seen) -> Iterator[Hit]:
    """The firewall goes by names, and none of the names and patterns in it covers this endpoint.

    Rules by name are the best kind for a service whose addresses change, but each name that it uses has
    to be in them. A new data factory has names of its own (NAME.REGION.datafactory.azure.net), where
    older ones use *.frontend.clouddatahub.net; the Nodes tab of the integration runtime ("View Service
    URLs") lists yours.

    Add the name, or a pattern that covers it, to the names that the firewall allows.
    """
    for firewall in seen.of(AllowlistObservation):
        resolved = {each.host for each in firewall.addresses}
        for coverage in firewall.coverage:
            by_name = bool(coverage.missing.total) and _cause(firewall, coverage) == "name"
            unknown = coverage.by == "not-known" and bool(firewall.names) and not set(coverage.unnamed) <= resolved
            if not coverage.unnamed or not (by_name or unknown):
                continue
            yield Hit(
                summary=(
                    f"{firewall.path} goes by names, and none of them covers {few(coverage.unnamed)} "
                    f"(port {coverage.port})"
                ),
                blame=blame(firewall),
                remedy=f"Have the firewall's owner add {few(coverage.unnamed, _DETAILED)} to the names it allows",
                evidence=_evidence(seen, firewall),
                culprit=culprit(firewall),
                severity=None if by_name else Severity.WARNING,
                details=(f"It allows {few(firewall.names, _DETAILED)}",),
            )


@rule(
    "allowlist.not-covered",
    "The rules miss addresses of the service",
    Severity.ERROR,
    reference="https://learn.microsoft.com/azure/virtual-network/service-tags-overview",
)
def not_covered(seen: Seen) -> Iterator[Hit]:
    """The service has addresses that the firewall does not let through.

    Microsoft publishes the addresses of each service, by region, in a file of service tags that is new
    every week. A firewall with a list of addresses was right on the day when the list was made;
    whenever the service uses an address that came later, connections to it are dropped or refused, at
    times only now and then, since one name has several addresses. What is new in this week's file is
    not used for at least a week, so it is a warning as long as nothing else is missing.

    Add the prefixes that are named; with --list, netdiag allowlist prints them one a line. Better, let
    the firewall go by names (*.frontend.clouddatahub.net, *.servicebus.windows.net), or by service tags
    where it knows them (network security groups, Azure Firewall): both follow the service by
    themselves.
    """
    for firewall, coverage in _missing(seen):
        if _cause(firewall, coverage) != "addresses":
            continue
        none = coverage.by == "nothing"
        what = f"lets nothing of {coverage.tag} through" if none else f"misses {_prefixes(coverage)} of {coverage.tag}"
        new = ", all of them new in this file and not in use for a week" if coverage.missing_is_new else ""
        named = few(coverage.missing.prefixes, _NAMED)
        yield Hit(
            summary=f"{firewall.path} {what} on port {coverage.port}{_for(seen, coverage)}{new}: {named}",
            blame=blame(firewall),
            remedy=to_add(seen, firewall, coverage),
            evidence=_evidence(seen, firewall),
            culprit=culprit(firewall),
            severity=_severity(firewall, coverage),
            details=tuple(_details(firewall, coverage)),
        )


@rule("allowlist.address-blocked", "The endpoint's present address is not allowed", Severity.ERROR)
def address_blocked(seen: Seen) -> Iterator[Hit]:
    """An endpoint has an address now that neither the rules allow nor the service's tag holds.

    So it is no gap in the list of the tag's addresses: the endpoint is reached by a private endpoint,
    by a content network, or it lies in another region than was thought. Connections from here to it
    fail all the same.

    Allow the address, or better the name. Where it is a private address, allow that network on this
    path; where the address lies in the tag of another region, allow that tag.
    """
    for firewall in seen.of(AllowlistObservation):
        blocked: dict[tuple[str, int], list[AddressCoverage]] = {}
        for each in firewall.addresses:
            if not each.allowed and not _told(firewall, each):
                blocked.setdefault((each.host, each.port), []).append(each)
        for (host, port), found in blocked.items():
            addresses = [each.address for each in found]
            tags = dict.fromkeys(tag for each in found for tag in each.other_tags)
            itself = addresses == [host]
            lies = f" (in {few(list(tags))})" if tags else ""
            yield Hit(
                summary=(
                    f"{firewall.path} does not let {host}{'' if itself else f' ({few(addresses)})'} through on port "
                    f"{port}{lies}"
                ),
                blame=blame(firewall),
                remedy=(
                    f"Have the firewall's owner allow TCP port {port} to {host}"
                    f"{'' if itself else f', or to {few(addresses, _DETAILED)}'}"
                ),
                evidence=_evidence(seen, firewall, host),
                culprit=culprit(firewall),
                details=tuple(f"{each.address}: decided by {each.rule}" for each in found[:_NAMED] if each.rule),
            )


@rule("allowlist.not-understood", "Parts of the rules were not understood", Severity.WARNING)
def not_understood(seen: Seen) -> Iterator[Hit]:
    """The file holds rules that netdiag cannot read, and they might change the answer.

    What is not understood decides nothing: neither what an unread rule might allow is counted, nor what
    it might deny. It is a warning where such a rule could make the answer another one.

    Look at the places that are named. Names instead of addresses come from a listing without -n; an
    unknown set, from a listing without its members; unknown options, from modules that depend on more
    than addresses and ports.
    """
    for firewall in seen.of(AllowlistObservation):
        if not firewall.unread_total:
            continue
        missing = any(coverage.missing.total for coverage in firewall.coverage)
        matters = any(each.may != "allow" or missing for each in firewall.unread)
        many = firewall.unread_total
        yield Hit(
            summary=(
                f"{counted(many, 'part')} of {firewall.path} {'was' if many == 1 else 'were'} not understood: "
                f"{few([each.place for each in firewall.unread])}"
            ),
            blame="unknown",
            remedy=f"Look at {few([each.place for each in firewall.unread], 6)} of {firewall.path} yourself",
            evidence=(firewall,),
            severity=None if matters else Severity.INFO,
            details=tuple(f"{each.place}: {each.why}: {each.text.strip()}" for each in firewall.unread[:_DETAILED]),
        )


@rule("allowlist.outdated-tags", "The file of service tags is old", Severity.WARNING)
def outdated_tags(seen: Seen) -> Iterator[Hit]:
    """The file of service tags is more than a month old, and the answer as old as that.

    A new file comes out each week. Ranges that are new in one are not used for at least a week; after a
    month there may be several in use that this file does not have.

    Download the present file, and compare again: id 56519 of the Microsoft Download Center is the
    public cloud's, 57063 US Government's, 57062 China's.
    """
    for tags in seen.of(ServiceTagsObservation):
        if tags.age_days is not None and tags.age_days > OLD_DAYS:
            yield Hit(
                summary=f"{tags.path} is of {tags.date}, {counted(tags.age_days, 'day')} ago",
                blame="local-network",
                remedy=(
                    "Download the present file (https://www.microsoft.com/download/details.aspx?id=56519 for the "
                    "public cloud), and run this again"
                ),
                evidence=(tags,),
            )


@rule("allowlist.fixed-addresses", "The rules go by addresses, which change", Severity.INFO)
def fixed_addresses(seen: Seen) -> Iterator[Hit]:
    """Every address of the service is allowed today, because it is written down in the rules.

    The service's addresses change: Microsoft publishes a new file each week, and sends notices of
    changes. Those who allow addresses have to compare their rules each time; those who allow names or
    service tags have nothing to do.

    Let the firewall go by names, or by service tags in a network security group. Until then, compare
    with each new file; netdiag allowlist --previous says what is new in it.
    """
    for firewall in seen.of(AllowlistObservation):
        listed = [each for each in firewall.coverage if each.by == "addresses"]
        if listed:
            yield Hit(
                summary=(
                    f"{firewall.path} allows {few([each.tag for each in listed])} by addresses that are written down: "
                    "a notice about new addresses concerns it"
                ),
                blame=blame(firewall),
                remedy="Allow the service's names (or service tags) instead, or compare again with each week's file",
                evidence=_evidence(seen, firewall),
                culprit=culprit(firewall),
            )


@rule("allowlist.outside-tag", "The endpoint's address is not in the service's tag", Severity.INFO)
def outside_tag(seen: Seen) -> Iterator[Hit]:
    """An endpoint has an address now that the rules allow, and that its tag does not hold.

    With a private address, the endpoint is reached through a private endpoint, and rules by the tag do
    not matter to it. Otherwise it may lie in another region than its name says, which the file tells;
    or the names are resolved differently where the connections start.

    Compare with the region that the address lies in (--region), and look the name up on the machine
    whose connections matter.
    """
    for firewall in seen.of(AllowlistObservation):
        for each in firewall.addresses:
            if each.in_tag is not False or not each.allowed:
                continue
            where = "a private address" if is_private(each.address) else "in none of the service's tags"
            if each.other_tags:
                where = f"in {few(each.other_tags)}"
            tag = next((need.tag for need in _needs(seen) if each.host in need.hosts and need.tag), "the tag")
            yield Hit(
                summary=f"{each.host} has the address {each.address} now, which is {where} and not in {tag}",
                blame="unknown",
                remedy="Compare with the tag that holds it, if it is a public address (--region, --tag)",
                evidence=_evidence(seen, firewall, each.host),
            )


@rule("allowlist.stale", "Addresses are allowed that serve nothing", Severity.INFO)
def stale(seen: Seen) -> Iterator[Hit]:
    """The rules allow public addresses that no service tag holds, or that the needed one lost.

    Microsoft gives back addresses, and others get them. Nothing breaks while they stay in the rules,
    but the firewall is more open than it needs to be. Compared with an earlier file (--previous), these
    were the service's own; without one, they are merely in no tag of the file, and may be there for
    another purpose.

    Take them out of the rules if nothing else needs them.
    """
    for firewall in seen.of(AllowlistObservation):
        total = firewall.stale.total
        if not total:
            continue
        why = "the service's before and not now" if firewall.stale_since else "in no service tag"
        was = ("was" if total == 1 else "were") if firewall.stale_since else ("is" if total == 1 else "are")
        yield Hit(
            summary=(
                f"{firewall.path} allows {counted(total, 'prefix', 'prefixes')} that {was} {why}: "
                f"{few(firewall.stale.prefixes)}"
            ),
            blame="local-network",
            remedy="Take these out of the rules if nothing else needs them",
            evidence=_evidence(seen, firewall),
            details=_lines(firewall.stale.prefixes, total),
        )


def _severity(firewall: AllowlistObservation, coverage: TagCoverage) -> Severity | None:
    """A warning where nothing fails yet: all that is missing is new, or every present address is let through."""
    own = [each for each in firewall.addresses if each.in_tag and each.port == coverage.port]
    works = bool(own) and all(each.allowed for each in own) and coverage.by == "partly"
    return Severity.WARNING if coverage.missing_is_new or works else None


def _told(firewall: AllowlistObservation, address: AddressCoverage) -> bool:
    """What is missing of the tag includes this address."""
    return address.in_tag is True and any(
        coverage.missing.total and coverage.port == address.port for coverage in firewall.coverage
    )


def _details(firewall: AllowlistObservation, coverage: TagCoverage) -> Iterator[str]:
    """What fails now, what decides, and the prefixes."""
    for each in firewall.addresses:
        if each.in_tag and each.port == coverage.port:
            state = "is let through" if each.allowed else "is not let through, so it fails now"
            now = "" if each.host == each.address else f" has the address {each.address} now, which"
            yield f"{each.host}{now} {state}"
    if coverage.shadowed.total and coverage.shadowed != coverage.missing:
        late = counted(coverage.shadowed.total, "prefix", "prefixes")
        yield f"{late} of them are allowed by a rule, but {coverage.shadowed_by} comes first and denies them"
    if coverage.unnamed and firewall.names:
        yield f"No rule by name covers {few(coverage.unnamed)}"
    yield from _lines(coverage.missing.prefixes, coverage.missing.total)


def _lines(prefixes: tuple[str, ...], total: int) -> tuple[str, ...]:
    """Prefixes as a detail, a bounded number."""
    if total <= _NAMED:
        return ()
    shown = prefixes[:_DETAILED]
    more = f", and {total - len(shown):,} more" if total > len(shown) else ""
    return (f"{counted(total, 'prefix', 'prefixes')}: {', '.join(shown)}{more}",)


def _evidence(seen: Seen, firewall: AllowlistObservation, host: str = "") -> tuple[Observation, ...]:
    """The firewall's rules, the tags, and the lookup of the host."""
    lookups = [each for each in seen.of(DnsObservation) if each.name == host]
    return (firewall, *seen.of(ServiceTagsObservation), *lookups)


def _needs(seen: Seen) -> Iterator[TagNeed]:
    for tags in seen.of(ServiceTagsObservation):
        yield from tags.needs


def _for(seen: Seen, coverage: TagCoverage) -> str:
    """The endpoints that need the tag."""
    hosts = [h for need in _needs(seen) if (need.tag, need.port) == (coverage.tag, coverage.port) for h in need.hosts]
    return f" for {few(hosts, 2)}" if hosts else ""


def _prefixes(coverage: TagCoverage) -> str:
    return counted(coverage.missing.total, "prefix", "prefixes")


def _are(coverage: TagCoverage) -> str:
    return "is" if coverage.missing.total == 1 else "are"


def _it(coverage: TagCoverage) -> str:
    return "it" if coverage.missing.total == 1 else "them"
