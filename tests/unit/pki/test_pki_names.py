"""RFC 9525 matching, as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.pki.names import dns_name_matches, host_address, name_problem


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("example.com", "example.com", True),
        ("Example.COM", "exAMPLE.com", True),
        ("example.com", "example.com.", True),
        ("example.com.", "example.com", False),
        ("example.com", "www.example.com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", ".example.com", False),
        ("w*.example.com", "www.example.com", False),
        ("*w.example.com", "www.example.com", False),
        ("www.*.com", "www.example.com", False),
        ("*.*.com", "www.example.com", False),
        ("*", "localhost", False),
        ("*.com", "example.com", False),
        ("*.example.com", "xn--bcher-kva.example.com", True),
        ("xn--*.example.com", "xn--bcher-kva.example.com", False),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
        ("bücher.example", "bücher.example", False),
        ("localhost", "localhost", True),
        ("", "", False),
        ("example.com", "", False),
        ("", "example.com", False),
        ("example..com", "example..com", False),
    ],
)
def test_dns_names(pattern, host, matches):
    assert dns_name_matches(pattern, host) is matches


@pytest.mark.parametrize(
    ("host", "dns_names", "addresses", "common_names", "expected"),
    [
        ("a.test", ["b.test", "a.test"], [], [], ""),
        ("10.0.0.1", [], ["10.0.0.1"], [], ""),
        ("[2001:DB8::1]", [], ["2001:db8::1"], [], ""),
        ("fe80::1%eth0", [], ["fe80::1"], [], ""),
        ("10.0.0.1", ["10.0.0.1"], [], [], "listed as a DNS name"),
        ("10.0.0.1", ["*.0.0.1"], ["10.0.0.2"], [], "is for *.0.0.1, 10.0.0.2, not for 10.0.0.1"),
        ("a.test", [], [], ["a.test"], "common name only"),
        ("a.test", [], [], ["*.test.x", "A.test"], "common name only"),
        ("a.test", [], [], ["b.test"], "no subject alternative name; its common name is b.test"),
        ("a.test", [], [], [], "no subject alternative name"),
        ("a.test", ["b.test"], [], ["a.test"], "is for b.test, not for a.test"),
        ("a.test", [f"n{i}.test" for i in range(20)], [], [], "and 12 more, not for a.test"),
    ],
)
def test_problems(host, dns_names, addresses, common_names, expected):
    problem = name_problem(host, dns_names, addresses, common_names)
    assert expected in problem
    assert bool(problem) is bool(expected)


def test_addresses_are_told_from_names():
    assert str(host_address("[::1]")) == "::1"
    assert host_address("1.2.3.4.example") is None


@given(st.text(), st.text())
def test_any_text_is_compared_without_error(pattern, host):
    assert dns_name_matches(pattern, host) in (True, False)
    assert isinstance(name_problem(host, [pattern], [], [pattern]), str)
