"""Service tags, rules and endpoints -> one report: the three scenarios of Microsoft's notice, and what goes wrong."""

from __future__ import annotations

import json
import socket
import threading
import time

import msgspec
import pytest

from netdiag import AllowlistOptions, check_allowlist, load_report, parse_target, rejudge, render
from netdiag.model import AllowlistObservation, DnsObservation, Severity, Target, UsageError
from netdiag.probes.machine import Machine
from netdiag.probes.net import Net
from tests.service_tags import TAGS, UK_SOUTH, WEST_US, WEST_US_2, nsg, nsg_rule, write_tags

HOST = "wu2.frontend.clouddatahub.net"
V4 = tuple(prefix for prefix in WEST_US_2 if ":" not in prefix)
V6 = tuple(prefix for prefix in WEST_US_2 if ":" in prefix)
DENY = nsg_rule("DenyAll", 4000, "Deny", "*", protocol="*", destinationPortRange="*")


@pytest.fixture
def desk(tmp_path):
    """Runs ``check_allowlist`` over rules that are given as text."""

    class Desk:
        tags = write_tags(tmp_path / "tags.json")

        def check(self, *rules, machine=None, **options):
            paths = []
            for number, text in enumerate(rules):
                path = tmp_path / f"rules{number or ''}"
                path.write_text(text if isinstance(text, str) else json.dumps(text))
                paths.append(str(path))
            hosts = tuple(parse_target(host) for host in options.pop("hosts", ()))
            self.report = check_allowlist(
                self.tags, paths, AllowlistOptions(endpoints=hosts, **options), machine=machine
            )
            assert self.report.internal_errors == ()
            assert rejudge(load_report(render(self.report, "json"))).verdict == self.report.verdict
            return self.report

        @property
        def firewall(self):
            return next(o for o in self.report.observations if isinstance(o, AllowlistObservation))

        @property
        def coverage(self):
            return self.firewall.coverage[0]

        @property
        def ids(self):
            return [(finding.id, str(finding.severity)) for finding in self.report.findings]

        @property
        def root(self):
            return next(f for f in self.report.findings if f.id == self.report.verdict.finding)

    return Desk()


# --- the three scenarios


@pytest.mark.parametrize("pattern", ["*.frontend.clouddatahub.net", "*.clouddatahub.net", HOST])
def test_scenario_1_rules_by_name_are_not_affected(desk, pattern):
    report = desk.check(f"{pattern}\n10.0.0.0/8\n", hosts=[HOST])
    assert (report.verdict.status, desk.ids) == ("healthy", [])
    assert "by name, so new addresses change nothing" in report.verdict.summary
    assert (desk.coverage.by, desk.firewall.scenario, desk.coverage.missing.total) == ("names", 1, 0)


def test_scenario_1_without_an_endpoint_the_documented_names_are_tried(desk):
    desk.check("*.frontend.clouddatahub.net\n", region="westus2")
    assert desk.coverage.by == "names"
    desk.check("*.datafactory.azure.net\n", region="westus2")
    assert desk.coverage.by == "names"


def test_scenario_1_rules_by_address_are_affected(desk):
    report = desk.check("\n".join(V4), hosts=[HOST])
    assert (report.verdict.status, desk.ids) == ("healthy", [("allowlist.fixed-addresses", "info")])
    assert (desk.coverage.by, desk.coverage.left_out) == ("addresses", (6,))
    assert desk.coverage.by_addresses.prefixes == V4
    assert "each new one must be added" in report.verdict.summary


def test_scenario_2_without_outbound_restrictions(desk):
    report = desk.check(
        nsg("n", []) | {"securityRules": [nsg_rule("in", 100, "Deny", "*", direction="Inbound")]}, hosts=[HOST]
    )
    assert (report.verdict.status, desk.coverage.by, desk.firewall.unrestricted) == ("healthy", "open", True)
    assert desk.firewall.scenario == 2


@pytest.mark.parametrize("tag", ["DataFactory.WestUS2", "DataFactory", "AzureCloud"])
def test_scenario_2_service_tags_are_not_affected(desk, tag):
    report = desk.check(nsg("n", [nsg_rule("A", 100, "Allow", tag), DENY]), hosts=[HOST])
    assert (report.verdict.status, desk.ids, desk.coverage.by) == ("healthy", [], "tags")
    assert desk.firewall.tags == (tag,)


