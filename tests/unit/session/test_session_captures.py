"""Capture files as a library user analyses them."""

import functools
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import replace

import msgspec
import pytest

import netdiag
from netdiag import CaptureOptions
from netdiag.capture.engine import Connections
from netdiag.capture.exhibits import MAX_HEALTHY, MAX_LOSSY, MAX_REOPENED, MAX_RESET, MAX_STALLED
from netdiag.model import (
    CaptureObservation,
    ChainFault,
    ChainObservation,
    ConnectionObservation,
    Failure,
    Report,
    ServiceObservation,
    TlsObservation,
)
from netdiag.session import captures
from netdiag.session.captures import MAX_DRAWN, MAX_SERVICES, CaptureAnalysis, analyze_capture
from tests import pcaps
from tests.dialogues import answer, ask
from tests.frames import ACK, RST, SYN, Frame, Segment, Way, ethernet, ip, plain, tcp, udp, write_pcap
from tests.support import ROOT

FOLDER = ROOT / "captures"
LAB_ROOT = str(FOLDER / "lab-root.pem")


@functools.cache
def analysed(name: str, **options) -> CaptureAnalysis:
    return analyze_capture(str(FOLDER / name), **options)


def report_on(name: str, **options) -> Report:
    return analysed(name, **options).report


def of(report: Report, kind: type) -> list:
    return [o for o in report.observations if isinstance(o, kind)]


def test_the_report_s_frame():
    report = report_on("refused-closed-port.pcap")
    assert (report.command, report.target.scheme, report.target.host, report.route) == ("pcap", "file", "", "direct")
    assert report.target.authority == str(FOLDER / "refused-closed-port.pcap")
    assert report.took_s > 0
    assert isinstance(report.observations[0], CaptureObservation)
    assert len({o.id for o in report.observations}) == len(report.observations)
    assert {o.source for o in report.observations} == {"capture"}


@pytest.mark.parametrize(
    "name",
    [
        "refused-closed-port.pcap",
        "sni-filtered.pcap",
        "dns-nxdomain.pcap",
        "tls12-expired.pcap",
        "healthy-download.pcap",
    ],
)
def test_a_saved_report_is_judged_the_same(name):
    report = report_on(name, trust=(LAB_ROOT,))
    saved = netdiag.load_report(netdiag.render(report, "json"))
    again = netdiag.rejudge(saved)
    assert again.findings == report.findings
    assert again.verdict == report.verdict


def test_what_a_library_user_gets():
    analysis = analysed("six-at-once.pcap")
    assert isinstance(analysis.connections, Connections)
    rows = list(analysis.connections.rows())
    assert [row.number for row in rows] == list(range(len(analysis.connections)))
    assert {(s.address, s.port) for s in analysis.services} == {(row.server, row.server_port) for row in rows}


def test_columns():
    batches = list(netdiag.read_capture(str(FOLDER / "six-at-once.pcap")))
    (capture,) = of(report_on("six-at-once.pcap"), CaptureObservation)
    assert sum(len(columns.batch) for columns in batches) == capture.packets
    assert sum(len(columns.segments) for columns in batches) == capture.tcp_packets


def test_columns_tell_where_payloads_lie():
    (columns,) = netdiag.read_capture(str(FOLDER / "sni-filtered.pcap"))
    segments = columns.segments
    assert segments.captured.tolist() == segments.length.tolist()
    begins = columns.batch.data[segments.payload[segments.captured == 517]]
    assert begins.tolist() == [0x16] * 3  # the ClientHellos of three connections


