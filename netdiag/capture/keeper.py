"""Keeps the single packets that matter while a capture is read: see ``exhibits.py`` for what and how much.

Contract: ``choose`` decides per batch, from the rows as they then are, whose packets are kept; ``finish`` turns what
was kept into exhibits, joins ICMP errors to the connections they quote, and programs to those they owned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Literal

import msgspec
import numpy as np

from netdiag.capture import errors, tcp_options
from netdiag.capture.columns import ACK, FIN, PSH, RST, SYN, URG, Beside, endpoints
from netdiag.capture.exhibits import (
    FIRST_PACKETS,
    LAST_PACKETS,
    MAX_DNS,
    MAX_HEALTHY,
    MAX_ICMP,
    MAX_LOSSY,
    MAX_PAYLOAD,
    MAX_REOPENED,
    MAX_RESET,
    MAX_STALLED,
    MAX_UNANSWERED,
    Capture,
    Exhibit,
    IcmpSeen,
)
from netdiag.capture.judging import CAPTURED_TWICE, MARKS
from netdiag.capture.options import CaptureOptions
from netdiag.capture.packets import Bools, FileInfo, Ints, Process
from netdiag.capture.rows import block, client_side, connections
from netdiag.capture.table import Rows, both, pick, together
from netdiag.capture.tracker import Tracked, Tracker
from netdiag.model import Connection, Segment
from netdiag.wire import icmp

#: Of a connection that the user asked for by number.
_ASKED_PACKETS = 2_000

_MARK_WORDS = tuple(
    {"retransmissions": "retransmission", "duplicate_acks": "duplicate-ack"}.get(mark, mark.replace("_", "-"))
    .replace("windows", "window")
    .replace("alives", "alive")
    for mark in MARKS
)
_FLAGS = ((FIN, "FIN"), (SYN, "SYN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (URG, "URG"), (64, "ECE"), (128, "CWR"))
_FLAG_WORDS = tuple(",".join(word for bit, word in _FLAGS if flags & bit) for flags in range(256))

#: frame, time, side, flags, seq, ack, length, window, TTL, IP id, DF, version, options, marks, payload
Packet = tuple[int, int, int, int, int, int, int, int, int, int, bool, int, bytes, int, bytes]


class _Kept(msgspec.Struct):
    first_limit: int
    first: list[Packet] = msgspec.field(default_factory=list)
    last: deque[Packet] = msgspec.field(default_factory=lambda: deque(maxlen=LAST_PACKETS))
    row: Rows | None = None


#: The kinds of connections that are kept, in this order: with a reset, opened more than once, stalled by a full
#: receiver, with losses, any.
_KINDS: tuple[Callable[[Rows], Any], ...] = (
    lambda rows: both(rows, "rst") > 0,
    lambda rows: (both(rows, "syn") > 1) | (both(rows, "syn_ack") > 1),
    lambda rows: both(rows, "zero_windows") > 0,
    lambda rows: both(rows, "retransmissions") > 2,
    lambda rows: rows["number"] >= 0,
)
_RESET, _REOPENED = 0, 1


class Keeper:
    """What is kept of one capture."""

    def __init__(self, options: CaptureOptions) -> None:
        self._asked = np.array(sorted(options.conversations), np.int64)
        self._kept: list[_Kept | None] = []
        #: Exhibits of connections that may yet be answered.
        self._unanswered: set[int] = set()
        self._room = [MAX_RESET, MAX_REOPENED, MAX_STALLED, MAX_LOSSY, MAX_HEALTHY]
        self._payload = 0
        self.capture = Capture([], [], [])
        #: Connection -> (ICMP error that quotes it, program that owned it).
        self.notes: dict[int, tuple[str, str]] = {}

    def choose(self, rows: Rows) -> None:
        """Give connections an exhibit: those asked for, those with a fault while there is room, a few others."""
        free = (rows["exhibit"] < 0) & rows["selected"]
        if len(self._asked):
            self._give(rows, np.flatnonzero(free & np.isin(rows["number"], self._asked)), _ASKED_PACKETS)
        if self._unanswered:
            self._answered(rows)
        free = (rows["exhibit"] < 0) & rows["selected"]
        for kind, is_of_kind in enumerate(_KINDS):
            if self._room[kind]:
                chosen = _lowest(rows, np.flatnonzero(free & is_of_kind(rows)), self._room[kind])
                self._room[kind] -= len(chosen)
                self._give(rows, chosen, FIRST_PACKETS)
                free = (rows["exhibit"] < 0) & rows["selected"]
        if self._room[_RESET] or self._room[_REOPENED]:  # what nobody answers at first may be refused, or sent again
            chosen = _lowest(rows, np.flatnonzero(free & _waits(rows)), MAX_UNANSWERED - len(self._unanswered))
            self._unanswered.update(range(len(self._kept), len(self._kept) + len(chosen)))
            self._give(rows, chosen, FIRST_PACKETS)

    def _answered(self, rows: Rows) -> None:
        """Decide about the connections that waited for an answer and show packets now."""
        held = np.flatnonzero(rows["exhibit"] >= 0)
        waited = np.fromiter(map(self._unanswered.__contains__, rows["exhibit"][held].tolist()), bool, len(held))
        held = held[waited]
        held = held[~_waits(pick(rows, held))]
        held = held[np.argsort(rows["number"][held])]  # the first take the room, whatever order rows come in
        of_kinds = zip(*(is_of_kind(pick(rows, held)).tolist() for is_of_kind in _KINDS), strict=True)
        for at, exhibit, kinds in zip(held.tolist(), rows["exhibit"][held].tolist(), of_kinds, strict=True):
            self._unanswered.discard(exhibit)
            kind = next((n for n, is_of_kind in enumerate(kinds) if is_of_kind and self._room[n]), None)
            if kind is None:
                rows["exhibit"][at] = -1
                self._kept[exhibit] = None
            else:
                self._room[kind] -= 1

    def _give(self, rows: Rows, chosen: Ints, limit: int) -> None:
        chosen = chosen[np.argsort(rows["number"][chosen])]  # hashes, and so the order of rows, differ from run to run
        rows["exhibit"][chosen] = len(self._kept) + np.arange(len(chosen))
        self._kept += [_Kept(limit) for _ in range(len(chosen))]

    def add(self, beside: Beside, tracked: Tracked | None) -> None:
        """Keep what matters of one batch."""
        if tracked is not None:
            self._keep(tracked)
        self._dns(beside)
        for messages in beside.icmp_messages:
            for at in range(min(len(messages.index), MAX_ICMP - len(self.capture.icmp))):
                error = errors.seen(beside, messages, at)
                if error is not None:
                    self.capture.icmp.append(error)

    def _keep(self, tracked: Tracked) -> None:
        exhibits = tracked.rows["exhibit"]
        chosen = np.flatnonzero(exhibits >= 0)
        if not len(chosen):
            return
        rows = pick(tracked.rows, chosen)
        keepers, wanted = [], []
        for n, connection in enumerate(chosen.tolist()):
            kept = self._kept[int(exhibits[connection])]
            if kept is None:
                continue
            kept.row = rows[n : n + 1]
            room = max(kept.first_limit - len(kept.first), 0)
            places = tracked.batch.all.in_file_order(connection)
            if len(places) > room + LAST_PACKETS:
                places = np.concatenate((places[:room], places[-LAST_PACKETS:]))
            keepers.append((kept, room, len(places)))
            wanted.append(places)
        packets = iter(self._packets(tracked, np.concatenate(wanted))) if wanted else iter(())
        for kept, room, count in keepers:
            of_kept = list(islice(packets, count))
            kept.first += of_kept[:room]
            kept.last.extend(of_kept[room:])

    def _packets(self, tracked: Tracked, at: Ints) -> list[Packet]:
        batch, s = tracked.batch, tracked.batch.all
        data = batch.beside.data
        tcp, size, end, df = (s.of_few(name, at) for name in ("tcp", "header", "end", "df"))
        header, payload = tcp + 20, tcp + size
        ends = np.minimum(np.maximum(payload, header), end)
        options = [data[a:b].tobytes() for a, b in zip(header.tolist(), ends.tolist(), strict=True)]
        payloads = []
        for start, captured in zip(payload.tolist(), np.maximum(end - payload, 0).tolist(), strict=True):
            keep = min(captured, MAX_PAYLOAD - self._payload)
            self._payload += keep
            payloads.append(data[start : start + keep].tobytes())
        columns_ = (
            batch.beside.first_frame + s.index[at], s.time[at], s.run[at] & 1, s.flags[at], s.seq[at], s.ack[at],
            s.length[at], s.window[at], s.ttl[at], s.ip_id[at], df, batch.version[s.run[at] >> 1],
        )  # fmt: skip
        marks = tracked.marks[at].tolist()
        return list(zip(*(column.tolist() for column in columns_), options, marks, payloads, strict=True))

    def _dns(self, beside: Beside) -> None:
        """All messages while there is room, then as many failures again."""
        for messages in beside.dns:
            taken = np.arange(len(messages.index))
            room = MAX_DNS - len(self.capture.dns)
            if room < len(taken):
                failed = (beside.data[messages.start + 11] & 15 != 0) & (messages.start + 12 <= messages.end)
                failed &= beside.data[messages.start + 10] & 0x80 != 0
                rest = taken[max(room, 0) :]
                rest = rest[failed[rest]][: max(2 * MAX_DNS - len(self.capture.dns), 0)]
                taken = np.concatenate((taken[: max(room, 0)], rest))
            for at in taken.tolist():
                self.capture.dns.append(errors.datagram(beside, messages, at))

    def finish(self, info: FileInfo, tracker: Tracker) -> None:
        """The capture has ended: make the exhibits, and join what belongs together."""
        self.capture.icmp = self._joined(self.capture.icmp, tracker)
        self._owned(info, tracker)
        for exhibit in sorted(self._unanswered)[self._room[_REOPENED] :]:
            self._kept[exhibit] = None
        there = [(kept, kept.row) for kept in self._kept if kept is not None and kept.row is not None]
        if there:
            rows = together([row for _, row in there])
            typed = connections(rows, tracker.names)
            clients = client_side(rows).tolist()
            for (kept, row), connection, client in zip(there, typed, clients, strict=True):
                self.capture.exhibits.append(self._exhibit(kept, row, connection, client))

    def _exhibit(self, kept: _Kept, row: Rows, connection: Connection, client: int) -> Exhibit:
        note, process = self.notes.get(connection.number, ("", ""))
        if note or process:
            connection = msgspec.structs.replace(connection, icmp=note, process=process)
        packets = [*kept.first, *kept.last]
        opening = _opening(row[0], client, connection, packets[0][0])
        total = connection.packets_client + connection.packets_server
        omitted = total - len(packets) - len(opening)
        return Exhibit(
            connection,
            [*opening, *(_segment(packet, client) for packet in packets)],
            [*(b"" for _ in opening), *(packet[14] for packet in packets)],
            omitted,
            (len(opening) or len(kept.first)) if omitted else 0,
        )

    def _joined(self, seen: list[IcmpSeen], tracker: Tracker) -> list[IcmpSeen]:
        """With the number of the connection that each quotes."""
        tcp = [n for n, error in enumerate(seen) if error.quoted_protocol == 6]
        if not tcp:
            return seen
        hashes = endpoints(
            [(seen[n].quoted_source, seen[n].quoted_source_port) for n in tcp],
            [(seen[n].quoted_destination, seen[n].quoted_destination_port) for n in tcp],
        )
        places = tracker.table.find(tracker.table.number(hashes))
        joined = list(seen)
        for n, place in zip(tcp, places.tolist(), strict=True):
            if place >= 0:
                number = int(tracker.table.take(np.array([place]))["number"][0])
                error = joined[n] = msgspec.structs.replace(seen[n], connection=number)
                words = f"{icmp.words(error.version, error.type, error.code)}, from {error.source}"
                self.notes.setdefault(number, (words, ""))
        return joined

    def _owned(self, info: FileInfo, tracker: Tracker) -> None:
        """Programs by connection, where the file tells them."""
        if not info.processes:
            return
        by_ends = {
            frozenset(((each.local, each.local_port), (each.remote, each.remote_port))): _program(each)
            for each in info.processes
            if each.local_port
        }
        by_frame = {frame: info.processes[n] for frame, n in info.process_of_frame.items() if n < len(info.processes)}
        for rows in tracker.table.chunks():
            columns = block(rows, tracker.names)
            for n, number in enumerate(columns["number"]):
                client = (columns["client"][n], columns["client_port"][n])
                server = (columns["server"][n], columns["server_port"][n])
                owner = by_ends.get(frozenset((client, server)), "")
                process = by_frame.get(columns["first_frame"][n])
                if not owner and process is not None:
                    owner = _program(process)
                if owner:
                    self.notes[number] = (self.notes.get(number, ("", ""))[0], owner)


def _program(process: Process) -> str:
    """``telnet.exe (process 4711)``; Windows' traces tell the number alone."""
    number = f"process {process.pid}"
    return f"{process.path} ({number})" if process.path else number


