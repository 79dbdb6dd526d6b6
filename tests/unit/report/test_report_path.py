"""The drawing of a path, and the note on it: as they stand in golden_paths/, never wider than they may be."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from netdiag.model import Culprit, ResetObservation, TraceHop, TraceObservation, TraceReply, WireObservation
from netdiag.report import arithmetic, facts, hops, render
from netdiag.report.ladder import ladder
from netdiag.report.layout import Layout
from tests.unit.report import handmade, traced
from tests.unit.report.test_report_text import _strangers

GOLDEN = Path(__file__).parent / "golden_paths"

MADE = {
    "reset-at-hop-4": traced.reset_at_hop_4(),
    "reset-without-rights": traced.reset_without_rights(),
    "reset-unexplained": traced.reset_unexplained(),
    "silent-drop": traced.silent_drop(),
    "prohibited": traced.prohibited(),
    "healthy": traced.healthy(),
    "server-resets": traced.server_resets(),
    "ipv6": traced.ipv6(),
    "nothing-answers": traced.nothing_answers(),
    "refused-by-device": traced.refused_by_device(),
    "through-a-proxy": traced.through_a_proxy(),
}
CASES = {name: (report, Layout()) for name, report in MADE.items()} | {
    "reset-at-hop-4-narrow-ascii": (MADE["reset-at-hop-4"], Layout(width=40, unicode=False)),
    "reset-at-hop-4-verbose": (MADE["reset-at-hop-4"], Layout(verbose=True)),
    "ipv6-narrow-ascii": (MADE["ipv6"], Layout(width=40, unicode=False)),
    "healthy-trace": (msgspec.structs.replace(MADE["healthy"], command="trace"), Layout()),
}


@pytest.mark.parametrize("name", CASES)
def test_a_report_reads_as_in_the_golden_file(name):
    """NETDIAG_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    report, layout = CASES[name]
    shown = render(report, "text", layout)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("NETDIAG_WRITE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_golden_file_has_its_case():
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("width", [40, 64, 80, 100])
@pytest.mark.parametrize("name", MADE)
def test_lines_are_no_wider_than_the_layout_and_end_in_no_blanks(name, width):
    for unicode in (True, False):
        shown = render(MADE[name], "text", Layout(width=width, unicode=unicode))
        assert max(map(cell_len, shown.splitlines())) <= width
        assert [line for line in shown.splitlines() if line != line.rstrip()] == []
        assert unicode or shown.isascii()


@settings(max_examples=40, deadline=None)
@given(_strangers(), st.sampled_from([40, 80]), st.booleans(), st.booleans())
def test_what_strangers_write_breaks_neither_width_nor_terminal(stranger, width, verbose, unicode):
    shown = render(traced.hostile(stranger), "text", Layout(width=width, verbose=verbose, unicode=unicode))
    for line in shown.split("\n"):
        assert cell_len(line) <= width
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert unicode or shown.isascii()


def test_colour_changes_no_word():
    import re

    coloured = render(MADE["reset-at-hop-4"], "text", Layout(color=True))
    assert "\x1b[31m✗" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(MADE["reset-at-hop-4"])


def ends(report):
    """By mode: the TTL of the row where each trace ended, and whether a finding names it."""
    (path,) = hops.paths(report)
    return {end.trace.mode: (path.rows[end.row].ttl, end.good, end.finding is not None) for end in path.ends}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reset-at-hop-4", {"syn": (22, True, False), "data": (4, False, True)}),
        ("reset-unexplained", {"syn": (22, True, False), "data": (4, False, False)}),
        ("silent-drop", {"syn": (3, False, True)}),
        ("prohibited", {"syn": (3, False, True)}),
        ("healthy", {"syn": (13, True, False), "data": (13, True, False), "udp": (13, True, False)}),
        ("server-resets", {"syn": (22, True, False), "data": (22, False, True)}),
        ("nothing-answers", {"syn": (0, False, False)}),
        ("refused-by-device", {"syn": (2, False, True)}),
    ],
)
def test_where_each_trace_ended(name, expected):
    assert ends(MADE[name]) == expected


@pytest.mark.parametrize(
    ("answer", "ways", "end", "row"),
    [
        ("refused", 3, {}, 4),  # by the host itself, as far as anybody knows
        ("unreachable", 3, {"address": "10.77.1.2"}, 2),
        ("prohibited", 3, {"address": "10.77.99.9"}, 4),
        ("none", 3, None, 3),
        ("unsent", 0, {}, 0),
        ("hop", 3, None, 3),
    ],
)
def test_where_a_trace_ended_that_no_finding_explains(answer, ways, end, row):
    made = traced.trace(answer, traced.routers(traced.ROUTERS[:ways]), end)
    assert ends(traced.report(None, (made,)))["syn"][0] == row


def test_udp_without_an_answer_blames_nobody():
    udp = traced.trace("none", traced.routers(traced.ROUTERS[:9]), mode="udp")
    made = traced.reset_at_hop_4()
    made = msgspec.structs.replace(made, observations=(*made.observations, udp))
    assert ends(made)["udp"] == (9, False, False)
    assert "    9  │   –" in render(made)


