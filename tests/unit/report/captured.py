"""Reports on captures, by hand: the guide's own traces among them."""

from __future__ import annotations

from typing import Any

import msgspec

from netdiag.model import (
    AnyObservation,
    CaptureObservation,
    Connection,
    ConnectionObservation,
    ConversationRow,
    Culprit,
    Failure,
    Finding,
    Flow,
    Report,
    ResetEntry,
    ResetObservation,
    Segment,
    ServiceObservation,
    Severity,
    Target,
    TcpObservation,
    Tool,
    Verdict,
)
from tests.unit.report.handmade import AT, verdict_of

CLIENT, DNS_SERVER, SERVICE = "10.0.0.7", "8.8.8.8", "40.112.242.10"


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
        "ttl": 128 if sender == "client" else 107,
        "ip_id": frame,
        "df": True,
    }
    return Segment(**{**values, **changes})


def connection(number: int, server: str, port: int, **changes: Any) -> Connection:
    values: dict[str, Any] = {
        "number": number,
        "client": CLIENT,
        "client_port": 50000 + number % 1000,
        "server": server,
        "server_port": port,
        "started": AT,
        "duration_s": 0.5,
        "first_frame": 1,
        "last_frame": 9,
        "opening": "complete",
        "closing": "fin",
        "completeness": 31,
        "ttl_syn": 128,
        "ttl_syn_ack": 107,
    }
    return Connection(**{**values, **changes})


def exhibit(made: Connection, segments: tuple[Segment, ...], **changes: Any) -> ConnectionObservation:
    values: dict[str, Any] = {
        "id": f"connection-{made.number}",
        "parent": "capture-1",
        "source": "capture",
        "flow": Flow(
            client=made.client, client_port=made.client_port, server=made.server, server_port=made.server_port
        ),
        "connection": made,
        "segments": segments,
    }
    return ConnectionObservation(**{**values, **changes})


def failed(kind: str, step: str = "connect") -> dict[str, Any]:
    return {"outcome": "failed", "failure": Failure(kind=kind, step=step)}  # type: ignore[arg-type]


def silent() -> ConnectionObservation:
    """Telnet to 8.8.8.8 port 888: two SYN retransmissions, and no answer."""
    made = connection(
        0,
        DNS_SERVER,
        888,
        opening="unanswered",
        closing="none",
        completeness=1,
        duration_s=9.0,
        syn=3,
        retransmissions_client=2,
        packets_client=3,
        ttl_syn_ack=None,
        process="telnet.exe",
    )
    again = ("syn-retransmission",)
    segments = (
        segment(1, 0.0, "client", "SYN", 1000, options="mss 1460,nop,wscale 8,nop,nop,sackOK", window=8192),
        segment(2, 3.0005, "client", "SYN", 1000, marks=again, window=8192),
        segment(3, 9.0011, "client", "SYN", 1000, marks=again, window=8192),
    )
    return exhibit(made, segments, **failed("timeout"))


def healthy() -> ConnectionObservation:
    """Telnet to 8.8.8.8 port 53: 3-way opening, some data, 4-way closing. The client's numbers wrap around."""
    made = connection(
        1,
        DNS_SERVER,
        53,
        name="dns.google",
        syn=1,
        syn_ack=1,
        fin_client=1,
        fin_server=1,
        bytes_client=31,
        bytes_server=95,
        syn_rtt_ms=23.4,
        ack_rtt_ms=0.2,
    )
    top = 2**32 - 1
    segments = (
        segment(4, 0.1, "client", "SYN", top),
        segment(5, 0.1234, "server", "SYN,ACK", 9000, 0),
        segment(6, 0.1236, "client", "ACK", 0, 9001),
        segment(7, 0.2, "client", "PSH,ACK", 0, 9001, length=31),
        segment(8, 0.223, "server", "PSH,ACK", 9001, 31, length=95),
        segment(9, 0.3, "client", "FIN,ACK", 31, 9096),
        segment(10, 0.32, "server", "ACK", 9096, 32),
        segment(11, 0.33, "server", "FIN,ACK", 9096, 32),
        segment(12, 0.3301, "client", "ACK", 32, 9097),
    )
    return exhibit(made, segments, protocol="dns")


