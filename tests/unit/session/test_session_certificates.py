"""Certificate files to one report: paths, URLs and keys, against servers on loopback."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from netdiag.model import ChainObservation, KeyObservation, Report, RetrievalObservation, UsageError
from netdiag.session import CertificateOptions, check_certificates, inspecting, rejudge
from netdiag.session import certificates as module
from tests.certs import AT, HOST, Issued, authority, make, store
from tests.pfx import KSP, cert_bag, key_bag, notes, pfx
from tests.revocations import REVOKED, crl_der, point, points, response_der, uri
from tests.web import Asked, Web, answer, machine

CA = "http://pki.test/{}"
ROOT = authority("Contoso Root", ends=3000)
SUB = authority("Contoso Issuing CA", ROOT, extra=points(point(full_name=[uri(CA.format("root.crl"))])))


def leaf(**options: Any) -> Issued:
    return make(HOST, SUB, **{"hosts": [HOST], "aia": [CA.format("sub.crt")], "extra": CRL, **options})


CRL = points(point(full_name=[uri(CA.format("sub.crl"))]))
LEAF = leaf()
FILES = {"sub.crt": SUB.der, "sub.crl": crl_der(SUB), "root.crl": crl_der(ROOT)}


def serving(**files: bytes | None) -> Web:
    """A web server of the authority; None is not there."""
    held = {
        name: data for name, data in {**FILES, **{k.replace("_", "."): v for k, v in files.items()}}.items() if data
    }

    def react(asked: Asked) -> bytes:
        name = asked.line.split()[1].rpartition("/")[2]
        return answer(held[name]) if name in held else answer(status="404 Not Found")

    return Web(react)


def check(
    tmp_path, data: bytes = LEAF.pem, *, web: Web | None = None, name: str = "leaf.pem", **options: Any
) -> Report:
    path = tmp_path / name
    path.write_bytes(data)
    values = {"trust": store(ROOT), "at": AT, "cache": False, **options}
    where = replace(machine({"pki.test:80": web}, HOME=str(tmp_path)), clock=lambda: AT)
    return check_certificates([str(path)], CertificateOptions(**values), machine=where)


def ids(report: Report) -> list[str]:
    return [finding.id for finding in report.findings]


def urls(report: Report) -> list[tuple[str, str, int]]:
    return [(o.purpose, o.status, o.element) for o in report.observations if isinstance(o, RetrievalObservation)]


def chain(report: Report) -> ChainObservation:
    return next(o for o in report.observations if isinstance(o, ChainObservation))


def test_all_is_well_and_every_url_is_told(tmp_path):
    with serving() as web:
        report = check(tmp_path, web=web)
    assert (report.verdict.status, ids(report), report.internal_errors) == ("healthy", [], ())
    assert urls(report) == [("aia", "verified", 0), ("cdp", "verified", 0), ("cdp", "verified", 1)]
    assert [state.state for state in chain(report).revocation] == ["good", "good"]
    assert chain(report).paths[0].sources == ("given", CA.format("sub.crt"), "store")
    assert "60 days left" in report.verdict.summary
    assert (report.command, report.target.scheme, report.target.path) == ("cert", "file", "leaf.pem")


def test_retrievals_tell_what_came(tmp_path):
    with serving() as web:
        report = check(tmp_path, web=web)
    first = next(o for o in report.observations if isinstance(o, RetrievalObservation) and o.purpose == "cdp")
    assert (first.method, first.http_status, first.bytes, first.parent) == ("GET", 200, len(FILES["sub.crl"]), "chain")
    assert first.object == "CRL a"
    assert first.next_update == AT + 7 * 86400


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ({"sub_crl": crl_der(SUB, [LEAF])}, ["chain.revoked"]),
        ({"root_crl": crl_der(ROOT, [SUB])}, ["chain.revoked"]),
        ({"sub_crl": crl_der(SUB, ends=-0.5)}, ["chain.revocation-unknown"]),
        ({"sub_crl": b"<html>log in</html>"}, ["chain.revocation-offline"]),
        ({"sub_crl": None}, ["chain.revocation-offline"]),
        ({"sub_crt": None}, ["chain.incomplete", "chain.aia-unreachable"]),
        ({"sub_crt": ROOT.der}, ["chain.incomplete", "chain.aia-unreachable"]),
    ],
)
def test_what_is_served_decides(tmp_path, served, expected):
    with serving(**served) as web:
        report = check(tmp_path, web=web)
    assert ids(report) == expected
    assert report.verdict.status == "failed"


ACTIVE_DIRECTORY = "ldap:///CN=CA,DC=contoso?certificateRevocationList"


def test_an_issuer_in_active_directory_is_not_unreachable(tmp_path):
    bare = leaf(aia=[ACTIVE_DIRECTORY])
    with serving() as web:
        report = check(tmp_path, bare.pem + SUB.pem, web=web)
    assert urls(report)[0] == ("aia", "unsupported", 0)
    assert (report.verdict.status, ids(report)) == ("healthy", [])


@pytest.mark.parametrize(
    ("also", "culprit", "remedy"),
    [
        ((), ACTIVE_DIRECTORY, "Have Contoso Issuing CA name an HTTP address too"),
        (
            (uri(CA.format("gone.crl")),),
            "pki.test port 80",
            "Have Contoso Issuing CA serve http://pki.test/gone.crl again",
        ),
    ],
)
def test_a_list_in_active_directory(tmp_path, also, culprit, remedy):
    """What only a machine of the domain can ask hides no address that was tried."""
    bare = leaf(extra=points(point(full_name=[uri(ACTIVE_DIRECTORY), *also])))
    with serving() as web:
        report = check(tmp_path, bare.pem, web=web)
    assert ids(report) == ["chain.revocation-offline"]
    (found,) = report.findings
    assert (found.culprit.name, found.blame) == (culprit, "certificate-authority")
    assert found.remedy.startswith(remedy)


def test_ocsp_is_asked(tmp_path):
    from cryptography import x509

    access = x509.AuthorityInformationAccess(
        [x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, uri("http://pki.test/ocsp"))]
    )
    bare = make(HOST, SUB, hosts=[HOST], extra=[(access, False)])
    with Web(
        lambda _: answer(response_der(bare, SUB, REVOKED), "200 OK", "Content-Type: application/ocsp-response")
    ) as web:
        report = check(tmp_path, bare.pem + SUB.pem, web=web)
    assert ids(report)[0] == "chain.revoked"
    assert ("ocsp", "revoked", 0) in urls(report)


def test_without_fetch_nothing_is_asked(tmp_path):
    with serving() as web:
        report = check(tmp_path, LEAF.pem + SUB.pem, web=web, fetch=False)
    assert web.lines == []
    assert report.verdict.status == "healthy"
    assert chain(report).revocation == ()


def test_given_crls_and_helpers_count(tmp_path):
    listed, helper = tmp_path / "sub.crl", tmp_path / "sub.crt"
    listed.write_bytes(crl_der(SUB, [LEAF]))
    helper.write_bytes(SUB.der)
    report = check(tmp_path, fetch=False, crls=(str(listed),), untrusted=(str(helper),))
    assert ids(report) == ["chain.revoked", "chain.revocation-unknown"]


def test_a_verified_crl_is_kept_for_as_long_as_it_holds(tmp_path):
    with serving() as web:
        check(tmp_path, web=web, cache=True)
        asked = len(web.lines)
        report = check(tmp_path, web=web, cache=True)
        again = web.lines[asked:]
    assert [line.split()[1] for line in again] == ["/sub.crt"]
    assert [o.cached for o in report.observations if isinstance(o, RetrievalObservation)] == [False, True, True]
    assert report.verdict.status == "healthy"


def test_several_leaves_are_verified_each(tmp_path):
    other = leaf(ends=-1)
    report = check(tmp_path, LEAF.pem + SUB.pem + other.pem, fetch=False)
    assert [o.id for o in report.observations if isinstance(o, ChainObservation)] == ["chain", "chain.2"]
    assert ids(report) == ["chain.expired"]


def test_what_is_left_out_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_LEAVES", 1)
    report = check(tmp_path, LEAF.pem + SUB.pem + leaf().pem + leaf().pem, fetch=False)
    assert [entry.reason for entry in report.not_run] == ["2 more certificates are not verified: too many at once"]
    assert report.verdict.summary.endswith("; 2 more certificates are not verified: too many at once")
    assert rejudge(report) == report


def test_a_pfx_tells_of_its_key(tmp_path):
    report = check(
        tmp_path,
        pfx(cert_bag(LEAF), key_bag(LEAF.key, notes(provider=KSP))),
        name="node.pfx",
        fetch=False,
        password=lambda name: b"",
    )
    key = next(o for o in report.observations if isinstance(o, KeyObservation))
    assert (key.present, key.matches, key.provider_kind, key.parent) == (True, True, "ksp", "chain")
    assert "key.provider-ksp" in ids(report)


def test_progress_and_cancelling(tmp_path):
    path, told, cancel = tmp_path / "leaf.pem", [], threading.Event()
    path.write_bytes(LEAF.pem + SUB.pem)

    def progress(words: str, done: int, total: int) -> None:
        told.append((words, done, total))
        cancel.set()

    with serving() as web:
        options = CertificateOptions(trust=store(ROOT), at=AT, cache=False)
        report = check_certificates(
            [str(path)], options, machine=machine({"pki.test:80": web}), progress=progress, cancel=cancel
        )
    assert told[0] == ("fetching", 0, 1)
    assert set(told[1:]) <= {("fetching", 1, 1)}  # if it came before it was left behind
    assert {status for _, status, _ in urls(report)} <= {"verified", "failed"}
    assert (report.verdict.status, ids(report)) == ("inconclusive", [])


def test_nothing_follows_from_a_silence_that_was_cut_short(tmp_path):
    path, over, cancel = tmp_path / "leaf.pem", threading.Event(), threading.Event()
    path.write_bytes(make(HOST, SUB, hosts=[HOST], extra=CRL).pem + SUB.pem)

    def react(_: Asked) -> bytes:
        cancel.set()  # the user has had enough while the server thinks
        over.wait(30)
        return answer()

    with Web(react) as web:
        options = CertificateOptions(trust=store(ROOT), at=AT, cache=False)
        report = check_certificates([str(path)], options, machine=machine({"pki.test:80": web}), cancel=cancel)
        over.set()
    assert (report.verdict.status, ids(report)) == ("inconclusive", [])
    assert {state.state for state in chain(report).revocation} == {"not-checked"}


@pytest.mark.parametrize("option", ["crls", "ocsp"])
def test_what_is_no_list_and_no_response_is_the_users_mistake(tmp_path, option):
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"<html>")
    with pytest.raises(UsageError, match="not a readable"):
        check(tmp_path, fetch=False, **{option: (str(wrong),)})


@pytest.mark.parametrize("files", [[], ["/nowhere/leaf.pem"]])
def test_a_file_that_cannot_be_read_is_the_users_mistake(files):
    with pytest.raises(UsageError):
        check_certificates(files)


def test_a_bug_costs_the_finding_and_not_the_report(tmp_path, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr(inspecting, "verifying", broken)
    report = check(tmp_path)
    assert report.verdict.status == "inconclusive"
    assert "oops" in report.internal_errors[0]


def test_a_saved_report_is_judged_alike(tmp_path):
    with serving(sub_crl=crl_der(SUB, [LEAF])) as web:
        report = check(tmp_path, web=web)
    saved = msgspec.json.decode(msgspec.json.encode(report), type=Report)
    assert rejudge(saved) == report


@pytest.mark.parametrize(("hostname", "purpose"), [(None, "any"), (HOST, "server")])
def test_an_authority_alone_is_no_server_unless_a_name_is_asked_for(tmp_path, hostname, purpose):
    assert chain(check(tmp_path, ROOT.pem, fetch=False, hostname=hostname)).purpose == purpose