def test_scenario_2_addresses_in_a_group_are_affected(desk):
    report = desk.check(nsg("nsg-ir", [nsg_rule("A", 100, "Allow", V4[:2]), DENY]), hosts=[HOST])
    assert (report.verdict.status, report.verdict.finding) == ("failed", "allowlist.not-covered")
    assert desk.root.culprit.name == "network security group nsg-ir"
    assert "--nsg-name nsg-ir" in desk.root.remedy
    assert "--destination-address-prefixes DataFactory.WestUS2 --destination-port-ranges 443" in desk.root.remedy
    assert desk.coverage.missing.prefixes == V4[2:]


def test_scenario_3_an_ssis_runtime_needs_the_tag_for_management(desk):
    report = desk.check(nsg("n", [nsg_rule("A", 100, "Allow", "DataFactory"), DENY]), ssis=True)
    assert report.verdict.finding == "allowlist.tag-mismatch"
    assert desk.coverage.tag == "DataFactoryManagement"
    report = desk.check(nsg("n", [nsg_rule("A", 100, "Allow", "DataFactoryManagement"), DENY]), ssis=True)
    assert (report.verdict.status, desk.firewall.scenario) == ("healthy", 3)


# --- findings


def test_the_tag_of_another_region(desk):
    report = desk.check(nsg("n", [nsg_rule("A", 100, "Allow", "DataFactory.WestUS"), DENY]), hosts=[HOST])
    assert desk.ids == [("allowlist.tag-mismatch", "error")]
    assert "allows DataFactory.WestUS, but DataFactory.WestUS2 is needed for wu2" in report.verdict.summary
    assert report.verdict.blame == "path-device"


def test_what_a_list_misses_and_what_is_stale(desk):
    report = desk.check("13.66.143.128/28\n20.42.132.0/24\n51.104.9.32/28\n10.0.0.0/8\n20.51.12.0/22\n", hosts=[HOST])
    assert desk.ids == [("allowlist.not-covered", "error"), ("allowlist.stale", "info")]
    assert desk.coverage.missing.prefixes == ("20.42.133.0/24", "40.78.245.16/28")
    assert report.verdict.summary.endswith("20.42.133.0/24, 40.78.245.16/28")
    assert "allow TCP port 443 to 20.42.133.0/24, 40.78.245.16/28" in desk.root.remedy
    assert desk.firewall.stale.prefixes == ("51.104.9.32/28",)
    assert (desk.firewall.stale_since, desk.coverage.by) == (False, "partly")


def test_a_rule_that_denies_first(desk):
    rules = [nsg_rule("A", 300, "Allow", "DataFactory.WestUS2"), nsg_rule("No", 200, "Deny", "20.42.132.0/23"), DENY]
    report = desk.check(nsg("n", rules), hosts=[HOST])
    assert desk.ids == [("allowlist.shadowed", "error")]
    assert "No (priority 200) comes first and denies it" in report.verdict.summary
    assert desk.coverage.missing.prefixes == ("20.42.132.0/23",)


def test_windows_blocks_before_it_allows(desk):
    text = (
        "Rule Name:  Block\n"
        + "-" * 70
        + "\nEnabled: Yes\nDirection: Out\nProfiles: Domain,Private,Public\nGrouping:\n"
        "LocalIP: Any\nRemoteIP: 20.42.132.0/23\nProtocol: TCP\nLocalPort: Any\nRemotePort: Any\nAction: Block\n"
    )
    report = desk.check(text, hosts=[HOST])
    assert (report.verdict.finding, report.verdict.blame) == ("allowlist.not-covered", "this-machine")
    assert "remoteport=443 remoteip=20.42.132.0/23" in desk.root.remedy
    allow = text.replace("Block", "Allow")
    assert desk.check(text + "\n" + allow, hosts=[HOST]).verdict.finding == "allowlist.shadowed"
    assert "blocking goes first" in desk.root.remedy


def test_rules_by_name_without_this_name(desk):
    report = desk.check("*.servicebus.windows.net\n", hosts=[HOST])
    assert desk.ids == [("allowlist.name-not-allowed", "error")]
    assert "none of them covers wu2.frontend.clouddatahub.net" in report.verdict.summary


