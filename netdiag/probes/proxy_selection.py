"""Which proxy applies to a target on this machine, and which setting says so.

Contract: ``select`` never raises for what the machine is set to: a setting that cannot be used is a failed
``ProxySelection``. What the *user* wrote on the command line raises ``UsageError``. Credentials stay in
``ProxyServer``; no observation, message or ``repr`` carries them.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
import sys
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from netdiag.model import Failure, ProxySelection, Target, UsageError, authority
from netdiag.probes.machine import Machine
from netdiag.probes.net import Deadline, Step, Stopwatch
from netdiag.probes.threads import bounded

ProxyScheme = Literal["http", "https", "socks5"]

_SCHEMES: dict[str, ProxyScheme] = {
    "http": "http",
    "https": "https",
    "socks5": "socks5",
    "socks5h": "socks5",
    "socks": "socks5",
}
#: Ports a URL without one stands for: RFC 9110 §4.2, RFC 1928 §3.
_PORTS: dict[ProxyScheme, int] = {"http": 80, "https": 443, "socks5": 1080}
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")

#: The longest part of a setting that goes into a report; PAC answers and bypass lists are somebody else's text.
MAX_SETTING = 500


@dataclass(frozen=True, kw_only=True)
class ProxyServer:
    """One proxy. ``host`` is a name in A-label form or an address without brackets."""

    scheme: ProxyScheme
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The URL without credentials."""
        return f"{self.scheme}://{authority(self.host, self.port)}"


def without_credentials(text: str) -> str:
    """``text`` with everything before the last "@" of each word hidden, but for the scheme."""

    def hide(match: re.Match[str]) -> str:
        word = match.group()
        secret, at, rest = word.rpartition("@")
        scheme = _SCHEME.match(secret)
        return f"{scheme.group() if scheme else ''}***@{rest}" if at else word

    return re.sub(r"\S+", hide, text)


def parse_proxy(text: str) -> ProxyServer:
    """The proxy that a URL or HOST:PORT names. ``UsageError`` when it names none; the message hides credentials."""

    def refuse(why: str) -> UsageError:
        return UsageError(f"proxy {without_credentials(text)!r}: {why}")

    trimmed = text.strip()
    scheme_text, separator, rest = trimmed.partition("://")
    if not separator:
        scheme_text, rest = "http", trimmed
    scheme = _SCHEMES.get(scheme_text.lower())
    if scheme is None:
        raise refuse(f"the scheme is {scheme_text!r}; use http, https or socks5")
    # The last "@" ends the credentials: passwords are often written without percent-encoding.
    credentials, _, location = rest.rpartition("@")
    authority, _, path = location.partition("/")
    if path.lower().endswith((".pac", ".dat")):
        raise refuse("this looks like a PAC script; write pac:URL")
    host, port_text = _split_port(authority)
    host = _host(host)
    if not host:
        raise refuse("there is no valid host name or address in it")
    if port_text and not (port_text.isascii() and port_text.isdigit() and 1 <= int(port_text[:6]) <= 65535):
        raise refuse(f"port {port_text!r} is not a number from 1 to 65535")
    user, _, password = credentials.partition(":")
    return ProxyServer(
        scheme=scheme,
        host=host,
        port=int(port_text) if port_text else _PORTS[scheme],
        user=urllib.parse.unquote(user),
        password=urllib.parse.unquote(password),
    )


def _split_port(authority: str) -> tuple[str, str]:
    """Host without brackets, and the port's text. A bare IPv6 address has no port."""
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return host, rest.removeprefix(":") if rest.startswith(":") or not rest else "?"
    if authority.count(":") > 1:
        return authority, ""
    host, _, port = authority.partition(":")
    return host, port


