"""Certificates, CRLs and OCSP answers over HTTP and HTTPS, straight or through a proxy.

Contract: trouble is raised, as ``FailedError``, ``NotHttpError``, ``OSError`` or ``EOFError``. Requests carry nothing
but the URL and an OCSP request; a body is cut at the limit of the ``Trail``.
"""

from __future__ import annotations

import base64
import re
from typing import Literal, NamedTuple
from urllib.parse import quote

from netdiag.model import UrlPurpose
from netdiag.pki.path import Fetch
from netdiag.probes.failure import FailedError, from_exception
from netdiag.probes.net import Stream
from netdiag.probes.proxy_attempt import Dial, RefusedError
from netdiag.probes.proxy_forward import ForwardAttempt
from netdiag.probes.proxy_http import Asked
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.probes.retrieval_answer import decompressed, made_by_proxy, page_title, said
from netdiag.probes.retrieval_url import Place, redirected
from netdiag.probes.retrieval_way import Trail, Ways, refused
from netdiag.wire.http import Body, NotHttpError, ResponseHead, framing, parse_final_head, request_head

MAX_REDIRECTS = 5  # a real CRL needs one or two, from a short name to a content network
#: The longest URL of an OCSP request by GET, scheme and host included (RFC 5019 §5; RFC 6960 appendix A.1).
MAX_GET = 255
#: Bytes of an error's page that are read, for its title and for what a proxy says of itself.
MAX_PAGE = 16 * 1024

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: 203: a proxy on the way has changed the content (RFC 9110 §15.3.4), which signatures will show.
_GOOD = frozenset({200, 203})
_OCSP_REQUEST = "application/ocsp-request"
#: OCSPResponse (RFC 6960 §4.2.1): a SEQUENCE that begins with the ENUMERATED responseStatus.
_OCSP_RESPONSE = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...)\x0a\x01(.)", re.DOTALL)
_MALFORMED_REQUEST = b"\x01"

_WHAT: dict[UrlPurpose, str] = {"aia": "a certificate", "cdp": "a CRL", "delta": "a CRL", "ocsp": "an OCSP answer"}

Method = Literal["GET", "POST"]


class _UselessError(FailedError):
    """An answer came, and it is not what was asked for."""


class _Answer(NamedTuple):
    """``proxy`` is the one that may have made the answer itself: it was asked for the URL, not for a tunnel."""

    head: ResponseHead
    body: bytes
    proxy: ProxyServer | None


def retrieve(ways: Ways, fetch: Fetch, place: Place, trail: Trail) -> bytes:
    """What lies at ``place``, or the answer to the OCSP request in ``fetch``."""
    if fetch.body:
        return _ask_responder(ways, fetch, place, trail)
    return _follow(ways, fetch, place, "GET", trail)


def _ask_responder(ways: Ways, fetch: Fetch, place: Place, trail: Trail) -> bytes:
    """GET, which caches can answer, where the request is short enough; POST where that does not do."""
    earlier, answer = "", None
    short = _get_place(place, fetch.body)
    if short is not None:
        try:
            answer = _follow(ways, fetch, short, "GET", trail)
            match = _OCSP_RESPONSE.match(answer)
            if match and match[1] != _MALFORMED_REQUEST:
                return answer
            earlier = "; GET brought no OCSP answer either" if match is None else ""
        except (_UselessError, NotHttpError) as error:
            earlier = f"; GET: {error}"
    try:
        return _follow(ways, fetch, place, "POST", trail)
    except (_UselessError, NotHttpError) as error:
        if answer is not None and not earlier:  # the responder's own error says more than the failure of POST
            trail.method, trail.http_status, trail.received = "GET", 200, len(answer)
            return answer
        failure = from_exception(error, trail.step)
        raise FailedError(failure.kind, failure.step, f"{failure.detail}{earlier}") from None


def _get_place(place: Place, request: bytes) -> Place | None:
    """The place of an OCSP request by GET (RFC 6960 appendix A.1); None when its URL is too long, or holds a query."""
    if "?" in place.path:
        return None
    encoded = quote(base64.b64encode(request), safe="")
    found = place._replace(path=f"{place.path.removesuffix('/')}/{encoded}")
    return found if len(found.url) <= MAX_GET else None


def _follow(ways: Ways, fetch: Fetch, place: Place, method: Method, trail: Trail) -> bytes:
    """Ask, and ask where redirects lead."""
    visited = [place.url]
    while True:
        trail.url, trail.method = place.url, method
        try:
            answer = _exchange(ways, fetch, place, method, trail)
        finally:
            trail.hang_up()
        location = answer.head.get("location")
        if answer.head.status not in _REDIRECTS or not location:
            return _content(answer, fetch, trail)
        place = redirected(place, location)
        if answer.head.status == 303:  # RFC 9110 §15.4.4; the others keep the method here: a changed one asks nothing
            method = "GET"
        if place.url in visited:
            circle = " -> ".join([*visited[visited.index(place.url) :], place.url])
            raise FailedError("too-many-redirects", "redirect", f"redirects in a circle: {circle[:500]}")
        visited.append(place.url)
        if len(visited) > MAX_REDIRECTS + 1:
            raise FailedError("too-many-redirects", "redirect", f"more than {MAX_REDIRECTS} redirects")


