"""What a file is that holds no certificate: one line for the person who thought that it does.

Contract: pure. Every line is printable, whatever the file says.
"""

from __future__ import annotations

import re

#: How much of a file is looked at to see what it is.
_HEAD = 4096
_MAX_NAME = 200
_MAX_TITLE = 60

_PGP = "a PGP key or message, which TLS does not use: give an X.509 certificate"
_SSH = "an SSH key, which TLS does not use: give an X.509 certificate"

#: By what the content turned out to be (``ber.kind``, and the labels of PEM), the most telling first.
_WRONG_CONTENT = (
    (
        "csr",
        "a certificate signing request, not a certificate: ask your authority for the certificate it issued for it",
    ),
    ("private-key", "a private key without its certificate: give the certificate's file, and keep this one secret"),
    ("public-key", "a public key, not a certificate: give the certificate that it stands in"),
    ("pgp", _PGP),
    ("ssh", _SSH),
    ("crl", "a revocation list (CRL), not a certificate: give it with --crl, beside the certificate"),
    ("ocsp", "an OCSP response, not a certificate: give it with --ocsp, beside the certificate"),
    ("cms", "a PKCS#7 message without certificates: export the certificate again, with its chain (.p7b)"),
    ("pkcs12", "a PKCS#12 file without a certificate: export it again, with the certificate and its chain"),
)

#: What a part is that was skipped, in a file that holds certificates too.
NAMES = {"csr": "a signing request", "public-key": "a public key", "ocsp": "an OCSP response"}

#: By the first bytes of the file.
_MAGIC = (
    (b"\xfe\xed\xfe\xed", "jks"),  # sun.security.provider.JavaKeyStore
    (b"\xce\xce\xce\xce", "jceks"),  # com.sun.crypto.provider.JceKeyStore
    (b"PK\x03\x04", "a ZIP archive: unpack it, and give the certificate in it"),
    (b"\x1f\x8b", "compressed with gzip: unpack it, and give the certificate in it"),
    (b"%PDF-", "a PDF document, not a certificate"),
    (b"\x00\x00\x00\x00CERT", "a serialized store of Windows (.sst): export the certificate from it as .cer or .p7b"),
    (b"ssh-", _SSH),
    (b"ecdsa-sha2-", _SSH),
    (b"sk-ssh-", _SSH),
    (b"---- BEGIN SSH2", _SSH),
    (b"PuTTY-User-Key-File", _SSH),
)
#: A packet with a key, and the version of that (RFC 9580 §4.2 and §5.5.2).
_PGP_KEY = re.compile(rb"(?:[\x94\x98\xc5\xc6].|[\x95\x99\xc5\xc6]..)[\x03-\x06]", re.DOTALL)


def shown(name: str) -> str:
    """A file's name as one printable line."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return line if len(line) <= _MAX_NAME else f"…{line[1 - _MAX_NAME :]}"


def wrong_content(kinds: set[str]) -> str:
    """What a file is whose parts are of these kinds, and none a certificate; empty for none of them."""
    return next((f"this is {text}" for kind, text in _WRONG_CONTENT if kind in kinds), "")


def unrecognised(data: bytes, name: str) -> str:
    """What a file is that is neither PEM, DER, PKCS#7 nor PKCS#12. ``name`` is for the command that converts it."""
    head = data[:_HEAD].lstrip()
    for magic, text in _MAGIC:
        if data.startswith(magic) or head.startswith(magic):
            return _java(text, name) if text in ("jks", "jceks") else f"this is {text}"
    lower = head.lower()
    if re.match(rb"<!doctype html|<html|<head|<body", lower) or b"<html" in lower:
        return (
            f"this is an HTML page{_title(head)}, not a certificate: a proxy's block page or a login page that was "
            "saved in its place; open it in a browser, and fetch the certificate again"
        )
    if lower.startswith((b"<?xml", b"<")):
        return "this is XML, not a certificate"
    if head.startswith((b"{", b"[")):
        return "this is JSON, not a certificate: take the certificate out of it, as PEM"
    if not head:
        return "this file is blank"
    if is_text(head):
        return "this is text without a certificate, which would begin with -----BEGIN CERTIFICATE-----"
    if _PGP_KEY.match(data):
        return f"this is {_PGP}"
    return "this is no certificate in any form that netdiag knows (PEM, DER, PKCS#7, PKCS#12)"


def _java(kind: str, name: str) -> str:
    """Java's own keystores, and what converts them (keytool's -importkeystore)."""
    new = re.sub(r"(\.\w{1,10})?$", ".p12", name, count=1)
    return (
        f"this is a Java keystore ({kind.upper()}), which only Java reads: convert it with keytool -importkeystore "
        f'-srckeystore "{name}" -srcstoretype {kind.upper()} -destkeystore "{new}" -deststoretype PKCS12'
    )


def _title(head: bytes) -> str:
    found = re.search(rb"<title[^>]*>([^<]{1,200})", head, re.IGNORECASE)
    words = " ".join(found[1].decode("utf-8", "replace").split()) if found else ""
    words = "".join(c for c in words if c.isprintable() and c != '"')
    return f' ("{words[:_MAX_TITLE]}")' if words else ""


def is_text(data: bytes) -> bool:
    """Whether it begins without control characters other than line ends and the like."""
    return not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", data[:_HEAD])
