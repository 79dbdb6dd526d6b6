"""The time-sequence plot: what stands where in its field."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.report.html import plot
from tests.unit.report import captured
from tests.unit.report.captured import connection, exhibit, segment


def download(**changes):
    """Three segments from the server, the second lost and sent again; the client's window is scaled by 2^2."""
    made = connection(0, "192.0.2.1", 80, bytes_server=3000)
    segments = (
        segment(1, 0.0, "client", "SYN", 100, options="mss 1460,wscale 2", window=8000),
        segment(2, 0.1, "server", "SYN,ACK", 4_294_967_290, 101, options="mss 1460,wscale 7"),
        segment(3, 0.1, "client", "ACK", 101, 4_294_967_291, window=1000),
        segment(4, 0.2, "server", "ACK", 4_294_967_291, 101, length=1000),
        segment(5, 0.2, "server", "PSH,ACK", 1995, 101, length=1000),
        segment(6, 0.21, "client", "ACK", 101, 995, window=1000),
        segment(7, 0.22, "client", "ACK", 101, 995, window=1000, marks=("duplicate-ack",)),
        segment(8, 0.5, "server", "ACK", 995, 101, length=1000, marks=("retransmission",)),
        segment(9, 0.51, "client", "ACK", 101, 2995, window=0, marks=("zero-window",)),
        segment(10, 1.0, "server", "RST,ACK", 2995, 101),
    )
    return exhibit(made, segments, **changes)


def one(observation):
    (found,) = plot.plots(observation)
    return found


def seconds(p, x):
    return p.left + x * p.unit_s


def number(p, y):
    return p.top - y * p.unit_bytes


def test_segments_stand_where_and_when_they_were_sent():
    p = one(download())
    assert p.sender == "server"
    strokes = [
        (s.frame, round(seconds(p, s.x), 6), number(p, s.y + s.height), number(p, s.y), s.tone) for s in p.strokes
    ]
    assert strokes == [
        (2, 0.1, 0, 1, ""),
        (4, 0.2, 1, 1001, ""),
        (5, 0.2, 2001, 3001, ""),
        (8, 0.5, 1001, 2001, "bad"),
    ]  # numbers wrap around at 2^32, and count from the SYN


def test_the_other_sides_acknowledgements_are_steps_up_to_the_border():
    p = one(download())
    path = re.findall(r"([MHV])(\d+)(?: (\d+))?", p.acks)
    assert path[0][0] == "M"
    assert [number(p, int(y)) for letter, y, _ in path if letter == "V"] == [1001, 3001]
    assert path[-1] == ("H", str(p.width), "")


def test_the_window_line_is_scaled_but_in_a_syn():
    p = one(download())
    path = re.findall(r"([MHV])(-?\d+)(?: (-?\d+))?", p.window)
    assert number(p, int(path[0][2])) == 1 + 4000
    assert [number(p, int(y)) for letter, y, _ in path if letter == "V"] == [1001 + 4000, 3001]


@pytest.mark.parametrize(
    ("client", "server", "window"),
    [("wscale 2", "", 1 + 1000), ("wscale 99", "wscale 1", 1 + (1000 << 14)), ("wscale 3", "wscale 1", 1 + 8000)],
)
def test_a_scale_counts_if_both_sides_told_one(client, server, window):
    observation = download()
    syn, syn_ack, *rest = observation.segments
    told = (msgspec.structs.replace(syn, options=client), msgspec.structs.replace(syn_ack, options=server), *rest)
    p = one(msgspec.structs.replace(observation, segments=told))
    assert number(p, int(p.window.split("H")[0].split()[1])) == window


def test_without_the_opening_no_window_is_drawn_and_the_legend_says_why():
    observation = download()
    p = one(msgspec.structs.replace(observation, segments=observation.segments[3:]))
    assert p.window == ""
    assert any("no window line" in key.words for key in p.legend)


