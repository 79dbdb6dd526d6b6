"""Observations -> report: the rules, the verdict, the frame around them. Also judges saved observations again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from netdiag import __version__
from netdiag.model import (
    AnyObservation,
    CaptureObservation,
    ChainObservation,
    DnsObservation,
    Finding,
    HttpsObservation,
    LogFileObservation,
    MachineInfo,
    MatrixObservation,
    NodeObservation,
    NotRun,
    Report,
    Route,
    Rung,
    Target,
    Tool,
    TraceObservation,
    Verdict,
)

if TYPE_CHECKING:
    from netdiag.rules import Seen

# The rules are imported where they judge: preload.py has loaded them by then.

#: How the line about a bug of a rule begins.
_OF_RULES = "rule "


class _Judged:
    """Observations with what the rules find in them, and the bugs that this showed."""

    def __init__(
        self,
        target: Target,
        observations: tuple[AnyObservation, ...],
        find: Callable[[Seen, Callable[[str, Exception], None]], tuple[Finding, ...]],
        *,
        route: Route = "direct",
        internal_errors: Sequence[str] = (),
    ) -> None:
        from netdiag.rules import Seen

        self.seen = Seen(target, route, observations)
        self.errors = list(internal_errors)
        self._observations = observations
        self.findings = find(self.seen, self._broken)

    def _broken(self, identifier: str, error: Exception) -> None:
        self.errors.append(f"{_OF_RULES}{identifier}: {describe(error)}")

    def report(
        self,
        verdict: Verdict,
        *,
        command: str,
        started: float,
        took_s: float = 0.0,
        not_run: tuple[NotRun, ...] = (),
        machine: MachineInfo | None = None,
    ) -> Report:
        """The report with that verdict."""
        return Report(
            tool=Tool(version=__version__),
            command=command,
            target=self.seen.target,
            route=self.seen.route,
            started=started,
            took_s=took_s,
            verdict=verdict,
            findings=self.findings,
            observations=self._observations,
            not_run=not_run,
            internal_errors=tuple(self.errors),
            machine=machine,
        )


def judge(
    target: Target,
    *,
    command: str,
    route: Route,
    last_rung: Rung,
    started: float,
    took_s: float,
    observations: tuple[AnyObservation, ...],
    not_run: tuple[NotRun, ...] = (),
    internal_errors: tuple[str, ...] = (),
    machine: MachineInfo | None = None,
) -> Report:
    """The report over what was seen. ``last_rung`` is the last that was to be climbed."""
    from netdiag.rules import findings

    judged = _Judged(target, observations, findings, route=route, internal_errors=internal_errors)
    verdict = _verdict(judged.seen, judged.findings, not_run, judged.errors, _healthy(judged.seen, last_rung))
    return judged.report(verdict, command=command, started=started, took_s=took_s, not_run=not_run, machine=machine)


def judge_capture(
    target: Target,
    *,
    started: float,
    observations: tuple[AnyObservation, ...],
    internal_errors: tuple[str, ...] = (),
    interrupted: bool = False,
) -> Report:
    """The report over what a capture shows; the first observation is the capture itself."""
    from netdiag.rules import conclude_capture
    from netdiag.rules.capture_files import findings

    judged = _Judged(target, observations, findings, internal_errors=internal_errors)
    verdict = conclude_capture(judged.seen, judged.findings, whole=not judged.errors and not interrupted)
    return judged.report(verdict, command="pcap", started=started)


def judge_certificates(
    target: Target,
    *,
    started: float,
    took_s: float,
    observations: tuple[AnyObservation, ...],
    not_run: tuple[NotRun, ...] = (),
    internal_errors: tuple[str, ...] = (),
    interrupted: bool = False,
    machine: MachineInfo | None = None,
) -> Report:
    """The report over what certificate files hold. ``interrupted``: not all that they name was retrieved."""
    from netdiag.rules import conclude_certificates
    from netdiag.rules.files import findings

    judged = _Judged(target, observations, findings, internal_errors=internal_errors)
    whole = not judged.errors and not interrupted
    verdict = conclude_certificates(judged.seen, judged.findings, whole=whole, not_run=not_run)
    return judged.report(verdict, command="cert", started=started, took_s=took_s, not_run=not_run, machine=machine)


def judge_allowlist(
    target: Target,
    *,
    started: float,
    took_s: float,
    observations: tuple[AnyObservation, ...],
    internal_errors: tuple[str, ...] = (),
    interrupted: bool = False,
    machine: MachineInfo | None = None,
) -> Report:
    """The report over firewall rules and service tags. ``interrupted``: not every name was looked up."""
    from netdiag.rules import conclude_allowlist
    from netdiag.rules.registry import findings, load

    load(("allowlist",))
    judged = _Judged(target, observations, findings, internal_errors=internal_errors)
    verdict = conclude_allowlist(judged.seen, judged.findings, whole=not judged.errors and not interrupted)
    return judged.report(verdict, command="allowlist", started=started, took_s=took_s, machine=machine)


def judge_log(
    target: Target,
    *,
    started: float,
    took_s: float,
    observations: tuple[AnyObservation, ...],
    internal_errors: tuple[str, ...] = (),
    interrupted: bool = False,
) -> Report:
    """The report over what logs say; the first observation is of all that was read."""
    from netdiag.rules import conclude_log
    from netdiag.rules.log_files import findings

    judged = _Judged(target, observations, findings, internal_errors=internal_errors)
    verdict = conclude_log(judged.seen, judged.findings, whole=not judged.errors and not interrupted)
    return judged.report(verdict, command="log", started=started, took_s=took_s)


def rejudge(report: Report) -> Report:
    """The same observations, judged by today's rules.

    Bugs of the rules that judged it before are forgotten; those that today's have are in ``internal_errors``.
    """
    from netdiag.rules import conclude_allowlist, conclude_capture, conclude_certificates, conclude_log, findings

    before = [error for error in report.internal_errors if not error.startswith(_OF_RULES)]
    judged_to_the_end = len(before) == len(report.internal_errors)
    judged = _Judged(report.target, report.observations, findings, route=report.route, internal_errors=before)
    seen, found, errors = judged.seen, judged.findings, judged.errors
    if report.command == "cert":
        verdict = conclude_certificates(seen, found, whole=not errors, not_run=report.not_run)
    elif report.command == "allowlist":
        verdict = conclude_allowlist(seen, found, whole=not errors)
    elif report.command == "log":
        interrupted = any(log.interrupted for log in seen.of(LogFileObservation))
        verdict = conclude_log(seen, found, whole=not errors and not interrupted)
    elif matrices := seen.of(MatrixObservation):
        verdict = _matrix_verdict(report.target, matrices[0], found, report.not_run)
    elif seen.of(CaptureObservation):
        verdict = conclude_capture(seen, found, whole=not errors)
    else:
        healthy = report.verdict.summary if report.verdict.status == "healthy" else ""
        verdict = _verdict(seen, found, report.not_run, errors, healthy)
    left_open = report.verdict.status == "inconclusive" and report.target.scheme == "file"
    if left_open and judged_to_the_end and verdict.status in ("healthy", "impaired"):
        verdict = report.verdict  # it was interrupted, of which nothing else in the report tells
    return msgspec.structs.replace(report, findings=found, verdict=verdict, internal_errors=tuple(errors))


def _verdict(
    seen: Seen, found: Sequence[Finding], not_run: Sequence[NotRun], errors: Sequence[str], healthy: str
) -> Verdict:
    """What was not run on the way that an application takes leaves open whether the target can be used."""
    from netdiag.rules import conclude

    left_out = tuple(entry for entry in not_run if entry.route == seen.route)
    tested = not errors and not left_out
    return conclude(seen.target, found, tested=tested, healthy_summary=healthy, not_run=left_out)


def describe(error: BaseException) -> str:
    """A bug in one line: the exception and where it was raised."""
    import traceback  # for bugs only

    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__}: {error} at {places}".replace("\n", " ")


def _healthy(seen: Seen, last_rung: Rung) -> str:
    """What works, in one sentence."""
    from netdiag.rules.azure import answered_by_azure, known_service

    name = seen.target.authority
    through = " through the proxy" if seen.route == "proxy" else ""
    if last_rung == "dns":
        addresses = [a for o in seen.effective(DnsObservation) if o.asker == "system" for a in o.addresses]
        return f"{name} resolves to {', '.join(addresses[:4])}" if addresses else f"{name} needs no lookup"
    if last_rung == "https":
        for fetched in seen.effective(HttpsObservation):
            service = known_service(seen.target.host)
            recognised = f", as {service.name} does" if service and answered_by_azure(fetched.headers) else ""
            return f"{name} answers HTTP {fetched.status}{through}{recognised}"
    if seen.target.scheme == "net.tcp" and last_rung in ("node", "tls", "chain"):
        return _healthy_node(seen)
    if last_rung in ("tls", "chain"):
        return f"{name} takes TLS{through} and its certificate is trusted"
    hops = next((o.distance for o in seen.effective(TraceObservation) if o.answer == "open"), None)
    away = f" at {'the next hop' if hops == 1 else f'{hops} hops'}" if hops else ""
    return f"{name} accepts connections{through}{away}"


def _healthy_node(seen: Seen) -> str:
    from netdiag.rules.node_words import NEGOTIATE_UPGRADE

    name = seen.target.authority
    agreed = {o.upgrade for o in seen.of(NodeObservation) if o.asked == "preamble" and o.outcome == "ok"}
    if NEGOTIATE_UPGRADE in agreed:
        return f"{name} speaks net.tcp, secured by Windows authentication"
    chains = seen.of(ChainObservation)
    states = {state.state for chain in chains for state in chain.revocation}
    trusted = f", and its certificate is trusted{' and not revoked' if states == {'good'} else ''}" if chains else ""
    return f"{name} speaks net.tcp{' with TLS' if any(agreed) else ''}{trusted}"


def judge_matrix(matrix: MatrixObservation, *, started: float) -> Report:
    """The report over who reaches whom. A direction that no report tells of leaves open whether all is well."""
    from netdiag.rules import Seen, findings

    target = Target(host="", port=0, scheme="file", path=", ".join(matrix.nodes))
    found = findings(Seen(target, "direct", (matrix,)))
    not_run = _missing(matrix)
    return Report(
        tool=Tool(version=__version__),
        command="node",
        target=target,
        started=started,
        took_s=0.0,
        verdict=_matrix_verdict(target, matrix, found, not_run),
        findings=found,
        observations=(matrix,),
        not_run=not_run,
    )


def _missing(matrix: MatrixObservation) -> tuple[NotRun, ...]:
    """Why directions are not known: nobody ran netdiag there, or not against that node."""
    silent = [node for node in matrix.nodes if node not in matrix.reporters]
    reasons = [f"there is no report from {node}" for node in silent]
    reasons += [f"{one} did not test {other}" for one, other in matrix.missing if one not in silent]
    return tuple(NotRun(rung="node", reason=reason) for reason in reasons)


def _matrix_verdict(
    target: Target, matrix: MatrixObservation, found: Sequence[Finding], not_run: Sequence[NotRun]
) -> Verdict:
    from netdiag.rules import conclude

    untested = [r for r in matrix.reaches if r.state == "untested"]
    count = len(matrix.reaches)
    return conclude(
        target,
        found,
        tested=not not_run and not untested,
        healthy_summary=f"All {len(matrix.nodes)} nodes reach each other ({count} directions)",
        not_run=not_run or tuple(NotRun(rung="node", reason=r.summary) for r in untested),
    )
