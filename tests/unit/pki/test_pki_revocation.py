"""Lists and responses together: what they say of one certificate."""

from __future__ import annotations

import pytest

from netdiag.pki.answers import reasons_text
from netdiag.pki.crl import Crl
from netdiag.pki.facts import Unreadable
from netdiag.pki.ocsp import OcspResponse
from netdiag.pki.revocation import Revocation, revocation
from tests.certs import AT, DAY, NOW, authority, key, make
from tests.revocations import GOOD, REVOKED, UNKNOWN, Known, crl, entry, facts, reasons, response

ROOT = authority("Root")
LEAF = make("leaf", ROOT)
SOME = reasons("keyCompromise", "cACompromise")
#: Every other reason.
REST = reasons(
    "affiliationChanged", "superseded", "cessationOfOperation", "certificateHold", "privilegeWithdrawn", "aACompromise"
)


def told(*found: Crl | OcspResponse | Unreadable, **options) -> Revocation:
    crls = [one for one in found if isinstance(one, Crl)]
    responses = [one for one in found if isinstance(one, OcspResponse)]
    return revocation(facts(LEAF), facts(ROOT), crls, responses, Known(), AT, **options)


def partial(covers, entries=(), **options) -> Crl:
    return crl(ROOT, entries, scope={"only_some_reasons": covers}, **options)


def test_nothing() -> None:
    assert told() == Revocation(state="unknown")


def test_each_alone() -> None:
    assert told(crl(ROOT)).source == "CRL a"
    assert told(response(LEAF, ROOT)).source == "OCSP"
    assert told(crl(ROOT)).state == told(response(LEAF, ROOT)).state == "good"


@pytest.mark.parametrize(
    ("found", "source"),
    [
        ((crl(ROOT, [LEAF]), response(LEAF, ROOT)), "CRL a"),
        ((crl(ROOT), response(LEAF, ROOT, REVOKED)), "OCSP"),
        ((crl(ROOT), crl(ROOT, [LEAF], number=9)), "CRL 9"),
        ((response(LEAF, ROOT), response(LEAF, ROOT, REVOKED)), "OCSP"),
        ((partial(SOME, [LEAF]), response(LEAF, ROOT, UNKNOWN)), "CRL a"),
    ],
)
def test_revoked_wins(found, source: str) -> None:
    told_of = told(*found)
    assert (told_of.state, told_of.source, told_of.reason) == ("revoked", source, "keyCompromise")
    assert told_of.revoked_at == (NOW - 2 * DAY).timestamp()


def test_what_cannot_be_used_does_not_win() -> None:
    assert told(crl(ROOT, [LEAF], signer=key(7)), response(LEAF, ROOT)).state == "good"
    assert told(crl(ROOT, [LEAF], ends=-0.1), crl(ROOT)).state == "good"
    assert told(crl(ROOT), response(LEAF, ROOT, UNKNOWN)).state == "good"


def test_reasons_add_up() -> None:
    both = told(partial(SOME, ends=3), partial(REST, number=11))
    assert (both.state, both.source) == ("good", "CRL a and CRL b")
    assert both.next_update == (NOW + 3 * DAY).timestamp()
    one = told(partial(SOME))
    assert one.state == "unknown"
    assert one.detail == "no CRL covers the reasons " + reasons_text(REST)
    assert told(partial(SOME), partial(REST, signer=key(7))).state == "unknown"


def test_deltas_go_with_their_base() -> None:
    found = told(crl(ROOT, [LEAF], number=12, base=10), crl(ROOT))
    assert (found.state, found.source) == ("revoked", "CRL a and delta CRL c")
    assert [(answer.status, answer.state) for answer in found.crls] == [("verified", None), ("revoked", "revoked")]
    held = crl(ROOT, [entry(LEAF, "certificateHold")])
    assert told(held, crl(ROOT, [entry(LEAF, "removeFromCRL")], number=12, base=10)).state == "good"
    assert told(crl(ROOT, base=9)).state == "unknown"


def test_answers_stand_in_order() -> None:
    crls = [crl(ROOT, ends=-0.1), Unreadable("HTML"), crl(ROOT)]
    responses = [Unreadable("HTML"), response(LEAF, ROOT, UNKNOWN)]
    found = revocation(facts(LEAF), facts(ROOT), crls, responses, Known(), AT)
    assert [answer.status for answer in found.crls] == ["expired", "unusable", "verified"]
    assert [answer.status for answer in found.responses] == ["unusable", "unknown"]
    assert found.state == "good"


def test_unknown_says_why() -> None:
    found = told(crl(ROOT, ends=-0.1), response(LEAF, ROOT, key=key(7)))
    assert found.state == "unknown"
    assert "OCSP: its signature does not hold" in found.detail
    assert "CRL a: the next one was due at" in found.detail


def test_strictness_and_nonce_are_passed_on() -> None:
    numberless = crl(ROOT, number=None)
    assert told(numberless).state == "unknown"
    assert told(numberless, strict=False).state == "good"
    assert told(response(LEAF, ROOT, GOOD, nonce=b"other"), nonce=b"mine").state == "unknown"
