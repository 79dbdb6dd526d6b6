"""What a Network Monitor file holds beside packets: comments, programs, and frames about adapters, filters and events.

Layouts: Wireshark's wiretap/netmon.c and packet-netmon.c; event frames: CSS_SQL_Networking_Tools (SQLNA) too. Each
function takes what is sane from the front of its table and ends at the first entry that cannot be.
"""

from __future__ import annotations

import ipaddress
import struct

from netdiag.capture.formats.trace_events import TraceEvent
from netdiag.capture.formats.windows import MAX_TEXT, Window, plain_text, utf16, utf16_at
from netdiag.capture.packets import MAX_NOTES, Process

#: Characters kept of all comments together, and of all paths.
MAX_TEXTS = 4 * 1024 * 1024
#: A path has at most 32,767 UTF-16 units and a zero.
_MAX_PATH = 65_536
#: A table or frame with more adapters than this is none.
_MAX_ADAPTERS = 256
#: Extended data items of one event.
_MAX_EXTENDED = 64

#: Process id, ports (each padded), whether IPv6, addresses.
_OWNER = struct.Struct("<IH2xH2xI16s16s")
#: Size, header type, flags, property, thread, process, time, provider, id, keyword, counts of extended and user bytes.
_EVENT = struct.Struct("<8xIIQ16sH6xQ24x4xHHx")
assert _EVENT.size == 89


def comments(window: Window, offset: int, length: int) -> dict[int, str]:
    """Words about frames, by the frame's offset in the file."""
    found: dict[int, str] = {}
    total = 0
    end = min(offset + length, window.size)
    while offset + 16 <= end and len(found) < MAX_NOTES and total < MAX_TEXTS:
        head = window.read(offset, 12)
        frame, size = int.from_bytes(head[4:8], "little"), int.from_bytes(head[8:], "little")
        if size > end - offset - 16:
            break
        title = utf16(window.read(offset + 12, min(size, 2 * MAX_TEXT))).strip()
        offset += 12 + size
        size = int.from_bytes(window.read(offset, 4), "little")
        if size > end - offset - 4:
            break
        text = plain_text(window.read(offset + 4, min(size, 2 * MAX_TEXT)))
        offset += 4 + size
        words = ": ".join(part for part in (title, text) if part)
        if words:
            found[frame] = f"{found[frame]}\n{words}"[:MAX_TEXT] if frame in found else words
            total += len(words)
    return found


def processes(window: Window, offset: int, count: int) -> list[Process]:
    """The programs and the connections they owned; a record's trailer says which by number."""
    found: list[Process] = []
    total = 0
    offset += 2  # the table's version
    while len(found) < min(count, MAX_NOTES) and total < MAX_TEXTS:
        head = window.read(offset, 4)
        size = int.from_bytes(head, "little")
        if len(head) < 4 or size > _MAX_PATH:
            break
        path = utf16(window.read(offset + 4, min(size, 2 * MAX_TEXT)))
        offset += 4 + size
        icon = window.read(offset, 4)
        offset += 4 + int.from_bytes(icon, "little")
        owner = window.read(offset, _OWNER.size)
        if len(icon) < 4 or len(owner) < _OWNER.size:
            break
        offset += _OWNER.size
        pid, local_port, remote_port, ipv6, local, remote = _OWNER.unpack(owner)
        found.append(Process(pid, path, _address(local, ipv6), local_port, _address(remote, ipv6), remote_port))
        total += len(path)
    return found


def _address(data: bytes, ipv6: int) -> str:
    return str(ipaddress.IPv6Address(data) if ipv6 else ipaddress.IPv4Address(data[:4]))


def adapters(data: bytes) -> tuple[str, list[tuple[str, str]]]:
    """A frame of NETWORK_INFO_EX: the computer's name, each adapter's name and description."""
    found: list[tuple[str, str]] = []
    computer = ""
    try:
        _version, count = struct.unpack_from(">HH", data)
        computer, at = utf16_at(data, 4)
        for _ in range(min(count, _MAX_ADAPTERS)):
            name, at = utf16_at(data, at)
            description, at = utf16_at(data, at)
            _guid, at = utf16_at(data, at)
            # Media type, MTU, speed and MAC address; then how many addresses of each kind follow.
            ipv4, ipv6, gateways, dhcp, dns4, dns6 = struct.unpack_from(">22xHHHHHH", data, at)
            at += 34 + 4 * (2 * ipv4 + gateways + dhcp + dns4) + 16 * (ipv6 + dns6)
            found.append((name, description))
    except (struct.error, ValueError):
        pass
    return computer, found


def capture_filter(data: bytes) -> tuple[str, str]:
    """A frame of the filter: the capturing program with its version, and the filter."""
    try:
        _version, _type, major, minor = struct.unpack_from(">HIII", data)
        name, at = utf16_at(data, 14)
        text, _at = utf16_at(data, at)
    except (struct.error, ValueError):
        return "", ""
    return f"{name} {major}.{minor}", text


def net_event(data: bytes, time_ns: int) -> TraceEvent | None:
    """A frame that holds a trace event: Network Monitor's way of saving a trace."""
    if len(data) < _EVENT.size:
        return None
    tid, pid, _time, provider, event_id, keyword, extended, size = _EVENT.unpack_from(data)
    at = _EVENT.size
    for _ in range(min(extended, _MAX_EXTENDED)):
        at += 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    return TraceEvent(provider, event_id, keyword, pid, tid, time_ns, data[at : at + size])
