"""The text of one entry -> its facts: where it wanted to connect to, which assembly, which certificate, how long.

Contract: pure. ``plain`` is the text with single blanks; ``solid`` is it without any, so that what was wrapped in the
middle of a word is found whole. A host is a valid name or address, or it is not told.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import cached_property

from netdiag.model import LogAssembly, LogPlace

#: Of one entry.
MAX_PLACES = 6
MAX_IDS = 8

_GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_URL = re.compile(
    r"\b(net\.tcp|https?|sb|wss?|amqps?)://(?:[^@/\s'\"]{0,200}@)?(\[[0-9A-Fa-f:.]{2,45}\]|[\w.-]{1,253})(?::(\d{1,5}))?(?=[/\s'\",:)?#.]|;(?:\s|$)|$)"
)
_URL_SOLID = re.compile(
    r"(net\.tcp|https?|sb|wss?|amqps?)://(?:[^@/'\"]{0,200}@)?(\[[0-9A-Fa-f:.]{2,45}\]|[\w.-]{1,253})(?::(\d{1,5}))?(?=[/'\",:)?#]|$)"
)
_ADDRESS = re.compile(
    r"(?<![\w.:/\[])(?:(\d{1,3}(?:\.\d{1,3}){3})|\[([0-9a-fA-F:]{2,45}(?:%\d+)?)\]):(\d{1,5})(?![\d.]*\d)"
)
#: Names behind the words that .NET, WCF and SQL clients put before them; in other languages what stands in quotation
#: marks after the exception's type.
_NAMES = (
    re.compile(r"(?:remote|proxy) name could not be resolved:\s*'([\w.-]{1,253})'", re.IGNORECASE),
    re.compile(r"No DNS entries exist for host\s+([\w.-]{1,253}?)(?=\.?(?:\s|$|---))", re.IGNORECASE),
    re.compile(r"No such host is known\.?\s*\(([\w.-]{1,253}):(\d{1,5})\)", re.IGNORECASE),
    re.compile(r"Cannot connect to (?:SQL Server|[\w ]{2,40}):\s*'([\w.-]{1,253})(?:,(\d{1,5}))?'", re.IGNORECASE),
    re.compile(r"(?:WebException|HttpRequestException)[^'\"]{0,200}['\"„«]([\w-]+(?:\.[\w-]+)+)(?::(\d{1,5}))?['\"“»]"),
    re.compile(r"\(([\w-]+(?:\.[\w-]+)+):(\d{1,5})\)"),
)
_ASSEMBLY = re.compile(
    r"['\"„«](?:file:///)?([^'\"„“«»,=]{1,260}),Version=([\d.]{1,40}),Culture=[\w-]{1,20},PublicKeyToken=(\w{1,32})",
    re.IGNORECASE,
)
_LOAD = re.compile(
    r"(?:load(?:DLL|fileorassembly)|laden|charger|cargar|caricare)[^'\"„«]{0,60}['\"„«](?:file:///)?([^'\"„“«»,]{1,260})['\"“»]",
    re.IGNORECASE,
)
_DLL = re.compile(r"['\"„«]([\w.-]{1,120}\.dll)['\"“»]", re.IGNORECASE)
_SPAN = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2}):(\d{2})\.(\d{1,7})(?!\d)")
_SPAN_IN_SECONDS = re.compile(
    r"(?:after|within|in|nach|après)\s?(\d{1,6})\s?(ms|milliseconds|seconds|s)\b", re.IGNORECASE
)
_STATUS = re.compile(
    r"(?:\((4\d\d|5\d\d)\)|status\s?(?:code)?\W{0,4}['\"(]?(4\d\d|5\d\d)\b|HTTP/\d\.\d (4\d\d|5\d\d)\b)", re.IGNORECASE
)
_CERTIFICATE = re.compile(
    r"X\.?509[\w ,'’]{1,40}?\s((?:CN|OU|O|E|SERIALNUMBER)=.{1,400}?)(?=\s+(?:chain building|is "
    r"not|was not|has |n'|konnte|Fehler|failed)|\s*['\"“»]|\.\s|$)",
    re.IGNORECASE,
)
_CERTIFICATE_QUOTED = re.compile(r"certificate\s?['\"„«]([^'\"„“«»]{1,200})['\"“»]", re.IGNORECASE)
_SUBJECT = re.compile(r"\bCN=[^'\"<>;\n]{1,200}?(?=,\s?(?:OU|O|L|S|ST|C|DC)=|\s(?:chain|is |was |has )|['\"<>;]|$)")
_ACTIVITY = re.compile(
    rf"(?:activity[\s_-]?(?:run)?[\s_-]?id|correlation[\s_-]?id|aktivitäts-?id)\W{{0,6}}({_GUID})", re.IGNORECASE
)
_REPORT = re.compile(rf"report[\s_-]?id\W{{0,6}}({_GUID}|[0-9A-Za-z-]{{6,64}})", re.IGNORECASE)


@dataclass(frozen=True)
class Wording:
    """One text in two spellings."""

    text: str

    @cached_property
    def plain(self) -> str:
        """With single blanks."""
        return " ".join(self.text.split())

    @cached_property
    def solid(self) -> str:
        """Without blanks."""
        return "".join(self.text.split())


def is_host(name: str) -> bool:
    """Whether it is an address, or a name that DNS could hold (RFC 1123 §2.1, and the underscores of Windows)."""
    bare = name.removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        labels = name.rstrip(".").split(".")
        numeric = all(label.isdigit() for label in labels)
        return len(name) <= 253 and not numeric and all(_LABEL.fullmatch(label) for label in labels)
    return True


def places(words: Wording) -> tuple[LogPlace, ...]:
    """Hosts and ports: of URLs, then of names in sentences, then addresses that none of these had."""
    found: dict[tuple[str, int | None], LogPlace] = {}

    def keep(host: str, port: str | None, scheme: str = "") -> None:
        host = host.strip(".").removeprefix("[").removesuffix("]").partition("%")[0]
        number = int(port) if port and 0 < int(port) < 65536 else _default_port(scheme)
        same = next(
            (key for key in found if key[0] == host.lower() and (key[1] == number or None in (key[1], number))), None
        )
        if is_host(host) and len(found) < MAX_PLACES:
            if same is None:
                found[host.lower(), number] = LogPlace(host=host, port=number, scheme=scheme.lower())
            elif same[1] is None and number is not None:
                found[host.lower(), number] = LogPlace(host=host, port=number, scheme=found.pop(same).scheme or scheme)

    for match in _urls(words):
        keep(match[2], match[3], match[1])
    for pattern in _NAMES:
        for match in pattern.finditer(words.plain):
            keep(match[1], match[2] if pattern.groups > 1 else None)
    addresses = [(match[1] or match[2], match[3]) for match in _ADDRESS.finditer(words.plain)]
    listed = list(found.values())
    for host, port in dict.fromkeys(addresses):
        owner = next((n for n, place in enumerate(listed) if _of(place, port)), None)
        if owner is None:
            keep(host, port)
        elif is_host(host) and not listed[owner].address:
            place = listed[owner]
            listed[owner] = LogPlace(host=place.host, port=place.port, scheme=place.scheme, address=host)
    rest = [place for place in found.values() if (place.host, place.port) not in {(p.host, p.port) for p in listed}]
    return tuple((listed + rest)[:MAX_PLACES])


def _of(place: LogPlace, port: str) -> bool:
    """Whether an address with that port is a name's, which the same text tells."""
    try:
        ipaddress.ip_address(place.host)
    except ValueError:
        return place.port == int(port)
    return False


