"""Two captures of one connection: what they prove together. Files written packet by packet, and the lab's pairs."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from netdiag import CaptureOptions, analyze_capture, rejudge, render
from netdiag.capture.matching import MAX_CANDIDATES
from netdiag.model import AlignedObservation, AlignmentObservation, Finding, Report, UsageError
from netdiag.report.layout import Layout
from tests import sights
from tests.frames import SYN, mss
from tests.sights import Sight, beyond, request, stamps
from tests.support import ROOT

CAPTURES = ROOT / "captures"


def compare(folder: Path, here: list[Sight], there: list[Sight], **changes: object) -> Report:
    one, other = sights.write(folder / "client.pcap", here), sights.write(folder / "server.pcap", there)
    report = analyze_capture(one, CaptureOptions(**changes), other=other).report  # type: ignore[arg-type]
    assert report.internal_errors == ()
    return report


def alignment(report: Report) -> AlignmentObservation:
    (found,) = (o for o in report.observations if isinstance(o, AlignmentObservation))
    return found


def aligned(report: Report) -> AlignedObservation:
    return next(o for o in report.observations if isinstance(o, AlignedObservation))


def finding(report: Report, identifier: str) -> Finding:
    return next(found for found in report.findings if found.id == identifier)


def stretch(report: Report) -> str:
    """Between which captures a device resets."""
    culprit = finding(report, "tcp.reset-by-path-device").culprit
    assert culprit is not None
    return culprit.name


# --- clocks and places ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", [0.0, 12.5, -3600.25])
def test_the_clock_is_found_by_both_directions(tmp_path: Path, clock: float) -> None:
    report = compare(tmp_path, request(), beyond(request(), clock=clock))
    found = alignment(report)
    assert found.offset_s == pytest.approx(clock, abs=1e-6)
    assert found.delay_s == pytest.approx(sights.DELAY_S, abs=1e-6)
    assert found.uncertainty_s == pytest.approx(sights.DELAY_S, abs=1e-6)
    assert (found.nearer_client, found.routers, found.matched, found.forth, found.back) == ("this", 3, 1, 7, 5)
    whole = aligned(report)
    assert (whole.both, whole.only_here, whole.only_there, whole.changes) == (12, 0, 0, ())
    assert report.verdict.status == "healthy"


def test_either_capture_may_come_first(tmp_path: Path) -> None:
    found = alignment(compare(tmp_path, beyond(request(), clock=2.0), request()))
    assert found.offset_s == pytest.approx(-2.0, abs=1e-6)
    assert (found.nearer_client, found.routers) == ("other", 3)


def test_without_a_router_between_the_delay_tells_the_side(tmp_path: Path) -> None:
    bridged = [replace(p, ttl=64 if p.sender == "client" else 108) for p in beyond(request())]
    found = alignment(compare(tmp_path, bridged, request()))
    assert (found.nearer_client, found.routers) == ("other", 0)


def test_a_drifting_clock(tmp_path: Path) -> None:
    here = [p for n in range(20) for p in request(n * 10.0, 1_000 + n * 100_000, 50_000 + n)]
    there = [replace(p, at=p.at * (1 + 100e-6)) for p in beyond(here)]
    found = alignment(compare(tmp_path, here, there))
    assert found.drift_ppm == pytest.approx(100, abs=2)
    assert found.offset_s == pytest.approx(0.0095, abs=0.0006)  # in the middle of three minutes


def test_nothing_in_common_is_said_and_proves_nothing(tmp_path: Path) -> None:
    broken = [*request()[:4], sights.reset(request()[3])]
    report = compare(tmp_path, broken, request(0.0, 77_000, 51_000))
    found = alignment(report)
    assert (found.matched, found.offset_s, found.only_here) == (0, None, 0)
    assert stretch(report) == ""
    assert "No packet is in both" in render(report)


# --- through what changes packets -----------------------------------------------------------------------------------

OUTSIDE = (b"\xcb\x00\x71\x09", 61_234)


def natted(packet: Sight) -> Sight:
    return replace(packet, client=OUTSIDE)


def renumbered(packet: Sight) -> Sight:
    """As firewalls do that choose initial sequence numbers themselves."""
    added = 123_456_789
    if packet.sender == "client":
        return replace(packet, seq=packet.seq + added, client=OUTSIDE)
    return replace(packet, ack=packet.ack + added, client=OUTSIDE)


def clamped(packet: Sight) -> Sight:
    return replace(packet, options=packet.options.replace(mss(1460), mss(1300)))


def stripped(packet: Sight) -> Sight:
    return replace(packet, options=sights.SYN_OPTIONS if packet.flags & SYN else b"")


def rewritten(packet: Sight) -> Sight:
    return replace(packet, payload=packet.payload.replace(b"\x01\x02\x03", b"xyz"))


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        (natted, set()),
        (renumbered, set()),
        (clamped, {("client", "mss 1460 → mss 1300"), ("server", "mss 1300 → mss 1460")}),
        (stripped, {("client", "TS → no TS"), ("server", "no TS → TS")}),
        (rewritten, {("client", "payload")}),
    ],
)
def test_packets_are_matched_through_it(
    tmp_path: Path, change: Callable[[Sight], Sight], changes: set[tuple[str, str]]
) -> None:
    # What comes from the server is changed on its way to the client: there it is as it was.
    report = compare(tmp_path, request(), beyond(request(), change))
    whole = aligned(report)
    assert (whole.both, whole.only_here, whole.only_there) == (12, 0, 0)
    sent = {(sender, words) for sender, words, _ in whole.changes}
    flipped = {(sender, " → ".join(reversed(words.split(" → ")))) for sender, words in changes}
    assert {entry for entry in sent if entry[0] == "client"} == {e for e in changes if e[0] == "client"}
    assert {entry for entry in sent if entry[0] == "server"} <= changes | flipped
    expected = {"capture.packets-changed"} if changes or change is renumbered else set()
    assert {found.id for found in report.findings} == expected
    severity = "warning" if change is rewritten else "info"
    assert {str(found.severity) for found in report.findings} <= {severity}


def test_nat_is_told(tmp_path: Path) -> None:
    report = compare(tmp_path, request(), beyond(request(), natted))
    assert alignment(report).translated == (("10.0.0.5", "203.0.113.9"),)
    assert aligned(report).other_flow is not None
    assert aligned(report).other_flow.client_port == 61_234
    assert "Addresses are translated: 10.0.0.5 → 203.0.113.9" in render(report).replace("\n  ", " ")


def test_many_connections_behind_one_address(tmp_path: Path) -> None:
    here = [p for n in range(12) for p in request(n * 0.1, 1_000 + n * 100_000, 50_000 + n)]
    ports = {50_000 + n: 60_000 - n for n in range(12)}
    there = beyond(here, lambda p: replace(p, client=(OUTSIDE[0], ports[p.client[1]])))
    report = compare(tmp_path, here, there)
    pairs = [o for o in report.observations if isinstance(o, AlignedObservation)]
    assert len(pairs) == alignment(report).matched == 12
    known = [(o.flow, o.other_flow) for o in pairs]
    assert all(flow and other and ports[flow.client_port] == other.client_port for flow, other in known)


def test_a_proxy_that_ends_connections_is_no_match(tmp_path: Path) -> None:
    def proxied(packet: Sight) -> Sight:
        shift = (5_000_000, 9_000_000) if packet.sender == "client" else (9_000_000, 5_000_000)
        seq, ack = packet.seq + shift[0], packet.ack + shift[1]
        options = packet.options and (sights.SYN_OPTIONS if packet.flags & SYN else b"") + stamps(packet.ip_id * 31)
        return replace(packet, seq=seq, ack=ack, options=options, ip_id=packet.ip_id * 7 % 65_536, client=OUTSIDE)

    report = compare(tmp_path, request(), beyond(request(), proxied))
    assert (alignment(report).matched, alignment(report).terminated) == (0, 1)
    assert "as a proxy does" in render(report).replace("\n  ", " ")


def test_segmentation_offload_is_no_loss(tmp_path: Path) -> None:
    there = beyond(request())
    data = [p for p in there if p.sender == "server" and p.payload]
    whole = replace(data[0], payload=b"".join(p.payload for p in data), ip_id=4_000)
    report = compare(tmp_path, request(), [p for p in there if p not in data] + [whole])
    assert (aligned(report).only_here, aligned(report).only_there) == (0, 0)
    assert report.verdict.status == "healthy"


# --- the answers ----------------------------------------------------------------------------------------------------


def test_a_reset_made_between(tmp_path: Path) -> None:
    here = [*request()[:4], sights.reset(request()[3], ttl=62)]
    there = [*beyond(request()[:3]), *beyond(request(1.0, 500_000, 50_500))]
    for first, second in ((here, there), (there, here)):
        found = finding(compare(tmp_path, first, second), "tcp.reset-by-path-device")
        assert found.culprit is not None
        assert (found.culprit.hop, "between " in found.culprit.name) == (3, True)
        assert "never in" in found.summary
        assert [other.id for other in compare(tmp_path, first, second).findings] == ["tcp.reset-by-path-device"]


def test_a_ttl_that_looks_like_the_servers_does_not_hide_a_device_between(tmp_path: Path) -> None:
    here = [*request()[:4], sights.reset(request()[3], ttl=108)]
    alone = sights.write(tmp_path / "alone.pcap", here)
    assert "tcp.reset-by-path-device" not in {found.id for found in analyze_capture(alone).report.findings}
    found = finding(compare(tmp_path, here, beyond(request()[:3])), "tcp.reset-by-path-device")
    assert found.culprit is not None
    assert found.culprit.hop is None
    assert "what stands between client.pcap and server.pcap" in found.remedy


def test_a_reset_that_passes_both_comes_from_beyond(tmp_path: Path) -> None:
    late = replace(sights.reset(request()[3], ttl=108), at=0.041)
    here = [*request()[:4], late]
    report = compare(tmp_path, here, beyond(here))
    found = finding(report, "tcp.reset-by-server")
    assert "passes server.pcap, nearer to the server, already (frame 5 there" in found.summary
    assert report.verdict.blame == "server"


def test_a_device_beyond_both_is_counted_from_here(tmp_path: Path) -> None:
    here = [*request()[:4], sights.reset(request()[3], ttl=58)]
    found = finding(compare(tmp_path, here, beyond(here)), "tcp.reset-by-path-device")
    assert found.culprit is not None
    assert (found.culprit.hop, found.culprit.name) == (7, "")


@pytest.mark.parametrize("passes", [True, False])
def test_unanswered_syns(tmp_path: Path, passes: bool) -> None:
    good = request()
    syn = Sight(0.5, "client", SYN, 9_000, options=sights.SYN_OPTIONS, client=(sights.CLIENT[0], 50_001))
    lost = [replace(syn, at=at, ip_id=900 + n) for n, at in enumerate((0.5, 1.5, 3.5, 7.5))]
    here = [*good, *lost, *request(20.0, 800_000, 50_002)]
    there = beyond(here, lambda p: p if passes or p not in lost else None)
    found = finding(compare(tmp_path, here, there), "tcp.no-reply")
    words = "left unanswered beyond it" if passes else "they are dropped between the two"
    assert words in found.summary
    assert (found.culprit is not None and found.culprit.name.startswith("between")) is not passes


def again(packet: Sight, after: float) -> Sight:
    return replace(packet, at=packet.at + after, ip_id=packet.ip_id + 1_000)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("between", "are in server.pcap and never in client.pcap: they are lost between the two, none elsewhere"),
        ("before", "is lost before it reaches server.pcap, nothing between the two"),
        ("after", "passes both places and is lost beyond client.pcap"),
    ],
)
def test_where_packets_are_lost(tmp_path: Path, place: str, words: str) -> None:
    packets = request(answers=20)
    lost = [p for p in packets if p.sender == "server" and p.payload][5:8]
    repeats = [again(p, 0.3) for p in lost]
    here = [*(p for p in packets if place == "after" or p not in lost), *repeats]
    there = beyond([*(p for p in packets if place != "before" or p not in lost), *repeats])
    found = finding(compare(tmp_path, here, there), "tcp.retransmissions")
    assert words in found.summary
    assert found.blame == ("path-device" if place == "between" else "unknown")


# --- what proves nothing --------------------------------------------------------------------------------------------


def test_a_capture_that_had_ended_proves_nothing(tmp_path: Path) -> None:
    late = [replace(p, at=p.at + 60) for p in [*request(0.0, 5_000)[3:4]]]
    broken = [
        *request()[:4],
        replace(late[0], seq=1_201, ack=request()[3].ack),
    ]
    here = [*broken, sights.reset(broken[-1], ttl=61)]
    report = compare(tmp_path, here, beyond(request()[:4]))
    assert aligned(report).only_here == 0
    assert stretch(report) == ""


def test_what_is_acknowledged_was_only_not_captured(tmp_path: Path) -> None:
    there = beyond(request())
    data = [p for p in there if p.sender == "server" and p.payload]
    report = compare(tmp_path, [p for p in request() if p.ip_id != data[1].ip_id], there)
    assert aligned(report).only_there == 0


def test_unconfirmed_matches_are_dropped(tmp_path: Path) -> None:
    """The same ends, another connection: the port was used again."""
    there = [replace(p, ip_id=p.ip_id * 3, window=500) for p in beyond(request(0.0, 40_000_000))]
    assert alignment(compare(tmp_path, request(), there)).matched == 0


def test_many_alike_cost_no_more_than_their_number(tmp_path: Path) -> None:
    syns = [
        Sight(n * 0.001, "client", SYN, 1_000, client=(struct.pack("!I", 10 << 24 | n), 50_000)) for n in range(3_000)
    ]
    report = compare(tmp_path, syns, beyond(syns))
    assert len(syns) < MAX_CANDIDATES
    assert alignment(report).matched > 100


def test_copies_without_end_are_compared_in_time(tmp_path: Path) -> None:
    """One segment over and over, without anything to tell the copies apart, and none of them passes."""
    packet = replace(request()[3], options=b"", ip_id=0)
    here = [*request()[:3], *(replace(packet, at=1 + n * 0.001, ack=n) for n in range(2_500))]
    there = beyond([*request()[:3], *(replace(packet, at=1 + n * 0.001, seq=n * 500) for n in range(2_500))])
    started = time.perf_counter()
    report = compare(tmp_path, here, there, conversations=(0,))
    assert time.perf_counter() - started < 10
    assert aligned(report).both >= 3
    assert len(aligned(report).packets) <= 5 * 12 + 1


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("pair", [("nat-client-side", "nat-firewall-side"), ("loss", "loss-at-server")])
def test_lines_fit(pair: tuple[str, str], width: int) -> None:
    one, other = (str(CAPTURES / f"{name}.pcap") for name in pair)
    text = render(analyze_capture(one, other=other).report, layout=Layout(width=width))
    assert "Two captures" in text
    assert [line for line in text.splitlines() if len(line) > width] == []


def test_saved_reports_are_judged_alike(tmp_path: Path) -> None:
    here = [*request()[:4], sights.reset(request()[3], ttl=62)]
    report = compare(tmp_path, here, beyond(request()[:3]))
    assert rejudge(report).findings == report.findings


def test_the_other_file_must_be_a_capture(tmp_path: Path) -> None:
    one = sights.write(tmp_path / "client.pcap", request())
    (tmp_path / "text").write_text("no capture")
    with pytest.raises(UsageError):
        analyze_capture(one, other=str(tmp_path / "text"))


# --- the lab's pairs ------------------------------------------------------------------------------------------------

#: (at the client's side, at the other, finding, blame, what both show, NAT)
PAIRS = [
    ("guide-reset-ttl-61", "guide-reset-ttl-61-beyond", "tcp.reset-by-path-device", "path-device", "the 4th hop"),
    ("nat-client-side", "nat-firewall-side", None, None, ""),
    ("nat-reset-client-side", "nat-reset-firewall-side", "tcp.reset-by-path-device", "path-device", "never in"),
    ("loss", "loss-at-server", "tcp.retransmissions", "path-device", "lost between the two, none elsewhere"),
    (
        "mtu-black-hole-download",
        "mtu-black-hole-download-at-server",
        "tcp.mtu-black-hole",
        "path-device",
        "lost between the two",
    ),
    ("syn-dropped-client-side", "syn-dropped-firewall-side", "tcp.no-reply", "path-device", "dropped between the two"),
    ("reset-both-ways", "reset-both-ways-server", "tcp.reset-by-path-device", "path-device", "both sides are reset"),
    ("sni-filtered", "sni-filtered-beyond", "tls.sni-filtered", "path-device", "happens between the two"),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("here", "there", "identifier", "blame", "words"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_the_labs_pairs(
    here: str, there: str, identifier: str | None, blame: str | None, words: str, turned: bool
) -> None:
    one, other = (there, here) if turned else (here, there)
    report = analyze_capture(str(CAPTURES / f"{one}.pcap"), other=str(CAPTURES / f"{other}.pcap")).report
    assert report.internal_errors == ()
    found = alignment(report)
    assert found.nearer_client == ("other" if turned else "this")
    assert found.offset_s == pytest.approx(0.0, abs=0.001)  # one machine, one clock
    if turned and identifier == "tls.sni-filtered":  # no ClientHello there that would tell the name
        identifier, words = "tcp.reset-by-path-device", "never in"
    assert report.verdict.finding == identifier
    assert report.verdict.blame == blame
    if identifier:
        said = finding(report, identifier)
        assert words in said.summary
        assert said.culprit is not None
        assert said.culprit.name == f"between {here}.pcap and {there}.pcap"
        assert len(report.findings) == 1


def test_every_pair_of_the_lab_is_compared() -> None:
    wanted = [json.loads(path.read_text()) for path in CAPTURES.glob("*.json")]
    pairs = {frozenset((w["file"].partition(".")[0], w["other"])) for w in wanted if "other" in w}
    assert pairs == {frozenset(pair[:2]) for pair in PAIRS}


@pytest.mark.parametrize(
    "name",
    ["guide-reset-ttl-61", "loss", "reset-by-server-mid-transfer", "any-on-a-router", "ipv6-healthy", "reordered"],
)
def test_a_capture_compared_with_itself_tells_nothing_new(name: str) -> None:
    path = str(CAPTURES / f"{name}.pcap")
    alone, twice = analyze_capture(path).report, analyze_capture(path, other=path).report
    assert [f.id for f in twice.findings] == [f.id for f in alone.findings]
    assert twice.verdict.blame == alone.verdict.blame
    found = alignment(twice)
    assert found.offset_s == pytest.approx(0.0, abs=1e-9)
    assert (found.only_here, found.only_there, found.nearer_client) == (0, 0, "")
    assert all(o.only_here == o.only_there == 0 for o in twice.observations if isinstance(o, AlignedObservation))
