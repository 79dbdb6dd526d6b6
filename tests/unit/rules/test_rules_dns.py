"""Which findings the lookups of a name lead to: the system's answer decides, the name servers explain."""

from __future__ import annotations

from typing import Any

import pytest

from netdiag.model import (
    Asker,
    ChainFault,
    ChainObservation,
    DnsObservation,
    DnsRecord,
    Failure,
    FailureKind,
    Finding,
    Observation,
    Route,
    Target,
    TcpObservation,
)
from netdiag.rules import CATALOGUE, Seen, findings

NAME = "ne.frontend.example"
PUBLIC, PUBLIC2, NEAR, PRIVATE = "20.42.1.1", "52.1.2.3", "20.42.9.9", "10.1.2.3"
ONE, TWO, EXTRA = "10.0.0.1:53", "10.0.0.2:53", "8.8.8.8:53"
LINK = "ne.privatelink.datafactory.azure.net"

#: An answer in a table: addresses, or how the lookup failed.
Answer = tuple[str, ...] | FailureKind


def lookup(
    answer: Answer,
    *,
    asker: Asker,
    server: str = "",
    name: str = NAME,
    qtype: str = "A+AAAA",
    alias: str = "",
    configured: bool = True,
    detail: str = "",
    took_s: float = 0.01,
    route: Route = "direct",
    truncated: bool = False,
) -> DnsObservation:
    kind = answer if isinstance(answer, str) else None
    return DnsObservation(
        id=f"dns.{name}.{asker}.{server}.{qtype}.{route}",
        asker=asker,
        server=server,
        configured=configured,
        name=name,
        qtype=qtype,
        addresses=() if isinstance(answer, str) else answer,
        records=(DnsRecord(name=name, type="CNAME", ttl=60, value=alias),) if alias else (),
        outcome="failed" if kind else "ok",
        failure=Failure(kind=kind, step="query", detail=detail or kind) if kind else None,
        took_s=took_s,
        route=route,
        truncated=truncated,
    )


def system(answer: Answer, **more: Any) -> tuple[Observation, ...]:
    return (lookup(answer, asker="system", **more),)


def given_up(took_s: float = 8.0) -> tuple[Observation, ...]:
    return system("timeout", detail=f"not answered in {took_s} s", took_s=took_s)


def hosts(*addresses: str) -> tuple[Observation, ...]:
    return (lookup(addresses, asker="hosts-file", server="/etc/hosts"),)


def server(who: str, a: Answer, aaaa: Answer | None = None, **more: Any) -> tuple[Observation, ...]:
    """Both answers of a name server; AAAA like A when A failed, else empty."""
    if aaaa is None:
        aaaa = a if isinstance(a, str) else "no-answer"
    more.setdefault("configured", who != EXTRA)
    return tuple(
        lookup(answer, asker="name-server", server=who, qtype=qtype, **more)
        for qtype, answer in (("A", a), ("AAAA", aaaa))
    )


def tcp(
    address: str, kind: FailureKind | None, route: Route = "direct", parent: str | None = None
) -> tuple[Observation, ...]:
    failure = Failure(kind=kind, step="connect") if kind else None
    return (
        TcpObservation(
            id=f"tcp.{address}",
            parent=parent,
            address=address,
            port=443,
            outcome="failed" if kind else "ok",
            failure=failure,
            route=route,
        ),
    )


def judge(*groups: tuple[Observation, ...], host: str = NAME, route: Route = "direct") -> list[Finding]:
    observations = [observation for group in groups for observation in group]
    found = findings(Seen(Target(host=host), route, observations))
    return [finding for finding in found if finding.id.startswith("dns.")]


def brief(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.id, str(finding.severity), finding.blame) for finding in found]


def error(identifier: str, blame: str = "dns") -> tuple[str, str, str]:
    return (identifier, "error", blame)


def warning(identifier: str, blame: str = "dns") -> tuple[str, str, str]:
    return (identifier, "warning", blame)


def info(identifier: str, blame: str = "dns") -> tuple[str, str, str]:
    return (identifier, "info", blame)


OK = system((PUBLIC,))
GOOD = server(ONE, (PUBLIC,))

HEALTHY = [
    (OK,),
    (OK, GOOD),
    (OK, hosts(), GOOD, server(TWO, (PUBLIC,), ("2a01::1",))),
    (system((PUBLIC, "2a01::1")), server(ONE, (PUBLIC,), ("2a01::1",)), server(EXTRA, (PUBLIC,))),
    (),
]


