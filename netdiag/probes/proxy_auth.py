"""Answers to a proxy's challenges: Basic, Digest, NTLM, Negotiate.

Contract: no sockets here (Kerberos talks to its own server inside the system's library). A ``Login`` is given each
challenge and says the next Proxy-Authorization value, or that it has nothing more to say. What cannot be tried on this
machine raises ``UnusableError`` with the reason.

Digest is ours, 40 lines, because requests' takes the path out of a URL, and CONNECT has an authority instead of a path;
it also lacks the -sess algorithms of SHA-256. ``uri`` is what the request line names (RFC 7616 §3.4): that authority,
or the whole URL when the proxy is to ask for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from netdiag.probes.net import Deadline
from netdiag.probes.threads import bounded

#: Strongest first, the order in which Windows and .NET choose.
PREFERENCE = ("Negotiate", "NTLM", "Digest", "Basic")

#: Registered schemes in their usual spelling (IANA HTTP Authentication Scheme Registry).
_SPELLING = {name.lower(): name for name in (*PREFERENCE, "Bearer", "Kerberos", "OAuth", "Mutual", "HOBA")}
#: A proxy offers a handful of schemes; more challenges than this are dropped.
_MAX_CHALLENGES = 20

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf'({_NAME})\s*=\s*("(?:[^"\\]|\\.)*"|{_NAME})\s*')
_CHALLENGE = re.compile(rf"({_NAME})(?:\s+(.*))?", re.DOTALL)
#: What stands between commas. A quote that nobody closes runs to the end: to look for its end again from each later
#: quote would take quadratic time.
_PART = re.compile(r'(?:"(?:[^"\\]|\\.?)*(?:"|\Z)|[^,"])+', re.DOTALL)


class UnusableError(Exception):
    """This scheme cannot be tried here. The message completes "could not be tried: ..."."""


@dataclass(frozen=True)
class Challenge:
    """One challenge (RFC 9110 §11.3): a scheme, and either a token or parameters with lower-case names."""

    scheme: str
    token: str
    parameters: dict[str, str]


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges in the values of Proxy-Authenticate fields, in order.

    Commas separate both challenges and parameters (RFC 9110 §11.6.1): a part that is not ``name=value`` begins a new
    challenge.
    """
    challenges: list[Challenge] = []
    for value in values:
        current: Challenge | None = None
        for part in _PART.findall(value):
            item = part.strip()
            parameter = _PARAMETER.fullmatch(item)
            if parameter is None:
                match = _CHALLENGE.fullmatch(item)
                if match is None:
                    continue
                scheme, rest = match.group(1), (match.group(2) or "").strip()
                parameter = _PARAMETER.fullmatch(rest)
                current = Challenge(_SPELLING.get(scheme.lower(), scheme), "" if parameter else rest, {})
                challenges.append(current)
            if parameter is not None and current is not None:
                current.parameters.setdefault(parameter.group(1).lower(), _unquote(parameter.group(2)))
    return tuple(challenges[:_MAX_CHALLENGES])


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Login(Protocol):
    """One scheme's side of the conversation."""

    @property
    def bound(self) -> bool:
        """Every message of it must travel over one connection: NTLM and Negotiate authenticate connections."""

    @property
    def spent(self) -> bool:
        """The proxy has judged the password: the same one in another scheme would only count against the account."""

    def answer(self, challenges: Sequence[Challenge]) -> str | None:
        """The next Proxy-Authorization value, None when there is nothing more to say. Raises ``UnusableError``."""


def login(
    scheme: str,
    credentials: tuple[str, str] | None,
    *,
    uri: str,
    proxy_host: str,
    deadline: Deadline,
    method: str = "CONNECT",
) -> Login:
    """The login for a scheme of ``PREFERENCE``, of a request for ``uri``. Raises ``UnusableError``."""
    if scheme in ("Negotiate", "NTLM"):
        return SecurityLogin(scheme, credentials, proxy_host, deadline)
    if credentials is None:
        raise UnusableError("no user name and password were given")
    return DigestLogin(credentials, uri, method) if scheme == "Digest" else BasicLogin(credentials)


class BasicLogin:
    """RFC 7617. The text is UTF-8, the only encoding that the RFC lets a server ask for."""

    bound = False
    spent = False

    def __init__(self, credentials: tuple[str, str]) -> None:
        if ":" in credentials[0]:
            raise UnusableError("a user name with a colon cannot be sent")
        self._value = "Basic " + base64.b64encode(":".join(credentials).encode()).decode("ascii")

    def answer(self, challenges: Sequence[Challenge]) -> str | None:
        """The user name and password, once."""
        if self.spent or not any(challenge.scheme == "Basic" for challenge in challenges):
            return None
        self.spent = True
        return self._value


#: RFC 7616 §3.3 and §6.1; RFC 8760's SHA-512 is SHA-512/256 in the registry and not offered by proxies.
_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256"}


def digest_response(
    *, algorithm: str, user: str, password: str, realm: str, nonce: str, method: str, uri: str, qop: str, cnonce: str
) -> str:
    """The ``response`` of RFC 7616 §3.4.1 for the first use of ``nonce`` (nc=00000001); ``qop`` "auth" or empty."""
    name = algorithm.upper().removesuffix("-SESS")

    def h(text: str) -> str:
        return hashlib.new(_ALGORITHMS[name], text.encode(), usedforsecurity=False).hexdigest()

    a1 = h(f"{user}:{realm}:{password}")
    if algorithm.upper().endswith("-SESS"):
        a1 = h(f"{a1}:{nonce}:{cnonce}")
    a2 = h(f"{method}:{uri}")
    return h(f"{a1}:{nonce}:00000001:{cnonce}:{qop}:{a2}" if qop else f"{a1}:{nonce}:{a2}")


