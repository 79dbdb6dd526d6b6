"""A capture's services judged one by one: what belongs together, what is merged, what comes first."""

import msgspec
import pytest

from netdiag.model import ChainObservation, DnsObservation, Failure, ProxyObservation, TlsObservation
from netdiag.rules import CATALOGUE, Seen, findings
from netdiag.rules.services import MAX_EVIDENCE, MAX_NAMES, place_of, subjects
from tests.service import FILE, attempt, capture, connection, flow, judge, service, told
from tests.talk import SERVER, Talk

REFUSED = ("tcp.refused", "error", "server")


def refusing(number, address, connections=1, **changes):
    """A service that refuses all its connections; one of them was kept."""
    return (
        service(address=address, connections=connections, refused=connections, **changes),
        attempt(number, "refused", server=address),
    )


def seen_of(*observations):
    return Seen(FILE, "direct", (capture(), *observations))


def tls(number, name, kind=None, **changes):
    values = {
        "id": f"tls-{number}",
        "parent": f"tcp-{number}",
        "source": "capture",
        "outcome": "failed" if kind else "ok",
        "failure": Failure(kind=kind, step="handshake") if kind else None,
        "flow": flow(number),
        "address": SERVER,
        "port": 443,
        "server_name": name,
    }
    return TlsObservation(**{**values, **changes})


def lookup(name, *addresses, kind=None, qtype="A", server="10.0.0.53:53"):
    return DnsObservation(
        id=f"dns-{name}-{qtype}-{server}",
        source="capture",
        asker="name-server",
        server=server,
        name=name,
        qtype=qtype,
        addresses=addresses,
        outcome="failed" if kind else "ok",
        failure=Failure(kind=kind, step="query") if kind else None,
    )


def test_services_that_fail_alike_are_one_finding():
    made = [o for n in range(5) for o in refusing(n, f"192.0.2.{n}")]
    (finding,) = judge(*made)
    assert (finding.id, str(finding.severity), finding.blame) == REFUSED
    assert finding.summary.endswith("likewise 192.0.2.1:443, 192.0.2.2:443, 192.0.2.3:443 and 1 more")
    assert finding.culprit is None
    assert finding.evidence == tuple(f"tcp-{n}" for n in range(5))


def test_the_service_with_most_connections_speaks_first():
    (finding,) = judge(*refusing(0, "192.0.2.1"), *refusing(1, "192.0.2.2", connections=70))
    assert finding.summary.startswith(
        "192.0.2.2:443 refuses connections (reset), all 70 connections; likewise 192.0.2.1"
    )


def test_one_service_keeps_its_culprit():
    (finding,) = judge(*refusing(0, "192.0.2.1"))
    assert finding.culprit is not None
    assert finding.culprit.address == "192.0.2.1"


def test_different_devices_are_different_findings():
    made = [
        (service(address=address, unanswered=1), attempt(n, "prohibited", server=address, offender=device))
        for n, (address, device) in enumerate(
            [("192.0.2.1", "10.0.0.1"), ("192.0.2.2", "10.0.0.1"), ("192.0.2.3", "10.9.9.9")]
        )
    ]
    found = judge(*(o for pair in made for o in pair))
    assert [(f.id, f.culprit.address) for f in found if f.culprit] == [
        ("tcp.prohibited", "10.0.0.1"),
        ("tcp.prohibited", "10.9.9.9"),
    ]
    assert "likewise 192.0.2.2:443" in found[0].summary


def test_an_error_here_and_a_warning_there_stay_apart():
    partly = (service(connections=120, complete=117, refused=3), *(attempt(n, "refused") for n in range(3)))
    found = judge(*refusing(9, "192.0.2.9"), *partly)
    assert [(f.id, str(f.severity)) for f in found] == [("tcp.refused", "error"), ("tcp.refused", "warning")]
    assert "3 of 120 connections" in found[1].summary


def test_order_is_severity_then_connections_affected():
    silent = (service(unanswered=40, connections=40), attempt(5, "timeout", retransmits=2, took_s=7.0))
    found = judge(*refusing(0, "192.0.2.9", connections=9), *silent, snapped=3)
    assert [f.id for f in found] == ["tcp.no-reply", "tcp.refused", "capture.snapped-packets"]


def test_what_the_report_has_no_room_for_is_counted():
    others = service(address="", port=0, connections=900, refused=800, unanswered=70)
    (finding,) = judge(*refusing(0, "192.0.2.1"), others)
    assert finding.summary.endswith("; 800 more connections to other servers were refused")


def test_evidence_is_bounded():
    made = [o for n in range(60) for o in refusing(n, f"192.0.2.{n}")]
    assert len(judge(*made)[0].evidence) == MAX_EVIDENCE


def test_names_of_one_service_are_judged_each():
    """Two names behind one address: one is cut, the other answered, which is how a filter for names looks."""
    cut = [tls(n, "a.example", "reset", bytes_sent=517) for n in (0, 1)]
    found = told(service(names=("a.example", "b.example"), complete=3), *cut, tls(2, "b.example", bytes_received=900))
    assert found == [("tls.sni-filtered", "error", "path-device")]


def test_a_service_has_a_bounded_number_of_names():
    made = (service(), *(tls(n, f"{n}.example") for n in range(MAX_NAMES + 9)))
    assert len([s for s in subjects(seen_of(*made)) if s.place]) == MAX_NAMES


