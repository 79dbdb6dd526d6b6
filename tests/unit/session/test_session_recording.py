"""Whether a run captures itself, and what becomes of the file."""

import contextlib
import dataclasses

import pytest

from netdiag.model import Failure, Flow, TcpObservation, UsageError, WireObservation
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Net
from netdiag.probes.tap import BlindTap
from netdiag.session import Options, diagnose_endpoint, diagnose_endpoints, recording
from netdiag.session.recording import MAX_TAPPED, Recording, start_recording
from tests.taps import CLIENT, SERVER, START, Wire

NO_RIGHT = "that takes a right"


class FakeTap:
    """Saw what it is given."""

    method = "af-packet"
    limits = ("Only the first 9 packets were kept, for want of room.",)

    def __init__(self, wire: Wire | None = None) -> None:
        self.wire = wire or Wire()
        self.watched: list[str] = []
        self.closed = 0

    def watch(self, addresses):
        assert not self.closed
        self.watched += addresses

    def packets(self):
        return self.wire.packets

    def close(self):
        self.closed += 1


@pytest.fixture
def opened(monkeypatch) -> FakeTap:
    tap = FakeTap()
    tap.wire.open(50001)
    monkeypatch.setattr(recording, "open_tap", lambda: tap)
    return tap


def machine(**more) -> Machine:
    return Machine(net=Net(lookup=lambda name: ("127.0.0.1",)), name_servers=(), environment={}, **more)


def probe(failure: Failure | None = None) -> TcpObservation:
    flow = Flow(client=CLIENT, client_port=50001, server=SERVER, server_port=443)
    return TcpObservation(
        id="tcp.direct",
        address=SERVER,
        port=443,
        flow=flow,
        failure=failure,
        outcome="failed" if failure else "ok",
        started=START,
        took_s=1.0,
    )


@pytest.mark.parametrize(
    ("options", "targets", "expected"),
    [
        (Options(), 1, True),
        (Options(), MAX_TAPPED, True),
        (Options(), MAX_TAPPED + 1, False),
        (Options(tap=False), 1, False),
        (Options(tap=False, capture="own.pcapng"), 1, True),
        (Options(capture="own.pcapng"), MAX_TAPPED + 1, True),
    ],
)
def test_when_a_run_captures_itself(opened, tmp_path, monkeypatch, options, targets, expected):
    monkeypatch.chdir(tmp_path)
    made = start_recording(options, machine(), targets)
    assert bool(made.add((), START)) is expected
    made.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_embedded_world_has_no_packets(opened):
    there = dataclasses.replace(machine(), net=Net(translate=lambda address: address))
    assert start_recording(Options(capture="x.pcapng"), there, 1).add((), START) == ()


def test_every_address_is_watched_before_it_is_used(opened):
    made = start_recording(Options(), dataclasses.replace(machine(), name_servers=(Address("10.0.0.53", 53),)), 1)
    there = made.watched(dataclasses.replace(machine(), name_servers=(Address("10.0.0.53", 53),)))
    assert opened.watched == ["10.0.0.53"]
    assert there.net.real
    with contextlib.closing(there.net.start_connect(Address("127.0.0.1", 9))):
        assert opened.watched[1:] == ["127.0.0.1"]
    with contextlib.closing(there.net.udp(Address("127.0.0.2", 9))):
        assert opened.watched[2:] == ["127.0.0.2"]
    assert there.net.lookup("any") == ("127.0.0.1",)


def test_the_report_says_what_was_captured(opened):
    made = start_recording(Options(), machine(), 1)
    found = made.add((probe(),), START)
    [wire] = [o for o in found if isinstance(o, WireObservation)]
    assert (wire.outcome, wire.method, wire.packets, wire.interfaces) == ("ok", "af-packet", 3, ("eth0",))
    assert (wire.limits, wire.path) == (opened.limits, "")
    assert [o.id for o in found if o.source == "probe"] == ["tcp.direct"]


