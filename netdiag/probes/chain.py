"""Verifies the chain that a handshake brought, and fetches what the server should have sent with it.

Contract: never raises for the network or for what came over it. The only requests are plain HTTP GETs of caIssuers URLs
(RFC 5280 §4.2.2.1), made when the chain reaches neither the store in use nor a public root; they carry nothing but the
URL, follow no redirect, and are bounded in number (``pki.path.MAX_FETCHES``), size and time.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from netdiag.model import ChainObservation, Failure, TlsObservation
from netdiag.pki.trust import TrustStore
from netdiag.pki.verify import observed, of_server, verify_chain
from netdiag.probes.failure import from_exception
from netdiag.probes.net import Address, Deadline, Net, Step, Stopwatch, Stream
from netdiag.probes.threads import bounded
from netdiag.wire.http import Body, NotHttpError, parse_head, request_head

#: Certificates are 1 to 2 KiB, a PKCS#7 of several stays below 10.
MAX_FETCH_BYTES = 256 * 1024
#: For all fetches of one chain together; Windows waits 15 s for one, which nobody wants to sit through here.
MAX_FETCH_S = 3.0


def verify(
    tls: TlsObservation,
    host: str,
    store: TrustStore,
    public: TrustStore,
    at: float,
    step: Step,
    *,
    net: Net | None = None,
    deadline: Deadline | None = None,
) -> ChainObservation:
    """The verification of ``tls.chain`` for ``host`` at ``at`` (seconds since the epoch).

    ``net`` allows fetching missing issuers, on the direct route only: behind a proxy, a failed direct fetch would tell
    nothing about what applications get.
    """
    watch = Stopwatch()
    limit = (deadline or Deadline(MAX_FETCH_S)).within(MAX_FETCH_S)
    fetch = _fetcher(net, limit) if net is not None and step.route == "direct" else None
    found = verify_chain(tls.chain, host, store, public=public, at=at, fetch=fetch)
    return msgspec.structs.replace(
        observed(found, of_server(host, at), store),
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        flow=tls.flow,
    )


def _fetcher(net: Net, deadline: Deadline) -> Callable[[str], bytes | Failure]:
    def fetch(url: str) -> bytes | Failure:
        try:
            return _get(net, url, deadline)
        except NotHttpError as error:
            return Failure(kind="http-malformed", step="fetch", detail=str(error))
        except ValueError as error:
            return Failure(kind="unknown", step="fetch", detail=f"not a usable URL: {error}")
        except (OSError, EOFError) as error:
            return from_exception(error, "fetch")

    return fetch


def _get(net: Net, url: str, deadline: Deadline) -> bytes | Failure:
    """The body of a 200 answer. Raises ``ValueError`` for the URL, ``NotHttpError``, ``OSError`` or ``EOFError``."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it holds characters that no URL may hold")
    parts = urlsplit(url)
    if parts.scheme.lower() != "http" or not parts.hostname:
        raise ValueError("it is not plain HTTP")
    host, port = parts.hostname, parts.port or 80
    addresses = bounded(lambda: net.lookup(host), deadline)
    if not addresses:
        return Failure(kind="no-answer", step="fetch", detail=f"{host} has no address")
    stream = net.connect(Address(addresses[0], port), deadline)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = (
            ("Host", parts.netloc.rpartition("@")[2]),
            ("User-Agent", "netdiag"),
            ("Accept", "*/*"),
            ("Connection", "close"),
        )
        stream.send(request_head("GET", target, fields), deadline)
        return _answer(stream, deadline)
    finally:
        stream.close()


def _answer(stream: Stream, deadline: Deadline) -> bytes | Failure:
    data = b""
    while (parsed := parse_head(data)) is None:
        data += _more(stream, deadline)
    head, length = parsed
    if head.status != 200:
        return Failure(kind="unknown", step="fetch", detail=f"HTTP status {head.status}")
    body = Body(head, "GET", MAX_FETCH_BYTES)
    body.feed(data[length:])
    while not body.complete:
        if body.size > MAX_FETCH_BYTES:
            return Failure(kind="http-malformed", step="fetch", detail=f"more than {MAX_FETCH_BYTES // 1024} KiB")
        more = stream.receive(deadline)
        if not more and not body.end():
            raise EOFError("the connection ended before the answer did")
        body.feed(more)
    return body.kept


def _more(stream: Stream, deadline: Deadline) -> bytes:
    data = stream.receive(deadline)
    if not data:
        raise EOFError("the connection ended before the answer did")
    return data
