"""LDAP messages, whole and hostile; what a server means by them is in test_probes_retrieval_ldap.py."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.wire import ldap

#: A search's end (RFC 4511 §4.5.2): message 2, success.
DONE = bytes.fromhex("300c 0201 02 6507 0a0100 0400 0400")


def test_a_message_is_taken_apart():
    message = ldap.parse_message(DONE)
    assert (message.number, message.operation) == (2, ldap.SEARCH_DONE)
    assert ldap.parse_result(message.content) == ldap.Result(0, "", ())


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"", None),
        (b"\x30", None),
        (DONE[:3], 14),
        (DONE + b"x", 14),
        (b"\x30\x82\x01", None),
        (b"\x30\x82\x01\x00", 260),
    ],
)
def test_the_size_stands_in_the_header(data, size):
    assert ldap.message_size(data) == size


@pytest.mark.parametrize("data", [b"HTTP/1.1", b"\x30\x80", b"\x30\x85\x01"])
def test_no_message_has_no_size(data):
    with pytest.raises(ldap.NotLdapError):
        ldap.message_size(data)


@given(
    st.one_of(
        st.binary(max_size=60), st.integers(0, len(DONE) - 1).map(lambda at: DONE[:at] + b"\x82" + DONE[at + 1 :])
    )
)
def test_any_bytes_are_a_value_or_no_ldap(data):
    with contextlib.suppress(ldap.NotLdapError):
        ldap.parse_message(data)
    for parse in (ldap.parse_result, ldap.parse_entry):
        with contextlib.suppress(ldap.NotLdapError):
            parse(memoryview(data))
