"""Trust stores: which roots this run believes in."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509


@dataclass(frozen=True, kw_only=True)
class TrustStore:
    """Root certificates, and where they came from (in words, one entry per source).

    ``vouched`` says that the user named the files, so that a chain ending there is what the user expects.
    """

    names: tuple[str, ...]
    roots: tuple[x509.Certificate, ...]
    vouched: bool = False
