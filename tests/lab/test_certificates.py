"""``netdiag cert`` against real servers: break one thing of what a certificate names, expect one verdict."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import lab_golden
import lab_pki
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lab_certificate_scenarios import CERTIFICATE_SCENARIOS, CertificateScenario, Leaf
from lab_certificate_servers import HELPERS, TOOLS, CertificateServers
from lab_pki import Identity
from lab_services import CERTIFICATES, PASSWORD
from lab_world import Lab, Setting
from test_lab import decoded, explain, outcome, wanted

from netdiag.model import Report, RetrievalObservation
from tests import pfx, support
from tests.certs import rsa_key

#: One network wait of netdiag, in seconds: above every delay that a healthy scenario has.
TIMEOUT_S = 5


@dataclass(frozen=True)
class Files:
    """The lab's certificate servers, and a file for each scenario."""

    servers: CertificateServers
    leaves: dict[str, Identity]
    folder: Path

    def of(self, scenario: CertificateScenario) -> Path:
        """The scenario's file."""
        leaf = self.leaves[scenario.name]
        issuer = getattr(self.servers, scenario.leaf.issuer)
        lab_pki.write(self.folder, scenario.name, leaf, *([issuer] if scenario.complete else []))
        pem = self.folder / f"{scenario.name}.pem"
        return _pkcs12(scenario, leaf, issuer, self.servers.revoked, pem) if scenario.pfx else pem


def _pkcs12(scenario: CertificateScenario, leaf: Identity, issuer: Identity, another: Identity, pem: Path) -> Path:
    assert scenario.pfx
    path = pem.with_suffix(".pfx")
    if scenario.pfx.key == "another":  # openssl and cryptography refuse to make it
        certificates = [pfx.cert_bag(one.certificate.public_bytes(Encoding.DER)) for one in (leaf, issuer)]
        path.write_bytes(pfx.pfx(*certificates, pfx.key_bag(another.key)))
        return path
    key = ["-nokeys"] if scenario.pfx.key == "none" else ["-inkey", str(pem.with_suffix(".key"))]
    command = ["openssl", "pkcs12", "-export", "-in", str(pem), *key, "-out", str(path)]
    subprocess.run([*command, "-passout", f"pass:{PASSWORD}", *scenario.pfx.options], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def files(lab: Lab) -> Iterator[Files]:
    support.require_tools(*TOOLS)
    support.require_files(*HELPERS)
    servers = CertificateServers(lab)
    leaves = {scenario.name: _issue(servers, scenario.name, scenario.leaf) for scenario in CERTIFICATE_SCENARIOS}
    folder = lab.file("certificates")
    folder.mkdir()
    (folder / "root.pem").write_bytes(servers.root.pem)
    with servers:
        yield Files(servers, leaves, folder)


def _issue(servers: CertificateServers, name: str, leaf: Leaf) -> Identity:
    options = {"end": leaf.end} if leaf.end else {}
    return servers.issue(
        f"{name}.contoso.test",
        aia=leaf.aia,
        cdp=leaf.cdp,
        freshest=leaf.delta,
        ocsp=leaf.ocsp,
        issuer=getattr(servers, leaf.issuer),
        listed=leaf.listed,
        key=rsa_key(2048) if leaf.rsa else None,
        **options,
    )


@pytest.mark.parametrize("scenario", [pytest.param(entry, id=entry.name) for entry in CERTIFICATE_SCENARIOS])
def test_scenario(lab: Lab, files: Files, scenario: CertificateScenario, recording: bool) -> None:
    done = lab.run(scenario.setting, argv(files, scenario, "--no-cache", *scenario.options))
    report = decoded(done, lab)
    assert outcome(report, done.returncode) == wanted(scenario.expect), explain(report)
    assert urls(report) == [*scenario.urls, *scenario.above], explain(report)
    told = f"{report.verdict.summary} {report.findings[0].remedy if report.findings else ''}"
    assert [text for text in scenario.says if text not in told] == [], explain(report)
    if recording and scenario.recorded:
        lab_golden.record(scenario.name, report, scenario.expect, lab.folder)


def test_a_second_run_needs_no_network_for_its_lists(lab: Lab, files: Files, tmp_path: Path) -> None:
    """Lists are kept for as long as they hold, issuers' certificates and OCSP answers are not."""
    scenario = CERTIFICATE_SCENARIOS[0]
    cached = Setting(environment={"XDG_CACHE_HOME": str(tmp_path)})
    cut_off = replace(cached, forward=f"ip daddr {CERTIFICATES} reject with tcp reset")

    def run(setting: Setting, *options: str) -> tuple[int, list[str], list[bool]]:
        done = lab.run(setting, argv(files, scenario, *options))
        report = decoded(done, lab)
        return done.returncode, urls(report), [o.cached for o in retrievals(report)]

    every = [*scenario.urls, *scenario.above]
    failed = [f"{url.split()[0]} failed" for url in every]
    mixed = [url if url.startswith("cdp") else lost for url, lost in zip(every, failed, strict=True)]
    assert run(cached, "--no-cache") == (0, every, [False] * 5)
    assert list(tmp_path.iterdir()) == []
    assert run(cached) == (0, every, [False] * 5)
    assert run(cut_off) == (0, mixed, [url.startswith("cdp") for url in every])
    assert run(cut_off, "--no-cache") == (1, failed, [False] * 5)


def argv(files: Files, scenario: CertificateScenario, *options: str) -> list[str]:
    return [
        "cert",
        str(files.of(scenario)),
        "--format=json",
        f"--trust={files.folder / 'root.pem'}",
        f"--timeout={TIMEOUT_S}",
        *(["--password", PASSWORD] if scenario.pfx else []),
        *options,
    ]


def urls(report: Report) -> list[str]:
    return [f"{o.purpose} {o.status}" for o in retrievals(report)]


def retrievals(report: Report) -> list[RetrievalObservation]:
    return [o for o in report.observations if isinstance(o, RetrievalObservation)]
