"""The facts that a note on one finding is made of: the ends, the moments with their frames, the place on the path.

Contract: as facts.py: pure, judges nothing, and the strings hold untrusted text as it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from urllib.parse import urlsplit

from netdiag.model import (
    AnyObservation,
    CaptureObservation,
    ConnectionObservation,
    Culprit,
    DnsObservation,
    Finding,
    ProxyObservation,
    ProxySelection,
    Report,
    ResetObservation,
    ServiceObservation,
    TcpObservation,
    TlsObservation,
    TraceObservation,
    WireObservation,
    authority,
)
from netdiag.report import arithmetic, facts, phrases, units
from netdiag.report.hops import Path, paths
from netdiag.report.ticket_words import Facts


class Case:
    """One finding with what it rests on."""

    def __init__(self, report: Report, finding: Finding) -> None:
        self._report = report
        self._finding = finding
        self._by_id = {o.id: o for o in report.observations}
        self._evidence = self._gather()
        self._path = self._chosen()

    def _gather(self) -> list[AnyObservation]:
        """The finding's evidence, the packets of the same connections, and the traces to the same addresses."""
        cited = [self._by_id[e] for e in self._finding.evidence if e in self._by_id]
        cited = [o for o in cited if not isinstance(o, CaptureObservation | WireObservation | ServiceObservation)]
        flows = {o.flow for o in cited if o.flow is not None}
        kinds = (ConnectionObservation, ResetObservation)
        packets = [o for o in self._report.observations if isinstance(o, kinds) and o.flow in flows and o not in cited]
        return [*cited, *packets]

    def _chosen(self) -> Path | None:
        places = {getattr(o, "address", "") for o in self._evidence}
        places |= {o.flow.server for o in self._evidence if o.flow is not None}
        return next((path for path in paths(self._report) if path.address in places), None)

    def filled(self) -> Facts:
        """What the templates of ticket_words.py are filled with."""
        report = self._report
        flow = next((o.flow for o in self._evidence if o.flow is not None), None)
        place = next((o for o in self._evidence if isinstance(o, TcpObservation | TlsObservation)), None)
        server = flow.server if flow else place.address if place else report.target.host
        port = flow.server_port if flow else place.port if place else report.target.port
        if report.route == "proxy" and self._finding.id.startswith("tls."):  # the connection goes to the proxy
            port = report.target.port
        sni = self._server_name()
        known = report.target.host or report.command == "node"
        name = report.target.host or sni or server
        selection = next((o for o in report.observations if isinstance(o, ProxySelection) and o.proxies), None)
        proxies = [o.proxy for o in self._evidence if isinstance(o, ProxyObservation)]
        proxies += selection.proxies[:1] if selection else ()
        return Facts(
            target=report.target.authority if known else authority(name, port),
            name=name,
            port=port,
            client=self._client() or "this machine",
            server=server or name,
            device=self._device(),
            brief=self._device(named=False),
            protocol="TLS" if sni else "TCP",
            naming=f" that names {sni}" if sni else "",
            proxy=_without_scheme(proxies[0]) if proxies else "the proxy",
        )

    def _client(self) -> str:
        flows = (o.flow.client for o in self._evidence if o.flow is not None)
        return next(flows, self._path.client if self._path else "")

    def _server_name(self) -> str:
        """The name that the client had sent before it was cut off."""
        kinds = (TlsObservation, ResetObservation, TraceObservation)
        return next((o.server_name for o in self._evidence if isinstance(o, kinds) and o.server_name), "")

    def _device(self, *, named: bool = True) -> str:
        culprit = self._finding.culprit or Culprit()
        address = culprit.address
        if not address and culprit.hop is not None and self._path is not None:
            address = self._path.at(culprit.hop)
        name = self._path.names.get(address, "") if self._path else ""
        known = (address, name or culprit.name) if named or not address else (address,)
        who = ", ".join(dict.fromkeys(word for word in known if word))
        if culprit.hop is not None:
            return f"hop {culprit.hop} ({who})" if who else f"hop {culprit.hop}"
        if not who and self._finding.blame == "this-machine":
            return self._client() or "this machine"
        return who or self._nearest() or "the firewall on the path"

    def _nearest(self) -> str:
        """Where the traces ended, if no finding names the device."""
        if self._path is None:
            return ""
        rows = self._path.rows
        ended = next((end.row for end in self._path.ends if not end.good and end.trace.mode != "udp"), 0)
        if not 0 < ended < len(rows) - 1:
            return ""
        address = self._path.at(rows[ended].ttl)
        return f"hop {rows[ended].ttl}{f' ({address})' if address else ''} or the next one"

    def parties(self) -> list[str]:
        """The five-tuples, the names asked for, the questions to name servers and proxies."""
        found: list[str] = []
        for o in self._evidence:
            if o.flow is not None:
                client, server = (
                    authority(o.flow.client, o.flow.client_port),
                    authority(o.flow.server, o.flow.server_port),
                )
                found.append(f"{client} -> {server}, {o.flow.protocol.upper()}")
            elif isinstance(o, TcpObservation | TlsObservation | TraceObservation):
                found.append(f"this machine -> {authority(o.address, o.port)}, TCP")
            if isinstance(o, ProxyObservation):
                found.append(f"CONNECT {self._report.target.authority} through {o.proxy}")
            elif isinstance(o, DnsObservation):
                whom = o.server if o.asker != "system" else "the system's resolver"
                found.append(f"{o.name} {o.qtype}, asked of {whom}{f' ({o.transport.upper()})' if o.transport else ''}")
        full = {line.partition(" -> ")[2] for line in found if not line.startswith("this machine")}
        found = [line for line in found if not line.startswith("this machine") or line.partition(" -> ")[2] not in full]
        named = self._server_name()
        client = self._client()
        if client and self._report.target.scheme != "file":
            found.append(f'"This machine" is {client}')
        return [*([f"TLS server name (SNI): {named}"] if named else []), *found]

    def moments(self) -> list[str]:
        """When the packets that matter came, or the attempts ended; with frames where packets were kept."""
        all_moments = dict.fromkeys(moment for o in self._evidence for moment in self._moments_of(o) if moment[0] > 0)
        found = sorted(all_moments, key=itemgetter(0))
        files = list(dict.fromkeys(file for _, _, file in found if file))
        lines = [f"{units.moment(at, 3).removesuffix(' UTC')}  {said}" for at, said, _ in found]
        if not lines:
            lines = [f"{units.moment(self._report.started, 3).removesuffix(' UTC')}  the test began"]
        return [*lines, *(f"The packets are in {file}" for file in files)]

    def _moments_of(self, o: AnyObservation) -> Iterator[tuple[float, str, str]]:
        file = self._file(o)

        def frame(number: int) -> str:
            return f", frame {number}" if file else ""

        if isinstance(o, ResetObservation):
            if o.provoked_by is not None:
                words = f"data before it, {units.counted(o.provoked_by.length, 'byte')}"
                yield o.provoked_by.at, words + frame(o.provoked_by.frame), file
            for segment in o.resets[:1]:
                yield segment.at, f"reset with the {o.claimed}'s address{frame(segment.frame)}", file
        elif isinstance(o, ConnectionObservation):
            syns = [s for s in o.segments if s.flags == "SYN" and s.sender == "client"]
            if syns and o.connection.opening == "unanswered":
                yield syns[-1].at, f"the last of {units.counted(len(syns), 'SYN')}{frame(syns[-1].frame)}", file
            if o.connection.icmp:
                yield o.connection.started, f"ICMP: {o.connection.icmp}", file
        elif o.outcome == "failed" and o.started and not isinstance(o, TraceObservation):
            yield from self._attempt(o)

    def _attempt(self, o: AnyObservation) -> Iterator[tuple[float, str, str]]:
        """When it ended; of one that nothing answered, when it began, too: a log shows its SYN."""
        if any(isinstance(other, ResetObservation) and other.flow == o.flow for other in self._evidence):
            return  # the packets themselves are known
        if o.failure is not None and o.failure.kind == "no-answer" and self._finding.id != "dns.no-address":
            return  # a name without an address of one family is the usual case
        said = facts.describe(o, self._report.target.host)
        if isinstance(o, TlsObservation) and o.failure is not None:
            said = f"TLS handshake: {phrases.failure_words(o.failure, o.took_s)}"
        if o.source == "capture":
            yield o.started, said, ""
            return
        if isinstance(o, TcpObservation) and o.failure is not None and o.failure.kind == "timeout":
            yield o.started, f"the first SYN to {authority(o.address, o.port)}", ""
        yield o.started + o.took_s, said, ""

    def _file(self, o: AnyObservation) -> str:
        """The capture that holds its packets; empty where none was kept."""
        seen: AnyObservation | None = o
        for _ in range(8):  # a saved report may hold a circle
            seen = self._by_id.get(seen.parent or "") if seen is not None else None
            if isinstance(seen, CaptureObservation | WireObservation):
                return seen.path
        captures = [c.path for c in self._report.observations if isinstance(c, CaptureObservation)]
        return captures[0] if len(captures) == 1 and o.source == "capture" else ""

    def where(self) -> list[str]:
        """The hops before and after the device, and the arithmetic."""
        culprit = self._finding.culprit or Culprit()
        lines = list(_around(self._path)) if self._path is not None else []
        if not lines and culprit.hop is not None:
            origin = "the place of the capture" if self._report.target.scheme == "file" else "this machine"
            lines.append(f"{self._device()}, counted from {origin}")
        elif not lines and self._finding.blame in ("path-device", "proxy", "tls-interceptor") and culprit != Culprit():
            lines.append(self._device())
        if self._path is not None:
            return [*lines, *arithmetic.lines(self._report, self._path)]

        def known(hop: int) -> str:
            return culprit.address if hop == culprit.hop else ""

        resets = [o for o in self._evidence if isinstance(o, ResetObservation)]
        return [*lines, *(arithmetic.reset_line(o, known) for o in resets)]


def _around(path: Path) -> Iterator[str]:
    """The row where it ended with its neighbours, and the ends of the path."""
    ended = path.blamed or next((end for end in path.ends if not end.good and end.trace.mode != "udp"), None)
    last = len(path.rows) - 1
    wanted = {0, last} | ({ended.row - 1, ended.row, ended.row + 1} if ended is not None else set())
    for n, row in enumerate(path.rows):
        if n not in wanted:
            continue
        if n == 0:
            yield f"hop 0: {path.client + ', ' if path.client else ''}this machine"
            continue
        names = [
            address + (f" ({path.names[address]})" if address in path.names else "") for address, _ in row.addresses
        ]
        who = " or ".join(names) or ("a router" if row.answered else "no answer")
        peer = f", {path.whom}" if row.peer else ""
        reached = "" if not row.peer or any(end.row == n for end in path.ends) else ", not reached"
        here = " <- here it ends" if ended is not None and n == ended.row else ""
        yield f"hop {'?' if row.ttl is None else row.ttl}: {who}{peer}{reached}{here}"


def _without_scheme(proxy: str) -> str:
    """``proxy.corp:8080``."""
    try:
        return urlsplit(proxy).netloc or proxy
    except ValueError:
        return proxy
