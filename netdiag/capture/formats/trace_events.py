"""Packets in Windows' trace events (ETW), wherever the events lie: in an ETL file, or in Network Monitor's frames.

Providers: NDIS-PacketCapture (``netsh trace``) 1001 and, for a virtual switch, 1003; Ras-NdisWan 5001 and 5002;
PktMon 160 and 170. Layouts: the providers' manifests as in airbus-cert/etl-parser; meaning of the keywords and of a
packet in several events: microsoft/etl2pcapng; PktMon: microsoft/NetMon_Parsers_for_PacketMon.

PktMon shows a packet at each component that it passes, under one group id and number: the first appearance counts,
and a drop is a note about it, or, if it comes first, the packet itself with that note.
"""

from __future__ import annotations

import struct
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from netdiag.capture.formats.pktmon import drop_reason
from netdiag.capture.formats.windows import (
    LINKTYPE_ETHERNET,
    LINKTYPE_IEEE802_11,
    LINKTYPE_RAW,
    Interfaces,
    Packet,
    note_process,
    utf16_at,
    wire_length,
)
from netdiag.capture.packets import MAX_NOTES, MAX_PACKET, Drop, FileInfo, Interface, Process

NDIS = uuid.UUID("2ed6006e-4729-4609-b423-3ee7bcd678ef").bytes_le
RAS = uuid.UUID("d84521f7-2235-4237-a7c0-14e3a9676286").bytes_le
PKTMON = uuid.UUID("4d4f80d9-c8bd-4d73-bb5b-19c90402c5ac").bytes_le

#: Keywords of NDIS-PacketCapture.
_WIRELESS_WAN, _NATIVE_WIFI = 0x200, 0x1_0000
_START, _END = 0x4000_0000, 0x8000_0000
_SEND, _RECEIVE = 0x1_0000_0000, 0x2_0000_0000

_INBOUND, _OUTBOUND = 1, 2
#: PktMon's DirTag: in, out, receive, transmit; those of a switch's port (ingress, egress) tell no direction.
_DIRECTIONS = {1: _INBOUND, 2: _OUTBOUND, 3: _INBOUND, 4: _OUTBOUND}
#: PktMon's PacketType. Others (HTTP, TCP, ...) have no link layer.
_PACKET_TYPES = {1: LINKTYPE_ETHERNET, 2: LINKTYPE_IEEE802_11, 3: LINKTYPE_RAW}
#: Group id, number, appearance, direction, type, component, edge, filter, drop reason and location, original size.
_PKTMON_PACKET = struct.Struct("<QHHHHHHHIIHH")

#: PktMon packets remembered, to know their further appearances; bytes of packets begun and not ended.
MAX_REMEMBERED = 65_536
MAX_PENDING = 8 * 1024 * 1024
#: Ports of a virtual switch that one packet goes to.
_MAX_DESTINATIONS = 1_024
#: System Idle and System: events are often written by whatever runs at that moment.
_NOBODY = (0, 4, 0xFFFF_FFFF)


class TraceEvent(NamedTuple):
    """One event: who wrote it, when, what. ``provider`` as its GUID lies in memory."""

    provider: bytes
    id: int
    keyword: int
    pid: int
    tid: int
    time_ns: int
    data: bytes


class _MalformedError(Exception):
    """An event's data is not what its id promises."""


