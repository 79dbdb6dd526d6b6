"""A rule file -> its firewalls. What it is, is told by its content, never by its name.

Contract: a file that holds no rule that could be read is a ``UsageError``; what else was not understood is told.
"""

from __future__ import annotations

import msgspec

from netdiag.allowlist.entries import Firewall
from netdiag.allowlist.iptables import looks_like_iptables, read_iptables
from netdiag.allowlist.nft import looks_like_nft, read_nft
from netdiag.allowlist.nsg import MAX_GROUPS, groups, read_group
from netdiag.allowlist.plain import read_list
from netdiag.allowlist.reading import read_text, shown
from netdiag.allowlist.source import Asked
from netdiag.allowlist.table import columns, header, read_csv, read_objects
from netdiag.allowlist.windows import looks_like_netsh, read_netsh
from netdiag.model import UsageError

_KNOWN = (
    "a list of addresses, CSV with a header, NSG JSON, iptables-save, iptables -L -n, nft list ruleset, "
    "netsh advfirewall firewall show rule name=all"
)


def read_rules(path: str, asked: Asked) -> tuple[Firewall, ...]:
    """The firewalls in a file, or in stdin ("-"); several only of network security groups."""
    name, text = shown(path), read_text(path)
    firewalls = _json(text, name, asked) if text.lstrip()[:1] in "[{" else None
    if firewalls is None:
        firewalls = (_text(text, name, asked),)
    if not any(firewall.rules for firewall in firewalls):
        first = next((firewall.unread[0] for firewall in firewalls if firewall.unread), None)
        met = f" ({first.place}: {first.text.strip()[:40]!r})" if first else ""
        raise UsageError(f"{name}: no firewall rule in it could be read{met}; what can be: {_KNOWN}")
    return firewalls


def _text(text: str, name: str, asked: Asked) -> Firewall:
    lines = text.splitlines()
    if looks_like_nft(lines):
        return read_nft(text, asked, name)
    if looks_like_iptables(lines):
        return read_iptables(lines, asked, name)
    if looks_like_netsh(lines):
        return read_netsh(lines, asked)
    if header(lines) is not None:
        return read_csv(lines, asked)
    return read_list(lines, asked.tags)


def _json(text: str, name: str, asked: Asked) -> tuple[Firewall, ...] | None:
    """The firewalls of a JSON document; None for a text that only begins like one ("[2603::]/32")."""
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError):
        return None
    found = list(groups(value))
    if found:
        if len(found) > MAX_GROUPS:
            raise UsageError(f"{name}: {len(found)} network security groups: name the ones that matter")
        return tuple(read_group(title, rules, asked) for title, rules in found)
    value = value.get("value", value) if isinstance(value, dict) else value
    objects = value if isinstance(value, list) else [value]
    if objects and all(isinstance(each, str) for each in objects):
        return (read_list(objects, asked.tags),)
    if objects and all(isinstance(each, dict) for each in objects):
        named = columns(objects[0]).values()
        if "destination" in named:
            return (read_objects(objects, asked),)
        if {"direction", "action"} <= set(named):
            raise UsageError(
                f"{name}: Windows rules without their addresses, which PowerShell keeps apart; save what netsh "
                "advfirewall firewall show rule name=all verbose prints"
            )
    raise UsageError(f"{name}: JSON without firewall rules; what can be read: {_KNOWN}")
