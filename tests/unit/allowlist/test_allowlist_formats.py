"""Lists, tables and network security groups: what gets through, what was not understood."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.allowlist import reading
from netdiag.allowlist.addresses import parse_address
from netdiag.allowlist.formats import read_rules
from netdiag.allowlist.source import Asked
from netdiag.model import UsageError
from tests.rulesets import assumed, read, tags, through, unread
from tests.service_tags import WEST_US_2, nsg, nsg_rule

PREFIXES = ["13.66.143.128/28", "20.42.132.0/23"]


def names(firewall, port=443):
    return [name for layer in firewall.layers(port) for entry in layer for name in entry.names]


# --- lists


@pytest.mark.parametrize(
    "text",
    [
        "13.66.143.128/28\n20.42.132.0/23\n",
        "\ufeff13.66.143.128/28\r\n20.42.132.0/23\r\n",
        "# a comment\n\n13.66.143.128/28 # west\n  20.42.132.0/23 // too\n; and so on\n",
        "20.42.132.0/23, 13.66.143.128/28",
        "20.42.132.0/23; 13.66.143.128/28;",
        "13.66.143.128 255.255.255.240\n20.42.132.0 0.0.1.255\n",
        "13.66.143.128-13.66.143.143\n20.42.132.0 - 20.42.133.255\n",
        "20.42.132.*\n20.42.133.*\n13.66.143.128/255.255.255.240\n",
        "13.66.143.128/29\n13.66.143.136/29\n20.42.132.0/24\n20.42.133.0/24\n20.42.133.7\n",
        "13.66.143.128/28:443\n20.42.132.0/23 443\n",
        "13.66.143.128/28 tcp/443\n20.42.132.0/23 tcp 443\n10.0.0.0/8 8443\n",
        '["13.66.143.128/28", "20.42.132.0/23"]',
        '"13.66.143.128/28",\n"20.42.132.0/23",\n',
        "[\n  13.66.143.128/28,\n  20.42.132.0/23\n]\n",
    ],
)
def test_lists(tmp_path, text):
    firewall = read(tmp_path, text)
    assert firewall.kind == "list"
    assert through(firewall) == PREFIXES
    assert firewall.unread == ()


def test_a_list_in_utf_16(tmp_path):
    assert through(read(tmp_path, "13.66.143.128/28\r\n20.42.132.0/23".encode("utf-16"))) == PREFIXES


def test_a_list_says_nothing_about_a_family_that_is_not_in_it(tmp_path):
    assert through(read(tmp_path, "20.42.132.0/23"), told=False) == ["::/0"]
    assert through(read(tmp_path, "2603:1030::/32"), told=False) == ["0.0.0.0/0"]
    assert through(read(tmp_path, "2603:1030::/32\n20.42.132.0/23"), told=False) == []


def test_names_in_a_list(tmp_path):
    text = "*.frontend.clouddatahub.net\nHTTPS://Login.MicrosoftOnline.com/common/\n.core.windows.net\nx.example:8443\n"
    firewall = read(tmp_path, text)
    assert names(firewall) == ["*.frontend.clouddatahub.net", "login.microsoftonline.com", ".core.windows.net"]
    assert names(firewall, 8443)[-1] == "x.example"
    assert through(firewall) == []


def test_tags_in_a_list(tmp_path):
    firewall = read(tmp_path, "datafactory.westus2\n", tags=tags(tmp_path))
    assert through(firewall) == list(WEST_US_2)
    assert unread(read(tmp_path, "DataFactory.WestUS2\n10.0.0.1")) == []  # without tags it is a name


@pytest.mark.parametrize(
    "line",
    [
        "deny 10.0.0.0/8",
        "permit tcp any host 20.42.132.5 eq 443",
        "20.42.132.0/23 is what we allow",
        "20.42.132.0/33",
        "300.1.1.1",
        "20.42.132.0/23 10.0.0.1 deny",
        "!20.42.132.0/23",
    ],
)
def test_a_line_counts_whole_or_not_at_all(tmp_path, line):
    firewall = read(tmp_path, f"13.66.143.128/28\n{line}\n")
    assert through(firewall) == ["13.66.143.128/28"]
    assert unread(firewall) == [("line 2", "either")]


# --- tables


@pytest.mark.parametrize(
    "text",
    [
        "destination,port\n13.66.143.128/28,443\n20.42.132.0/23,443\n10.0.0.0/8,80\n",
        "Destination;Port;Protocol;Action\n13.66.143.128/28;443;TCP;Allow\n20.42.132.0/23;any;any;permit\n",
        "Dest IP\tMask\tDst Port\n13.66.143.128\t255.255.255.240\t443\n20.42.132.0\t/23\t400-500\n",
        "Rule|Source|Destination Address|Service|Action\nadf|any|13.66.143.128/28, 20.42.132.0/23|HTTPS|accept",
        'name,destination,ports,access\nadf,"20.42.132.0/23;13.66.143.128/28","80;443",allow\nno,any,any,deny\n',
        'daddr,dport,proto\n"13.66.143.128-13.66.143.143",tcp/443,6\n20.42.132.*,443,tcp\n20.42.133.0/24,443,tcp\n',
        "# made by hand\nip,port\n20.42.132.0/23,\n13.66.143.128/28,*\n",
        "priority,dst,port,action\n300,any,any,deny\n100,20.42.132.0/23,443,allow\n200,13.66.143.128/28,443,allow\n",
        "dst,port,action\n20.42.134.0/23,443,deny\n20.42.132.0/22,443,allow\n13.66.143.128/28,443,allow\n",
        "dst,port,enabled\n20.42.132.0/23,443,yes\n13.66.143.128/28,443,TRUE\n1.2.3.4,443,no\n",
        "dst,port,direction\n20.42.132.0/23,443,Outbound\n13.66.143.128/28,443,egress\n1.2.3.4,443,inbound\n",
        "dst,protocol\n20.42.132.0/23,tcp\n13.66.143.128/28,TCP/UDP\n1.2.3.4,udp\n",
    ],
)
def test_tables(tmp_path, text):
    firewall = read(tmp_path, text)
    assert firewall.kind == "table"
    assert firewall.unread == ()
    assert through(firewall) == PREFIXES


def test_a_table_with_names_and_tags(tmp_path):
    text = "Destination,Destination Port\n*.frontend.clouddatahub.net,443\nDataFactory.WestUS2,443\nInternet,80\n"
    firewall = read(tmp_path, text, tags=tags(tmp_path))
    assert names(firewall) == ["*.frontend.clouddatahub.net"]
    assert through(firewall) == list(WEST_US_2)
    assert "16.0.0.0/4" in through(firewall, 80)


def test_rows_that_are_not_understood(tmp_path):
    text = (
        "name,dst,port,protocol,action,direction,enabled\n"
        "a,20.42.132.0/23,443,tcp,allow,out,yes\n"
        "b,ADF_GROUP,443,tcp,allow,out,yes\n"
        "c,13.66.143.0/24,application-default,tcp,allow,out,yes\n"
        "d,13.66.143.0/24,443,tcp,alert,out,yes\n"
        "e,13.66.143.0/24,443,foo,deny,out,yes\n"
        "f,13.66.143.0/24,443,tcp,allow,sideways,yes\n"
        "g,,443,tcp,deny,out,yes\n"
    )
    firewall = read(tmp_path, text)
    assert through(firewall) == ["20.42.132.0/23"]
    assert unread(firewall) == [
        ("line 3 (b)", "allow"),
        ("line 4 (c)", "allow"),
        ("line 5 (d)", "either"),
        ("line 6 (e)", "deny"),
        ("line 7 (f)", "allow"),
        ("line 8 (g)", "deny"),
    ]
    assert firewall.rules == 7


def test_sources_of_a_table(tmp_path):
    text = (
        "source,dst,port,action\n10.9.0.0/16,any,any,deny\n10.0.0.0/8,20.42.132.0/23,443,allow\nany,1.2.3.4,443,allow\n"
    )
    firewall = read(tmp_path, text)
    assert through(firewall) == ["1.2.3.4/32", "20.42.132.0/23"]
    assert assumed(firewall) == [
        "line 2 denies only from 10.9.0.0/16: not counted",
        "line 3 allows only from 10.0.0.0/8: counted as if that were so",
    ]
    here = read(tmp_path, text, source=parse_address("10.1.2.3"))
    assert (through(here), assumed(here)) == (["1.2.3.4/32", "20.42.132.0/23"], [])
    assert through(read(tmp_path, text, source=parse_address("10.9.2.3"))) == []
    assert through(read(tmp_path, text, source=parse_address("192.168.0.1"))) == ["1.2.3.4/32"]


def test_powershell_objects(tmp_path):
    addresses = {"value": ["20.42.132.0/255.255.254.0", "LocalSubnet"], "Count": 2}
    rule = {"Direction": 2, "Action": 2, "Enabled": 1, "Protocol": "TCP", "RemotePort": "Any", "RemoteAddress": "Any"}
    half = {"Direction": "Outbound", "Action": "Block", "Enabled": "True", "RemoteAddress": "20.42.133.0/24"}
    rules = [
        {"DisplayName": "adf", **rule, "RemotePort": ["443", "80"], "RemoteAddress": addresses},
        {"DisplayName": "in", **rule, "Direction": 1, "Action": 4},
        {"DisplayName": "off", **rule, "Enabled": 2, "Action": 4},
        {"DisplayName": "half", **rule, **half},
    ]
    firewall = read(tmp_path, json.dumps(rules), default="deny")
    assert firewall.kind == "windows"
    assert through(firewall) == ["20.42.132.0/24"]
    assert firewall.elsewhere == 2


def test_powershell_rules_without_addresses(tmp_path):
    path = tmp_path / "rules"
    path.write_text(json.dumps([{"DisplayName": "adf", "Direction": 2, "Action": 2, "Enabled": 1}]))
    with pytest.raises(UsageError, match=r"without their addresses.*netsh advfirewall"):
        read_rules(str(path), Asked())


# --- network security groups


def test_priorities_decide(tmp_path):
    rules = [
        nsg_rule("DenyInternet", 300, "Deny", "Internet", protocol="*", destinationPortRange="*"),
        nsg_rule("AllowAdf", 200, "Allow", ["13.66.143.128/28", "20.42.132.0/23"]),
        nsg_rule("DenyHalf", 100, "Deny", "20.42.133.0/24"),
    ]
    firewall = read(tmp_path, json.dumps(nsg("nsg-ir", rules)))
    assert (firewall.kind, firewall.words) == ("nsg", "network security group nsg-ir")
    found = through(firewall)
    assert {"13.66.143.128/28", "20.42.132.0/24"} <= set(found)
    assert "10.0.0.0/8" in found  # AllowVnetOutBound
    assert not any(prefix.startswith("20.42.133") for prefix in found)


def test_without_rules_of_ones_own_everything_goes_out(tmp_path):
    firewall = read(tmp_path, json.dumps(nsg("nsg", [nsg_rule("in", 100, "Deny", "*", direction="Inbound")])))
    assert through(firewall) == ["0.0.0.0/0", "::/0"]
    assert firewall.elsewhere == 1


def arm(rule):
    properties = {key: value for key, value in rule.items() if key != "name"}
    return {"name": rule["name"], "properties": properties}


def pascal(value):
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(each) for key, each in value.items()}
    return [pascal(each) for each in value] if isinstance(value, list) else value


ALLOW, DENY = nsg_rule("A", 100, "Allow", "DataFactory.WestUS2"), nsg_rule("D", 200, "Deny", "*", protocol="*")
SHAPES = {
    "az nsg show": nsg("n", [ALLOW, DENY]),
    "az rule list": [ALLOW, DENY],
    "az nsg list": [nsg("n", [ALLOW, DENY])],
    "REST": {"value": [{"name": "n", "properties": {"securityRules": [arm(ALLOW), arm(DENY)]}}]},
    "ARM template": {
        "$schema": "x",
        "resources": [
            {"type": "Microsoft.Compute/virtualMachines", "name": "vm", "properties": {}},
            {"type": "Microsoft.Network/networkSecurityGroups", "name": "n",
             "properties": {"securityRules": [arm(DENY), arm(ALLOW)]}},
        ],
    },
    "PowerShell": pascal(nsg("n", [{**ALLOW, "destinationAddressPrefix": ["DataFactory.WestUS2"]}, DENY])),
    "effective": {
        "value": [{"networkSecurityGroup": {"id": "/subscriptions/x/networkSecurityGroups/n"},
                   "effectiveSecurityRules": [{**ALLOW, "destinationPortRange": "443-443"}, DENY]}]
    },
    "with defaults": {**nsg("n", [ALLOW]), "defaultSecurityRules": [{**DENY, "priority": 65500}]},
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_groups(tmp_path, shape):
    firewall = read(tmp_path, json.dumps(SHAPES[shape]), tags=tags(tmp_path))
    assert through(firewall) == list(WEST_US_2)
    assert firewall.rules == 2
    assert firewall.unread == ()


def test_a_single_rule(tmp_path):
    firewall = read(tmp_path, json.dumps(nsg_rule("D", 100, "Deny", "Internet")))
    assert "20.0.0.0/6" not in through(firewall)
    assert "10.0.0.0/8" in through(firewall)


def test_several_groups_are_several_firewalls(tmp_path):
    path = tmp_path / "rules"
    path.write_text(json.dumps([nsg("subnet", [ALLOW]), nsg("nic", [DENY])]))
    found = read_rules(str(path), Asked(tags=tags(tmp_path)))
    assert [firewall.words for firewall in found] == ["network security group subnet", "network security group nic"]


def test_what_a_group_holds_that_is_unknown(tmp_path):
    rules = [
        nsg_rule("Tag", 100, "Allow", "DataFactory.Mars"),
        nsg_rule("Expression", 110, "Deny", "[parameters('to')]"),
        nsg_rule("Ports", 120, "Allow", "*", destinationPortRange="[variables('p')]"),
        nsg_rule("Nothing", 130, "Allow", ""),
        nsg_rule("Asg", 140, "Deny", "", destinationApplicationSecurityGroups=[{"id": "x"}]),
        nsg_rule("Source", 150, "Deny", "*", sourceAddressPrefix="10.1.0.0/16"),
        nsg_rule("Udp", 160, "Deny", "*", protocol="Udp"),
        nsg_rule("Other", 170, "Deny", "*", destinationPortRange="", destinationPortRanges=["80", "8000-8080"]),
    ]
    firewall = read(tmp_path, json.dumps(nsg("n", rules)), tags=tags(tmp_path))
    assert unread(firewall) == [
        ("Tag (priority 100)", "allow"),
        ("Expression (priority 110)", "deny"),
        ("Ports (priority 120)", "allow"),
        ("Nothing (priority 130)", "allow"),
    ]
    assert through(firewall) == ["0.0.0.0/0", "::/0"]
    assert through(firewall, 8001) == []
    assert firewall.elsewhere == 2
    assert assumed(firewall) == ["Source (priority 150) denies only from 10.1.0.0/16: not counted"]
    assert through(read(tmp_path, json.dumps(nsg("n", rules)), source=parse_address("10.1.0.9"))) == []


# --- anything


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it is empty"),
        (b" \n ", "it is empty"),
        (b"\x1f\x8b\x08\x00rest", "compressed"),
        (b"\x7fELF\x00\x00", "not a text file"),
        (b"\xff\xfea", "not a text file"),
        (b"hello world\n", r"no firewall rule.*line 1: 'hello world'"),
        (b"{}", "JSON without firewall rules"),
        (b"[1, 2]", "JSON without firewall rules"),
        (b"<html><body>Sign in</body></html>", "no firewall rule"),
        (b"table inet filter {\n}\n", "no firewall rule"),
        (b"[" * 100_000, "no firewall rule"),
    ],
)
def test_files_that_hold_no_rules(tmp_path, content, complaint):
    path = tmp_path / "rules"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=complaint) as caught:
        read_rules(str(path), Asked())
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "rules"
    path.write_text("10.0.0.1\n" * 1000)
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    with pytest.raises(UsageError, match="larger than"):
        read_rules(str(path), Asked())
    monkeypatch.setattr(reading, "MAX_BYTES", 100_000)
    monkeypatch.setattr(reading, "MAX_LINES", 99)
    with pytest.raises(UsageError, match="more than 99 lines"):
        read_rules(str(path), Asked())


def test_what_is_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "none", "a\0b"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_rules(str(path), Asked())


#: Pieces that the readers look for, so that random files get past the first line.
PIECES = (
    *(
        "table inet f {\n",
        "chain forward {\n",
        "type filter hook forward priority 0; policy drop;\n",
        "ip daddr ",
        "@s ",
    ),
    *("set s {\n", "elements = { ", "}", "{ ", ",", "accept\n", "drop\n", "tcp dport 443 ", "vmap ", ": ", ". ", "!= "),
    *("*filter\n", ":FORWARD DROP [0:0]\n", "-A FORWARD ", "-d ", "! ", "-j ACCEPT\n", "-j X\n"),
    *("-m set --match-set s dst ", "Chain FORWARD (policy DROP)\n", "target prot opt source destination\n"),
    *("ACCEPT tcp -- 0.0.0.0/0 10.0.0.0/8 ", "dpt:443\n", "Rule Name:   x\n", "-" * 70 + "\n", "Enabled:  Yes\n"),
    *("Direction:  Out\n", "RemoteIP:  ", "Any\n", "Action:   Block\n", "Protocol:  TCP\n", "dst,port,action\n"),
    *("10.0.0.0/8", "443", "\n", " ", '"', "'", "::/0", '{"securityRules":[', '"priority":1e99', "}]", "]", "\\"),
    '{"direction":"Outbound","access":"Allow",',
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=40).map("".join))
def test_nothing_that_a_file_holds_is_a_traceback(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "rules"
    path.write_text(text, encoding="utf-8", errors="replace")
    with contextlib.suppress(UsageError):
        for firewall in read_rules(str(path), Asked(source=parse_address("10.0.0.1"))):
            through(firewall)
