"""The certificates of an HTML page: nothing is lost, links lead both ways, drawings tell the truth."""

from __future__ import annotations

import re
import ssl
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.model import (
    ChainObservation,
    ElementRevocation,
    FaultKind,
    KeyObservation,
    NotRun,
    RetrievalObservation,
    RevocationState,
    Severity,
    TlsObservation,
    UrlPurpose,
    UrlStatus,
)
from netdiag.report import certificate_facts, certutil, chain_facts, render
from netdiag.report.html import certificates, particulars
from netdiag.report.html.chain import _STATES
from netdiag.report.html.section import Context
from tests.unit.report import certified, handmade
from tests.unit.report.handmade import AT, DAY
from tests.unit.report.test_html import GOLDEN, Document

WITH_CHAINS = sorted(
    name for name, report in GOLDEN.items() if any(isinstance(o, ChainObservation) for o in report.observations)
)


#: What stands in a line with its neighbours (HTML §3.2.5.2.5).
INLINE = {"a", "b", "code", "span", "strong"}


class Read(Document):
    """A page as a screen reader tells it: in its order, without what is hidden from it, folded parts too."""

    def __init__(self, text: str) -> None:
        self.read: list[str] = []
        self._hidden: list[str] = []
        super().__init__(text)

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if self._hidden or dict(attrs).get("aria-hidden") == "true":
            self._hidden.append(tag)
        self.read.append("" if tag in INLINE else " ")

    def handle_endtag(self, tag):
        super().handle_endtag(tag)
        if self._hidden:
            self._hidden.pop()
        self.read.append("" if tag in INLINE else " ")

    def handle_data(self, data):
        super().handle_data(data)
        if not self._hidden:
            self.read.append(data)


def squeezed(text):
    return " ".join(text.split())


def section(report):
    """The words of the section, as one line."""
    (found,) = certificates.sections(report, Context())
    return squeezed("".join(Read(str(found.body)).read))


def drawings(report):
    seen = certificates._Seen(report, Context())
    return [certificates._drawing(seen, group, n) for n, group in enumerate(seen.groups)]


def of(report, kind):
    return [o for o in report.observations if isinstance(o, kind)]


# -- nothing is lost --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_CHAINS)
def test_each_recording_shows_all_that_its_chains_hold(name):
    report = GOLDEN[name]
    text = section(report)
    for chain in of(report, ChainObservation):
        for fault in chain.faults:
            assert f"{fault.severity} {fault.finding}: {fault.detail}" in text
            assert chain_facts.in_windows(fault) in text
        for index, element in enumerate(chain.elements):
            known = [value for _, values in chain_facts.identity(element) for value in values]
            for value in (*known, *element.names, *element.aia, *element.cdp, *element.ocsp, element.key):
                assert value in text
            assert certificate_facts.lifetime(element, chain.at) in text
            assert all(certificate_facts.revocation(o) in text for o in chain_facts.revocations(chain, index))
        if chain.source == "file":
            assert squeezed(" ".join(certutil.lines(chain))) in text
    for o in of(report, RetrievalObservation):
        assert o.url in text
        assert certificate_facts.STATUS[o.status] in text
        assert certificate_facts.reason(o) in text
        assert squeezed(certificate_facts.retrieval_details(o)) in text
    for key in of(report, KeyObservation):
        shown = key.present or any(key.id in finding.evidence for finding in report.findings)
        assert (certificate_facts.belonging(key) in text) == (shown or key.format == "pkcs12")


@pytest.mark.parametrize("kind", get_args(FaultKind))
@pytest.mark.parametrize("severity", Severity)
def test_each_kind_of_fault_is_told_with_its_gravity(kind, severity):
    found = certified.fault(kind, 1, certified.ISSUING, "the words", "TheFlag", 0x40, "0x80092012", severity=severity)
    report = msgspec.structs.replace(certified.healthy(), observations=(certified.chain(faults=(found,)),))
    assert f"{severity} {found.finding}: the words (TheFlag 0x40, 0x80092012)" in section(report)
    mark = {"error": "failed", "warning": "warning", "info": "ok"}[severity]
    (drawing,) = drawings(report)
    assert [element.mark for element in drawing.view.ladder.elements] == ["ok", mark, "ok"]


