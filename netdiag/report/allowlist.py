"""``Report`` on firewall rules -> text below the verdict: findings, each firewall, what is needed, the file of tags.

Contract: pure. What is missing is printed as it can be pasted, one prefix a line; without --verbose, the first of many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdiag.model import (
    AddressCoverage,
    AllowedBy,
    AllowlistObservation,
    DnsObservation,
    PrefixList,
    Report,
    ServiceTagsObservation,
    TagCoverage,
    TagNeed,
)
from netdiag.report import sections, units
from netdiag.report.page import Page
from netdiag.report.phrases import some

if TYPE_CHECKING:  # a report on a file has no ladder, and need not load it
    from netdiag.report.ladder import Mark

#: Prefixes of one list, addresses, and unread rules that are told without --verbose.
_PREFIXES = 16
_ADDRESSES = 12
_UNREAD = 6
_EVIDENCE = 3

#: How a tag is let through -> its mark, and what that means for a notice about new addresses.
_WAYS: dict[AllowedBy, tuple[Mark, str]] = {
    "open": ("ok", "nothing holds it back: new addresses change nothing"),
    "names": ("ok", "allowed by name: new addresses change nothing"),
    "tags": ("ok", "allowed by service tag: new addresses change nothing"),
    "addresses": ("ok", "all allowed today, by addresses that are written down: compare again each week"),
    "partly": ("failed", "allowed in part"),
    "nothing": ("failed", "nothing of it is allowed"),
    "not-known": ("not-run", "no addresses are known that could be compared"),
}
_IN_SHORT: dict[AllowedBy, str] = {
    "open": "not held back",
    "names": "allowed by name",
    "tags": "allowed by tag",
    "addresses": "allowed by addresses",
    "partly": "allowed in part",
    "nothing": "not allowed",
    "not-known": "not comparable",
}
_SCENARIOS = {
    1: "a firewall in front of a self-hosted integration runtime",
    2: "a network security group around a self-hosted integration runtime on an Azure VM",
    3: "a network security group around an Azure-SSIS integration runtime",
}


def body(page: Page, report: Report) -> None:
    """Everything below the verdict."""
    sections.findings(page, report, None if page.layout.verbose else _EVIDENCE)
    particulars(page, report)
    if any(isinstance(each, DnsObservation) for each in report.observations):
        sections.observed(page, report, shown(report), _ADDRESSES)
    sections.bugs(page, report)


def shown(report: Report) -> set[str]:
    """The observations that ``particulars`` tells of."""
    return {each.id for each in report.observations if isinstance(each, ServiceTagsObservation | AllowlistObservation)}


def particulars(page: Page, report: Report) -> None:
    """Each firewall, and the file of tags."""
    tags = [each for each in report.observations if isinstance(each, ServiceTagsObservation)]
    firewalls = [each for each in report.observations if isinstance(each, AllowlistObservation)]
    needs = {(need.tag, need.port): need for each in tags for need in each.needs}
    for firewall in firewalls:
        _firewall(page, firewall, needs)
    for each in tags:
        _tags(page, each, with_prefixes=not firewalls)


def describe_tags(tags: ServiceTagsObservation) -> str:
    """The file in one line."""
    parts = (tags.path, tags.cloud, tags.change_number and f"change {tags.change_number}", tags.date)
    needed = some(tuple(need.tag for need in tags.needs if need.tag))
    return f"{', '.join(part for part in parts if part)}{f'; needed: {needed}' if needed else ''}"


def describe_firewall(firewall: AllowlistObservation) -> str:
    """The rules in one line."""
    told = [f"{each.tag or 'other names'} {_IN_SHORT[each.by]}" for each in firewall.coverage]
    return f"{firewall.path}, {firewall.what}, {units.counted(firewall.rules, 'rule')}: {some(tuple(told), 3)}"


def details(observation: ServiceTagsObservation | AllowlistObservation) -> list[str]:
    """What that leaves out, a line each: prefixes, and what was not understood."""
    if isinstance(observation, ServiceTagsObservation):
        return [f"{need.tag}, port {need.port}: {', '.join(need.prefixes.prefixes)}" for need in observation.needs]
    missing = [
        f"{each.tag}, port {each.port}, missing: {', '.join(each.missing.prefixes)}"
        for each in observation.coverage
        if each.missing.total
    ]
    stale = [f"stale: {', '.join(observation.stale.prefixes)}"] if observation.stale.total else []
    unread = [f"not understood: {each.place}: {each.why}: {each.text}" for each in observation.unread]
    return [*missing, *stale, *unread, *observation.assumed, *observation.remarks]


def to_allow(report: Report) -> list[str]:
    """What is missing in all firewalls, a prefix a line with its port and tag, for a note to their owners."""
    return [
        f"{prefix}  TCP {coverage.port}  {coverage.tag}"
        for firewall in report.observations
        if isinstance(firewall, AllowlistObservation)
        for coverage in firewall.coverage
        for prefix in coverage.missing.prefixes
    ]


def _firewall(page: Page, firewall: AllowlistObservation, needs: dict[tuple[str, int], TagNeed]) -> None:
    page.heading(f"Firewall {firewall.path}: {firewall.what}")
    other = f", {firewall.elsewhere:,} of them about other connections" if firewall.elsewhere else ""
    page.paragraph(f"{units.counted(firewall.rules, 'rule')}{other}", first="  ")
    page.paragraph(
        f"Scenario {firewall.scenario} of Microsoft's notice: {_affected(firewall)}", first="  ", rest="    "
    )
    for coverage in firewall.coverage:
        _coverage(page, coverage, needs.get((coverage.tag, coverage.port)))
    _addresses(page, firewall.addresses)
    if firewall.stale.total:
        why = "the service's before, not now" if firewall.stale_since else "in no service tag"
        page.paragraph((f"Allowed, and {why}", "bold"), first="  ")
        _list(page, firewall.stale)
    _remarks(page, firewall)


def _affected(firewall: AllowlistObservation) -> str:
    """The notice's question, answered."""
    which = _SCENARIOS[firewall.scenario]
    ways = {coverage.by for coverage in firewall.coverage}
    if firewall.unrestricted or ways <= {"open"}:
        answer = "without outbound restrictions, so new addresses do not affect it"
    elif ways <= {"open", "names", "tags"}:
        how = " and ".join(word for word in ("names", "tags") if word in ways)
        answer = f"with rules by {how.replace('tags', 'service tags')}, so new addresses do not affect it"
    elif ways & {"addresses", "partly"}:
        answer = "with rules by addresses, so new addresses affect it"
    elif "nothing" in ways:
        answer = "which does not let the service through"
    else:
        answer = "and nothing is known to compare it with"
    return f"{which}, {answer}"


