"""The catalogue of finding ids: locked, explained, and each one detected by some test."""

from __future__ import annotations

import itertools
import re

import pytest

from netdiag.rules import CATALOGUE, RENAMED
from netdiag.rules.registry import SUBJECTS
from tests.support import ROOT

LOCK = ROOT / "tests" / "unit" / "rule_ids.lock"
#: Folders whose tests state the findings that they expect.
EXPECTATIONS = ("tests/unit/rules", "tests/unit/golden", "tests/lab", "captures")


def test_the_lock_file_holds_the_catalogue():
    """``make lock`` writes it. An id that goes must stay in RENAMED: users' scripts know it."""
    assert LOCK.read_text(encoding="utf-8").split() == sorted(CATALOGUE)


def test_the_findings_of_a_stem_stand_together():
    """The order of the catalogue is that of the imports, and one rule that is imported too early moves a stem."""
    stems = [identifier.partition(".")[0] for identifier in CATALOGUE]
    assert [stem for stem, _ in itertools.groupby(stems)] == list(dict.fromkeys(stems))


@pytest.mark.parametrize("identifier", CATALOGUE)
def test_each_rule_explains_itself(identifier):
    rule = CATALOGUE[identifier]
    assert re.fullmatch(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*", identifier)
    assert rule.title
    assert not rule.title.endswith(".")
    # What it means, why it matters, what to do: more than a line, and readable in a terminal.
    assert len(rule.explanation.split()) >= 20
    assert [line for line in rule.explanation.splitlines() if len(line) > 100] == []


@pytest.mark.parametrize("identifier", CATALOGUE)
def test_a_rule_folds_findings_that_exist(identifier):
    assert set(CATALOGUE[identifier].folds) - set(CATALOGUE) == set()
    assert identifier not in CATALOGUE[identifier].folds


def test_rules_with_a_subject_stand_in_modules_of_their_stem():
    """Captures load the modules of those stems whose subjects they show."""
    homes = {identifier: CATALOGUE[identifier].check.__module__.rpartition(".")[2] for identifier in CATALOGUE}
    strays = {i: home for i, home in homes.items() if i.partition(".")[0] != home.partition("_")[0]}
    assert [i for i, home in strays.items() if {i.partition(".")[0], home.partition("_")[0]} & set(SUBJECTS)] == []


def test_renamed_ids_lead_to_findings_that_exist():
    assert set(RENAMED.values()) <= set(CATALOGUE)


@pytest.fixture(scope="module")
def expected_ids():
    files = (path for folder in EXPECTATIONS for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".json"))
    return set(re.findall(r"""["']([a-z]+\.[a-z0-9-]+)["']""", "\n".join(p.read_text(encoding="utf-8") for p in files)))


@pytest.mark.parametrize("identifier", CATALOGUE)
def test_some_test_expects_each_finding(identifier, expected_ids):
    assert identifier in expected_ids