@pytest.mark.parametrize("status", get_args(UrlStatus))
@pytest.mark.parametrize("purpose", get_args(UrlPurpose))
def test_each_status_of_each_kind_of_url_is_told(status, purpose):
    url = certified.url(purpose, 0, "http://pki.corp.example/x", status, detail="so it was", proxy="http://p:3128")
    report = msgspec.structs.replace(certified.healthy(), observations=(certified.chain(), url))
    text = section(report)
    assert f"{certificate_facts.PURPOSES[purpose]} {certificate_facts.STATUS[status]} 31 ms" in text
    assert "http://pki.corp.example/x so it was" in text
    if status == "verified":
        assert "no matter" not in text


@pytest.mark.parametrize("state", get_args(RevocationState))
def test_each_state_of_revocation_is_told(state):
    found = ElementRevocation(element=0, subject=certified.LEAF.subject, state=state, detail="the words")
    report = msgspec.structs.replace(certified.healthy(), observations=(certified.chain(revocation=(found,)),))
    words = certificate_facts.revocation(found)
    assert f"revocation {words}" in section(report)
    # Where a fault tells it in full, the state itself is enough.
    fault = certified.fault("revocation-offline", 0, certified.LEAF, "a fault tells it", "", 0, "")
    report = msgspec.structs.replace(report, observations=(certified.chain(revocation=(found,), faults=(fault,)),))
    assert f"revocation {_STATES[state]} error chain.revocation-offline: a fault tells it" in section(report)


def test_the_rest_of_many_urls_names_and_faults_is_folded_not_lost():
    urls = [certified.url("cdp", 0, f"http://pki.corp.example/{n}.crl", id=f"retrieval.{n}") for n in range(40)]
    faults = tuple(
        certified.fault("policy", 0, certified.LEAF, f"fault {n}", "InvalidExtension", 0x100, "0x800B0108")
        for n in range(30)
    )
    leaf = msgspec.structs.replace(certified.LEAF, names=tuple(f"host{n}.corp.example" for n in range(500)))
    best = certified.path((leaf, certified.ISSUING, certified.ROOT))
    chain = certified.chain(elements=best.elements, paths=(best,), faults=faults)
    report = msgspec.structs.replace(certified.healthy(), observations=(chain, *urls))
    text = section(report)
    assert all(f"http://pki.corp.example/{n}.crl" in text for n in range(40))
    assert "32 more URLs" in text
    assert all(f"fault {n} " in text for n in range(30))
    assert "22 more faults" in text
    assert "host299.corp.example and 200 more: the raw JSON has them" in text


def test_other_paths_and_refused_issuers_are_told():
    text = section(certified.untrusted())
    assert "1 other path; this one: of 2 paths, none of which ends at a root that is known" in text
    assert "via Contoso Issuing CA 1: ends without an issuer" in text
    assert "Contoso Root CA: not found" in text
    assert "1 not taken for an issuer" in text
    assert f"SHA-256 {'0f' * 32}" in text
    exhausted = msgspec.structs.replace(certified.untrusted().observations[0], exhausted=True)
    report = msgspec.structs.replace(certified.untrusted(), observations=(exhausted,))
    assert "there may be other paths" in section(report)


def test_remarks_say_who_refuses():
    assert "refused by the rules of public authorities" in section(certified.offline())


def test_a_certificate_that_cannot_be_read_has_its_fault():
    text = section(certified.unreadable())
    assert "Chain of a certificate that cannot be read: 1 error" in text
    assert "error chain.malformed: it is no X.509 certificate" in text
    assert "Not done interrupted" in text


def test_keys_without_a_chain_are_shown_and_plain_files_have_none():
    report = msgspec.structs.replace(certified.offline(), observations=(certified.key(parent=None),))
    assert "Key in sql01.pfx" in section(report)
    plain = certified.key(parent=None, format="pem", present=False)
    report = msgspec.structs.replace(certified.healthy(), observations=(plain,))
    assert list(certificates.sections(report, Context())) == []