def test_a_finding_about_another_address_names_no_hop():
    elsewhere = traced.trace("none", traced.routers(traced.ROUTERS[:5]), address="198.51.100.1")
    made = traced.report(
        traced.finding("tcp.no-reply", "x", "tcp.other", culprit=Culprit(hop=2)),
        (handmade.tcp(id="tcp.other"), elsewhere),
    )
    assert ends(made)["syn"] == (5, False, False)


def test_this_machines_address_may_stand_in_another_observation():
    made = traced.trace("none", (), flow=None)
    (path,) = hops.paths(traced.report(None, (made, handmade.tcp(flow=traced.FLOW))))
    assert path.client == traced.CLIENT


def test_a_finding_may_name_a_hop_that_does_not_answer():
    silent = traced.trace("none", traced.routers((*traced.ROUTERS[:2], "", "", "")))
    culprit = Culprit(address="10.9.9.9", hop=3)
    made = traced.report(traced.finding("tcp.no-reply", "x", silent.id, culprit=culprit), (silent,))
    shown = render(made)
    assert "\n  ✗   3  ✗  10.9.9.9\n            swallows the SYN (tcp.no-reply)\n    4-5     no answer\n" in shown


def test_silence_up_to_a_server_that_is_blamed_is_one_line():
    silent = traced.trace("none", traced.routers((*traced.ROUTERS[:2], *("",) * 28)))
    found = traced.finding("tcp.no-reply", "x", silent.id, culprit=Culprit(address=traced.SERVER))
    shown = render(traced.report(found, (silent,)), "text", Layout(verbose=True))
    assert "\n    3-30  │  no answer\n  ✗    ?  ✗  192.0.2.10, the server\n" in shown


def test_hops_that_no_packet_can_have_are_left_out():
    absurd = (
        TraceHop(ttl=n, replies=(TraceReply(answer="hop", address="10.0.0.1"),)) for n in (-1, 1, 255, 256, 10**9)
    )
    made = traced.report(None, (traced.trace("none", tuple(absurd)),))
    assert [row.ttl for row in hops.paths(made)[0].rows] == [0, 1, 255, None]


def test_very_many_traces_to_one_address_take_several_drawings():
    many = tuple(traced.trace("none", (), id=f"t{n}") for n in range(8))
    assert [len(path.ends) for path in hops.paths(traced.report(None, many))] == [6, 2]


def test_the_best_round_trip_of_all_modes_stands():
    replies = [TraceReply(answer="hop", address="10.0.0.1", rtt_ms=rtt) for rtt in (3.0, None, 1.5)]
    traces = tuple(
        traced.trace("none", (TraceHop(ttl=1, replies=(reply,)),), id=f"t{n}") for n, reply in enumerate(replies)
    )
    assert hops.paths(traced.report(None, traces))[0].rows[1].addresses == (("10.0.0.1", 1.5),)


def test_a_router_that_the_system_does_not_name():
    data = traced.trace(
        "none", (TraceHop(ttl=1, replies=(TraceReply(answer="hop"),)),), mode="data", payload="1 byte", sent_bytes=1
    )
    shown = render(traced.report(None, (data,)))
    assert "┌ 1 byte inside a connection\n" in shown
    assert "a router whose address is not known\n" in shown


def test_a_trace_that_was_not_run_is_not_drawn():
    made = traced.report(None, (TraceObservation(id="t", address="192.0.2.1", port=1, outcome="not-run"),))
    assert "Path" not in render(made)


def lines(report):
    (path,) = hops.paths(report)
    return arithmetic.lines(report, path)


def with_reset(**changes):
    made = traced.reset_at_hop_4()
    observations = tuple(
        msgspec.structs.replace(o, **changes) if isinstance(o, ResetObservation) else o for o in made.observations
    )
    return msgspec.structs.replace(made, observations=observations)


def test_the_arithmetic_in_the_issues_words():
    said = "RST TTL 61 = 64 − 3 → sent from hop 4 (10.77.3.2); the server's SYN-ACK TTL 107 = 128 − 21 → hop 22"
    assert lines(traced.reset_at_hop_4()) == (said,)
    narrow = render(traced.reset_at_hop_4(), "text", Layout(width=100, unicode=False))
    assert said.replace("−", "-").replace("→", "->").partition(";")[0] in narrow