@pytest.mark.parametrize("groups", HEALTHY)
def test_healthy(groups: tuple[tuple[Observation, ...], ...]) -> None:
    assert brief(judge(*groups)) == []


UNRESOLVED = [
    # the name servers explain what the system only calls "try again" (or, on Windows and macOS, "not known")
    ((system("nxdomain"), server(ONE, "nxdomain")), [error("dns.name-not-found")]),
    ((system("nxdomain"),), [error("dns.name-not-found")]),
    ((system("timeout"), server(ONE, "nxdomain"), server(TWO, "timeout")), [error("dns.name-not-found")]),
    ((system("nxdomain"), server(ONE, "no-answer")), [error("dns.no-address")]),
    ((system("no-answer"),), [error("dns.no-address")]),
    ((system("timeout"), server(ONE, "servfail")), [error("dns.server-failure")]),
    ((system("timeout"), server(ONE, "lame")), [error("dns.server-failure")]),
    ((system("timeout"), server(ONE, "dns-malformed")), [error("dns.server-failure")]),
    ((system("nxdomain"), server(ONE, "servfail"), server(TWO, "timeout")), [error("dns.server-failure")]),
    ((system("timeout"), server(ONE, "dns-refused")), [error("dns.refused")]),
    ((system("timeout"), server(ONE, "refused")), [error("dns.refused")]),
    ((system("timeout"), server(ONE, "timeout")), [error("dns.timeout")]),
    ((system("nxdomain"), server(ONE, "timeout"), server(TWO, "timeout")), [error("dns.timeout")]),
    ((system("timeout"), server(ONE, "unreachable")), [error("dns.timeout")]),
    ((system("timeout"), server(ONE, "local-policy")), [error("dns.timeout", "this-machine")]),
    ((system("timeout"),), [error("dns.timeout")]),
    ((system("servfail"),), [error("dns.server-failure")]),
    ((system("unknown"),), [error("dns.server-failure")]),
    ((given_up(),), [error("dns.timeout")]),
    ((given_up(), server(ONE, "servfail")), [error("dns.server-failure")]),
    ((server(ONE, "nxdomain"),), [error("dns.name-not-found")]),
    ((server(ONE, "no-answer", "timeout"), system("timeout")), [error("dns.timeout")]),
    # the system fails although a configured server answers
    ((system("timeout"), GOOD), [error("dns.timeout", "this-machine")]),
    ((system("servfail"), GOOD), [error("dns.server-failure", "this-machine")]),
    ((system("nxdomain"), GOOD), [error("dns.name-not-found", "this-machine")]),
    ((system("timeout"), server(ONE, "timeout"), server(TWO, (PUBLIC,))), [error("dns.timeout")]),
    ((system("nxdomain"), server(ONE, "timeout"), server(TWO, (PUBLIC,))), [error("dns.timeout")]),
    ((system("nxdomain"), server(ONE, "nxdomain"), server(TWO, (PUBLIC,))), [error("dns.name-not-found")]),
    # a server added with --resolver explains nothing and changes nothing
    ((system("nxdomain"), server(ONE, "nxdomain"), server(EXTRA, (PUBLIC,))), [error("dns.name-not-found")]),
    ((system("timeout"), server(ONE, "timeout"), server(EXTRA, "nxdomain")), [error("dns.timeout")]),
]


@pytest.mark.parametrize(("groups", "expected"), UNRESOLVED)
def test_a_name_that_cannot_be_resolved(
    groups: tuple[tuple[Observation, ...], ...], expected: list[tuple[str, str, str]]
) -> None:
    assert brief(judge(*groups)) == expected


