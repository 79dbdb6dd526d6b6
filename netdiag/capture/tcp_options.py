"""TCP options -> the words that tcpdump prints for them (RFC 9293 §3.1, RFC 7323, RFC 2018, RFC 6824, RFC 7413)."""

from __future__ import annotations

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