def cut() -> tuple[ConnectionObservation, ResetObservation]:
    """The guide's reset: TTL 61 against a SYN-ACK with TTL 107."""
    made = connection(
        2,
        SERVICE,
        443,
        name="wu2.frontend.clouddatahub.net",
        closing="reset",
        syn=1,
        syn_ack=1,
        rst_server=1,
        ttl_rst_server=61,
        bytes_client=1517,
        retransmissions_client=1,
        duplicate_acks_client=1,
    )
    reset = segment(18, 0.43, "server", "RST", 70001, window=0, ttl=61, ip_id=0)
    segments = (
        segment(13, 0.4, "client", "SYN", 500),
        segment(14, 0.42, "server", "SYN,ACK", 70000, 501),
        segment(15, 0.4201, "client", "ACK", 501, 70001),
        segment(16, 0.4205, "client", "PSH,ACK", 501, 70001, length=1517),
        segment(17, 0.4208, "client", "PSH,ACK", 501, 70001, length=1517, marks=("retransmission",)),
        reset,
    )
    shown = exhibit(made, segments, protocol="tls", **failed("reset", "handshake"))
    seen = ResetObservation(
        id="reset-2",
        parent=shown.id,
        source="capture",
        flow=shown.flow,
        claimed="server",
        resets=(reset,),
        opening=segments[1],
        before=segments[1],
        answers=segments[4],
        provoked_by=segments[4],
        ttls=((107, 1),),
        ttls_elsewhere=((107, 12), (106, 1)),
        next_seq=70001,
        acked=501,
        rtt_ms=20.0,
        stage="post_psh",
        ip_ids=(14,),
        syns=(AT + 0.4,),
        bytes_client=1517,
        server_name=made.name,
        alike=3,
    )
    return shown, seen


def capture_of(**changes: Any) -> CaptureObservation:
    values: dict[str, Any] = {
        "id": "capture-1",
        "source": "capture",
        "path": "node.pcapng",
        "format": "pcapng",
        "compression": "gzip",
        "bytes": 1_234_567,
        "packets": 4321,
        "first": AT,
        "last": AT + 61.25,
        "interfaces": ("Ethernet 2",),
        "os": "64-bit Windows 10 (1809), build 17763",
        "application": "Dumpcap (Wireshark) 4.0.6",
        "tcp_packets": 4000,
        "udp_packets": 300,
        "icmp_packets": 21,
        "connections": 71,
        "syn": 80,
        "syn_ack": 70,
        "fin": 134,
        "rst": 4,
        "retransmissions": 12,
        "outcomes": (
            ("complete", "fin", 66),
            ("complete", "reset", 3),
            ("unanswered", "none", 1),
            ("mid-stream", "none", 1),
        ),
    }
    return CaptureObservation(**{**values, **changes})


def services() -> tuple[ServiceObservation, ...]:
    return (
        ServiceObservation(
            id="service-1",
            source="capture",
            address=DNS_SERVER,
            port=53,
            names=("dns.google",),
            connections=67,
            complete=66,
            mid_stream=1,
            bytes_client=2_000,
            bytes_server=6_000,
            rtt_ms=23.4,
        ),
        ServiceObservation(
            id="service-2",
            source="capture",
            address=SERVICE,
            port=443,
            names=("wu2.frontend.clouddatahub.net",),
            connections=3,
            complete=3,
            reset_early=3,
            retransmissions=10,
            bytes_client=4_551,
            rtt_ms=20.0,
        ),
        ServiceObservation(
            id="service-3",
            source="capture",
            address=DNS_SERVER,
            port=888,
            connections=1,
            unanswered=1,
            retransmissions=2,
        ),
    )


def report(verdict: Verdict, observations: tuple[AnyObservation, ...], **changes: Any) -> Report:
    values: dict[str, Any] = {
        "tool": Tool(version="0.1.0"),
        "command": "pcap",
        "target": Target(host="", port=0, scheme="file", path="node.pcapng"),
        "started": AT + 100,
        "took_s": 0.2134,
        "verdict": verdict,
        "observations": observations,
    }
    return Report(**{**values, **changes})


