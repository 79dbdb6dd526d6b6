"""Exceptions -> ``Failure``. The one place that knows what an operating system's error means.

Contract: never raises; an exception that is not expected network trouble comes back as kind "unknown" with its text.
"""

from __future__ import annotations

import errno
import socket

from netdiag.model import Failure, FailureKind
from netdiag.wire.alert import TlsAlertError, TlsMalformedError
from netdiag.wire.http import NotHttpError

#: errno (Linux, macOS) and Winsock codes (learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2).
_KINDS: dict[int, FailureKind] = {
    errno.ECONNREFUSED: "refused",
    10061: "refused",
    errno.ECONNRESET: "reset",
    10054: "reset",
    errno.ECONNABORTED: "reset",
    10053: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    10060: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    10065: "unreachable",
    errno.ENETUNREACH: "unreachable",
    10051: "unreachable",
    errno.EADDRNOTAVAIL: "no-route",
    10049: "no-route",
    errno.ENODEV: "no-route",  # a zone that names no interface
    errno.EAFNOSUPPORT: "no-route",
    10047: "no-route",
    # A packet filter or security policy of this machine refuses to send (nft output reject, seccomp, Windows firewall).
    errno.EPERM: "local-policy",
    errno.EACCES: "local-policy",
    10013: "local-policy",
}

#: Destination-unreachable codes that mean "a filter forbids it", by IP version (RFC 1812 §5.2.7.1, RFC 4443 §3.1).
PROHIBITED_ICMP: dict[int, frozenset[int]] = {4: frozenset({9, 10, 13}), 6: frozenset({1, 5, 6})}


class FailedError(Exception):
    """A failure on its way to whoever puts it into an observation."""

    def __init__(self, kind: FailureKind, step: str, detail: str) -> None:
        super().__init__(detail)
        self.failure = Failure(kind=kind, step=step, detail=detail)


def from_exception(error: BaseException, step: str) -> Failure:
    """The failure that ``error`` stands for, met during ``step``."""
    if isinstance(error, FailedError):
        return error.failure
    if isinstance(error, NotHttpError):
        return Failure(kind="http-malformed", step=step, detail=str(error))
    if isinstance(error, TimeoutError):
        return Failure(kind="timeout", step=step, detail=str(error) or "no answer in time")
    if isinstance(error, EOFError):
        return Failure(kind="eof", step=step, detail=str(error) or "the peer closed the connection")
    if isinstance(error, TlsAlertError):
        return Failure(kind="tls-alert", step=step, detail=str(error))
    if isinstance(error, TlsMalformedError):
        return Failure(kind="tls-malformed", step=step, detail=str(error))
    if isinstance(error, socket.gaierror):
        return Failure(kind=_GAI.get(error.errno or 0, "unknown"), step=step, detail=error.strerror or str(error))
    if isinstance(error, OSError):
        import ssl  # slow to import, and most runs meet no error

        if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's, not the system's
            return Failure(kind="tls-malformed", step=step, detail=str(error))
        return from_errno(error.errno or 0, step, error.strerror or str(error))
    return Failure(kind="unknown", step=step, detail=f"{type(error).__name__}: {error}")


def before_sending(error: OSError, step: str) -> Failure:
    """The failure when a socket refuses at once: "unreachable" is then this machine's own routing table speaking."""
    failure = from_exception(error, step)
    if failure.kind == "unreachable" or error.errno == errno.EINVAL:  # a link-local address without its zone (RFC 4007)
        return Failure(kind="no-route", step=step, detail=failure.detail)
    return failure


def from_errno(number: int, step: str, detail: str = "") -> Failure:
    """The failure for an errno or Winsock code, as ``SO_ERROR`` gives it."""
    kind = _KINDS.get(number, "unknown")
    return Failure(kind=kind, step=step, detail=detail or errno.errorcode.get(number, str(number)))


#: getaddrinfo's errors (RFC 3493 §6.1). EAI_AGAIN is "no name server answered, or all failed": the system says no more.
_GAI: dict[int, FailureKind] = {
    socket.EAI_NONAME: "nxdomain",
    socket.EAI_AGAIN: "timeout",
    socket.EAI_FAIL: "servfail",
    11001: "nxdomain",
    11002: "timeout",
    11003: "servfail",
    11004: "no-answer",
}
if hasattr(socket, "EAI_NODATA"):
    _GAI[socket.EAI_NODATA] = "no-answer"
if hasattr(socket, "EAI_ADDRFAMILY"):
    _GAI[socket.EAI_ADDRFAMILY] = "no-answer"
