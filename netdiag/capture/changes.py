"""What differs between the two sights of one packet, and where what one side sent was lost.

Contract: pure. TTL, addresses, ports and constant shifts of sequence numbers are not changes: those belong to the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from netdiag.capture.pairing import Pair
from netdiag.model import Losses, Segment

#: Options that a SYN announces, in the words of tcp_options.
_SYN_OPTIONS = ("mss", "wscale", "sackOK", "TS", "mptcp", "tfo", "md5", "tcp-ao")
_Capture = Literal["this", "other"]


def changes(pair: Pair, *, ids_kept: bool, stamps_kept: bool) -> tuple[str, ...]:
    """Each in a few words, what it is here before what it is there."""
    if pair.here is None or pair.there is None or pair.pieces:
        return ()
    return tuple(_changes(pair, pair.here, pair.there, ids_kept=ids_kept, stamps_kept=stamps_kept))


def _changes(pair: Pair, here: Segment, there: Segment, *, ids_kept: bool, stamps_kept: bool) -> Iterator[str]:
    if here.flags != there.flags:
        yield f"flags {here.flags} → {there.flags}"
    yield from _options(here, there)
    if here.window != there.window:
        yield f"window {here.window} → {there.window}" if "SYN" in here.flags else "window"
    if here.ts_val is not None and there.ts_val is not None and not stamps_kept and here.ts_val != there.ts_val:
        yield "timestamps"
    if here.ip_id and there.ip_id is not None and not ids_kept and here.ip_id != there.ip_id:
        yield "IP identification"
    if here.df != there.df and here.ip_id is not None and there.ip_id is not None:
        yield f"don't fragment {'set' if here.df else 'clear'} → {'set' if there.df else 'clear'}"
    if pair.payload_differs:
        yield "payload"


def _options(here: Segment, there: Segment) -> Iterator[str]:
    """Of a SYN all that it announces, of others the timestamps, which each packet of a connection has or none."""
    names = _SYN_OPTIONS if "SYN" in here.flags else ("TS",)
    ours, theirs = _by_name(here.options), _by_name(there.options)
    for name in names:
        one, other = ours.get(name), theirs.get(name)
        if one != other:
            yield f"{one or f'no {name}'} → {other or f'no {name}'}"


def _by_name(options: str) -> dict[str, str]:
    return {word.partition(" ")[0]: word for word in options.split(",") if word}


def losses(pairs: Sequence[tuple[Pair, bool]], sender: str, nearer: _Capture) -> Losses:
    """What ``sender``, to whom the capture ``nearer`` was taken nearer, sent in vain.

    ``pairs`` come with whether the capture that lacks a packet would have held it.
    """
    packets = before = between = after = 0
    near_seen: set[int] = set()
    far_seen: set[int] = set()
    for pair, missing in pairs:
        near, far = (pair.here, pair.there) if nearer == "this" else (pair.there, pair.here)
        told = near or far
        if told is None or told.sender != sender or "RST" in told.flags or not _occupies(told):
            continue
        if near is not None and "keep-alive" not in near.marks:
            packets += 1
            before += bool(_LATE.intersection(near.marks)) and near.seq not in near_seen
            between += far is None and missing
        if far is not None and "keep-alive" not in far.marks:
            after += near is not None and not pair.pieces and far.seq in far_seen
        for segment, seen in ((near, near_seen), (far, far_seen)):
            if segment is not None:
                seen.add(segment.seq)
    return Losses(packets=packets, before=before, between=between, after=after)


_LATE = frozenset(("retransmission", "out-of-order"))


def _occupies(segment: Segment) -> bool:
    """Whether it takes sequence numbers, so that it is sent again when it is lost (RFC 9293 §3.4)."""
    return segment.length > 0 or "SYN" in segment.flags or "FIN" in segment.flags
