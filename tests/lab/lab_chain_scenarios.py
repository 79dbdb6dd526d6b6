"""What can go wrong in the chain, who did it, what arrives at the client, and what must come out: data only.

``wire`` is what a plain TLS client receives: the TTLs of SYN-ACKs and resets, and ICMP errors. A packet of hop k has
crossed k - 1 routers, one of the server's 21.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tests.lab.lab_chain import CLIENT, CLIENT_V6, CLOSED, NAME, NAME_SMALL, NAME_V6, SERVER, Setting, hop_address
from tests.lab.lab_chain_expect import Expect, Scenario, healthy, hop, last_answer, server, this_machine, unknown
from tests.lab.lab_chain_servers import ABORT, ABORT_AT_ONCE, ABORT_REQUEST, ABORT_UNREAD, CLOSE_AT_ONCE
from tests.lab.lab_device import beside, bystander, drops_name, forges_icmp, inside, resets_name

Stage = Literal["syn", "hello", "later"]


_MATCH: dict[Stage, str] = {
    "syn": "tcp dport 443 tcp flags & (syn | ack) == syn",
    "hello": "tcp dport 443 ct state established tcp flags & psh == psh",
    # A segment that begins with a TLS record of application data (RFC 8446 §5.1); Finished has a record in front of it.
    "later": "tcp dport 443 tcp flags & psh == psh @ih,0,8 0x17",
}
#: Anything that carries data, as a ClientHello of several segments does, of which the last only has PSH.
_DATA = "tcp dport 443 ct state established meta length > 120"


def _forward(rules: str) -> str:
    return f"chain forward {{ type filter hook forward priority 0; {rules}; }}\n"


def _output(rules: str) -> str:
    return f"chain output {{ type filter hook output priority mangle; {rules}; }}\n"


def _input(rules: str) -> str:
    return f"chain input {{ type filter hook input priority 0; {rules}; }}\n"


def _resets(stage: Stage) -> str:
    return _forward(f"{_MATCH[stage]} reject with tcp reset")


def _arrives(**packets: int) -> frozenset[str]:
    """TTLs: ``syn_ack``, ``rst``."""
    return frozenset(f"{name.upper().replace('_', '-')} {ttl}" for name, ttl in packets.items())


def _reset(
    stage: Stage,
    number: int,
    *,
    starts: tuple[int, int] = (64, 64),
    rst: int,
    syn_ack: int | None = None,
    expect: Expect | tuple[Expect, ...] = (),
    v6: bool = False,
) -> Scenario:
    """A router resets. ``starts``: the initial TTLs of server and router."""
    arrives = _arrives(rst=rst) if syn_ack is None else _arrives(rst=rst, syn_ack=syn_ack)
    return Scenario(
        f"reset-{stage}-hop{number}-ttl-{starts[0]}-{starts[1]}{'-ipv6' if v6 else ''}",
        f"hop {number} resets {_STAGE_WORDS[stage]}",
        expect or hop(number, v6=v6),
        arrives,
        Setting({f"h{number}": _resets(stage)}, {"h22": starts[0], f"h{number}": starts[1]}),
        NAME_V6 if v6 else NAME,
    )


_STAGE_WORDS: dict[Stage, str] = {"syn": "the SYN", "hello": "the ClientHello", "later": "the request"}

_RESETS = (
    _reset("hello", 4, starts=(128, 64), rst=61, syn_ack=107),
    _reset("hello", 1, rst=64, syn_ack=43),
    _reset("hello", 2, starts=(255, 64), rst=63, syn_ack=234),
    _reset("hello", 4, starts=(64, 128), rst=125, syn_ack=43),
    _reset("hello", 4, starts=(255, 255), rst=252, syn_ack=234),
    _reset("hello", 12, rst=53, syn_ack=43),
    _reset("hello", 12, starts=(128, 255), rst=244, syn_ack=107),
    # 45 and 43 are too near for TTLs, but what reaches hop 20 is reset, and the server is hop 22.
    _reset("hello", 20, rst=45, syn_ack=43),
    _reset("hello", 21, starts=(128, 64), rst=44, syn_ack=107),
    _reset("hello", 21, starts=(64, 255), rst=235, syn_ack=43),
    # Only what reaches the server reaches the filter of the last router, and a TTL may differ by one.
    _reset("hello", 21, rst=44, syn_ack=43, expect=(unknown(), hop(21))),
    _reset("syn", 1, rst=64),
    _reset("syn", 2, starts=(64, 255), rst=254),
    _reset("syn", 4, starts=(128, 64), rst=61),
    _reset("syn", 12, starts=(64, 128), rst=117),
    _reset("syn", 21, rst=44, expect=(unknown("tcp.refused"), hop(21))),
    _reset("later", 1, rst=64, syn_ack=43),
    _reset("later", 4, starts=(128, 64), rst=61, syn_ack=107),
    _reset("later", 12, starts=(255, 64), rst=53, syn_ack=234),
    _reset("later", 21, starts=(128, 64), rst=44, syn_ack=107),
    Scenario(
        "reset-later-hop4-beside-another-program",
        "hop 4 resets the request; another program resets connections of its own",
        hop(4),
        _arrives(syn_ack=43, rst=61),
        Setting({"h4": _resets("later")}, devices=(bystander(SERVER, 443),)),
    ),
    Scenario(
        "reset-at-once-hop7",
        "hop 7 resets what is open, before any data",
        hop(7),
        _arrives(syn_ack=43, rst=58),
        Setting({"h7": _forward("tcp dport 443 ct state established reject with tcp reset")}),
    ),
    _reset("hello", 4, starts=(128, 64), rst=61, syn_ack=107, v6=True),
    _reset("syn", 12, starts=(64, 255), rst=244, v6=True),
)

_CLIENTS = (CLIENT, CLIENT_V6)

#: Beyond the device, so that its reset is there long before the server's answer.
_FAR_SERVER = inside(16, _CLIENTS, delay_s=0.02)

_NAMES = (
    Scenario(
        "sni-reset-hop4",
        "hop 4 resets this name",
        hop(4, "tls.sni-filtered"),
        _arrives(syn_ack=107, rst=61),
        Setting(ttls={"h22": 128}, devices=(inside(4, _CLIENTS, act=resets_name(NAME, ttl=64)),)),
    ),
    Scenario(
        "sni-reset-hop12",
        "hop 12 resets this name",
        hop(12, "tls.sni-filtered"),
        _arrives(syn_ack=43, rst=117),
        Setting(devices=(inside(12, _CLIENTS, act=resets_name(NAME, ttl=128, ip_id=4711)),)),
    ),
    Scenario(
        "sni-dropped-hop4",
        "hop 4 drops this name",
        hop(4, "tls.sni-filtered"),
        _arrives(syn_ack=43),
        Setting(devices=(inside(4, _CLIENTS, act=drops_name(NAME)),)),
    ),
    Scenario(
        "sni-dropped-hop12-late",
        "hop 12 drops this name, and lets through what precedes it in the ClientHello",
        # What gets further than hop 12 is half of a long ClientHello; only a short one shows where the name is dropped.
        (hop(12, "tls.sni-filtered"), Expect("tls.sni-filtered", "path-device", exit_status=1)),
        _arrives(syn_ack=43),
        Setting(devices=(inside(12, _CLIENTS, act=drops_name(NAME, holds=False)),)),
    ),
    Scenario(
        "sni-injected-hop4",
        "beside hop 4 a reset is injected for this name; the server answers all the same",
        hop(4, "tls.sni-filtered"),
        _arrives(syn_ack=107, rst=61),
        Setting(ttls={"h22": 128}, devices=(beside(4, resets_name(NAME, ttl=64)), _FAR_SERVER)),
    ),
    Scenario(
        "sni-injected-hop4-copied-ttl",
        "beside hop 4 a reset with the server's TTL is injected; the server answers all the same",
        hop(4, "tls.sni-filtered"),
        _arrives(syn_ack=107, rst=107),
        Setting(ttls={"h22": 128}, devices=(beside(4, resets_name(NAME, ttl=110, ip_id=54321, ack=True)), _FAR_SERVER)),
    ),
    Scenario(
        "injected-between-hops-3-and-4",
        "a tap between hops 3 and 4 injects a reset for this name",
        Expect("tls.sni-filtered", "path-device", (3, 4), "", 1),
        _arrives(syn_ack=107, rst=61),
        Setting(ttls={"h22": 128}, devices=(beside(4, resets_name(NAME, ttl=64), behind=False), _FAR_SERVER)),
    ),
)


def _copies(
    stage: Stage, number: int, arriving: int, expect: Expect | tuple[Expect, ...], wire: frozenset[str]
) -> Scenario:
    """A router that resets with the TTL that makes it arrive as the server's packets."""
    copy = _output(f"tcp flags & rst == rst ip ttl set {arriving + number - 1}")
    return Scenario(
        f"copied-ttl-{stage}-hop{number}",
        f"hop {number} resets {_STAGE_WORDS[stage]} with the server's TTL",
        expect,
        wire,
        Setting({f"h{number}": _resets(stage) + copy}, {"h22": 128}),
    )


