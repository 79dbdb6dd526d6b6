"""BetterTLS: every graph, and of the combinations of names and constraints every tenth, in both profiles.

``python -m tests.conformance.test_bettertls`` goes through all combinations.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

import pytest

from netdiag.pki.api import verify_certificate
from tests.conformance.bettertls import Asked, NameConstraints, combinations, path_building
from tests.conformance.forge import NOW

PROFILES = ("rfc5280", "webpki")
#: Prime to the number of states, so that each state of each field meets each of every other.
STEP = 11


def trusted(asked: Asked, profile: str) -> bool:
    return verify_certificate(
        asked.leaf.der,
        untrusted=[made.der for made in asked.pool],
        trust=[asked.root.der],
        hostname=asked.host,
        at=NOW,
        profile=profile,
    ).trusted


def wrong(questions: Iterable[Asked], profile: str) -> list[str]:
    return [asked.label for asked in questions if trusted(asked, profile) is not asked.accepted]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("asked", list(path_building()), ids=lambda asked: asked.label)
def test_path_building(asked: Asked, profile: str) -> None:
    assert trusted(asked, profile) is asked.accepted


@pytest.mark.parametrize("profile", PROFILES)
def test_name_constraints(profile: str) -> None:
    suite = NameConstraints()
    assert wrong(map(suite.ask, itertools.islice(combinations(), None, None, STEP)), profile) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_smuggled_names(profile: str) -> None:
    assert wrong(itertools.islice(NameConstraints().smuggled(), None, None, STEP), profile) == []


if __name__ == "__main__":
    suite = NameConstraints()
    for questions, what in (
        (lambda: map(suite.ask, combinations()), "combinations"),
        (suite.smuggled, "smuggled names"),
        (path_building, "graphs"),
    ):
        for profile in PROFILES:
            count = Counter((asked.accepted, trusted(asked, profile)) for asked in questions())
            print(what, profile, {f"expected {want}, got {got}": n for (want, got), n in count.items()})