def test_a_report_without_certificates_has_no_section():
    assert list(certificates.sections(GOLDEN["dns-nxdomain"], Context())) == []


# -- what stands where ------------------------------------------------------------------------------------------------


def test_the_leaf_stands_above_its_issuers_with_their_origin():
    (drawing,) = drawings(certified.healthy())
    assert [element.role for element in drawing.view.ladder.elements] == [
        "the certificate",
        f"intermediate, fetched from {certified.LEAF.aia[0]}",
        "root in the trust store",
    ]
    assert [element.onward for element in drawing.view.ladder.elements] == ["line", "line", ""]


@pytest.mark.parametrize(
    ("name", "roles", "missing"),
    [
        ("healthy-ipv4", ["the certificate", "intermediate, sent by the server", "root in the trust store"], ""),
        ("chain-private-root", ["the certificate", "root, not in the trust store, sent by the server"], ""),
        ("chain-incomplete", ["the certificate"], "Contoso Lab Issuing CA"),
    ],
)
def test_a_server_chain_tells_where_it_ends(name, roles, missing):
    (drawing,) = drawings(GOLDEN[name])
    assert [element.role for element in drawing.view.ladder.elements] == roles
    assert drawing.view.ladder.missing == missing
    assert drawing.view.ladder.elements[-1].onward == ("gap" if missing else "")


def test_what_the_operating_system_vouches_for_is_not_missing():
    report = GOLDEN["chain-incomplete"]
    chain = msgspec.structs.replace(of(report, ChainObservation)[0], faults=(), outcome="ok", failure=None)
    opinion = TlsObservation(id="tls.direct.system", address="192.0.2.1", port=443, purpose="system")
    tls = next(o for o in of(report, TlsObservation) if o.id == chain.parent)
    report = msgspec.structs.replace(report, observations=(tls, opinion, chain), findings=())
    assert "the operating system's own verification found it" in section(report)
    assert "not found" not in section(report)


def test_both_ways_with_one_chain_have_one_drawing():
    (drawing,) = drawings(GOLDEN["healthy-squid"])
    assert drawing.title == "direct and through the proxy"
    target, proxy = drawings(GOLDEN["healthy-squid-over-tls"])
    assert target.title == "direct and through the proxy"
    assert proxy.title == "the proxy's own certificate (proxy.contoso.test)"


def test_an_interception_is_drawn_beside_the_server_own_chain():
    own, replaced = drawings(GOLDEN["tls-intercepting-squid"])
    assert (own.title, own.good, own.remark[:22]) == ("direct", True, "The server's own chain")
    assert (replaced.title, replaced.good) == ("through the proxy (in use)", False)
    assert replaced.remark.startswith("Replaced on the way by Zscaler")
    text = section(GOLDEN["tls-intercepting-squid"])
    assert "What should arrive" not in text
    assert "The server sent 3 certificates, not simply this chain" in text
    assert text.count("sent before") == 1


def test_where_nobody_saw_the_server_own_chain_its_root_is_named():
    text = section(GOLDEN["tls-replaced-chain"])
    assert "What should arrive" in text
    assert "DigiCert Global Root G2 root, public SHA-1 df3c24f9bfd666761b268073fe06d1cc8d4f82a4" in text


def test_several_certificates_are_listed_the_worst_first_and_open():
    bad = msgspec.structs.replace(certified.untrusted().observations[0], id="chain.60")
    fine = [certified.chain(id=f"chain.{n}") for n in range(2, 60)]
    report = msgspec.structs.replace(certified.untrusted(), observations=(*fine, bad))
    (found,) = certificates.sections(report, Context())
    document = Document(str(found.body))
    rows = [row for row in re.findall(r"<tr>.*?</tr>", str(found.body), re.DOTALL) if '<th scope="row"' in row]
    assert len(rows) == 59
    assert "chain.60" in rows[0]
    assert "chain.expired" in rows[0]
    folded = [a for tag, a in document.elements if tag == "details" and a.get("class") == "chain-of"]
    assert ["open" in a for a in folded] == [True] * 3 + [False] * 56


