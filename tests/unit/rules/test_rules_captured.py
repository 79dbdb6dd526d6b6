"""The rules of probes on what a capture shows: the same ids, and words that are true of a capture."""

import pytest

from netdiag.model import (
    CertificateSummary,
    ChainFault,
    ChainObservation,
    DnsObservation,
    Failure,
    TlsObservation,
)
from netdiag.rules import CATALOGUE
from tests.service import attempt, connection, flow, judge, service, told
from tests.talk import CLIENT, SERVER, START, Talk

HOST = "a.example"


def handshake(number=0, kind=None, **changes):
    values = {
        "id": f"tls-{number}",
        "parent": f"tcp-{number}",
        "source": "capture",
        "outcome": "failed" if kind else "ok",
        "failure": Failure(kind=kind, step="handshake", detail="in words") if kind else None,
        "flow": flow(number),
        "address": SERVER,
        "port": 443,
        "server_name": HOST,
        "bytes_sent": 517,
        "bytes_received": 3000,
    }
    return TlsObservation(**{**values, **changes})


def chain(*kinds, number=0, **changes):
    element = {"serial": "1", "sha256": "0", "sha1": "0", "not_before": START - 1000, "not_after": START - 500}
    leaf = CertificateSummary(subject=f"CN={HOST}", issuer="CN=R", names=("b.example",), **element)
    root = CertificateSummary(subject="CN=R", issuer="CN=R", **element)
    values = {
        "id": f"chain-{number}",
        "parent": f"tls-{number}",
        "source": "capture",
        "host": HOST,
        "elements": (leaf, root),
        "faults": tuple(ChainFault(kind=kind, element=0, subject=leaf.subject, detail="in words") for kind in kinds),
        "outcome": "failed" if kinds else "ok",
        "at": START,
        "stores": ("certifi",),
        "publicly_trusted": not kinds,
    }
    return ChainObservation(**{**values, **changes})


def named(*observations, **counts):
    return judge(service(names=(HOST,), **{"complete": 1, **counts}), *observations)


def brief(found):
    return [(f.id, str(f.severity), f.blame) for f in found]


# -- tcp


def silent(number=0, last_ms=3000, at=START):
    talk = Talk().send(0, "client", "SYN")
    for at_ms in (last_ms / 3, last_ms):
        talk.send(at_ms, "client", "SYN", seq=1_000)
    return connection(talk, number, "unanswered", started=at)


def test_silence_names_the_guide_s_retransmissions():
    talk = Talk()
    for at_ms in (0, 3000, 9000):
        talk.send(at_ms, "client", "SYN", seq=1_000)
    made = (connection(talk, 0, "unanswered"), attempt(0, "timeout", took_s=9.0, retransmits=2))
    (finding,) = judge(service(unanswered=1), *made)
    assert (finding.id, str(finding.severity), finding.blame) == ("tcp.no-reply", "error", "path-device")
    assert "2 x SynReTransmit" in finding.summary
    assert "InitialRto 3 s" in finding.summary
    assert f"from the client {CLIENT} to" in finding.remedy


def test_some_of_many_are_a_warning():
    made = (silent(), attempt(0, "timeout", retransmits=2))
    (finding,) = judge(service(connections=120, complete=119, unanswered=1), *made)
    assert str(finding.severity) == "warning"
    assert "1 of 120 connections" in finding.summary


def test_a_syn_at_the_end_of_the_capture_is_no_silence():
    fresh = (connection(Talk().send(0, "client", "SYN"), 0, "unanswered"), attempt(0, "timeout"))
    assert told(service(unanswered=1), *fresh, last=START + 1) == []
    assert told(service(unanswered=1), *fresh, last=START + 60) == [("tcp.no-reply", "error", "path-device")]