def _rst(ttl):
    return (traced.segment(15, 0.1, "server", "RST", 1, ttl=ttl),)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"claimed": "client"}, None),
        ({"opening": None}, "; the server's other packets TTL 107 = 128 − 21 → hop 22"),
        (
            {"opening": None, "ttls": (), "ttls_elsewhere": ((50, 1), (52, 9))},
            "; the server's SYN-ACKs in other connections TTL 52 = 64 − 12 → hop 13",
        ),
        ({"opening": None, "ttls": ()}, "RST TTL 61 = 64 − 3 → sent from hop 4 (10.77.3.2)"),
        ({"resets": _rst(64)}, "RST TTL 64 = 64 − 0 → sent from hop 1 (10.77.0.1), or from this machine; "),
        ({"resets": _rst(30)}, "RST TTL 30 = 32 − 2 → sent from hop 3 (10.77.2.2), or 64 − 34 → hop 35; "),
        ({"resets": _rst(107)}, "RST TTL 107 = 128 − 21 → sent from hop 22 (192.0.2.10); "),
    ],
)
def test_the_arithmetic_of_other_resets(changes, said):
    found = lines(with_reset(**changes))
    assert found == () if said is None else said in found[0]


def test_the_arithmetic_from_the_answers_to_a_trace():
    assert lines(traced.prohibited()) == ("ICMP error TTL 62 = 64 − 2 → sent from hop 3 (10.77.2.2)",)
    assert lines(traced.healthy()) == ("The server's SYN-ACK TTL 116 = 128 − 12 → hop 13",)
    assert lines(traced.reset_unexplained()) == ()


def test_packets_of_one_connection_are_drawn_and_of_more_with_verbose():
    made = traced.reset_at_hop_4()
    second = tuple(
        msgspec.structs.replace(o, id=f"{o.id}-b", parent=None if isinstance(o, WireObservation) else f"{o.parent}-b")
        for o in traced.captured()
    )
    made = msgspec.structs.replace(made, observations=(*made.observations, *second))
    shown = render(made)
    assert shown.count("Packets of ") == 1
    assert "  1 more connection reset (--verbose draws them)\n" in shown
    assert render(made, "text", Layout(verbose=True)).count("Packets of ") == 2


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (
            traced.trace("open", traced.routers(traced.ROUTERS), {}),
            "SYN to 192.0.2.10:443: the port is open, 22 hops away",
        ),
        (traced.trace("refused", (), {}), "SYN to 192.0.2.10:443: refused, from TTL 1 on"),
        (traced.trace("refused", (), {}, mode="udp"), "UDP datagram to 192.0.2.10: refused, 1 hop away"),
        (
            traced.trace("reset", traced.routers(traced.ROUTERS[:4]), {}, mode="data", server_name="x"),
            "ClientHello to 192.0.2.10:443: reset from TTL 5 on",
        ),
        (traced.trace("data", (), mode="data"), "ClientHello to 192.0.2.10:443: answered, at an unknown distance"),
        (
            traced.trace("none", traced.routers(["", "10.0.0.1", ""])),
            "SYN to 192.0.2.10:443: no answer from beyond hop 2",
        ),
        (traced.trace("none", ()), "SYN to 192.0.2.10:443: no answer at all"),
        (
            WireObservation(id="w", outcome="not-run", limits=("It needs root.",)),
            "no capture of its own: It needs root.",
        ),
        (WireObservation(id="w", packets=1, dropped=2), "captured 1 packet, 2 lost by the system"),
        (
            WireObservation(id="w", packets=3, interfaces=("eth0", "lo"), path="a.pcapng"),
            "captured 3 packets on eth0, lo, kept in a.pcapng",
        ),
    ],
)
def test_described(observation, words):
    assert facts.describe(observation) == words


def test_details_have_every_probe():
    hop = TraceHop(
        ttl=1,
        replies=(
            TraceReply(answer="hop", address="10.77.0.1", rtt_ms=0.24, ttl=64),
            TraceReply(answer="none"),
            TraceReply(answer="prohibited", address="10.77.0.9"),
        ),
    )
    made = traced.trace("prohibited", (hop,), limits=("It needs root.",))
    assert facts.details(made)[1:] == (
        "SYN to port 443, by ordinary sockets",
        "hop 1: 10.77.0.1 (gw.contoso.test) 0.2 ms TTL 64, *, prohibited 10.77.0.9",
        "It needs root.",
    )


def test_traces_and_packets_leave_the_row_of_the_probes_alone():
    before = ladder(traced.report(None, (handmade.tcp(),))).row("tcp", "direct")
    assert (
        ladder(traced.report(None, (handmade.tcp(), *traced.reset_at_hop_4().observations[2:]))).row("tcp", "direct")
        == before
    )
    assert ladder(traced.report(None, traced.captured())).rows == ()


@pytest.mark.parametrize(
    ("observations", "mark"),
    [
        ((traced.trace("open", (), {}),), "ok"),
        ((traced.trace("none", ()),), "failed"),
        ((traced.trace("open", (), {}), traced.trace("none", (), mode="udp")), "ok"),
        ((traced.trace("none", ()), traced.trace("refused", (), {}, mode="udp")), "failed"),
    ],
)
def test_a_row_of_traces_alone(observations, mark):
    row = ladder(traced.report(None, observations)).row("tcp", "direct")
    assert (row.mark, row.took_s) == (mark, None)
    assert row.fact.startswith("SYN to 192.0.2.10:443: ")
