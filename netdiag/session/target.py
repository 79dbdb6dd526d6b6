"""What the user typed -> ``Target``."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from netdiag.model import Scheme, Target, UsageError
from netdiag.probes.names import canonical_address, canonical_host
from netdiag.probes.net import Address

#: That integration runtimes listen on for each other, unless it was changed (learn.microsoft.com/azure/data-factory,
#: "Create a self-hosted integration runtime"). WCF's own default for net.tcp, 808, is never theirs.
NODE_PORT = 8060
#: Where they listen for each other, as their error messages have it.
NODE_PATH = "/ExternalService.svc/"
#: The longest address that WCF takes, in bytes (dotnet/wcf, FramingDecoders.cs).
_MAX_VIA = 2048

_PORTS: dict[Scheme, int] = {"https": 443, "http": 80, "tcp": 0, "net.tcp": NODE_PORT}


def parse_target(text: str) -> Target:
    """HOST, HOST:PORT, an address, [v6]:PORT, or a URL (https, http, tcp, net.tcp). The port defaults to 443.

    Raises ``UsageError`` with one line that names the text and what is wrong with it.
    """
    text = text.strip()
    try:
        return _from_url(text) if "://" in text else _from_host(text)
    except ValueError as error:
        raise UsageError(f"{_without_secret(text)[:200]!r} is not a target: {error}") from None


def parse_node(text: str) -> Target:
    """HOST, HOST:PORT, an address, [v6]:PORT, or net.tcp://HOST:PORT/PATH of a node. The port defaults to 8060.

    Raises ``UsageError`` with one line that names the text and what is wrong with it.
    """
    text = text.strip()
    try:
        if "://" not in text:
            found = _from_host(text, NODE_PORT)
            return Target(host=found.host, port=found.port, scheme="net.tcp", path=NODE_PATH)
        if not text.lower().startswith("net.tcp://"):
            raise ValueError("nodes talk net.tcp; write HOST, HOST:PORT or net.tcp://HOST:PORT/PATH")
        return _from_url(text)
    except ValueError as error:
        raise UsageError(f"{_without_secret(text)[:200]!r} is not a node: {error}") from None


def _without_secret(text: str) -> str:
    return re.sub(r"://[^/@]*@", "://***@", text)


def is_address(host: str) -> bool:
    """Whether a target's host is an address, which needs no lookup."""
    return ":" in host or host.replace(".", "").isdigit()


def parse_server(text: str) -> Address:
    """IP, IP:PORT or [v6]:PORT of a name server; the port defaults to 53. Raises ``UsageError``."""
    try:
        match = re.fullmatch(r"\[([^\]]*)\](?::(.*))?|([^:]*):([^:]*)", text)
        host, port = (match[1] or match[3] or "", match[4] if match[2] is None else match[2]) if match else (text, None)
        return Address(str(ipaddress.ip_address(host)), 53 if port is None else _port(port))
    except ValueError as error:
        raise UsageError(f"{text[:100]!r} is not a name server (IP or IP:PORT): {error}") from None


def _from_url(text: str) -> Target:
    parts = urlsplit(text)
    schemes: dict[str, Scheme] = {"https": "https", "http": "http", "tcp": "tcp", "net.tcp": "net.tcp"}
    scheme = schemes.get(parts.scheme)
    if scheme is None:
        raise ValueError(f"the scheme {parts.scheme!r} is none of {', '.join(schemes)}")
    if "@" in parts.netloc:
        raise ValueError("it holds credentials, and netdiag sends none to a target")
    if not parts.hostname:
        raise ValueError("it names no host")
    port = _PORTS[scheme] if parts.port is None else parts.port
    if port == 0:
        raise ValueError("tcp:// needs a port from 1 to 65535" if scheme == "tcp" else "port 0 cannot be connected to")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if re.search(r"[\x00-\x20\x7f]", path):
        raise ValueError("its path holds white space or control characters")
    if scheme == "net.tcp" and path == "/":
        path = NODE_PATH
    target = Target(host=canonical_host(parts.hostname), port=port, scheme=scheme, path=path)
    if scheme == "net.tcp" and len(f"{scheme}://{target.authority}{path}".encode()) > _MAX_VIA:
        raise ValueError(f"net.tcp allows an address of {_MAX_VIA} bytes")
    return target


def _from_host(text: str, default: int = 443) -> Target:
    if text.startswith("["):
        match = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", text)
        if not match:
            raise ValueError("after [ an IPv6 address and ] are expected, then :PORT or nothing")
        return Target(host=canonical_address(match[1]), port=_port(match[2], default))
    if text.count(":") > 1:
        return Target(host=canonical_address(text), port=default)
    host, colon, port = text.partition(":")
    return Target(host=canonical_host(host), port=_port(port if colon else None, default))


def _port(text: str | None, default: int = 443) -> int:
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"the port {text[:20]!r} is not a number from 1 to 65535")
    return int(text)
