"""The text report on a capture: as it stands in golden/, within its width, and the drawing of a conversation."""

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

from netdiag.model import ConnectionObservation, IcmpError, NotRun, TcpInfo, TcpObservation
from netdiag.report import capture_facts, facts, render
from netdiag.report.drawing import draw
from netdiag.report.layout import Layout
from netdiag.report.page import Page
from tests.unit.report import captured

GOLDEN = Path(__file__).parent / "golden_captures"

CASES = {
    "faulty": (captured.faulty(), Layout()),
    "faulty-resets": (captured.faulty(), Layout(resets=True, conversations=(0, 1), top=2)),
    "faulty-narrow-ascii": (captured.faulty(), Layout(width=60, unicode=False)),
    "faulty-verbose": (captured.faulty(), Layout(width=100, verbose=True)),
    "faulty-every-reset": (captured.faulty(resets=captured.entries(), more_resets=41), Layout(resets=True)),
    "fine": (captured.fine(), Layout()),
    "damaged": (captured.damaged(), Layout()),
    "quiet": (captured.faulty(), Layout(quiet=True)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_report_on_a_capture_reads_as_in_the_golden_file(name):
    """NETDIAG_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    report, layout = CASES[name]
    shown = render(report, "text", layout)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("NETDIAG_WRITE_GOLDEN") == "1":
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_golden_capture_has_its_case():
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
def test_what_a_file_says_breaks_neither_width_nor_terminal(stranger, width, verbose, unicode):
    layout = Layout(width=width, verbose=verbose, unicode=unicode, resets=True, conversations=(2,))
    shown = render(captured.hostile(stranger), "text", layout)
    for line in shown.split("\n"):
        assert cell_len(line) <= width
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    if not unicode:
        assert shown.isascii()


def test_colour_changes_no_word():
    coloured = render(captured.faulty(), "text", Layout(color=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(captured.faulty())


@pytest.mark.parametrize("color", [False, True])
def test_no_terminal_library_is_loaded(color):
    script = (
        "import sys\nfrom tests.unit.report import captured\nfrom netdiag.report import render\n"
        f"from netdiag.report.layout import Layout\nrender(captured.faulty(), 'text', Layout(color={color}))\n"
        "print(*[name for name in sys.modules if name.partition('.')[0] in ('rich', 'numpy')])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"


# -- the order --------------------------------------------------------------------------------------------------------


def numbers(shown):
    """The conversations in the order of the table."""
    return [int(number) for number in re.findall(r"^  . +([0-9]+)  10\.0\.0\.7:", shown, re.MULTILINE)]


def test_conversations_and_servers_follow_the_findings():
    shown = render(captured.faulty())
    assert numbers(shown) == [2, 0, 1]
    table = shown.partition("Servers\n")[2]
    assert [table.index(server) for server in ("40.112", "8.8.8.8:888", "8.8.8.8:53")] == sorted(
        table.index(server) for server in ("40.112", "8.8.8.8:888", "8.8.8.8:53")
    )


def test_the_order_turns_with_the_findings():
    made = captured.faulty()
    turned = msgspec.structs.replace(made, findings=made.findings[::-1])
    assert numbers(render(turned)) == [0, 2, 1]


def test_without_findings_what_failed_comes_first():
    made = msgspec.structs.replace(captured.faulty(), findings=())
    assert numbers(render(made)) == [0, 2, 1]


def test_no_finding_takes_all_the_room():
    made = captured.faulty()
    many = tuple(
        captured.exhibit(captured.connection(n, captured.SERVICE, 443, closing="reset"), (), **captured.failed("reset"))
        for n in range(10, 20)
    )
    finding = msgspec.structs.replace(made.findings[0], evidence=("reset-2", *(o.id for o in many)))
    made = msgspec.structs.replace(made, findings=(finding, made.findings[1]), observations=(*made.observations, *many))
    assert numbers(render(made, "text", Layout(top=100))) == [2, 10, 11, 0, *range(12, 20), 1]


def test_top_bounds_the_list_and_says_where_the_others_are():
    made = captured.faulty()
    assert numbers(render(made, "text", Layout(top=1))) == [2]
    assert "Conversations: the worst 1 of 71 (--top lists more)" in render(made, "text", Layout(top=1))
    assert "Conversations: the worst 3 of 71 (--flows writes them all)" in render(made)


def test_much_evidence_is_counted():
    made = captured.faulty()
    finding = msgspec.structs.replace(made.findings[0], evidence=tuple(f"reset-{n}" for n in range(40)))
    made = msgspec.structs.replace(made, findings=(finding,))
    assert "    and 35 more (--verbose lists them)\n" in render(made)
    assert "reset-39" in render(made, "text", Layout(verbose=True))


def test_a_conversation_that_is_not_there():
    shown = render(captured.faulty(), "text", Layout(conversations=(77,)))
    assert "Conversation 77: not in this capture, or not among what was asked for\n" in shown


def test_a_conversation_whose_packets_were_not_kept():
    made = captured.faulty()
    bare = tuple(
        msgspec.structs.replace(o, segments=()) if isinstance(o, ConnectionObservation) else o
        for o in made.observations
    )
    made = msgspec.structs.replace(made, observations=bare)
    assert "--conversation N draws one of them." in render(made)
    shown = render(made, "text", Layout(conversations=(1,)))
    assert "Its packets are not in the report; --conversation 1 keeps them." in shown


def test_remarks_are_told_up_to_a_point():
    made = captured.fine()
    seen = msgspec.structs.replace(made.observations[0], remarks=tuple(f"remark {n}" for n in range(9)))
    made = msgspec.structs.replace(made, observations=(seen, *made.observations[1:]))
    assert re.findall(r"^  i (.*)", render(made), re.MULTILINE) == [f"remark {n}" for n in range(5)]
    assert "  i remark 8\n" in render(made, "text", Layout(verbose=True))


def test_a_bug_and_what_was_not_done_are_told():
    made = msgspec.structs.replace(
        captured.fine(), internal_errors=("KeyError: 'x'",), not_run=(NotRun(rung="tcp", reason="interrupted"),)
    )
    shown = render(made)
    assert "Not done\n  interrupted\n" in shown
    assert "this is a bug to report\n  KeyError: 'x'\n" in shown


def test_several_reports_with_a_capture_among_them():
    shown = render([captured.fine(), captured.faulty()])
    assert shown.startswith("✓ node.pcapng   213 ms  healthy\n✗ node.pcapng   213 ms  tcp.reset-by-path-device\n")
    assert "Capture node.pcapng" in shown


def test_resets_are_listed_when_asked_for_also_when_there_are_none():
    assert "Resets: 4 packets, 1 connection listed\n" in render(captured.faulty(), "text", Layout(resets=True))
    assert "Resets: none\n" in render(captured.fine(), "text", Layout(resets=True))
    assert "Resets" not in render(captured.faulty())


# -- the drawing ------------------------------------------------------------------------------------------------------


def drawn(observation: ConnectionObservation, *, whole=True, **layout):
    page = Page(Layout(**layout))
    draw(page, observation, whole=whole)
    return page.finish()


def arrows(shown):
    """What stands on the arrows."""
    return re.findall(r"│[←─]─ (.*?) ─+→?│", shown)


def test_the_guides_unanswered_connection():
    shown = drawn(captured.silent())
    assert arrows(shown) == ["SYN seq 0 win 8192"] * 3
    assert "SYN retransmission #1 (SynReTransmit)" in shown
    assert "SYN retransmission #2 (SynReTransmit)" in shown
    assert re.search(r"3 9\.001100  │── SYN", shown)


def test_opening_and_closing_as_the_guide_draws_them_across_the_end_of_the_numbers():
    shown = drawn(captured.healthy())
    assert arrows(shown) == [
        "SYN seq 0 win 64240",
        "SYN,ACK seq 0 ack 1 win 64240",
        "ACK seq 1 ack 1 win 64240",
        "PSH,ACK seq 1 ack 1 len 31 win 64240",
        "PSH,ACK seq 1 ack 32 len 95 win 64240",
        "FIN,ACK seq 32 ack 96 win 64240",
        "ACK seq 96 ack 33 win 64240",
        "FIN,ACK seq 96 ack 33 win 64240",
        "ACK seq 33 ack 97 win 64240",
    ]
    assert re.findall("┄┄ (.*?) ┄", shown) == ["3-way opening", "data", "4-way closing"]


def test_an_answer_that_is_sent_again_is_not_the_clients_fault():
    made = captured.healthy()
    again = captured.segment(5, 0.13, "server", "SYN,ACK", 9000, 0, marks=("syn-retransmission",))
    shown = drawn(msgspec.structs.replace(made, segments=(*made.segments[:2], again, *made.segments[2:])))
    assert "SYN-ACK retransmission #1 " in shown
    assert "SynReTransmit" not in shown


def test_a_reset_has_its_arithmetic():
    shown = " ".join(drawn(captured.cut()[0], width=100).split())
    assert "TTL 61: 64 − 61 = 3 routers, the 4th hop" in shown
    assert "but its SYN-ACK had TTL 107: 128 − 107 = 21 routers, the 22nd hop" in shown


def test_a_reset_with_the_usual_ttl_says_so():
    made = captured.cut()[0]
    last = msgspec.structs.replace(made.segments[-1], ttl=107)
    shown = drawn(msgspec.structs.replace(made, segments=(*made.segments[:-1], last)), width=100)
    assert "TTL 107, as its SYN-ACK: 128 − 107 = 21 routers, the 22nd hop" in shown


def test_a_capture_that_begins_in_the_middle_counts_from_what_it_sees_first():
    segments = (
        captured.segment(1, 0.0, "server", "ACK", 7000, 300, length=10),
        captured.segment(2, 0.1, "client", "ACK", 300, 7010),
        captured.segment(3, 0.2, "client", "ACK", 299, 7010, length=1, marks=("keep-alive",)),
        captured.segment(4, 0.3, "client", "RST,ACK", 300 - 5, 7010),
    )
    made = captured.exhibit(captured.connection(3, "192.0.2.1", 443, opening="mid-stream", closing="none"), segments)
    shown = drawn(made)
    assert arrows(shown) == [
        "ACK seq 1 ack 1 len 10 win 64240",
        "ACK seq 1 ack 11 win 64240",
        "ACK seq 0 ack 11 len 1 win 64240",
        "RST,ACK seq -4 ack 11",
    ]
    assert "keep-alive (#1 of the client)" in shown


def test_a_long_conversation_is_folded_and_can_be_had_whole():
    made = captured.exhibit(
        captured.connection(3, "192.0.2.1", 443), captured.long_stream(), omitted=900, omitted_after=64
    )
    folded = drawn(made, whole=False)
    assert len(arrows(folded)) == 11
    assert "… 37 packets, 37 kB from the server" in folded
    assert "window closed: takes no more data for now" in folded
    assert "… 945 packets left out" in folded
    whole = drawn(made)
    assert len(arrows(whole)) == len(made.segments)
    assert "… 900 packets left out" in whole


def test_marks_on_what_is_folded_away_are_counted_on():
    again = [
        captured.segment(9 + n, n / 10, "client", "ACK", 1, 1, length=9, marks=("retransmission",)) for n in range(90)
    ]
    made = captured.exhibit(captured.connection(3, "192.0.2.1", 443), tuple(again))
    folded = drawn(made, whole=False)
    assert len(arrows(folded)) == 24
    assert "sent again (#90 of the client)" in folded


def test_without_unicode_the_arrows_are_plain():
    shown = drawn(captured.cut()[0], unicode=False)
    assert shown.isascii()
    assert "|-- SYN seq 0 win 64240 ----" in shown
    assert "->|" in shown
    assert "|<- SYN,ACK" in shown


def test_a_connection_without_packets_is_no_error():
    assert drawn(captured.exhibit(captured.connection(3, "192.0.2.1", 443), ())).count("\n") == 1


# -- facts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "words"),
    [
        (61, "64 − 61 = 3 routers, the 4th hop"),
        (107, "128 − 107 = 21 routers, the 22nd hop"),
        (63, "64 − 63 = 1 router, the 2nd hop"),
        (64, "no router crossed: sent here, or next to here"),
        (128, "no router crossed: sent here, or next to here"),
        (129, "255 − 129 = 126 routers, the 127th hop"),
        (255, "no router crossed: sent here, or next to here"),
        (30, "32 − 30 = 2 routers, the 3rd hop; or 64 − 30 = 34 routers"),
        (20, "32 − 20 = 12 routers, the 13th hop"),
        (0, "32 − 0 = 32 routers, the 33rd hop"),
    ],
)
def test_hops(ttl, words):
    assert capture_facts.hops(ttl) == words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"opening": "unanswered", "closing": "none", "syn": 1}, ["no answer to 1 SYN"]),
        (
            {"opening": "unanswered", "closing": "reset", "syn": 2, "rst_client": 1, "ttl_rst_client": 64},
            ["no answer to 2 SYNs in 500 ms", "reset with the client's address (TTL 64)"],
        ),
        ({"opening": "refused", "closing": "reset", "rst_server": 1}, ["refused with a reset"]),
        ({"opening": "unfinished", "closing": "none"}, ["SYN-ACK without the client's ACK"]),
        ({"closing": "half-close", "fin_server": 1}, ["only the server closed"]),
        ({"icmp": "prohibited, from 10.0.0.1"}, ["ICMP: prohibited, from 10.0.0.1"]),
        ({"retransmissions_client": 1, "retransmissions_server": 2}, ["3 sent again"]),
        (
            {"zero_windows_client": 1, "zero_windows_server": 2},
            ["client's window closed 1 time", "server's window closed 2 times"],
        ),
        ({"acked_unseen_client": 1}, ["packets missing from the capture"]),
    ],
)
def test_trouble(changes, words):
    assert capture_facts.trouble(captured.connection(1, "192.0.2.1", 443, **changes)) == words


def test_outcomes_of_a_capture():
    seen = captured.capture_of(
        outcomes=(
            ("complete", "fin", 5),
            ("mid-stream", "fin", 2),
            ("complete", "half-close", 1),
            ("mid-stream", "reset", 1),
            ("unfinished", "none", 3),
            ("unfinished", "reset", 4),
            ("refused", "reset", 6),
            ("unanswered", "reset", 7),
        )
    )
    assert capture_facts.outcomes(seen) == (
        "7 closed by both sides, 1 closed by one side only, 5 reset, 6 refused, 7 never answered, "
        "3 answered but never opened"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"packets": 0}, "0 packets"),
        ({"packets": 1, "first": 0.0, "last": 0.0}, "1 packet, without times"),
        ({}, "4,321 packets in 61.2 s, from 2025-06-15 15:06:40.000 UTC"),
    ],
)
def test_span(changes, words):
    assert capture_facts.span(captured.capture_of(**changes)) == words


def test_describe_each_kind():
    shown, reset = captured.cut()
    assert facts.describe(captured.services()[2]) == (
        "8.8.8.8:888: 1 connection, 1 never answered, 2 segments sent again"
    )
    assert facts.describe(captured.silent()) == (
        "conversation 0, 10.0.0.7:50000 → 8.8.8.8:888: no answer to 3 SYNs in 9.0 s, 0 B sent, 0 B received in 9.0 s, "
        "owned by telnet.exe"
    )
    assert facts.describe(captured.capture_of()) == (
        "node.pcapng: pcapng, 4,321 packets in 61.2 s, from 2025-06-15 15:06:40.000 UTC, 71 TCP connections"
    )
    assert facts.describe(reset) == (
        "reset with the server's address: RST in frame 18, TTL 61 (64 − 61 = 3 routers, the 4th hop), "
        "TTL 107 (128 − 107 = 21 routers, the 22nd hop) in 1 of its other packets, after the client's first data, "
        "3 connections ended so"
    )
    assert any("TTL 61 id 0 DF" in line for line in facts.details(reset))
    assert any("program: telnet.exe" in line for line in facts.details(captured.silent()))
    assert "1 SYN-ACK" not in facts.details(shown)


def test_a_captured_attempt_stands_for_many_and_speaks_of_no_kernel():
    made = TcpObservation(
        id="x", source="capture", address="a", port=1, took_s=0.02, connections=12, info=TcpInfo(rtt_ms=20.0)
    )
    assert facts.describe(made) == "connected in 20 ms, 12 connections alike, round trip 20.0 ms"
    refused = msgspec.structs.replace(
        made,
        connections=1,
        info=None,
        icmp=IcmpError(version=4, type=3, code=13, offender="b"),
        **captured.failed("prohibited"),
    )
    assert facts.describe(refused) == "forbidden by a filter on the way, ICMPv4 type 3 code 13 from b"
