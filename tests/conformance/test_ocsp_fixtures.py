"""OpenSSL's OCSP test data: what ``tests/conformance/ocsp`` holds, judged at its time."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from netdiag.pki.distinguished import NameKey
from netdiag.pki.facts import Facts, read_root, signed_by
from netdiag.pki.load import load
from netdiag.pki.ocsp import OcspResponse, read_response
from netdiag.pki.revocation import Revocation, revocation

DATA = Path(__file__).parent / "ocsp"
CASES: list[dict[str, Any]] = json.loads((DATA / "openssl-ocsp.json").read_text(encoding="utf-8"))
#: What becomes of the response about the certificate that fails, by what its case says of it.
STATUSES = {
    "Unable to verify OCSP response signature": "bad-signature",
    "response signing certificate could not be located": "wrong-issuer",
    "response signing certificate could not be validated": "wrong-issuer",
    "issuer name hash does not match": "wrong-issuer",
    "issuer key hash does not match": "wrong-issuer",
    "is not recent enough": "expired",
}


class Nobody:
    """A directory that knows no other signers."""

    def named(self, name: NameKey) -> Iterable[Facts]:
        return ()

    def vouches(self, certificate: Facts) -> bool:
        return False


def certificate(name: str) -> Facts:
    found = load((DATA / name).read_bytes()).certificates[0]  # one root's file holds an intermediate, too
    facts = read_root(found)
    assert isinstance(facts, Facts)
    return facts


def response(name: str) -> OcspResponse:
    found = read_response(base64.b64decode((DATA / name).read_bytes()))
    assert isinstance(found, OcspResponse)
    return found


def judged(case: dict[str, Any]) -> list[Revocation]:
    """One verdict for each element that a response is about: for one intermediate there is none."""
    path = [certificate(name) for name in (case["cert"], *case.get("other_certs", ()), case["root"])]
    assert len(path) == case["path_len"]
    assert all(signed_by(child, issuer) for child, issuer in pairwise(path))
    responses = [response(name) for name in case["ocsps"]]
    about = {single.serial for found in responses for single in found.singles}
    at = datetime.datetime.fromisoformat(case["moment"]).timestamp()
    return [
        revocation(child, issuer, (), responses, Nobody(), at)
        for child, issuer in pairwise(path)
        if child.serial in about
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_openssl_ocsp(case: dict[str, Any]) -> None:
    verdicts = judged(case)
    error = case.get("error", {}).get("msg_regex", "")
    assert all(verdict.state == "good" for verdict in verdicts) is not bool(error), verdicts
    if error:
        failed = 1 if "intermediate certificate 1" in error else 0
        assert [verdict.state != "good" for verdict in verdicts].index(True) == failed
        expected = {status for words, status in STATUSES.items() if words in error}
        if "wrong_key_in_signing_cert" in case["name"]:
            expected.add("wrong-issuer")  # where the responder is named by its key, another key is another responder
        assert expected & {answer.status for answer in verdicts[failed].responses}, verdicts[failed]
