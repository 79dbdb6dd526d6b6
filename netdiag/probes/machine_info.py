"""Which machine this is: its name, its operating system, its time zone. Nothing is asked of the network.

Contract: never raises; what the system does not tell stays empty.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import time

from netdiag.model import MachineInfo

#: RFC 1035 §2.3.4; a system's name is a line in a table.
_MAX_NAME = 253
_MAX_SYSTEM = 100


@functools.cache
def machine_info() -> MachineInfo:
    """This machine. Asked for once, so that the name does not change within one run."""
    import platform

    return MachineInfo(name=platform.node()[:_MAX_NAME], system=_system()[:_MAX_SYSTEM], utc_offset_s=_utc_offset())


def _system() -> str:
    """``Windows 2022Server (ServerStandard), build 10.0.20348``, ``macOS 14.5``, ``Debian GNU/Linux 12 (bookworm)``."""
    import platform

    if sys.platform == "win32":
        edition = platform.win32_edition()
        return f"Windows {platform.release()}{f' ({edition})' if edition else ''}, build {platform.version()}"
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}".strip()
    with contextlib.suppress(OSError):  # a system without os-release(5)
        return platform.freedesktop_os_release().get("PRETTY_NAME", "") or platform.system()
    return f"{platform.system()} {platform.release()}".strip()


def _utc_offset() -> int | None:
    with contextlib.suppress(OverflowError, ValueError, OSError):
        return time.localtime().tm_gmtoff
    return None
