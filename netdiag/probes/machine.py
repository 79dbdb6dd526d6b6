"""What the operating system under us says: hosts file, name servers, environment, clock, trust, sockets.

Contract: a frozen value that probes are handed, so that a test or the embedded world can be another machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from netdiag.model import MachineInfo
from netdiag.probes.net import Address, Net

if TYPE_CHECKING:
    from netdiag.pki.trust import TrustStore


def hosts_path() -> Path:
    """Where this operating system keeps its hosts file."""
    if sys.platform == "win32":
        return Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "drivers" / "etc" / "hosts"
    return Path("/etc/hosts")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine as probes see it; the default is the one we run on."""

    net: Net = field(default_factory=Net)
    hosts_file: Path = field(default_factory=hosts_path)
    #: The name servers of the machine; None asks the operating system (resolv.conf, registry).
    name_servers: tuple[Address, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    #: Whether proxy settings outside the environment count (Windows registry, macOS System Configuration).
    system_settings: bool = True
    #: Seconds since the Unix epoch.
    clock: Callable[[], float] = time.time
    #: What reports say of it; None asks the operating system.
    info: MachineInfo | None = None
    #: The roots of the public WebPKI; None is certifi's list.
    public_roots: TrustStore | None = None

    def described(self) -> MachineInfo:
        """Its name, system and time zone, for the report."""
        if self.info is not None:
            return self.info
        from netdiag.probes.machine_info import machine_info

        return machine_info()
