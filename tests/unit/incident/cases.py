"""Reports to merge: recorded ones of the lab, made on other machines and at other times than they were."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from netdiag import analyze_capture, load_report, rejudge
from netdiag.model import Finding, Incident, MachineInfo, Report, Severity, Target, Tool, Verdict
from tests.support import ROOT

GOLDEN = ROOT / "tests" / "unit" / "golden"
NAMES = tuple(sorted(path.stem for path in GOLDEN.glob("*.json") if not path.name.endswith(".expect.json")))
AT = 1_780_272_000.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@cache
def golden(name: str) -> Report:
    """A recording, judged by today's rules."""
    return rejudge(load_report((GOLDEN / f"{name}.json").read_bytes()))


def made(report: Report, *, on: str = "", later_s: float = 0.0, **changes: Any) -> Report:
    """The report as another machine would have made it, or the same one later."""
    if later_s:
        moved = tuple(msgspec.structs.replace(o, started=o.started + later_s) for o in report.observations)
        changes = {"started": report.started + later_s, "observations": moved, **changes}
    if on:
        changes["machine"] = MachineInfo(name=on, system="Debian GNU/Linux 12 (bookworm)", utc_offset_s=3600)
    return msgspec.structs.replace(report, **changes)


def on(name: str, machine: str, **changes: Any) -> Report:
    """A recording on a machine."""
    return made(golden(name), on=machine, **changes)


@cache
def _captured(name: str) -> bytes:
    path = str(ROOT / "captures" / name)
    return msgspec.json.encode(analyze_capture(path).report).replace(path.encode(), name.encode())


def capture(
    name: str = "guide-reset-ttl-61.pcap", *, client: str = "10.10.1.2", port: int = 50_001, at: float = AT
) -> Report:
    """The report on a capture, as if its first client had been this one, and its first packet captured then."""
    text = _captured(name).decode()
    report = msgspec.json.decode(text, type=Report)
    shift = at - report.seen_at
    flow = next(o.flow for o in report.observations if o.flow is not None)
    text = text.replace(flow.client, client).replace(f'"client_port":{flow.client_port}', f'"client_port":{port}')

    def moved(match: re.Match[str]) -> str:
        return f'"{match[1]}":{float(match[2]) + shift!r}'

    text = re.sub(r'"(started|at|first|last)":(\d{9,}[\d.e+]*)', moved, text)
    return rejudge(msgspec.json.decode(text, type=Report))


def report(**changes: Any) -> Report:
    """A report that saw nothing."""
    values: dict[str, Any] = {
        "tool": Tool(version="0"),
        "command": "endpoint",
        "target": Target(host="a.contoso.test"),
        "started": AT,
        "took_s": 1.0,
        "verdict": Verdict(status="healthy", finding=None, blame=None, summary="a.contoso.test:443 can be used"),
    }
    return Report(**{**values, **changes})


def finding(identifier: str, **changes: Any) -> Finding:
    """A finding with that id."""
    values: dict[str, Any] = {
        "id": identifier,
        "severity": Severity.ERROR,
        "summary": f"{identifier} happens",
        "blame": "unknown",
        "remedy": "Mend it.",
    }
    return Finding(**{**values, **changes})


def ids(incident: Incident) -> list[str]:
    """The ids of its findings, in order."""
    return [finding.id for finding in incident.findings]


def told(incident: Incident) -> set[tuple[str, str, str]]:
    """Every finding that is in it, as (label, id, summary)."""
    return {
        *((source.report, one.id, source.summary) for one in incident.findings for source in one.sources),
        *((e.report, e.finding.id, e.finding.summary) for one in incident.findings for e in one.explains),
    }
