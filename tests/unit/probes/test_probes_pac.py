"""PAC scripts over HTTP, fetched from a server on loopback under a name that only the machine's net knows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from netdiag.model import Target
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline, Net
from netdiag.probes.pac import MAX_SCRIPT, PacError, evaluate, load

ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "/proxy.pac": (200, "", b"\xef\xbb\xbfscript"),
    "/latin.pac": (200, "", b"// caf\xe9"),
    "/moved": (302, "/proxy.pac", b""),
    "/away": (302, "file:///etc/passwd", b""),
    "/loop": (302, "/loop", b""),
    "/big": (200, "", b"x" * (MAX_SCRIPT + 1)),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, location, body = ANSWERS.get(self.path, (404, "", b""))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    names = {"pac.corp": ("192.0.2.1", "192.0.2.2")}

    def translate(address: Address) -> Address:
        return Address("127.0.0.1", server.server_port if address.host == "192.0.2.2" else 1)

    def lookup(name: str) -> tuple[str, ...]:
        if name not in names:
            raise OSError(f"{name} not known")
        return names[name]

    yield Machine(net=Net(translate=translate, lookup=lookup), environment={"http_proxy": "http://127.0.0.1:1"})
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("path", "text"), [("/proxy.pac", "script"), ("/moved", "script"), ("/latin.pac", "// café")])
def test_a_script_is_loaded_directly_through_the_machine(machine: Machine, path: str, text: str) -> None:
    assert load(machine, f"http://pac.corp{path}", Deadline(10)) == text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://pac.corp/nowhere", "answered 404"),
        ("http://pac.corp/big", "larger than"),
        ("http://pac.corp/away", "302|unknown url type"),
        ("http://pac.corp/loop", "302"),
        ("http://unknown.corp/", "unknown.corp not known"),
        ("http://[bad/", "could not be loaded|Invalid"),
        ("https://pac.corp/proxy.pac", "could not be loaded"),
        ("ftp://pac.corp/proxy.pac", "over ftp"),
    ],
)
def test_what_cannot_be_loaded(machine: Machine, url: str, says: str) -> None:
    with pytest.raises(PacError, match=says):
        load(machine, url, Deadline(10))


def test_a_file_may_be_too_large(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "big.pac"
    path.write_bytes(b"x" * (MAX_SCRIPT + 1))
    with pytest.raises(PacError, match="larger"):
        load(machine, str(path), Deadline(10))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target(host="h.example", path="/p"), "https://h.example/ h.example"),
        (Target(host="h.example", port=8443), "https://h.example:8443/ h.example"),
        (Target(host="h.example", port=80, scheme="http", path="/p?q"), "http://h.example/p?q h.example"),
        (Target(host="::1"), "https://[::1]/ ::1"),
    ],
)
def test_what_a_script_is_asked(machine: Machine, target: Target, expected: str) -> None:
    script = "function FindProxyForURL(url, host) { return url + ' ' + host; }"
    assert evaluate(machine, script, target, Deadline(10)) == expected


def test_no_interpreter_no_answer(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(PacError, match="no process"):
        evaluate(machine, "", Target(host="h"), Deadline(10))