def reset_finding() -> Finding:
    return Finding(
        id="tcp.reset-by-path-device",
        severity=Severity.ERROR,
        summary="A device on the path, 3 routers away, resets connections to wu2.frontend.clouddatahub.net:443; "
        "the server is 21 routers away.",
        blame="path-device",
        remedy="Have the network team check the 4th hop: why does it reset connections to port 443?",
        evidence=("reset-2",),
        culprit=Culprit(hop=4),
        details=(
            "Almost certainly sent by a device on the path (confidence 95%)",
            "Reset: TTL 61 = 64 - 3: 3 routers between, sent by the 4th hop from the client",
            "The server's SYN-ACK: TTL 107 = 128 - 21: 21 routers between, so the server is the 22nd hop",
            "The reset has TTL 61, the server's own packets 107: it came from closer by (for a device)",
            "Signature ⟨PSH+ACK → RST⟩: right after the client's first data, before any answer",
            "It may be harmless: a device in front of the server accepts connections for it",
        ),
    )


def entries() -> tuple[ResetEntry, ...]:
    """The resets of the listing: one whose packets were kept, one that only a row tells of."""
    shown, seen = cut()
    c = shown.connection
    flow = Flow(client=c.client, client_port=c.client_port, server=c.server, server_port=c.server_port)
    first = ResetEntry(
        connection=c.number,
        started=c.started,
        flow=flow,
        name=c.name,
        claimed="server",
        count=1,
        frame=18,
        at=seen.resets[0].at,
        ttl=61,
        origin="path-device",
        confidence=0.95,
        conclusion="Almost certainly sent by a device on the path (confidence 95%)",
        arithmetic=("Reset: TTL 61 = 64 - 3: 3 routers between", "The server's SYN-ACK: TTL 107 = 128 - 21"),
    )
    bare = msgspec.structs.replace(
        first, connection=70, name="", count=3, frame=None, at=None, origin="unknown", conclusion="It cannot be told"
    )
    return first, bare


def row(number: int, **changes: Any) -> ConversationRow:
    values: dict[str, Any] = {
        "number": number,
        "started": AT + number,
        "duration_s": 0.5,
        "client": CLIENT,
        "client_port": 50_000,
        "server": DNS_SERVER,
        "server_port": 53,
        "name": "dns.google",
        "opening": "complete",
        "closing": "fin",
        "packets_client": 4,
        "packets_server": 4,
        "bytes_client": 31,
        "bytes_server": 95,
        "retransmissions": 0,
        "rst_client": 0,
        "rst_server": 0,
        "rtt_ms": 23.4,
        "process": "",
        "first_frame": 4,
    }
    return ConversationRow(**{**values, **changes})


def rows() -> tuple[ConversationRow, ...]:
    """The connections of ``faulty`` in short, the worst first."""
    return (
        row(2, server=SERVICE, server_port=443, closing="reset", rst_server=1),
        row(0, server_port=888, name="", opening="unanswered", closing="none", rtt_ms=None, retransmissions=2),
        row(1),
    )


def faulty(**changes: Any) -> Report:
    """A reset by a device on the path, and a port that does not answer."""
    shown, reset = cut()
    tried = TcpObservation(
        id="tcp-888",
        parent="connection-0",
        source="capture",
        address=DNS_SERVER,
        port=888,
        took_s=9.0,
        flow=silent().flow,
        **failed("timeout"),
    )
    no_reply = Finding(
        id="tcp.no-reply",
        severity=Severity.WARNING,
        summary="8.8.8.8:888 does not answer at all (waited 9.0 s, 3 SYNs unanswered)",
        blame="path-device",
        remedy="Ask the network team to allow TCP port 888.",
        evidence=("tcp-888",),
    )
    said = ("frame 4: Is this the \u202efirewall?", *(f"comment {n}" for n in range(6)))
    observations = (capture_of(comments=said), *services(), silent(), healthy(), shown, reset, tried)
    finding = reset_finding()
    return report(verdict_of(finding), observations, **{"findings": (finding, no_reply), **changes})


