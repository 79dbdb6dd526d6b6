"""Reports with traces and captures of their own, by hand: the guide's path with a firewall at the fourth hop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from netdiag.model import (
    AnyObservation,
    Connection,
    ConnectionObservation,
    Culprit,
    Failure,
    Finding,
    Flow,
    IcmpError,
    Report,
    ResetObservation,
    Segment,
    Severity,
    TcpObservation,
    TraceAnswer,
    TraceHop,
    TraceObservation,
    TraceReply,
    Verdict,
    WireObservation,
)
from tests.unit.report import handmade
from tests.unit.report.handmade import AT, HOST

CLIENT, SERVER = "10.77.0.2", "192.0.2.10"
ROUTERS = ("10.77.0.1", "10.77.1.2", "10.77.2.2", "10.77.3.2", *(f"10.77.{n}.2" for n in range(4, 21)))
NAMES = (("10.77.0.1", "gw.contoso.test"), ("10.77.3.2", "fw.contoso.test"))
FLOW = Flow(client=CLIENT, client_port=50123, server=SERVER, server_port=443)
NO_RIGHTS = "What TTL the answers came with is not known: seeing packets needs root, or CAP_NET_RAW."


def routers(addresses: Sequence[str | Sequence[str]]) -> tuple[TraceHop, ...]:
    """Hops that answered; "" for one that is silent, a tuple for several at one distance."""
    return tuple(
        TraceHop(
            ttl=n,
            replies=tuple(
                TraceReply(answer="hop", address=address, rtt_ms=0.1 * n + 0.04)
                if address
                else TraceReply(answer="none")
                for address in ([at] if isinstance(at, str) else at)
            ),
        )
        for n, at in enumerate(addresses, 1)
    )


def trace(
    answer: TraceAnswer, hops: tuple[TraceHop, ...], end: Mapping[str, Any] | None = None, **changes: Any
) -> TraceObservation:
    """``hops``, and then, with ``end``, the answer that ended it."""
    mode = changes.get("mode", "syn")
    address = changes.get("address", SERVER)
    distance = None if end is None else len(hops) + 1
    if end is not None:
        hops = (*hops, TraceHop(ttl=len(hops) + 1, replies=(TraceReply(answer=answer, **end),)))
    kinds = {"none": "timeout", "closed": "eof"}
    good = answer in ("open", "data") or (mode, answer) == ("udp", "refused")
    failure = None if good else Failure(kind=kinds.get(answer, answer), step="trace")  # type: ignore[arg-type]
    values: dict[str, Any] = {
        "id": f"trace.{mode}",
        "address": address,
        "port": 443,
        "payload": "ClientHello" if mode == "data" else "",
        "flow": FLOW,
        "names": NAMES,
        "started": AT,
        "took_s": 0.5,
        "hops": hops,
        "answer": answer,
        "distance": distance,
        "outcome": "ok" if good else "failed",
        "failure": failure,
    }
    return TraceObservation(**{**values, **changes})


def finding(identifier: str, summary: str, *evidence: str, **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "id": identifier,
        "severity": Severity.ERROR,
        "summary": summary,
        "blame": "path-device",
        "remedy": "Have the network team allow it.",
        "evidence": evidence,
    }
    return Finding(**{**values, **changes})


def report(found: Finding | None, observations: tuple[AnyObservation, ...], **changes: Any) -> Report:
    verdict = Verdict(status="healthy", finding=None, blame=None, summary=f"{HOST}:443 can be used")
    if found is not None:
        verdict = handmade.verdict_of(found)
    return handmade.report(verdict, observations, findings=() if found is None else (found,), **changes)


def segment(frame: int, after: float, sender: str, flags: str, seq: int, ack: int = 0, **changes: Any) -> Segment:
    values: dict[str, Any] = {
        "frame": frame,
        "at": AT + after,
        "sender": sender,
        "flags": flags,
        "seq": seq,
        "ack": ack,
        "length": 0,
        "window": 64240,
        "ttl": 64 if sender == "client" else 107,
    }
    return Segment(**{**values, **changes})


def captured(rst_ttl: int = 61) -> tuple[AnyObservation, ...]:
    """A run's own capture of the connection that is reset right after the ClientHello."""
    made = Connection(
        number=0,
        client=FLOW.client,
        client_port=FLOW.client_port,
        server=FLOW.server,
        server_port=FLOW.server_port,
        name=HOST,
        started=AT,
        duration_s=0.03,
        first_frame=11,
        last_frame=15,
        opening="complete",
        closing="reset",
        completeness=47,
        rst_server=1,
        packets_client=3,
        packets_server=2,
        bytes_client=517,
        ttl_syn=64,
        ttl_syn_ack=107,
        ttl_rst_server=rst_ttl,
        ttl_server=(107, 107),
    )
    segments = (
        segment(11, 0.0, "client", "SYN", 1000),
        segment(12, 0.0202, "server", "SYN,ACK", 9000, 1001),
        segment(13, 0.0203, "client", "ACK", 1001, 9001),
        segment(14, 0.0206, "client", "PSH,ACK", 1001, 9001, length=517),
        segment(15, 0.0231, "server", "RST", 9001, window=0, ttl=rst_ttl),
    )
    wire = WireObservation(id="wire", path="netdiag-1.pcapng", method="af-packet", packets=15, interfaces=("eth0",))
    connection = ConnectionObservation(
        id="wire.connection-0", parent="wire", flow=FLOW, connection=made, segments=segments, protocol="tls"
    )
    reset = ResetObservation(
        id="wire.reset-0-server",
        parent=connection.id,
        flow=FLOW,
        claimed="server",
        resets=segments[4:],
        opening=segments[1],
        before=segments[1],
        answers=segments[3],
        provoked_by=segments[3],
        ttls=((107, 1),),
        stage="post_psh",
        bytes_client=517,
        server_name=HOST,
    )
    return wire, connection, reset