_COPIES = (
    # The TTL speaks for the server; that a packet which cannot reach it is reset, speaks louder.
    _copies("hello", 4, 107, hop(4), _arrives(syn_ack=107, rst=107)),
    _copies("hello", 12, 107, hop(12), _arrives(syn_ack=107, rst=107)),
    _copies("syn", 4, 107, hop(4), _arrives(rst=107)),
    # Nothing tells these from the server's own.
    _copies("later", 12, 107, (unknown(), hop(12)), _arrives(syn_ack=107, rst=107)),
    _copies("hello", 21, 107, (unknown(), hop(21)), _arrives(syn_ack=107, rst=107)),
)


def _filtered(
    name: str,
    culprit: str,
    filters: Mapping[str, str],
    expect: Expect | tuple[Expect, ...],
    wire: frozenset[str] = frozenset(),
    target: str = NAME,
) -> Scenario:
    return Scenario(name, culprit, expect, wire, Setting(filters), target)


_SILENCE = (
    _filtered("drop-port-hop2", "hop 2 drops the port", {"h2": _forward("tcp dport 443 drop")}, hop(2, "tcp.no-reply")),
    _filtered("drop-port-hop4", "hop 4 drops the port", {"h4": _forward("tcp dport 443 drop")}, hop(4, "tcp.no-reply")),
    _filtered(
        "drop-all-hop1", "hop 1 drops everything", {"h1": _forward("drop")}, (last_answer(1), hop(1, "tcp.no-reply"))
    ),
    _filtered(
        "drop-all-hop12",
        "hop 12 drops everything",
        {"h12": _forward("drop")},
        (last_answer(12), hop(12, "tcp.no-reply")),
    ),
    _filtered(
        "drop-port-hop4-ipv6",
        "hop 4 drops the port",
        {"h4": _forward("tcp dport 443 drop")},
        hop(4, "tcp.no-reply", v6=True),
        target=NAME_V6,
    ),
    # What happens behind the last router's answer may be its filter or the server's.
    _filtered(
        "drop-port-hop21",
        "hop 21 drops the port",
        {"h21": _forward("tcp dport 443 drop")},
        (last_answer(21), hop(21, "tcp.no-reply")),
    ),
    _filtered(
        "drop-port-server",
        "the server's filter",
        {"h22": _input("tcp dport 443 drop")},
        (last_answer(21), server("tcp.no-reply")),
    ),
    _filtered(
        "drop-hello-hop4",
        "hop 4 drops the ClientHello",
        {"h4": _forward(f"{_DATA} drop")},
        hop(4, "tls.interrupted"),
        _arrives(syn_ack=43),
    ),
    _filtered(
        "drop-hello-hop12",
        "hop 12 drops the ClientHello",
        {"h12": _forward(f"{_DATA} drop")},
        hop(12, "tls.interrupted"),
        _arrives(syn_ack=43),
    ),
)