def _lowest(rows: Rows, chosen: Ints, room: int) -> Ints:
    """The ``room`` of ``chosen`` that began first."""
    if len(chosen) <= room:
        return chosen
    return chosen[np.argsort(rows["number"][chosen], kind="stable")[:room]]


def _waits(rows: Rows) -> Bools:
    """Which connections have shown nothing but one SYN."""
    waits: Bools = (both(rows, "packets") == 1) & (both(rows, "syn") == 1)
    return waits


def _opening(row: np.void, client: int, connection: Connection, before: int) -> list[Segment]:
    """The SYN and the SYN-ACK as far as the row tells of them, where they come before what was kept (a frame)."""
    sides: tuple[tuple[Literal["client", "server"], int, int, int, int], ...] = (
        ("client", client, connection.first_frame, int(row["first_time"]), connection.ttl_syn or 0),
        (
            "server",
            1 - client,
            int(row["syn_ack_frame"][1 - client]),
            int(row["syn_ack_time"][1 - client]),
            connection.ttl_syn_ack or 0,
        ),
    )
    found = []
    for sender, side, frame, time, ttl in sides:
        if ttl and 0 < frame < before and (sender == "server" or row["first_side"] == side):
            mss = int(row["mss"][side])
            found.append(
                Segment(
                    frame=frame,
                    at=time / 1e9,
                    sender=sender,
                    flags="SYN" if sender == "client" else "SYN,ACK",
                    seq=int(row["base"][side]),
                    ack=(int(row["base"][client]) + 1) & 0xFFFF_FFFF if sender == "server" else 0,
                    length=0,
                    window=0,
                    ttl=ttl,
                    options=f"mss {mss}" if mss else "",
                    marks=("summary",),
                )
            )
    return found


def _segment(packet: Packet, client: int) -> Segment:
    frame, time, side, flags, seq, ack, length, window, ttl, ip_id, df, version, options, marks, _ = packet
    words, ts_val, ts_ecr = tcp_options.describe(options) if options else ("", None, None)
    named: tuple[str, ...] = ()
    if marks:
        named = _marks(marks, flags)
    return Segment(
        frame=frame,
        at=time / 1e9,
        sender="client" if side == client else "server",
        flags=_FLAG_WORDS[flags],
        seq=seq,
        ack=ack if flags & ACK else 0,
        length=length,
        window=window,
        ttl=ttl,
        ip_id=ip_id if version == 4 else None,
        df=df,
        options=words,
        ts_val=ts_val,
        ts_ecr=ts_ecr,
        marks=named,
    )


def _marks(marks: int, flags: int) -> tuple[str, ...]:
    if marks & CAPTURED_TWICE:
        return ("captured-twice",)
    words = [word for bit, word in enumerate(_MARK_WORDS) if marks >> bit & 1]
    if flags & SYN and words[0] == "retransmission":
        words[0] = "syn-retransmission"
    return tuple(words)
