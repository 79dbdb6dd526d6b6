"""The blocks of a pcapng file that are no packets: sections, interfaces, statistics, names, secrets.

Contract: ``Sections.read`` takes them in order and returns why reading has to end there, or nothing. Only sections and
interfaces can end it: without them packets have no meaning. What is wrong in the others is left out.
"""

from __future__ import annotations

import ipaddress
import struct

import numpy as np
import numpy.typing as npt

from netdiag.capture.formats.pcapng_options import COMMENT, Notes, options, text
from netdiag.capture.packets import MAX_NOTES, FileInfo, Interface, Ints

SHB, IDB, PB, SPB, NRB, ISB, EPB, DSB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 10
#: Blocks without a packet that Wireshark gives frame numbers: journal entries, Sysdig's events, custom blocks.
NUMBERED = (9, 0x204, 0x216, 0x221, 0xBAD, 0x40000BAD)
#: The byte-order magic of a section, as its own byte order reads it.
MAGIC = 0x1A2B3C4D

#: An offset of an interface's clock that is believed, in seconds: 100 years.
_MAX_OFFSET = 100 * 366 * 86_400
#: Names kept of one address.
_MAX_NAMES = 100
#: Sections, and other blocks without packets, that are read: each costs as much as a hundred packets.
_MAX_BLOCKS = 50_000
#: ``Batch.interface`` has 16 bits.
_MAX_INTERFACES = 65_536
_HARDWARE, _OS, _APPLICATION = 2, 3, 4
_NAME, _DESCRIPTION, _RESOLUTION, _OFFSET = 2, 3, 9, 14
_MICROSECONDS = 6
_IF_DROP, _OS_DROP = 5, 7
_NRB_END, _NRB_IPV4, _NRB_IPV6 = 0, 1, 2
_TLS_KEY_LOG = 0x544C534B

Ticks = npt.NDArray[np.uint64]
_LATEST = 2**63 - 1


def byte_order(magic: bytes) -> str:
    """Whether "<" or ">" makes these four bytes the byte-order magic of a section; empty: neither."""
    return next((order for order in "<>" if magic == struct.pack(order + "I", MAGIC)), "")


