"""The text report on certificate files: as it stands in golden_certificates/, within its width, and what it tells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from netdiag.model import ElementRevocation, Failure, RejectedIssuer, Severity
from netdiag.report import certificate_facts, facts, load_report, render
from netdiag.report.layout import Layout
from tests.unit.report import certified
from tests.unit.report.handmade import AT, DAY, certificate

GOLDEN = Path(__file__).parent / "golden_certificates"

CASES = {
    "healthy": (certified.healthy(), Layout()),
    "offline": (certified.offline(), Layout()),
    "offline-narrow-ascii": (certified.offline(), Layout(width=50, unicode=False)),
    "offline-verbose": (certified.offline(), Layout(verbose=True)),
    "untrusted": (certified.untrusted(), Layout()),
    "untrusted-verbose": (certified.untrusted(), Layout(width=100, verbose=True)),
    "incomplete": (certified.incomplete(), Layout()),
    "revoked": (certified.revoked(), Layout()),
    "unreadable": (certified.unreadable(), Layout()),
    "quiet": (certified.offline(), Layout(quiet=True)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_report_on_a_certificate_reads_as_in_the_golden_file(name):
    """NETDIAG_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    report, layout = CASES[name]
    shown = render(report, "text", layout)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("NETDIAG_WRITE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_golden_certificate_has_its_case():
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_the_layout_or_ends_in_blanks(name):
    report, layout = CASES[name]
    lines = render(report, "text", layout).splitlines()
    assert max(map(cell_len, lines)) <= layout.width
    assert [line for line in lines if line != line.rstrip()] == []


def strangers():
    nasty = st.sampled_from(["\x1b[31m", "\u202e", "\n", "\r\n", "[bold red]", "\x9b", "漢字", "e\u0301\u0302\u0303"])
    return st.lists(st.one_of(nasty, st.text(max_size=40), st.just("x" * 120)), max_size=12).map("".join)


@settings(max_examples=60, deadline=None)
@given(strangers(), st.sampled_from([40, 64, 80, 100]), st.booleans(), st.booleans())
def test_what_a_certificate_says_breaks_neither_width_nor_terminal(stranger, width, verbose, unicode):
    shown = render(certified.hostile(stranger), "text", Layout(width=width, verbose=verbose, unicode=unicode))
    for line in shown.split("\n"):
        assert cell_len(line) <= width
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    if not unicode:
        assert shown.isascii()


def test_colour_changes_no_word():
    coloured = render(certified.offline(), "text", Layout(color=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(certified.offline())


def test_a_report_survives_json():
    assert load_report(render(certified.offline(), "json")) == certified.offline()


def test_no_terminal_library_is_loaded():
    script = (
        "import sys\nfrom tests.unit.report import certified\nfrom netdiag.report import render\n"
        "render(certified.offline()), render(certified.untrusted())\n"
        "print(*[name for name in sys.modules if name.partition('.')[0] in ('rich', 'numpy', 'cryptography')])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"


def shown(*observations, layout=None, **changes):
    report = msgspec.structs.replace(certified.healthy(), observations=observations, **changes)
    return render(report, "text", layout or Layout())


def squeezed(text):
    """Without line breaks and the line that leads to the issuer."""
    return " ".join(text.replace("│", " ").split())


# -- the order --------------------------------------------------------------------------------------------------------


def test_the_leaf_stands_above_its_issuers():
    lines = render(certified.healthy()).splitlines()
    assert [line[2:7] for line in lines if re.match(r"  . \d", line)] == ["✓ 0  ", "✓ 1  ", "✓ 2  "]


def test_the_worst_chain_comes_first_and_others_are_counted():
    bad = certified.untrusted().observations[0]
    fine = [certified.chain(id=f"chain.{n}") for n in range(2, 60)]
    text = shown(*fine, msgspec.structs.replace(bad, id="chain.60"))
    headings = re.findall(r"^Chain of .*\((chain\.\d+)\)", text, re.MULTILINE)
    assert headings == ["chain.60", "chain.2", "chain.3"]
    assert "56 more chains (--verbose tells all of them in full)" in text
    assert "  and 16 more\n" in text
    assert len(re.findall(r"^Chain of ", shown(*fine, layout=Layout(verbose=True)), re.MULTILINE)) == 58


# -- elements ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (AT, "83 days left (until 2025-09-07)"),
        (AT + 83.2 * DAY, "7 h 12 min left (until 2025-09-07 03:06 UTC)"),
        (AT + 90 * DAY, "expired on 2025-09-07, 6 days ago"),
        (AT + 83.5 * DAY + 40, "expired on 2025-09-07, 40.0 s ago"),
        (AT - 130 * DAY, "valid only from 2025-03-07, in 30 days"),
    ],
)
def test_lifetime(at, words):
    assert certificate_facts.lifetime(certificate("CN=a", "CN=b"), at) == words


@pytest.mark.parametrize(
    ("subject", "names", "name"),
    [
        ("CN=a.example,O=x", ("b.example",), "a.example"),
        ("O=x", ("b.example",), "b.example"),
        ("O=x", (), "O=x"),
        ("", (), "a certificate without a name, serial 0A"),
    ],
)
def test_the_name_of_an_element(subject, names, name):
    assert certificate_facts.short_name(certificate(subject, "CN=b", names=names)) == name


def test_each_fault_stands_below_its_element_with_the_names_of_windows():
    text = squeezed(render(certified.untrusted()))
    assert "✗ 0 sql01.corp.example: the certificate expired on 2025-06-03, 12 days ago" in text
    assert "✗ chain.expired: valid until 2025-06-03 10:18 UTC (NotTimeValid 0x1, 0x800B0101) ⚠ 1 Contoso" in text
    assert "✗ 2 Contoso Root CA: root, not in the trust store, from the files" in text


def test_a_name_mismatch_has_a_result_and_no_flag():
    fault = certified.fault("name-mismatch", 0, certified.LEAF, "it is for another name", "", 0, "0x800B010F")
    assert "tls.name-mismatch: it is for another name (0x800B010F)" in shown(certified.chain(faults=(fault,)))


def test_remarks_are_counted_and_told_with_verbose():
    made = certified.offline()
    assert "i 1 remark: others may refuse what these rules accept (--verbose)" in render(made)
    assert "not critical" not in render(made)
    assert "i its key usage is not critical (chain.key-usage)" in render(made, "text", Layout(verbose=True))


def test_many_faults_are_counted():
    faults = tuple(
        certified.fault("policy", 0, certified.LEAF, f"number {n}", "InvalidPolicyConstraints", 0x200, "0x800B0113")
        for n in range(30)
    )
    text = shown(certified.chain(faults=faults))
    assert (text.count("chain.policy: number"), "and 22 more faults (--verbose)" in text) == (8, True)
    text = shown(certified.chain(faults=faults), layout=Layout(verbose=True))
    assert text.count("chain.policy: number") == 30


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"state": "good", "source": "OCSP"}, "✓ not revoked (OCSP)"),
        ({"state": "no-service", "detail": "it names none"}, "– revocation cannot be checked: it names none"),
        ({"state": "not-checked"}, "– revocation was not checked"),
        ({"state": "offline", "detail": "cut"}, "– revocation services cannot be reached: cut"),
        ({"state": "unknown", "detail": "stale"}, "– whether it is revoked is not known: stale"),
        ({"state": "revoked", "source": "CRL 1", "reason": "superseded"}, "✗ revoked (superseded), says CRL 1"),
    ],
)
def test_what_is_known_of_a_revocation(state, words):
    found = ElementRevocation(element=0, subject=certified.LEAF.subject, **state)
    assert words in squeezed(shown(certified.chain(revocation=(found,))))


