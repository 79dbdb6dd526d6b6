"""``Report`` -> the ladder: one row per rung and route, with a mark, a time and a one-line fact.

Contract: pure; the printers (text, later HTML and Markdown) only lay it out. Facts hold untrusted text as it came.

A mark: what an observation shows (nothing on this rung worked: failed), else the worst finding of the rung's stem on
that route, else ok. Rules judge only the route in use, so on the other one the observations alone decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from netdiag.model import (
    RUNG_OF,
    RUNGS,
    ChainObservation,
    ConnectionObservation,
    DnsObservation,
    Finding,
    HandshakePurpose,
    HttpsObservation,
    NodeObservation,
    NotRun,
    Observation,
    ProxyObservation,
    ProxySelection,
    Report,
    ResetObservation,
    Route,
    Rung,
    Severity,
    TcpObservation,
    TlsObservation,
    TraceObservation,
    WireObservation,
    authority,
)
from netdiag.report import facts, phrases, units

Mark = Literal["ok", "warning", "failed", "not-run"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One rung on one way. ``took_s`` is None where a time has no meaning."""

    rung: Rung
    route: Route
    mark: Mark
    took_s: float | None
    fact: str


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """The rows in ladder order; the machine's row belongs to every route. ``used`` is the way an application takes."""

    routes: tuple[Route, ...]
    used: Route
    rows: tuple[Row, ...]

    def row(self, rung: Rung, route: Route) -> Row | None:
        """The row of that rung on that way, if there is one."""
        return next((row for row in self.rows if row.rung == rung and row.route == route), None)


#: A reset ends what stands above the connection; the rung that it ended shows it by itself.
_LATER = "tcp.reset-"
#: What a run sees of its own packets explains a rung, and is none: the probes themselves stand in the ladder.
_BESIDE = (WireObservation, ConnectionObservation, ResetObservation)

#: Handshakes that belong to another rung: with the proxy itself, and in place of net.tcp.
_BY_PURPOSE: dict[HandshakePurpose, Rung] = {"proxy": "proxy", "bare": "node"}

#: What a rung shows: (nothing worked, seconds, fact).
_Shown = tuple[bool, float | None, str]


def ladder(report: Report) -> Ladder:
    """The ladder of one report."""
    used = {observation.route for observation in report.observations} | {entry.route for entry in report.not_run}
    routes: tuple[Route, ...] = ("direct", "proxy") if "proxy" in used | {report.route} else ("direct",)
    rows = [row for rung in RUNGS for route in routes if (row := _row(report, rung, route)) is not None]
    return Ladder(routes=routes, used=report.route, rows=tuple(_once(rows)))


