"""Certificates and CRLs out of a directory, by LDAP and LDAPS URLs (RFC 4516, RFC 4523).

Contract: trouble is raised, as ``FailedError``, ``OSError`` or ``EOFError``. The bind is anonymous, as CryptoAPI's is
for a URL with a host: nothing secret is sent. Referrals are not followed. ldap3 encodes what is asked, filters above
all; its own connections are not used: they bound neither an answer's size nor its time, and open sockets themselves.
"""

from __future__ import annotations

import base64
import math
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from netdiag.model import UrlPurpose
from netdiag.probes.failure import FailedError
from netdiag.probes.net import Stream
from netdiag.probes.retrieval_url import Place
from netdiag.probes.retrieval_way import Trail, Ways
from netdiag.wire import ldap

#: Entries of one answer: the URL of a certificate authority names one.
MAX_ENTRIES = 20
#: Messages before the last one, with entries, references and whatever else a server puts between.
MAX_MESSAGES = 100
#: Bytes of a message besides the values in it: names, other attributes, controls.
MAX_OVERHEAD = 64 * 1024

#: What is asked for when the URL names no attribute (RFC 4523 §4; RFC 4522 for ";binary").
_ATTRIBUTES: dict[UrlPurpose, str] = {
    "aia": "cACertificate;binary",
    "cdp": "certificateRevocationList;binary",
    "delta": "deltaRevocationList;binary",
}
_SCOPES = {"": "BASE", "base": "BASE", "one": "LEVEL", "sub": "SUBTREE"}
_PAIR = "crosscertificatepair"
#: Labels of several values in one answer (RFC 7468 §5, §7).
_LABELS: dict[UrlPurpose, str] = {"aia": "CERTIFICATE", "cdp": "X509 CRL", "delta": "X509 CRL"}


class Search(NamedTuple):
    """What an LDAP URL asks for (RFC 4516 §2)."""

    base: str
    attributes: tuple[str, ...]
    scope: str
    filter: str


def parse_search(place: Place, purpose: UrlPurpose) -> Search:
    """The search that the URL asks for. Raises ``FailedError``."""
    base, attributes, scope, search_filter, extensions, *_ = (*place.path[1:].split("?"), "", "", "", "")
    if any(extension.strip().startswith("!") for extension in extensions.split(",")):
        raise FailedError("unknown", "url", "not a usable URL: it holds a critical extension (RFC 4516 §2)")
    if scope.lower() not in _SCOPES:
        raise FailedError("unknown", "url", f"not a usable URL: the scope is {scope[:40]!r}")
    wanted = tuple(unquote(name).strip() for name in attributes.split(",") if name.strip())
    found = unquote(search_filter).strip() or "(objectClass=*)"
    return Search(
        base=unquote(base),
        attributes=wanted or (_ATTRIBUTES.get(purpose, "*"),),
        scope=_SCOPES[scope.lower()],
        # Active Directory Certificate Services writes filters without the parentheses of RFC 4515.
        filter=found if found.startswith("(") else f"({found})",
    )


def retrieve(ways: Ways, purpose: UrlPurpose, place: Place, trail: Trail) -> bytes:
    """The value of the attribute that the URL names; several values as PEM blocks, one after the other."""
    search = parse_search(place, purpose)
    trail.url, trail.method = place.url, "LDAP"
    requests = _requests(search, trail)
    try:
        stream = ways.connect(place.host, place.port, trail, trail.deadline)
        if place.scheme == "ldaps":
            stream = ways.secured(stream, place.host, place.port, trail)
        values = _converse(stream, requests, search, trail)
    except ldap.NotLdapError as error:
        raise FailedError("unknown", trail.step, str(error)) from None
    finally:
        trail.hang_up()
    if not values:
        raise FailedError("unknown", trail.step, f"the directory has no {' or '.join(search.attributes)[:200]} there")
    return values[0] if len(values) == 1 else b"".join(_pem(value, _LABELS.get(purpose, "")) for value in values)


def _converse(stream: Stream, requests: tuple[bytes, bytes], search: Search, trail: Trail) -> list[bytes]:
    """Bind, search, and the values that came."""
    bind, ask = requests
    messages = _messages(stream, trail)
    trail.step = "bind"
    stream.send(bind, trail.deadline)
    while (message := next(messages)).operation != ldap.BIND_RESPONSE:
        _check_notice(message)
    _check(ldap.parse_result(message.content))
    trail.step = "search"
    stream.send(ask, trail.deadline)
    names = {_base_name(name) for name in search.attributes}
    values: list[bytes] = []
    references = 0
    for message in messages:
        if message.operation == ldap.SEARCH_ENTRY:
            values += _wanted(ldap.parse_entry(message.content), names)
        elif message.operation == ldap.SEARCH_REFERENCE:
            references += 1
        elif message.operation == ldap.SEARCH_DONE:
            _check(ldap.parse_result(message.content))
            break
        else:
            _check_notice(message)
    if not values and references:
        raise FailedError("unknown", trail.step, "the directory refers to other servers; referrals are not followed")
    return values