def test_without_the_right_the_report_says_so_and_nothing_else_changes(monkeypatch):
    monkeypatch.setattr(recording, "open_tap", lambda: BlindTap(NO_RIGHT))
    made = start_recording(Options(), machine(), 1)
    here = machine()
    assert made.watched(here) is here
    found = made.add((probe(Failure(kind="timeout", step="connect")),), START)
    [wire] = [o for o in found if isinstance(o, WireObservation)]
    assert (wire.outcome, wire.unseen) == ("not-run", ())
    assert NO_RIGHT in wire.limits[0]
    made.close()


def test_a_file_that_there_will_not_be_is_refused_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(recording, "open_tap", lambda: BlindTap(NO_RIGHT))
    with pytest.raises(UsageError, match=rf"own\.pcapng: nothing can be captured: {NO_RIGHT}"):
        start_recording(Options(capture=str(tmp_path / "own.pcapng")), machine(), 1)
    assert list(tmp_path.iterdir()) == []


def test_standard_output_is_no_place_for_packets(opened):
    with pytest.raises(UsageError, match="--capture -: "):
        start_recording(Options(capture="-"), machine(), 1)
    assert not opened.watched


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_probed(opened, tmp_path):
    reports = diagnose_endpoints(
        ["127.0.0.1"], options=Options(capture=str(tmp_path / "no" / "own.pcapng")), machine=machine()
    )
    with pytest.raises(UsageError, match="cannot be written"):
        next(reports)
    assert opened.watched == []
    assert opened.closed


def test_the_file_is_complete_or_what_it_was(opened, tmp_path):
    from netdiag.capture.reader import open_capture

    path = tmp_path / "own.pcapng"
    path.write_bytes(b"what was there")
    made = start_recording(Options(capture=str(path)), machine(), 1)
    [wire, _] = sorted(made.add((probe(),), START), key=lambda o: o.id, reverse=True)
    assert wire.path == str(path)
    assert path.read_bytes() == b"what was there"
    made.close()
    made.close()
    with open_capture(str(path)) as reader:
        assert [len(batch) for batch in reader] == [3]
    assert [comment.frame for comment in reader.info.comments] == [1]
    assert reader.info.application.startswith("netdiag ")
    assert list(tmp_path.iterdir()) == [path]


def test_bad_options_leave_no_file(opened, tmp_path):
    path = tmp_path / "own.pcapng"
    options = Options(capture=str(path), trust=(str(tmp_path / "none.pem"),), timeout_s=0.2)
    with pytest.raises(UsageError, match=r"none\.pem"):
        diagnose_endpoint("127.0.0.1:9", options=options, machine=machine())
    assert list(tmp_path.iterdir()) == []
    assert opened.closed


def test_a_full_disk_is_said_in_a_line(opened, tmp_path, monkeypatch):
    made = start_recording(Options(capture=str(tmp_path / "own.pcapng")), machine(), 1)

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("netdiag.capture.writer.write_pcapng", full)
    with pytest.raises(UsageError, match=r"own\.pcapng: cannot be written: No space left on device"):
        made.close()
    assert list(tmp_path.iterdir()) == []


def test_without_a_tap_there_is_nothing_to_say():
    made = Recording()
    assert made.add((probe(),), START) == (probe(),)
    made.discard()
    made.close()


def test_a_bug_in_the_evidence_costs_only_that(opened, monkeypatch):
    def broken(*_args):
        raise ZeroDivisionError("broken")

    monkeypatch.setattr("netdiag.session.wire.evidence", broken)
    report = diagnose_endpoint(
        "127.0.0.1:9", options=Options(timeout_s=0.5, trust=("certifi",), proxy="none", until="tcp"), machine=machine()
    )
    assert "tcp.direct.127.0.0.1:9" in [o.id for o in report.observations]
    [error] = report.internal_errors
    assert "ZeroDivisionError: broken" in error