def test_a_name_without_a_tag(desk):
    report = desk.check("*.servicebus.windows.net\n", hosts=["download.microsoft.com"])
    assert (desk.ids, report.verdict.status) == ([("allowlist.name-not-allowed", "warning")], "impaired")
    report = desk.check("download.microsoft.com\n", hosts=["download.microsoft.com"])
    assert (desk.ids, report.verdict.status, desk.coverage.by) == ([], "healthy", "names")
    report = desk.check("10.0.0.0/8\n", hosts=["download.microsoft.com"])
    assert (desk.ids, report.verdict.status) == ([], "inconclusive")


def test_what_is_new_this_week_is_a_warning(desk, tmp_path):
    old = {**TAGS, "DataFactory.WestUS2": (*V4[:-1], *V6, "51.104.9.32/28")}
    previous = write_tags(tmp_path / "old.json", old, change=363)
    rules = "\n".join((*V4[:-1], "51.104.9.32/28"))
    report = desk.check(rules, hosts=[HOST], previous=previous)
    assert desk.ids == [("allowlist.not-covered", "warning"), ("allowlist.stale", "info")]
    assert report.verdict.status == "impaired"
    assert "all of them new in this file" in report.verdict.summary
    tags = report.observations[0]
    need = tags.needs[0]
    assert (need.added.prefixes, need.removed.prefixes) == ((V4[-1],), ("51.104.9.32/28",))
    assert (tags.previous_change_number, tags.change_number) == ("363", "364")
    assert (desk.firewall.stale.prefixes, desk.firewall.stale_since) == (("51.104.9.32/28",), True)
    report = desk.check("\n".join(V4[:2]), hosts=[HOST], previous=previous)
    assert desk.ids[0] == ("allowlist.not-covered", "error")


def test_files_in_the_wrong_order_or_of_another_cloud(desk, tmp_path):
    with pytest.raises(UsageError, match=r"newer than.*swap them"):
        desk.check("10.0.0.1", previous=write_tags(tmp_path / "new.json", change=365))
    with pytest.raises(UsageError, match="of the cloud 'AzureGovernment'"):
        desk.check("10.0.0.1", previous=write_tags(tmp_path / "gov.json", cloud="AzureGovernment"))


def test_unread_rules_matter_or_not(desk):
    def of(*rows):
        return "\n".join(("dst,port,action", *rows, *(f"{prefix},443,allow" for prefix in V4)))

    desk.check(of("GROUP,443,allow"), hosts=[HOST])
    assert ("allowlist.not-understood", "info") in desk.ids
    report = desk.check(of("GROUP,443,deny"), hosts=[HOST])
    assert ("allowlist.not-understood", "warning") in desk.ids
    assert report.verdict.status == "impaired"
    report = desk.check("dst,port,action\nGROUP,443,allow\n1.2.3.4,443,allow\n", hosts=[HOST])
    assert ("allowlist.not-understood", "warning") in desk.ids
    assert report.verdict.finding == "allowlist.not-covered"
    (entry,) = desk.firewall.unread
    assert (entry.place, entry.may) == ("line 2", "allow")


def test_an_old_file(desk, tmp_path):
    desk.tags = write_tags(tmp_path / "ServiceTags_Public_20200106.json")
    report = desk.check("*.clouddatahub.net", hosts=[HOST])
    assert (desk.ids, report.verdict.status) == ([("allowlist.outdated-tags", "warning")], "impaired")
    today = time.strftime("%Y%m%d", time.gmtime())
    desk.tags = write_tags(tmp_path / f"ServiceTags_Public_{today}.json")
    assert desk.check("*.clouddatahub.net", hosts=[HOST]).findings == ()
    desk.tags = write_tags(tmp_path / "ServiceTags_Public_20250231.json")
    assert desk.check("*.clouddatahub.net", hosts=[HOST]).findings == ()


# --- lookups


def machine(**names):
    def lookup(name):
        found = names.get(name.partition(".")[0], ())
        if callable(found):
            return found()
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    return Machine(net=Net(lookup=lookup), environment={})


