"""What a run's own packets add to what its probes saw."""

import msgspec
import pytest

from netdiag.model import (
    ConnectionObservation,
    DnsObservation,
    Failure,
    Flow,
    HttpsObservation,
    IcmpError,
    Observation,
    ProxyObservation,
    ResetObservation,
    TraceHop,
    TraceObservation,
    TraceReply,
    WireObservation,
)
from netdiag.session.wire import MAX_SHOWN, comments, evidence
from tests.frames import ACK, RST, SYN, Segment
from tests.taps import RESET, ROUTER, SERVER, START, TIMEOUT, Wire, flow, resetting, tcp_probe, tls_probe


def seen(wire: Wire, *observations: Observation) -> tuple[Observation, ...]:
    own = WireObservation(id="wire", source="capture", dropped=wire.dropped)
    return evidence(wire.packets, own, observations)


def of(kind, found):
    return [o for o in found if isinstance(o, kind)]


def test_a_reset_is_shown_with_its_frame():
    wire = resetting()
    wire.open(50002, ttl=105)
    found = seen(wire, tcp_probe(50001), tls_probe(50001), tls_probe(50002, None))
    [connection], [reset] = of(ConnectionObservation, found), of(ResetObservation, found)
    assert (connection.id, connection.parent, connection.source, connection.flow) == (
        "wire.connection-0",
        "wire",
        "capture",
        flow(50001),
    )
    assert connection.connection.name == "db.contoso.test"
    assert [s.frame for s in connection.segments] == [1, 2, 3, 4, 5]
    assert (reset.id, reset.parent, reset.source) == ("wire.reset-0-server", "wire.connection-0", "capture")
    assert (reset.resets[0].ttl, reset.resets[0].frame, reset.server_name) == (61, 5, "db.contoso.test")
    assert len({o.id for o in found}) == len(found)


def test_a_refusal_is_compared_with_all_connections_to_the_address():
    wire = Wire()
    wire.open(50001, ttl=105)
    wire.tcp(50002, Segment(100, flags=SYN), sent=True)
    wire.tcp(50002, Segment(0, 101, RST | ACK, 0), sent=False, ttl=63)
    refused = Failure(kind="refused", step="connect")
    [reset] = of(ResetObservation, seen(wire, tcp_probe(50001), tcp_probe(50002, refused)))
    assert reset.ttls_elsewhere == ((105, 1),)
    assert reset.stage == "post_syn"


@pytest.mark.parametrize("route", ["direct", "proxy"])
@pytest.mark.parametrize(
    "probe",
    [
        tls_probe(50001),
        tcp_probe(50001, RESET),
        ProxyObservation(id="proxy.tunnel", proxy="http://p:8080", outcome="failed", failure=RESET, flow=flow(50001)),
        HttpsObservation(id="https", url="https://x/", outcome="failed", failure=RESET, flow=flow(50001)),
    ],
    ids=lambda probe: type(probe).__name__,
)
def test_every_kind_of_probe_counts_and_gives_its_route(probe, route):
    probe = msgspec.structs.replace(probe, route=route, started=START, took_s=1.0)
    found = seen(resetting(), probe)
    assert [o.route for o in found if o.id.startswith("wire.")] == [route, route]


def test_what_did_not_fail_is_not_shown():
    wire = resetting()
    found = seen(wire, tcp_probe(50001), tls_probe(50001, None), tcp_probe(50001, outcome="not-run"))
    assert [o.id for o in found][:1] == ["wire"]
    assert not of(ConnectionObservation, found) + of(ResetObservation, found)


def test_a_port_that_is_used_again_is_the_latest_connection_then():
    wire = Wire()
    for at in (0.0, 10.0):
        wire.tcp(50001, Segment(100 + int(at), flags=SYN), sent=True, at=at)
        wire.tcp(50001, Segment(0, 101 + int(at), RST | ACK, 0), sent=False, at=at + 0.1)
        wire.tcp(50001, Segment(9_000_000 + int(at), flags=SYN), sent=True, at=at + 5)
        wire.tcp(50001, Segment(0, 9_000_001 + int(at), RST | ACK, 0), sent=False, at=at + 5.1)
    found = seen(wire, tcp_probe(50001, RESET, took_s=0.5))
    [connection] = of(ConnectionObservation, found)
    assert connection.connection.first_frame == 1


def test_other_programs_connections_take_no_room():
    wire = Wire()
    for port in range(40_000, 40_100):
        wire.open(port)
        wire.ask(port)
        wire.reset(port)
    wire.open(50001)
    wire.ask(50001)
    wire.reset(50001)
    [connection] = of(ConnectionObservation, seen(wire, tls_probe(50001)))
    assert connection.connection.number == 100
    assert [s.frame for s in connection.segments] == [501, 502, 503, 504, 505]


def test_so_many_are_shown_and_no_more():
    wire = Wire()
    ports = range(50_000, 50_000 + MAX_SHOWN + 5)
    for port in ports:
        wire.tcp(port, Segment(100, flags=SYN), sent=True)
    found = seen(wire, *(tcp_probe(port, TIMEOUT) for port in ports))
    assert len(of(ConnectionObservation, found)) == MAX_SHOWN


# -- what never left this machine


def test_a_failed_probe_without_a_packet_is_told():
    wire = Wire()
    wire.tcp(50001, Segment(100, flags=SYN), sent=True)
    [own, *_] = seen(wire, tcp_probe(50001, TIMEOUT), tcp_probe(50002, TIMEOUT), tcp_probe(50003))
    assert own.unseen == (flow(50002),)