def _coverage(page: Page, coverage: TagCoverage, need: TagNeed | None) -> None:
    """One tag: whether it gets through, and what to add."""
    mark, words = _WAYS[coverage.by]
    symbol, style = sections.sign(page, sections.MARKS[mark])
    hosts = some(need.hosts) if need and need.hosts else ""
    title = coverage.tag or hosts
    who = f" ({hosts})" if coverage.tag and hosts else ""
    page.block(
        page.text("  ", (symbol, style), " "),
        page.text((title, "bold"), f", port {coverage.port}{who}: {words}"),
        "    ",
    )
    if coverage.missing.total:
        new = ", all new in this file" if coverage.missing_is_new else ""
        total = units.counted(coverage.missing.total, "prefix", "prefixes")
        page.paragraph((f"To add, {total}{new}:", "bold"), first="    ")
        _list(page, coverage.missing)
        if coverage.kept_back_by and not coverage.shadowed.total:
            page.paragraph(f"kept back by: {coverage.kept_back_by}", first="    ", rest="      ")
    if coverage.shadowed.total:
        page.paragraph(
            f"{units.counted(coverage.shadowed.total, 'prefix', 'prefixes')} of these allowed by a rule, but "
            f"{coverage.shadowed_by} comes first",
            first="    ",
            rest="      ",
        )
    for family in coverage.left_out:
        page.paragraph(
            f"IPv{family} was left out: the rules speak of IPv{10 - family} only (-{family} compares it)",
            first="    ",
            rest="      ",
        )
    if coverage.unnamed:
        page.paragraph(f"no rule by name covers {some(coverage.unnamed, 3)}", first="    ", rest="      ")


def _list(page: Page, prefixes: PrefixList) -> None:
    """One a line, without anything beside it."""
    first = prefixes.prefixes if page.layout.verbose else prefixes.prefixes[:_PREFIXES]
    for prefix in first:
        page.cropped(f"      {prefix}")
    if prefixes.total > len(first):
        page.paragraph(f"and {prefixes.total - len(first):,} more (--verbose, or --list)", first="      ")