def test_what_is_no_capture_is_a_usage_error(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("nothing of the kind\n" * 9)
    with pytest.raises(netdiag.UsageError, match=r"notes\.txt: is not a capture"):
        analyze_capture(str(path))
    with pytest.raises(netdiag.UsageError, match=r"notes\.txt: is not a capture"):
        netdiag.read_capture(str(path))
    with pytest.raises(netdiag.UsageError, match="no capture file given"):
        analyze_capture([])


def test_captured_certificates_are_verified_for_their_time():
    (chain,) = of(report_on("tls12-expired.pcap", trust=(LAB_ROOT,)), ChainObservation)
    (tls,) = of(report_on("tls12-expired.pcap", trust=(LAB_ROOT,)), TlsObservation)
    assert (chain.parent, chain.host, chain.at) == (tls.id, "expired.contoso.test", tls.started)
    assert [fault.kind for fault in chain.faults] == ["expired"]
    (chain,) = of(report_on("tls12-healthy.pcap", trust=(LAB_ROOT,)), ChainObservation)
    assert chain.faults == ()


def test_without_a_name_no_name_is_wrong():
    fault = {"element": 0, "subject": "CN=x", "detail": ""}
    wrong, old = ChainFault(kind="name-mismatch", **fault), ChainFault(kind="expired", **fault)
    failure = Failure(kind="certificate", step="verify")
    chain = ChainObservation(id="", host="192.0.2.1", faults=(wrong,), outcome="failed", failure=failure)
    assert captures._for_any_name(chain) == ChainObservation(id="", host="192.0.2.1")
    both = msgspec.structs.replace(chain, faults=(wrong, old))
    assert captures._for_any_name(both) == msgspec.structs.replace(chain, faults=(old,))


def test_a_bug_costs_one_step(monkeypatch):
    def broken(*_arguments, **_options):
        raise RuntimeError("boom")

    monkeypatch.setattr("netdiag.capture.resets.resets", broken)
    report = analyze_capture(str(FOLDER / "refused-closed-port.pcap")).report
    assert ["RuntimeError: boom" in error for error in report.internal_errors] == [True]
    assert report.verdict.finding == "tcp.refused"
    report = analyze_capture(str(FOLDER / "healthy-download.pcap")).report
    assert report.verdict.status == "inconclusive"


def test_progress_and_an_early_end():
    seen = []
    cancel = threading.Event()
    cancel.set()
    path = str(FOLDER / "healthy-download.pcap")
    analysis = analyze_capture(path, progress=lambda *numbers: seen.append(numbers), cancel=cancel)
    assert analysis.report.verdict.status == "inconclusive"
    (capture,) = of(analysis.report, CaptureObservation)
    assert capture.remarks == (f"reading was ended after packet {capture.packets:,}",)
    analyze_capture(path, progress=lambda *numbers: seen.append(numbers))
    size = (FOLDER / "healthy-download.pcap").stat().st_size
    assert seen[-1] == (size, size, capture.packets)


def flows(analysis: CaptureAnalysis) -> list[str]:
    return [row.name for row in analysis.connections.rows()]


def test_names_that_only_a_request_tells():
    analysis = analysed("loss.pcap")
    assert flows(analysis) == ["data.contoso.test"]
    (service,) = analysis.services
    assert service.names == ("data.contoso.test",)
    (column,) = [list(block["name"]) for block in analysis.connections.columns()]
    assert column == ["data.contoso.test"]


def test_names_that_only_dns_tells(tmp_path):
    """By client: what the one was told before it connected, and what anybody was told for the other."""
    question = ask(-1, name="told.example")
    frames: list[Frame] = []
    for message in (question, answer(question, "192.0.2.9")):
        ends = (socket.inet_aton(message.source), socket.inet_aton(message.destination))
        way = Way(*ends, message.source_port, message.destination_port)
        data = ethernet(plain(ip(way, 17, udp(way.source_port, way.destination_port, message.payload))))
        frames.append((len(frames) + 1, round(message.at * 1e9), 1, data, len(data)))
    for client in (socket.inet_aton(question.source), bytes([10, 0, 0, 99])):
        data = ethernet(
            plain(ip(way := Way(client, bytes([192, 0, 2, 9]), 50_000, 8443), 6, tcp(way, Segment(1, 0, SYN))))
        )
        frames.append((len(frames) + 1, round(question.at * 1e9) + 10**9, 1, data, len(data)))
    analysis = analyze_capture(str(write_pcap(tmp_path / "told.pcap", frames)))
    assert flows(analysis) == ["told.example", "told.example"]
    assert [list(block["name"]) for block in analysis.connections.columns()] == [["told.example", "told.example"]]
    assert [service.names for service in analysis.services] == [("told.example",)]


def test_names_that_only_a_tunnel_tells():
    """The proxy itself is known by what it is called, not by whom it leads to."""
    analysis = analysed("proxy-connect-403.pcap")
    assert [name for name in flows(analysis) if name.endswith(":443")]
    assert not [name for service in analysis.services for name in service.names if name.endswith(":443")]


def test_names_that_only_the_file_tells(tmp_path):
    path = tmp_path / "named.pcapng"
    four = struct.pack("<HH", 1, 4 + 13) + bytes([192, 0, 2, 9]) + b"file.example\0" + bytes(3)
    way = Way(bytes([10, 0, 0, 1]), bytes([192, 0, 2, 9]), 50_000, 443)
    data = ethernet(plain(ip(way, 6, tcp(way, Segment(1, 0, SYN)))))
    path.write_bytes(pcaps.shb() + pcaps.idb() + pcaps.block(4, four + bytes(4)) + pcaps.epb(data))
    analysis = analyze_capture(str(path))
    assert flows(analysis) == ["file.example"]
    assert [service.names for service in analysis.services] == [("file.example",)]


def test_what_a_tool_put_into_the_file_is_no_comment(tmp_path):
    path = tmp_path / "commented.pcapng"
    said = (b"Counters provided by dumpcap", b"Look here")
    blocks = [pcaps.shb(pcaps.option(1, text) + bytes(4)) for text in said]
    path.write_bytes(b"".join(blocks) + pcaps.idb())
    (capture,) = of(analyze_capture(str(path)).report, CaptureObservation)
    assert capture.comments == ("Look here",)


def test_every_reset_is_listed_when_asked_for(tmp_path):
    """400 connections that the server resets from elsewhere: the packets of most of them are not kept."""
    frames: list[Frame] = []
    for number in range(400):
        there = Way(bytes([10, 0, 0, 1]), bytes([192, 0, 2, 9]), 20_000 + number, 443, ttl=128, ip_id=7)
        back = Way(there.destination, there.source, 443, there.source_port, ttl=107, ip_id=9)
        for way, segment in (
            (there, Segment(1, 0, SYN)),
            (back, Segment(100, 2, SYN | ACK)),
            (there, Segment(2, 101, ACK)),
            (replace(back, ttl=61), Segment(101, 0, RST)),
        ):
            data = ethernet(plain(ip(way, 6, tcp(way, segment))))
            frames.append((len(frames) + 1, len(frames) * 1_000_000, 1, data, len(data)))
    path = str(write_pcap(tmp_path / "resets.pcap", frames))
    assert analyze_capture(path).report.resets == ()
    report = analyze_capture(path, CaptureOptions(resets=True)).report
    assert (len(report.resets), report.more_resets) == (400, 0)
    assert [entry.connection for entry in report.resets] == list(range(400))
    kept, bare = report.resets[0], report.resets[399]
    assert (kept.frame, bare.frame, bare.at) == (4, None, None)
    for entry in (kept, bare):
        assert (entry.claimed, entry.count, entry.ttl, entry.origin) == ("server", 1, 61, "path-device")
        assert any("TTL 61 = 64 - 3" in line for line in entry.arithmetic)
        assert any("TTL 107 = 128 - 21" in line for line in entry.arithmetic)
    assert kept.conclusion == bare.conclusion == "Almost certainly sent by a device on the path (confidence 93%)"
    assert "probably" not in bare.conclusion
    again = netdiag.load_report(netdiag.render(report, "json"))
    assert again.resets == report.resets


def test_too_many_resets_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("netdiag.rules.reset_entries.MAX_LISTED", 1)
    report = analyze_capture(str(FOLDER / "six-at-once.pcap"), CaptureOptions(resets=True)).report
    if report.resets:
        assert len({entry.connection for entry in report.resets}) == 1
    everything = analyze_capture(str(FOLDER / "reset-by-server-unread-data.pcap"), CaptureOptions(resets=True)).report
    assert len({entry.connection for entry in everything.resets}) == 1
    assert everything.more_resets > 0


def test_who_owned_a_connection():
    (observation,) = of(report_on("netsh-reset-ttl-61.etl"), ConnectionObservation)
    assert observation.connection.process == "process 4711"


@pytest.mark.parametrize("name", ["healthy-download.pcap", "mirror-port.pcap", "net-tcp-healthy.pcap"])
def test_a_healthy_summary_tells_no_share_of_few_packets(name):
    summary = report_on(name).verdict.summary
    assert "%" not in summary
    assert "0 packets" not in summary


def syn(port: int, seconds: float) -> Frame:
    """A SYN from 10.0.0.5 to a port of 192.0.2.1."""
    way = Way(bytes((10, 0, 0, 5)), bytes((192, 0, 2, 1)), 50_000, port, ip_id=int(seconds) + 1)
    data = ethernet(plain(ip(way, 6, tcp(way, Segment(seq=port, flags=SYN)))))
    return 0, 1_700_000_000_000_000_000 + int(seconds * 1e9), 1, data, len(data)


def scan(tmp_path, ports: int) -> str:
    """Two SYNs to each of many ports, two seconds apart, and one more a minute later."""
    frames = [syn(port, delay + port / 1e6) for delay in (0, 2) for port in range(1, ports + 1)]
    return str(write_pcap(tmp_path / "scan.pcap", [*frames, syn(ports + 1, 60)]))


def test_a_scan_is_one_finding_in_a_small_report(tmp_path):
    analysis = analyze_capture(scan(tmp_path, 900))
    (finding,) = analysis.report.findings
    assert (finding.id, str(finding.severity)) == ("tcp.no-reply", "error")
    assert "more connections to other servers were not answered" in finding.summary
    services = of(analysis.report, ServiceObservation)
    assert MAX_SERVICES < len(services) <= MAX_RESET + MAX_REOPENED + MAX_STALLED + MAX_LOSSY + MAX_HEALTHY + 1
    assert services[-1].address == ""
    named, others = finding.summary.split("likewise ")[1].split("; ")
    told = 1 + named.count(",") + 1 + int(named.split(" and ")[1].split()[0]) + int(others.split()[0])
    assert told == len(analysis.connections) == 901
    drawn = [o for o in of(analysis.report, ConnectionObservation) if o.segments]
    assert len(drawn) == min(MAX_DRAWN, MAX_REOPENED + MAX_HEALTHY)
    assert {o.id for o in drawn} <= {f"connection-{row.number}" for row in analysis.connections.rows()}


def test_the_conversations_asked_for_are_drawn(tmp_path):
    options = netdiag.CaptureOptions(conversations=(899,))
    report = analyze_capture(scan(tmp_path, 900), options).report
    assert [o.connection.number for o in of(report, ConnectionObservation) if o.segments].count(899) == 1


def filtered(name: str, **choices) -> Report:
    return analyze_capture(str(FOLDER / name), netdiag.CaptureOptions(**choices)).report


def test_a_name_is_found_in_the_capture_itself():
    report = filtered("sni-filtered.pcap", hosts=("portal.contoso.test",))
    (capture,) = of(report, CaptureObservation)
    assert capture.connections == len(analysed("sni-filtered.pcap").connections)  # one address has both names
    report = filtered("tls13-healthy.pcap", hosts=("wu2.frontend.clouddatahub.net",))
    assert (report.verdict.status, of(report, CaptureObservation)[0].connections) == ("healthy", 1)


def test_a_name_that_the_capture_does_not_know():
    with pytest.raises(netdiag.UsageError, match=r"six-at-once\.pcap: nothing in it tells an address of a\.example"):
        filtered("six-at-once.pcap", hosts=("a.example",))
    with pytest.raises(netdiag.UsageError, match="stdin"):
        analyze_capture("-", netdiag.CaptureOptions(hosts=("a.example",)))


@pytest.mark.parametrize(
    ("choices", "finding"),
    [
        ({}, "dns.name-not-found"),
        ({"hosts": ("10.10.4.53",)}, "dns.name-not-found"),
        ({"ports": (53,)}, "dns.name-not-found"),
        ({"hosts": ("192.0.2.99",)}, None),
        ({"ports": (443,)}, None),
    ],
)
def test_lookups_are_filtered_too(choices, finding):
    assert filtered("dns-nxdomain.pcap", **choices).verdict.finding == finding


def test_a_filter_that_lets_nothing_pass_proves_nothing():
    verdict = filtered("six-at-once.pcap", ports=(7,)).verdict
    assert verdict.status == "inconclusive"
    assert "none of a connection that was asked for" in verdict.summary


def test_nothing_large_is_imported_for_a_capture_without_certificates():
    script = (
        "import sys, netdiag\n"
        f"netdiag.render(netdiag.analyze_capture({str(FOLDER / 'refused-closed-port.pcap')!r}).report, 'json')\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('netdiag.')))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    packages, ours = (set(line.split()) for line in run.stdout.splitlines())
    assert "numpy" in packages
    assert (
        packages & {"rich", "scapy", "cryptography", "certifi", "OpenSSL", "dns", "ssl", "asyncio", "pyarrow"} == set()
    )
    assert {name for name in ours if name.startswith(("netdiag.probes", "netdiag.pki", "netdiag.cli"))} == set()
