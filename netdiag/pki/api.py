"""``verify_certificate``: the engine for other programs, from bytes or cryptography objects, without a network.

Contract: hostile or malformed input gives ``trusted=False`` with a fault, never an exception; only an argument of the
wrong type or value raises (``TypeError``, ``ValueError``). Everything is bounded, so that it can be called a thousand
times a second, from any thread.
"""

from __future__ import annotations

import datetime
import functools
import math
import time
from collections.abc import Callable, Iterable
from typing import get_args

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from netdiag.model import ChainProfile, ChainPurpose, Failure
from netdiag.pki.judging import Question
from netdiag.pki.load import blocks
from netdiag.pki.path import Fetch, drive
from netdiag.pki.policies import ANY, Inputs
from netdiag.pki.trust import TrustStore
from netdiag.pki.verify import Verification, verifying

#: A certificate or CRL: DER, PEM (a file may hold several; of a leaf the first counts), or as cryptography has it.
Certificates = bytes | str | x509.Certificate
RevocationLists = bytes | str | x509.CertificateRevocationList


def verify_certificate(
    leaf: Certificates,
    *,
    untrusted: Iterable[Certificates] = (),
    trust: Iterable[Certificates] | TrustStore = (),
    hostname: str | None = None,
    at: datetime.datetime | float | None = None,
    purpose: ChainPurpose = "server",
    profile: ChainProfile = "windows",
    max_depth: int | None = None,
    crls: Iterable[RevocationLists] = (),
    ocsp_responses: Iterable[bytes] = (),
    fetch: Callable[[Fetch], bytes | Failure] | None = None,
    user_initial_policy_set: Iterable[str] = (ANY,),
    initial_explicit_policy: bool = False,
    initial_policy_mapping_inhibit: bool = False,
    initial_any_policy_inhibit: bool = False,
) -> Verification:
    """Whether ``leaf`` is trusted, and everything that is wrong with each of its candidate paths.

    ``untrusted`` helps to build paths, ``trust`` holds the trust anchors (self-signed or not). ``hostname`` is a DNS
    name, an address or a mailbox; None asks for no name. ``at`` (a datetime, aware or in UTC, or seconds since the
    epoch) defaults to now. ``purpose`` is "server", "client" or "any", ``profile`` "windows", "rfc5280", "webpki" or
    "clients" (see ``netdiag.pki.profiles``). ``max_depth`` limits the intermediates that are not self-issued.

    With ``crls``, ``ocsp_responses`` or ``fetch``, the revocation of every certificate below the anchor is checked, and
    one of which nothing is known is a fault; without them revocation is not looked at. ``fetch`` is given each request
    (a URL, and for OCSP the request to send), and returns what came or a ``Failure``; None means no retrieval.

    The last four are the policy inputs of RFC 5280 §6.1.1, which nobody but conformance suites sets.
    """
    if profile not in get_args(ChainProfile):
        raise ValueError(f"profile {profile!r} is none of {', '.join(get_args(ChainProfile))}")
    if purpose not in get_args(ChainPurpose):
        raise ValueError(f"purpose {purpose!r} is none of {', '.join(get_args(ChainPurpose))}")
    question = Question(
        hostname=hostname,
        at=_seconds(at),
        purpose=purpose,
        profile=profile,
        max_depth=max_depth,
        policies=Inputs(
            user_initial_policy_set=frozenset(user_initial_policy_set),
            initial_explicit_policy=initial_explicit_policy,
            initial_policy_mapping_inhibit=initial_policy_mapping_inhibit,
            initial_any_policy_inhibit=initial_any_policy_inhibit,
        ),
    )
    given = [der for entry in untrusted for der in _ders(entry)]
    store = trust if isinstance(trust, TrustStore) else _store(tuple(der for entry in trust for der in _ders(entry)))
    first, *more = _ders(leaf) or (b"",)
    asking = verifying(
        first,
        [*more, *given],
        store,
        question,
        crls=tuple(_der_of_list(entry) for entry in crls),
        responses=tuple(ocsp_responses),
        every_url=fetch is not None,
    )
    return drive(asking, (lambda requests: {request: fetch(request) for request in requests}) if fetch else None)


def _ders(entry: Certificates) -> tuple[bytes, ...]:
    """The certificates of one argument as DER; bytes that are neither PEM nor DER stay what they are."""
    if isinstance(entry, x509.Certificate):
        return (entry.public_bytes(Encoding.DER),)
    data = _bytes(entry)
    return blocks(data) if b"-----BEGIN " in data else (data,)


def _der_of_list(entry: RevocationLists) -> bytes:
    return entry.public_bytes(Encoding.DER) if isinstance(entry, x509.CertificateRevocationList) else _bytes(entry)


def _bytes(entry: bytes | str) -> bytes:
    if isinstance(entry, str):
        return entry.encode("utf-8", "surrogateescape")
    if not isinstance(entry, (bytes, bytearray, memoryview)):
        raise TypeError(f"neither bytes nor an object of cryptography: {type(entry).__name__}")
    return bytes(entry)


@functools.lru_cache(maxsize=64)
def _store(ders: tuple[bytes, ...]) -> TrustStore:
    """A store of these certificates; what cannot be read anchors nothing."""
    return TrustStore.of(ders)


def _seconds(at: datetime.datetime | float | None) -> float:
    if at is None:
        return time.time()
    if isinstance(at, datetime.datetime):
        return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()
    if not math.isfinite(at):
        raise ValueError(f"at is {at}, which is no moment")
    return float(at)
