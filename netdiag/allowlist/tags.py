"""The service-tag file that Microsoft publishes each week: which prefixes each service has, by region.

Contract: the JSON of the download (ids 56519 public, 57063 US Government, 57062 China, 57064 Germany), or what
``az network list-service-tags`` prints. Unreadable prefixes are counted, never dropped silently. The shape is told in
learn.microsoft.com/azure/virtual-network/service-tags-overview.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

import msgspec

from netdiag.allowlist.addresses import Addresses, parse_prefix, parse_prefixes
from netdiag.allowlist.reading import read_text, shown
from netdiag.model import UsageError

Cloud = Literal["public", "gov", "china", "germany", ""]
#: Where each cloud's file is found: the id of its page in the Microsoft Download Center.
DOWNLOADS: dict[Cloud, str] = {"public": "56519", "gov": "57063", "china": "57062", "germany": "57064"}
DOWNLOAD = "https://www.microsoft.com/download/details.aspx?id="

_DATE = re.compile(r"(?<!\d)(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")


class _Properties(msgspec.Struct, rename="camel"):
    region: str | None = None
    system_service: str | None = None
    address_prefixes: list[str] | None = None


class _Value(msgspec.Struct):
    name: str
    properties: _Properties | None = None


class _File(msgspec.Struct, rename="camel"):
    values: list[_Value]
    cloud: str | None = None
    change_number: int | str | None = None


@dataclass(frozen=True, kw_only=True)
class Tag:
    """One tag. ``region`` is empty for the whole cloud."""

    name: str
    region: str = ""
    service: str = ""
    prefixes: tuple[str, ...] = field(default=(), repr=False)

    def addresses(self) -> Addresses:
        """What it covers, without the prefixes that cannot be read."""
        return parse_prefixes(self.prefixes)

    def unreadable(self) -> tuple[str, ...]:
        """Prefixes that are none."""
        return tuple(text for text in self.prefixes if parse_prefix(text) is None)


@dataclass(frozen=True, kw_only=True)
class TagFile:
    """One file. ``date`` is what its name says ("2025-07-28"), empty where that says nothing."""

    path: str
    cloud: str
    change_number: str
    date: str
    tags: dict[str, Tag] = field(repr=False)

    def get(self, name: str) -> Tag | None:
        """The tag of this name, in any case of letters (so NSGs take them)."""
        return self.tags.get(name.lower())

    def regional(self, service: str, region: str) -> Tag | None:
        """The tag of a service for one region, by the region's name ("westus2"); the whole cloud's for none."""
        if not region:
            return self.get(service)
        prefix = f"{service.lower()}."
        for key, tag in self.tags.items():
            if key.startswith(prefix) and region in (tag.region.lower(), key.removeprefix(prefix)):
                return tag
        return None

    def regions(self, service: str) -> tuple[str, ...]:
        """Every region that the service has a tag for."""
        prefix = f"{service.lower()}."
        return tuple(
            dict.fromkeys(
                (tag.region or key.removeprefix(prefix)).lower()
                for key, tag in self.tags.items()
                if key.startswith(prefix)
            )
        )

    def everything(self) -> Addresses:
        """What any tag covers."""
        return parse_prefixes({text for tag in self.tags.values() for text in tag.prefixes})

    def like(self, name: str) -> tuple[str, ...]:
        """Names that ``name`` may be a slip for."""
        close = difflib.get_close_matches(name.lower(), self.tags, n=3, cutoff=0.6)
        return tuple(self.tags[key].name for key in close)

    @property
    def kind(self) -> Cloud:
        """Which cloud it is of; empty where the file says something else."""
        said = self.cloud.lower()
        names: dict[str, Cloud] = {"public": "public", "gov": "gov", "china": "china", "german": "germany"}
        return next((cloud for word, cloud in names.items() if word in said), "")


def read_tags(path: str) -> TagFile:
    """The service tags in a file, or in stdin ("-"). Raises ``UsageError``."""
    name, text = shown(path), read_text(path)
    if text.lstrip()[:1] == "<":
        where = f"{DOWNLOAD}{DOWNLOADS['public']}"
        raise UsageError(f"{name}: a web page, not the JSON file that it offers ({where} has it for the public cloud)")
    try:
        raw = msgspec.json.decode(text.encode(), type=_File)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"{name}: JSON, but no service-tag file: {error}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{name}: no service-tag file: not JSON: {error}") from None
    tags = {tag.name.lower(): tag for tag in _tags(raw.values)}
    if not tags:
        raise UsageError(f"{name}: there is no service tag in it")
    date = _DATE.search(PurePath(path).name)
    return TagFile(
        path=name,
        cloud=raw.cloud or "",
        change_number="" if raw.change_number is None else str(raw.change_number),
        date="-".join(date.groups()) if date else "",
        tags=tags,
    )


def _tags(values: Iterable[_Value]) -> Iterator[Tag]:
    for value in values:
        properties = value.properties or _Properties()
        if value.name and properties.address_prefixes is not None:
            yield Tag(
                name=value.name,
                region=properties.region or "",
                service=properties.system_service or "",
                prefixes=tuple(properties.address_prefixes),
            )
