"""TLS handshakes overheard: real engines' bytes in packets, complete, refused, cut off, snapped."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from netdiag.capture.dialogue import listen_to
from netdiag.capture.exhibits import Exhibit
from netdiag.capture.handshakes import Place, handshake
from netdiag.model import TlsObservation
from tests import certs
from tests.dialogues import START, Talk, client_context, server_context, shake

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def seen(talk: Talk | Exhibit, ended: float = 0.0) -> TlsObservation:
    exhibit = talk if isinstance(talk, Exhibit) else talk.exhibit()
    observation = handshake(listen_to(exhibit, (), ended or exhibit.segments[-1].at), Place())
    assert observation
    assert observation.source == "capture"
    assert (observation.failure is None) == (observation.outcome != "failed")
    return observation


def kind(observation: TlsObservation) -> str:
    return observation.failure.kind if observation.failure else ""


@pytest.fixture
def flights(tmp_path):
    def make(version=V13, *, client=None, talk=True, name=certs.HOST, request=False, **server_options):
        client = client or client_context()
        client.maximum_version = version
        server, root = server_context(tmp_path)
        for option, value in server_options.items():
            setattr(server, option, value)
        if request:
            server.load_verify_locations(cadata=root.pem.decode())
            server.verify_mode = ssl.CERT_REQUIRED
        return shake(client, server, name, talk=talk)

    return make


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("talk", [True, False])
@pytest.mark.parametrize("mss", [1400, 37, 1])
def test_a_complete_handshake(flights, version, talk, mss):
    observation = seen(Talk(mss=mss).open().play(flights(version, talk=talk)).close())
    assert observation.outcome == "ok"
    assert observation.id == "tls-0"
    assert observation.parent == "tcp-0"
    assert observation.server_name == certs.HOST
    assert observation.version == ("TLSv1.2" if version is V12 else "TLSv1.3")
    assert observation.cipher
    assert len(observation.chain) == (2 if version is V12 else 0)
    assert observation.flow
    assert (observation.flow.client, observation.address, observation.port) == ("10.0.0.5", "192.0.2.10", 443)
    assert round(observation.started - START, 2) == 0.03
    assert 0 < observation.took_s < 60
    assert observation.bytes_sent > 250
    assert observation.bytes_received > 500
    assert (observation.alert, observation.sent_alert, observation.ended_by, observation.not_tls) == ("", "", "", "")


def test_resumption(tmp_path):
    client, (server, _) = client_context(), server_context(tmp_path)
    client.maximum_version = V12
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    first = client.wrap_bio(to_client, to_server, server_hostname=certs.HOST)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for engine in (first, other, first, other, first):
        with contextlib.suppress(ssl.SSLWantReadError):
            engine.do_handshake()
    session = first.session
    out, into = ssl.MemoryBIO(), ssl.MemoryBIO()
    again = client.wrap_bio(into, out, server_hostname=certs.HOST, session=session)
    second = server.wrap_bio(out, into, server_side=True)
    flights = []
    for engine, side, bio in ((again, "client", out), (second, "server", into)) * 2:
        with contextlib.suppress(ssl.SSLWantReadError):
            engine.do_handshake()
        data = bio.read()
        bio.write(data)
        flights.append((side, data))
    assert again.session_reused
    observation = seen(Talk().open().play(flights).close())
    assert observation.outcome == "ok"
    assert observation.chain == ()


def test_a_hello_retry_request(tmp_path):
    client, (server, _) = client_context(), server_context(tmp_path)
    server.set_ecdh_curve("secp521r1")
    observation = seen(Talk().open().play(shake(client, server)).close())
    assert (observation.outcome, observation.version) == ("ok", "TLSv1.3")


def test_the_server_refuses(flights):
    observation = seen(Talk().open().play(flights(V12, minimum_version=V13)).close("server"))
    assert kind(observation) == "tls-alert"
    assert observation.alert == "protocol_version"
    assert observation.ended_by == "server"
    assert observation.offered == ("TLSv1.2", "TLSv1.2")
    assert observation.failure.detail.startswith("protocol_version: ")


def test_the_server_wants_a_certificate(flights):
    observation = seen(Talk().open().play(flights(V12, request=True)).close("server"))
    assert kind(observation) == "tls-alert"
    assert observation.alert == "handshake_failure"
    assert observation.client_certificate_requested


def test_the_client_does_not_trust(flights):
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    observation = seen(Talk().open().play(flights(V12, client=strict)).close())
    assert kind(observation) == "certificate"
    assert (observation.alert, observation.sent_alert, observation.ended_by) == ("", "unknown_ca", "client")
    assert "does not accept the certificate: unknown_ca" in observation.failure.detail
    assert len(observation.chain) == 2


def test_the_client_does_not_trust_in_tls13(flights):
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made = flights(V13, client=strict)
    observation = seen(Talk().open().play(made).close())
    assert (kind(observation), observation.sent_alert) == ("certificate", "unknown_ca")  # OpenSSL: before its keys
    # Others encrypt it, as RFC 8446 §6 has it.
    last = max(i for i, (side, _) in enumerate(made) if side == "client")
    made[last] = ("client", b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x13" + bytes(19))
    observation = seen(Talk().open().play(made).close())
    assert kind(observation) == "tls-alert"
    assert (observation.sent_alert, observation.ended_by) == ("encrypted", "client")


@pytest.mark.parametrize(("by", "count"), [("server", 0), ("server", 1), ("client", 1)])
@pytest.mark.parametrize("version", [V12, V13])
def test_a_reset(flights, version, by, count):
    talk = Talk().open().play(flights(version)[: 1 + count]).packet(by, "RST")
    observation = seen(talk)
    assert kind(observation) == "reset"
    assert observation.ended_by == by
    assert f"the {by}'s address" in observation.failure.detail
    assert bool(observation.bytes_received) == bool(count)
    assert observation.bytes_sent == len(flights(version)[0][1])


def test_the_server_closes(flights):
    observation = seen(Talk().open().play(flights()[:1]).close("server"))
    assert (kind(observation), observation.ended_by, observation.bytes_received) == ("eof", "server", 0)


def test_an_alert_about_the_end_is_not_its_cause(flights):
    talk = Talk().open().play(flights()[:1]).packet("server", "FIN,ACK")
    talk.send("client", b"\x15\x03\x01\x00\x02\x02\x32").packet("client", "FIN,ACK")  # OpenSSL's decode_error
    observation = seen(talk)
    assert (kind(observation), observation.ended_by, observation.sent_alert) == ("eof", "server", "")


def test_silence(flights):
    talk = Talk().open().play(flights()[:1])
    assert seen(talk, START + 1).outcome == "not-run"  # the capture ended too early
    observation = seen(talk, START + 30)
    assert kind(observation) == "timeout"
    assert round(observation.took_s) == 30
    patient = seen(talk.wait(20).packet("client", "RST,ACK"))
    assert kind(patient) == "timeout"
    assert patient.ended_by == "client"
    assert patient.failure.detail == "the client gave up after 20.0 s of silence"


def test_another_protocol(flights):
    talk = Talk().open().play(flights()[:1]).send("server", b"HTTP/1.1 400 Bad Request\r\n\r\n").close("server")
    observation = seen(talk)
    assert kind(observation) == "tls-malformed"
    assert observation.not_tls.startswith("HTTP/1.1 400")
    assert "the answer is not TLS: 'HTTP/1.1 400" in observation.failure.detail


def test_nonsense_in_tls(flights):
    talk = Talk().open().play(flights()[:1]).send("server", b"\x16\x03\x03\xff\xff" + bytes(50)).close("server")
    observation = seen(talk)
    assert kind(observation) == "tls-malformed"
    assert observation.not_tls == ""


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("captured", [0, 4, 40, 100])
def test_snapped_packets(flights, version, captured):
    everything = flights(version)

    def play(number: int) -> Talk:
        talk = Talk().open()
        for side, data in everything[:number]:
            talk.send(side, data, captured=captured)
        return talk

    if captured < 40:
        dialogue = listen_to(play(9).close().exhibit(), (), START + 9)
        observation = handshake(dialogue, Place())
        assert observation is None or observation.server_name == ""
        return
    complete = seen(play(9).close())
    assert complete.outcome == "ok"
    cut = seen(play(1).packet("server", "RST"))
    assert (kind(cut), cut.bytes_received) == ("reset", 0)
    # After the client's second flight nobody can tell without the bytes.
    assert seen(play(3).packet("server", "RST")).outcome in ("not-run", "ok")


def test_no_hello_no_observation():
    talk = Talk().send("client", b"\x17\x03\x03\x00\x05hello").send("server", b"\x17\x03\x03\x00\x05hello")
    assert handshake(listen_to(talk.exhibit(), (), START + 1), Place()) is None


def test_every_prefix_of_a_conversation_has_an_answer(flights):
    for version in (V12, V13):
        talk = Talk(mss=200).open().play(flights(version)).close()
        whole = talk.exhibit()
        outcomes = []
        for end in range(4, len(whole.segments) + 1):
            part = Exhibit(whole.connection, whole.segments[:end], whole.payloads[:end])
            outcomes.append(seen(part, START + 1000).outcome)
        assert outcomes == sorted(outcomes)  # "failed" until it is "ok"
        assert set(outcomes) == {"failed", "ok"}
