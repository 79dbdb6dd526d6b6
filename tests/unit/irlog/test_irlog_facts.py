"""Texts -> hosts, ports, addresses, assemblies, certificates, durations; and exceptions, however they are nested."""

from __future__ import annotations

import html
import json

import pytest

from netdiag.irlog import facts
from netdiag.irlog.facts import Wording, is_host
from netdiag.irlog.layers import exceptions, unpacked, without_frames, without_secrets


def places(text):
    return [(p.scheme, p.host, p.port, p.address) for p in facts.places(Wording(text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "to net.tcp://n2.contoso.com:8060/Ext.svc/. refused it 10.2.4.10:8060.",
            [("net.tcp", "n2.contoso.com", 8060, "10.2.4.10")],
        ),
        ("GET https://wu2.frontend.clouddatahub.net/api", [("https", "wu2.frontend.clouddatahub.net", 443, "")]),
        ("https://[2603:1030::5]:8443/x", [("https", "2603:1030::5", 8443, "")]),
        ("refused [2603:1030::5]:443", [("", "2603:1030::5", 443, "")]),
        ("could not be resolved: 'wu2.x.net'", []),
        ("The remote name could not be resolved: 'wu2.x.net'", [("", "wu2.x.net", None, "")]),
        ("No such host is known. (eu.x.net:443)", [("", "eu.x.net", 443, "")]),
        ("Cannot connect to SQL Server: 'sql1,1444'", [("", "sql1", 1444, "")]),
        ("http://user:secret@proxy.contoso.com:8080/", [("http", "proxy.contoso.com", 8080, "")]),
        ("https://go.microsoft.com/fwlink/?LinkId=1", []),
        ("https://-bad-.contoso.com/ and https://a..b/", []),
        ("https://$(reboot)/ https://a;rm/", []),
        ("time 10:00:00 version 1.2.3.4 at 5:30", []),
        ("https://a.contoso.com:99999/", [("https", "a.contoso.com", 443, "")]),
        (
            "net.tcp://very-long-name-of-a-node.con\ntoso.com:8060/",
            [("net.tcp", "very-long-name-of-a-node.contoso.com", 8060, "")],
        ),
    ],
)
def test_places(text, found):
    assert places(text) == found


@pytest.mark.parametrize("name", ["a", "a.b", "node_1", "10.0.0.1", "::1", "2603::5", "xn--mller-kva.de", "a" * 63])
def test_valid_hosts(name):
    assert is_host(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a..b", "a b", "$(x)", "a;b", "`x`", "a" * 64, "1.2.3", "999.1.1.1", "a'b", "é"]
)
def test_what_is_no_host(name):
    assert not is_host(name)


def test_an_assembly_with_a_path():
    found = facts.assembly(Wording("Could not load file or assembly 'file:///C:\\x\\Npgsql.dll' or one of"))
    assert found is not None
    assert found.name == "Npgsql.dll"
    named = facts.assembly(Wording("assembly 'A.B, Version=1.2.3.4, Culture=neutral,\n PublicKeyToken=null'"))
    assert named is not None
    assert (named.name, named.version, named.public_key_token) == ("A.B", "1.2.3.4", "null")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("for a time span of 00:00:00.9940994. TCP", 0.9940994),
        ("dauerte 00:00:21.0312345.", 21.0312345),
        ("after 30 seconds", 30.0),
        ("within 1500 ms", 1.5),
        ("at 10:00:00", None),
    ],
)
def test_durations(text, seconds):
    assert facts.waited_s(Wording(text)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("The X.509 certificate CN=a.b, OU=t, O=M chain building failed.", "CN=a.b, OU=t, O=M"),
        ("that certificate 'CN=node1' may not", "CN=node1"),
        ("subject CN=*.contoso.com; issuer", "CN=*.contoso.com"),
        ("no certificate here", ""),
    ],
)
def test_certificates(text, subject):
    assert facts.certificate(Wording(text)) == subject