def test_addresses_that_dns_gives_now(desk):
    report = desk.check(
        "\n".join(V4[1:]), hosts=[HOST], resolve=True, machine=machine(wu2=("20.42.132.5", "20.42.133.6"))
    )
    assert desk.ids[0] == ("allowlist.not-covered", "warning")  # it works now, and may not later
    assert [(each.address, each.allowed, each.in_tag, each.rule) for each in desk.firewall.addresses] == [
        ("20.42.132.5", True, True, "line 1"),
        ("20.42.133.6", True, True, "line 1"),
    ]
    found = machine(wu2=("13.66.143.130",))
    report = desk.check("\n".join(V4[1:]), hosts=[HOST], resolve=True, machine=found)
    assert desk.ids[0] == ("allowlist.not-covered", "error")
    assert f"{HOST} has the address 13.66.143.130 now, which is not let through, so it fails now" in desk.root.details
    assert report.verdict.status == "failed"


def test_an_address_outside_the_tag(desk):
    report = desk.check("\n".join(V4), hosts=[HOST], resolve=True, machine=machine(wu2=("13.86.219.210",)))
    assert desk.ids[0] == ("allowlist.address-blocked", "error")
    assert "port 443 (in DataFactory.WestUS)" in report.verdict.summary
    report = desk.check("\n".join((*V4, "10.0.0.0/8")), hosts=[HOST], resolve=True, machine=machine(wu2=("10.1.2.3",)))
    assert desk.ids == [("allowlist.fixed-addresses", "info"), ("allowlist.outside-tag", "info")]
    assert "which is a private address and not in DataFactory.WestUS2" in desk.report.findings[1].summary
    assert report.verdict.status == "healthy"


def test_a_name_without_a_tag_is_judged_by_its_addresses(desk):
    given = {"hosts": ["download.microsoft.com"], "resolve": True, "machine": machine(download=("23.1.2.3",))}
    report = desk.check("23.1.0.0/16\n", **given)
    assert (desk.ids, report.verdict.status) == ([], "healthy")
    report = desk.check("23.2.0.0/16\n", **given)
    assert desk.ids == [("allowlist.address-blocked", "error"), ("allowlist.stale", "info")]
    assert "does not let download.microsoft.com (23.1.2.3) through" in report.verdict.summary


def test_addresses_as_endpoints(desk):
    report = desk.check("20.42.132.0/23\n", hosts=["20.42.132.5", "20.51.13.1:443", "[2603:1030:c06:2::441]:443"])
    assert [(a.address, a.allowed) for a in desk.firewall.addresses] == [
        ("20.42.132.5", True), ("20.51.13.1", False), ("2603:1030:c06:2::441", True)]  # fmt: skip
    assert desk.ids[0] == ("allowlist.address-blocked", "error")
    assert report.target.path == "rules"


def test_names_that_do_not_resolve(desk):
    report = desk.check(
        "\n".join(V4), hosts=[HOST, "nowhere.example"], resolve=True, machine=machine(wu2=("20.42.132.5",))
    )
    failed = [o for o in report.observations if isinstance(o, DnsObservation) and o.outcome == "failed"]
    assert [(o.name, o.failure.kind) for o in failed] == [("nowhere.example", "nxdomain")]


def test_lookups_end_in_time_and_when_interrupted(desk):
    stuck = threading.Event()
    given = {"hosts": [HOST], "resolve": True, "machine": machine(wu2=lambda: stuck.wait(60) and ())}
    report = desk.check("\n".join(V4), timeout_s=0.05, **given)
    (lookup,) = (o for o in report.observations if isinstance(o, DnsObservation))
    assert (lookup.failure.kind, lookup.failure.step) == ("timeout", "lookup")
    cancel = threading.Event()
    cancel.set()
    options = AllowlistOptions(endpoints=(Target(host=HOST),), resolve=True)
    report = check_allowlist(desk.tags, [], options, machine=given["machine"], cancel=cancel)
    assert report.verdict.status == "inconclusive"
    stuck.set()


# --- what is needed


def test_without_rules_the_report_says_what_is_needed(desk):
    report = desk.check(hosts=[HOST, "contoso.database.windows.net:1433", "download.microsoft.com"])
    needs = report.observations[0].needs
    assert [(need.tag, need.port, need.hosts) for need in needs] == [
        ("DataFactory.WestUS2", 443, (HOST,)),
        ("Sql", 1433, ("contoso.database.windows.net",)),
        ("", 443, ("download.microsoft.com",)),
    ]
    assert needs[0].prefixes.prefixes == WEST_US_2
    assert report.verdict.summary == (
        "What a firewall must let through: DataFactory.WestUS2 on port 443: 7 prefixes, Sql on port 1433: 2 prefixes"
    )
    assert report.target.path == "tags.json"