def test_a_handshake_without_a_name_counts_once():
    cut = tls(0, "", "reset", bytes_sent=517)
    found = judge(service(names=("a.example", "b.example")), cut, tls(1, "a.example"), tls(2, "b.example"))
    assert [(f.id, "times" in f.summary) for f in found] == [("tls.interrupted", False)]


def test_lookups_belong_to_the_service_of_that_name():
    """A filter answers with an address of its own, where nothing listens: one cause, and the symptom folded."""
    made = (
        service(address="127.0.0.1", names=("blocked.example",), refused=1),
        lookup("blocked.example", "127.0.0.1"),
        attempt(0, "refused", server="127.0.0.1"),
    )
    (finding,) = judge(*made)
    assert finding.id == "dns.private-address"
    assert finding.folded == ("tcp.refused",)


def test_names_that_nobody_connects_to_are_judged_too():
    assert told(lookup("gone.example", kind="nxdomain")) == [("dns.name-not-found", "error", "dns")]


@pytest.mark.parametrize(
    "name", ["wpad.corp.example", "isatap.corp.example", "_ldap._tcp.corp.example", "www.shop.example.corp.example"]
)
def test_names_that_are_usually_looked_up_in_vain(name):
    found = told(lookup(name, kind="nxdomain"), lookup("www.shop.example", "192.0.2.1"))
    assert found == [("dns.name-not-found", "info", "dns")]


def test_other_records_than_addresses_may_be_missing():
    assert told(lookup("example.org", kind="no-answer", qtype="MX")) == []
    assert told(lookup("example.org", kind="servfail", qtype="MX")) == [("dns.server-failure", "error", "dns")]


def test_internal_names_are_nobodys_concern():
    assert told(lookup("files.corp.example", "10.1.2.3")) == []
    linked = msgspec.structs.replace(lookup("x.blob.core.windows.net", "20.1.2.3"))
    assert told(linked) == []


def tunnel(number, asked_for, status=403, **changes):
    """The connection to the proxy, named after what it was asked for, and the request."""
    values = {
        "id": f"proxy-{number}",
        "parent": f"tcp-{number}",
        "source": "capture",
        "route": "proxy",
        "outcome": "failed",
        "failure": Failure(kind="proxy-status", step="CONNECT", detail=f"the proxy answered {status}"),
        "flow": flow(number, port=3128),
        "proxy": f"http://{SERVER}:3128",
        "status": status,
    }
    made = connection(Talk().answered(), number, server_port=3128, name=asked_for)
    return made, ProxyObservation(**{**values, **changes})


def through(number, **changes):
    return attempt(number, port=3128, route="proxy", peer="proxy", **changes)


def test_a_proxy_is_judged_by_what_it_was_asked_for():
    open_ = {"status": 200, "outcome": "ok", "failure": None}
    made = (service(port=3128, complete=3, connections=3), *map(through, range(3)))
    made += (*tunnel(0, "a.example:443"), *tunnel(1, "b.example:443", **open_), *tunnel(2, "c.example:8443"))
    (finding,) = judge(*made)
    assert (finding.id, str(finding.severity), finding.blame) == ("proxy.forbidden", "error", "proxy")
    assert "does not allow a.example:443" in finding.summary
    assert finding.summary.endswith("likewise c.example:8443")
    assert "for the client 10.0.0.5 or its account" in finding.remedy


def test_a_login_that_succeeds_in_the_end_is_none_that_failed():
    refused = tunnel(0, "a.example:443", 407, failure=Failure(kind="proxy-authentication", step="CONNECT"))
    logged_in = tunnel(1, "a.example:443", 200, outcome="ok", failure=None, tried="NTLM")
    assert told(service(port=3128, complete=2), through(0), through(1), *refused, *logged_in) == []
    assert told(service(port=3128, complete=1), through(0), *refused) == [
        ("proxy.authentication-required", "error", "proxy")
    ]
    assert (
        "and the client sent no credentials" in judge(service(port=3128, complete=1), through(0), *refused)[0].summary
    )


def test_a_circle_of_parents_ends():
    one = ChainObservation(id="chain-0", parent="chain-1", source="capture", host="a.example")
    two = ChainObservation(id="chain-1", parent="chain-0", source="capture", host="a.example")
    assert place_of(one, seen_of(one, two)) is None
    assert told(one, two) == []


def test_a_rule_that_breaks_is_told_once(monkeypatch):
    def broken(_seen):
        raise KeyError("x")

    entry = CATALOGUE["tcp.refused"]
    monkeypatch.setitem(CATALOGUE, "tcp.refused", msgspec.structs.replace(entry, check=broken))
    errors = []
    seen = seen_of(*refusing(0, "192.0.2.1"), *refusing(1, "192.0.2.2"))
    assert findings(seen, lambda identifier, error: errors.append((identifier, error.args))) == ()
    assert errors == [("tcp.refused", ("x",))]
    with pytest.raises(KeyError):
        findings(seen)


def test_a_healthy_service_has_no_finding():
    made = (connection(Talk().answered().send(300, "server", "ACK")), attempt(), tls(0, "a.example"))
    assert told(service(complete=1, names=("a.example",)), *made, lookup("a.example", SERVER)) == []
