"""Profiles: a data file that says every address one service needs, expanded for a region.

Contract: reads one file, opens no socket. A bad name, region, value or file is a ``UsageError`` that says which.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from netdiag.model import Scheme, Target, UsageError

#: Profiles that come with netdiag: name -> (file, cloud).
BUILT_IN = {"adf": ("adf.toml", "public"), "adf-gov": ("adf.toml", "gov"), "adf-china": ("adf.toml", "china")}

#: Far above any list of addresses that a person edits; a wrong file (an image, a log) is told at once.
MAX_BYTES = 1_000_000
#: A list for each of several placeholders multiplies.
MAX_TARGETS = 2000

_REGION = re.compile(r"[a-z0-9]+")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An address that could not be written out, and the values that it lacks."""

    host: str
    port: int
    purpose: str
    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A profile for one region: what to test, and what was left out for want of a value."""

    name: str
    targets: tuple[Target, ...]
    skipped: tuple[Skipped, ...] = ()


class _Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    purpose: str = ""
    port: int = 443
    scheme: Scheme = "https"
    path: str = "/"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    endpoints: tuple[_Endpoint, ...]
    title: str = ""
    cloud: str = ""
    regions: tuple[str, ...] = ()
    values: dict[str, str | tuple[str, ...]] = {}
    clouds: dict[str, dict[str, str]] = {}


def expand_profile(text: str, values: Mapping[str, Sequence[str]] | None = None) -> Profile:
    """The targets of ``PROFILE:REGION`` or ``FILE.toml:REGION``; ``values`` go before those of the file.

    An address that contains a placeholder without a value is skipped, and noted. Raises ``UsageError``.
    """
    name, colon, region = text.rpartition(":")
    region = region.lower()
    if not colon or not name:
        raise UsageError(f"profile {text!r} is not PROFILE:REGION, such as adf:wu2 (profiles: {_known()})")
    source, cloud = _load(name)
    if not _REGION.fullmatch(region):
        seen = f" (seen so far: {', '.join(source.regions)})" if source.regions else ""
        raise UsageError(f"profile {name}: the region {region!r} is not letters and digits{seen}")
    cloud = cloud or source.cloud
    if cloud and cloud not in source.clouds:
        raise UsageError(f"profile {name}: cloud {cloud!r} is none of {', '.join(sorted(source.clouds)) or '(none)'}")
    given = _given(name, source, values or {})
    fixed = {key: (value,) for key, value in source.clouds.get(cloud, {}).items()}
    known = {**given, **fixed, "region": (region,)}
    targets: dict[Target, None] = {}
    skipped: list[Skipped] = []
    for endpoint in source.endpoints:
        wanted = dict.fromkeys(_PLACEHOLDER.findall(endpoint.host))
        strange = [key for key in wanted if key not in known]
        if strange:
            raise UsageError(
                f"profile {name}: {endpoint.host!r} names {{{strange[0]}}}, which has no entry in [values]"
            )
        missing = tuple(key for key in wanted if not known[key])
        if missing:
            skipped.append(
                Skipped(
                    host=_fill(endpoint.host, {key: value[0] for key, value in known.items() if value}),
                    port=endpoint.port,
                    purpose=endpoint.purpose,
                    missing=missing,
                )
            )
            continue
        for choice in itertools.product(*(known[key] for key in wanted)):
            targets[_target(name, endpoint, dict(zip(wanted, choice, strict=True)))] = None
            if len(targets) > MAX_TARGETS:
                raise UsageError(f"profile {name}: it expands to more than {MAX_TARGETS} addresses")
    return Profile(name=text, targets=tuple(targets), skipped=tuple(skipped))


def _known() -> str:
    return f"{', '.join(BUILT_IN)}, or a FILE.toml"


def _load(name: str) -> tuple[_File, str]:
    """The parsed file, and the cloud that the profile's name stands for, if it does."""
    if name in BUILT_IN:
        file, cloud = BUILT_IN[name]
        text = resources.files("netdiag").joinpath("profiles", file).read_text(encoding="utf-8")
        return _parse(name, text), cloud
    if not name.endswith(".toml") and not re.search(r"[/\\]", name):
        raise UsageError(f"profile {name!r} is unknown (profiles: {_known()})")
    try:
        with Path(name).open("rb") as file_:
            data = file_.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"profile {name}: cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"profile {name}: larger than {MAX_BYTES} bytes, so it is no profile")
    try:
        return _parse(name, data.decode("utf-8-sig")), ""
    except UnicodeDecodeError:
        raise UsageError(f"profile {name}: not UTF-8 text") from None


def _parse(name: str, text: str) -> _File:
    try:
        raw: dict[str, Any] = tomllib.loads(text)
        return msgspec.convert(raw, _File)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"profile {name}: not TOML: {error}") from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"profile {name}: {error}") from None


def _given(name: str, source: _File, values: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The values of the file and of the user, checked; an empty tuple for one that is not set."""
    strange = [key for key in values if key not in source.values]
    if strange:
        raise UsageError(f"profile {name}: no value is called {strange[0]!r} (values: {', '.join(source.values)})")
    given: dict[str, tuple[str, ...]] = {}
    for key, value in source.values.items():
        chosen = values.get(key) or ((value,) if isinstance(value, str) else value)
        given[key] = tuple(dict.fromkeys(item for item in chosen if item))
        for item in given[key]:
            if not _NAME.fullmatch(item):
                raise UsageError(f"profile {name}: {key} = {item!r} cannot be part of a host name")
    return given


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def _target(name: str, endpoint: _Endpoint, values: Mapping[str, str]) -> Target:
    host = _fill(endpoint.host, values).lower()
    if not _NAME.fullmatch(host):
        raise UsageError(f"profile {name}: {host!r} is not a host name")
    if not 1 <= endpoint.port <= 65535:
        raise UsageError(f"profile {name}: {host}: the port {endpoint.port} is not from 1 to 65535")
    if not endpoint.path.startswith("/") or not endpoint.path.isprintable():
        raise UsageError(f"profile {name}: {host}: the path {endpoint.path!r} does not begin with /")
    return Target(host=host, port=endpoint.port, scheme=endpoint.scheme, path=endpoint.path, purpose=endpoint.purpose)
