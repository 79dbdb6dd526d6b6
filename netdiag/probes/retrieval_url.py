"""A URL that a certificate or a redirect names -> the place to go to.

Contract: pure, and the text is hostile. What is no usable URL raises ``FailedError`` with the step "url"; one whose
scheme is never retrieved, or an LDAP one without a host, with the step "scheme".
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from netdiag.model import authority
from netdiag.probes.failure import FailedError
from netdiag.probes.names import canonical_host

#: RFC 9110 §4.1 asks for support of 8000 octets; a longer URL in a certificate is an attack on somebody's parser.
MAX_URL = 8000
#: The schemes that are retrieved, and the ports they stand for (RFC 9110 §4.2, RFC 4516 §2; 636 by custom).
PORTS = {"http": 80, "https": 443, "ldap": 389, "ldaps": 636}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
#: Python's urlsplit drops some of them silently, so they are looked for in the text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: What a path or query may hold as it is (RFC 3986 §3.3, §3.4), and "%" of what is encoded already. Anything else is
#: encoded: certificates do hold blanks in their URLs, and Windows asks for those all the same.
_SAFE = "!$%&'()*+,-./:;=?@[]_~"


class Place(NamedTuple):
    """Where a URL leads. ``host`` is a name in A-label form or an address without brackets.

    ``path`` begins with "/", holds the query, and is percent-encoded.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host field has them (RFC 9110 §7.2): without the scheme's own port."""
        text = authority(self.host, self.port)
        return text.removesuffix(f":{self.port}") if self.port == PORTS[self.scheme] else text

    @property
    def url(self) -> str:
        """The URL in this form."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_place(text: str) -> Place:
    """The place that an absolute URL names."""
    if len(text) > MAX_URL:
        raise _unusable(f"it is longer than {MAX_URL} characters")
    if _CONTROL.search(text):
        raise _unusable("it holds control characters")
    text = text.strip()
    match = _SCHEME.match(text)
    if match is None:
        raise _unusable("it is relative: it names no scheme")
    scheme = match[1].lower()
    if scheme not in PORTS:
        raise FailedError("unknown", "scheme", f"{scheme}: URLs are not retrieved")
    try:
        return _place(scheme, text)
    except ValueError as error:  # UnicodeError among them
        raise _unusable(str(error)) from None


def redirected(place: Place, location: str) -> Place:
    """The place that a Location field (RFC 9110 §10.2.2) leads to, over HTTP only. A failure's step is "redirect"."""
    try:
        if _CONTROL.search(location):
            raise _unusable("it holds control characters")
        found = parse_place(urljoin(place.url, location.strip()))
        if found.scheme not in ("http", "https"):
            raise FailedError("unknown", "scheme", f"{found.scheme}: is not followed")
    except (FailedError, ValueError) as error:
        raise FailedError("unknown", "redirect", f"redirected to {location[:200]!r}: {error}") from None
    return found


def _place(scheme: str, text: str) -> Place:
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("it holds credentials, and netdiag sends none to a server")
    if not parts.hostname:
        if scheme in ("ldap", "ldaps"):  # CryptoAPI then asks the domain controller of the machine's own domain
            raise FailedError(
                "unknown", "scheme", "it names no host: only a machine of that domain can ask its domain controller"
            )
        raise ValueError("it names no host")
    port = PORTS[scheme] if parts.port is None else parts.port
    if port == 0:
        raise ValueError("port 0 cannot be connected to")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(scheme, canonical_host(parts.hostname), port, quote(path, safe=_SAFE))


def _unusable(why: str) -> FailedError:
    return FailedError("unknown", "url", f"not a usable URL: {why}")
