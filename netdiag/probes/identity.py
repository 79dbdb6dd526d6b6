"""Which machine this is: its name, its name with the domain, its addresses.

Contract: asks the operating system alone, never a server of its own choice; never raises, and judges nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket

from netdiag.model import HostObservation
from netdiag.probes.machine import Machine
from netdiag.probes.net import Deadline, Step, Stopwatch
from netdiag.probes.threads import bounded

#: A machine with more (a container host has one for each network) is recognised by its first.
MAX_ADDRESSES = 16
#: RFC 1035 §2.3.4, and what Windows and Linux allow for a machine's own.
_MAX_NAME = 253


def identity(machine: Machine, step: Step, deadline: Deadline) -> HostObservation:
    """This machine's name and addresses, as far as the system's resolver tells them before ``deadline``."""
    watch = Stopwatch()
    name = machine.described().name
    full = name
    found: tuple[str, ...] = ()
    with contextlib.suppress(OSError, UnicodeError):  # TimeoutError is one
        found = bounded(lambda: machine.net.lookup(name), deadline)
        if machine.info is None:
            full = bounded(lambda: socket.getfqdn(name), deadline)
    return HostObservation(
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        name=name[:_MAX_NAME],
        full_name=full[:_MAX_NAME] if "." in full and not full.lower().startswith("localhost") else "",
        addresses=tuple(address for address in found if not _here(address))[:MAX_ADDRESSES],
    )


def _here(address: str) -> bool:
    """A loopback address (Debian gives a machine's own name 127.0.1.1), or one that no other machine can use."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    return parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified
