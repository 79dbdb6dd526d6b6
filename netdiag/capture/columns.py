"""What one batch of packets holds: its TCP segments as columns, and the few packets of other kinds that matter.

Endpoints. An address and port become one u64, equal for equal endpoints: for IPv4 ``address << 16 | port``, for IPv6 a
keyed hash of both with the top bit set. ``low`` and ``high`` are the two of a segment in numeric order; ``side`` is 1
where the source is ``high``.
"""

from __future__ import annotations

import ipaddress
import os

import msgspec
import numpy as np
import numpy.typing as npt

from netdiag.capture.packets import Batch, Bools, Bytes, Ints, Small

Array = npt.NDArray[np.generic]
U64 = npt.NDArray[np.uint64]
U32 = npt.NDArray[np.uint32]

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
STUMP, LOOSE = 1, 2

_SEED = int.from_bytes(os.urandom(8), "big") | 1
_K1, _K2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
V6 = np.uint64(1 << 63)
SHIFT = np.uint64(32)


def gather(data: Bytes, offsets: Ints | Small, dtype: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """The structures at ``offsets`` of ``data``, whatever their alignment, as a contiguous array."""
    size = dtype.itemsize
    window = np.ndarray((len(data) - size + 1,), np.dtype(f"V{size}"), data, strides=(1,))
    return window[offsets].view(dtype)


def words(data: Bytes, offsets: Ints, count: int) -> U32:
    """``count`` big-endian 32-bit words at each offset; row k holds the k-th of each."""
    rows = gather(data, offsets, np.dtype(f"V{count * 4}")).view(">u4").reshape(-1, count)
    return rows.T.astype(np.uint32, order="C")


#: Of the columns of ``Segments``.
_KINDS = ("i8", "u8", "u8", "u1", "u4", "u4", "u1", "u2", "i8", "u1", "u2", "?", "i4", "u1", "i4", "u1", "i4", "u1")


class Segments(msgspec.Struct):
    """The TCP segments of one batch. Every array has one entry a segment; ``index`` tells the file order.

    ``index``: position in the batch. ``low``, ``high``, ``side``: see above. ``length``: payload on the wire. Offsets
    are into the batch's data: ``payload`` of the payload, ``captured``: bytes of it there, ``ip`` of the
    innermost IP header, ``tcp`` of the TCP header, ``end``: of the end of what was captured; ``version`` 4 or 6.
    ``ip_id`` is 0 for IPv6. ``header``: bytes of the TCP header. ``odd``: ``STUMP``: the data offset is below 5, only
    ends and sequence numbers count; ``LOOSE``: it sets no base.
    """

    index: Ints
    low: U64
    high: U64
    side: npt.NDArray[np.uint8]
    seq: U32
    ack: U32
    flags: npt.NDArray[np.uint8]
    window: npt.NDArray[np.uint16]
    length: Ints
    ttl: npt.NDArray[np.uint8]
    ip_id: npt.NDArray[np.uint16]
    df: Bools
    ip: Small
    version: npt.NDArray[np.uint8]
    tcp: Small
    header: npt.NDArray[np.uint8]
    end: Small
    odd: npt.NDArray[np.uint8]

    @classmethod
    def empty(cls, count: int) -> Segments:
        """Room for ``count`` segments."""
        return cls(*(np.empty(count, kind) for kind in _KINDS))

    def part(self, start: int, end: int) -> Segments:
        """Some of them, in the same memory."""
        return Segments(*(getattr(self, name)[start:end] for name in self.__struct_fields__))

    @property
    def payload(self) -> Small:
        """Where each payload begins."""
        begin: Small = self.tcp + self.header
        return begin

    @property
    def captured(self) -> Small:
        """How much of it was captured."""
        size: Small = np.maximum(self.end - self.payload, 0)
        return size

    def __len__(self) -> int:
        return len(self.index)


class Datagrams(msgspec.Struct):
    """UDP datagrams and ICMP messages that matter: when each came, where its payload lies in the data, and whence."""

    index: Ints
    time_ns: Ints
    ip: Ints
    version: npt.NDArray[np.uint8]
    #: Where the UDP or ICMP header begins, and where the captured bytes end.
    start: Ints
    end: Ints


class Columns(msgspec.Struct):
    """What one batch holds."""

    batch: Batch
    segments: Segments
    dns: list[Datagrams] = msgspec.field(default_factory=list)
    icmp: list[Datagrams] = msgspec.field(default_factory=list)
    udp_packets: int = 0
    icmp_packets: int = 0
    fragments: int = 0
    #: Packets by link type that netdiag does not read.
    unknown_links: dict[int, int] = msgspec.field(default_factory=dict)
    #: Packets of which less was captured than the wire carried, and those of them that lost TCP payload.
    snapped: int = 0


class Beside(msgspec.Struct):
    """What one batch holds beside its TCP segments: what needs no array with an entry a packet."""

    data: Bytes
    #: The first packet's number in the file.
    first_frame: int
    packets: int
    #: The first and the last known moment, None without one; whether all are in order.
    first_ns: int | None
    last_ns: int | None
    in_order: bool
    tcp: int
    udp: int
    icmp: int
    snapped: int
    unknown_links: dict[int, int]
    dns: list[Datagrams]
    icmp_messages: list[Datagrams]

    @classmethod
    def of(cls, columns: Columns) -> Beside:
        """That of one batch."""
        batch = columns.batch
        times = batch.time_ns
        in_order = bool((times[1:] >= times[:-1]).all())
        # 0: not known. Of what is in order, the first and the last are enough.
        known = times[[0, -1]] if in_order and (times[:1] > 0).any() else times[times != 0]
        return cls(
            data=batch.data,
            first_frame=batch.first_frame,
            packets=len(batch),
            first_ns=int(known.min()) if len(known) else None,
            last_ns=int(known.max()) if len(known) else None,
            in_order=in_order,
            tcp=len(columns.segments),
            udp=columns.udp_packets,
            icmp=columns.icmp_packets,
            snapped=columns.snapped,
            unknown_links=columns.unknown_links,
            dns=columns.dns,
            icmp_messages=columns.icmp,
        )


def mix(a: U64, b: U64) -> U64:
    """Two u64 hashed into one (a multiply and xor-shift mixer; keyed, so that no file can be made to collide)."""
    mixed = (a ^ np.uint64(_SEED)) * _K1
    mixed ^= mixed >> SHIFT
    mixed = (mixed + b) * _K2
    mixed ^= mixed >> SHIFT
    return mixed


def hash6(addresses: Array) -> U64:
    """One keyed u64 for each IPv6 address, given as two u64."""
    return mix(addresses[:, 0].astype(np.uint64), addresses[:, 1].astype(np.uint64))


def endpoints(sources: list[tuple[str, int]], destinations: list[tuple[str, int]]) -> U64:
    """The hashes of connections between addresses in presentation form and ports."""
    first, second = (np.array([_endpoint(*end) for end in ends], np.uint64) for ends in (sources, destinations))
    return mix(np.minimum(first, second), np.maximum(first, second))


def _endpoint(address: str, port: int) -> int:
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return int(parsed) << 16 | port
    halves = np.frombuffer(parsed.packed, ">u8").reshape(1, 2)
    return int((mix(hash6(halves), np.array([port], np.uint64)) | V6)[0])
