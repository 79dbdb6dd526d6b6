"""tshark and capinfos as second opinions on the capture files that netdiag writes."""

from __future__ import annotations

import subprocess

import pytest

from netdiag.capture.writer import write_pcapng
from netdiag.wire.packets import SLL2, Link
from tests.support import require_tools
from tests.taps import START, Wire


@pytest.fixture
def path(tmp_path):
    wire = Wire(links=(Link(SLL2, "eth0"), Link(SLL2, "lo")))
    wire.open(50001)
    wire.ask(50001)
    wire.reset(50001)
    wire.dns(50053)
    path = tmp_path / "own.pcapng"
    with path.open("wb") as file:
        write_pcapng(
            file,
            wire.each,
            wire.links,
            comments={1: ("netdiag: one", "netdiag: two"), 5: ("netdiag: reset",)},
            os="Linux 6",
            application="netdiag 1.0",
            dropped=7,
        )
    return path


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_tshark_reads_every_packet(path):
    (tshark,) = require_tools("tshark")
    fields = "frame.number frame.time_epoch frame.interface_name frame.comment frame.packet_flags_direction"
    fields += " sll.pkttype ip.ttl tcp.flags udp.dstport"
    argv = [option for field in fields.split() for option in ("-e", field)]
    text = output_of(str(tshark), "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|", *argv)
    rows = [line.split("\t") for line in text.splitlines()]
    assert [row[0] for row in rows] == [str(n) for n in range(1, 7)]
    assert [float(row[1]) for row in rows] == pytest.approx([START + n / 1000 for n in range(6)], abs=1e-6)
    assert {row[2] for row in rows} == {"eth0"}
    assert [row[3] for row in rows] == ["netdiag: one|netdiag: two", "", "", "", "netdiag: reset", ""]
    assert [int(row[4], 0) for row in rows] == [2, 1, 2, 2, 1, 2]
    assert [row[5] for row in rows] == ["4", "0", "4", "4", "0", "4"]
    assert [row[6] for row in rows] == ["64", "107", "64", "64", "61", "64"]
    assert int(rows[4][7], 0) == 4
    assert rows[5][8] == "53"


def test_capinfos_reads_what_the_file_says_of_itself(path):
    (capinfos,) = require_tools("capinfos")
    text = output_of(str(capinfos), str(path))
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    assert facts["File type"] == "Wireshark/... - pcapng"
    assert facts["Number of packets"] == "6"
    assert facts["File timestamp precision"] == "nanoseconds (9)"
    assert facts["Capture oper-sys"] == "Linux 6"
    assert facts["Capture application"] == "netdiag 1.0"
    assert facts["Number of interfaces in file"] == "2"


def test_an_empty_file_is_read_too(tmp_path):
    (capinfos,) = require_tools("capinfos")
    path = tmp_path / "empty.pcapng"
    with path.open("wb") as file:
        write_pcapng(file, (), ())
    assert "Number of packets:   0" in output_of(str(capinfos), str(path))
