"""Rules about allowlist: observations in, exactly these findings out, with remedies that can be pasted."""

from __future__ import annotations

import shlex

import msgspec
import pytest

from netdiag.model import (
    AddressCoverage,
    AllowlistObservation,
    PrefixList,
    ServiceTagsObservation,
    TagCoverage,
    TagNeed,
    Target,
    UnreadRule,
)
from netdiag.rules import CATALOGUE, Seen, conclude_allowlist, findings

HOST, TAG = "wu2.frontend.clouddatahub.net", "DataFactory.WestUS2"


def prefixes(*texts, total=0):
    return PrefixList(total=total or len(texts), prefixes=texts)


TWO = prefixes("20.42.132.0/23", "2603:1030:c06:2::440/122")


def tags(**changes):
    need = TagNeed(tag=TAG, region="westus2", hosts=(HOST,), prefixes=TWO)
    values = {
        "id": "service-tags",
        "source": "file",
        "path": "tags.json",
        "cloud": "Public",
        "needs": (need,),
        **changes,
    }
    return ServiceTagsObservation(**values)


def coverage(**changes):
    return TagCoverage(**{"tag": TAG, "port": 443, "by": "partly", "missing": TWO, **changes})


def firewall(*covered, **changes):
    values = {
        "id": "allowlist",
        "parent": "service-tags",
        "path": "rules.txt",
        "kind": "list",
        "what": "a list",
        **changes,
    }
    return AllowlistObservation(coverage=covered, **values)


def judge(*observations):
    seen = Seen(Target(host="", port=0, scheme="file", path="rules.txt"), "direct", observations)
    found = findings(seen)
    return [(f.id, str(f.severity), f.blame) for f in found], found, conclude_allowlist(seen, found)


UNKNOWN = coverage(tag="", by="not-known", missing=PrefixList())
ADDRESS = AddressCoverage(host=HOST, address="20.42.132.5", port=443, allowed=True, in_tag=True)
ERROR = {
    identifier: [(identifier, "error", "path-device")]
    for identifier in CATALOGUE
    if identifier.startswith("allowlist.")
}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (firewall(coverage(by="names", missing=PrefixList())), []),
        (firewall(coverage(by="tags", missing=PrefixList())), []),
        (firewall(coverage(by="open", missing=PrefixList()), unrestricted=True), []),
        (
            firewall(coverage(by="addresses", missing=PrefixList(), by_addresses=TWO)),
            [("allowlist.fixed-addresses", "info", "path-device")],
        ),
        (firewall(coverage()), ERROR["allowlist.not-covered"]),
        (firewall(coverage(by="nothing")), ERROR["allowlist.not-covered"]),
        (firewall(coverage(), kind="windows"), [("allowlist.not-covered", "error", "this-machine")]),
        (firewall(coverage(missing_is_new=True)), [("allowlist.not-covered", "warning", "path-device")]),
        (firewall(coverage(), addresses=(ADDRESS,)), [("allowlist.not-covered", "warning", "path-device")]),
        (
            firewall(coverage(), addresses=(msgspec.structs.replace(ADDRESS, allowed=False),)),
            ERROR["allowlist.not-covered"],
        ),
        (firewall(coverage(by="nothing"), addresses=(ADDRESS,)), ERROR["allowlist.not-covered"]),
        (firewall(coverage(other_tags=("DataFactory.WestUS",)), kind="nsg"), ERROR["allowlist.tag-mismatch"]),
        (firewall(coverage(shadowed=TWO, shadowed_by="line 1")), ERROR["allowlist.shadowed"]),
        (firewall(coverage(shadowed=prefixes("20.42.132.0/24"))), ERROR["allowlist.not-covered"]),
        (
            firewall(coverage(by="nothing", unnamed=(HOST,)), names=("*.example",)),
            ERROR["allowlist.name-not-allowed"],
        ),
        (
            firewall(coverage(unnamed=(HOST,), by_addresses=TWO), names=("*.example",)),
            ERROR["allowlist.not-covered"],
        ),
        (
            firewall(msgspec.structs.replace(UNKNOWN, unnamed=("a.example",)), names=("b.example",)),
            [("allowlist.name-not-allowed", "warning", "path-device")],
        ),
        (firewall(UNKNOWN), []),
        (
            firewall(addresses=(msgspec.structs.replace(ADDRESS, allowed=False, in_tag=False, other_tags=("X",)),)),
            ERROR["allowlist.address-blocked"],
        ),
        (
            firewall(addresses=(msgspec.structs.replace(ADDRESS, address="10.1.2.3", in_tag=False),)),
            [("allowlist.outside-tag", "info", "unknown")],
        ),
        (firewall(addresses=(msgspec.structs.replace(ADDRESS, in_tag=None),)), []),
        (firewall(stale=prefixes("51.104.9.32/28")), [("allowlist.stale", "info", "local-network")]),
    ],
)  # fmt: skip
def test_findings(seen, expected):
    found, whole, verdict = judge(tags(), seen)
    assert found == expected
    assert (verdict.finding is None) == (not [f for f in whole if f.severity != "info"])
    for finding in whole:
        assert finding.evidence[0] == "allowlist"
        assert finding.remedy
        assert len(finding.summary) < 400


