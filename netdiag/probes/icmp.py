"""ICMP errors that the kernel queues on a socket, with who sent them. Linux; elsewhere there are none.

Contract: no rights are needed. The kernel hands over only errors that quote a packet of that very socket.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

from netdiag.model import IcmpError

#: Whether this system tells who sent an ICMP error.
TELLS_SENDERS = sys.platform == "linux"

#: linux/in.h IP_RECVERR, linux/in6.h IPV6_RECVERR; the socket module names them only in later Pythons.
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_ORIGIN_ICMP = {2: 4, 3: 6}  # linux/errqueue.h SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 -> IP version


def ask_for_icmp(sock: socket.socket) -> None:
    """Have ICMP errors queued with their sender's address. Linux only; elsewhere errno alone has to do."""
    if sys.platform == "linux":
        level, option = _RECVERR[sock.family]
        with contextlib.suppress(OSError):
            sock.setsockopt(level, option, 1)


def queued_icmp_error(sock: socket.socket) -> IcmpError | None:
    """The ICMP error in the socket's error queue (linux/errqueue.h struct sock_extended_err and its offender)."""
    if sys.platform != "linux":
        return None
    try:
        _, control, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    wanted = set(_RECVERR.values())
    for level, kind, data in control:
        if (level, kind) not in wanted or len(data) < 16:
            continue
        _, origin, icmp_type, code = struct.unpack_from("=IBBB", data)
        version = _ORIGIN_ICMP.get(origin)
        offender = _offender(data[16:])
        if version and offender:
            return IcmpError(version=4 if version == 4 else 6, type=icmp_type, code=code, offender=offender)
    return None


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