def _once(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows; a reason that the rung below on the same way gave already is not repeated."""
    said: dict[Route, str] = {}
    for row in rows:
        reason = row.fact.removeprefix("not tested: ")
        again = row.mark == "not-run" and reason != row.fact and said.get(row.route, "").endswith(reason)
        said[row.route] = row.fact
        yield msgspec.structs.replace(row, fact="not tested") if again else row


def untold(report: Report, rungs: Ladder) -> tuple[NotRun, ...]:
    """What was not run and stands in no row: a rung that was begun and not finished, a second reason."""
    shown = {(row.rung, row.route) for row in rungs.rows if row.mark == "not-run"}
    first: dict[tuple[Rung, Route], str] = {}
    for entry in report.not_run:
        first.setdefault((entry.rung, entry.route), entry.reason)
    return tuple(
        entry
        for entry in report.not_run
        if (entry.rung, entry.route) not in shown or entry.reason != first[entry.rung, entry.route]
    )


def rung_of(observation: Observation, target_host: str) -> Rung:
    """Where an observation stands. The hosts file, the proxy's choice and ``localhost`` are this machine's affair."""
    if isinstance(observation, DnsObservation):
        mine = observation.asker == "hosts-file" or (observation.name == "localhost" != target_host)
        return "machine" if mine else "dns"
    if isinstance(observation, TlsObservation):
        return _BY_PURPOSE.get(observation.purpose, "tls")
    return RUNG_OF[type(observation)]


def _row(report: Report, rung: Rung, route: Route) -> Row | None:
    shared = rung == "machine"
    if shared and route != "direct":
        return None
    here = [
        o
        for o in report.observations
        if rung_of(o, report.target.host) == rung
        and (shared or o.route == route)
        and o.outcome != "not-run"
        and not isinstance(o, _BESIDE)
    ]
    reason = next((entry.reason for entry in report.not_run if entry.rung == rung and entry.route == route), None)
    if not here:
        if reason is None:
            return None
        return Row(rung=rung, route=route, mark="not-run", took_s=None, fact=f"not tested: {reason}")
    failed, took_s, fact = _SHOW[rung](here)
    if failed and reason is not None:  # it was cut off, so that nothing worked so far means nothing
        return Row(rung=rung, route=route, mark="not-run", took_s=took_s, fact=f"{fact}; {reason}")
    return Row(rung=rung, route=route, mark=_mark(report, rung, route, failed), took_s=took_s, fact=fact)


def _mark(report: Report, rung: Rung, route: Route, failed: bool) -> Mark:
    if rung == "machine":
        return "warning" if failed else "ok"
    routes = {observation.id: observation.route for observation in report.observations}
    severities = {
        finding.severity
        for finding in report.findings
        if rung in {identifier.partition(".")[0] for identifier in _of_rungs(finding)}
        and route in ({routes[e] for e in finding.evidence if e in routes} or {report.route})
        and (route == report.route or rung == "dns")
    }
    if failed and rung in ("node", "tls") and severities == {Severity.INFO}:  # it went as far as netdiag goes
        return "not-run"
    if failed or Severity.ERROR in severities:
        weak = Severity.ERROR not in severities and Severity.WARNING in severities and rung == "chain"
        return "warning" if weak else "failed"
    return "warning" if Severity.WARNING in severities else "ok"


def _of_rungs(finding: Finding) -> list[str]:
    """The ids of the finding and of what it explains, as far as the rung of their stem has failed."""
    return [identifier for identifier in (finding.id, *finding.folded) if not identifier.startswith(_LATER)]


def _machine(here: Sequence[Observation]) -> _Shown:
    parts: list[str] = []
    failed = False
    for observation in here:
        if isinstance(observation, DnsObservation) and observation.asker == "hosts-file":
            entry = phrases.some(observation.addresses)
            parts.append(f"hosts file: {entry}" if entry else "no hosts entry")
            if observation.failure:
                parts[-1] = f"hosts file: {facts.describe(observation)}"
        elif isinstance(observation, ProxySelection) or observation.failure:
            parts.append(facts.describe(observation))
        failed = failed or observation.outcome == "failed"
    return failed, None, "; ".join(parts) or "nothing unusual"


def _dns(here: Sequence[Observation]) -> _Shown:
    answers = [o for o in here if isinstance(o, DnsObservation)]
    system = next((o for o in answers if o.asker == "system"), None)
    servers: dict[str, list[DnsObservation]] = {}
    for answer in answers:
        if answer.asker == "name-server":
            servers.setdefault(answer.server, []).append(answer)
    parts: list[str] = []
    reference: frozenset[str] = frozenset()
    if system is not None:
        words = phrases.failure_words(system.failure, system.took_s) if system.failure else ""
        parts.append(words or phrases.some(system.addresses) or "no address")
        reference = frozenset(system.addresses)
    same = [server for server, given in servers.items() if reference and _addresses(given) == reference]
    if same:
        parts.append(f"{phrases.some(tuple(same))} {'says' if len(same) == 1 else 'say'} the same")
    parts += [_server_words(server, given) for server, given in servers.items() if server not in same]
    decisive = [system] if system else answers
    failed = not any(o.addresses for o in decisive)
    return failed, max(o.took_s for o in decisive), "; ".join(parts)


def _addresses(given: Sequence[DnsObservation]) -> frozenset[str]:
    return frozenset(address for o in given for address in o.addresses)


def _server_words(server: str, given: Sequence[DnsObservation]) -> str:
    found = tuple(address for o in given for address in o.addresses)
    if found:
        return f"{server} says {phrases.some(found)}"
    broken = next((o for o in given if o.failure), None)
    if broken is None or broken.failure is None:
        return f"{server}: no address"
    return f"{server}: {phrases.failure_words(broken.failure, broken.took_s)}"


def _tcp(here: Sequence[Observation]) -> _Shown:
    attempts = [o for o in here if isinstance(o, TcpObservation)]
    if not attempts:
        return _traced(here)
    good = sorted((o for o in attempts if o.outcome == "ok"), key=lambda o: o.took_s)
    bad = [o for o in attempts if o.outcome == "failed"]
    parts: list[str] = []
    if good:
        first = good[0]
        parts.append(f"{_place(first)} connected")
        if first.info and first.info.rtt_ms is not None:
            parts.append(f"kernel round trip {first.info.rtt_ms:.1f} ms")
        if len(good) > 1:
            parts.append(f"{len(good) - 1} more connected")
    parts += [f"{_place(o)}: {facts.describe(o)}" for o in bad[:2]]
    if len(bad) > 2:
        parts.append(f"{len(bad) - 2} more failed")
    return not good, good[0].took_s if good else max(o.took_s for o in attempts), ", ".join(parts)


def _traced(here: Sequence[Observation]) -> _Shown:
    """Traces alone: the port's own answer decides, else what was sent inside a connection, else how far the host is."""
    traces = [o for o in here if isinstance(o, TraceObservation)]
    modes = [mode for mode in ("syn", "data", "udp") if any(o.mode == mode for o in traces)]
    decisive = [o for o in traces if o.mode == modes[0]]
    failed = all(o.outcome == "failed" for o in decisive)
    return failed, None, "; ".join(facts.describe(o) for o in traces[:3])


def _place(observation: TcpObservation) -> str:
    return authority(observation.address, observation.port)


def _proxy(here: Sequence[Observation]) -> _Shown:
    last = next((o for o in reversed(here) if isinstance(o, ProxyObservation)), here[-1])
    return last.outcome == "failed", last.took_s, facts.describe(last)


def _node(here: Sequence[Observation]) -> _Shown:
    """What the application's own preamble came to, the end of it, and what was agreed to instead."""
    from netdiag.report import node_facts

    talks = [o for o in here if isinstance(o, NodeObservation)]
    main = next((o for o in talks if o.asked == "preamble" and o.outcome == "ok"), None)
    first = next((o for o in talks if o.asked == "preamble"), talks[0])
    if main is None:
        return True, first.took_s, node_facts.node(first)
    agreed = f"net.tcp, {node_facts.upgrade(main)} agreed" if main.upgrade else "net.tcp, accepted without encryption"
    if first is not main and first.failure:
        agreed += f"; {node_facts.upgrade(first)}: {phrases.failure_words(first.failure, first.took_s)}"
    end = next((o for o in talks if o.asked == "end"), None)
    if end is not None:
        words = phrases.failure_words(end.failure, end.took_s) if end.failure else "accepted"
        agreed += f"; inside it: {words}"
    return end is not None and end.outcome == "failed", main.took_s, agreed


def _tls(here: Sequence[Observation]) -> _Shown:
    shakes = [o for o in here if isinstance(o, TlsObservation)]
    main = next((o for o in shakes if o.purpose == "main"), shakes[0])
    if main.failure:
        words = phrases.failure_words(main.failure, main.took_s)
        if main.not_tls:
            words += f'; answered "{main.not_tls[:40]}"'
    else:
        words = " ".join(part for part in (main.version, main.cipher, main.alpn and f"ALPN {main.alpn}") if part)
    for control in shakes:
        words += _control(main, control)
    return main.outcome == "failed", main.took_s, words


def _control(main: TlsObservation, control: TlsObservation) -> str:
    """What a handshake with other versions adds to the row."""
    if control.purpose == "tls1.2-only" and control.version != main.version:
        if control.outcome == "ok":
            return "; TLSv1.2 taken too"
        refused = control.failure is not None and control.failure.kind in ("tls-alert", "tls-malformed")
        return "; TLSv1.2 not taken" if refused else ""  # a connection that ended otherwise does not tell
    if control.purpose == "legacy-versions" and control.outcome == "ok":
        return f"; {control.version} taken"
    return ""


def _chain(here: Sequence[Observation]) -> _Shown:
    chain = next((o for o in here if isinstance(o, ChainObservation)), None)
    if chain is None:
        return here[0].outcome == "failed", here[0].took_s, facts.describe(here[0])
    parts = [f"{fault.kind}: {phrases.common_name(fault.subject)}" for fault in chain.faults[:2]]
    if chain.failure and not parts:
        parts.append(phrases.failure_words(chain.failure, chain.took_s))
    if chain.elements:
        leaf, top = chain.elements[0], chain.elements[-1]
        told = {fault.subject for fault in chain.faults[:2]}
        if leaf.issuer not in told:
            parts.append(f"issuer {phrases.common_name(leaf.issuer)}")
        if top.self_signed and top.subject not in told | {leaf.subject, leaf.issuer}:
            parts.append(f"root {phrases.common_name(top.subject)}")
        parts.append(phrases.validity(leaf, chain.at or chain.started))
    return bool(chain.faults) or chain.outcome == "failed", chain.took_s, ", ".join(parts)


def _https(here: Sequence[Observation]) -> _Shown:
    fetch = next((o for o in reversed(here) if isinstance(o, HttpsObservation)), None)
    if fetch is None:
        return here[-1].outcome == "failed", here[-1].took_s, facts.describe(here[-1])
    parts: list[str] = []
    if fetch.status is not None:
        parts.append(f"status {fetch.status}")
    if fetch.failure:
        parts.append(phrases.failure_words(fetch.failure, fetch.took_s))
    if fetch.first_byte_s is not None:
        parts.append(f"first byte {units.milliseconds(fetch.first_byte_s)}")
    server = facts.header(fetch.headers, "server")
    parts += [f"server {server}"] if server else []
    parts += [f"redirected to {fetch.final_url}"] if fetch.redirects and fetch.final_url else []
    parts += [] if fetch.verified else ["fetched without trust"]
    return fetch.outcome == "failed", fetch.took_s, ", ".join(parts)


_SHOW: dict[Rung, Callable[[Sequence[Observation]], _Shown]] = {
    "machine": _machine,
    "dns": _dns,
    "tcp": _tcp,
    "proxy": _proxy,
    "node": _node,
    "tls": _tls,
    "chain": _chain,
    "https": _https,
}