@pytest.mark.parametrize(
    ("kind", "offender", "expected", "words"),
    [
        ("refused", "", ("tcp.refused", "error", "server"), "all 7 connections"),
        ("prohibited", "198.51.100.1", ("tcp.prohibited", "error", "path-device"), "198.51.100.1 forbids"),
        ("prohibited", CLIENT, ("tcp.prohibited", "error", "this-machine"), f"The client {CLIENT} itself forbids"),
        ("unreachable", "198.51.100.1", ("tcp.unreachable", "error", "path-device"), "198.51.100.1 has no way"),
        ("unreachable", CLIENT, ("tcp.unreachable", "error", "local-network"), f"The client {CLIENT} got no answer"),
    ],
)
def test_the_ids_of_probes(kind, offender, expected, words):
    opening = {"refused": 7} if kind == "refused" else {"unanswered": 7}
    made = (service(connections=7, **opening), attempt(0, kind, offender=offender))
    assert told(*made) == [expected]
    (finding,) = judge(*made)
    assert words in finding.summary
    assert "all 7 connections" in finding.summary
    assert "this machine" not in f"{finding.summary} {finding.remedy}".lower()


# -- dns


def lookup(kind, addresses=(), server="10.0.0.53:53", **changes):
    failure = Failure(kind=kind, step="query") if kind else None
    values = {"id": f"dns-{server}", "source": "capture", "asker": "name-server", "server": server, "name": HOST}
    values |= {"qtype": "A", "addresses": addresses, "outcome": "failed" if kind else "ok", "failure": failure}
    return DnsObservation(**{**values, **changes})


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        ("nxdomain", "dns.name-not-found"),
        ("no-answer", "dns.no-address"),
        ("servfail", "dns.server-failure"),
        ("dns-refused", "dns.refused"),
        ("timeout", "dns.timeout"),
    ],
)
def test_lookups_without_an_address(kind, identifier):
    (finding,) = judge(lookup(kind))
    assert (finding.id, str(finding.severity), finding.blame) == (identifier, "error", "dns")
    text = f"{finding.summary} {finding.remedy}"
    assert "10.0.0.53:53" in text
    assert " this machine" not in text
    assert " here" not in text


def test_another_server_that_answers_makes_it_a_warning():
    found = told(lookup("timeout"), lookup(None, ("192.0.2.1",), server="10.0.0.54:53"))
    assert found == [("dns.timeout", "warning", "dns")]


def test_name_servers_that_disagree():
    found = told(lookup(None, ("192.0.2.1",)), lookup(None, ("10.9.9.9",), server="10.0.0.54:53"))
    assert found == [("dns.resolvers-disagree", "warning", "dns")]


# -- tls


def test_a_handshake_that_is_cut_off():
    (finding,) = named(handshake(kind="eof", ended_by="server", bytes_received=0))
    assert brief([finding]) == [("tls.interrupted", "error", "unknown")]
    assert "closed by the server right after the ClientHello" in finding.summary


def test_another_handshake_with_the_name_shows_that_it_works():
    found = named(handshake(kind="eof", ended_by="server"), handshake(1), connections=2, complete=2)
    assert brief(found) == [("tls.interrupted", "warning", "unknown")]
    assert "another handshake with the same name succeeded" in found[0].summary


def test_a_client_that_closes_does_so_itself():
    (finding,) = named(handshake(kind="eof", ended_by="client"))
    assert brief([finding]) == [("tls.interrupted", "error", "this-machine")]


def hello(copies, *, acked):
    talk = Talk().hello()
    for number in range(1, copies):
        talk.send(40 + 300 * 2**number, "client", "PSH,ACK", 517, seq=1_001)
    if acked:
        talk.next["client"] = 1_518
        talk.send(80, "server", "ACK")
    return connection(talk)


@pytest.mark.parametrize(
    ("made", "blame", "words"),
    [
        (hello(5, acked=False), "path-device", "sent 5 times and never acknowledged"),
        (hello(1, acked=True), "server", "has acknowledged the ClientHello"),
        (hello(1, acked=False), "unknown", "no answer to the ClientHello"),
    ],
)
def test_whose_silence_it_is(made, blame, words):
    found = named(made, handshake(kind="timeout", bytes_received=0, took_s=8.0))
    assert brief(found) == [("tls.interrupted", "error", blame)]
    assert words in found[0].summary


@pytest.mark.parametrize(
    ("offered", "blame", "words"),
    [
        (("TLSv1", "TLSv1.1"), "this-machine", "refuses TLS 1.0 to TLS 1.1, all that the client 10.0.0.5 offers"),
        (("TLSv1.2", "TLSv1.3"), "server", "refuses TLS 1.2 to TLS 1.3"),
    ],
)
def test_no_version_in_common(offered, blame, words):
    found = named(handshake(kind="tls-alert", alert="protocol_version", offered=offered, ended_by="server"))
    assert brief(found) == [("tls.version-unsupported", "error", blame)]
    assert words in found[0].summary