def _exchange(ways: Ways, fetch: Fetch, place: Place, method: Method, trail: Trail) -> _Answer:
    """One request and its answer."""
    content = fetch.body if method == "POST" else b""
    fields = [("Host", place.authority), ("User-Agent", "netdiag"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
    if method == "POST":
        fields += [("Content-Type", _OCSP_REQUEST), ("Content-Length", str(len(content)))]
    proxy, dial = ways.reach(place, trail)
    if proxy is not None and proxy.scheme != "socks5" and place.scheme == "http":
        return _forwarded(proxy, dial, Asked(method, place.url, tuple(fields), content), trail)
    stream = dial() if proxy is None else ways.tunnelled(place, proxy, dial, trail)
    if place.scheme == "https":
        stream = ways.secured(stream, place.host, place.port, trail)
    trail.step = "fetch"
    stream.send(request_head(method, place.path, [*fields, ("Connection", "close")]) + content, trail.deadline)
    data = b""
    while (parsed := parse_final_head(data)) is None:
        more = trail.receive(stream)
        if not more:
            raise EOFError("the connection ended before an answer came")
        data += more
    head, length = parsed
    return _Answer(head, _body(head, stream, data[length:], method, trail), None)


def _forwarded(proxy: ProxyServer, dial: Dial, asked: Asked, trail: Trail) -> _Answer:
    """The answer to a request that the proxy is to pass on."""
    attempt = ForwardAttempt(dial, proxy, trail.deadline, asked)
    trail.step = "fetch"
    try:
        attempt.run()
    except RefusedError as error:
        trail.http_status = attempt.status
        raise refused(proxy, error.failure, attempt.offered) from None
    except NotHttpError as error:
        raise FailedError("not-a-proxy", "fetch", f"proxy {proxy.url}: {attempt.clean(str(error))}") from None
    except TimeoutError:
        raise TimeoutError(f"proxy {proxy.url}: no answer in time") from None
    assert attempt.stream is not None
    return _Answer(attempt.head, _body(attempt.head, attempt.stream, attempt.buffer, asked.method, trail), proxy)


def _body(head: ResponseHead, stream: Stream, received: bytes, method: str, trail: Trail) -> bytes:
    """The body of an answer that is wanted; of any other, the start."""
    trail.http_status, trail.received = head.status, 0
    if head.status in _GOOD:
        return _whole(head, stream, received, method, trail)
    page = Body(head, method, MAX_PAGE)
    try:
        page.feed(received)
        while not page.complete and page.size < MAX_PAGE and (more := stream.receive(trail.deadline)):
            page.feed(more)
    except (OSError, EOFError, NotHttpError):
        pass  # the head has said what matters
    trail.received = page.size
    return page.kept


def _whole(head: ResponseHead, stream: Stream, received: bytes, method: str, trail: Trail) -> bytes:
    kind, length = framing(head, method)
    if kind == "length" and length > trail.limit:
        raise _too_large(f"the answer is said to have {length} bytes", trail)
    body = Body(head, method, trail.limit)
    try:
        while True:
            body.feed(received)
            trail.received = body.size
            trail.budget.take(len(received))
            if body.size > trail.limit:
                raise _too_large("the answer was cut off", trail)
            if body.complete:
                return body.kept
            received = stream.receive(trail.deadline)
            if not received and not body.end():
                raise EOFError(f"the connection ended in the middle of the answer, after {body.size} bytes")
    except TimeoutError:
        raise TimeoutError(f"the answer did not end in time: {body.size} bytes came") from None


def _too_large(what: str, trail: Trail) -> FailedError:
    return FailedError("http-malformed", "fetch", f"{what}: no more than {trail.limit >> 10} KiB are taken")


def _content(answer: _Answer, fetch: Fetch, trail: Trail) -> bytes:
    """What the answer brings. Raises ``FailedError`` for a refusal, an error, or a web page."""
    head, proxy = answer.head, answer.proxy
    proof = made_by_proxy(head) if proxy else ""
    if head.status not in _GOOD:
        title = page_title(head, answer.body)
        told = f"HTTP status {said(head)}" + (f", a page {title!r}" if title else "")
        raise _useless(told, proxy, proof, "unknown")
    data = decompressed(head, answer.body, trail.limit)
    title = page_title(head, data)
    if title is not None:
        told = f"a web page in place of {_WHAT[fetch.purpose]}" + (f": {title!r}" if title else "")
        raise _useless(told, proxy, proof, "web-page")
    if not data:
        raise _useless(f"HTTP status {said(head)} and nothing in it", proxy, "", "http-malformed")
    return data


def _useless(
    told: str, proxy: ProxyServer | None, proof: str, kind: Literal["unknown", "http-malformed", "web-page"]
) -> FailedError:
    if proxy and proof:
        return FailedError("proxy-status", "fetch", f"proxy {proxy.url} itself answered: {told} ({proof})")
    through = f", through the proxy {proxy.url}, which does not say whether the answer is its own" if proxy else ""
    return _UselessError(kind, "fetch", told + through)
