"""Traces through real routers: both methods see the same, lies are ignored, and missing rights are said plainly."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from netdiag.model import Report, TraceObservation, authority
from tests import support
from tests.lab.lab_routers import CUT, DROPPED, GREETS, OPEN, PROHIBITED, REFUSED, RESETS, ROUTERS, SERVER, Routers

#: Without root, and without any way to it.
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
#: How long a probe is waited for, in seconds, at the ports where nothing answers.
WAIT = ("--timeout", "1")


@pytest.fixture(scope="module")
def routed() -> Iterator[Routers]:
    support.require_root()
    support.require_tools("ip", "nft", "nsenter", "sysctl", "setpriv")
    built = Routers()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", support.search_path())
            built.open()
            yield built
    finally:
        built.close()


@pytest.fixture(scope="module")
def liar(routed: Routers) -> None:
    """From here on, a host beside the path sends forged errors."""
    routed.start("beside", "forge")


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("payload") / "request"
    path.write_bytes(b"x" * 300)
    return path


def traced(done: subprocess.CompletedProcess[str]) -> dict[str, TraceObservation]:
    """The traces of a run, by mode."""
    assert done.stderr == ""
    report = msgspec.json.decode(done.stdout, type=Report)
    return {seen.mode: seen for seen in report.observations if isinstance(seen, TraceObservation)}


def seen(routed: Routers, method: str, version: int, port: int, *argv: str) -> dict[str, TraceObservation]:
    target = authority(SERVER[version], port)
    found = traced(routed.run(["trace", target, "--method", method, "-n", "-m", "6", "--format", "json", *argv]))
    assert {trace.method for trace in found.values()} == {method}
    return found


def hops(trace: TraceObservation) -> list[tuple[str, str]]:
    return [(reply.answer, reply.address) for hop in trace.hops for reply in hop.replies]


def routers(version: int, count: int = 3) -> list[tuple[str, str]]:
    return [("hop", address) for address in ROUTERS[version][:count]]


@pytest.mark.parametrize("version", [0, 1], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("method", ["sockets", "raw"])
@pytest.mark.parametrize(
    ("port", "reach", "end"),
    [
        pytest.param(OPEN, 3, "open", id="open"),
        pytest.param(REFUSED, 3, "refused", id="refused"),
        pytest.param(PROHIBITED, 2, "prohibited", id="prohibited"),
        pytest.param(DROPPED, 2, "none", id="dropped"),
    ],
)
def test_a_syn(routed: Routers, method: str, version: int, port: int, reach: int, end: str) -> None:
    found = seen(routed, method, version, port, *WAIT)
    syn = found["syn"]
    last = {"prohibited": ROUTERS[version][1]}.get(end, "")
    ends = [(end, last)] * (4 if end == "none" else 1)
    assert hops(syn) == [*routers(version, reach), *ends]
    assert (syn.answer, syn.distance) == (end, None if end == "none" else reach + 1)
    assert syn.limits == ()
    if end != "open":
        assert hops(found["udp"]) == [*routers(version), ("refused", SERVER[version])]
    if method == "raw":  # the farther away it is sent from, the smaller is the TTL that it arrives with
        ttls = [reply.ttl for hop in syn.hops for reply in hop.replies if reply.answer != "none"]
        assert ttls == {"prohibited": [64, 63, 63], "none": [64, 63]}.get(end, [64, 63, 62, 61])


@pytest.mark.parametrize("version", [0, 1], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("method", ["sockets", "raw"])
@pytest.mark.parametrize(
    ("port", "reach", "end", "ttl"),
    [
        pytest.param(RESETS, 3, "reset", 61, id="reset-by-the-server"),
        pytest.param(CUT, 2, "reset", 63, id="reset-by-a-router"),
        pytest.param(OPEN, 3, "data", 61, id="answered"),
        pytest.param(GREETS, 3, "data", 61, id="greeting-is-no-answer"),
    ],
)
def test_data(
    routed: Routers, payload: Path, method: str, version: int, port: int, reach: int, end: str, ttl: int
) -> None:
    data = seen(routed, method, version, port, "--send", str(payload))["data"]
    assert [reply.answer for hop in data.hops for reply in hop.replies] == [*["hop"] * reach, end]
    if method == "raw":
        assert [address for _, address in hops(data)] == [*ROUTERS[version][:reach], ""]
        assert data.hops[-1].replies[0].ttl == ttl


@pytest.mark.parametrize("version", [0, 1], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("method", ["sockets", "raw"])
def test_forged_errors_are_ignored(routed: Routers, liar: None, method: str, version: int) -> None:
    found = seen(routed, method, version, DROPPED, *WAIT)
    assert hops(found["syn"]) == [*routers(version, 2), *[("none", "")] * 4]
    assert hops(found["udp"]) == [*routers(version), ("refused", SERVER[version])]
    assert ("ignored, forged or astray" in " ".join(found["syn"].limits)) == (method == "raw")


def test_the_raw_method_without_rights(routed: Routers) -> None:
    done = routed.run(["trace", authority(SERVER[0], OPEN), "--method", "raw"], wrapper=NOBODY)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "netdiag: --method raw: raw packets take root's rights (CAP_NET_RAW)\n"


def test_sockets_without_rights_say_what_root_adds(routed: Routers) -> None:
    target = authority(SERVER[0], OPEN)
    syn = traced(routed.run(["trace", target, "-n", "--format", "json"], wrapper=NOBODY))["syn"]
    assert hops(syn) == [*routers(0), ("open", "")]
    (limit,) = syn.limits
    assert "root (CAP_NET_RAW) adds" in limit


def test_nothing_is_left_behind() -> None:
    support.require_root()
    support.require_tools("ip", "nft", "nsenter", "sysctl")
    built = Routers()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", support.search_path())
            built.open()
    finally:
        built.close()
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert built.network.tag not in names
    assert all(process.returncode is not None for process in built._processes)