class DigestLogin:
    """RFC 7616 with MD5, SHA-256 and their -sess forms; qop "auth", or none as in RFC 2069."""

    bound = False
    spent = False

    def __init__(self, credentials: tuple[str, str], uri: str, method: str = "CONNECT") -> None:
        self._user, self._password = credentials
        self._uri, self._method = uri, method
        self._renewed = False

    def answer(self, challenges: Sequence[Challenge]) -> str | None:
        """The response to the first challenge that can be answered; to a stale nonce once more (RFC 7616 §3.3)."""
        mine = [challenge.parameters for challenge in challenges if challenge.scheme == "Digest"]
        if self.spent:
            stale = any(parameters.get("stale", "").lower() == "true" for parameters in mine)
            if self._renewed or not stale:
                return None
            self._renewed = True
        for parameters in mine:
            name = parameters.get("algorithm", "MD5").upper().removesuffix("-SESS")
            qops = {qop.strip().lower() for qop in parameters.get("qop", "").split(",")} - {""}
            if name in _ALGORITHMS and (not qops or "auth" in qops) and parameters.get("nonce"):
                self.spent = True
                return self._value(parameters, "auth" if qops else "")
        raise UnusableError("the proxy's Digest challenge asks for an algorithm or a protection that netdiag cannot do")

    def _value(self, parameters: dict[str, str], qop: str) -> str:
        algorithm = parameters.get("algorithm", "MD5")
        realm, nonce, cnonce = parameters.get("realm", ""), parameters["nonce"], secrets.token_hex(16)
        response = digest_response(
            algorithm=algorithm,
            user=self._user,
            password=self._password,
            realm=realm,
            nonce=nonce,
            method=self._method,
            uri=self._uri,
            qop=qop,
            cnonce=cnonce,
        )
        user = self._user
        hashed = parameters.get("userhash", "").lower() == "true"
        if hashed:  # RFC 7616 §3.4.4
            digest = _ALGORITHMS[algorithm.upper().removesuffix("-SESS")]
            user = hashlib.new(digest, f"{user}:{realm}".encode(), usedforsecurity=False).hexdigest()
        parts = [f"username={_quote(user)}", f"realm={_quote(realm)}", f"nonce={_quote(nonce)}"]
        parts += [f"uri={_quote(self._uri)}", f'response="{response}"']
        if "algorithm" in parameters:
            parts.append(f"algorithm={algorithm}")
        if "opaque" in parameters:
            parts.append(f"opaque={_quote(parameters['opaque'])}")
        if qop:
            parts += [f"qop={qop}", "nc=00000001"]
        if qop or algorithm.upper().endswith("-SESS"):
            parts.append(f'cnonce="{cnonce}"')
        if hashed:
            parts.append("userhash=true")
        return "Digest " + ", ".join(parts)


class SecurityLogin:
    """NTLM and Negotiate (RFC 4559, MS-NTHT) through pyspnego: SSPI on Windows, else GSSAPI or pyspnego's own NTLM.

    Without credentials it uses those of the current user, which is a Kerberos ticket, or on Windows the logon itself.
    """

    bound = True

    def __init__(self, scheme: str, credentials: tuple[str, str] | None, proxy_host: str, deadline: Deadline) -> None:
        self._scheme, self._deadline = scheme, deadline
        self._legs = 0
        user, password = credentials or (None, None)
        self._context = self._attempt(lambda: _context(scheme, user, password, proxy_host))

    @property
    def spent(self) -> bool:
        """True after a second message: that one proves the password. A lone Kerberos token proves no password."""
        return self._legs >= 2

    def answer(self, challenges: Sequence[Challenge]) -> str | None:
        """The next token; None when the context is complete, or the proxy starts over, which is its refusal."""
        offered = [challenge.token for challenge in challenges if challenge.scheme == self._scheme]
        if not offered or self._context.complete or (self._legs and not offered[0]):
            return None
        try:
            token = base64.b64decode(offered[0], validate=True) or None
        except (binascii.Error, ValueError) as error:
            raise UnusableError("the proxy sent a token that is not base64") from error
        reply = self._attempt(lambda: self._context.step(token))
        if not reply:
            return None
        self._legs += 1
        return f"{self._scheme} {base64.b64encode(reply).decode('ascii')}"

    def _attempt(self, work: Any) -> Any:
        """Run pyspnego, which may wait for a Kerberos server and raises whatever its back ends raise."""
        try:
            return bounded(work, self._deadline)
        except ImportError as error:
            raise UnusableError("pyspnego is not installed") from error
        except TimeoutError as error:
            raise UnusableError("the system's authentication library gave no answer in time") from error
        except Exception as error:  # GSSAPI, SSPI and parsers of foreign tokens share no base class
            raise UnusableError(_reason(error)) from error


#: What MIT's and Heimdal's GSSAPI say in the middle of a paragraph when nobody has logged in.
_NO_TICKET = re.compile(r"no (?:kerberos )?credentials", re.IGNORECASE)


def _reason(error: Exception) -> str:
    """The library's words, short enough for a report."""
    text = " ".join(str(error).split())
    if _NO_TICKET.search(text):
        return "neither a password nor a Kerberos ticket is at hand"
    return re.sub(r"SpnegoError \(\d+\): ", "", text)[:300] or type(error).__name__


def _context(scheme: str, user: str | None, password: str | None, proxy_host: str) -> Any:
    import spnego

    return spnego.client(user, password, hostname=proxy_host, service="HTTP", protocol=scheme.lower())