def _addresses(page: Page, addresses: tuple[AddressCoverage, ...]) -> None:
    """The addresses that DNS gives now."""
    if not addresses:
        return
    page.paragraph(("Addresses now", "bold"), first="  ")
    first = addresses if page.layout.verbose else sorted(addresses, key=lambda each: each.allowed)[:_ADDRESSES]
    for each in first:
        symbol, style = sections.sign(page, sections.MARKS["ok" if each.allowed else "failed"])
        state = "allowed" if each.allowed else "not allowed"
        rule = f" ({each.rule})" if each.rule else ""
        outside = ", not in the tag" if each.in_tag is False else ""
        named = f"{each.host}: " if each.host != each.address else ""
        said = f"{named}{each.address}, port {each.port}: {state}{rule}{outside}"
        page.block(page.text("    ", (symbol, style), " "), page.text(said), "      ")
    if len(addresses) > len(first):
        page.paragraph(f"and {len(addresses) - len(first):,} more (--verbose lists them)", first="    ")


def _remarks(page: Page, firewall: AllowlistObservation) -> None:
    """What the answer rests on."""
    for remark in firewall.remarks:
        page.paragraph(f"{remark[:1].upper()}{remark[1:]}.", first="  ", rest="    ")
    most = None if page.layout.verbose else _UNREAD
    if firewall.assumed:
        page.paragraph(("Rules with conditions that netdiag cannot test", "bold"), first="  ")
        for line in firewall.assumed[:most]:
            page.paragraph(line, first="    ", rest="      ")
        _more(page, firewall.assumed_total, len(firewall.assumed[:most]))
    if firewall.unread:
        page.paragraph((f"Not understood: {units.counted(firewall.unread_total, 'part')}", "bold"), first="  ")
        for each in firewall.unread[:most]:
            page.paragraph(f"{each.place}: {each.why}", first="    ", rest="      ")
            if each.text.strip() and each.text not in each.why:
                page.cropped(f"      {each.text.strip()}")
        _more(page, firewall.unread_total, len(firewall.unread[:most]))


def _more(page: Page, total: int, shown: int) -> None:
    if total > shown:
        page.paragraph(f"and {total - shown:,} more", first="    ")


def _tags(page: Page, tags: ServiceTagsObservation, *, with_prefixes: bool) -> None:
    """The file, what is needed of it, and what changed since the earlier one."""
    page.heading(f"Service tags {tags.path}")
    change = f", change {tags.change_number}" if tags.change_number else ""
    date = f", of {tags.date}" if tags.date else ""
    cloud = tags.cloud or "cloud not named"
    page.paragraph(f"{cloud}{change}{date}, {units.counted(tags.tags, 'tag')}", first="  ")
    if tags.previous:
        change = f", change {tags.previous_change_number}" if tags.previous_change_number else ""
        date = f", of {tags.previous_date}" if tags.previous_date else ""
        page.paragraph(f"compared with {tags.previous}{change}{date}", first="  ", rest="    ")
    for need in tags.needs:
        _need(page, need, compared=bool(tags.previous), with_prefixes=with_prefixes)
    if tags.unreadable:
        page.paragraph(f"Prefixes that are none: {some(tags.unreadable, 5)}", first="  ", rest="    ")


def _need(page: Page, need: TagNeed, *, compared: bool, with_prefixes: bool) -> None:
    symbol, style = sections.sign(page, sections.MARKS["ok" if need.tag else "not-run"])
    hosts = f" ({some(need.hosts)})" if need.hosts and need.tag else ""
    title = need.tag or some(need.hosts)
    said = units.counted(need.prefixes.total, "prefix", "prefixes") if need.tag else "no tag"
    page.block(
        page.text("  ", (symbol, style), " "),
        page.text((title, "bold"), f", port {need.port}{hosts}: {said}; {need.because}"),
        "    ",
    )
    if need.remark:
        page.paragraph(need.remark, first="    ", rest="      ")
    if with_prefixes:
        _list(page, need.prefixes)
    if compared and need.tag:
        for prefixes, word in ((need.added, "new"), (need.removed, "gone")):
            page.paragraph((f"{word}: {units.counted(prefixes.total, 'prefix', 'prefixes')}", "bold"), first="    ")
            _list(page, prefixes)
