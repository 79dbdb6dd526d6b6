"""The rules that certificate files are judged by: those about certificates and keys, without loading any other."""

from __future__ import annotations

from netdiag.rules.registry import findings, load

__all__ = ["findings"]

load(("tls_certificate", "chain_clock", "chain", "chain_policy", "chain_revocation", "key"))