def test_signs_stand_at_what_they_mean():
    p = one(download())
    signs = {(s.letter, s.frame, number(p, s.y)) for s in p.signs}
    assert signs == {("S", 2, 1), ("–", 7, 1001), ("R", 8, 2001), ("Z", 9, 3001), ("✗", 10, 3001)}
    assert {key.symbol for key in p.legend} >= {"S", "–", "R", "Z", "✗"}


def test_words_tell_what_the_picture_shows():
    words = one(download()).words
    assert "3,000 bytes from the server in 3 segments within 1 s" in words
    assert "1 sent again, in frame 8" in words
    assert "acknowledged up to byte 3,001" in words
    assert "closed its window 1 time" in words
    assert "a reset with the server's address at 1 s" in words


def test_what_was_left_out_is_a_band():
    p = one(download(omitted=50, omitted_after=6))
    x, width = p.left_out
    assert (round(seconds(p, x), 6), round(seconds(p, x + width), 6)) == (0.21, 0.22)
    assert any(key.words == "50 packets left out" for key in p.legend)


def test_numbers_go_on_beyond_four_gibibytes():
    made = connection(0, "192.0.2.1", 80, bytes_server=5 << 30)
    chunk = 1 << 30
    sent = tuple(
        segment(n + 1, n / 10, "server", "ACK", (1 + n * chunk) % (1 << 32), 1, length=chunk) for n in range(5)
    )
    acks = (segment(6, 0.6, "client", "ACK", 1, (1 + 5 * chunk) % (1 << 32)),)
    p = one(exhibit(made, (*sent, *acks)))
    tops = [number(p, s.y) for s in p.strokes]
    assert tops == sorted(tops)
    assert tops[-1] - tops[0] == pytest.approx(4 * chunk, rel=0.01)
    assert f"acknowledged up to byte {1 + 5 * chunk:,}" in p.words


def test_a_side_that_sent_next_to_nothing_has_no_plot():
    assert [p.sender for p in plot.plots(captured.silent())] == ["client"]  # its SYN was sent again
    assert plot.plots(captured.healthy()) == ()
    assert plot.plots(captured.cut()[0]) == () or plot.plots(captured.cut()[0])[0].sender == "client"


def test_ticks_are_round_and_inside():
    p = one(download())
    assert [label for _, label in p.x_ticks] == ["0.0", "0.5", "1.0"]
    assert [label for _, label in p.y_ticks][:2] == ["0", "1,000"]
    for share, _ in (*p.x_ticks, *p.y_ticks):
        assert 0 <= share <= 1


@pytest.mark.parametrize(
    ("span", "most", "step"), [(1.0, 4, 0.5), (0.137, 4, 0.05), (9.4, 4, 5.0), (2e-6, 4, 5e-7), (4.0, 4, 1.0)]
)
def test_steps_are_one_two_or_five(span, most, step):
    assert plot.round_step(span, most) == pytest.approx(step)


hostile = st.builds(
    segment,
    frame=st.integers(0, 2**40),
    after=st.one_of(st.floats(-1e308, 1e308), st.floats(0, 10)),
    sender=st.sampled_from(["client", "server"]),
    flags=st.sampled_from(["SYN", "SYN,ACK", "ACK", "FIN,ACK", "RST", "", "x"]),
    seq=st.integers(-(2**70), 2**70),
    ack=st.integers(-5, 2**70),
    length=st.one_of(st.integers(0, 2000), st.integers(-(2**70), 2**70)),
    window=st.integers(-5, 2**70),
    options=st.sampled_from(["", "wscale 14", "wscale 999", "wscale x"]),
    marks=st.sampled_from([(), ("retransmission",), ("summary",), ("zero-window",)]),
)


@given(st.lists(hostile, max_size=12), st.integers(-3, 30))
def test_no_saved_report_breaks_it(segments, omitted_after):
    observation = exhibit(connection(0, "192.0.2.1", 80), tuple(segments), omitted=5, omitted_after=omitted_after)
    for p in plot.plots(observation):
        assert p.width > 0
        assert p.height > 0
        assert len(p.x_ticks) <= 2 * plot.X_TICKS
        assert len(p.y_ticks) <= 2 * plot.Y_TICKS + 1