def fine() -> Report:
    verdict = Verdict(status="healthy", finding=None, blame=None, summary="Nothing is wrong in node.pcapng")
    seen = capture_of(connections=1, outcomes=(("complete", "fin", 1),), rst=0)
    return report(verdict, (seen, services()[0], healthy()))


def damaged() -> Report:
    """Cut in the middle, snapped, packets lost; a hundred thousand connections and long IPv6 addresses."""
    finding = Finding(
        id="capture.truncated-file",
        severity=Severity.WARNING,
        summary="The file ends in the middle of packet 4322.",
        blame="this-machine",
        remedy="Copy the file again, or stop the capture before copying it.",
        evidence=("capture-1",),
    )
    seen = capture_of(
        connections=103_456,
        dropped=17,
        snapped=4000,
        previous_lost=3,
        acked_unseen=1,
        captured_twice=2,
        damaged_frame=4321,
        damaged_byte=1_234_500,
        damage="the record is longer than what is left of the file",
        unknown_links=(("LINKTYPE_IEEE802_11 (105)", 12),),
        drops=(("INET_PortUnreachable", 3),),
        comments=("taken at the firewall",),
        remarks=("the clock runs backwards once",),
    )
    v6 = connection(
        103_455,
        "2001:db8:1234:5678:9abc:def0:1234:5678",
        443,
        client="2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        name="a-rather-long-name-of-a-server.in-a-long-domain.example",
        bytes_client=10**9,
        bytes_server=10**12,
        retransmissions_server=123_456,
        zero_windows_client=7,
        closing="half-close",
        fin_server=1,
    )
    service = ServiceObservation(
        id="service-1",
        source="capture",
        address=v6.server,
        port=443,
        names=(v6.name,),
        connections=103_456,
        complete=103_456,
        retransmissions=123_456,
        rtt_ms=12_345.6,
    )
    others = ServiceObservation(
        id="service-others", source="capture", address="", port=0, connections=5000, complete=5000
    )
    shown = exhibit(v6, long_stream(), omitted=999_000, omitted_after=64)
    return report(verdict_of(finding), (seen, service, others, shown), findings=(finding,))


def long_stream() -> tuple[Segment, ...]:
    """An opening, and then nothing but data, with one duplicate ACK and one closed window in it."""
    opening = (
        segment(1, 0.0, "client", "SYN", 100),
        segment(2, 0.1, "server", "SYN,ACK", 500, 101),
        segment(3, 0.2, "client", "ACK", 101, 501),
    )
    data = [segment(4 + n, 0.3 + n / 100, "server", "ACK", 501 + 1000 * n, 101, length=1000, ttl=57) for n in range(90)]
    data[40] = segment(44, 0.7, "client", "ACK", 101, 501, marks=("duplicate-ack",))
    data[41] = segment(45, 0.71, "client", "ACK", 101, 501, window=0, marks=("zero-window",))
    return (*opening, *data)


def hostile(text: str) -> Report:
    """``text`` wherever a file can put text."""
    made = faulty()
    shown, reset = cut()
    evil = msgspec.structs.replace(shown.connection, name=text, icmp=text, process=text, client=text, server=text)
    bad = segment(1, 0.0, "client", text, 1, options=text, marks=(text,))
    seen = capture_of(
        path=text,
        format=text,
        compression=text,
        interfaces=(text,) * 5,
        os=text,
        application=text,
        damage=text,
        comments=(text,),
        remarks=(text,),
        unknown_links=((text, 1),),
        drops=((text, 1),),
    )
    service = msgspec.structs.replace(services()[1], names=(text, text), address=text)
    observations = (
        seen,
        service,
        msgspec.structs.replace(shown, connection=evil, segments=(bad, *shown.segments), protocol=text, exchange=text),
        msgspec.structs.replace(reset, server_name=text, resets=(bad, *reset.resets)),
    )
    finding = msgspec.structs.replace(made.findings[0], summary=text, remedy=text, culprit=Culprit(name=text))
    return msgspec.structs.replace(
        made,
        target=Target(host="", port=0, scheme="file", path=text),
        verdict=verdict_of(finding),
        findings=(finding,),
        observations=observations,
    )
