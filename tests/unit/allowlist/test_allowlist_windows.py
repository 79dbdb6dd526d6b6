"""netsh advfirewall firewall show rule name=all."""

from __future__ import annotations

from netdiag.allowlist.addresses import parse_address
from tests.rulesets import assumed, read, through, unread

DASHES = "-" * 70


def record(name="ADF", **fields):
    values = {
        "Enabled": "Yes",
        "Direction": "Out",
        "Profiles": "Domain,Private,Public",
        "Grouping": "",
        "LocalIP": "Any",
        "RemoteIP": "20.42.132.0/23",
        "Protocol": "TCP",
        "LocalPort": "Any",
        "RemotePort": "443",
        "Edge traversal": "No",
        "Action": "Allow",
    }
    values.update(fields)
    lines = [f"{key + ':':<38}{value}".rstrip() for key, value in values.items() if value is not None]
    return "\r\n".join(["", f"{'Rule Name:':<38}{name}", DASHES, *lines, ""])


BLOCKED = "Firewall Policy                       BlockInbound,BlockOutbound\r\n"


def test_rules_that_allow_and_a_policy_that_blocks(tmp_path):
    text = BLOCKED + record() + record("Half", RemoteIP="20.42.133.0/255.255.255.0", Action="Block") + "Ok.\r\n"
    firewall = read(tmp_path, text)
    assert (firewall.kind, firewall.rules) == ("windows", 2)
    assert through(firewall) == ["20.42.132.0/24"]
    assert through(firewall, 80) == []
    assert (unread(firewall), firewall.remarks) == ([], ())


def test_without_a_policy_windows_allows_and_that_is_told(tmp_path):
    text = record("Block", Action="Block", RemoteIP="0.0.0.0-127.255.255.255,::/1")
    firewall = read(tmp_path, text)
    assert through(firewall) == ["128.0.0.0/1", "8000::/1"]
    assert "is assumed (--default deny" in firewall.remarks[0]
    assert through(read(tmp_path, text + record(), default="deny")) == []
    assert read(tmp_path, text, default="deny").remarks == ()


def test_rules_for_other_connections(tmp_path):
    others = {
        "in": {"Direction": "In"},
        "off": {"Enabled": "No"},
        "udp": {"Protocol": "UDP"},
        "icmp": {"Protocol": "ICMPv4", "LocalPort": None, "RemotePort": None},
        "port": {"RemotePort": "80,8080-8090"},
        "near": {"RemoteIP": "LocalSubnet"},
    }
    text = "".join(record(name, **{"Action": "Block", "RemoteIP": "Any", **each}) for name, each in others.items())
    firewall = read(tmp_path, text)
    assert through(firewall) == ["0.0.0.0/0", "::/0"]
    assert through(firewall, 8085) == []
    assert firewall.elsewhere == 5
    assert unread(firewall) == []


def test_any_protocol_has_no_ports(tmp_path):
    text = BLOCKED + record(Protocol="Any", LocalPort=None, RemotePort=None)
    assert through(read(tmp_path, text)) == ["20.42.132.0/23"]


def test_conditions(tmp_path):
    other = {"Program": "C:\\x\\other.exe", "Profiles": "Domain", "LocalIP": "10.0.0.0/8"}
    ours = {"RemoteIP": "1.2.3.4", "Program": "C:\\Program Files\\x\\diahost.exe", "Service": "DIAHostService"}
    text = BLOCKED + record("Verbose", **other) + record("Ours", **ours)
    firewall = read(tmp_path, text)
    assert through(firewall) == ["1.2.3.4/32", "20.42.132.0/23"]
    (line,) = assumed(firewall)
    assert "only from 10.0.0.0/8 and for the program C:\\x\\other.exe and in the profile Domain" in line
    assert through(read(tmp_path, text, source=parse_address("192.168.1.1"))) == ["1.2.3.4/32"]


GERMAN = f"""
Regelname:                            ADF
{DASHES}
Aktiviert:                            Ja
Richtung:                             Ausgehend
Profile:                              Domäne,Privat,Öffentlich
Gruppierung:
Lokales IP:                           Beliebig
Remote-IP:                            20.42.132.0/23
Protokoll:                            TCP
Lokaler Port:                         Beliebig
Remoteport:                           443
Edgeausnahme:                         Nein
Aktion:                               Blockieren
"""


def test_another_language(tmp_path):
    """By the names of fields where they are known, by their places where they are not."""
    for text in (GERMAN, GERMAN.replace("Remote-IP", "Entferntes Netz").replace("Remoteport", "Tor dort")):
        for encoding in ("utf-8", "cp850", "utf-16"):
            firewall = read(tmp_path, text.encode(encoding))
            denied = "20.42.132.0/23"
            assert unread(firewall) == []
            assert denied not in through(firewall)
            assert len(through(firewall)) > 2
            assert through(firewall, 80) == ["0.0.0.0/0", "::/0"]


def test_a_language_that_is_not_known(tmp_path):
    text = GERMAN.replace("Ja", "Да").replace("Ausgehend", "Исходящий").replace("Blockieren", "Запретить")
    firewall = read(tmp_path, text.encode("utf-8") + record().encode())
    assert unread(firewall) == [("line 2 (ADF)", "deny")]


def test_long_lists_continue_on_the_next_line(tmp_path):
    text = BLOCKED + record(RemoteIP="20.42.132.0/24,\r\n                                      20.42.133.0/24")
    assert through(read(tmp_path, text)) == ["20.42.132.0/23"]


def test_values_that_are_unknown(tmp_path):
    text = record("a", RemoteIP="gateway") + record("b", RemotePort="RPC") + record("c", Action="Bypass")
    text += record("d", Action="Perhaps") + record("e", Protocol="frob")
    firewall = read(tmp_path, BLOCKED + text)
    assert [(place.partition("(")[2], may) for place, may in unread(firewall)] == [
        ("a)", "allow"),
        ("b)", "allow"),
        ("d)", "deny"),
        ("e)", "allow"),
    ]
    assert through(firewall) == ["20.42.132.0/23"]
