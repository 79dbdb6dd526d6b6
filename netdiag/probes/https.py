"""One fetch as an application makes it: requests speaks HTTP over streams that the ladder has opened.

Contract: sends no secret, follows at most ``MAX_REDIRECTS``, reads at most ``MAX_BODY`` bytes before the deadline, and
ends in one ``HttpsObservation``. requests does status lines, headers, encodings and redirects; the connection below
is handed in, so the fetch uses the very connection whose certificate was looked at.
"""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.util import parse_url

from netdiag import __version__
from netdiag.model import Failure, HttpHop, HttpsObservation
from netdiag.probes.failure import from_exception
from netdiag.probes.net import Deadline, Step, Stopwatch, Stream

MAX_REDIRECTS = 5  # browsers allow 20; an application's endpoint needs one or two
MAX_BODY = 64 * 1024  # enough for every block page seen; the rest is not read
MAX_BODY_TEXT = 4096  # what the report keeps
MAX_HEADERS = 64
MAX_HEADER_VALUE = 1024

#: Opens a stream for a URL: (scheme, host, port) -> Stream. Raises ``OSError``.
Opener = Callable[[str, str, int], Stream]


def fetch(
    url: str, opener: Opener, *, deadline: Deadline, step: Step, clock: Callable[[], float], verified: bool = True
) -> HttpsObservation:
    """GET ``url``. Redirects are followed only when the first connection was ``verified``."""
    watch = Stopwatch()
    adapter = _StreamAdapter(opener, deadline)
    hops: tuple[HttpHop, ...] = ()
    failure: Failure | None = None
    response: requests.Response | None = None
    body, offset = b"", None
    with requests.Session() as session:
        session.trust_env = False
        session.max_redirects = MAX_REDIRECTS
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers["User-Agent"] = f"netdiag/{__version__}"
        try:
            response = session.get(url, stream=True, allow_redirects=verified)
            offset = _clock_offset(response.headers, clock())
            body = _read(response)
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            failure = _failure(error)
            if response is None and isinstance(error, requests.TooManyRedirects):
                response = error.response
        if response is not None:
            hops = tuple(_hop(earlier) for earlier in response.history[:MAX_REDIRECTS])
        adapter.close()
    return HttpsObservation(
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if failure else "ok",
        failure=failure,
        flow=adapter.first.flow if adapter.first else None,
        url=url,
        final_url=(response.url or url)[:2048] if response is not None else "",
        verified=verified,
        status=response.status_code if response is not None else None,
        reason=(response.reason or "")[:200] if response is not None else "",
        redirects=hops,
        headers=_headers(response.headers) if response is not None else (),
        body=_text(body, response)[:MAX_BODY_TEXT] if response is not None else "",
        body_bytes=len(body),
        first_byte_s=adapter.first_byte_s,
        clock_offset_s=offset,
    )


class _StreamAdapter(requests.adapters.HTTPAdapter):
    """A transport for requests that takes its connections from an ``Opener``, one a request."""

    def __init__(self, opener: Opener, deadline: Deadline) -> None:
        super().__init__()
        self._opener = opener
        self._deadline = deadline
        self._streams: list[Stream] = []
        self.first: Stream | None = None
        self.first_byte_s: float | None = None

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Send one prepared request. Raises ``OSError`` and ``http.client.HTTPException`` as they come."""
        url = parse_url(request.url or "")
        scheme, host = url.scheme or "https", (url.host or "").strip("[]")
        stream = self._opener(scheme, host, url.port or (443 if scheme == "https" else 80))
        self._streams.append(stream)
        self.first = self.first or stream
        connection = HTTPConnection(host or "-")
        connection.sock = _StreamSocket(stream, self._deadline)
        start = time.monotonic()
        connection.request(
            request.method or "GET",
            request.path_url,
            headers=_request_headers(request, url.netloc),
            preload_content=False,
        )
        answer = connection.getresponse()
        if self.first_byte_s is None:
            self.first_byte_s = time.monotonic() - start
        return self.build_response(request, answer)

    def close(self) -> None:
        """Close every stream that was opened."""
        for stream in self._streams:
            stream.close()
        super().close()


class _StreamSocket:
    """The part of a socket that http.client uses, over a ``Stream``."""

    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._stream.send(bytes(data), self._deadline)

    def settimeout(self, timeout: float | None) -> None:
        """The deadline rules, so a timeout has nothing to do."""

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_StreamReader(self._stream, self._deadline))

    def close(self) -> None:
        """The adapter closes the stream when the response has been read."""


class _StreamReader(io.RawIOBase):
    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # any writable buffer in typeshed
        data = self._stream.receive(self._deadline, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _request_headers(request: requests.PreparedRequest, netloc: str | None) -> dict[str, str]:
    return {
        "Host": netloc or "",
        **{name: str(value) for name, value in request.headers.items()},
        "Connection": "close",
    }


def _read(response: requests.Response) -> bytes:
    """The start of the body. A body cut short is still a body: what came is kept, and the failure raised by nobody."""
    data = b""
    try:
        for chunk in response.iter_content(8192):
            data += chunk
            if len(data) >= MAX_BODY:
                break
    except requests.RequestException:
        if not data:
            raise
    return data[:MAX_BODY]


def _text(body: bytes, response: requests.Response) -> str:
    try:
        return body.decode(response.encoding or "utf-8", errors="replace")
    except LookupError:  # a charset that Python does not know
        return body.decode("utf-8", errors="replace")


def _hop(response: requests.Response) -> HttpHop:
    return HttpHop(
        url=(response.url or "")[:2048],
        status=response.status_code,
        location=response.headers.get("Location", "")[:2048],
    )


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name[:200], value[:MAX_HEADER_VALUE]) for name, value in list(headers.items())[:MAX_HEADERS])


def _clock_offset(headers: Mapping[str, str], now: float) -> float | None:
    """The server's Date (RFC 9110 §6.6.1, one-second resolution) minus our clock."""
    try:
        return parsedate_to_datetime(headers["Date"]).timestamp() - now
    except (KeyError, ValueError, OverflowError):
        return None


def _failure(error: Exception) -> Failure:
    detail = str(error)[:300]
    if isinstance(error, http.client.RemoteDisconnected):
        return Failure(kind="eof", step="fetch", detail="the connection was closed without an answer")
    if isinstance(error, requests.TooManyRedirects):
        return Failure(kind="too-many-redirects", step="fetch", detail=detail)
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL | UnicodeError):
        return Failure(kind="http-malformed", step="fetch", detail=f"redirected to an unusable address: {detail}")
    if isinstance(error, http.client.HTTPException | urllib3.exceptions.HTTPError | requests.RequestException):
        cause = error.__cause__ or error.__context__
        if isinstance(cause, OSError) and not isinstance(cause, http.client.HTTPException):
            return from_exception(cause, "fetch")
        return Failure(kind="http-malformed", step="fetch", detail=f"{type(error).__name__}: {detail}")
    return from_exception(error, "fetch")
