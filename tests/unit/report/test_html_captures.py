"""HTML reports on captures: which conversations are drawn, where links lead, how far resets and packets came."""

from __future__ import annotations

import re

import msgspec
import pytest

from netdiag.model import AlignedObservation, AlignedPacket, AlignmentObservation, Flow, Verdict
from netdiag.report import render
from netdiag.report.html import alignment, drawings, resets, sequence
from netdiag.report.html.section import Context
from netdiag.report.layout import Layout
from tests.unit.report import captured, handmade
from tests.unit.report.captured import capture_of, connection, exhibit, long_stream, segment


def ids(html: str) -> list[str]:
    return re.findall(r'\sid="([^"]+)"', html)


def targets(html: str) -> set[str]:
    return set(re.findall(r'href="#([^"]+)"', html))


PAGES = {
    "faulty": captured.faulty(),
    "every-reset": captured.faulty(resets=captured.entries(), more_resets=41),
    "fine": captured.fine(),
    "damaged": captured.damaged(),
    "several": (captured.faulty(), captured.fine()),
}


@pytest.mark.parametrize("name", PAGES)
def test_each_link_leads_to_one_place(name):
    html = render(PAGES[name], "html")
    found = ids(html)
    assert len(found) == len(set(found))
    assert targets(html) - set(found) == set()


def test_evidence_leads_to_the_packet_that_shows_it():
    html = render(captured.faulty(), "html")
    assert re.search(r'<code>reset-2</code></a> reset.*? href="#p18">in the drawing', html)
    assert re.search(r'<code>tcp-888</code></a> no answer.*? href="#conversation-0">in the drawing', html)
    assert re.search(r'<li class="packet server reset" id="p18">.*?RST seq&', html)


def test_the_drawing_says_what_the_text_says():
    observation = captured.healthy()
    rows = sequence.rows(observation)
    assert [(row.kind, str(row.words)) for row in rows][:3] == [
        ("heading", "3-way opening"),
        ("packet", "SYN seq&nbsp;0 win&nbsp;64240"),
        ("packet", "SYN,ACK seq&nbsp;0 ack&nbsp;1 win&nbsp;64240"),
    ]
    assert [row.words for row in rows if row.kind == "heading"] == ["3-way opening", "data", "4-way closing"]
    assert [row.seconds for row in rows if row.kind == "packet"][:2] == ["0.000000", "0.023400"]


def test_folded_packets_are_in_the_drawing_too():
    """Of 93 packets, 999,000 more are not in the report; each that is has its place."""
    made = exhibit(connection(0, "192.0.2.1", 80), long_stream(), omitted=999_000, omitted_after=64)

    def frames(rows):
        for row in rows:
            yield from (row.frame,) if row.kind == "packet" else frames(row.rows)

    rows = sequence.rows(made)
    assert list(frames(rows)) == list(range(1, 94))
    gaps = [row for row in rows if row.kind == "gap"]
    assert sum("left out" in row.words for row in gaps) == 1
    assert all(row.rows for row in gaps)


def many(count: int, packets: int, **changes):
    """A capture of connections that nobody answered, each with that many packets."""
    made = []
    for number in range(count):
        shape = connection(number, "192.0.2.1", 443, opening="unanswered", closing="none", syn=packets, **changes)
        sent = tuple(segment(number * packets + n + 1, float(n), "client", "SYN", 7) for n in range(packets))
        made.append(exhibit(shape, sent, **captured.failed("timeout")))
    verdict = Verdict(status="inconclusive", finding=None, blame=None, summary="?")
    return captured.report(verdict, (capture_of(connections=count), *made))


@pytest.mark.parametrize(("count", "packets", "drawn"), [(5, 10, 5), (60, 10, 24), (60, 96, 10), (3, 2_032, 1)])
def test_a_page_is_bounded(count, packets, drawn):
    report = many(count, packets)
    found, left = drawings.chosen(report, Context())
    assert (len(found), left) == (drawn, count - drawn)
    assert len(render(report, "html")) < 2_000_000


def test_what_was_asked_for_comes_first():
    report = many(60, 10)
    found, _ = drawings.chosen(report, Context(conversations=(59, 58)))
    assert [o.connection.number for o in found[:3]] == [59, 58, 0]
    html = render(report, "html", Layout(conversations=(59,)))
    assert re.findall(r'<details class="conversation" id="([\w-]+)"( open)?', html)[:2] == [
        ("conversation-59", " open"),
        ("conversation-0", ""),
    ]


def test_where_nothing_is_wrong_one_conversation_is_drawn():
    found, left = drawings.chosen(captured.fine(), Context())
    assert ([o.connection.number for o in found], left) == ([1], 0)


def test_a_live_test_has_the_packets_of_what_was_reset():
    shown, reset = captured.cut()
    report = msgspec.structs.replace(handmade.dns_failure(), observations=(shown, reset))
    html = render(report, "html")
    assert '<section class="part" id="packets"' in html
    assert 'id="p18"' in html
    assert 'id="conversations"' not in html


def test_a_reset_stands_at_its_hop_and_the_server_at_its_own():
    _, reset = captured.cut()
    cut, peer = resets.places(reset)
    assert (cut.hop, cut.words) == (4, "the reset: hop 4, TTL 61 = 64 − 3")
    assert (peer.hop, peer.words) == (22, "the server: hop 22, TTL 107 = 128 − 21")
    assert (cut.share, peer.share) == (4 / 22, 1.0)


def test_a_reset_without_anything_to_compare_it_with_stands_alone():
    _, reset = captured.cut()
    bare = msgspec.structs.replace(reset, opening=None, ttls=(), ttls_elsewhere=())
    assert resets.places(bare)[1] is None
    assert resets.places(msgspec.structs.replace(bare, resets=())) == (None, None)


@pytest.mark.parametrize("ttl", [-(10**9), 0, 255, 10**9])
def test_no_ttl_of_a_saved_report_is_too_far(ttl):
    _, reset = captured.cut()
    odd = msgspec.structs.replace(reset.resets[0], ttl=ttl)
    report = captured.faulty()
    seen = tuple(msgspec.structs.replace(o, resets=(odd,)) if o.id == reset.id else o for o in report.observations)
    assert len(render(msgspec.structs.replace(report, observations=seen), "html")) < 500_000


def packet(sender, here, there, *, missing=False):
    return AlignedPacket(
        sender=sender, flags="ACK", seq=1, length=1, at=1.0, frame=here, other_frame=there, missing=missing
    )


@pytest.mark.parametrize(
    ("nearer", "seen", "way"),
    [
        ("this", packet("client", 1, 2), (0, 100, False)),
        ("this", packet("server", 1, 2), (100, 0, False)),
        ("this", packet("client", 1, None, missing=True), (0, 50, True)),  # lost between
        ("this", packet("client", None, 2, missing=True), (50, 100, True)),  # made between
        ("this", packet("server", 1, None, missing=True), (50, 0, True)),  # made between: the firewall's reset
        ("this", packet("server", None, 2, missing=True), (100, 50, True)),  # lost between
        ("this", packet("client", 1, None), (0, 34, False)),
        ("other", packet("server", 1, None, missing=True), (100, 50, True)),
        ("other", packet("client", None, 2), (0, 34, False)),
    ],
)
def test_an_arrow_goes_as_far_as_its_packet_was_seen(nearer, seen, way):
    flow = Flow(client="10.0.0.7", client_port=1, server="192.0.2.1", server_port=443)
    aligned = AlignedObservation(
        id="aligned-0", path="a.pcap", other="b.pcap", flow=flow, connection=0, packets=(seen,), nearer_client=nearer
    )
    drawn = alignment._drawing(aligned, "here")
    (row,) = drawn.rows
    assert (row.start, row.end, row.cut) == way
    assert drawn.names == (("b.pcap", "a.pcap") if nearer == "other" else ("a.pcap", "b.pcap"))
    assert ("only in" in row.note) == seen.missing


def test_two_captures_are_compared_on_the_page():
    flow = Flow(client="10.0.0.7", client_port=1, server="192.0.2.1", server_port=443)
    both = AlignmentObservation(
        id="alignment", path="a.pcap", other="b.pcap", offset_s=0.5, uncertainty_s=0.001, matched=1
    )
    lost = packet("server", 1, None, missing=True)
    aligned = AlignedObservation(
        id="aligned-0", path="a.pcap", other="b.pcap", flow=flow, connection=0, only_here=1, packets=(lost,)
    )
    report = captured.faulty()
    html = render(msgspec.structs.replace(report, observations=(*report.observations, both, aligned)), "html")
    assert "Two captures: a.pcap and b.pcap" in html
    assert "The clock of b.pcap is 500.0 ms ahead" in html
    assert "only in a.pcap" in html
    assert 'id="both0"' in html


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x>', "\u202e\x1b[31m\x00", "x" * 70_000])
def test_what_a_file_says_stays_text(text):
    html = render(captured.hostile(text), "html")
    body = html[: html.index('<script type="application/json" id="data">')]
    assert "alert(1)</script>" not in body.replace("alert(1)&lt;", "")
    assert "<img" not in body
    assert not re.search("[\u202e\x1b\x00]", body)
    assert len(body) < 400_000
