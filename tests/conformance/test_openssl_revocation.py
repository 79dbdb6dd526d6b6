"""``openssl verify -crl_check`` and ``openssl ocsp`` as second opinions on lists and responses of the unit tests."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from netdiag.pki.crl import Crl
from netdiag.pki.ocsp import ocsp_request
from netdiag.pki.revocation import revocation
from tests.certs import AT, Issued, key, make
from tests.revocations import (
    BY_KEY,
    REVOKED,
    UNKNOWN,
    Known,
    crl,
    entry,
    facts,
    point,
    reasons,
    response_der,
    response_of,
)
from tests.support import require_tools
from tests.unit.pki import test_pki_crl, test_pki_ocsp

ROOT, OTHER, LEAF = test_pki_crl.ROOT, test_pki_crl.OTHER, test_pki_crl.LEAF
INDIRECT = test_pki_crl.TestIndirect.SUBJECT
#: OpenSSL looks for deltas only where a base or the certificate says that there are some (RFC 5280 §5.2.6).
FRESHEST = [(x509.FreshestCRL([point(full_name=[test_pki_crl.uri(test_pki_crl.URL)])]), False)]
BASE, HELD = crl(ROOT, extra=FRESHEST), crl(ROOT, [entry(LEAF, "certificateHold")], extra=FRESHEST)
#: OpenSSL takes lists of version 1 whatever they contain.
DIFFERS = {"version 1 with extensions"}
LISTS: dict[str, tuple[Issued, Sequence[Crl]]] = {
    "good": (LEAF, [crl(ROOT, [1])]),
    "revoked": (LEAF, [crl(ROOT, [1, LEAF])]),
    "held": (LEAF, [crl(ROOT, [entry(LEAF, "certificateHold")])]),
    "none": (LEAF, []),
    **{fault: (LEAF, [made()]) for fault, (_, made) in test_pki_crl.REFUSED.items() if fault not in DIFFERS},
    "of the same point": (
        test_pki_crl.WITH_POINT,
        [crl(ROOT, scope={"full_name": [test_pki_crl.uri(test_pki_crl.URL)]})],
    ),
    "some reasons": (LEAF, [crl(ROOT, scope={"only_some_reasons": reasons("keyCompromise")})]),
    "revoked by a delta": (LEAF, [BASE, crl(ROOT, [LEAF], number=12, base=10)]),
    "removed by a delta": (LEAF, [HELD, crl(ROOT, [entry(LEAF, "removeFromCRL")], number=12, base=10)]),
    "delta too new": (LEAF, [BASE, crl(ROOT, [LEAF], number=12, base=11)]),
    "indirect": (INDIRECT, [crl(OTHER, [INDIRECT], scope={"indirect_crl": True})]),
    "not marked as indirect": (INDIRECT, [crl(OTHER)]),
}


def verify(tmp_path: Path, subject: Issued, crls: Sequence[Crl]) -> str:
    """What OpenSSL thinks: "good", "revoked" or "unknown"."""
    trusted, sent, leaf, lists = (tmp_path / name for name in ("trusted", "sent", "leaf", "crls"))
    trusted.write_bytes(ROOT.pem)
    sent.write_bytes(OTHER.pem)
    leaf.write_bytes(subject.pem)
    lists.write_bytes(b"".join(one.crl.public_bytes(Encoding.PEM) for one in crls))
    command = ["openssl", "verify", "-crl_check", "-extended_crl", "-use_deltas", "-attime", str(int(AT))]
    command += [
        "-no-CApath",
        "-no-CAstore",
        "-CAfile",
        str(trusted),
        "-untrusted",
        str(sent),
        *(["-CRLfile", str(lists)] if crls else []),
    ]
    done = subprocess.run([*command, str(leaf)], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return "good"
    errors = set(re.findall(r"^error \d+ at 0 depth lookup: (.*)$", done.stderr, re.MULTILINE))
    return "revoked" if errors == {"certificate revoked"} else "unknown"


@pytest.mark.parametrize("case", LISTS)
def test_lists(case: str, tmp_path: Path) -> None:
    require_tools("openssl")
    subject, crls = LISTS[case]
    found = revocation(facts(subject), facts(ROOT), crls, (), Known([ROOT, OTHER]), AT)
    assert found.state == verify(tmp_path, subject, crls), found


RESPONSES = {
    "good": response_der(LEAF, ROOT),
    "sha256, by key": response_der(LEAF, ROOT, digest=hashes.SHA256(), encoding=BY_KEY),
    "revoked": response_der(LEAF, ROOT, REVOKED),
    "unknown": response_der(LEAF, ROOT, UNKNOWN),
    "delegate": response_der(LEAF, ROOT, signer=test_pki_ocsp.responder(ROOT)),
    "another certificate": response_der(make("another", ROOT), ROOT),
    "another issuer": response_der(LEAF, OTHER, signer=ROOT),
    "another key": response_der(LEAF, ROOT, key=key(7)),
    "another name": response_der(LEAF, ROOT, named=OTHER),
    **{
        fault: response_der(LEAF, ROOT, signer=signer)
        for fault, (signer, _) in test_pki_ocsp.DELEGATES.items()
        if fault != "not for signing"  # OpenSSL does not look at the delegate's key usage
    },
}


@pytest.mark.parametrize("case", RESPONSES)
def test_responses(case: str, tmp_path: Path) -> None:
    """The times of the answer itself are not compared: ``openssl ocsp`` compares them with the clock."""
    require_tools("openssl")
    files = {"-issuer": ROOT.pem, "-CAfile": ROOT.pem, "-cert": LEAF.pem, "-respin": RESPONSES[case]}
    for option, content in files.items():
        (tmp_path / option).write_bytes(content)
    command = ["openssl", "ocsp", "-no_nonce", "-no-CApath", "-no-CAstore", "-attime", str(int(AT))]
    command += ["-sha256"] if "sha256" in case else []
    given = [word for option in files for word in (option, str(tmp_path / option))]
    done = subprocess.run([*command, *given], capture_output=True, text=True, check=False)
    verified = "Response verify OK" in done.stdout + done.stderr
    said = re.search(r"(?:^|: )(good|revoked|unknown)$", done.stdout, re.MULTILINE)
    state = said[1] if said and verified else "unknown"
    found = revocation(facts(LEAF), facts(ROOT), (), [response_of(RESPONSES[case])], Known(), AT)
    assert found.state == state, done.stdout + done.stderr


def test_request(tmp_path: Path) -> None:
    """OpenSSL reads our request as the one that it would make itself."""
    require_tools("openssl")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(ocsp_request(facts(LEAF), facts(ROOT)))
    for name, content in (("issuer", ROOT.pem), ("leaf", LEAF.pem)):
        (tmp_path / name).write_bytes(content)
    command = ["openssl", "ocsp", "-no_nonce", "-issuer", tmp_path / "issuer", "-cert", tmp_path / "leaf"]
    subprocess.run([*command, "-reqout", theirs], check=True, capture_output=True)
    assert ours.read_bytes() == theirs.read_bytes()
