"""The tests' own machinery: skip or fail, and the guard against leaving the machine."""

import socket

import pytest

from tests import support

Failed = pytest.fail.Exception
Skipped = pytest.skip.Exception


@pytest.mark.parametrize(
    "need",
    [
        lambda: support.require_tools("sh", "no-such-tool"),
        lambda: support.require_files("/no/such/file"),
        lambda: support.require_modules("no_such_module"),
    ],
)
@pytest.mark.parametrize(("required", "outcome"), [("1", Failed), ("", Skipped)])
def test_a_missing_need_skips_here_and_fails_in_ci(need, required, outcome, monkeypatch):
    monkeypatch.setenv("NETDIAG_REQUIRE_ALL", required)
    with pytest.raises(outcome, match=r"no.such"):
        need()


def test_found_tools_come_in_the_order_asked_for(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert support.require_tools("two", "one") == (tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_no_test_connects_beyond_loopback(kind):
    with socket.socket(socket.AF_INET, kind) as sock, pytest.raises(Failed, match="leave this machine"):
        sock.connect(("192.0.2.1", 9))


def test_no_test_looks_a_public_name_up():
    with pytest.raises(Failed, match="leave this machine"):
        socket.getaddrinfo("host.invalid", 443)


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