IMPAIRED = [
    ((OK, GOOD, server(TWO, "timeout")), [warning("dns.timeout")]),
    ((OK, GOOD, server(TWO, "servfail")), [warning("dns.server-failure")]),
    ((OK, GOOD, server(TWO, "dns-refused")), [warning("dns.refused")]),
    ((OK, GOOD, server(TWO, "refused")), [warning("dns.refused")]),
    ((OK, GOOD, server(TWO, "local-policy")), [warning("dns.timeout", "this-machine")]),
    ((OK, server(ONE, (PUBLIC,), "timeout")), [warning("dns.timeout")]),
    ((OK, GOOD, server(TWO, "nxdomain")), [warning("dns.resolvers-disagree")]),
    ((OK, GOOD, server(TWO, "no-answer")), [warning("dns.resolvers-disagree")]),
    # old load balancers say NXDOMAIN for AAAA
    ((OK, server(ONE, (PUBLIC,), "nxdomain")), []),
    # the system waited for the silent server, and another one answered meanwhile
    ((given_up(), server(ONE, "timeout"), server(TWO, (PUBLIC,))), [warning("dns.timeout")]),
    ((given_up(2.0), GOOD), [warning("dns.timeout", "this-machine")]),
    ((given_up(0.3), GOOD), []),
    ((GOOD, server(TWO, "timeout")), [warning("dns.timeout")]),
    # a silent server that was only added says nothing about this machine
    ((OK, GOOD, server(EXTRA, "timeout")), []),
    ((OK, GOOD, server(EXTRA, "dns-refused")), []),
]


@pytest.mark.parametrize(("groups", "expected"), IMPAIRED)
def test_a_name_that_is_resolved_with_trouble(
    groups: tuple[tuple[Observation, ...], ...], expected: list[tuple[str, str, str]]
) -> None:
    assert brief(judge(*groups)) == expected


DISAGREEING = [
    ((PUBLIC,), (PUBLIC2,), "", True),
    ((PUBLIC,), (PRIVATE,), "", True),
    ((PRIVATE,), (PUBLIC,), "", True),
    ((PRIVATE,), ("10.9.9.9",), "", True),
    ((PUBLIC,), ("0.0.0.0",), "", True),
    ((PUBLIC,), "nxdomain", "", True),
    ((PUBLIC,), "no-answer", "", True),
    # rotation: a shared address, a near network, a shared alias
    ((PUBLIC, PUBLIC2), (PUBLIC2,), "", False),
    ((PUBLIC,), (NEAR,), "", False),
    ((PUBLIC,), (PUBLIC2,), "x.trafficmanager.example", False),
    # ... but an alias does not excuse split horizon
    ((PUBLIC,), (PRIVATE,), "x.trafficmanager.example", True),
    # only the other family was answered
    ((PUBLIC,), ("2a01::1",), "", False),
]


@pytest.mark.parametrize(("ours", "theirs", "alias", "disagree"), DISAGREEING)
@pytest.mark.parametrize("who", [TWO, EXTRA])
def test_servers_that_disagree(ours: tuple[str, ...], theirs: Answer, alias: str, disagree: bool, who: str) -> None:
    found = judge(system(ours), server(ONE, ours, alias=alias), server(who, theirs, alias=alias))
    assert [f.id for f in found if f.id != "dns.private-address"] == ["dns.resolvers-disagree"] * disagree
    for finding in found:
        if finding.id == "dns.resolvers-disagree":
            assert finding.severity == "warning"
            assert who in finding.summary


@pytest.mark.parametrize("name", ["fileserver", "nas.local"])
def test_a_name_completed_by_the_system_is_no_disagreement(name: str) -> None:
    found = judge(system((PUBLIC,), name=name), server(ONE, "nxdomain", name=name), host=name)
    assert brief(found) == []


def test_the_public_address_of_a_private_endpoint_is_expected_outside() -> None:
    inside = (system((PRIVATE,)), server(ONE, (PRIVATE,), alias=LINK))
    found = judge(*inside, server(EXTRA, (PUBLIC,), alias=LINK))
    assert brief(found) == [info("dns.resolvers-disagree"), info("dns.private-address")]
    found = judge(*inside, server(TWO, (PUBLIC,), alias=LINK))
    assert brief(found) == [warning("dns.resolvers-disagree"), info("dns.private-address")]


