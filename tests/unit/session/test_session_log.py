"""The log of a run: what comes after it is closed is left out, and no two observations share an id."""

from __future__ import annotations

from netdiag.model import DnsObservation
from netdiag.session.log import Log


def test_a_second_observation_of_one_id_gets_a_number():
    log = Log()
    names = [log.add(DnsObservation(id="dns.system", asker="system", name=name)) for name in ("a", "b", "c")]
    assert [found.id for found in names] == ["dns.system", "dns.system.2", "dns.system.3"]
    observations, _, _ = log.close()
    assert [(o.id, o.name) for o in observations] == [("dns.system", "a"), ("dns.system.2", "b"), ("dns.system.3", "c")]


def test_what_comes_too_late_is_left_out():
    log = Log()
    log.close()
    assert log.add(DnsObservation(id="dns.system", asker="system", name="a")).id == "dns.system"
    assert log.close()[0] == ()
