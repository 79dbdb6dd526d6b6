"""What a reader of any capture format yields: packets as they lie in one buffer, and what the file says of itself.

Contract: a reader is an iterable of ``Batch`` with an ``info`` that is complete when the iteration has ended. It never
raises for damage: it yields what can be read, and notes in ``info.damage`` up to which packet and byte, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

#: Zero bytes that follow the last packet in ``Batch.data``, so that a header may be gathered at any packet's start.
SLACK = 256

#: About as many packets as one batch should hold: the columns of more leave the processor's cache.
BATCH_PACKETS = 262_144

#: How many batches may be asked for before a reader uses the memory of an earlier one again.
BATCHES_AHEAD = 1

#: No packet is longer; a record that claims more is damage (libpcap's MAXIMUM_SNAPLEN is 262,144; Wireshark takes
#: that for Ethernet too, and 128 MiB for D-Bus, which netdiag does not read).
MAX_PACKET = 262_144

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
#: Counts within a batch, and offsets into its data: far below 2 GiB.
Small = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


class Interface(msgspec.Struct, frozen=True):
    """Where packets were captured. ``linktype`` is a LINKTYPE_ value (tcpdump.org/linktypes.html)."""

    linktype: int
    name: str = ""
    description: str = ""
    snaplen: int = 0


class Batch(msgspec.Struct, frozen=True):
    """Consecutive packets. Arrays have one entry a packet, in file order.

    ``data``: uint8, the packets with whatever lies between them, and ``SLACK`` zero bytes after the last.
    ``start``: where each packet's link layer begins in ``data``. ``caplen``: bytes captured; ``length``: bytes it had
    on the wire. ``time_ns``: since the Unix epoch, 0 where the format has none. ``interface``: index into
    ``info.interfaces``; None: all 0. ``direction``: 0 unknown, 1 inbound, 2 outbound; None: all unknown.
    """

    data: Bytes
    start: Ints
    caplen: Ints
    length: Ints
    time_ns: Ints
    #: The first packet's number in the file, counted from 1 as Wireshark does.
    first_frame: int
    interface: npt.NDArray[np.uint16] | None = None
    direction: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.start)

    def packet(self, index: int) -> bytes:
        """The captured bytes of one packet, from its link layer."""
        start = int(self.start[index])
        return self.data[start : start + int(self.caplen[index])].tobytes()


class Damage(msgspec.Struct, frozen=True):
    """Where reading had to end, and why."""

    #: The last packet that could be read; 0: none.
    frame: int
    #: Where in the (decompressed) file the first byte stands that could not be read.
    byte: int
    reason: str


class Comment(msgspec.Struct, frozen=True):
    """Words that somebody, or a tool, put into the file. ``frame`` 0: about the whole file."""

    frame: int
    text: str


class Drop(msgspec.Struct, frozen=True):
    """A packet that the capturing system says it dropped (pktmon, epb_verdict), with its reason in words."""

    frame: int
    reason: str
    location: str = ""


class Process(msgspec.Struct, frozen=True):
    """The program that owned a connection (Network Monitor's process table, pid of ETL and pcapng)."""

    pid: int
    path: str
    local: str = ""
    local_port: int = 0
    remote: str = ""
    remote_port: int = 0


#: How many comments, drops, processes and names are kept of one file.
MAX_NOTES = 10_000


class FileInfo(msgspec.Struct):
    """What a file says of itself. Lists hold at most ``MAX_NOTES`` entries."""

    path: str
    #: "pcap", "pcapng", "netmon 2.3", "etl".
    format: str
    #: "gzip", "zstd", "xz", "lz4"; empty for none.
    compression: str = ""
    interfaces: list[Interface] = msgspec.field(default_factory=list)
    hardware: str = ""
    os: str = ""
    application: str = ""
    #: Packets that the capturing system lost, by its own count (pcapng interface statistics, ETL events lost).
    dropped: int = 0
    #: Bytes of the (decompressed) file read.
    bytes: int = 0
    comments: list[Comment] = msgspec.field(default_factory=list)
    drops: list[Drop] = msgspec.field(default_factory=list)
    processes: list[Process] = msgspec.field(default_factory=list)
    #: Frame -> index into ``processes``, where the format tells it per packet.
    process_of_frame: dict[int, int] = msgspec.field(default_factory=dict)
    #: Address -> names that the file gives it (pcapng name resolution blocks).
    names: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    #: The TLS secrets in the file, NSS key log format, for display only.
    tls_secrets: list[str] = msgspec.field(default_factory=list)
    #: Packets of a kind that has no link layer (events, filters), which were left out.
    skipped: int = 0
    damage: Damage | None = None
    #: Oddities that did not end reading, in words.
    remarks: list[str] = msgspec.field(default_factory=list)


class Reader(Protocol):
    """One open capture."""

    info: FileInfo

    def __iter__(self) -> Iterator[Batch]:
        """The batches, once."""


def batch_of(packets: Sequence[tuple[bytes, int, int, int, int]], first_frame: int) -> Batch:
    """A batch from single packets: (captured bytes, length on the wire, time in ns, interface, direction)."""
    caplen = np.fromiter((len(packet[0]) for packet in packets), np.int64, len(packets))
    start = np.cumsum(caplen) - caplen
    data = np.frombuffer(b"".join(packet[0] for packet in packets) + bytes(SLACK), np.uint8)
    return Batch(
        data=data,
        start=start,
        caplen=caplen,
        length=np.fromiter((packet[1] for packet in packets), np.int64, len(packets)),
        time_ns=np.fromiter((packet[2] for packet in packets), np.int64, len(packets)),
        interface=np.fromiter((packet[3] for packet in packets), np.uint16, len(packets)),
        direction=np.fromiter((packet[4] for packet in packets), np.uint8, len(packets)),
        first_frame=first_frame,
    )