HOSTS = [
    # another address than the name servers'; the same; not known to them; private endpoint by hosts file
    ((hosts(PUBLIC2), system((PUBLIC2,)), GOOD), [warning("dns.hosts-override", "this-machine")]),
    ((hosts(PRIVATE), system((PRIVATE,)), GOOD), [warning("dns.hosts-override", "this-machine")]),
    ((hosts(PUBLIC), OK, GOOD), [info("dns.hosts-override", "this-machine")]),
    ((hosts(PUBLIC), OK, server(ONE, "nxdomain")), [info("dns.hosts-override", "this-machine")]),
    ((hosts(PUBLIC), OK), [info("dns.hosts-override", "this-machine")]),
    (
        (hosts(PRIVATE), system((PRIVATE,)), server(ONE, (PUBLIC,), alias=LINK)),
        [info("dns.hosts-override", "this-machine")],
    ),
    (
        (
            hosts(PRIVATE),
            system((PRIVATE,)),
            server(ONE, (PUBLIC,), alias=LINK),
            tcp(PRIVATE, "timeout"),
        ),
        [info("dns.hosts-override", "this-machine")],
    ),
    # the system does not use it
    ((hosts(PUBLIC2), OK, GOOD), [info("dns.hosts-override", "this-machine")]),
    # it misleads: the connection fails
    (
        (hosts(PUBLIC2), system((PUBLIC2,)), GOOD, tcp(PUBLIC2, "timeout")),
        [error("dns.hosts-override", "this-machine")],
    ),
    ((hosts(PUBLIC2), system((PUBLIC2,)), GOOD, tcp(PUBLIC2, None)), [warning("dns.hosts-override", "this-machine")]),
    (
        (hosts("127.0.0.1"), system(("127.0.0.1",)), tcp("127.0.0.1", "refused")),
        [error("dns.hosts-override", "this-machine")],
    ),
    # the same address as everywhere: the file is not to blame
    ((hosts(PUBLIC), OK, GOOD, tcp(PUBLIC, "timeout")), [info("dns.hosts-override", "this-machine")]),
    # the name never goes to the silent server
    (
        (hosts(PUBLIC), OK, server(ONE, "timeout")),
        [info("dns.hosts-override", "this-machine"), info("dns.timeout")],
    ),
]


@pytest.mark.parametrize(("groups", "expected"), HOSTS)
def test_hosts_file(groups: tuple[tuple[Observation, ...], ...], expected: list[tuple[str, str, str]]) -> None:
    assert brief(judge(*groups)) == expected


def mismatched() -> tuple[Observation, ...]:
    fault = ChainFault(kind="name-mismatch", element=0, subject="CN=other.example", detail="")
    return (ChainObservation(id="chain.direct", host=NAME, faults=(fault,), outcome="ok"),)


def test_a_hosts_entry_that_leads_to_another_server() -> None:
    groups = (hosts(PUBLIC2), system((PUBLIC2,)), tcp(PUBLIC2, None), mismatched())
    assert brief(judge(*groups, GOOD)) == [error("dns.hosts-override", "this-machine")]
    assert brief(judge(*groups, server(ONE, (PUBLIC2,)))) == [info("dns.hosts-override", "this-machine")]


def test_the_hosts_file_explains_the_dead_connection_only_when_it_misleads() -> None:
    def ids(answer: str) -> list[str]:
        (looked_up,) = system((PUBLIC2,))
        (dead,) = tcp(PUBLIC2, "refused", parent=looked_up.id)
        observations = (*hosts(PUBLIC2), looked_up, *server(ONE, (answer,)), dead)
        return [finding.id for finding in findings(Seen(Target(host=NAME), "direct", observations))]

    assert ids(PUBLIC) == ["dns.hosts-override"]
    assert ids(PUBLIC2) == ["tcp.refused", "dns.hosts-override"]


LOCALHOST = [
    (("127.0.0.1",), "a.example", []),
    (("::1", "127.0.0.1"), "a.example", []),
    (("127.0.0.1", PRIVATE), "a.example", [warning("dns.localhost-broken", "this-machine")]),
    ((PRIVATE,), "a.example", [warning("dns.localhost-broken", "this-machine")]),
    (("0.0.0.0",), "a.example", [warning("dns.localhost-broken", "this-machine")]),
    ("nxdomain", "a.example", [warning("dns.localhost-broken", "this-machine")]),
    ("timeout", "localhost", [error("dns.localhost-broken", "this-machine")]),
    ((PRIVATE,), "LocalHost.", [error("dns.localhost-broken", "this-machine")]),
]


@pytest.mark.parametrize(("answer", "target", "expected"), LOCALHOST)
def test_localhost(answer: Answer, target: str, expected: list[tuple[str, str, str]]) -> None:
    assert brief(judge(system(answer, name="localhost"), host=target)) == expected


