"""The drawings over time: when each probe ran, and where the bytes of a conversation stood."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from netdiag.report import plot, render, timeline
from netdiag.report.layout import Layout
from netdiag.report.page import Page
from tests.unit.report import captured, handmade, traced

BASE = 4_294_960_000  # so that numbers run over 2^32


def download(count: int = 40, **changes):
    """A server that sends ``count`` segments, a millisecond apart."""
    opening = [
        captured.segment(1, 0.0, "client", "SYN", 100),
        captured.segment(2, 0.001, "server", "SYN,ACK", BASE, 101),
    ]
    data = []
    for n in range(count):
        seq = (BASE + 1 + 1000 * n) % 2**32
        sent = captured.segment(3 + 2 * n, 0.002 + n / 1000, "server", "ACK", seq, 101, length=1000)
        ack = captured.segment(4 + 2 * n, 0.0025 + n / 1000, "client", "ACK", 101, (seq + 1000) % 2**32)
        data += [sent, ack]
    made = captured.connection(0, "192.0.2.1", 443, bytes_server=1000 * count)
    return captured.exhibit(made, tuple(opening + data), **changes)


def drawn(observation, layout=Layout()):  # noqa: B008 - a frozen value
    page = Page(layout)
    plot.draw(page, observation)
    return page.finish()


def test_a_steady_transfer_is_a_slope_beyond_two_to_the_32():
    lines = drawn(download()).splitlines()
    assert lines[0] == "  Bytes of the server over time"
    assert lines[1].split()[:2] == ["40", "kB"]
    assert lines[12].split()[:2] == ["0", "B"]
    columns = [min(n for n, sign in enumerate(line) if 0x2800 < ord(sign) < 0x2900) for line in lines[1:12]]
    assert columns == sorted(columns, reverse=True)
    assert "acknowledged by the client" in drawn(download())


@pytest.mark.parametrize(("mark", "sign"), [("retransmission", "R sent again"), ("out-of-order", "O out of order")])
def test_what_is_worth_a_look_has_its_sign(mark, sign):
    observation = download()
    segments = list(observation.segments)
    segments[20] = msgspec.structs.replace(segments[20], marks=(mark,))
    assert sign in drawn(msgspec.structs.replace(observation, segments=tuple(segments)))
    assert sign not in drawn(observation)


def test_a_reset_and_a_closed_window_are_shown_where_they_were():
    observation = download()
    last = observation.segments[-1]
    reset = msgspec.structs.replace(last, flags="RST", at=last.at + 0.001)
    closed = msgspec.structs.replace(last, marks=("zero-window",))
    shown = drawn(msgspec.structs.replace(observation, segments=(*observation.segments[:-1], closed, reset)))
    assert "✗ reset" in shown
    assert "Z window closed" in shown
    assert shown.splitlines()[1].endswith("✗")


def test_what_the_report_does_not_hold_is_said():
    assert "1,234 packets in the middle left out" in " ".join(drawn(download(omitted=1234, omitted_after=10)).split())


def test_a_conversation_with_next_to_no_data_has_none():
    assert drawn(captured.silent()) == ""
    assert drawn(captured.healthy()) == ""
    assert drawn(download(3)) == ""


def test_ascii_has_nothing_else():
    shown = drawn(download(), Layout(unicode=False))
    assert shown.isascii()
    assert "*" in shown


def test_it_comes_with_verbose_or_for_what_was_asked_for():
    report = captured.report(captured.fine().verdict, (captured.capture_of(), download()))
    assert "Bytes of the server" not in render(report)
    assert "Bytes of the server" in render(report, "text", Layout(verbose=True))
    assert "Bytes of the server" in render(report, "text", Layout(conversations=(0,)))
    assert "Bytes of the server" in render(report, "markdown", Layout(conversations=(0,)))


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            lambda after, sender, flags, seq, ack, length, marks: captured.segment(
                1, after, sender, flags, seq, ack, length=length, marks=marks
            ),
            st.floats(-1e9, 1e9),
            st.sampled_from(["client", "server"]),
            st.sampled_from(["ACK", "PSH,ACK", "SYN", "FIN,ACK", "RST", ""]),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**40),
            st.sampled_from([(), ("retransmission",), ("zero-window",), ("out-of-order",)]),
        ),
        max_size=30,
    ),
    st.sampled_from([40, 80]),
)
def test_any_packets_are_drawn_within_the_page(segments, width):
    observation = captured.exhibit(captured.connection(0, "192.0.2.1", 443), tuple(segments))
    for line in drawn(observation, Layout(width=width)).splitlines():
        assert cell_len(line) <= width


def timed():
    observations = tuple(
        msgspec.structs.replace(o, started=1000.0 + n / 10, took_s=0.1)
        for n, o in enumerate(handmade.intercepted().observations)
    )
    return msgspec.structs.replace(handmade.intercepted(), observations=observations)


def test_each_probe_stands_where_it_ran():
    report = timed()
    page = Page(Layout())
    timeline.draw(page, report)
    *lines, axis = page.finish().splitlines()
    bars = [line[line.index("│") + 1 : -8] for line in lines]
    starts = [bar.index("█") for bar in bars]
    assert starts == sorted(starts)
    assert (starts[0], len(bars[-1].rstrip())) == (0, max(len(bar.rstrip()) for bar in bars))
    assert len(lines) == len(report.observations)
    assert axis.split("│")[1].strip() == "0"


def test_of_very_many_probes_the_first_are_drawn():
    report = timed()
    first = report.observations[0]
    many = tuple(msgspec.structs.replace(first, id=f"tcp.{n}") for n in range(100))
    page = Page(Layout())
    timeline.draw(page, msgspec.structs.replace(report, observations=many))
    assert "and 40 more probes" in page.finish()


def test_without_times_there_is_no_drawing():
    assert "When each probe ran" not in render(handmade.intercepted(), "text", Layout(verbose=True))
    assert "When each probe ran" in render(traced.reset_at_hop_4(), "text", Layout(verbose=True))
    assert "When each probe ran" in render(timed(), "markdown", Layout(verbose=True))


@given(st.floats(0, 1e300), st.floats(0, 1e300))
def test_a_saved_report_may_claim_any_times(started, took_s):
    report = timed()
    strange = msgspec.structs.replace(report.observations[0], started=started, took_s=took_s)
    page = Page(Layout(width=60))
    timeline.section(page, msgspec.structs.replace(report, observations=(*report.observations, strange)))
    assert max(map(cell_len, page.finish().splitlines())) <= 60