def _prohibits(number: int, kind: str, code: int, *, v6: bool = False) -> Scenario:
    address = hop_address(number, v6=v6)
    return _filtered(
        f"{kind}-hop{number}{'-ipv6' if v6 else ''}",
        f"hop {number} answers {kind}",
        {f"h{number}": _forward(f"tcp dport 443 reject with icmp{'v6' if v6 else ''} type {kind}")},
        hop(number, "tcp.prohibited", v6=v6),
        frozenset({f"ICMP {'1' if v6 else '3'}/{code} {address}"}),
        NAME_V6 if v6 else NAME,
    )


_PROHIBITED = (
    _prohibits(1, "admin-prohibited", 13),
    _prohibits(4, "admin-prohibited", 13),
    _prohibits(12, "host-prohibited", 10),
    _prohibits(21, "net-prohibited", 9),
    _prohibits(4, "admin-prohibited", 1, v6=True),
    Scenario(
        "forged-prohibition",
        "beside hop 3 somebody forges an ICMP error in the name of 203.0.113.66",
        # Whoever it is, the address is that of the message, and no hop's.
        Expect("tcp.prohibited", "path-device", (None, 3), "", 1),
        frozenset({"ICMP 3/13 203.0.113.66", "SYN-ACK 43"}),
        Setting(devices=(beside(3, forges_icmp("203.0.113.66", 3, 13, port=443)), inside(16, _CLIENTS, delay_s=0.02))),
    ),
    Scenario(
        "forged-icmp-off-path",
        "nobody: ICMP errors that quote a wrong number are noise",
        healthy(),
        frozenset({"SYN-ACK 43", "ICMP 11/0 203.0.113.66"}),
        Setting(devices=(beside(3, forges_icmp("203.0.113.66", 11, 0, port=443, off_by=77777)),)),
    ),
    Scenario(
        "forged-icmp-and-reset-hop4",
        "hop 4 resets the ClientHello, and ICMP errors of a stranger are noise",
        hop(4),
        frozenset({"SYN-ACK 43", "ICMP 11/0 203.0.113.66", "RST 61"}),
        Setting(
            {"h4": _resets("hello")}, devices=(beside(3, forges_icmp("203.0.113.66", 11, 0, port=443, off_by=77777)),)
        ),
    ),
)


