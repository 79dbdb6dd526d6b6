"""Options of pcapng blocks: code, length, value, padded to 32 bits; opt_endofopt (0) ends them, or the block does.

Contract: options are notes. What is wrong in them makes a remark, and never ends the reading of packets.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from netdiag.capture.formats.records import Buffer
from netdiag.capture.packets import MAX_NOTES, Comment, Drop, FileInfo, Ints, Process

Directions = npt.NDArray[np.uint8]

#: Bytes kept of one comment or name.
MAX_TEXT = 4_096
#: Options looked at in one block.
_MAX_OPTIONS = 64

_END, COMMENT = 0, 1
_FLAGS, _DROPPED, _VERDICT, _OWNER = 2, 4, 7, 8

#: epb_verdict: who judged, and the verdicts of each that are a drop (linux/pkt_cls.h, linux/bpf.h).
_TRAFFIC_CONTROL, _XDP = 1, 2
_DROPS = {
    _TRAFFIC_CONTROL: {2: "dropped by traffic control (TC_ACT_SHOT)"},
    _XDP: {0: "dropped by an eBPF program that failed (XDP_ABORTED)", 1: "dropped by an eBPF program (XDP_DROP)"},
}
#: epb_flags: the lowest bits, as a ``Batch`` has them; 3 is reserved.
_DIRECTIONS = np.array([0, 1, 2, 0], np.uint8)
#: More packets than this were not lost.
_MAX_DROPPED = 2**63 - 1
#: Options of packets, flags and drop counts aside, that are read one by one: there may be one in every packet.
_MAX_READ = 4 * MAX_NOTES
#: What etl2pcapng writes as a comment of every packet.
_OWNER_COMMENT = re.compile(r"PID=(\d{1,10})(?:,? \w+=\w+)*\s*", re.ASCII)


def text(value: bytes) -> str:
    """A string option. Some writers end it with a zero byte."""
    return value[:MAX_TEXT].decode("utf-8", "replace").rstrip("\0")


def options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The options in ``data``, as far as they make sense."""
    unpack = struct.Struct(order + "HH").unpack_from
    at = 0
    for _ in range(_MAX_OPTIONS):
        if at + 4 > len(data):
            return
        code, length = unpack(data, at)
        if code == _END or at + 4 + length > len(data):
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)


def _frame(note: Comment | Drop) -> int:
    return note.frame


class Notes:
    """Puts what options say into a ``FileInfo``."""

    def __init__(self, info: FileInfo) -> None:
        self.dropped = 0
        self._budget = _MAX_READ
        self._info = info
        self._processes: dict[int, int] = {}

    def comment(self, frame: int, value: bytes) -> None:
        """Keep a comment; one that says who owned the packet, as that."""
        words = text(value)
        if frame and (owner := _OWNER_COMMENT.fullmatch(words)):
            self.owner(frame, int(owner[1]))
        elif words and len(self._info.comments) < MAX_NOTES:
            self._info.comments.append(Comment(frame, words))

    def owner(self, frame: int, pid: int) -> None:
        """Keep which process a packet belongs to."""
        if len(self._info.process_of_frame) < MAX_NOTES:
            if pid not in self._processes:
                self._processes[pid] = len(self._info.processes)
                self._info.processes.append(Process(pid, ""))
            self._info.process_of_frame[frame] = self._processes[pid]

    def remark(self, words: str) -> None:
        """Keep a remark, once."""
        if words not in self._info.remarks:
            self._info.remarks.append(words)

    def of_packets(
        self, buffer: Buffer, order: str, at: Ints, end: Ints, frames: Callable[[Ints], Ints]
    ) -> Directions | None:
        """Read the options that lie between ``at`` and ``end``, of all packets at a time. The packets' directions.

        ``frames``: the frame numbers of the packets with the given indices. None: no packet tells its direction.
        """
        which = np.flatnonzero(end - at >= 4)
        if not len(which):
            return None
        told = False
        direction = np.zeros(len(at), np.uint8)
        at, end = at[which], end[which]
        halves = np.frombuffer(buffer.bytes, order + "u2")
        words = np.frombuffer(buffer.bytes, order + "u4")
        for _ in range(_MAX_OPTIONS):
            code, length = halves[at >> 1], halves[(at >> 1) + 1].astype(np.int64)
            fits = (code != _END) & (at + 4 + length <= end)
            if (~fits & (code != _END)).any():
                self.remark("options of packets that do not fit their block were left out")
            flags = fits & (code == _FLAGS) & (length == 4)
            if flags.any():
                told = True
                direction[which[flags]] = _DIRECTIONS[words[(at[flags] >> 2) + 1] & 3]
            drops = (at[fits & (code == _DROPPED) & (length == 8)] >> 2) + 1
            if len(drops):
                upper, lower = words[drops + (order == "<")], words[drops + (order == ">")]
                self.dropped = min(self.dropped + (int(upper.sum()) << 32) + int(lower.sum()), _MAX_DROPPED)
            noted = np.flatnonzero(fits & ((code == COMMENT) | (code == _VERDICT) | (code == _OWNER)))
            if len(noted) > self._budget:
                self.remark(f"comments and owners of packets were read of the first {_MAX_READ} only")
            noted = noted[: self._budget]
            if len(noted):
                self._budget -= len(noted)
                self._note(buffer, order, at[noted], code[noted], length[noted], frames(which[noted]))
            at = at + 4 + (length + 3 & -4)
            more = fits & (end - at >= 4)
            which, at, end = which[more], at[more], end[more]
            if not len(which):
                break
        self._info.comments.sort(key=_frame)
        self._info.drops.sort(key=_frame)
        return direction if told else None

    def _note(
        self, buffer: Buffer, order: str, at: Ints, code: npt.NDArray[np.uint16], length: Ints, frames: Ints
    ) -> None:
        for place, kind, size, frame in zip(at.tolist(), code.tolist(), length.tolist(), frames.tolist(), strict=True):
            value = bytes(buffer.bytes[place + 4 : place + 4 + size])
            if kind == COMMENT:
                self.comment(frame, value)
            elif kind == _VERDICT and size == 9 and len(self._info.drops) < MAX_NOTES:
                reason = _DROPS.get(value[0], {}).get(struct.unpack_from(order + "Q", value, 1)[0])
                if reason:
                    self._info.drops.append(Drop(frame, reason))
            elif kind == _OWNER and size == 8:
                self.owner(frame, struct.unpack_from(order + "I", value)[0])