def test_regions_tags_and_defaults(desk):
    def needed(**options):
        report = desk.check(**options)
        return [(need.tag, need.port) for need in report.observations[0].needs]

    assert needed() == [("DataFactory", 443)]
    assert needed(region="uk south") == [("DataFactory.UKSouth", 443)]
    assert needed(region="wu2", port=8443) == [("DataFactory.WestUS2", 8443)]
    assert needed(tags=("sql", "datafactory.uksouth")) == [("Sql", 443), ("DataFactory.UKSouth", 443)]
    assert needed(hosts=["jpe.frontend.clouddatahub.net"]) == [("DataFactory", 443)]
    assert needed(hosts=["jpe.frontend.clouddatahub.net"], region="westus") == [("DataFactory.WestUS", 443)]
    assert needed(hosts=[HOST, "x.westus2.datafactory.azure.net"]) == [("DataFactory.WestUS2", 443)]
    assert needed(hosts=["x.mars.datafactory.azure.net"]) == [("", 443)]
    assert needed(hosts=["10.0.0.1"]) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"region": "westus9"}, "no tag DataFactory for the region 'westus9'; it has westus"),
        ({"tags": ("DataFactory.WestUS9",)}, "no service tag 'DataFactory.WestUS9'; did you mean DataFactory.West"),
        ({"tags": ("x\x1b[2J",)}, "no service tag"),
        ({"source": "here"}, "'here' is no address"),
        ({"hosts": ["usw.frontend.datamovement.azure.us"]}, "of the cloud 'gov'.*download 57063"),
    ],
)
def test_what_cannot_be_asked(desk, options, complaint):
    with pytest.raises(UsageError, match=complaint):
        desk.check("10.0.0.1", **options)


def test_several_rule_files_are_several_firewalls(desk):
    report = desk.check("\n".join(V4), "*.clouddatahub.net", "10.0.0.0/8", hosts=[HOST])
    found = [o for o in report.observations if isinstance(o, AllowlistObservation)]
    assert [(o.id, o.coverage[0].by) for o in found] == [
        ("allowlist", "addresses"), ("allowlist.2", "names"), ("allowlist.3", "nothing")]  # fmt: skip
    assert report.target.path == "rules and 2 more"
    assert report.verdict.finding == "allowlist.not-covered"
    assert report.findings[0].evidence == ("allowlist.3", "service-tags")


def test_families_can_be_chosen(desk):
    assert desk.check("\n".join(V4), region="wu2", families=(4,)).verdict.status == "healthy"
    report = desk.check("\n".join(V4), region="wu2", families=(6,))
    assert desk.coverage.missing.prefixes == V6
    assert report.verdict.status == "failed"
    desk.check("\n".join((*V4, V6[0])), region="wu2")
    assert desk.coverage.missing.prefixes == V6[1:]


def test_many_missing_prefixes_are_bounded_in_words_and_complete_in_the_report(desk, tmp_path):
    many = [f"20.{n // 256}.{n % 256}.0/25" for n in range(3000)]
    desk.tags = write_tags(tmp_path / "many.json", {"DataFactory": many})
    report = desk.check("10.0.0.0/8")
    assert desk.coverage.missing.total == 3000
    assert len(desk.coverage.missing.prefixes) == 3000
    finding = report.findings[0]
    assert "3,000 prefixes" in finding.remedy
    assert "--tag DataFactory --list" in finding.remedy
    assert all(len(text) < 1000 for text in (finding.summary, finding.remedy, *finding.details))


def test_a_bug_costs_the_comparison_and_not_the_report(desk, monkeypatch):
    monkeypatch.setattr("netdiag.session.allowlists.compare", lambda *args, **options: 1 / 0)
    path = desk.tags.replace("tags.json", "r")
    with open(path, "w") as file:  # noqa: PTH123
        file.write("10.0.0.1")
    report = check_allowlist(desk.tags, [path])
    assert report.verdict.status == "inconclusive"
    assert "ZeroDivisionError" in report.internal_errors[0]


def test_severities_are_those_of_the_model(desk):
    desk.check("10.0.0.0/8", hosts=[HOST])
    assert desk.root.severity is Severity.ERROR
    assert msgspec.json.decode(render(desk.report, "json"))["command"] == "allowlist"
    assert {*UK_SOUTH, *WEST_US} <= set(TAGS["DataFactory"])