PRIVATE_ADDRESSES = [
    ((system((PRIVATE,)), server(ONE, (PRIVATE,))), [info("dns.private-address")]),
    ((system((PRIVATE,)), server(ONE, (PRIVATE,), alias=LINK)), [info("dns.private-address")]),
    ((system((PUBLIC,)), server(ONE, (PUBLIC,), alias=LINK)), [info("dns.private-address")]),
    ((system(("fd00::1",)),), [info("dns.private-address")]),
    ((system(("127.0.0.1",)), server(ONE, ("127.0.0.1",))), [warning("dns.private-address")]),
    ((system(("0.0.0.0", "::")), server(ONE, ("0.0.0.0",), ("::",))), [warning("dns.private-address")]),
    ((system(("127.0.0.1",)),), [warning("dns.private-address")]),
    (
        (system(("0.0.0.0",)), server(ONE, ("0.0.0.0",)), tcp("0.0.0.0", "refused")),
        [error("dns.private-address")],
    ),
]


@pytest.mark.parametrize(("groups", "expected"), PRIVATE_ADDRESSES)
def test_addresses_off_the_internet(
    groups: tuple[tuple[Observation, ...], ...], expected: list[tuple[str, str, str]]
) -> None:
    assert brief(judge(*groups)) == expected


def test_with_a_proxy_only_the_proxys_name_must_resolve() -> None:
    direct = (*system("nxdomain"), *server(ONE, "nxdomain"))
    proxy = system((PRIVATE,), name="proxy.example", route="proxy")
    assert brief(judge(direct, proxy, route="proxy")) == []
    broken = (*direct, *system("nxdomain", name="proxy.example", route="proxy"))
    (hit,) = CATALOGUE["dns.name-not-found"].check(Seen(Target(host=NAME), "proxy", broken))
    assert "proxy.example" in hit.summary


def test_what_was_not_run_tells_nothing() -> None:
    cut_off = DnsObservation(id="dns.x", asker="name-server", server=TWO, name=NAME, outcome="not-run")
    assert brief(judge(OK, GOOD, (cut_off,))) == []
    assert brief(judge((cut_off,))) == []


def wording(*groups: tuple[Observation, ...]) -> tuple[str, str]:
    (finding,) = judge(*groups)
    return finding.summary, finding.remedy


def test_wording_names_the_server_that_is_silent() -> None:
    summary, remedy = wording(OK, GOOD, server(TWO, "timeout", took_s=1.8))
    assert summary == (
        f"Configured name server {TWO} does not answer for {NAME} (no answer in 1.8 s); {NAME} still resolves to "
        f"{PUBLIC}, but each lookup that goes there first is late"
    )
    assert TWO in remedy


def test_wording_of_an_added_server_that_knows_the_name() -> None:
    summary, remedy = wording(system("nxdomain"), server(ONE, "nxdomain"), server(EXTRA, (PUBLIC,)))
    assert summary == (
        f"{NAME} does not exist here: name server {ONE} answers NXDOMAIN, but name server {EXTRA} answers {PUBLIC}"
    )
    assert EXTRA in remedy


def test_wording_of_a_private_zone_without_the_record() -> None:
    _, remedy = wording(system("nxdomain"), server(ONE, "nxdomain", alias=LINK))
    assert "privatelink.datafactory.azure.net" in remedy


def test_wording_of_an_alias_that_leads_nowhere() -> None:
    summary, _ = wording(system("no-answer"), server(ONE, "no-answer", alias="gone.example"))
    assert "gone.example" in summary


def test_wording_when_several_servers_fail_differently() -> None:
    summary, _ = wording(system("timeout"), server(ONE, "timeout"), server(TWO, "servfail", detail="SERVFAIL"))
    assert summary == f"{NAME} cannot be resolved: name server {ONE}: no answer; name server {TWO}: SERVFAIL"


def test_wording_of_tcp_port_53_closed() -> None:
    summary, _ = wording(system("timeout"), server(ONE, "timeout", truncated=True))
    assert "too long for UDP, and over TCP: no answer" in summary


def test_wording_of_the_system_failing_alone() -> None:
    summary, remedy = wording(system("timeout", detail="Temporary failure in name resolution"), GOOD)
    assert summary == (
        f"The system cannot resolve {NAME} (Temporary failure in name resolution), although name server {ONE} "
        f"answers {PUBLIC}"
    )
    assert "name service switch" in remedy


def test_evidence_names_the_observations() -> None:
    (finding,) = judge(system("timeout"), server(ONE, "servfail"))
    assert finding.evidence == tuple(o.id for o in (*system("timeout"), *server(ONE, "servfail")))
    assert finding.culprit is not None
    assert finding.culprit.address == ONE
