"""``netdiag explain``: the catalogue, one finding, a search."""

from __future__ import annotations

import json

import pytest

from netdiag.cli import main
from netdiag.model import Severity
from netdiag.rules import CATALOGUE, registry
from netdiag.rules.topics import HEADINGS, TOPICS


@pytest.fixture
def catalogue(monkeypatch):
    """Two findings that do not change with the real catalogue."""
    monkeypatch.setattr(registry, "CATALOGUE", {})

    @registry.rule("dns.name-not-found", "Name does not exist", Severity.ERROR, folds=("dns.no-address",))
    def first(seen):
        """The name servers say that there is no such name. Long enough to be wrapped, since it goes on and on and on.

        - a list item stays a line of its own
        - and another one
        """

    @registry.rule("tls.intercepted", "Certificate is replaced", Severity.ERROR, reference="https://example.org/x")
    def second(seen):
        """Somebody decrypts."""

    from netdiag.cli import explain

    monkeypatch.setattr(explain, "CATALOGUE", registry.CATALOGUE)
    monkeypatch.setattr(explain, "RENAMED", {"tls.replaced": "tls.intercepted"})
    monkeypatch.setattr(explain, "TOPICS", {})
    monkeypatch.setattr(explain, "HEADINGS", {})
    return registry.CATALOGUE


def run(capsys, *words):
    status = main(["explain", *words])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_catalogue_is_grouped_by_stem(catalogue, capsys):
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    assert out == (
        "dns\n"
        "  error    dns.name-not-found Name does not exist\n"
        "\n"
        "tls\n"
        "  error    tls.intercepted    Certificate is replaced\n"
        "\n"
        "netdiag explain ID says what a finding means and what to do.\n"
    )


def test_one_finding(catalogue, capsys):
    assert run(capsys, "dns.name-not-found")[1] == (
        "dns.name-not-found (error): Name does not exist\n"
        "\n"
        "The name servers say that there is no such name. Long enough to be wrapped,\n"
        "since it goes on and on and on.\n"
        "\n"
        "- a list item stays a line of its own\n"
        "- and another one\n"
        "\n"
        "It explains, and so replaces: dns.no-address\n"
    )


def test_the_reference_is_told(catalogue, capsys):
    assert run(capsys, "tls.intercepted")[1].endswith("Somebody decrypts.\n\nSee https://example.org/x\n")


def test_an_old_id_still_explains(catalogue, capsys):
    assert run(capsys, "tls.replaced") == run(capsys, "tls.intercepted")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("not", "exist"), ["dns.name-not-found"]),
        (("certificate",), ["tls.intercepted"]),
        (("DECRYPTS",), ["tls.intercepted"]),
        (("is", "replaced"), ["tls.intercepted"]),
        (("e",), ["dns.name-not-found", "tls.intercepted"]),
    ],
)
def test_words_search(words, found, catalogue, capsys):
    status, out, _ = run(capsys, *words, "--format", "json")
    assert (status, [entry["id"] for entry in json.loads(out)]) == (0, found)


def test_one_hit_of_a_search_is_explained(catalogue, capsys):
    assert run(capsys, "certificate")[1] == run(capsys, "tls.intercepted")[1]


def test_as_json(catalogue, capsys):
    assert json.loads(run(capsys, "tls.intercepted", "--format", "json")[1]) == {
        "id": "tls.intercepted",
        "title": "Certificate is replaced",
        "severity": "error",
        "explanation": "Somebody decrypts.",
        "folds": [],
        "reference": "https://example.org/x",
    }
    lines = run(capsys, "--format", "jsonl")[1].splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["dns.name-not-found", "tls.intercepted"]


def test_to_a_file(catalogue, capsys, tmp_path):
    file = tmp_path / "catalogue.json"
    assert run(capsys, "--output", str(file)) == (0, "", "")
    assert len(json.loads(file.read_text())) == 2


@pytest.mark.parametrize("identifier", CATALOGUE)
def test_every_real_finding_can_be_explained_in_80_columns(identifier, capsys):
    status, out, err = run(capsys, identifier)
    assert (status, err) == (0, "")
    assert out.startswith(identifier)
    assert [line for line in out.splitlines() if len(line) > 80 and "http" not in line] == []


@pytest.mark.parametrize("identifier", TOPICS)
def test_every_topic_can_be_explained_in_80_columns(identifier, capsys):
    status, out, err = run(capsys, identifier)
    assert (status, err) == (0, "")
    assert out.startswith(f"{identifier}: {TOPICS[identifier].title[:20]}")
    assert [line for line in out.splitlines() if len(line) > 80] == []


def test_topics_stand_below_the_findings(capsys):
    out = run(capsys)[1]
    assert out.index("\ntopics\n") > out.index("\nlog\n")
    assert set(TOPICS).isdisjoint(CATALOGUE)


@pytest.mark.parametrize(("heading", "identifier"), HEADINGS.items())
def test_each_heading_of_the_guide_is_found(heading, identifier, capsys):
    assert identifier in {*CATALOGUE, *TOPICS}
    for asked in ([heading], heading.split(), [heading.upper().rstrip(".")], [heading.replace("'", "’")]):
        assert run(capsys, *asked)[1].startswith(identifier)


@pytest.mark.parametrize(
    ("words", "identifier"),
    [
        ("register button", "register-button"),
        ("jre", "log.java-runtime-missing"),
        ("out of memory", "log.out-of-memory"),
        ("ttl table", "ttl-table"),
        ("concurrent jobs", "log.concurrent-jobs-limit"),
        ("gather logs", "gather-logs"),
        ("hop arithmetic", "hop-arithmetic"),
        ("bridge", "log.driver-not-on-destination"),
        ("fourth hop", "hop-arithmetic"),
        ("report id", "gather-logs"),
        ("synretransmit", "netmon-trace"),
        ("email notification", "address-notice"),
        ("urlfetch", "url-retrieval"),
        ("trust relationship", "log.trust-relationship-failed"),
    ],
)
def test_a_few_words_are_enough(words, identifier, capsys):
    assert run(capsys, *words.split())[1].startswith(identifier)


def test_a_topic_as_json(capsys):
    entry = json.loads(run(capsys, "register-button", "--format", "json")[1])
    assert (entry["id"], set(entry)) == ("register-button", {"id", "title", "explanation", "reference"})
