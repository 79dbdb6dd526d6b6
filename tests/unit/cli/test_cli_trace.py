"""``netdiag trace`` on loopback, and what it does not take."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from netdiag.cli import main


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def test_text(port, capsys):
    assert main(["trace", "-n", f"127.0.0.1:{port}"]) == 0
    shown = capsys.readouterr().out
    assert f"127.0.0.1:{port} accepts connections at the next hop" in shown
    assert "SYN: answered with a SYN-ACK, the port is open" in shown


def test_json_and_options(port, capsys):
    assert main(["trace", f"127.0.0.1:{port}", "--numeric", "-q", "2", "-m", "5", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    [trace] = [o for o in report["observations"] if o["type"] == "trace"]
    assert report["command"] == "trace"
    assert len(trace["hops"][0]["replies"]) == 2


def test_refused_is_a_finding(capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["trace", "-n", f"127.0.0.1:{port}"]) == 1
    assert "refuses connections" in capsys.readouterr().out


def test_note_for_the_network_team(port, capsys):
    assert main(["trace", "-n", f"127.0.0.1:{port}", "--ticket"]) == 0
    assert "nothing for the network team to do" in " ".join(capsys.readouterr().out.split())


def test_bytes_from_a_file(port, tmp_path, capsys):
    sent = tmp_path / "first.bin"
    sent.write_bytes(b"\x16\x03")
    assert main(["trace", "-n", f"127.0.0.1:{port}", "--send", str(sent), "--timeout", "0.3", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [o["payload"] for o in report["observations"] if o.get("mode") == "data"] == ["2 bytes"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["127.0.0.1:0"], "is not a number from 1 to 65535"),
        (["127.0.0.1:443", "-q", "0"], "'0' is not a number from 1 to 10"),
        (["127.0.0.1:443", "-m", "256"], "'256' is not a number from 1 to 255"),
        (["127.0.0.1:443", "-q", "9" * 50], "is not a number from 1 to 10"),
        (["127.0.0.1:443", "--sni", "x.test"], "say --hello too"),
        (["127.0.0.1:443", "--send", "/nowhere/at/all"], "/nowhere/at/all: cannot be read: No such file"),
        (["127.0.0.1:443", "--send", "{empty}"], "it is empty, so there is nothing to send"),
        (["127.0.0.1:443", "--send", "{large}"], "more than 65,536 bytes are not sent"),
        (["127.0.0.1:443", "-6"], "127.0.0.1 is not an IPv6 address"),
        (["[::1]:443", "-4"], "::1 is not an IPv4 address"),
        (["127.0.0.1:443", "-4", "-6"], "not allowed with"),
        (["not a host"], "is not a target"),
        ([], "the following arguments are required"),
    ],
)
def test_what_cannot_be_used_is_one_line(arguments, words, tmp_path, capsys):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "large").write_bytes(bytes(65_537))
    files = {"empty": tmp_path / "empty", "large": tmp_path / "large"}
    try:
        status = main(["trace", *(argument.format(**files) for argument in arguments)])
    except SystemExit as error:
        status = error.code
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert words in said.err