_BY_DEVICE = finding(
    "tcp.reset-by-path-device",
    f"Connections to {HOST}:443 are reset right after the client's first data, which named {HOST}. The reset bears "
    "the server's address, but almost certainly a device on the path sent it",
    "trace.data",
    "tls.direct.main",
    remedy=f"Check the 4th hop from this machine: find in its log the rule that resets connections to port 443 that "
    f"name {HOST}, and have it allowed.",
    culprit=Culprit(address="10.77.3.2", hop=4),
    details=("Almost certainly sent by a device on the path (confidence 95%)",),
)


def _interrupted() -> AnyObservation:
    reset = Failure(kind="reset", step="handshake", detail="Connection reset by peer")
    return handmade.tls(
        outcome="failed", failure=reset, flow=FLOW, chain=(), version="", cipher="", started=AT, bytes_sent=517
    )


def _traces(**data: Any) -> tuple[AnyObservation, ...]:
    return (
        trace("open", routers(ROUTERS), {"rtt_ms": 2.31}),
        trace("reset", routers(ROUTERS[:4]), {"rtt_ms": 0.6}, mode="data", server_name=HOST, **data),
    )


def reset_at_hop_4() -> Report:
    """With rights: TTLs, and the packets themselves."""
    observations = (handmade.tcp(), _interrupted(), *_traces(), *captured())
    return report(_BY_DEVICE, observations)


def reset_without_rights() -> Report:
    """The same as an ordinary user."""
    wire = WireObservation(id="wire", outcome="not-run", limits=(NO_RIGHTS,))
    return report(_BY_DEVICE, (handmade.tcp(), _interrupted(), *_traces(limits=(NO_RIGHTS,)), wire))


def reset_unexplained() -> Report:
    """No finding names a device: the traces alone."""
    return report(None, _traces())


def silent_drop() -> Report:
    """Nothing answers beyond the third hop; the probes went up to TTL 30."""
    dead = handmade.tcp(
        outcome="failed",
        failure=Failure(kind="timeout", step="connect"),
        took_s=8.0,
        started=AT,
        flow=FLOW,
        info=None,
    )
    found = finding(
        "tcp.no-reply",
        f"{SERVER}:443 does not answer at all (waited 8.0 s)",
        dead.id,
        "trace.syn",
        remedy=f"Ask the network team to allow TCP port 443 from this machine to {SERVER}:443.",
        culprit=Culprit(address="10.77.2.2", hop=3),
    )
    return report(found, (dead, trace("none", routers((*ROUTERS[:3], *("",) * 27)))))


def prohibited() -> Report:
    """The third hop says no; as a Linux router, from TTL 4 on."""
    icmp = IcmpError(version=4, type=3, code=13, offender="10.77.2.2")
    end = {"address": "10.77.2.2", "rtt_ms": 0.4, "icmp": icmp, "ttl": 62}
    dead = handmade.tcp(
        outcome="failed",
        failure=Failure(kind="prohibited", step="connect"),
        icmp=icmp,
        started=AT,
        took_s=0.0012,
        flow=FLOW,
        info=None,
    )
    found = finding(
        "tcp.prohibited",
        f"The device 10.77.2.2 forbids connections to {SERVER}:443 (ICMP administratively prohibited)",
        dead.id,
        remedy=f"Ask the network team that runs 10.77.2.2 to allow TCP port 443 from this machine to {HOST}.",
        culprit=Culprit(address="10.77.2.2"),
    )
    return report(found, (dead, trace("prohibited", routers(ROUTERS[:3]), end)))