def _by_server(name: str, port: int, what: str, *, ttl: int, syn_ack: int, v6: bool = False) -> Scenario:
    return Scenario(
        name,
        f"the server {what}",
        server(v6=v6),
        _arrives(syn_ack=syn_ack, rst=syn_ack),
        Setting(ttls={"h22": ttl}),
        f"{NAME_V6 if v6 else NAME}:{port}",
    )


_SERVER = (
    _by_server("server-closes-unread", ABORT_UNREAD, "closes with the ClientHello unread", ttl=128, syn_ack=107),
    _by_server("server-aborts", ABORT, "aborts after the ClientHello", ttl=64, syn_ack=43),
    _by_server("server-aborts-ipv6", ABORT, "aborts after the ClientHello", ttl=255, syn_ack=234, v6=True),
    _by_server("server-aborts-at-once", ABORT_AT_ONCE, "aborts what it accepted", ttl=64, syn_ack=43),
    _by_server("server-aborts-request", ABORT_REQUEST, "aborts after the request", ttl=128, syn_ack=107),
    Scenario(
        "server-closed-port",
        "the server: nobody listens",
        server("tcp.refused"),
        _arrives(rst=107),
        Setting(ttls={"h22": 128}),
        f"{NAME}:{CLOSED}",
    ),
    Scenario(
        "server-closed-port-ipv6",
        "the server: nobody listens",
        server("tcp.refused", v6=True),
        _arrives(rst=43),
        target=f"{NAME_V6}:{CLOSED}",
    ),
    _filtered(
        "server-filter-resets",
        "the server's filter resets the SYN",
        {"h22": _input(f"{_MATCH['syn']} reject with tcp reset")},
        server("tcp.refused"),
        _arrives(rst=43),
    ),
    _filtered(
        "server-filter-resets-hello",
        "the server's filter resets the ClientHello",
        {"h22": _input(f"{_MATCH['hello']} reject with tcp reset")},
        # As bare as a device's, and with the server's TTL.
        (unknown(), server()),
        _arrives(syn_ack=43, rst=43),
    ),
    Scenario(
        "server-aborts-another-way-back",
        "the server aborts after the ClientHello, and its resets take another way back",
        # The TTL speaks for a device at hop 11; that only what reaches the server is reset, for the server.
        (unknown(), server()),
        _arrives(syn_ack=43, rst=54),
        Setting(
            {"h22": "chain output { type route hook output priority mangle; tcp flags & rst == rst meta mark set 1; }"},
            commands=(
                ("h22", "rule add fwmark 1 lookup 101", "rule del fwmark 1 lookup 101"),
                ("h22", "route add 10.77.0.0/24 via 10.78.1.1 table 101", "route flush table 101"),
            ),
        ),
        f"{NAME}:{ABORT}",
    ),
    Scenario(
        "server-closes-at-once",
        "the server accepts, closes, and resets what comes after",
        (server(), unknown("tls.interrupted"), unknown()),
        _arrives(syn_ack=107, rst=107),
        Setting(ttls={"h22": 128}),
        f"{NAME}:{CLOSE_AT_ONCE}",
    ),
    _filtered(
        "server-filter-port-unreachable",
        "the server's filter says that the port is unreachable",
        {"h22": _input("tcp dport 443 reject with icmp type port-unreachable")},
        server("tcp.refused"),
        frozenset({f"ICMP 3/3 {SERVER}"}),
    ),
    _filtered(
        "server-filter-prohibits",
        "the server's filter says that it is prohibited",
        {"h22": _input("tcp dport 443 reject with icmp type admin-prohibited")},
        server("tcp.prohibited"),
        frozenset({f"ICMP 3/13 {SERVER}"}),
    ),
    Scenario(
        "server-down",
        "the server is switched off; hop 21 says so",
        hop(21, "tcp.unreachable"),
        frozenset({f"ICMP 3/1 {hop_address(21)}"}),
        Setting(
            sysctls=(("h21", "net.ipv4.neigh.h22.retrans_time_ms=100", "net.ipv4.neigh.h22.retrans_time_ms=1000"),),
            commands=(("h22", "link set h21 arp off", "link set h21 arp on"), ("h21", "neigh flush dev h22", "")),
        ),
    ),
)

