"""Error texts of the guide and others -> exactly one finding each, with the right facts, however they are wrapped."""

from __future__ import annotations

import msgspec
import pytest

from netdiag.irlog.entry import Entry
from netdiag.irlog.grouping import observation_of
from netdiag.irlog.reader import read
from netdiag.model import LogFileObservation, LogPlace, Target
from netdiag.rules import Seen, conclude_log
from netdiag.rules.log_files import findings, recognise
from netdiag.rules.log_issue import ISSUES, MAX_HITS
from tests.unit.rules.log_texts import CASES, elsewhere, nested, wrapped
from tests.unrelated import LINES, NEAR

TARGET = Target(host="", port=0, scheme="file", path="a.log")


def name(case):
    return f"{case.id.partition('.')[2]}{'-' if case.name else ''}{case.name}"


def judged(text: str, tmp_path):
    file = tmp_path / "a.log"
    file.write_text(text, encoding="utf-8")
    observations = read([str(file)], known=recognise)
    return findings(Seen(TARGET, "direct", (observations[0], *observations[1])))


def check(case, found, facts, command):
    assert [finding.id for finding in found] == [case.id]
    finding = found[0]
    said = "\n".join((finding.summary, finding.remedy, *finding.details))
    assert [fact for fact in facts if fact not in said] == []
    if command:
        assert command in finding.commands


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_text_itself(case, tmp_path):
    check(case, judged(case.text, tmp_path), case.facts, case.command)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_wrapped_at_60_columns(case, tmp_path):
    check(case, judged(wrapped(case.text), tmp_path), case.facts, case.command)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_nested_in_log_properties(case, tmp_path):
    check(case, judged(nested(case.text), tmp_path), case.facts, case.command)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_with_other_names(case, tmp_path):
    text, facts, command = elsewhere(case)
    check(case, judged(text, tmp_path), facts, command)


def test_every_known_issue_has_a_text():
    assert {case.id for case in CASES} == set(ISSUES)


@pytest.mark.parametrize("line", NEAR)
def test_what_is_near_to_a_known_issue_is_none(line, tmp_path):
    assert {finding.id for finding in judged(line, tmp_path)} <= {"log.unknown-error"}


def test_unrelated_logs_give_no_known_issue(tmp_path):
    assert len(set(LINES)) >= 300
    assert [line for line in LINES if recognise(observation_of(Entry(text=line), "a.log"))] == []
    together = judged("\n".join(LINES), tmp_path)
    assert [finding.id for finding in together] == ["log.unknown-error"]
    alone = judged("\n\n".join(LINES), tmp_path)
    assert {finding.id for finding in alone} == {"log.unknown-error"}


def test_the_verdict_follows_the_findings(tmp_path):
    def verdict(text):
        file = tmp_path / "a.log"
        file.write_text(text, encoding="utf-8")
        summary, errors = read([str(file)], known=recognise)
        seen = Seen(TARGET, "direct", (summary, *errors))
        return conclude_log(seen, findings(seen))

    assert verdict("2024-05-21 10:00:00 ERROR Authentication Key is not assigned yet").status == "failed"
    assert verdict("2024-05-21 10:00:00 ERROR strange things").status == "impaired"
    healthy = verdict("2024-05-21 10:00:00 INFO all is well\n2024-05-21 10:00:01 INFO still")
    assert (healthy.status, healthy.finding, healthy.summary) == ("healthy", None, "a.log: no error in 2 lines")


def test_a_log_that_was_not_read_to_its_end_is_inconclusive():
    seen = Seen(TARGET, "direct", (LogFileObservation(id="log", paths=("a.log",), formats=("text",), entries=3),))
    assert conclude_log(seen, (), whole=False).summary == "a.log: only 3 lines were read"


def of(*observations):
    return findings(Seen(TARGET, "direct", observations))


def test_a_cause_explains_what_other_errors_show():
    """The sync that does not end is the consequence of a key that may not be used, in another entry of the log."""
    key = observation_of(Entry(text="The error code returned from the cryptographic module is 0x8009030D."), "a")
    pending = observation_of(Entry(text="node is trying to sync the credentials across nodes."), "a")
    (finding,) = of(msgspec.structs.replace(key, id="log.1"), msgspec.structs.replace(pending, id="log.2"))
    assert (finding.id, finding.folded, finding.evidence) == (
        "log.private-key-access-denied",
        ("log.credential-sync-pending",),
        ("log.1", "log.2"),
    )


def test_the_most_frequent_error_leads():
    rare = observation_of(Entry(text="Authentication Key is not assigned yet"), "a")
    often = observation_of(Entry(text="System.OutOfMemoryException: x"), "a")
    rare, often = (msgspec.structs.replace(o, id=f"log.{n}", count=n) for n, o in ((1, rare), (9, often)))
    assert [finding.id for finding in of(rare, often)] == ["log.out-of-memory", "log.authentication-key-missing"]


def test_each_other_node_has_its_finding_up_to_a_bound():
    texts = (f"net.tcp://n{n}.contoso.com:8060/ TCP error code 10061: refused" for n in range(20))
    nodes = [msgspec.structs.replace(observation_of(Entry(text=t), "a"), id=f"log.{n}") for n, t in enumerate(texts)]
    found = of(*nodes)
    assert len(found) == MAX_HITS
    assert found[-1].details[-1] == "12 more like this, in other words or about other places"


def test_hosts_of_a_saved_report_that_are_none_are_in_no_command():
    seen = observation_of(Entry(text="net.tcp://x:8060/ TCP error code 10061: refused"), "a")
    for host in ("$(reboot)", "a b", "-rf", "a;b", "a\nb", ""):
        (finding,) = of(msgspec.structs.replace(seen, places=(LogPlace(host=host, port=8060, scheme="net.tcp"),)))
        assert finding.commands == ()


@pytest.mark.parametrize(
    ("code", "span", "words"),
    [
        (10061, "00:00:00.0010000", "at the first packet"),
        (10061, "00:00:00.9940994", "twice more"),
        (10061, "00:00:02.0110000", "four times more"),
        (10061, "00:00:09.0000000", "several addresses"),
        (10060, "00:00:21.0400000", "no packet was answered"),
        (10060, "00:00:07.0200000", "two repetitions"),
        (10060, "00:00:42.1000000", "one after the other"),
        (10060, "00:00:03.0000000", "before Windows did"),
    ],
)
def test_what_the_time_of_an_attempt_tells(code, span, words):
    seen = observation_of(Entry(text=f"net.tcp://n:8060/ for a time span of {span}. TCP error code {code}: x"), "a")
    (finding,) = of(seen)
    assert any(words in detail for detail in finding.details)
