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
from netdiag.wire.http import decoded

MAX_REDIRECTS = 5  # browsers allow 20; an application's endpoint needs one or two
MAX_BODY = 64 * 1024  # enough for every block page seen; the rest is not read
MAX_BODY_TEXT = 4096  # what the report keeps
MAX_HEADERS = 64
MAX_HEADER_VALUE = 1024
MAX_PLACE = 200  # a redirect's address in a sentence

_HEADERS = {"User-Agent": f"netdiag/{__version__}", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}

#: Opens a stream for a URL: (scheme, host, port) -> Stream. Raises ``OSError``.
Opener = Callable[[str, str, int], Stream]


def fetch(
    url: str, opener: Opener, *, deadline: Deadline, step: Step, clock: Callable[[], float], verified: bool = True
) -> HttpsObservation:
    """GET ``url``. Redirects are followed only when the first connection was ``verified``."""
    watch = Stopwatch()
    adapter = _StreamAdapter(opener, deadline, follows=verified)
    failure: Failure | None = None
    got: requests.Response | None = None
    body, offset = b"", None
    with requests.Session() as session:
        session.trust_env = False
        session.max_redirects = MAX_REDIRECTS
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        try:
            # Prepared here, since Session.get spends most of its time merging settings that this session has not.
            asked = requests.Request("GET", url, headers=_HEADERS).prepare()
            got = session.send(asked, stream=True, allow_redirects=verified)
            offset = _clock_offset(got.headers, clock())
            body = _read(got)
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError, ValueError) as error:
            # ValueError: what the libraries below raise for some of what a peer can put into framing and Location.
            failure = _failure(error, "" if got else adapter.next_place)
        adapter.close()
    response = adapter.answers[-1] if adapter.answers else None
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
        redirects=tuple(_hop(earlier) for earlier in adapter.answers[:-1]),
        headers=_headers(response.headers) if response is not None else (),
        body=_text(body, response)[:MAX_BODY_TEXT] if response is not None else "",
        body_bytes=len(body),
        first_byte_s=adapter.first_byte_s,
        clock_offset_s=offset,
    )


class _StreamAdapter(requests.adapters.HTTPAdapter):
    """A transport for requests that takes its connections from an ``Opener``, one a request."""

    def __init__(self, opener: Opener, deadline: Deadline, *, follows: bool) -> None:
        super().__init__()
        self._follows = follows
        self._opener = opener
        self._deadline = deadline
        self._streams: list[Stream] = []
        #: Every answer so far; all but the last were redirects.
        self.answers: list[requests.Response] = []
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
        response = self.build_response(request, answer)
        if self._follows and response.is_redirect:  # requests would read all of a body that nobody looks at
            response.raw = io.BytesIO()
        self.answers.append(response)
        return response

    @property
    def next_place(self) -> str:
        """Where the last answer redirected to, empty before the first."""
        return self.answers[-1].headers.get("Location", "")[:MAX_PLACE] if self.answers else ""

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
    return decoded(body, response.encoding or "utf-8")


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


def _failure(error: Exception, place: str) -> Failure:
    """``place`` is where a redirect led, when the trouble is there: the step is "redirect" then."""
    detail = " ".join(str(error).split())[:300]
    if isinstance(error, requests.TooManyRedirects):
        return Failure(kind="too-many-redirects", step="fetch", detail=detail)
    cause = _cause(error)
    if isinstance(error, http.client.RemoteDisconnected):
        failure = Failure(kind="eof", step="fetch", detail="the connection was closed without an answer")
    elif cause is not None:
        failure = from_exception(cause, "fetch")
    else:
        failure = Failure(kind="http-malformed", step="fetch", detail=f"{type(error).__name__}: {detail}")
    if not place:
        return failure
    return Failure(kind=failure.kind, step="redirect", detail=f"{place}: {failure.detail[:300]}")


def _cause(error: BaseException | None) -> OSError | None:
    """The trouble on the network below the libraries' own exceptions, where there was any."""
    while error is not None:
        ours = (requests.RequestException, http.client.HTTPException)  # OSErrors too, some of them
        if isinstance(error, OSError) and not isinstance(error, ours):
            return error
        error = error.__cause__ or error.__context__
    return None
