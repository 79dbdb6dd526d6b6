"""CONNECT and SOCKS5 overheard, with the TLS inside; the answers that probes meet too."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.capture.exhibits import Capture
from netdiag.capture.observe import observe
from netdiag.model import ConnectionObservation, ProxyObservation, TcpObservation, TlsObservation
from netdiag.wire import socks
from tests import certs
from tests.dialogues import START, Talk, client_context, server_context, shake

CONNECT = f"CONNECT {certs.HOST}:443 HTTP/1.1\r\nHost: {certs.HOST}:443\r\n\r\n".encode()
SECRET = base64.b64encode(b"user:password").decode()
LOGIN = CONNECT[:-2] + f"Proxy-Authorization: Basic {SECRET}\r\n\r\n".encode()
FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Content-Length: 10\r\n\r\n<p>Geh\xc3\xb6rt"
)
AUTHENTICATE = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n"
    b'Proxy-Authenticate: Basic realm="x, y"\r\nContent-Length: 4\r\n\r\nno!\n'
)
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def seen(talk: Talk, ended: float = 0.0):
    observations = observe(Capture([talk.exhibit()], [], []), ended=ended)
    by_type = {type(observation): observation for observation in observations}
    return by_type, by_type.get(ProxyObservation)


def proxy_talk() -> Talk:
    return Talk(port=3128).open()


def kind(observation) -> str:
    return observation.failure.kind if observation.failure else ""


def test_a_tunnel_with_tls_inside(tmp_path):
    flights = shake(client_context(), server_context(tmp_path)[0])
    talk = proxy_talk().send("client", CONNECT).send("server", OPENED).play(flights).close()
    found, proxy = seen(talk)
    assert (proxy.outcome, proxy.status, proxy.reason) == ("ok", 200, "Connection established")
    assert (proxy.proxy, proxy.route, proxy.parent) == ("http://192.0.2.10:3128", "proxy", "tcp-0")
    tls, tcp, connection = found[TlsObservation], found[TcpObservation], found[ConnectionObservation]
    assert (tls.outcome, tls.server_name, tls.address, tls.port) == ("ok", certs.HOST, certs.HOST, 443)
    assert (tls.route, tls.parent, tcp.parent) == ("proxy", "proxy-0", "connection-0")
    assert tls.bytes_sent < len(b"".join(data for side, data in flights if side == "client"))
    assert (tcp.peer, tcp.route) == ("proxy", "proxy")
    assert connection.protocol == "http-connect"
    assert connection.connection.name == f"{certs.HOST}:443"
    assert connection.exchange == f"CONNECT {certs.HOST}:443 → 200 Connection established"


def test_a_login_on_the_same_connection(tmp_path):
    flights = shake(client_context(), server_context(tmp_path)[0])
    talk = proxy_talk().send("client", CONNECT).send("server", AUTHENTICATE).send("client", LOGIN)
    found, proxy = seen(talk.send("server", OPENED).play(flights).close())
    assert (proxy.outcome, proxy.status) == ("ok", 200)
    assert (proxy.offered, proxy.tried, proxy.credentials) == (("Negotiate", "Basic"), "Basic", True)
    assert found[TlsObservation].outcome == "ok"


def test_a_login_that_is_refused():
    echo = AUTHENTICATE.replace(b"Content-Length: 4", b"X-You-Sent: " + SECRET.encode() + b"\r\nContent-Length: 4")
    talk = proxy_talk().send("client", LOGIN).send("server", echo).close("server")
    found, proxy = seen(talk)
    assert kind(proxy) == "proxy-authentication"
    assert proxy.failure.detail == "the proxy answered 407 Proxy Authentication Required"
    assert (proxy.tried, proxy.offered) == ("Basic", ("Negotiate", "Basic"))
    assert ("X-You-Sent", "***") in proxy.headers
    assert SECRET not in repr(found)


def test_a_refusal_with_its_page():
    _, proxy = seen(proxy_talk().send("client", CONNECT).send("server", FORBIDDEN).close("server"))
    assert (kind(proxy), proxy.status, proxy.reason) == ("proxy-status", 403, "Forbidden")
    assert ("X-Squid-Error", "ERR_ACCESS_DENIED 0") in proxy.headers
    assert proxy.body == "<p>Gehört"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", "not-a-proxy"),
        (b"HTTP/1.1 404 Not Found\r\nProxy-Agent: x\r\nContent-Length: 0\r\n\r\n", "proxy-status"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "proxy-status"),
        (b"SSH-2.0-OpenSSH_9\r\n", "not-a-proxy"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "not-a-proxy"),
        (b"", "eof"),
        (b"HTTP/1.1 200 Conn", "eof"),
    ],
)
def test_answers(answer, expected):
    talk = proxy_talk().send("client", CONNECT)
    if answer:
        talk.send("server", answer)
    _, proxy = seen(talk.close("server"))
    assert kind(proxy) == expected
    assert proxy.outcome == "failed"


def test_no_answer():
    talk = proxy_talk().send("client", CONNECT)
    assert seen(talk)[1].outcome == "not-run"
    assert kind(seen(talk, START + 20)[1]) == "timeout"
    assert kind(seen(talk.packet("server", "RST"))[1]) == "reset"


def test_of_a_snapped_answer_the_status_is_told():
    talk = proxy_talk().send("client", CONNECT).send("server", FORBIDDEN, captured=40).close("server")
    assert (kind(seen(talk)[1]), seen(talk)[1].status) == ("proxy-status", 403)
    talk = proxy_talk().send("client", CONNECT).send("server", FORBIDDEN, captured=10).close("server")
    assert seen(talk)[1].outcome == "not-run"


def test_socks(tmp_path):
    flights = shake(client_context(), server_context(tmp_path)[0])
    reply = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    talk = Talk(port=1080).open().send("client", socks.greeting(0, 2)).send("server", b"\x05\x02")
    talk.send("client", socks.password_request("user", "password")).send("server", b"\x01\x00")
    talk.send("client", socks.connect_request(certs.HOST, 443)).send("server", reply).play(flights).close()
    found, proxy = seen(talk)
    assert (proxy.outcome, proxy.status, proxy.reason) == ("ok", 0, "succeeded")
    assert (proxy.proxy, proxy.offered) == ("socks5://192.0.2.10:1080", ("username/password",))
    assert found[TlsObservation].outcome == "ok"
    assert found[ConnectionObservation].protocol == "socks5"
    assert found[ConnectionObservation].exchange == f"SOCKS5 CONNECT {certs.HOST}:443 → 0 succeeded"
    assert "password" not in repr(found).replace("username/password", "")


@pytest.mark.parametrize(
    ("answers", "expected", "status"),
    [
        ([b"\x05\xff"], "proxy-authentication", None),
        ([b"\x05\x00", b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"], "proxy-status", 2),
        ([b"\x05\x00", b"\x05\x05"], "proxy-status", 5),
        ([b"\x05\x00"], "eof", None),
        ([b"\x05\x09"], "not-a-proxy", None),
    ],
)
def test_socks_answers(answers, expected, status):
    talk = Talk(port=1080).open().send("client", socks.greeting(0)).send("server", answers[0])
    talk.send("client", socks.connect_request("192.0.2.9", 443))
    for answer in answers[1:]:
        talk.send("server", answer)
    _, proxy = seen(talk.close("server"))
    assert (kind(proxy), proxy.status) == (expected, status)


@given(st.binary(max_size=200), st.binary(max_size=200), st.booleans())
def test_garbage_is_survived(asked, answered, socks_too):
    start = b"\x05\x01\x00" if socks_too else CONNECT
    answer = b"\x05\x00" if socks_too else b"HTTP/1.1 "
    found, _ = seen(Talk().open().send("client", start + asked).send("server", answer + answered).close())
    assert found[ConnectionObservation].protocol in ("http-connect", "socks5", "")
