"""Retrieves what certificates name: issuers, CRLs, OCSP answers. Every URL, all at once, each bounded.

Contract: one ``Fetched`` for each ``Fetch``, whatever happens on the network; only a ``--proxy`` setting that names no
proxy raises (``UsageError``, at construction). http, https, ldap and ldaps URLs are retrieved, no other is touched.
Nothing secret is sent to a server; credentials go to the proxy only. Nothing here looks into what comes.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Literal, NamedTuple

from netdiag.model import Failure, UrlPurpose
from netdiag.pki.path import Fetch
from netdiag.probes import retrieval_http, retrieval_ldap
from netdiag.probes.failure import FailedError, from_exception
from netdiag.probes.machine import Machine
from netdiag.probes.net import Deadline, Stopwatch
from netdiag.probes.retrieval_cache import Cache
from netdiag.probes.retrieval_url import Place, parse_place
from netdiag.probes.retrieval_way import Budget, Secure, Trail, Ways
from netdiag.probes.threads import spawn
from netdiag.wire.http import NotHttpError

#: Seconds for one URL, redirects and logins included. certutil waits 15, which nobody wants to sit through here.
TIMEOUT_S = 8.0
#: URLs under way at once. A chain of four names some ten.
MAX_PARALLEL = 8
#: URLs in one call; a certificate that names hundreds wants to keep somebody busy.
MAX_REQUESTS = 128
#: Bytes of one answer. Certificates have 1 to 2 KiB, a PKCS#7 of several below 10; the largest CRLs of public and
#: government authorities have tens of MiB; an OCSP answer with its responder's chain has some KiB.
MAX_BYTES: dict[UrlPurpose, int] = {"aia": 256 << 10, "cdp": 64 << 20, "delta": 64 << 20, "ocsp": 128 << 10}
#: Bytes of all answers to one retriever: they are in memory together.
MAX_TOTAL = 256 << 20
#: What a thread may need beyond its deadline to put the end of a wait into words.
_GRACE_S = 0.5
#: How soon an interruption is noticed.
_TICK_S = 0.1
#: How long a proxy setting may take to be looked up for a remark only.
_REMARK_S = 1.0


class Fetched(NamedTuple):
    """What became of one ``Fetch``. ``answer`` is never empty bytes.

    A failure's ``step`` is "url" (not usable), "scheme" (nobody retrieves it), "select" (proxy settings), "lookup",
    "connect", "handshake", "verify", "CONNECT" and "socks-..." (a proxy), "fetch", "redirect", "bind" or "search".
    """

    fetch: Fetch
    answer: bytes | Failure
    #: Seconds since the epoch, and of work.
    started: float
    took_s: float
    #: Bytes of the last answer's body.
    received: int = 0
    #: The last answer's, where there was one.
    http_status: int | None = None
    method: Literal["", "GET", "POST", "LDAP"] = ""
    #: The proxy that it went through, without credentials; empty for none.
    proxy: str = ""
    #: It comes from an earlier run; nothing was asked.
    cached: bool = False
    #: The URL that was asked last: that of the redirect, or of the OCSP request by GET.
    final_url: str = ""


class Retriever:
    """Retrieves the way an application on ``machine`` would.

    ``proxy`` and ``credentials`` are those of the command line: "system", "none", a URL, HOST:PORT or "pac:...".
    ``secure`` verifies TLS servers (``retrieval_tls.verifier``); without it, https and ldaps URLs fail. ``cache`` is
    only read from here: who has verified a CRL knows how long it may be kept.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        proxy: str = "system",
        credentials: tuple[str, str] | None = None,
        secure: Secure | None = None,
        cache: Cache | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.cache = cache or Cache(None)
        self._machine = machine
        self._timeout_s = timeout_s
        self._ways = Ways(machine, proxy=proxy, credentials=credentials, secure=secure)
        self._budget = Budget(MAX_TOTAL)

    def retrieve(
        self,
        requests: Sequence[Fetch],
        deadline: Deadline,
        cancel: threading.Event | None = None,
        *,
        ended: Callable[[], None] = lambda: None,
    ) -> tuple[Fetched, ...]:
        """What became of each request, in their order. Equal ones are asked once.

        ``ended`` is called as each ends, from several threads. It is over soon after ``deadline``, or after ``cancel``
        is set: what is under way then is left behind.
        """
        futures: dict[Fetch, Future[Fetched]] = {fetch: Future() for fetch in dict.fromkeys(requests)}
        waiting: queue.SimpleQueue[tuple[Fetch, Future[Fetched]]] = queue.SimpleQueue()
        for number, (fetch, future) in enumerate(futures.items()):
            if number < MAX_REQUESTS:
                waiting.put((fetch, future))
            else:
                future.set_result(_not_begun(fetch, f"not asked: the {MAX_REQUESTS} URLs before it are enough"))

        def work() -> None:
            while True:
                try:
                    fetch, future = waiting.get_nowait()
                except queue.Empty:
                    return
                found = self._retrieve(fetch, deadline)
                ended()  # before the result, so that all are told when it is over
                future.set_result(found)

        for _ in range(min(MAX_PARALLEL, waiting.qsize())):
            spawn(work)
        return tuple(_ended(fetch, futures[fetch], deadline, cancel) for fetch in requests)

    def _retrieve(self, fetch: Fetch, run: Deadline) -> Fetched:
        if not run.remaining():
            return _not_begun(fetch, "not asked: the time for all URLs was over")
        watch = Stopwatch()
        limit = MAX_BYTES[fetch.purpose]
        deadline = run.within(self._timeout_s)
        trail = Trail(url=fetch.url, limit=limit, deadline=deadline, budget=self._budget)
        cached = None if fetch.body else self.cache.get(fetch.url, self._machine.clock())
        answer = cached or self._answer(fetch, trail)
        return Fetched(
            fetch=fetch,
            answer=answer,
            started=watch.started,
            took_s=watch.took_s,
            received=len(cached) if cached else trail.received,
            http_status=trail.http_status,
            method=trail.method,
            proxy=trail.proxy,
            cached=bool(cached),
            final_url=trail.url,
        )

    def _answer(self, fetch: Fetch, trail: Trail) -> bytes | Failure:
        place: Place | None = None
        try:
            place = parse_place(fetch.url)
            if place.scheme in ("ldap", "ldaps"):
                return retrieval_ldap.retrieve(self._ways, fetch.purpose, place, trail)
            return retrieval_http.retrieve(self._ways, fetch, place, trail)
        except (FailedError, NotHttpError, OSError, EOFError) as error:
            failure = from_exception(error, trail.step)
        except Exception as error:  # noqa: BLE001 - a bug must cost one URL, not the run
            failure = Failure(kind="internal", step=trail.step, detail=f"{type(error).__name__}: {error}")
        remark = self._remark(place)
        return Failure(kind=failure.kind, step=failure.step, detail=failure.detail + remark) if remark else failure

    def _remark(self, place: Place | None) -> str:
        """That a directory is asked directly, where somebody may expect a proxy to help."""
        if place is None or place.scheme not in ("ldap", "ldaps"):
            return ""
        try:
            proxy = self._ways.candidates(place, Deadline(_REMARK_S))[0]
        except FailedError:
            return ""
        return f"; LDAP does not go through the proxy {proxy.url}" if proxy else ""


def _ended(fetch: Fetch, future: Future[Fetched], deadline: Deadline, cancel: threading.Event | None) -> Fetched:
    """The result, also of a thread that something holds beyond its deadline."""
    patience = Deadline(deadline.remaining() + _GRACE_S)
    while patience.remaining():
        with contextlib.suppress(TimeoutError):
            return future.result(timeout=min(_TICK_S, patience.remaining()))
        if cancel is not None and cancel.is_set():
            return _not_begun(fetch, "interrupted")
    return _not_begun(fetch, "it did not end in time", "timeout")


def _not_begun(fetch: Fetch, why: str, kind: Literal["cancelled", "timeout"] = "cancelled") -> Fetched:
    watch = Stopwatch()
    failure = Failure(kind=kind, step="fetch", detail=why)
    return Fetched(fetch, failure, started=watch.started, took_s=0.0, final_url=fetch.url)
