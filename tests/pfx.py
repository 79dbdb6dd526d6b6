"""PKCS#12 files made by hand, with what cryptography's serialization leaves out: attributes, indefinite lengths."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives import serialization

from tests.certs import Issued, Key

EXCHANGE, SIGNATURE = "03020410", "03020780"
CSP, KSP = "Microsoft Enhanced RSA and AES Cryptographic Provider", "Microsoft Software Key Storage Provider"


def tlv(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def indefinite(tag: int, *content: bytes) -> bytes:
    return bytes([tag, 0x80]) + b"".join(content) + b"\0\0"


def seq(*content: bytes) -> bytes:
    return tlv(0x30, *content)


def integer(value: int) -> bytes:
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    first, second, *arcs = map(int, dotted.split("."))
    out = bytearray()
    for arc in (40 * first + second, *arcs):
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.insert(0, 0x80 | arc & 0x7F)
        out += bytes(octets)
    return tlv(6, bytes(out))


def attribute(dotted: str, *values: bytes) -> bytes:
    return seq(oid(dotted), tlv(0x31, *values))


def bmp(text: str) -> bytes:
    return tlv(0x1E, text.encode("utf-16-be"))


def notes(name: str = "", key_id: bytes = b"", provider: str = "", machine: bool = False) -> list[bytes]:
    found = []
    if name:
        found.append(attribute("1.2.840.113549.1.9.20", bmp(name)))
    if key_id:
        found.append(attribute("1.2.840.113549.1.9.21", tlv(4, key_id)))
    if provider:
        found.append(attribute("1.3.6.1.4.1.311.17.1", bmp(provider)))
    if machine:
        found.append(attribute("1.3.6.1.4.1.311.17.2"))
    return found


def pkcs8(key: Key, key_spec: str = "") -> bytes:
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    if not key_spec:
        return der
    header = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
    return seq(der[header:], tlv(0xA0, attribute("2.5.29.15", bytes.fromhex(key_spec))))


def bag(kind: int, value: bytes, attributes: Sequence[bytes] = ()) -> bytes:
    """A SafeBag: 1 a key, 3 a certificate, 4 a CRL, 5 a secret, 6 more bags."""
    content = [oid(f"1.2.840.113549.1.12.10.1.{kind}"), tlv(0xA0, value)]
    return seq(*content, *([tlv(0x31, *attributes)] if attributes else []))


def cert_bag(issued: Issued | bytes, attributes: Sequence[bytes] = ()) -> bytes:
    der = issued if isinstance(issued, bytes) else issued.der
    return bag(3, seq(oid("1.2.840.113549.1.9.22.1"), tlv(0xA0, tlv(4, der))), attributes)


def key_bag(key: Key, attributes: Sequence[bytes] = (), key_spec: str = "") -> bytes:
    return bag(1, pkcs8(key, key_spec), attributes)


def pfx(*bags: bytes, mac: bytes = b"") -> bytes:
    """A file that is neither encrypted nor vouched for."""
    safe = seq(seq(oid("1.2.840.113549.1.7.1"), tlv(0xA0, tlv(4, seq(*bags)))))
    return seq(integer(3), seq(oid("1.2.840.113549.1.7.1"), tlv(0xA0, tlv(4, safe))), mac)


def old_windows_pfx(*bags: bytes) -> bytes:
    """The same in BER: lengths that end with two zero octets, and strings in pieces."""

    def pieces(data: bytes) -> bytes:
        return indefinite(0x24, *(tlv(4, data[i : i + 100]) for i in range(0, len(data), 100)))

    def data(content: bytes) -> bytes:
        return indefinite(0x30, oid("1.2.840.113549.1.7.1"), indefinite(0xA0, pieces(content)))

    return indefinite(0x30, integer(3), data(indefinite(0x30, data(indefinite(0x30, *bags)))))
