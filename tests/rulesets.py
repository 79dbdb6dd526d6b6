"""Rule files in tests: what a firewall lets through to a port, as the smallest list of prefixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netdiag.allowlist.addresses import EVERYTHING, Addresses, union
from netdiag.allowlist.entries import Firewall, conditions, decide
from netdiag.allowlist.formats import read_rules
from netdiag.allowlist.source import Asked
from netdiag.allowlist.tags import TagFile, read_tags
from tests.service_tags import write_tags


def read(folder: Path, text: str | bytes, **asked: Any) -> Firewall:
    """The only firewall of a file with this content."""
    path = folder / "rules"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (found,) = read_rules(str(path), Asked(**asked))
    return found


def tags(folder: Path) -> TagFile:
    """The service tags of the tests."""
    return read_tags(write_tags(folder / "tags.json"))


def allowed(firewall: Firewall, port: int = 443) -> Addresses:
    """What gets through."""
    found = EVERYTHING
    for layer in firewall.layers(port):
        found = found & decide(layer).of("allow")
    return found


def through(firewall: Firewall, port: int = 443, *, told: bool = True) -> list[str]:
    """The prefixes that get through; with ``told`` False, those that nothing is said about."""
    if told:
        return list(allowed(firewall, port).prefixes())
    decided = [decide(layer) for layer in firewall.layers(port)]
    return list((EVERYTHING - union(each.of(what) for each in decided for what in ("allow", "deny"))).prefixes())


def unread(firewall: Firewall) -> list[tuple[str, str]]:
    """Where something was not understood, and what it might do."""
    return [(each.place, each.may) for each in firewall.unread]


def assumed(firewall: Firewall, port: int = 443) -> list[str]:
    """The conditions that were not tested."""
    return list(dict.fromkeys(conditions(entry for layer in firewall.layers(port) for entry in layer)))