def test_a_revocation_that_a_fault_tells_is_not_told_twice():
    assert render(certified.offline()).count("cannot be reached") == 1


def test_a_missing_issuer_has_its_place():
    assert "  │\n  – ?  Contoso Issuing CA 1: not found\n" in render(certified.incomplete())


def test_another_moment_than_now_is_said():
    assert "not now" not in render(certified.healthy())
    text = squeezed(shown(certified.chain(at=AT + 30 * DAY)))
    assert "at 2025-07-15 15:06:40 UTC, not now" in text


# -- URLs -------------------------------------------------------------------------------------------------------------


def rows(text):
    return re.findall(r"^  [│ ]    (.) (AIA|CDP|Delta|OCSP) +([A-Z][\w ]*?)  ", text, re.MULTILINE)


def test_every_status_has_its_word():
    made = [certified.url("cdp", 0, "http://x/", status) for status in certificate_facts.STATUS]
    words = [word for _, _, word in rows(shown(certified.chain(), *made, layout=Layout(verbose=True)))]
    assert words == list(certificate_facts.STATUS.values())


def test_a_url_that_is_fine_is_cropped_and_another_is_whole():
    long = f"http://{certified.PKI}/{'crl/' * 30}a.crl"
    fine = certified.url("cdp", 0, long)
    assert long not in squeezed(shown(certified.chain(), fine)).replace(" ", "")
    assert long in shown(certified.chain(), fine, layout=Layout(verbose=True)).replace("│", "").replace(
        "\n", ""
    ).replace(" ", "")
    broken = certified.no_answer("cdp", 0, long)
    assert long in shown(certified.chain(), broken).replace("│", "").replace("\n", "").replace(" ", "")


