"""``endpoint`` captures its own probes: on real kernels, with the right to and without."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from lab_sites import BY_NAME, FRONTEND
from lab_world import Lab, Setting

from netdiag.model import (
    ConnectionObservation,
    Report,
    ResetObservation,
    TcpObservation,
    TlsObservation,
    WireObservation,
)
from tests.support import require_tools

_TO = f"ip daddr {BY_NAME[FRONTEND].address} tcp dport 443"
RESETTING = Setting(forward=f"{_TO} ct state established tcp flags & psh == psh reject with tcp reset")
NETDIAG = [sys.executable, "-m", "netdiag"]


def endpoint(lab: Lab, setting: Setting, *options: str, without: str = "") -> tuple[Report, int]:
    """The report of an ``endpoint`` run; ``without`` is a capability that it must do without."""
    lacking = ["setpriv", "--bounding-set", f"-{without}"] if without else []
    argv = [*lacking, *NETDIAG, "endpoint", FRONTEND, "--format=json", f"--trust={lab.file('root.pem')}", "--timeout=2"]
    done = lab.execute(setting, [*argv, *options])
    assert done.stderr == b""
    return msgspec.json.decode(done.stdout, type=Report), done.returncode


def of(kind, report):
    return [o for o in report.observations if isinstance(o, kind)]


def test_the_frames_of_the_report_are_those_of_the_file(lab: Lab) -> None:
    (tshark,) = require_tools("tshark")
    path = lab.file("own.pcapng")
    report, status = endpoint(lab, RESETTING, f"--capture={path}")
    assert status == 1
    [wire] = of(WireObservation, report)
    assert (wire.path, wire.method, wire.dropped, wire.limits, wire.unseen) == (str(path), "af-packet", 0, (), ())
    assert "router" in wire.interfaces
    main = next(o for o in of(TlsObservation, report) if o.purpose == "main")
    connection = next(o for o in of(ConnectionObservation, report) if o.flow == main.flow)
    reset = next(o for o in of(ResetObservation, report) if o.parent == connection.id)
    assert (reset.source, reset.route, reset.server_name, reset.claimed) == ("capture", "direct", FRONTEND, "server")
    assert report.findings[0].evidence[0] == reset.id
    fields = "frame.number tcp.stream ip.src ip.ttl tcp.flags.reset frame.comment".split()
    command = [str(tshark), "-r", str(path), "-T", "fields", *(option for name in fields for option in ("-e", name))]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = {int(row[0]): row for row in (line.split("\t") for line in text.splitlines())}
    assert len(rows) == wire.packets
    told = rows[reset.resets[0].frame]
    assert (int(told[1]), told[2], int(told[3])) == (
        connection.connection.number,
        BY_NAME[FRONTEND].address,
        reset.resets[0].ttl,
    )
    assert told[4] in ("1", "True")
    syn = rows[connection.segments[0].frame]
    assert syn[5].startswith(f"netdiag: tcp.direct.{main.address}:443, connection to {main.address}:443: ok after")
    comments = [row[5] for row in rows.values()]
    assert any(f"netdiag: tls.direct.main, TLS handshake with {FRONTEND}: reset after" in one for one in comments)
    assert any(one.startswith("netdiag: dns.") for one in comments)


def test_without_the_right_the_report_says_what_was_not_seen(lab: Lab) -> None:
    report, status = endpoint(lab, RESETTING, without="net_raw")
    assert status == 1
    assert [finding.id for finding in report.findings] == ["tls.interrupted"]
    [wire] = of(WireObservation, report)
    assert (wire.outcome, wire.packets) == ("not-run", 0)
    [limit] = wire.limits
    assert "CAP_NET_RAW" in limit
    assert "TTL" in limit
    assert report.internal_errors == ()


def test_a_file_without_the_right_is_refused_in_one_line(lab: Lab) -> None:
    path = lab.file("never.pcapng")
    argv = ["setpriv", "--bounding-set", "-net_raw", *NETDIAG, "endpoint", FRONTEND, f"--capture={path}"]
    done = lab.execute(Setting(), argv)
    assert (done.returncode, done.stdout, path.exists()) == (2, b"", False)
    [line] = done.stderr.decode().splitlines()
    assert line.startswith(f"netdiag: {path}: nothing can be captured: ")


def test_a_healthy_run_has_no_connections_to_show(lab: Lab) -> None:
    report, status = endpoint(lab, Setting())
    assert (status, report.verdict.status) == (0, "healthy")
    [wire] = of(WireObservation, report)
    assert wire.packets > 20
    assert not of(ConnectionObservation, report) + of(ResetObservation, report)


def test_no_capture_means_none(lab: Lab) -> None:
    report, _ = endpoint(lab, Setting(), "--no-capture")
    assert not of(WireObservation, report)


@pytest.mark.parametrize(
    ("rule", "kind"), [("drop", "timeout"), ("reject with tcp reset", "refused")], ids=["drop", "reject"]
)
def test_what_this_machines_firewall_stops_is_not_seen_on_any_interface(lab: Lab, rule: str, kind: str) -> None:
    report, _ = endpoint(lab, Setting(client=f"{_TO} {rule}"))
    [probe] = of(TcpObservation, report)
    assert probe.failure is not None
    assert probe.failure.kind == kind
    [wire] = of(WireObservation, report)
    assert wire.unseen == (probe.flow,)


def test_an_answer_that_this_machine_drops_is_seen(lab: Lab) -> None:
    table = "table inet own { chain input { type filter hook input priority 0\n"
    table += f"ip saddr {BY_NAME[FRONTEND].address} tcp sport 443 drop\n}}\n}}\n"
    inside = lab.network.inside("client", ["nft", "-f", "-"])
    subprocess.run(inside, input=table, text=True, check=True)
    try:
        report, status = endpoint(lab, Setting())
    finally:
        subprocess.run(lab.network.inside("client", ["nft", "delete", "table", "inet", "own"]), check=True)
    assert status == 1
    assert [(f.id, f.blame, f.folded) for f in report.findings] == [
        ("tcp.handshake-incomplete", "this-machine", ("tcp.no-reply",))
    ]