#: Documentation that error texts point at: nothing that they wanted to connect to.
_NO_TARGETS = (
    "go.microsoft.com",
    "schemas.microsoft.com",
    "docs.microsoft.com",
    "learn.microsoft.com",
    "aka.ms",
    "www.w3.org",
    "schemas.xmlsoap.org",
    "tempuri.org",
    "support.microsoft.com",
    "www.java.com",
)


def _urls(words: Wording) -> list[re.Match[str]]:
    """URLs; where wrapping may have cut one, as it is without blanks."""
    found = []
    solid = list(_URL_SOLID.finditer(words.solid))
    for n, match in enumerate(_URL.finditer(words.plain)):
        whole = match[3] is not None or words.plain[match.end() : match.end() + 1] == "/"
        better = (
            solid[n] if not whole and n < len(solid) and solid[n][2].startswith(match[2]) and solid[n][3] else match
        )
        found.append(better)
    if not found:
        found = solid
    return [match for match in found if match[2].lower() not in _NO_TARGETS]


def _default_port(scheme: str) -> int | None:
    return {"https": 443, "http": 80, "net.tcp": 808, "sb": 443, "wss": 443, "ws": 80}.get(scheme.lower())


def assembly(words: Wording) -> LogAssembly | None:
    """The assembly or DLL that could not be loaded."""
    named = _ASSEMBLY.search(words.solid)
    if named:
        return LogAssembly(
            name=named[1].replace("\\", "/").rpartition("/")[2], version=named[2], public_key_token=named[3]
        )
    bare = _LOAD.search(words.solid) or _DLL.search(words.solid)
    return LogAssembly(name=bare[1].replace("\\", "/").rpartition("/")[2]) if bare else None


def certificate(words: Wording) -> str:
    """The subject of the certificate that the text is about."""
    match = _CERTIFICATE.search(words.plain) or _CERTIFICATE_QUOTED.search(words.plain)
    if match is None:
        match = _SUBJECT.search(words.plain)
        return match[0].strip(" ,.") if match else ""
    return match[1].strip(" ,.\\")


def waited_s(words: Wording) -> float | None:
    """How long the attempt lasted, as WCF tells it."""
    span = _SPAN.search(words.solid)
    if span:
        return int(span[1]) * 3600 + int(span[2]) * 60 + float(f"{span[3]}.{span[4]}")
    seconds = _SPAN_IN_SECONDS.search(words.plain)
    if seconds:
        return int(seconds[1]) / (1000 if seconds[2].startswith("m") else 1)
    return None


def statuses(words: Wording) -> tuple[int, ...]:
    """HTTP status codes of failures."""
    found = [int(next(filter(None, match.groups()))) for match in _STATUS.finditer(words.plain)]
    return tuple(dict.fromkeys(found))[:4]


def activity_ids(words: Wording) -> tuple[str, ...]:
    """Identifiers that the service's support asks for."""
    found = _ACTIVITY.findall(words.text)
    if not found and "\n" in words.text:  # wrapped
        found = _ACTIVITY.findall(words.solid)
    return tuple(dict.fromkeys(identifier.lower() for identifier in found))[:MAX_IDS]


def report_ids(words: Wording) -> tuple[str, ...]:
    """Identifiers of error reports that were sent."""
    return tuple(dict.fromkeys(match[1] for match in _REPORT.finditer(words.plain)))[:MAX_IDS]
