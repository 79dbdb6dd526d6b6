"""ICMP errors that the kernel queues on a socket, with who sent them. Linux; elsewhere there are none.

Contract: no rights are needed. The kernel hands over only errors that quote a packet of that very socket.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import NamedTuple

from netdiag.model import IcmpError

#: Whether this system tells who sent an ICMP error.
TELLS_SENDERS = sys.platform == "linux"

#: linux/in.h IP_RECVERR, linux/in6.h IPV6_RECVERR; the socket module names them only in later Pythons.
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_ORIGIN_ICMP = {2: 4, 3: 6}  # linux/errqueue.h SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 -> IP version


#: asm-generic/socket.h SO_TIMESTAMPNS, and the struct timespec that comes of it (socket(7)).
_TIMESTAMPNS, _TIMESPEC = 35, struct.Struct("@ll")


def ask_for_icmp(sock: socket.socket) -> None:
    """Have ICMP errors queued, with their sender and their moment. Linux only; elsewhere errno alone has to do."""
    if sys.platform == "linux":
        level, option = _RECVERR[sock.family]
        with contextlib.suppress(OSError):
            sock.setsockopt(level, option, 1)
            sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)


class Queued(NamedTuple):
    """An ICMP error, and when the kernel got it, in seconds since the Unix epoch; None where it does not tell."""

    error: IcmpError
    at: float | None


def queued_icmp_error(sock: socket.socket) -> Queued | None:
    """The ICMP error in the socket's error queue (linux/errqueue.h struct sock_extended_err and its offender)."""
    if sys.platform != "linux":
        return None
    try:
        _, control, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    wanted = set(_RECVERR.values())
    stamps = [data for level, kind, data in control if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS)]
    for level, kind, data in control:
        if (level, kind) not in wanted or len(data) < 16:
            continue
        _, origin, icmp_type, code = struct.unpack_from("=IBBB", data)
        version = _ORIGIN_ICMP.get(origin)
        offender = _offender(data[16:])
        if version and offender:
            error = IcmpError(version=4 if version == 4 else 6, type=icmp_type, code=code, offender=offender)
            return Queued(error, _moment(stamps[0]) if stamps else None)
    return None


def _moment(timespec: bytes) -> float | None:
    if len(timespec) < _TIMESPEC.size:
        return None
    seconds, nanoseconds = _TIMESPEC.unpack_from(timespec)
    return float(seconds) + float(nanoseconds) / 1e9


def _offender(sockaddr: bytes) -> str:
    """The address in a struct sockaddr_in or sockaddr_in6; empty when there is none."""
    if len(sockaddr) < 8:
        return ""
    family = struct.unpack_from("=H", sockaddr)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, sockaddr[4:8])
    if family == socket.AF_INET6 and len(sockaddr) >= 24:
        return socket.inet_ntop(socket.AF_INET6, sockaddr[8:24])
    return ""