@pytest.mark.parametrize(
    ("may", "missing", "severity"),
    [("allow", PrefixList(), "info"), ("allow", TWO, "warning"), ("deny", PrefixList(), "warning"),
     ("either", PrefixList(), "warning")],
)  # fmt: skip
def test_what_was_not_understood(may, missing, severity):
    unread = UnreadRule(place="line 3", text="-j FROB", why="the target is not known", may=may)
    by = "partly" if missing.total else "tags"
    found, whole, _ = judge(tags(), firewall(coverage(by=by, missing=missing), unread=(unread,), unread_total=9))
    assert ("allowlist.not-understood", severity, "unknown") in found
    finding = next(f for f in whole if f.id == "allowlist.not-understood")
    assert finding.summary == "9 parts of rules.txt were not understood: line 3"
    assert finding.details == ("line 3: the target is not known: -j FROB",)


@pytest.mark.parametrize(("age", "expected"), [(None, []), (30, []), (31, ["allowlist.outdated-tags"])])
def test_old_files(age, expected):
    found, _, verdict = judge(tags(age_days=age, date="2025-07-28"))
    assert [identifier for identifier, _, _ in found] == expected
    assert verdict.status == ("impaired" if expected else "healthy")


def remedy(**changes):
    missing = changes.pop("missing", TWO)
    _, whole, _ = judge(tags(), firewall(coverage(missing=missing), **changes))
    return whole[0].remedy


def test_remedies_can_be_pasted():
    assert remedy() == "Have the firewall's owner allow TCP port 443 to 20.42.132.0/23, 2603:1030:c06:2::440/122"
    text = remedy(kind="iptables", what="iptables and ip6tables, chain FORWARD")
    assert "iptables -I FORWARD -p tcp -d 20.42.132.0/23 --dport 443 -j ACCEPT; ip6tables -I FORWARD" in text
    text = remedy(kind="nftables", what="nftables, chain inet filter forward, ip b g")
    assert "nft insert rule inet filter forward 'ip daddr { 20.42.132.0/23 } tcp dport 443 accept'; nft" in text
    text = remedy(kind="windows", what="x")
    assert "netsh advfirewall firewall add rule name=" in text
    assert "remoteport=443 remoteip=20.42.132.0/23,2603:1030:c06:2::440/122" in text
    text = remedy(kind="nsg", what="network security group nsg 1; rm -rf /")
    words = shlex.split(text.partition(": ")[2])
    assert words[words.index("--nsg-name") + 1] == "nsg 1; rm -rf /"
    assert words[words.index("--destination-address-prefixes") + 1] == TAG


def test_many_prefixes_are_left_to_a_command():
    text = remedy(missing=prefixes(*(f"20.{n}.0.0/16" for n in range(9))), path="my rules.txt")
    assert text.endswith("netdiag allowlist --tags tags.json --rules 'my rules.txt' --tag DataFactory.WestUS2 --list")


def test_hostile_text_stays_in_its_place():
    _, whole, _ = judge(tags(path="a\x1b[2Jb"), firewall(coverage(shadowed=TWO, shadowed_by="x" * 5000), path="\n\x00"))
    assert whole[0].id == "allowlist.shadowed"


@pytest.mark.parametrize(
    ("covered", "status"),
    [(UNKNOWN, "inconclusive"), (coverage(by="tags", missing=PrefixList()), "healthy")],
)
def test_verdicts_without_findings(covered, status):
    assert judge(tags(), firewall(covered))[2].status == status
