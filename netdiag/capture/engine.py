"""A capture, read to its end: every connection, the packets that matter, the totals.

Contract: memory is bounded whatever the capture's size: the rows of connections (``table.py``), the packets kept
(``exhibits.py``), one batch. ``options`` choose which connections count; numbers stay those of the whole capture.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import numpy as np

from netdiag.capture.columns import Beside
from netdiag.capture.exhibits import Capture
from netdiag.capture.judging import MARKS
from netdiag.capture.keeper import Keeper
from netdiag.capture.names import Names
from netdiag.capture.options import CaptureOptions
from netdiag.capture.packets import FileInfo, Reader
from netdiag.capture.reading import InTurns, Packets
from netdiag.capture.rows import CLOSINGS, OPENINGS, Block, block, client_side, closings, grade, openings
from netdiag.capture.selection import Selection
from netdiag.capture.services import MAX_NAMES, Census, Services
from netdiag.capture.sorting import Sorted
from netdiag.capture.table import Rows, Table, both, pick
from netdiag.capture.tracker import Tracker
from netdiag.model import CaptureObservation, Connection, ConversationRow, ServiceObservation

#: How many comments and other words of the file a report repeats.
_MAX_WORDS = 20
#: Comments that nobody wrote (dumpcap's, of its interface statistics).
_TOOLS_WORDS = frozenset({"Counters provided by dumpcap"})
_LINKTYPE_NAMES = {
    105: "LINKTYPE_IEEE802_11",
    127: "LINKTYPE_IEEE802_11_RADIOTAP",
    119: "LINKTYPE_IEEE802_11_PRISM",
    192: "LINKTYPE_PPI",
    6: "LINKTYPE_IEEE802_5",
    10: "LINKTYPE_FDDI",
    107: "LINKTYPE_FRELAY",
    100: "LINKTYPE_ATM_RFC1483",
    8: "LINKTYPE_SLIP",
    189: "LINKTYPE_USB_LINUX",
    220: "LINKTYPE_USB_LINUX_MMAPPED",
    249: "LINKTYPE_USBPCAP",
    187: "LINKTYPE_BLUETOOTH_HCI_H4",
    201: "LINKTYPE_BLUETOOTH_HCI_H4_WITH_PHDR",
    195: "LINKTYPE_IEEE802_15_4_WITHFCS",
    239: "LINKTYPE_NFLOG",
    253: "LINKTYPE_NETLINK",
}


class Connections:
    """The connections of one capture, in the order of their numbers."""

    def __init__(
        self,
        table: Table,
        count: int,
        names: list[str],
        notes: dict[int, tuple[str, str]],
        addresses: Callable[[], Names],
    ) -> None:
        self._table = table
        self._count = count
        self._names = names
        #: Connection -> (ICMP error that quotes it, program that owned it).
        self._notes = notes
        self._addresses = addresses
        #: Connection -> the name that its own packets tell beyond its ClientHello: an HTTP request, a CONNECT.
        self.names: dict[int, str] = {}

    def __len__(self) -> int:
        return self._count

    def table(self) -> Iterator[Rows]:
        """The raw rows (``table.ROW``), some ten thousand at a time."""
        return _selected(self._table.in_order())

    def columns(self) -> Iterator[Block]:
        """The same as columns of ``model.Connection``."""
        for rows in self.table():
            yield self._told(block(rows, self._names))

    def _told(self, columns: Block) -> Block:
        """With what others tell of them: their names, the ICMP errors that quote them, the programs that owned them."""
        columns = self._named(columns)
        if self._notes:
            notes = [self._notes.get(number, ("", "")) for number in columns["number"]]
            columns["icmp"] = [note[0] for note in notes]
            columns["process"] = [note[1] for note in notes]
        return columns

    def _named(self, columns: Block) -> Block:
        """With names for those that did not tell theirs: what their client, or the file, knew the address by."""
        names = self._addresses()
        if names or self.names:
            keys = ("number", "name", "client", "server", "started")
            columns["name"] = [
                self.names.get(number) or name or names.at(client, server, started)
                for number, name, client, server, started in zip(*map(columns.__getitem__, keys), strict=True)
            ]
        return columns

    def resets(self, most: int) -> tuple[list[Connection], int]:
        """The first ``most`` connections with a reset, and how many more there are."""
        found: list[Connection] = []
        more = 0
        for rows in self.table():
            reset = rows[rows["rst"].any(axis=1)]
            room = most - len(found)
            more += max(len(reset) - room, 0)
            if room and len(reset):
                columns = self._named(block(reset[:room], self._names))
                rows_ = zip(*columns.values(), strict=True)
                found += [Connection(**dict(zip(columns, values, strict=True))) for values in rows_]
        return found, more

    def listed(self, most: int) -> tuple[tuple[ConversationRow, ...], int]:
        """``most`` connections in short, those with a fault first, then by number; and how many more there are."""
        grades = [grade(rows) for rows in self.table()]
        graded = np.concatenate(grades) if grades else np.empty(0, np.int8)
        chosen = np.zeros(len(graded), bool)
        chosen[np.argsort(graded, kind="stable")[:most]] = True
        found: list[tuple[Any, ...]] = []
        start = 0
        for rows in self.table():
            which = np.flatnonzero(chosen[start : start + len(rows)])
            start += len(rows)
            if len(which):
                columns = self._told(block(pick(rows, which), self._names))
                columns["retransmissions"] = list(
                    map(operator.add, columns["retransmissions_client"], columns["retransmissions_server"])
                )
                columns["rtt_ms"] = columns["syn_rtt_ms"]
                found += zip(*(columns[name] for name in ConversationRow.__struct_fields__), strict=True)
        ordered = [found[n] for n in np.argsort(graded[chosen], kind="stable").tolist()]
        return msgspec.convert(ordered, tuple[ConversationRow, ...]), len(graded) - len(ordered)

    def rows(self) -> Iterator[Connection]:
        """The same, typed."""
        for columns in self.columns():
            names = tuple(columns)
            for values in zip(*columns.values(), strict=True):
                yield Connection(**dict(zip(names, values, strict=True)))


def _selected(chunks: Iterator[Rows]) -> Iterator[Rows]:
    """Only the connections that were asked for."""
    for rows in chunks:
        yield rows if rows["selected"].all() else pick(rows, rows["selected"])


class Analysis(msgspec.Struct):
    """All that the engine found in one capture."""

    info: FileInfo
    summary: CaptureObservation
    connections: Connections
    capture: Capture
    #: What DNS answers in it, and the file itself, call addresses.
    names: Callable[[], Names]
    _services: Services
    #: What the numbers in the rows' ``name`` stand for.
    _told: list[str]

    def services(self) -> list[ServiceObservation]:
        """The servers of the capture, the most troubled first; at most ``services.MAX_SERVICES``.

        One whose clients never named it has the names that it is known by otherwise.
        """
        names = self.names()
        return [
            service if service.names else msgspec.structs.replace(service, names=names.of(service.address)[:MAX_NAMES])
            for service in self._services.observations(self._told)
        ]


class _Totals(msgspec.Struct):
    """What is counted per packet."""

    packets: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    tcp: int = 0
    udp: int = 0
    icmp: int = 0
    snapped: int = 0
    unknown_links: dict[int, int] = msgspec.field(default_factory=dict)

    def add(self, beside: Beside) -> None:
        """One batch more."""
        self.packets += beside.packets
        if beside.first_ns is not None and beside.last_ns is not None:
            self.first_ns = beside.first_ns if self.first_ns is None else min(self.first_ns, beside.first_ns)
            self.last_ns = beside.last_ns if self.last_ns is None else max(self.last_ns, beside.last_ns)
        self.tcp += beside.tcp
        self.udp += beside.udp
        self.icmp += beside.icmp
        self.snapped += beside.snapped
        for linktype, count in beside.unknown_links.items():
            self.unknown_links[linktype] = self.unknown_links.get(linktype, 0) + count


def analyze(reader: Reader, options: CaptureOptions | None = None) -> Analysis:
    """Read a capture to its end."""
    options = options or CaptureOptions()
    return analyze_packets(InTurns(reader, options), options)


def analyze_packets(packets: Packets, options: CaptureOptions) -> Analysis:
    """The same with packets that are read in whatever way."""
    selection = Selection(options)
    keeper, totals = Keeper(options), _Totals()
    tracker = Tracker(options.live_connections, selection.rows if selection.of_connections else None, keeper.choose)

    def count(batch: Sorted) -> None:
        totals.add(batch.beside)
        keeper.add(batch.beside, tracker.track(batch))

    def chunks() -> Iterator[Rows]:
        rows = tracker.table.chunks()
        return _selected(rows) if selection.of_connections else rows

    packets.each(count)
    info = packets.info
    keeper.finish(info, tracker)
    census = Census()
    outcomes = np.zeros((len(OPENINGS), len(CLOSINGS)), np.int64)
    sums = dict.fromkeys(("syn", "syn_ack", "fin", "rst", *MARKS), 0)
    twice = 0
    for chosen in chunks():
        client = client_side(chosen)
        opening, closing = openings(chosen, client), closings(chosen)
        outcomes += np.bincount(opening * len(CLOSINGS) + closing, minlength=outcomes.size).reshape(outcomes.shape)
        for name in sums:
            sums[name] += int(both(chosen, name).sum())
        twice += int(chosen["captured_twice"].sum())
        census.add(chosen, client, opening, closing)
    services = Services(census.worst())
    for chosen, digests in zip(chunks(), census.digests, strict=True):
        services.add(chosen, digests)

    @functools.cache
    def names() -> Names:
        from netdiag.capture.observe import names_in  # much to import: packets are being read meanwhile

        return names_in(keeper.capture, info.names)

    found = Connections(tracker.table, int(outcomes.sum()), tracker.names, keeper.notes, names)
    summary = _summary(info, totals, found, outcomes, sums, twice)
    return Analysis(info, summary, found, keeper.capture, names, services, tracker.names)


def _summary(
    info: FileInfo, totals: _Totals, found: Connections, outcomes: np.ndarray, sums: dict[str, int], twice: int
) -> CaptureObservation:
    drops: dict[str, int] = {}
    for drop in info.drops:
        drops[drop.reason] = drops.get(drop.reason, 0) + 1
    unknown = sorted(totals.unknown_links.items(), key=lambda entry: -entry[1])
    damage = info.damage
    return CaptureObservation(
        id="capture-1",
        source="capture",
        path=info.path,
        format=info.format,
        compression=info.compression,
        bytes=info.bytes,
        packets=totals.packets,
        first=(totals.first_ns or 0) / 1e9,
        last=(totals.last_ns or 0) / 1e9,
        interfaces=tuple(_interface(each) for each in info.interfaces[:_MAX_WORDS]),
        os=info.os,
        application=info.application,
        dropped=info.dropped,
        snapped=totals.snapped,
        unknown_links=tuple((link_name(linktype), count) for linktype, count in unknown[:_MAX_WORDS]),
        damaged_frame=damage.frame if damage else None,
        damaged_byte=damage.byte if damage else None,
        damage=damage.reason if damage else "",
        remarks=tuple(info.remarks[:_MAX_WORDS]),
        comments=tuple(
            f"frame {each.frame}: {each.text}" if each.frame else each.text
            for each in itertools.islice((c for c in info.comments if c.text not in _TOOLS_WORDS), _MAX_WORDS)
        ),
        tcp_packets=totals.tcp,
        udp_packets=totals.udp,
        icmp_packets=totals.icmp,
        connections=len(found),
        captured_twice=twice,
        outcomes=tuple(
            (opening, closing, int(outcomes[o, c]))
            for o, opening in enumerate(OPENINGS)
            for c, closing in enumerate(CLOSINGS)
            if outcomes[o, c]
        ),
        drops=tuple(sorted(drops.items(), key=lambda entry: -entry[1])[:_MAX_WORDS]),
        **cast("dict[str, Any]", sums),
    )


def link_name(linktype: int) -> str:
    """``LINKTYPE_IEEE802_11 (105)``."""
    name = _LINKTYPE_NAMES.get(linktype, "link type")
    return f"{name} ({linktype})"


def _interface(interface: object) -> str:
    name = getattr(interface, "name", "") or getattr(interface, "description", "")
    return str(name)