def _messages(stream: Stream, trail: Trail) -> Iterator[ldap.Message]:
    """The server's messages, as many and as large as is bearable."""
    buffer = bytearray()
    left = trail.limit + MAX_OVERHEAD
    for _ in range(MAX_MESSAGES):
        while (size := ldap.message_size(buffer)) is None or len(buffer) < size <= left:
            data = trail.receive(stream)
            if not data:
                raise EOFError("the connection ended before the answer did")
            trail.budget.take(len(data))
            buffer += data
        left -= size
        if left < 0:
            raise FailedError("unknown", trail.step, f"the answer has more than {trail.limit >> 10} KiB")
        message = bytes(memoryview(buffer)[:size])
        del buffer[:size]
        trail.received += size
        yield ldap.parse_message(message)
    raise FailedError("unknown", trail.step, f"the answer has more than {MAX_MESSAGES} messages")


def _check(result: ldap.Result) -> None:
    """Raise ``FailedError`` unless the operation succeeded."""
    from ldap3.core.results import RESULT_CODES

    if result.code == 0:
        return
    said = f"LDAP result {result.code} ({RESULT_CODES.get(result.code, 'unassigned')})"
    if result.referrals:
        said += f": referred to {' or '.join(result.referrals)[:200]}; referrals are not followed"
    elif result.message:
        said += f": {' '.join(result.message.split())[:200]}"
    raise FailedError("unknown", "bind" if result.code in _BIND_CODES else "search", said)


#: Results that are about who asks: authMethodNotSupported, strongerAuthRequired, confidentialityRequired,
#: inappropriateAuthentication, invalidCredentials, insufficientAccessRights (RFC 4511 §4.1.9).
_BIND_CODES = frozenset({7, 8, 13, 48, 49, 50})


def _check_notice(message: ldap.Message) -> None:
    """A notice of disconnection (RFC 4511 §4.4.1) ends the conversation; other unsolicited messages are passed over."""
    if message.operation == ldap.EXTENDED_RESPONSE and message.number == 0:
        result = ldap.parse_result(message.content)
        raise EOFError(f"the directory ended the connection: {result.message[:200]}")


def _wanted(attributes: tuple[tuple[str, tuple[bytes, ...]], ...], names: set[str]) -> Iterator[bytes]:
    for description, values in attributes:
        name = _base_name(description)
        if "*" in names or name in names:
            for value in values:
                yield from _pair(value) if name == _PAIR else [value]


def _pair(value: bytes) -> Iterator[bytes]:
    """The certificates of a CertificatePair: ``[0]`` and ``[1]``, explicit (RFC 4523 §2.3)."""
    for outer in ldap.elements(memoryview(value)):
        for tagged in ldap.elements(outer.content):
            yield bytes(tagged.content)


def _base_name(description: str) -> str:
    """An attribute's name without options: servers differ in whether they send ";binary"."""
    return description.partition(";")[0].strip().lower()


def _pem(value: bytes, label: str) -> bytes:
    lines = "\n".join(textwrap.wrap(base64.b64encode(value).decode("ascii"), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode("ascii")


def _requests(search: Search, trail: Trail) -> tuple[bytes, bytes]:
    """The bind and the search, encoded. Raises ``FailedError``."""
    from ldap3 import ANONYMOUS, DEREF_NEVER
    from ldap3.operation.bind import bind_operation
    from ldap3.operation.search import search_operation

    seconds = math.ceil(trail.deadline.remaining())
    try:
        asked = search_operation(
            search.base, search.filter, search.scope, DEREF_NEVER, list(search.attributes), MAX_ENTRIES, seconds,
            types_only=False, auto_escape=True, auto_encode=True,
        )  # fmt: skip
        return _encoded(1, "bindRequest", bind_operation(3, ANONYMOUS)), _encoded(2, "searchRequest", asked)
    except Exception as error:  # noqa: BLE001 - a hostile filter: ldap3, pyasn1 and the recursion limit share no class
        detail = f"not a usable URL: its name or filter cannot be encoded: {' '.join(str(error).split())[:100]}"
        raise FailedError("unknown", "url", detail) from None


def _encoded(number: int, kind: str, request: Any) -> bytes:
    from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
    from ldap3.utils.asn1 import encode  # type: ignore[attr-defined] # the stubs lack it

    message = LDAPMessage()
    message["messageID"] = MessageID(number)
    message["protocolOp"] = ProtocolOp().setComponentByName(kind, request)
    return bytes(encode(message))