def test_a_server_that_refuses():
    found = named(handshake(kind="tls-alert", alert="handshake_failure", ended_by="server"))
    assert brief(found) == [("tls.handshake-failed", "error", "server")]


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        ("unknown_ca", "it does not trust the authority that issued it (unknown_ca alert)"),
        ("encrypted", "TLS 1.3 hides which alert it was"),
        ("user_canceled", "The client ends the TLS handshake with a.example:443 (203.0.113.9): user_canceled"),
    ],
)
def test_a_client_that_refuses(alert, words):
    found = named(handshake(kind="tls-alert", sent_alert=alert, ended_by="client"))
    assert brief(found) == [("tls.handshake-failed", "error", "unknown")]
    assert words in found[0].summary


def test_a_missing_client_certificate_is_the_clients():
    found = named(
        handshake(kind="tls-alert", alert="handshake_failure", ended_by="server", client_certificate_requested=True)
    )
    assert brief(found) == [("tls.client-certificate-required", "error", "this-machine")]
    assert f"the client {CLIENT} presents none" in found[0].summary


# -- chain


def test_a_chain_that_the_client_refuses_is_the_cause():
    refused = handshake(kind="tls-alert", sent_alert="certificate_expired", ended_by="client")
    found = named(refused, chain("expired"))
    assert brief(found) == [("chain.expired", "error", "server")]
    assert "before the capture; the handshake ended there (in words)" in found[0].summary
    assert found[0].evidence == ("chain-0", "tls-0")


def test_a_chain_that_the_client_accepts_is_a_warning():
    found = named(handshake(), chain("expired"))
    assert brief(found) == [("chain.expired", "warning", "server")]
    assert found[0].summary.endswith("; the client went on all the same")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("untrusted-root", ("chain.untrusted-root", "info", "server")),
        ("incomplete", ("chain.incomplete", "warning", "server")),
        ("name-mismatch", ("tls.name-mismatch", "warning", "server")),
    ],
)
def test_what_else_a_client_may_accept(kind, expected):
    assert brief(named(handshake(), chain(kind))) == [expected]


def test_a_wrong_name_says_what_the_client_did():
    (went_on,) = named(handshake(), chain("name-mismatch"))
    assert went_on.summary.endswith("; the client went on all the same")
    refused = handshake(kind="certificate", sent_alert="bad_certificate", ended_by="client")
    (ended,) = [f for f in named(refused, chain("name-mismatch")) if f.id == "tls.name-mismatch"]
    assert ended.summary.endswith("; the handshake ended there (in words)")


def test_a_reset_after_a_faulty_chain_is_not_hidden():
    """The server's side ended it: the chain did not."""
    cut = handshake(kind="reset", ended_by="server")
    assert "tls.interrupted" in [f.id for f in named(cut, chain("expired"))]


def test_a_public_root_that_the_client_lacks():
    refused = handshake(kind="tls-alert", sent_alert="unknown_ca", ended_by="client")
    found = named(refused, chain())
    assert brief(found) == [("chain.root-missing-locally", "error", "this-machine")]
    assert found[0].folded == ("tls.handshake-failed",)
    assert f"is missing on the client {CLIENT}" in found[0].summary


def test_a_replaced_chain_that_the_client_trusts_is_a_warning():
    host = "wu2.frontend.clouddatahub.net"
    made = (handshake(server_name=host), chain("untrusted-root", host=host))
    found = judge(service(names=(host,), complete=1), *made)
    assert brief(found) == [("tls.intercepted", "warning", "tls-interceptor")]


def test_rules_about_the_own_machine_have_nothing_to_say():
    """No observation of a capture is about the hosts file, settings or the clock of the machine that reads it."""
    found = judge(
        service(names=(HOST, "localhost"), complete=1),
        attempt(),
        handshake(),
        lookup(None, (SERVER,)),
        lookup("nxdomain", server="10.0.0.54:53", name="localhost"),
    )
    local = {"dns.hosts-override", "dns.localhost-broken", "proxy.setting-invalid", "chain.clock-skew"}
    assert local <= set(CATALOGUE)
    assert {f.id for f in found} & local == set()