#: The server's packets cross 10 routers instead of 21.
_SHORT_RETURN = (("h22", "route replace 10.77.0.0/24 via 10.78.1.1", "route replace 10.77.0.0/24 via 10.77.21.1"),)
#: The client's packets go to router 10 at once: that one is hop 1, and the server hop 13.
_SHORT_WAY = (("h0", f"route replace default via 10.78.0.2 src {CLIENT}", "route replace default via 10.77.0.2"),)

_ASYMMETRIC = (
    Scenario(
        "short-return-reset-hop4",
        "hop 4 resets the ClientHello",
        hop(4),
        _arrives(syn_ack=54, rst=61),
        Setting({"h4": _resets("hello")}, commands=_SHORT_RETURN),
    ),
    Scenario(
        "short-return-reset-hop12",
        "hop 12 resets the ClientHello, and its way back is as long as the server's",
        hop(12),
        _arrives(syn_ack=54, rst=53),
        # It sees one direction only, and knows no connections.
        Setting(
            {"h12": _forward("tcp dport 443 tcp flags & psh == psh reject with tcp reset")}, commands=_SHORT_RETURN
        ),
    ),
    Scenario(
        "short-return-server-aborts",
        "the server aborts after the ClientHello",
        server(),
        _arrives(syn_ack=54, rst=54),
        Setting(commands=_SHORT_RETURN),
        f"{NAME}:{ABORT}",
    ),
    Scenario(
        "short-return-server-refuses",
        "the server: nobody listens",
        # The reset's TTL fits no hop's; that the server's ICMP errors have the same one decides.
        (server("tcp.refused"), unknown("tcp.refused")),
        _arrives(rst=54),
        Setting(commands=_SHORT_RETURN),
        f"{NAME}:{CLOSED}",
    ),
    Scenario(
        "short-way-reset-hop3",
        "router 12 resets the ClientHello, the 3rd on the way and the 12th on the way back",
        hop(3, address=hop_address(12)),
        _arrives(syn_ack=43, rst=53),
        Setting({"h12": _resets("hello")}, commands=_SHORT_WAY),
    ),
    Scenario(
        "short-way-reset-syn-hop3",
        "router 12 resets the SYN, the 3rd on the way and the 12th on the way back",
        hop(3, address=hop_address(12)),
        _arrives(rst=53),
        Setting({"h12": _resets("syn")}, commands=_SHORT_WAY),
    ),
)


