"""The catalogue's own rules: what an id may look like, and which finding explains which away."""

from collections.abc import Iterator

import pytest

from netdiag.model import Severity, Target, TcpObservation
from netdiag.rules import registry
from netdiag.rules.registry import CATALOGUE, Hit, findings, rule
from netdiag.rules.seen import Seen

BELOW = TcpObservation(id="below", address="192.0.2.1", port=1)
ABOVE = TcpObservation(id="above", parent="below", address="192.0.2.1", port=1)
ASIDE = TcpObservation(id="aside", address="192.0.2.2", port=1)
SEEN = Seen(Target(host="a.example"), "direct", [BELOW, ABOVE, ASIDE])


@pytest.fixture(autouse=True)
def empty_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CATALOGUE", {})


def add(
    identifier: str, evidence: TcpObservation, severity: Severity = Severity.ERROR, folds: tuple[str, ...] = ()
) -> None:
    def check(seen: Seen) -> Iterator[Hit]:
        """Explain."""
        yield Hit(summary="s", blame="unknown", remedy="r", evidence=(evidence,))

    rule(identifier, "t", severity, folds=folds)(check)


def ids() -> list[str]:
    return [finding.id for finding in findings(SEEN)]


def test_the_worst_comes_first_and_the_catalogues_order_decides_the_rest() -> None:
    add("dns.a", BELOW, Severity.INFO)
    add("dns.b", BELOW, Severity.WARNING)
    add("tcp.c", BELOW)
    add("tls.d", BELOW)
    assert ids() == ["tcp.c", "tls.d", "dns.b", "dns.a"]


@pytest.mark.parametrize("symptom", [BELOW, ABOVE])
def test_a_cause_replaces_a_symptom_on_the_same_evidence_or_on_what_depends_on_it(symptom: TcpObservation) -> None:
    add("dns.cause", BELOW, folds=("tcp.symptom",))
    add("tcp.symptom", symptom)
    [finding] = findings(SEEN)
    assert finding.id == "dns.cause"
    assert finding.folded == ("tcp.symptom",)


def test_a_cause_does_not_replace_a_symptom_elsewhere() -> None:
    add("dns.cause", BELOW, folds=("tcp.symptom",))
    add("tcp.symptom", ASIDE)
    assert ids() == ["dns.cause", "tcp.symptom"]


def test_a_cause_does_not_reach_below_its_evidence() -> None:
    add("dns.cause", ABOVE, folds=("tcp.symptom",))
    add("tcp.symptom", BELOW)
    assert ids() == ["dns.cause", "tcp.symptom"]


def test_a_lesser_finding_explains_no_graver_one_away() -> None:
    add("dns.cause", BELOW, Severity.INFO, folds=("tcp.symptom",))
    add("tcp.symptom", BELOW, Severity.ERROR)
    assert ids() == ["tcp.symptom", "dns.cause"]


def test_a_chain_of_causes_ends_in_the_first() -> None:
    add("dns.first", BELOW, folds=("tcp.second",))
    add("tcp.second", BELOW, folds=("tls.third",))
    add("tls.third", BELOW)
    [finding] = findings(SEEN)
    assert finding.id == "dns.first"
    assert finding.folded == ("tcp.second", "tls.third")


def test_of_two_that_name_each_other_one_stays() -> None:
    add("dns.one", BELOW, folds=("tcp.other",))
    add("tcp.other", BELOW, folds=("dns.one",))
    assert len(ids()) == 1


@pytest.mark.parametrize("bad", ["dns", "dns.", "DNS.x", "dns.X", "dns.a_b", "dns.a-", "dns.a.b"])
def test_a_malformed_id_fails_at_import(bad: str) -> None:
    with pytest.raises(ValueError, match=r"stem\.kebab-slug"):
        add(bad, BELOW)


def test_a_duplicate_id_fails_at_import() -> None:
    add("dns.a", BELOW)
    with pytest.raises(ValueError, match="already taken"):
        add("dns.a", BELOW)


def test_a_rule_without_an_explanation_fails_at_import() -> None:
    def check(seen: Seen) -> Iterator[Hit]:
        yield from ()

    with pytest.raises(ValueError, match="no docstring"):
        rule("dns.a", "t", Severity.INFO)(check)


def test_the_real_catalogue_is_untouched_by_these_tests() -> None:
    assert "tcp.refused" in CATALOGUE
