"""What this machine says about names: the system's lookup, and the name servers it is configured with."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netdiag.model import DnsObservation
from netdiag.probes import names as probe
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Net, Step

NAME = "wu2.frontend.clouddatahub.net"


def lookup(answer: Callable[[str], tuple[str, ...]]) -> DnsObservation:
    return probe.lookup(Machine(net=Net(lookup=answer)), NAME, Step("dns.system"))


def test_the_systems_answer() -> None:
    found = lookup(lambda name: ("192.0.2.1", "2001:db8::1"))
    assert (found.outcome, found.asker, found.addresses) == ("ok", "system", ("192.0.2.1", "2001:db8::1"))
    assert (found.id, found.name, found.qtype) == ("dns.system", NAME, "A+AAAA")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (socket.gaierror(socket.EAI_NONAME, "not known"), "nxdomain"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), "timeout"),
        (socket.gaierror(socket.EAI_FAIL, "failed"), "servfail"),
        (UnicodeError("label too long"), "nxdomain"),
        (OSError(5, "I/O error"), "unknown"),
    ],
)
def test_the_systems_failures(error: Exception, kind: str) -> None:
    def fail(name: str) -> tuple[str, ...]:
        raise error

    found = lookup(fail)
    assert found.outcome == "failed"
    assert found.failure is not None
    assert found.failure.kind == kind


def test_an_empty_answer_of_the_system_is_a_failure() -> None:
    found = lookup(lambda name: ())
    assert found.failure is not None
    assert found.failure.kind == "no-answer"


def test_name_servers_of_a_given_machine() -> None:
    servers = (Address("192.0.2.53", 5353),)
    assert probe.name_servers(Machine(name_servers=servers)) == servers
    assert probe.name_servers(Machine(name_servers=())) == ()


RESOLV_CONF = """\
# nameserver 192.0.2.1
search contoso.com
nameserver 192.0.2.53
 nameserver 192.0.2.2
nameserver\t2001:db8::53 # the second
nameserver
nameservers 192.0.2.3
nameserver 192.0.2.53
nameserver not-an-address
nameserver fe80::1%eth0
options timeout:1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resolv.conf")
def test_name_servers_of_this_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(RESOLV_CONF + "".join(f"nameserver 192.0.2.{n}\n" for n in range(100, 120)))
    monkeypatch.setattr(probe, "RESOLV_CONF", path)
    found = probe.name_servers(Machine())
    assert [server.host for server in found[:4]] == ["192.0.2.53", "2001:db8::53", "fe80::1%eth0", "192.0.2.100"]
    assert {server.port for server in found} == {53}
    assert len(found) == probe.MAX_NAME_SERVERS


def test_name_servers_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    import dns.resolver

    class Configured:
        def __init__(self, configure: bool) -> None:
            self.nameservers = ["192.0.2.53", "fec0:0:0:ffff::1", "https://dns.example/", "192.0.2.53"]

    monkeypatch.setattr(dns.resolver, "Resolver", Configured)
    monkeypatch.setattr(sys, "platform", "win32")
    assert probe.name_servers(Machine()) == (Address("192.0.2.53", 53),)


def test_a_system_without_name_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probe, "RESOLV_CONF", tmp_path / "missing")
    monkeypatch.setattr(sys, "platform", "linux")
    assert probe.name_servers(Machine()) == ()