def _narrow(namespace: str, route: str) -> tuple[tuple[str, str, str], ...]:
    """Packets over 1300 bytes do not fit this way; the other direction is as wide as before."""
    return ((namespace, f"{route} mtu lock 1300", route),)


_NO_FRAG_NEEDED = _output("icmp type destination-unreachable icmp code frag-needed drop")
_NO_TOO_BIG = _output("icmpv6 type packet-too-big drop")
_LONG = f"https://{NAME}/{'x' * 1500}"

_MTU = (
    Scenario(
        "mtu-from-server-hop5",
        "what the server sends beyond 1300 bytes vanishes at hop 5, without an ICMP error",
        Expect("tcp.mtu-black-hole", "path-device", (None, 5, 6), "", 1),
        _arrives(syn_ack=43),
        Setting(
            {"h5": _NO_FRAG_NEEDED},
            commands=(
                (
                    "h5",
                    "route replace 10.77.0.0/24 via 10.77.4.1 mtu lock 1300",
                    "route replace 10.77.0.0/24 via 10.77.4.1",
                ),
            ),
        ),
    ),
    Scenario(
        "mtu-from-server-hop5-ipv6",
        "what the server sends beyond 1300 bytes vanishes at hop 5, without an ICMP error",
        Expect("tcp.mtu-black-hole", "path-device", (None, 5, 6), "", 1),
        _arrives(syn_ack=43),
        Setting(
            {"h5": _NO_TOO_BIG},
            commands=(
                (
                    "h5",
                    "route replace fd77:0::/64 via fd77:4::1 mtu lock 1300",
                    "route replace fd77:0::/64 via fd77:4::1",
                ),
            ),
        ),
        NAME_V6,
    ),
    Scenario(
        # Its answer would be one packet, and none is seen: a server that has nothing to say looks the same.
        "mtu-from-server-hop5-one-packet",
        "what the server sends beyond 1300 bytes vanishes at hop 5, without an ICMP error",
        (unknown("tls.interrupted"), Expect("tcp.mtu-black-hole", "path-device", (None, 5, 6), "", 1)),
        _arrives(syn_ack=43),
        Setting({"h5": _NO_FRAG_NEEDED}, commands=_narrow("h5", "route replace 10.77.0.0/24 via 10.77.4.1")),
        NAME_SMALL,
    ),
    Scenario(
        "mtu-to-server-hop5",
        "what the client sends beyond 1300 bytes vanishes at hop 5, without an ICMP error",
        Expect("tcp.mtu-black-hole", "path-device", (None, 5), "", 1),
        _arrives(syn_ack=43),
        Setting(
            {"h5": _NO_FRAG_NEEDED},
            commands=(
                ("h5", "route replace default via 10.77.5.2 mtu lock 1300", "route replace default via 10.77.5.2"),
            ),
        ),
        _LONG,
    ),
)