def healthy() -> Report:
    """Several ways at two distances, and hops that do not answer; asked for with all modes."""
    ways = (ROUTERS[0], ("10.77.1.2", "10.77.1.6"), "", "", ("10.77.4.2", "10.77.4.6"), "", *ROUTERS[6:12])
    return report(
        None,
        (
            handmade.tcp(),
            trace("refused", routers(ways), {"address": SERVER, "rtt_ms": 1.5}, mode="udp"),
            trace("data", routers(ways[:12]), {"rtt_ms": 3.3}, mode="data", server_name=HOST),
            trace("open", routers(ways), {"rtt_ms": 1.44, "ttl": 116}),
        ),
    )


def server_resets() -> Report:
    """The reset comes from as far away as the server is."""
    found = finding(
        "tcp.reset-by-server",
        f"Connections to {HOST}:443 are reset right after the client's first data. It was probably the server itself",
        "trace.data",
        blame="server",
        remedy=f"Look into the log of {HOST}.",
        culprit=Culprit(address=SERVER),
    )
    data = trace("reset", routers(ROUTERS), {"rtt_ms": 2.5}, mode="data", server_name=HOST)
    return report(found, (handmade.tcp(), _interrupted(), _traces()[0], data, *captured(rst_ttl=107)))


def ipv6() -> Report:
    """The reset at the second hop, over IPv6."""
    flow = Flow(client="2001:db8:77::2", client_port=50124, server="2001:db8::10", server_port=443)
    ways = ("2001:db8:77::1", "2001:db8:77:1::2", "2001:db8:77:2::2")
    both = {"address": "2001:db8::10", "flow": flow, "names": ()}
    found = finding(
        "tcp.reset-by-path-device",
        f"Connections to {HOST}:443 are reset",
        "trace.data",
        culprit=Culprit(hop=2),
    )
    traces: tuple[TcpObservation | TraceObservation, ...] = (
        trace("open", routers(ways), {"rtt_ms": 0.9, "ttl": 61}, **both),
        trace("reset", routers(ways[:2]), {"rtt_ms": 0.9, "ttl": 63}, mode="data", server_name=HOST, **both),
    )
    return report(found, traces)


def nothing_answers() -> Report:
    """Not even the first router."""
    return report(None, (trace("none", routers(("",) * 30), limits=("The system tells of no ICMP errors.",)),))


def refused_by_device() -> Report:
    """A reset instead of a SYN-ACK, from the second hop; how far the server is, nobody knows."""
    found = finding(
        "tcp.reset-by-path-device",
        f"Connections to {HOST}:443 are reset instead of an answer to the SYN",
        "trace.syn",
        culprit=Culprit(hop=2),
    )
    return report(found, (trace("refused", routers(ROUTERS[:2]), {"rtt_ms": 0.3, "ttl": 63}),))


def hostile(text: str) -> Report:
    """``text`` wherever a stranger, or a forged report, can put text."""
    made = reset_at_hop_4()
    flow = Flow(client=text, client_port=1, server=text, server_port=443)
    icmp = IcmpError(version=4, type=3, code=13, offender=text)
    reply = TraceReply(answer="hop", address=text, rtt_ms=1.0, ttl=61, icmp=icmp, flow=flow)
    last = TraceReply(answer="prohibited", address=text, ttl=61, icmp=icmp)
    hops = (TraceHop(ttl=1, replies=(reply,)), TraceHop(ttl=10**15, replies=(reply,)), TraceHop(ttl=2, replies=(last,)))
    trace_changes: dict[str, Any] = {"hops": hops, "names": ((text, text),), "address": text, "flow": flow}
    observations: list[AnyObservation] = []
    for n, observation in enumerate(made.observations):
        if isinstance(observation, TraceObservation):
            changes = {"server_name": text, "limits": (text,), "answer": "prohibited", **trace_changes}
            observations += [
                msgspec.structs.replace(observation, id=f"{text}{n}{m}", distance=10**15, **changes) for m in range(5)
            ]
        elif isinstance(observation, WireObservation):
            observations.append(msgspec.structs.replace(observation, path=text, interfaces=(text,), limits=(text,)))
        elif isinstance(observation, ConnectionObservation):
            c = msgspec.structs.replace(observation.connection, client=text, server=text, name=text, icmp=text)
            observations.append(msgspec.structs.replace(observation, connection=c, flow=flow))
        elif isinstance(observation, ResetObservation):
            observations.append(msgspec.structs.replace(observation, flow=flow, server_name=text))
        else:
            observations.append(observation)
    observations += handmade.hostile(text).observations
    found = msgspec.structs.replace(
        made.findings[0],
        summary=text,
        remedy=text,
        details=(text,),
        evidence=tuple(o.id for o in observations),
        culprit=Culprit(address=text, name=text, hop=10**15),
    )
    return report(found, tuple(observations), target=handmade.target(host=text))


def through_a_proxy() -> Report:
    """The path to the proxy, which is near."""
    end = {"rtt_ms": 0.5}
    return report(None, (trace("open", routers(ROUTERS[:1]), end, peer="proxy", address="10.0.0.9", port=8080),))
