"""The TLS rung against servers that make the controls beside it awkward."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netdiag.model import Failure, Report, Target, TlsObservation
from netdiag.probes import tls
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Net, Stream
from netdiag.session import Options, diagnose_endpoint, secure
from tests import certs

ROOT = certs.authority("Serial Test Root")
LEAF = certs.make(certs.HOST, ROOT, hosts=[certs.HOST])


class SerialServer:
    """Serves one connection after the other, as small devices and ``openssl s_server`` do.

    The first ``cut`` connections are closed at once.
    """

    def __init__(self, folder: Path, cut: int = 0) -> None:
        pem = folder / "leaf.pem"
        pem.write_bytes(LEAF.pem + LEAF.key_pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._cut = cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                if self._cut:
                    self._cut -= 1
                    continue
                try:
                    with self._context.wrap_socket(connection, server_side=True) as secured:
                        if secured.recv(65536):
                            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    pass


@pytest.fixture
def serial(tmp_path: Path) -> Iterator[SerialServer]:
    server = SerialServer(tmp_path)
    yield server
    server.close()


def diagnose(port: int, *, trusted: bool = True, timeout_s: float = 5.0) -> Report:
    machine = Machine(
        net=Net(
            lambda _: Address("127.0.0.1", port),
            lambda name: ("127.0.0.1",) if name == "localhost" else ("198.18.0.1",),
        ),
        name_servers=(),
        environment={},
        system_settings=False,
        hosts_file=Path("/nowhere/hosts"),
        clock=lambda: certs.AT,
        public_roots=certs.store(ROOT),
    )
    options = Options(trust=certs.store(ROOT) if trusted else ("system",), timeout_s=timeout_s)
    return diagnose_endpoint(Target(host=certs.HOST), options=options, machine=machine)


def test_a_server_of_one_connection_at_a_time_is_healthy(serial: SerialServer) -> None:
    report = diagnose(serial.port)
    assert report.verdict.status == "healthy"
    # Served only after the main connection, the control must not be waited for until it is given up.
    assert not any(isinstance(o, TlsObservation) and o.outcome == "failed" for o in report.observations)


def test_a_handshake_that_is_cut_only_at_times_leaves_the_rest_to_be_tested(tmp_path: Path) -> None:
    server = SerialServer(tmp_path, cut=1)
    report = diagnose(server.port)
    server.close()
    assert (report.verdict.status, report.verdict.finding) == ("impaired", "tls.interrupted")
    assert [o.outcome for o in report.observations if o.id == "https.direct"] == ["ok"]
    assert report.not_run == ()


@pytest.mark.parametrize(("verdict", "status"), [("trusted", "healthy"), ("not trusted", "failed")])
def test_where_the_system_knows_more_roots_its_own_verdict_counts(
    serial: SerialServer, monkeypatch: pytest.MonkeyPatch, verdict: str, status: str
) -> None:
    def opinion(stream: Stream, *, address: Address, server_name: str, step: object, **_: object) -> TlsObservation:
        stream.close()  # as the real one does
        failure = None if verdict == "trusted" else Failure(kind="certificate", step="handshake", detail="unknown root")
        return TlsObservation(
            id="tls.direct.system",
            address=address.host,
            port=address.port,
            purpose="system",
            server_name=server_name,
            outcome="failed" if failure else "ok",
            failure=failure,
        )

    monkeypatch.setattr(secure, "SYSTEM_KNOWS_MORE", True)
    monkeypatch.setattr(tls, "system_handshake", opinion)
    report = diagnose(serial.port, trusted=False)
    assert report.verdict.status == status
    assert [o.id for o in report.observations if o.id.endswith(".system") and o.id.startswith("tls")] == [
        "tls.direct.system"
    ]


def test_elsewhere_the_system_is_not_asked_again(serial: SerialServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secure, "SYSTEM_KNOWS_MORE", False)
    report = diagnose(serial.port, trusted=False)
    assert report.verdict.status == "failed"
    assert not any(o.id == "tls.direct.system" for o in report.observations)