_CLIENT = (
    _filtered(
        "client-drops", "the client's filter drops", {"h0": _output("tcp dport 443 drop")}, this_machine("tcp.no-reply")
    ),
    _filtered(
        "client-resets",
        "the client's filter resets",
        {"h0": _output("tcp dport 443 reject with tcp reset")},
        this_machine("tcp.refused"),
    ),
    _filtered(
        "client-prohibits",
        "the client's filter answers admin-prohibited",
        {"h0": _output("tcp dport 443 reject with icmp type admin-prohibited")},
        this_machine("tcp.prohibited"),
    ),
    Scenario(
        "client-has-no-route",
        "the client has no default route",
        this_machine("tcp.unreachable"),
        frozenset(),
        Setting(commands=(("h0", "route del default", "route add default via 10.77.0.2"),)),
    ),
)

#: A router that keeps silent about packets whose TTL ended there.
QUIET = _output("icmp type time-exceeded drop; icmpv6 type time-exceeded drop")

_SILENT_HOPS = (
    _filtered(
        "quiet-hops-3-4-reset-hop4",
        "hop 4 resets the ClientHello; hops 3 and 4 never answer",
        {"h3": QUIET, "h4": QUIET + _resets("hello")},
        hop(4, address=""),
        _arrives(syn_ack=43, rst=61),
    ),
    _filtered(
        "quiet-hops-2-5-6-reset-hop12",
        "hop 12 resets the ClientHello; hops 2, 5 and 6 never answer",
        {"h2": QUIET, "h5": QUIET, "h6": QUIET, "h12": _resets("hello")},
        hop(12),
        _arrives(syn_ack=43, rst=53),
    ),
    _filtered(
        "quiet-everywhere-reset-hop4",
        "hop 4 resets the ClientHello; no hop ever answers",
        {**{f"h{i}": QUIET for i in range(1, 22)}, "h4": QUIET + _resets("hello")},
        hop(4, address=""),
        _arrives(syn_ack=43, rst=61),
    ),
    _filtered(
        "quiet-hops-healthy",
        "nobody: hops 3 to 6 never answer",
        {f"h{i}": QUIET for i in range(3, 7)},
        healthy(),
        _arrives(syn_ack=43),
    ),
)


def _control(name: str, setting: Setting, syn_ack: int, target: str = NAME) -> Scenario:
    return Scenario(name, "nobody", healthy(), _arrives(syn_ack=syn_ack), setting, target)


_HEALTHY = (
    _control("healthy-64", Setting(), 43),
    _control("healthy-128", Setting(ttls={"h22": 128}), 107),
    _control("healthy-255", Setting(ttls={"h22": 255}), 234),
    _control("healthy-ipv6", Setting(ttls={"h22": 128}), 107, NAME_V6),
    _control("healthy-short-return", Setting(commands=_SHORT_RETURN), 54),
    _control("healthy-short-way", Setting(commands=_SHORT_WAY), 43),
    _control("healthy-slow", Setting(devices=(inside(16, _CLIENTS, delay_s=0.03),)), 43),
    _control("healthy-beside-another-program", Setting(devices=(bystander(SERVER, 443),)), 43),
    _control("healthy-one-in-20-lost", Setting({"h7": _forward("tcp dport 443 numgen inc mod 20 == 7 drop")}), 43),
)

SCENARIOS: tuple[Scenario, ...] = (
    *_RESETS,
    *_NAMES,
    *_COPIES,
    *_SILENCE,
    *_PROHIBITED,
    *_SERVER,
    *_ASYMMETRIC,
    *_MTU,
    *_CLIENT,
    *_SILENT_HOPS,
    *_HEALTHY,
)