def test_of_very_many_certificates_the_worst_are_drawn_and_all_are_listed(monkeypatch):
    monkeypatch.setattr(certificates, "_DRAWN", 2)
    bad = msgspec.structs.replace(certified.untrusted().observations[0], id="chain.9")
    fine = [certified.chain(id=f"chain.{n}") for n in range(9)]
    report = msgspec.structs.replace(certified.untrusted(), observations=(*fine, bad))
    text = section(report)
    assert "The first 2, the worst, are drawn below" in text
    assert all(f"chain.{n}" in text for n in range(10))
    assert set(certificates.drawn(report, Context())) == {"chain.9", "chain.0"}
    found = Document(render(report, "html"))
    assert {link[1:] for link in found.attributes("href") if link.startswith("#")} <= set(found.attributes("id"))


def test_a_capture_chain_that_came_often_is_drawn_once():
    tls = [handmade.tls(id=f"tls-{n}", source="capture") for n in range(5)]
    chains = [handmade.chain(id=f"chain-{n}", source="capture", parent=f"tls-{n}", at=AT + n) for n in range(5)]
    other = handmade.chain(id="chain-9", source="capture", parent="tls-0", host="other.example")
    report = msgspec.structs.replace(GOLDEN["healthy-ipv4"], observations=(*tls, *chains, other))
    assert [drawing.title for drawing in drawings(report)] == ["5 handshakes", "1 handshake"]


# -- links ------------------------------------------------------------------------------------------------------------


def test_findings_evidence_and_drawings_lead_to_each_other():
    report = certified.offline()
    page = render(report, "html")
    where = {o.id: n for n, o in enumerate(report.observations)}
    finding, evidence = page.index('id="findings"'), page.index('id="evidence"')
    for part in (page[finding : page.index('id="certificates"')], page[evidence:]):
        assert f'href="#chain{where["chain"]}"' in part
        assert f'href="#url{where["retrieval.cdp.0"]}"' in part
        assert f'href="#key{where["key"]}"' in part
    drawing = page[page.index('id="certificates"') : evidence]
    for name in ("chain", "retrieval.cdp.0", "key"):
        assert f'href="#o{where[name]}"' in drawing
    assert 'href="#f0"' in drawing
    assert 'href="#f1"' in drawing


def test_two_reports_on_one_page_do_not_share_ids():
    found = Document(render([certified.offline(), certified.untrusted(), certified.offline()], "html"))
    identifiers = found.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    assert {link[1:] for link in found.attributes("href") if link.startswith("#")} <= set(identifiers)


def test_a_handshake_leads_to_its_chain():
    report = GOLDEN["tls-intercepting-squid"]
    where = certificates.drawn(report, Context())
    assert where["tls.proxy.main"] == where["chain.proxy"] != where["chain.direct"]


# -- the certificate itself -------------------------------------------------------------------------------------------


def test_the_pem_is_the_certificate_that_was_sent():
    report = GOLDEN["tls-intercepting-squid"]
    sent = [o.chain for o in of(report, TlsObservation) if o.id in ("tls.direct.main", "tls.proxy.main")]
    texts = [
        element.particulars.pem
        for drawing in drawings(report)
        for element in drawing.view.ladder.elements
        if element.particulars.pem
    ]
    assert [ssl.PEM_cert_to_DER_cert(text) for text in texts] == [*sent[0], *sent[1][:2]]
    assert max(len(line) for text in texts for line in text.splitlines()) == 64


def test_what_was_sent_besides_can_be_copied():
    report = GOLDEN["healthy-ipv4"]
    stray = of(GOLDEN["tls-replaced-chain"], TlsObservation)[0].chain[1]
    observations = tuple(
        msgspec.structs.replace(o, chain=(*o.chain, stray)) if isinstance(o, TlsObservation) else o
        for o in report.observations
    )
    (drawing,) = drawings(msgspec.structs.replace(report, observations=observations))
    assert [entry.note.partition(",")[0] for entry in drawing.view.sent][1:] == [
        "Contoso Lab Issuing CA",
        "not part of the chain",
    ]
    assert ssl.PEM_cert_to_DER_cert(drawing.view.sent[2].pem) == stray


