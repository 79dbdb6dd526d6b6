"""What a user may type as a target, and what each mistake is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.model import Target, UsageError
from netdiag.probes.net import Address
from netdiag.session import parse_server, parse_target

GOOD = [
    ("example.com", Target(host="example.com")),
    ("Example.COM.", Target(host="example.com")),
    ("example.com:8060", Target(host="example.com", port=8060)),
    ("under_score.example", Target(host="under_score.example")),
    ("192.0.2.1", Target(host="192.0.2.1")),
    ("192.0.2.1:8443", Target(host="192.0.2.1", port=8443)),
    ("2001:DB8::1", Target(host="2001:db8::1")),
    ("[2001:db8::1]", Target(host="2001:db8::1")),
    ("[2001:db8::1]:8443", Target(host="2001:db8::1", port=8443)),
    ("https://example.com", Target(host="example.com")),
    ("https://example.com/a?b=c", Target(host="example.com", path="/a?b=c")),
    ("http://example.com", Target(host="example.com", port=80, scheme="http")),
    ("tcp://sql.example:1433", Target(host="sql.example", port=1433, scheme="tcp")),
    ("https://[2001:db8::1]:444/x", Target(host="2001:db8::1", port=444, path="/x")),
    ("bücher.example", Target(host="xn--bcher-kva.example")),
    ("  example.com  ", Target(host="example.com")),
]


@pytest.mark.parametrize(("text", "target"), GOOD)
def test_is_understood(text: str, target: Target) -> None:
    assert parse_target(text) == target


BAD = [
    ("", "names no host"),
    (":443", "names no host"),
    ("example.com:", "not a number from 1 to 65535"),
    ("example.com:0", "not a number from 1 to 65535"),
    ("example.com:65536", "not a number from 1 to 65535"),
    ("example.com:٣", "not a number from 1 to 65535"),
    ("exa mple.com", "letters, digits and hyphens"),
    ("-a.example", "letters, digits and hyphens"),
    ("a..example", "letters, digits and hyphens"),
    ("a" * 64 + ".example", "letters, digits and hyphens"),
    (".".join(["a" * 60] * 5), "longer than 253"),
    ("1.2.3", "not an IPv4 address"),
    ("1.2.3.256", "not an IPv4 address"),
    ("1:2:3", "not an IPv6 address"),
    ("[1.2.3.4]", "not an IPv6 address"),
    ("[::1", "after [ an IPv6 address"),
    ("[::1]443", "after [ an IPv6 address"),
    ("ftp://example.com", "none of https, http, tcp"),
    ("https://user:secret@example.com", "holds credentials"),
    ("https://", "names no host"),
    ("tcp://example.com", "needs a port"),
    ("https://example.com/a b", "white space"),
    ("https://example.com:99999", "not a target"),
]


@pytest.mark.parametrize(("text", "complaint"), BAD)
def test_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_target(text)
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_refusal_repeats_no_password() -> None:
    with pytest.raises(UsageError) as raised:
        parse_target("https://user:secret@example.com")
    assert "secret" not in str(raised.value)


@given(st.text(max_size=80))
def test_any_text_gives_a_target_or_a_usage_error(text: str) -> None:
    try:
        target = parse_target(text)
    except UsageError as error:
        complaint = str(error)
    else:
        complaint = ""
        assert parse_target(target.authority) == Target(host=target.host, port=target.port)
    assert len(complaint.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.53", Address("192.0.2.53", 53)),
        ("192.0.2.53:5353", Address("192.0.2.53", 5353)),
        ("2001:db8::53", Address("2001:db8::53", 53)),
        ("[2001:db8::53]", Address("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", Address("2001:db8::53", 5353)),
    ],
)
def test_name_server(text: str, address: Address) -> None:
    assert parse_server(text) == address


@pytest.mark.parametrize(
    "text", ["dns.example", "192.0.2.53:", "192.0.2.53:0", "[::1]:x", "[::1]:", "[::1", "::1]", ""]
)
def test_name_server_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a name server"):
        parse_server(text)
