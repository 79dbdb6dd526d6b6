"""Who repeats a SYN so: the series that systems are known for, with jitter, and with SYNs that the capture lost."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.rules.syn_timing import FAMILIES, MAX_LOST, Family, classify

NAMES = {
    "windows-old": "Windows with the older setting (InitialRto 3 s, 2 retransmissions)",
    "windows": "Windows (InitialRto 1 s, 4 retransmissions)",
    "linux": "Linux before 6.5",
    "linear": "Linux since 6.5",
    "macos": "macOS",
    "linux-old": "Linux before 3.1",
    "reset": "Windows after a reset",
}


@pytest.mark.parametrize(
    ("moments", "ttl", "reset", "expected"),
    [
        ((0, 3, 9), None, False, ["windows-old", "linux-old"]),
        ((0, 3, 9), 128, False, ["windows-old"]),  # the guide's: two SynReTransmit
        ((0, 2.99, 9.02), 121, False, ["windows-old"]),
        ((0, 1, 3, 7, 15), 128, False, ["windows"]),
        ((0, 1, 3, 7, 15), None, False, ["windows", "linux"]),
        ((0, 1, 3, 7, 15, 31), None, False, ["linux"]),
        ((0, 1.01, 3.06, 7.1, 15.4, 31.5, 64.8), 64, False, ["linux"]),
        ((0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67), 64, False, ["linear", "macos"]),
        ((0, 1, 2), None, False, ["linear", "macos"]),
        ((0, 1.03), None, False, ["windows", "linux", "linear", "macos"]),
        ((0, 3, 9, 21), None, False, ["linux-old"]),
        ((0, 0.5, 1.0), 128, True, ["reset"]),  # the guide's 0.994 s until error 10061
        ((0, 0.51, 1.02, 1.52, 2.03), None, True, ["reset"]),
        ((0, 0.5, 1.0), None, False, []),
        ((0, 5, 10), None, False, []),
        ((0,), None, False, []),
        ((), None, False, []),
    ],
)
def test_families(moments: tuple[float, ...], ttl: int | None, reset: bool, expected: list[str]) -> None:
    found = classify(moments, ttl=ttl, reset=reset)
    assert [family.name for family in found.families] == [NAMES[name] for name in expected]
    assert found.lost == 0


def test_a_lost_syn_is_allowed_for_and_said() -> None:
    found = classify((0, 1, 7, 15, 31))
    assert [family.name for family in found.families] == [NAMES["linux"]]
    assert found.lost == 1
    assert "1 SYN missing" in found.words


@pytest.mark.parametrize(
    ("moments", "began", "expected", "late"),
    [
        ((5.2, 7.2), 5.0, ["linux", "linear", "macos"], True),  # 1 s before them, 1 s or 5 SYNs before the capture
        ((5.2, 7.2, 11.3), 5.0, ["linux", "linear", "macos"], True),
        ((6.5, 8.5), 5.0, ["linear", "macos"], False),  # the SYN before the first would be in the capture
        ((5.2, 11.2), 5.0, ["linux-old"], True),
        ((5.2, 6.2, 8.2), 5.0, ["linux"], False),  # nothing is missing
        ((5.2, 10.2), 5.0, [], False),
    ],
)
def test_a_capture_may_begin_later_than_a_series(moments, began, expected, late) -> None:
    found = classify(moments, ttl=64, began=began)
    assert [family.name for family in found.families] == [NAMES[name] for name in expected]
    assert found.late is late
    assert ("before the capture began" in found.words) is late


def test_the_guides_words() -> None:
    words = classify((0, 3.0, 9.0), ttl=128).words
    assert words.startswith("SYN sent again after 3.0 s, 6.0 s (2 x SynReTransmit)")
    assert words.endswith("which gives up after 21 s")
    assert "no usual system" in classify((0, 7, 9)).words
    assert classify((0,)).words == "One SYN, not repeated"


@given(st.sampled_from([f for f in FAMILIES if len(f.waits) > 1]), st.data())
def test_a_family_is_found_in_spite_of_jitter_and_loss(family: Family, data: st.DataObject) -> None:
    jitter = [data.draw(st.floats(-0.02, 0.04)) for _ in family.waits]
    moments = list(accumulate((w * (1 + j) for w, j in zip(family.waits, jitter, strict=True)), initial=0.0))
    lost = data.draw(st.sets(st.integers(1, len(family.waits) - 1), max_size=min(MAX_LOST, len(family.waits) - 2)))
    found = classify(
        [m for i, m in enumerate(moments) if i not in lost], ttl=family.initials[0], reset=family.after_reset
    )
    assert found.lost <= len(lost)
    if found.lost == len(lost):
        assert family in found.families


@given(st.lists(st.floats(-1e9, 1e9), max_size=30), st.booleans())
def test_any_times(moments: list[float], reset: bool) -> None:
    assert classify(moments, reset=reset).words