class Sections:
    """The interfaces of all sections, numbered through, and what else the file says of itself, in ``info``."""

    def __init__(self, info: FileInfo, notes: Notes) -> None:
        #: The first interface of the current section.
        self.base = 0
        self._sections = 0
        self._read = 0
        self._info = info
        self._notes = notes
        #: Of each interface: if_tsresol, if_tsoffset in seconds, and what its statistics say was dropped.
        self._resolutions: list[int] = []
        self._offsets: list[int] = []
        self._dropped: dict[int, int] = {}

    def read(self, kind: int, body: bytes, order: str) -> str:
        """Take in the block with this type and body. Why reading must end here; mostly nothing."""
        if kind == SHB:
            return self._section(body, order)
        if kind == IDB:
            return self._interface(body, order)
        self._read += 1
        if self._read > _MAX_BLOCKS:
            self._notes.remark(f"names, statistics and secrets were read of the first {_MAX_BLOCKS} such blocks only")
        elif kind == NRB:
            self._names(body, order)
        elif kind == ISB:
            self._statistics(body, order)
        elif kind == DSB:
            self._secrets(body, order)
        return ""

    def dropped(self) -> int:
        """Packets lost, as the interfaces' last statistics say."""
        return sum(self._dropped.values())

    def time_ns(self, ticks: Ticks, interface: Ints) -> Ints:
        """When, in ns since the Unix epoch; what 64 bits cannot hold becomes the latest that they can."""
        if len(set(self._resolutions)) == 1:
            time = _nanoseconds(ticks, self._resolutions[0])
        else:
            time = np.zeros(len(ticks), np.int64)
            of_packet = np.array(self._resolutions)[interface]
            for resolution in np.unique(of_packet).tolist():
                some = of_packet == resolution
                time[some] = _nanoseconds(ticks[some], resolution)
        if any(self._offsets):
            seconds = np.array(self._offsets, np.int64)[interface]
            time = np.clip(time, -(2**62), 2**62) + seconds * 1_000_000_000
        return time

    def _section(self, body: bytes, order: str) -> str:
        if len(body) < 16:
            return "a section header is too short"
        _, major, minor = struct.unpack_from(order + "IHH", body)
        if major != 1:
            return f"a section is of version {major}.{minor}, which is not known"
        self._sections += 1
        if self._sections > _MAX_BLOCKS:
            return f"more than {_MAX_BLOCKS} sections"
        self.base = len(self._info.interfaces)
        for code, value in options(body[16:], order):
            if code == COMMENT:
                self._notes.comment(0, value)
            elif code == _HARDWARE:
                self._info.hardware = self._info.hardware or text(value)
            elif code == _OS:
                self._info.os = self._info.os or text(value)
            elif code == _APPLICATION:
                self._info.application = self._info.application or text(value)
        return ""

    def _interface(self, body: bytes, order: str) -> str:
        if len(body) < 8:
            return "an interface description is too short"
        if len(self._info.interfaces) >= _MAX_INTERFACES:
            return f"more than {_MAX_INTERFACES} interfaces"
        linktype, snaplen = struct.unpack_from(order + "HxxI", body)
        name = description = ""
        resolution, offset = _MICROSECONDS, 0
        for code, value in options(body[8:], order):
            if code == COMMENT:
                self._notes.comment(0, value)
            elif code == _NAME:
                name = text(value)
            elif code == _DESCRIPTION:
                description = text(value)
            elif code == _RESOLUTION and len(value) == 1:
                resolution = value[0]
            elif code == _OFFSET and len(value) == 8:
                (offset,) = struct.unpack(order + "q", value)
        if abs(offset) > _MAX_OFFSET:
            self._notes.remark(f"an interface's times are off by {offset} s, which is not believed")
            offset = 0
        self._info.interfaces.append(Interface(linktype, name, description, snaplen))
        self._resolutions.append(resolution)
        self._offsets.append(offset)
        return ""

    def _names(self, body: bytes, order: str) -> None:
        names = self._info.names
        at = 0
        while at + 4 <= len(body) and len(names) < MAX_NOTES:
            kind, length = struct.unpack_from(order + "HH", body, at)
            value = body[at + 4 : at + 4 + length]
            at += 4 + (length + 3 & ~3)
            if kind == _NRB_END:
                break
            octets = {_NRB_IPV4: 4, _NRB_IPV6: 16}.get(kind, 0)
            if not octets or len(value) < length or length <= octets:
                continue
            address = str(ipaddress.ip_address(value[:octets]))
            new = [text(name) for name in value[octets:].split(b"\0") if name]
            names[address] = tuple(dict.fromkeys((*names.get(address, ()), *new)))[:_MAX_NAMES]
        self._comments(body[at:], order)

    def _statistics(self, body: bytes, order: str) -> None:
        if len(body) < 12:
            return
        interface = self.base + struct.unpack_from(order + "I", body)[0]
        if interface >= len(self._info.interfaces):
            return
        lost = [0, 0]
        for code, value in options(body[12:], order):
            if code in (_IF_DROP, _OS_DROP) and len(value) == 8:
                lost[code == _OS_DROP] = struct.unpack(order + "Q", value)[0]
        self._dropped[interface] = sum(lost)
        self._comments(body[12:], order)

    def _secrets(self, body: bytes, order: str) -> None:
        if len(body) < 8:
            return
        kind, length = struct.unpack_from(order + "II", body)
        if kind != _TLS_KEY_LOG:
            return
        for line in body[8 : 8 + length].splitlines():
            if len(self._info.tls_secrets) >= MAX_NOTES:
                break
            if line.strip():
                self._info.tls_secrets.append(text(line))
        self._comments(body[8 + (length + 3 & ~3) :], order)

    def _comments(self, data: bytes, order: str) -> None:
        for code, value in options(data, order):
            if code == COMMENT:
                self._notes.comment(0, value)


def _nanoseconds(ticks: Ticks, resolution: int) -> Ints:
    """``resolution``: if_tsresol, a negative power of 10, or with the highest bit set of 2."""
    power = resolution & 0x7F
    if resolution & 0x80:
        fine = max(power - 30, 0)  # below what a nanosecond needs
        seconds = ticks >> np.uint64(power) if power < 64 else ticks & np.uint64(0)
        fraction = ticks & np.uint64((1 << min(power, 64)) - 1)
        fraction = fraction >> np.uint64(fine) if fine < 64 else fraction & np.uint64(0)
        nanoseconds = fraction * np.uint64(1_000_000_000) >> np.uint64(power - fine)
        time: Ticks = np.minimum(seconds, np.uint64(_LATEST // 10**9 - 1)) * np.uint64(10**9) + nanoseconds
    elif power <= 9:
        unit = 10 ** (9 - power)
        time = np.minimum(ticks, np.uint64(_LATEST // unit)) * np.uint64(unit)
    else:
        time = np.minimum(ticks // np.uint64(min(10 ** (power - 9), 2**64 - 1)), np.uint64(_LATEST))
    return time.astype(np.int64)