def test_a_rejection_on_loopback_is_no_packet_of_this_machine():
    wire = Wire()
    wire.tcp(50001, Segment(0, 101, RST | ACK, 0), sent=False)
    found = seen(wire, tcp_probe(50001, RESET))
    assert found[0].unseen == (flow(50001),)
    assert not of(ConnectionObservation, found)


def test_a_query_is_a_packet_too():
    wire = Wire()
    wire.dns(50053)
    probes = [
        DnsObservation(
            id=f"dns.{port}",
            asker="name-server",
            name="db.contoso.test",
            outcome="failed",
            failure=TIMEOUT,
            flow=flow(port, "10.0.0.53", 53, "udp"),
        )
        for port in (50053, 50054)
    ]
    assert seen(wire, *probes)[0].unseen == (probes[1].flow,)


def test_lost_packets_prove_nothing():
    assert seen(Wire(dropped=1), tcp_probe(50001, TIMEOUT))[0].unseen == ()


def test_zones_are_not_on_the_wire():
    zoned = Flow(client="fe80::5%eth0", client_port=50001, server="fe80::9%eth0", server_port=443)
    wire = Wire()
    wire.tcp(50001, Segment(100, flags=SYN), sent=True)
    probe = tcp_probe(50001, TIMEOUT)
    [own, *_] = seen(wire, msgspec.structs.replace(probe, flow=zoned))
    assert own.unseen == (zoned,)


# -- traces


def traced(wire: Wire, *replies: TraceReply) -> tuple[TraceReply, ...]:
    trace = TraceObservation(
        id="trace", address=SERVER, port=443, mode="data", started=START, hops=(TraceHop(ttl=1, replies=replies),)
    )
    [found] = of(TraceObservation, seen(wire, trace))
    return found.hops[0].replies


def test_replies_get_the_ttl_that_they_came_with():
    wire = resetting()
    wire.open(50002, ttl=107)
    wire.tcp(50003, Segment(100, flags=SYN), sent=True)
    wire.tcp(50003, Segment(0, 101, RST | ACK, 0), sent=False, ttl=63)
    replies = traced(
        wire,
        TraceReply(answer="reset", flow=flow(50001)),
        TraceReply(answer="open", flow=flow(50002)),
        TraceReply(answer="refused", flow=flow(50003)),
        TraceReply(answer="none", flow=flow(50001)),
        TraceReply(answer="open", flow=flow(50009)),
        TraceReply(answer="open"),
    )
    assert [reply.ttl for reply in replies] == [61, 107, 63, None, None, None]


def test_a_hop_that_the_socket_could_not_ascribe_gets_its_router():
    wire = Wire()
    wire.open(50001)
    wire.ask(50001)
    wire.died(50001, ttl=254)
    [reply] = traced(wire, TraceReply(answer="hop", flow=flow(50001)))
    error = IcmpError(version=4, type=11, code=0, offender=ROUTER)
    assert reply == TraceReply(answer="hop", address=ROUTER, ttl=254, icmp=error, flow=flow(50001))


def test_a_hop_that_is_known_keeps_its_address():
    wire = Wire()
    wire.open(50001)
    wire.died(50001, router="10.9.9.9")
    known = TraceReply(answer="hop", address="10.0.0.1", flow=flow(50001))
    assert traced(wire, known) == (known,)


def test_another_error_is_no_hop():
    wire = Wire()
    wire.open(50001)
    wire.died(50001, kind=3, code=13)
    hop, prohibited = traced(
        wire, TraceReply(answer="hop", flow=flow(50001)), TraceReply(answer="prohibited", flow=flow(50001))
    )
    assert (hop.address, prohibited.address) == ("", ROUTER)


def test_connections_of_traces_are_not_shown():
    wire = resetting()
    trace = TraceObservation(
        id="trace",
        address=SERVER,
        port=443,
        hops=(TraceHop(ttl=5, replies=(TraceReply(answer="reset", flow=flow(50001)),)),),
    )
    assert not of(ConnectionObservation, seen(wire, trace))


# -- comments


def test_each_probes_first_packet_says_what_it_is_for():
    wire = resetting()
    wire.dns(50053)
    dns = DnsObservation(
        id="dns.10.0.0.53:53.A",
        asker="name-server",
        name="db.contoso.test",
        qtype="A",
        flow=flow(50053, "10.0.0.53", 53, "udp"),
        started=START,
    )
    tls = tls_probe(50001, started=START + 0.0025, took_s=0.3)
    assert comments(wire.packets, [dns, tcp_probe(50001, took_s=0.04), tls]) == {
        1: ("netdiag: tcp.direct.50001, connection to 192.0.2.9:443: ok after 0.0 s",),
        4: ("netdiag: tls.direct.50001, TLS handshake with db.contoso.test: reset after 0.3 s",),
        6: ("netdiag: dns.10.0.0.53:53.A, A of db.contoso.test: ok after 0.0 s",),
    }


def test_a_traces_connections_say_their_ttl():
    wire = resetting()
    trace = TraceObservation(
        id="trace",
        address=SERVER,
        port=443,
        started=START,
        hops=(TraceHop(ttl=5, replies=(TraceReply(answer="reset", flow=flow(50001)),)),),
    )
    assert comments(wire.packets, [trace]) == {1: ("netdiag: trace, TTL 5: reset",)}


def test_a_url_keeps_its_query_to_itself():
    wire = resetting()
    fetched = HttpsObservation(
        id="https.direct", url="https://x/path?code=secret", flow=flow(50001), started=START, status=200
    )
    assert comments(wire.packets, [fetched]) == {1: ("netdiag: https.direct, GET https://x/path: ok after 0.0 s",)}
