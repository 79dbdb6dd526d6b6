"""Reverse lookups: the names of addresses, as the system's resolver gives them.

Contract: bounded by a deadline, whatever a resolver does; an address without a name is left out. A name proves nothing:
whoever runs the address's reverse zone can write any.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial

from netdiag.probes.net import Deadline
from netdiag.probes.threads import spawn

#: RFC 1035 §2.3.4; what is longer is no name.
_MAX_NAME = 253
#: Each takes a thread that may be left behind. A path has some 20 routers; the rest of more go without names.
_MAX_LOOKUPS = 64


def names_of(addresses: Sequence[str], deadline: Deadline) -> tuple[tuple[str, str], ...]:
    """``(address, name)`` of those that have a name, in the order given."""
    asked = [(address, spawn(partial(_name, address))) for address in addresses[:_MAX_LOOKUPS]]
    found = []
    for address, future in asked:
        try:
            name = future.result(deadline.remaining())
        except (OSError, UnicodeError):  # TimeoutError and socket.gaierror are OSErrors
            continue
        if name and name != address and len(name) <= _MAX_NAME:
            found.append((address, name.removesuffix(".")))
    return tuple(found)


def _name(address: str) -> str:
    return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