def test_a_url_is_no_matter_where_another_one_was_enough():
    """The guide: it is enough if either the HTTP path or the LDAP path passes."""
    urls = (certified.no_answer("cdp", 0, certified.LDAP), certified.url("ocsp", 0, "http://o/"))
    served = certified.chain()
    assert [mark for mark, _, _ in rows(shown(served, *urls))] == ["⚠", "✓"]
    state = ElementRevocation(element=0, subject=certified.LEAF.subject, state="unknown")
    assert [mark for mark, _, _ in rows(shown(certified.chain(revocation=(state,)), *urls))] == ["✗", "✓"]


def test_an_issuer_that_was_found_otherwise_excuses_its_url():
    urls = (certified.no_answer("aia", 0, "http://x/"),)
    assert rows(shown(certified.chain(), *urls))[0][0] == "⚠"
    assert rows(shown(certified.incomplete().observations[0], *urls))[0][0] == "✗"


def test_hundreds_of_urls_are_counted_the_bad_ones_first():
    urls = [certified.url("cdp", 0, f"http://x/{n}", "failed" if n % 50 == 49 else "verified") for n in range(300)]
    text = shown(certified.chain(), *urls)
    assert len(rows(text)) == 8
    assert [word for _, _, word in rows(text)].count("Failed") == 6
    assert "and 292 more URLs: 292 Verified (--verbose)" in squeezed(text)
    assert len(rows(shown(certified.chain(), *urls, layout=Layout(verbose=True)))) == 300


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"detail": "its next update was due"}, "its next update was due"),
        ({"detail": "no CRL", "http_status": 404, "status": "failed"}, "no CRL, HTTP 404"),
        ({"detail": "403", "proxy": "http://p:8080", "http_status": 403}, "403, through the proxy http://p:8080"),
        (
            {"failure": Failure(kind="timeout", step="connect"), "outcome": "failed", "took_s": 8.0},
            "no answer to connect in 8.0 s",
        ),
        (
            {"failure": Failure(kind="refused", step="connect", detail="by peer"), "detail": "by peer"},
            "refused: by peer",
        ),
    ],
)
def test_the_reason_of_a_url(changes, reason):
    made = certified.url("cdp", 0, "http://x/", **{"status": "expired", "http_status": None, **changes})
    assert certificate_facts.reason(made) == reason


# -- other paths, keys, certutil --------------------------------------------------------------------------------------


