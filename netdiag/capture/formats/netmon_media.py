"""Network Monitor's media types -> LINKTYPE_ values, and frames without Network Monitor's own headers.

Sources: Wireshark's wiretap/netmon.c; microsoft/CSS_SQL_Networking_Tools (SQLNA) for 0x71.
"""

from __future__ import annotations

from netdiag.capture.formats.windows import LINKTYPE_ETHERNET, LINKTYPE_IEEE802_11, LINKTYPE_RAW

_LINKTYPE_TOKEN_RING, _LINKTYPE_FDDI, _LINKTYPE_ATM, _LINKTYPE_SLL = 6, 10, 100, 113
_MEDIA = {
    0: LINKTYPE_ETHERNET,
    1: LINKTYPE_ETHERNET,
    2: _LINKTYPE_TOKEN_RING,
    3: _LINKTYPE_FDDI,
    7: LINKTYPE_RAW,
    8: LINKTYPE_RAW,
    9: LINKTYPE_RAW,
    0x71: _LINKTYPE_SLL,
    0xE080: LINKTYPE_IEEE802_11,
}
_ATM, _WIFI = 4, 6
#: 0xE000 + a LINKTYPE_ value, except those that Message Analyzer took for its own messages.
_PCAP_MEDIA = range(0xE000, 0xF000)
_ANALYZER_MEDIA = range(0xE080, 0xE08B)
_RAW_DLT = (12, 14)


def link_layer(media: int, data: bytes, length: int) -> tuple[int, bytes, int] | None:
    """Link type, frame and length on the wire, without Network Monitor's own headers; None for other media."""
    if media == _ATM:
        return _atm(data, length)
    if media == _WIFI:
        # Metadata first: version u8, its length u16, ...
        own = int.from_bytes(data[1:3], "little")
        own = own if 3 <= own <= len(data) else 0
        return LINKTYPE_IEEE802_11, data[own:], length - own
    linktype = _MEDIA.get(media)
    if linktype is None and media in _PCAP_MEDIA and media not in _ANALYZER_MEDIA:
        linktype = media & 0xFFF
        linktype = LINKTYPE_RAW if linktype in _RAW_DLT else linktype
    return None if linktype is None else (linktype, data, length)


def _atm(data: bytes, length: int) -> tuple[int, bytes, int]:
    """Dial-up (NDISWAN) looks like Ethernet; ATM has two addresses and its circuit before the LLC header."""
    version = data[14] >> 4 if len(data) > 14 else 0
    if (data[12:14], version) in ((b"\x08\x00", 4), (b"\x86\xdd", 6)):
        return LINKTYPE_ETHERNET, data, length
    body = data[16:]
    if body[:6] == b"\xaa\xaa\x03\0\0\0" and body[6:8] in (b"\x08\x00", b"\x86\xdd"):
        return LINKTYPE_RAW, body[8:], length - 24
    return _LINKTYPE_ATM, body, max(length - 16, len(body))
