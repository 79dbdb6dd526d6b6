"""``openssl verify`` as a second opinion on every chain of the unit tests: it accepts what has no fault here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import require_tools
from tests.unit.pki.test_pki_verify import CASES, Case

#: OpenSSL still takes a host name from the common name; RFC 9525 does not.
_DIFFERS = {"common name only"}


@pytest.mark.parametrize("case", [case for case in CASES if case.roots], ids=lambda case: case.name)
def test_openssl_agrees(case: Case, tmp_path: Path) -> None:
    require_tools("openssl")
    trusted, sent, leaf = tmp_path / "trusted.pem", tmp_path / "sent.pem", tmp_path / "leaf.pem"
    trusted.write_bytes(b"".join(root.pem for root in case.roots))
    sent.write_bytes(b"".join(issued.pem for issued in case.chain))
    leaf.write_bytes(case.chain[0].pem)
    option = "-verify_ip" if case.host[0].isdigit() else "-verify_hostname"
    command = ["openssl", "verify", "-auth_level", "2", "-purpose", "sslserver", "-attime", str(int(case.at))]
    command += ["-no-CAfile", "-no-CApath", "-no-CAstore", "-trusted", str(trusted), "-untrusted", str(sent)]
    done = subprocess.run([*command, option, case.host, str(leaf)], capture_output=True, text=True, check=False)
    accepted = done.returncode == 0
    assert accepted is (not case.expected or case.name in _DIFFERS), done.stderr