def test_report_ids():
    assert facts.report_ids(Wording("Report ID: 12345678-aaaa-bbbb-cccc-1234567890ab was sent")) == (
        "12345678-aaaa-bbbb-cccc-1234567890ab",
    )


def layers(text):
    return [(e.type, e.message, e.source) for e in exceptions(text)]


DOTNET = (
    "A.OuterException: out ---> B.C.InnerException: in\n"
    "   at B.C.D(E e) in f.cs:line 3\n"
    "   --- End of inner exception stack trace ---"
)
FACTORY = (
    "ErrorCode=X,'Type=A.OuterException,Message=out, really,Source=S,"
    "''Type=B.InnerException,Message=in (0x80070005),Source=T,'"
)
INNER = {"Code": 0, "Message": "in", "ExceptionType": "B.InnerException", "Source": "T", "InnerEventInfos": []}
OUTER = {"Code": 0, "Message": "out", "ExceptionType": "A.OuterException", "Source": "S", "InnerEventInfos": [INNER]}
EVENTS = [OUTER]


def test_exceptions_of_dotnet():
    assert layers(DOTNET) == [("A.OuterException", "out", ""), ("B.C.InnerException", "in", "")]


def test_exceptions_of_a_data_factory():
    assert layers(FACTORY) == [("A.OuterException", "out, really", "S"), ("B.InnerException", "in (0x80070005)", "T")]


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("escape", [html.escape, json.dumps])
def test_log_properties_however_they_are_escaped(times, escape):
    text = json.dumps(EVENTS)
    for _ in range(times):
        text = escape(text)
    assert layers(f"<LogProperties><ErrorInfo>{text}</ErrorInfo></LogProperties>") == [
        ("A.OuterException", "out", "S"),
        ("B.InnerException", "in", "T"),
    ]


def test_exceptions_inside_the_message_of_an_activity():
    text = json.dumps({"errorCode": "2200", "message": FACTORY, "failureType": "UserError"})
    assert [layer[0] for layer in layers(text)] == ["A.OuterException", "B.InnerException"]


def test_json_that_is_cut_off():
    assert ("", "out", "") in layers('[{"Code":0,"Message":"out","EventType":0,"Inner')


def test_mere_text_has_no_exceptions():
    assert layers("it failed: no such thing") == []


def test_paths_keep_their_backslashes():
    assert unpacked(r"C:\new\table\readme") == r"C:\new\table\readme"
    assert unpacked('{\\"a\\": \\"C:\\\\new\\"}') == '{"a": "C:\\new"}'


@pytest.mark.parametrize("word", ["at", "bei", "à", "en", "в"])
def test_frames_of_stacks_go_in_any_language(word):
    assert (
        without_frames(f"It failed\n   {word} A.B.C[T](D d) in x.cs:line 1\n{word} A.B.<M>d__1.MoveNext()\nmore")
        == "It failed\n\n\nmore"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Server=sql1;User ID=a;Password=S3cret-9!;Encrypt=true",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=S3cret-9!abc==;EndpointSuffix=core.windows.net",
        "https://x.blob.core.windows.net/c?sv=1&sig=S3cret-9!%3D&se=2",
        '{"password": "S3cret-9!"}',
        '{\\"password\\": \\"S3cret-9!\\"}',
        "https://user:S3cret-9!@proxy.contoso.com:8080/",
        "key IR@12345678-aaaa-bbbb-cccc-1234567890ab@factory@we@S3cret-9!abcdef=",
    ],
)
def test_secrets_do_not_get_into_reports(text):
    hidden = without_secrets(text)
    assert "S3cret" not in hidden
    assert "***" in hidden


@pytest.mark.parametrize(
    "text",
    [
        "'A, Version=1.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089'",
        "InvalidGatewayKey: Client IP address isn't valid private ip",
        "Login failed. Reason: Password did not match",
        "The Authentication key is invalid or empty.",
    ],
)
def test_what_is_no_secret_stays(text):
    assert without_secrets(text) == text