def _host(text: str) -> str:
    """The host in A-label form or as an address, empty when it is neither."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        name = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return name.lower() if _HOST.fullmatch(name) else ""


#: Elsewhere urllib would only read the environment again, and it is slow to import.
PLATFORM_HAS_SETTINGS = sys.platform in ("win32", "darwin")


class Choice(NamedTuple):
    """What a setting decided, before it becomes an observation."""

    because: str
    setting: str = ""
    servers: tuple[ProxyServer, ...] = ()
    failure: Failure | None = None
    falls_back: bool = False


def select(
    machine: Machine,
    target: Target,
    setting: str,
    step: Step,
    *,
    deadline: Deadline,
    credentials: tuple[str, str] | None = None,
) -> tuple[ProxySelection, tuple[ProxyServer, ...]]:
    """The proxies to try for ``target``, in order, and the observation that says what decided.

    ``setting`` is "system", "none", a proxy's URL or HOST:PORT, or "pac:" with a file or URL. ``credentials`` replace
    those of a proxy's URL. Raises ``UsageError`` for a ``setting`` that names no proxy.
    """
    watch = Stopwatch()
    if setting == "none":
        choice = Choice("--proxy", "none")
    elif setting == "system":
        choice = _from_environment(machine.environment, target) or _from_platform(machine, target, deadline)
    elif setting.startswith("pac:"):
        choice = _from_pac(machine, setting.removeprefix("pac:"), target, deadline, "--proxy")
    else:
        server = parse_proxy(setting)
        choice = Choice("--proxy", server.url, (server,))
    servers = choice.servers
    if credentials is not None:
        servers = tuple(replace(server, user=credentials[0], password=credentials[1]) for server in servers)
    observation = ProxySelection(
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if choice.failure else "ok",
        failure=choice.failure,
        proxies=tuple(server.url for server in servers),
        falls_back=choice.falls_back,
        because=choice.because,
        setting=choice.setting[:MAX_SETTING],
    )
    return observation, servers


def _from_environment(environment: Mapping[str, str], target: Target) -> Choice | None:
    """What the environment says, None when it names no proxy for this scheme.

    Lower case wins, as in curl and requests. Plain TCP follows ALL_PROXY alone: a database driver does not read
    HTTPS_PROXY.
    """
    own = () if target.scheme == "tcp" else (f"{target.scheme}_proxy", f"{target.scheme}_proxy".upper())
    for variable in (*own, "all_proxy", "ALL_PROXY"):
        value = environment.get(variable, "").strip()
        if not value:
            continue
        for exception in ("no_proxy", "NO_PROXY"):
            entry = matching_exception(environment.get(exception, ""), target.host, target.port)
            if entry:
                return Choice(exception, entry)
        return _literal(variable, value)
    return None


def _literal(because: str, value: str) -> Choice:
    """The choice that a machine's setting makes by naming a proxy."""
    try:
        server = parse_proxy(value)
    except UsageError as error:
        failure = Failure(kind="proxy-setting", step="select", detail=str(error))
        return Choice(because, without_credentials(value), failure=failure)
    return Choice(because, server.url, (server,))


def matching_exception(no_proxy: str, host: str, port: int) -> str:
    """The entry of a NO_PROXY list that covers ``host:port``, empty when none does.

    The rules of curl and requests: "*" covers everything; "example.com" and ".example.com" cover that name and all
    below it; ":port" restricts an entry; addresses and CIDR blocks cover addresses. Names are not resolved.
    """
    name = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        address = None
    for entry in re.split(r"[,\s]+", no_proxy):
        if entry == "*":
            return entry
        if "/" in entry:
            if address is not None and _in_network(address, entry):
                return entry
            continue
        pattern, port_text = _split_port(entry.lower())
        if not pattern or (port_text and port_text != str(port)):
            continue
        if address is not None:
            if _same_address(address, pattern):
                return entry
        elif f".{name}".endswith("." + pattern.strip(".")) and pattern.strip("."):
            return entry
    return ""