def test_a_server_that_sends_very_many_certificates_gets_a_bounded_list():
    report = GOLDEN["chain-incomplete"]
    assert "The server sent this certificate alone." in section(report)
    observations = tuple(
        msgspec.structs.replace(o, chain=(*o.chain, *(b"%d" % n for n in range(500))))
        if isinstance(o, TlsObservation)
        else o
        for o in report.observations
    )
    report = msgspec.structs.replace(report, observations=observations)
    assert "The server sent 501 certificates, not simply this chain; the first 40:" in section(report)
    (drawing,) = drawings(report)
    assert len(drawing.view.sent) == 40


def test_a_certificate_of_any_length_is_no_pem():
    assert particulars.pem(b"") == ""
    assert particulars.pem(b"x" * 100_000) == ""


# -- the bar ----------------------------------------------------------------------------------------------------------


@given(st.floats(0, 3e11), st.floats(1e-3, 3e11), st.floats(0, 3e11))
def test_the_bar_shows_where_the_moment_is(begins, length, at):
    ends = begins + length
    element = handmade.certificate("CN=a", "CN=b", not_before=begins, not_after=ends)
    bar = particulars.period(element, at, now=True)
    if ends <= begins:
        assert bar is None
        return
    assert 0 <= bar.begin <= 1
    assert 0 < bar.width <= 1
    assert 0 <= bar.now <= 1
    if bar.state == "valid":
        assert (bar.begin, bar.width) == (0, 1)
    else:
        assert bar.now == (1 if bar.state == "expired" else 0)
    assert all(0 <= label.share <= 1 for label in (bar.moment, *bar.dates))


@pytest.mark.parametrize(
    ("at", "state", "words", "dates"),
    [
        (AT, "valid", "today, 2025-06-15", ["2025-03-07", "2025-09-07"]),
        (AT + 90 * DAY, "expired", "today, 2025-09-13", ["2025-03-07", "2025-09-07"]),
        (AT + 9000 * DAY, "expired", "today, 2050-02-04", ["2025-03-07 to 2025-09-07"]),
        (AT - 130 * DAY, "future", "today, 2025-02-05", ["2025-03-07", "2025-09-07"]),
    ],
)
def test_the_bar_says_its_dates(at, state, words, dates):
    bar = particulars.period(handmade.certificate("CN=a", "CN=b"), at, now=True)
    assert (bar.state, bar.moment.words, [label.words for label in bar.dates]) == (state, words, dates)


def test_the_bar_of_another_moment_says_so():
    bar = particulars.period(handmade.certificate("CN=a", "CN=b"), AT, now=False)
    assert bar.moment.words == "judged at, 2025-06-15"


# -- strangers --------------------------------------------------------------------------------------------------------


@given(st.text(max_size=60) | st.sampled_from(["</pre><script>alert(1)</script>", "\u202e\x00\x1b[2J", '" onload="x']))
def test_what_a_certificate_says_stays_text(stranger):
    found = Document(render(certified.hostile(stranger), "html"))
    assert [name for _, attributes in found.elements for name in attributes if name.startswith("on")] == []
    assert len([tag for tag, _ in found.elements if tag == "script"]) == 2


def test_a_saved_report_whose_path_has_fewer_elements_renders():
    chain = certified.chain()
    short = msgspec.structs.replace(chain.paths[0], elements=chain.elements[:1], sources=())
    report = msgspec.structs.replace(
        certified.healthy(), observations=(msgspec.structs.replace(chain, paths=(short,)),)
    )
    assert "Contoso Root CA" in section(report)
    assert "Contoso Root CA" in render(report)


def test_what_was_not_done_is_told_of_files_only():
    report = msgspec.structs.replace(certified.healthy(), not_run=(NotRun(rung="chain", reason="5 more certificates"),))
    assert "Not done 5 more certificates" in section(report)
    endpoint = msgspec.structs.replace(GOLDEN["healthy-ipv4"], not_run=report.not_run)
    assert "5 more certificates" not in section(endpoint)