def test_other_paths_and_refused_issuers_are_bounded():
    dead = certified.path((certified.LEAF, certified.ISSUING), "dead-end")
    refused = RejectedIssuer(child="CN=a", subject="CN=b", sha256="0f" * 32, reason="another key")
    chain = certified.chain(paths=(*certified.chain().paths, *[dead] * 9), rejected=(refused,) * 9, exhausted=True)
    text = squeezed(shown(chain))
    assert text.count("via Contoso Issuing CA 1: ends without an issuer; no error") == 4
    assert "and 5 more paths (--verbose)" in text
    assert "and 5 more certificates (--verbose)" in text
    assert "there may be other paths" in text
    assert squeezed(shown(chain, layout=Layout(verbose=True))).count("SHA-256 0f0f") == 9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the private key of sql01.corp.example (RSA 2048)"),
        ({"present": False, "key": ""}, "no private key for sql01.corp.example"),
        ({"matches": False}, "a private key (RSA 2048) that does not belong to sql01.corp.example"),
        ({"subject": ""}, "a private key (RSA 2048), and no certificate that it belongs to"),
    ],
)
def test_whose_a_key_is(changes, words):
    made = certified.key(**changes)
    assert words in shown(certified.chain(), made)
    assert words in facts.describe(made)


def test_a_key_without_a_chain_is_shown_once():
    assert shown(certified.key(parent=None)).count("Key in sql01.pfx") == 1


def test_a_plain_certificate_needs_no_key():
    missing = certified.key(present=False, matches=False, format="pem")
    assert "Key in" not in shown(certified.chain(), missing)
    assert "  – no private key for" in shown(certified.chain(), certified.key(present=False))


def test_the_last_name_of_a_key_is_told():
    assert "the last reports.corp.example" in squeezed(shown(certified.chain(), certified.key()))
    assert "the last" not in shown(certified.chain(), certified.key(names=("a.example",)))


def certutil(text):
    return squeezed(text.partition("In certutil's words")[2])


def test_certutil_ends_with_its_known_lines():
    passed = "Cert is an End Entity certificate Leaf certificate revocation check passed"
    assert passed in certutil(render(certified.healthy()))
    offline = certutil(render(certified.offline()))
    assert "dwErrorStatus=1000040 sql01.corp.example" in offline
    assert (
        "ERROR: Verifying leaf certificate revocation status returned The revocation function was unable to check "
        "revocation because the revocation server was offline. 0x80092013 (-2146885613 CRYPT_E_REVOCATION_OFFLINE)"
    ) in offline
    untrusted = certutil(render(certified.untrusted()))
    assert "0x800b0109 (-2146762487 CERT_E_UNTRUSTEDROOT)" in untrusted
    assert "CERT_E_EXPIRED" not in untrusted  # one result is reported, the gravest
    assert "Verifies against UNTRUSTED root" in untrusted
    assert "WEAK" not in untrusted  # a warning is no error
    incomplete = certutil(render(certified.incomplete()))
    assert "Incomplete certificate chain Cannot find certificate: CN=Contoso Issuing CA 1,O=Contoso" in incomplete
    revoked = certutil(render(certified.revoked()))
    assert "Certificate is REVOKED" in revoked
    assert "Leaf certificate is REVOKED (Reason=1)" in revoked


def test_certutil_knows_one_profile_only():
    assert "certutil knows the rules of Windows only" not in render(certified.healthy())
    assert "certutil knows the rules of Windows only" in shown(certified.chain(profile="webpki"))


def test_results_and_bits_that_nobody_knows_are_numbers():
    fault = certified.fault(
        "policy", 0, certified.LEAF, "odd", "Odd", 0x40000000, "0x80099999", severity=Severity.ERROR
    )
    assert "0x80099999 (-2146854503)" in certutil(shown(certified.chain(faults=(fault,))))


# -- facts ------------------------------------------------------------------------------------------------------------


def test_observations_in_a_line():
    made = certified.offline()
    chain, retrieval, key = made.observations[0], made.observations[2], made.observations[-1]
    assert facts.describe(chain) == (
        "sql01.corp.example → Contoso Issuing CA 1 → Contoso Root CA; 59 days left; 1 error"
    )
    assert facts.describe(retrieval) == (
        "CDP of sql01.corp.example: Failed, no answer to connect in 8.0 s: "
        "http://pki.corp.example/crl/contoso-issuing-1.crl"
    )
    assert facts.describe(key) == (
        "sql01.pfx: the private key of sql01.corp.example (RSA 2048), "
        "Microsoft Software Key Storage Provider (KSP, CNG)"
    )
    cached = certified.fetched()[1]
    assert "Verified from the cache, 84 kB: http" in facts.describe(cached)