_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def _in_network(address: _Ip, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False


def _same_address(address: _Ip, text: str) -> bool:
    try:
        return address == ipaddress.ip_address(text)
    except ValueError:
        return False


def _from_pac(machine: Machine, location: str, target: Target, deadline: Deadline, origin: str) -> Choice:
    """What a PAC script says. ``origin`` is the setting that names the script."""
    from netdiag.probes.pac import PacError, evaluate, load  # urllib and subprocess, which few runs need

    because = f"PAC {without_credentials(location)}" + ("" if origin == "--proxy" else f" ({origin})")
    answer = ""
    try:
        answer = evaluate(machine, load(machine, location, deadline), target, deadline)
        servers = parse_pac_answer(answer)
    except PacError as error:
        failure = Failure(kind="pac-error", step="select", detail=str(error))
        return Choice(because, without_credentials(answer), failure=failure)
    falls_back = bool(servers) and any(part.strip().upper() == "DIRECT" for part in answer.split(";"))
    return Choice(because, without_credentials(answer) or "DIRECT", servers, falls_back=falls_back)


_PAC_KEYWORDS = {"PROXY": "http", "HTTP": "http", "HTTPS": "https", "SOCKS": "socks5", "SOCKS5": "socks5"}


def parse_pac_answer(answer: str) -> tuple[ProxyServer, ...]:
    """The proxies of "PROXY a:1; SOCKS b:2; DIRECT", in order. An empty answer means DIRECT.

    What stands after DIRECT is never used. ``PacError`` when the answer names nothing that can be used.
    """
    from netdiag.probes.pac import PacError

    servers: list[ProxyServer] = []
    problems: list[str] = []
    for element in filter(None, (part.strip() for part in answer.split(";"))):
        keyword, _, location = element.partition(" ")
        if element.upper() == "DIRECT":
            return tuple(servers)
        scheme = _PAC_KEYWORDS.get(keyword.upper())
        if scheme is None or not location.strip():
            problems.append(f"{without_credentials(element)[:80]!r} is no proxy that can be used here")
            continue
        try:
            servers.append(parse_proxy(f"{scheme}://{location.strip()}"))
        except UsageError as error:
            problems.append(str(error))
    if problems and not servers:
        raise PacError(f"the script's answer cannot be used: {problems[0]}")
    return tuple(servers)


def _from_platform(machine: Machine, target: Target, deadline: Deadline) -> Choice:
    """What the settings of Windows or macOS say. Asked for by capability; other systems have only the environment."""
    nothing = Choice("no setting")
    if not (PLATFORM_HAS_SETTINGS and machine.system_settings) or target.scheme == "tcp":
        return nothing
    name, proxies, bypass = _platform_functions()
    if proxies is None or bypass is None:
        return nothing
    try:
        if script := bounded(_platform_script, deadline):
            return _from_pac(machine, script, target, deadline, name)
        found = bounded(proxies, deadline)
        value = found.get(target.scheme) or found.get("all") or found.get("socks", "")
        if not value:
            return nothing
        if bounded(lambda: bypass(target.host), deadline):  # it may look the host up
            return Choice(name, f"the list of exceptions covers {target.host}")
    except OSError as error:  # an unreadable registry, or a look-up that did not end
        return Choice(name, failure=Failure(kind="proxy-setting", step="select", detail=str(error)))
    return _literal(name, value)


def _platform_functions() -> tuple[str, Callable[[], dict[str, str]] | None, Callable[[str], object] | None]:
    """The platform's name for its settings, and urllib's functions that read its proxies and its exceptions."""
    request = importlib.import_module("urllib.request")
    for name, suffix in (("Windows settings", "registry"), ("macOS settings", "macosx_sysconf")):
        proxies = getattr(request, f"getproxies_{suffix}", None)
        bypass = getattr(request, f"proxy_bypass_{suffix}", None)
        if proxies is not None and bypass is not None:
            return name, proxies, bypass
    return "", None, None


def _platform_script() -> str:
    """The location of the PAC script that the system is set to, empty for none. WPAD is not guessed at."""
    from pypac import os_settings

    try:
        if sys.platform == "win32":
            return os_settings.autoconfig_url_from_registry() or ""
        if sys.platform == "darwin":
            return os_settings.autoconfig_url_from_preferences() or ""
    except ImportError:  # macOS without PyObjC cannot tell
        return ""
    return ""
