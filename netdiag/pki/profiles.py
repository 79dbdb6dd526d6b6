"""Who refuses what: the profiles that decide which faults of a chain are errors.

A check names the profiles that refuse a path for what it finds; for the others the same fault is a note. The sets:

windows   CryptoAPI, SChannel and .NET, where the integration runtime and most clients of internal services live. It is
          the default of ``netdiag cert``: what it refuses stops those who ask. It does not lint: a missing key
          identifier or a SHA-1 signature of a private authority is accepted.
rfc5280   The path validation of RFC 5280 §6, and its rules for certificates (§4) where a MUST is broken.
webpki    What the CA/Browser Forum's baseline requirements demand of public server certificates besides.
clients   What today's clients refuse between them (Windows, OpenSSL, Java, Go, browsers), for a server that has to
          please all: the profile of ``netdiag endpoint``.
"""

from __future__ import annotations

from netdiag.model import ChainProfile

Profiles = frozenset[ChainProfile]

ALL: Profiles = frozenset(("windows", "rfc5280", "webpki", "clients"))
WEBPKI: Profiles = frozenset(("webpki",))
RFC5280: Profiles = frozenset(("rfc5280",))
WINDOWS: Profiles = frozenset(("windows",))
CLIENTS: Profiles = frozenset(("clients",))
#: Rules for certificates that validators of live systems rarely enforce.
LINT: Profiles = WEBPKI | RFC5280
NOBODY: Profiles = frozenset()
