"""The tap where there are no packet sockets: live capture by scapy, over Npcap on Windows and BPF devices on macOS.

Contract: as ``tap.py``. scapy has a thread that reads; it is imported only for a process that has the right to capture.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from netdiag.probes.tap import BlindTap, Kept, Method, Packets, Tap, wanted
from netdiag.wire.packets import Link, Packet

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket

#: What the system hands over; which addresses count is decided here, as they become known.
FILTER = "tcp or udp port 53 or icmp or icmp6"
#: How long the reading thread may take to begin, in seconds.
START_S = 3.0

_NPCAP = "capturing on Windows takes Npcap (npcap.com) and an administrator's rights"
_ROOT = "capturing takes the right to read /dev/bpf* (run with sudo)"


def open_elsewhere() -> Tap:
    """A tap by scapy, or one that says why there is none."""
    lacking = _NPCAP if sys.platform == "win32" else _ROOT
    if not _privileged():
        return BlindTap(lacking)
    try:
        return ScapyTap()
    except Exception as error:  # noqa: BLE001 - scapy raises anything where a driver is missing or refuses
        return BlindTap(f"{lacking}: {_one_line(error)}")


def _privileged() -> bool:
    """Whether this process may capture, as far as that is known without trying."""
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.shell32.IsUserAnAdmin())
    return os.geteuid() == 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class ScapyTap:
    """A tap on every working interface. Raises whatever scapy does where it cannot capture."""

    method: Method = "scapy"

    def __init__(self) -> None:
        from scapy.config import conf
        from scapy.interfaces import get_working_ifaces
        from scapy.sendrecv import AsyncSniffer

        self._numbers = conf.l2types.layer2num
        self._lock = threading.Lock()
        self._kept = Kept()
        self._watched: set[str] = set()
        self._closed = False
        started = threading.Event()
        self._sniffer = AsyncSniffer(
            iface=list(get_working_ifaces()),
            filter=FILTER,
            store=False,
            prn=self._take,
            started_callback=started.set,
        )
        self._sniffer.start()
        if not started.wait(START_S):
            raise self._sniffer.exception or TimeoutError("no interface could be opened in time")

    @property
    def limits(self) -> tuple[str, ...]:
        """What was not kept."""
        return self._kept.limits

    def watch(self, addresses: Iterable[str]) -> None:
        """Keep the packets from and to these addresses too, from now on."""
        with self._lock:
            self._watched |= {address.partition("%")[0] for address in addresses}

    def packets(self) -> Packets:
        """Everything that has been read so far. What the driver lost, scapy does not tell."""
        with self._lock:
            return self._kept.whole()

    def close(self) -> None:
        """Have the thread end; nobody waits for it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._sniffer.running:
            self._sniffer.stop(join=False)

    def _take(self, packet: ScapyPacket) -> None:
        data = bytes(packet.original)
        linktype = int(self._numbers.get(type(packet), -1))
        with self._lock:
            if self._closed or linktype < 0 or not wanted(data, linktype, self._watched):
                return
            link = self._kept.link(Link(linktype, _name(packet.sniffed_on)))
            length = int(packet.wirelen or len(data))
            self._kept.add(Packet(data, length, int(packet.time * 1_000_000_000), link, 0))


def _name(interface: Any) -> str:
    """An interface as the user knows it: on Windows its description, not the number of its adapter."""
    return str(getattr(interface, "description", "") or getattr(interface, "name", "") or interface or "")
