"""What a port speaks, by the first bytes that came from it. Pure."""

from __future__ import annotations

import re

_PROTOCOLS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("HTTP", re.compile(r"HTTP/\d|<(?:!doctype|html|\?xml)", re.IGNORECASE)),
    ("SSH", re.compile(r"SSH-\d")),
    ("SMTP", re.compile(r"220[ -].*(?:SMTP|mail)", re.IGNORECASE)),
    ("FTP", re.compile(r"220[ -]")),
    ("POP3", re.compile(r"\+OK\b")),
    ("IMAP", re.compile(r"\* OK\b")),
    ("VNC", re.compile(r"RFB \d")),
    ("MySQL", re.compile(r".\x00\x00\x00\x0a[\d.]", re.DOTALL)),
    ("RDP", re.compile(r"\x03\x00\x00")),
    ("SMB", re.compile(r".{0,4}[\xff\xfe]SMB", re.DOTALL)),
    ("TLS", re.compile(r"[\x14-\x17]\x03[\x00-\x04]")),
)


def speaks(banner: str) -> str:
    """The protocol's name; empty where the bytes (as Latin-1) give none away."""
    return next((name for name, pattern in _PROTOCOLS if pattern.match(banner)), "")
