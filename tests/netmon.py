"""Network Monitor captures built from nothing, for tests: every version, and everything that may be wrong with one.

Written from the format's description, apart from the reader: bytes are put together here and taken apart there.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

START = datetime.datetime(2026, 3, 1, 12, 0, 0, 250_000)
HEADER = 128


def le(value: int, size: int) -> bytes:
    return (value % (1 << 8 * size)).to_bytes(size, "little")


def utf16(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le")


def filetime(moment: datetime.datetime) -> int:
    return (moment - datetime.datetime(1601, 1, 1)) // datetime.timedelta(microseconds=1) * 10


@dataclass
class Frame:
    data: bytes
    #: Seconds after the capture's start.
    at: float = 0.0
    length: int | None = None
    media: int = 1
    process: int = 0xFFFFFFFF
    #: The trailer as given, instead of the version's.
    trailer: bytes | None = None
    #: Bytes that belong to nothing, before the record.
    hole: bytes = b""
    comment: tuple[str, str] | None = None
    #: UTC minus the clock that the header's time comes from, in hours.
    utc_offset: int = 0


@dataclass
class Owner:
    path: str
    pid: int
    local: str = "10.0.0.1"
    local_port: int = 50000
    remote: str = "10.0.0.2"
    remote_port: int = 443
    icon: bytes = b""


@dataclass
class Built:
    data: bytes
    offsets: list[int] = field(default_factory=list)
    table: int = 0


def build(
    frames: Sequence[Frame],
    version: tuple[int, int] = (2, 3),
    network: int = 1,
    start: datetime.datetime = START,
    owners: Sequence[Owner] = (),
    order: Sequence[int] | None = None,
    comment_offsets: dict[int, int] | None = None,
) -> Built:
    """A capture of ``frames`` as they lie; ``order``: the table's order, by index into ``frames``."""
    major, minor = version
    body = b""
    offsets = []
    for frame in frames:
        body += frame.hole
        offsets.append(HEADER + len(body))
        body += record(frame, version, start)
    comments = b""
    if (major, minor) >= (2, 2):
        for index, frame in enumerate(frames):
            if frame.comment:
                title, text = utf16(frame.comment[0]), frame.comment[1].encode()
                where = (comment_offsets or {}).get(index, offsets[index])
                comments += le(1, 4) + le(where, 4) + le(len(title), 4) + title + le(len(text), 4) + text
    programs = b""
    if owners:
        programs = le(1, 2) + b"".join(map(owner, owners))
    comments_at = HEADER + len(body)
    programs_at = comments_at + len(comments)
    table_at = programs_at + len(programs)
    table = b"".join(le(offsets[index], 4) for index in (range(len(frames)) if order is None else order))
    head = b"RTSS" if major == 1 else b"GMBU"
    head += bytes([minor, major]) + le(network, 2)
    for part in (start.year, start.month, start.isoweekday() % 7, start.day, start.hour, start.minute, start.second):
        head += le(part, 2)
    head += le(start.microsecond // 1000, 2)
    head += le(table_at, 4) + le(len(table), 4)
    head += le(0, 8)  # user data
    head += le(comments_at if comments else 0, 4) + le(len(comments), 4)
    head += le(programs_at if programs else 0, 4) + le(len(owners), 4)
    return Built(head.ljust(HEADER, b"\0") + body + comments + programs + table, offsets, table_at)


def record(frame: Frame, version: tuple[int, int], start: datetime.datetime) -> bytes:
    major, minor = version
    length = len(frame.data) if frame.length is None else frame.length
    if major == 1:
        head = le(round(frame.at * 1000), 4) + le(length, 2) + le(len(frame.data), 2)
    else:
        head = le(round(frame.at * 1_000_000), 8) + le(length, 4) + le(len(frame.data), 4)
    trailer = b""
    if frame.trailer is not None:
        trailer = frame.trailer
    elif major == 2 and minor >= 1:
        trailer = le(frame.media, 2)
        if minor >= 2:
            trailer += le(frame.process, 4)
        if minor >= 3:
            moment = start + datetime.timedelta(seconds=frame.at, hours=frame.utc_offset)
            trailer += le(filetime(moment), 8) + b"\0"
    return head + frame.data + trailer


def owner(owner: Owner) -> bytes:
    path = utf16(owner.path)
    local, remote = ipaddress.ip_address(owner.local), ipaddress.ip_address(owner.remote)
    return b"".join(
        (
            le(len(path), 4), path, le(len(owner.icon), 4), owner.icon, le(owner.pid, 4),
            le(owner.local_port, 2), b"\0\0", le(owner.remote_port, 2), b"\0\0", le(local.version == 6, 4),
            local.packed.ljust(16, b"\0"), remote.packed.ljust(16, b"\0"),
        )
    )  # fmt: skip


def adapter_list(computer: str, *adapters: tuple[str, str]) -> bytes:
    """A frame of NETWORK_INFO_EX, whose numbers are big-endian."""
    frame = b"\x00\x02" + len(adapters).to_bytes(2, "big") + utf16(computer)
    for name, description in adapters:
        frame += utf16(name) + utf16(description) + utf16("{00000000-0000-0000-0000-000000000001}")
        frame += (0).to_bytes(4, "big") + (1500).to_bytes(4, "big") + (10**9).to_bytes(8, "big") + bytes(6)
        frame += b"\0\1" + b"\0\1" + b"\0\1" + b"\0\0" * 3
        frame += bytes([10, 0, 0, 1]) + bytes([255, 0, 0, 0]) + bytes(16) + bytes([10, 0, 0, 254])
    return frame


def filter_frame(program: str, text: str) -> bytes:
    return b"\0\1" + b"\0\0\0\1" + b"\0\0\0\3" + b"\0\0\0\4" + utf16(program) + utf16(text)


def event_frame(
    provider: bytes, event_id: int, keyword: int, user: bytes, pid: int = 0, tid: int = 0, extended: bytes = b""
) -> bytes:
    """An event as Network Monitor saves it; ``extended``: one item's data."""
    frame = le(0, 2) + le(0, 2) + le(0x40, 2) + le(0, 2) + le(tid, 4) + le(pid, 4) + le(0, 8) + provider
    frame += le(event_id, 2) + bytes([0, 16, 4, 0]) + le(0, 2) + le(keyword, 8)
    frame += bytes(8) + bytes(16) + bytes(4) + le(1 if extended else 0, 2) + le(len(user), 2) + b"\0"
    assert len(frame) == 89
    if extended:
        frame += le(0, 2) + le(5, 2) + le(0, 2) + le(len(extended), 2) + extended
    return frame + user