class PacketEvents:
    """Takes a trace's events in order of time and gives their packets. Notes go to ``info``."""

    def __init__(self, info: FileInfo, interfaces: Interfaces, build: int = 0) -> None:
        """``build``: of the Windows that captured, 0 when unknown."""
        self._info = info
        self._interfaces = interfaces
        self._build = build
        self._handlers: dict[tuple[bytes, int], Callable[[TraceEvent, int], Packet | None]] = {
            (NDIS, 1001): self._ndis,
            (NDIS, 1003): self._vm_switch,
            (RAS, 5001): self._ras,
            (RAS, 5002): self._ras,
            (PKTMON, 20): self._component,
            (PKTMON, 160): self._pktmon,
            (PKTMON, 170): self._pktmon,
        }
        self._pending: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._pending_bytes = 0
        self._remembered: OrderedDict[tuple[int, int], tuple[int, bool]] = OrderedDict()
        self._components: dict[int, str] = {}
        self._component_interfaces: dict[int, set[int]] = {}
        self._processes: dict[int, int] = {}
        self._malformed = self._partial = self._repeated = 0

    def knows(self, provider: bytes, event_id: int) -> bool:
        """Whether such an event is, or tells something about, a packet."""
        return (provider, event_id) in self._handlers

    def packet(self, event: TraceEvent, frame: int) -> Packet | None:
        """The packet that ``event`` completes, which will be number ``frame``; None when it completes none."""
        handler = self._handlers.get((event.provider, event.id))
        if handler is None:
            return None
        try:
            return handler(event, frame)
        except (_MalformedError, struct.error, ValueError):
            self._malformed += 1
            return None

    def finish(self) -> None:
        """Say what was left out, when the last event was given."""
        partial = self._partial + len(self._pending)
        for count, words in (
            (self._malformed, "packet events are malformed and were left out"),
            (partial, "packets lack their beginning or their end and were left out"),
            (self._repeated, "further appearances of packets (pktmon shows each at every component) were left out"),
        ):
            if count:
                self._info.remarks.append(f"{count} {words}")
        if self._processes:
            self._info.remarks.append(
                "process ids are of what ran when the event was written: only those of sent packets are given"
            )

    # NDIS-PacketCapture and Ras-NdisWan

    def _ndis(self, event: TraceEvent, frame: int) -> Packet | None:
        miniport, lower, size = struct.unpack_from("<III", event.data)
        fragment = _take(event.data, 12, size)
        return self._fragment(event, frame, fragment, lower, *_names(lower, miniport))

    def _vm_switch(self, event: TraceEvent, frame: int) -> Packet | None:
        """The source's port and names, the destinations' likewise, the fragment, and the adapter's own data."""
        data = event.data
        miniport, lower, _port = struct.unpack_from("<III", data)
        port_name, at = utf16_at(data, 12)
        nic_name, at = utf16_at(data, at)
        _nic_type, at = utf16_at(data, at)
        (destinations,) = struct.unpack_from("<I", data, at)
        at += 4
        if destinations > _MAX_DESTINATIONS:
            raise _MalformedError
        for _ in range(destinations):
            at += 4
            for _name in range(3):
                at = utf16_at(data, at)[1]
        (size,) = struct.unpack_from("<I", data, at)
        fragment = _take(data, at + 4, size)
        name, description = _names(lower, miniport)
        return self._fragment(event, frame, fragment, lower, nic_name or port_name or name, description)

    def _ras(self, event: TraceEvent, frame: int) -> Packet | None:
        _domain, at = utf16_at(event.data, 0)
        user, at = utf16_at(event.data, at)
        (size,) = struct.unpack_from("<I", event.data, at)
        fragment = _take(event.data, at + 4, size)
        interface = self._interfaces.number(("ras", user), LINKTYPE_ETHERNET, "remote access", user)
        direction = _OUTBOUND if event.id == 5001 else _INBOUND
        return self._whole(event, frame, fragment, LINKTYPE_ETHERNET, interface, direction)

    def _fragment(
        self, event: TraceEvent, frame: int, fragment: bytes, lower: int, name: str, description: str
    ) -> Packet | None:
        """Before Windows 8.1 a packet may lie in several events of one thread: the first START, the last END."""
        key = event.tid, lower
        begun = b""
        if event.keyword & _START:
            if self._forget(key):
                self._partial += 1
        elif key in self._pending:
            begun = self._forget(key)
        else:
            self._partial += bool(event.keyword & _END)
            return None
        if len(begun) + len(fragment) > MAX_PACKET:
            raise _MalformedError
        if not event.keyword & _END:
            self._pending[key] = begun + fragment
            self._pending_bytes += len(begun) + len(fragment)
            while self._pending_bytes > MAX_PENDING or len(self._pending) > MAX_NOTES:
                self._forget(next(iter(self._pending)))
                self._partial += 1
            return None
        linktype = LINKTYPE_ETHERNET
        if event.keyword & _NATIVE_WIFI:
            linktype = LINKTYPE_IEEE802_11
        elif event.keyword & _WIRELESS_WAN:
            linktype = LINKTYPE_RAW
        interface = self._interfaces.number(("ndis", lower, name), linktype, name, description)
        direction = _OUTBOUND if event.keyword & _SEND else _INBOUND if event.keyword & _RECEIVE else 0
        return self._whole(event, frame, begun + fragment, linktype, interface, direction)

    def _forget(self, key: tuple[int, int]) -> bytes:
        begun = self._pending.pop(key, b"")
        self._pending_bytes -= len(begun)
        return begun

    def _whole(
        self, event: TraceEvent, frame: int, data: bytes, linktype: int, interface: int, direction: int
    ) -> Packet:
        if linktype == LINKTYPE_IEEE802_11 and len(data) > 1:
            # Windows decrypts before it captures, and leaves the flag "protected".
            data = data[:1] + bytes([data[1] & ~0x40]) + data[2:]
        self._note_process(event, frame, direction)
        self._info.application = self._info.application or "netsh trace"
        return data, wire_length(data, linktype), event.time_ns, interface, direction

    # PktMon

    def _component(self, event: TraceEvent, _frame: int) -> None:
        (component,) = struct.unpack_from("<H", event.data)
        name, at = utf16_at(event.data, 4)
        description, _at = utf16_at(event.data, at)
        if len(self._components) >= MAX_NOTES:
            return
        self._components[component] = name
        for index in self._component_interfaces.get(component, ()):
            before = self._info.interfaces[index]
            self._info.interfaces[index] = Interface(before.linktype, name, description)

    def _pktmon(self, event: TraceEvent, frame: int) -> Packet | None:
        group, number, _appearance, tag, kind, component, _edge, _filter, reason, location, original, logged = (
            _PKTMON_PACKET.unpack_from(event.data)
        )
        data = _take(event.data, _PKTMON_PACKET.size, logged)
        linktype = _PACKET_TYPES.get(kind)
        dropped = event.id == 170
        seen, noted = self._remembered.get((group, number), (0, False)) if group else (0, False)
        if not seen and linktype is None:
            self._info.skipped += 1
            return None
        if group:
            self._remembered[group, number] = seen or frame, noted or dropped
            self._remembered.move_to_end((group, number))
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        if dropped and not noted and len(self._info.drops) < MAX_NOTES:
            where = f"{self._components.get(component) or f'component {component}'}, 0x{location:08X}"
            self._info.drops.append(Drop(seen or frame, drop_reason(reason, self._build), where))
        if seen:
            self._repeated += not dropped
            return None
        if linktype is None:
            return None
        interface = self._component_interface(component, linktype)
        direction = _DIRECTIONS.get(tag, 0)
        self._note_process(event, frame, direction)
        self._info.application = self._info.application or "pktmon"
        return data, max(original, len(data)), event.time_ns, interface, direction

    def _component_interface(self, component: int, linktype: int) -> int:
        name = self._components.get(component) or f"component {component}"
        index = self._interfaces.number(("pktmon", component), linktype, name)
        if len(self._component_interfaces) < MAX_NOTES:
            self._component_interfaces.setdefault(component, set()).add(index)
        return index

    def _note_process(self, event: TraceEvent, frame: int, direction: int) -> None:
        """What runs when a packet arrives has nothing to do with it (etl2pcapng's README): only sent ones count."""
        if direction != _OUTBOUND or event.pid in _NOBODY:
            return
        index = self._processes.get(event.pid)
        if index is None:
            if len(self._info.processes) >= MAX_NOTES:
                return
            index = self._processes[event.pid] = len(self._info.processes)
            self._info.processes.append(Process(event.pid, ""))
        note_process(self._info, frame, index)


def _take(data: bytes, offset: int, size: int) -> bytes:
    if size > len(data) - offset:
        raise _MalformedError
    return data[offset : offset + size]


def _names(lower: int, miniport: int) -> tuple[str, str]:
    return f"interface {lower}", "" if lower == miniport else f"over interface {miniport}"
