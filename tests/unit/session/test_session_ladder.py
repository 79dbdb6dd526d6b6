"""The ladder as a library user drives it, in the embedded world."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import netdiag
from netdiag.model import DnsObservation, Report, Rung, Target, TcpObservation, TlsObservation, UsageError
from netdiag.probes import tls as tls_probe
from netdiag.rules import CATALOGUE
from netdiag.session import Options, diagnose_endpoint, diagnose_endpoints, fleet, rejudge
from netdiag.world import World
from netdiag.world.scenes import SCENES
from netdiag.world.scenes.scene import PROXY_AT, PROXY_V4, Scene

HOST = "wu2.frontend.clouddatahub.net"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        yield world


def scene(name: str) -> Scene:
    return next(scene for scene in SCENES if scene.name == name)


def diagnose(world: World, name: str, *, until: Rung = "https", cancel: threading.Event | None = None) -> Report:
    setting = scene(name).setting
    options = Options(trust=world.trust(setting), timeout_s=1.0, until=until)
    return diagnose_endpoint(scene(name).target, options=options, machine=world.machine(setting), cancel=cancel)


@pytest.mark.parametrize(
    ("until", "types"),
    [
        ("dns", {"proxy-selection", "dns"}),
        ("tcp", {"proxy-selection", "dns", "tcp"}),
        ("tls", {"proxy-selection", "dns", "tcp", "tls"}),
        ("chain", {"proxy-selection", "dns", "tcp", "tls", "chain"}),
        ("https", {"proxy-selection", "dns", "tcp", "tls", "chain", "https"}),
    ],
)
def test_each_rung_is_the_last_when_asked(world: World, until: Rung, types: set[str]) -> None:
    report = diagnose(world, "healthy", until=until)
    assert {type(o).__struct_config__.tag for o in report.observations} == types
    assert report.verdict.status == "healthy"
    assert report.not_run == ()


def test_parents_lead_back_to_the_name(world: World) -> None:
    report = diagnose(world, "healthy")
    by_id = {o.id: o for o in report.observations}
    line = []
    current = by_id["https.direct"]
    while current.parent:
        current = by_id[current.parent]
        line.append(type(current))
    assert line == [TlsObservation, TcpObservation, DnsObservation]


def test_a_report_survives_json_and_is_judged_the_same(world: World) -> None:
    report = diagnose(world, "proxy-inspects-untrusted")
    again = netdiag.load_report(netdiag.render(report, "json").encode())
    assert again == report
    assert rejudge(again) == report


def test_what_depends_on_a_failed_rung_is_said_not_to_have_been_tested(world: World) -> None:
    report = diagnose(world, "port-refused")
    assert [(n.rung, n.route) for n in report.not_run] == [("tls", "direct"), ("chain", "direct"), ("https", "direct")]
    assert not any(isinstance(o, TlsObservation) for o in report.observations)


def test_interrupted_the_report_holds_what_was_seen(world: World) -> None:
    cancel = threading.Event()
    cancel.set()
    setting = scene("port-silent").setting
    options = Options(trust=world.trust(setting), timeout_s=30.0)
    report = diagnose_endpoint(
        scene("port-silent").target, options=options, machine=world.machine(setting), cancel=cancel
    )
    assert report.verdict.status == "inconclusive"
    assert any("interrupted" in entry.reason for entry in report.not_run)


def test_a_bug_costs_one_way_and_is_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(tls_probe, "handshake", broken)
    report = diagnose(world, "healthy")
    assert report.verdict.status == "inconclusive"
    assert len(report.internal_errors) >= 1
    assert "planted" in report.internal_errors[0]
    assert any(isinstance(o, TcpObservation) for o in report.observations)


def test_a_bug_in_a_rule_costs_that_rule_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_seen: object) -> None:
        raise ZeroDivisionError("planted")

    entry = msgspec.structs.replace(CATALOGUE["tcp.refused"], check=broken)
    monkeypatch.setitem(CATALOGUE, "tcp.refused", entry)
    report = diagnose(world, "name-not-found")
    assert report.verdict.finding == "dns.name-not-found"
    [error] = report.internal_errors
    assert "tcp.refused" in error
    assert "planted" in error
    assert len(error.splitlines()) == 1


def test_several_targets_each_get_a_report(world: World) -> None:
    setting = scene("healthy").setting
    targets = [Target(host=HOST), Target(host=HOST, port=81), Target(host="unknown.example")]
    options = Options(trust=world.trust(setting), timeout_s=0.5)
    reports = list(diagnose_endpoints(targets, options=options, machine=world.machine(setting)))
    assert {r.target: r.verdict.status for r in reports} == dict(
        zip(targets, ["healthy", "failed", "failed"], strict=True)
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (Options(resolvers=("x",)), "not a name server"),
        (Options(trust=("/nowhere/at-all.pem",)), "/nowhere/at-all.pem"),
        (Options(proxy="http://"), "http://"),
        (Options(proxy="pac:"), "pac:"),
        (Options(proxy="pac:/nowhere/proxy.pac"), "/nowhere/proxy.pac"),
        (Options(proxy="pac:ftp://proxy.example/proxy.pac"), "ftp://"),
        (Options(proxy="pac:http://[x"), "IPv6"),
        (Options(trust=("",)), "names no file"),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_anything_is_sent(options: Options, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        diagnose_endpoint("localhost:1", options=options)


def test_no_secret_is_in_a_report(world: World) -> None:
    setting = scene("proxy-wrong-password").setting
    options = Options(trust=world.trust(setting), timeout_s=1.0, credentials=("clerk", "s3cr3t-of-clerk"))
    report = diagnose_endpoint(scene("proxy-wrong-password").target, options=options, machine=world.machine(setting))
    assert b"s3cr3t-of-clerk" not in msgspec.json.encode(report)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def write(answer: str) -> str:
        path = tmp_path / "proxy.pac"
        path.write_text(f'function FindProxyForURL(url, host) {{ return "{answer}"; }}', encoding="utf-8")
        return f"pac:{path}"

    return write


def through_script(world: World, name: str, script: str) -> Report:
    setting = scene(name).setting
    options = Options(trust=world.trust(setting), timeout_s=3.0, proxy=script)
    return diagnose_endpoint(Target(host=HOST), options=options, machine=world.machine(setting))


DEAD_PROXY = "10.20.0.99:3128"  # no server of the world stands there: a black hole


def test_the_second_proxy_of_a_script_is_used_when_the_first_is_dead(
    world: World, script: Callable[[str], str]
) -> None:
    report = through_script(world, "healthy-proxy", script(f"PROXY {DEAD_PROXY}; PROXY {PROXY_AT}"))
    assert report.route == "proxy"
    tried = {(o.address, o.outcome) for o in report.observations if isinstance(o, TcpObservation) and o.peer == "proxy"}
    assert tried == {("10.20.0.99", "failed"), (PROXY_V4, "ok")}
    assert (report.verdict.status, report.verdict.finding) == ("impaired", "tcp.no-reply")


def test_a_script_that_ends_in_direct_falls_back_to_the_direct_way(world: World, script: Callable[[str], str]) -> None:
    report = through_script(world, "healthy", script(f"PROXY {DEAD_PROXY}; DIRECT"))
    assert report.route == "direct"
    assert (report.verdict.status, report.verdict.finding) == ("impaired", "proxy.unreachable")


def test_a_script_that_names_only_a_dead_proxy_leaves_no_way(world: World, script: Callable[[str], str]) -> None:
    report = through_script(world, "healthy", script(f"PROXY {DEAD_PROXY}"))
    assert report.route == "proxy"
    assert (report.verdict.status, report.verdict.finding) == ("failed", "proxy.unreachable")
    assert "direct" in report.findings[0].remedy.lower()


def test_who_leaves_early_leaves_nothing_running(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "MAX_AT_ONCE", 1)
    setting = scene("port-refused").setting
    begun: list[Target] = []
    targets = [Target(host=HOST, port=port) for port in range(1000, 1020)]
    options = Options(trust=world.trust(setting), timeout_s=0.5)
    reports = diagnose_endpoints(
        targets,
        options=options,
        machine=world.machine(setting),
        progress=lambda target, rung: begun.append(target) if rung == "machine" else None,
    )
    next(reports)
    reports.close()  # type: ignore[attr-defined] # it is a generator, as its docstring does not promise
    assert len(begun) < len(targets)


def test_a_late_answer_is_dropped(world: World) -> None:
    """A run cancelled while its lookups are under way ends without an internal error."""
    setting = scene("dns-silent").setting
    options = Options(trust=world.trust(setting), timeout_s=2.0)
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    report = diagnose_endpoint(
        scene("dns-silent").target, options=options, machine=world.machine(setting), cancel=cancel
    )
    assert report.internal_errors == ()
    assert report.verdict.status == "inconclusive"


@pytest.mark.parametrize(
    ("files", "targets"), [(1024, fleet.MAX_AT_ONCE), (-1, fleet.MAX_AT_ONCE), (256, 74), (100, 22), (10, 1)]
)
def test_as_many_targets_at_once_as_files_may_be_open(
    files: int, targets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="Windows bounds no files")
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    assert fleet._affordable() == targets
