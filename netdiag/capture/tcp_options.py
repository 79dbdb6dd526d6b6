"""TCP options -> the words that tcpdump prints for them (RFC 9293 §3.1, RFC 7323, RFC 2018, RFC 6824, RFC 7413).

And one of them, of many segments at once.
"""

from __future__ import annotations

import numpy as np

from netdiag.capture.columns import gather
from netdiag.capture.packets import Bytes, Ints, Small

#: An option of the maximum segment size: its kind, its length, its value.
_OPTION = np.dtype("V4")
#: Bytes of options in a TCP header.
_MOST_OPTIONS = 40

_NAMES = {19: "md5", 28: "exp-uto", 29: "tcp-ao", 30: "mptcp", 34: "tfo"}


def describe(options: bytes) -> tuple[str, int | None, int | None]:
    """("mss 1460,sackOK,TS,nop,wscale 7", TSval, TSecr); what is cut or malformed ends the words."""
    words: list[str] = []
    stamp: tuple[int | None, int | None] = (None, None)
    at = 0
    while at < len(options):
        kind = options[at]
        if kind < 2:
            words.append("nop" if kind else "eol")
            at += 1
            if not kind:
                break
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        body = options[at + 2 : at + size]
        if size < 2 or len(body) != size - 2:
            words.append("[bad opt]")
            break
        if kind == 8 and size == 10:
            stamp = (int.from_bytes(body[:4], "big"), int.from_bytes(body[4:], "big"))
        words.append(_word(kind, body))
        at += size
    return ",".join(words), *stamp


def _word(kind: int, body: bytes) -> str:
    if kind == 2 and len(body) == 2:
        return f"mss {int.from_bytes(body, 'big')}"
    if kind == 3 and len(body) == 1:
        return f"wscale {body[0]}"
    if kind == 4 and not body:
        return "sackOK"
    if kind == 5 and body and len(body) % 8 == 0:
        return f"sack {len(body) // 8}"
    if kind == 8 and len(body) == 8:
        return "TS"
    return _NAMES.get(kind, f"opt-{kind}")


def maximum_segment_sizes(data: Bytes, at: Ints | Small, end: Ints | Small) -> Ints:
    """What the options from each of ``at`` to ``end`` tell (RFC 9293 §3.7.1), 0 where there is none."""
    first, length, high, low = gather(data, at, _OPTION).view(np.uint8).reshape(-1, 4).T
    usual = (first == 2) & (length == 4) & (at + 4 <= end)  # nearly every sender puts it first
    found = np.where(usual, high.astype(np.int64) << 8 | low, 0)
    looking = np.flatnonzero(~usual)
    at, end = at[looking], end[looking]
    for _ in range(_MOST_OPTIONS):
        here = at < end
        looking, at, end = looking[here], at[here], end[here]
        if not len(looking):
            break
        kind, size = data[at], data[at + 1].astype(np.int64)
        whole = (at + size <= end) & (size >= 2)
        mss = (kind == 2) & (size == 4) & whole
        found[looking[mss]] = data[at[mss] + 2].astype(np.int64) << 8 | data[at[mss] + 3]
        go_on = (kind == 1) | ((kind != 0) & whole & ~mss)
        at = at + np.where(kind == 1, 1, size)
        looking, at, end = looking[go_on], at[go_on], end[go_on]
    return found
