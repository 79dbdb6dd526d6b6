"""Labels: the shortest names that tell reports apart."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.incident.labels import MAX_LABEL, in_order, labelled
from netdiag.model import LabelledReport, MachineInfo, Report, Target
from tests.unit.incident import cases


def labels(*reports: LabelledReport) -> list[str]:
    return [one.label for one in labelled(in_order(reports))]


def saved(report: Report, file: str = "", label: str = "") -> LabelledReport:
    return LabelledReport(label=label, file=file, report=report)


A, B = cases.on("healthy-ipv4", "node-a.contoso.test"), cases.on("tcp-drop", "node-b", later_s=1.0)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([saved(A, "x.json"), saved(B, "y.json")], ["node-a", "node-b"]),
        # One machine twice: its files tell, else the targets, else the time.
        ([saved(A, "good.json"), saved(cases.made(A, later_s=9.0), "bad.json")], ["good", "bad"]),
        (
            [saved(A), saved(cases.on("chain-expired", "node-a.contoso.test", later_s=1.0))],
            ["node-a wu2.front…louddatahub.net", "node-a expired.contoso.test"],
        ),
        ([saved(A), saved(cases.made(A, later_s=65.0))], ["node-a 00:00:00", "node-a 00:01:05"]),
        # Without a machine.
        ([saved(cases.golden("healthy-ipv4"), "/tmp/C:\\saved\\web.json")], ["web"]),
        ([saved(cases.golden("healthy-ipv4"))], ["wu2.frontend.clouddatahub.net"]),
        # A file is called by its own name, whatever it was saved as.
        ([saved(cases.golden("cert-healthy"), "/tmp/1.json")], ["cert-healthy.pem"]),
        ([saved(cases.capture(), "/tmp/1.json")], ["guide-reset-ttl-61.pcap"]),
        # What is given stays.
        ([saved(A, label="The one"), saved(B, label="The other")], ["The one", "The other"]),
        ([saved(A, label="same"), saved(B, label="same")], ["same", "same #2"]),
        ([saved(A, label="x" * 40)], [f"{'x' * 16}…{'x' * 15}"]),
        ([saved(A, label="two\nlines\x20")], ["two lines"]),
    ],
)
def test_labels(reports, expected):
    assert labels(*reports) == expected


def test_what_nothing_tells_apart_is_numbered():
    twins = [saved(cases.made(A, command=command), "x.json") for command in ("endpoint", "endpoint")]
    assert labels(*twins) == ["node-a", "node-a #2"]


def test_labels_of_others_are_avoided():
    assert [one.label for one in labelled([saved(A, "x.json")], taken=["node-a", "x"])] == [
        "node-a wu2.front…louddatahub.net"
    ]


def test_the_order_given_does_not_matter():
    reports = [saved(A, "1.json"), saved(B, "2.json"), saved(cases.made(A, later_s=5.0), "3.json")]
    assert len({tuple(labels(*order)) for order in permutations(reports)}) == 1


@given(
    st.lists(
        st.tuples(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50), st.floats(0, 1e300)),
        min_size=1,
        max_size=12,
    )
)
def test_labels_are_unique_bounded_lines(given_reports):
    reports = [
        saved(
            cases.report(target=Target(host=host), started=at, machine=MachineInfo(name=machine)),
            file=file,
        )
        for machine, file, host, at in given_reports
    ]
    found = labels(*reports)
    assert len(set(found)) == len(found)
    assert all(label and len(label) <= MAX_LABEL and len(label.splitlines()) == 1 for label in found)
