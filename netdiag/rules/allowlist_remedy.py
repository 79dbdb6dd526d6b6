"""How to let through what a firewall keeps back, in that firewall's own words. Pure; any text may be hostile.

The owner of a list or table has a product that netdiag does not know: there the prefixes themselves are the remedy.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from netdiag.model import AllowlistObservation, Blame, Culprit, ServiceTagsObservation, TagCoverage
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted, few

#: More prefixes than this do not fit into a sentence; ``--list`` prints all.
_INLINE = 8


def blame(firewall: AllowlistObservation) -> Blame:
    """Whose the firewall is: Windows' own is this machine's, any other a device on the path."""
    return "this-machine" if firewall.kind == "windows" else "path-device"


def culprit(firewall: AllowlistObservation) -> Culprit:
    """The firewall, as far as the file names it."""
    named = firewall.kind == "nsg" and not firewall.what.endswith("group")
    return Culprit(name=firewall.what if named else f"the firewall of {firewall.path}")


def to_add(seen: Seen, firewall: AllowlistObservation, coverage: TagCoverage) -> str:
    """What its owner has to do."""
    if firewall.kind == "nsg":
        return f"Allow the service tag, which follows new addresses by itself: {_nsg(firewall, coverage)}"
    prefixes, port = coverage.missing.prefixes, coverage.port
    if coverage.missing.total > _INLINE:
        many = counted(coverage.missing.total, "prefix", "prefixes")
        return f"Allow TCP port {port} to {many}, which this prints one a line: {listing(seen, firewall, coverage)}"
    return {
        "iptables": f"On the firewall: {_iptables(firewall, prefixes, port)}",
        "nftables": f"On the firewall: {_nft(firewall, prefixes, port)}",
        "windows": f"In an elevated prompt: {_netsh(coverage.tag, prefixes, port)}",
    }.get(
        firewall.kind, f"Have the firewall's owner allow TCP port {port} to {', '.join(prefixes)}{_or_names(coverage)}"
    )


def listing(seen: Seen, firewall: AllowlistObservation, coverage: TagCoverage) -> str:
    """The command that prints what is missing."""
    tags = seen.get(firewall.parent or "")
    path = tags.path if isinstance(tags, ServiceTagsObservation) else "ServiceTags.json"
    port = "" if coverage.port == 443 else f" --port {coverage.port}"
    files = f"--tags {shlex.quote(path)} --rules {shlex.quote(firewall.path)}"
    return f"netdiag allowlist {files} --tag {shlex.quote(coverage.tag)}{port} --list"


def _or_names(coverage: TagCoverage) -> str:
    """Where there are rules by name, the better way."""
    return f"; or, better, to the name {few(coverage.unnamed)}" if coverage.unnamed else ""


def _nsg(firewall: AllowlistObservation, coverage: TagCoverage) -> str:
    name = firewall.what.removeprefix("network security group").strip() or "NSG"
    rule = shlex.quote(f"Allow-{coverage.tag}-{coverage.port}")
    before = f" below that of {coverage.kept_back_by}" if coverage.kept_back_by else ""
    return (
        f"az network nsg rule create --resource-group GROUP --nsg-name {shlex.quote(name)} --name {rule} "
        f"--priority PRIORITY --direction Outbound --access Allow --protocol Tcp "
        f"--destination-address-prefixes {shlex.quote(coverage.tag)} --destination-port-ranges {coverage.port}, "
        f"where PRIORITY is a free number{before}"
    )


def _iptables(firewall: AllowlistObservation, prefixes: Sequence[str], port: int) -> str:
    chain = firewall.what.rpartition("chain ")[2] or "FORWARD"
    commands = []
    for command, family in (("iptables", [p for p in prefixes if ":" not in p]), ("ip6tables", _six(prefixes))):
        if family:
            match = f"-p tcp -d {','.join(family)} --dport {port}"
            commands.append(f"{command} -I {shlex.quote(chain)} {match} -j ACCEPT")
    return "; ".join(commands)


def _nft(firewall: AllowlistObservation, prefixes: Sequence[str], port: int) -> str:
    """The first of the chains that are judged; with several, each has to let it through."""
    chain = firewall.what.rpartition("chain ")[2].partition(",")[0] or "inet filter forward"
    commands = []
    for field, family in (("ip", [p for p in prefixes if ":" not in p]), ("ip6", _six(prefixes))):
        if family:
            match = f"{field} daddr {{ {', '.join(family)} }} tcp dport {port} accept"
            commands.append(f"nft insert rule {chain} '{match}'")
    return "; ".join(commands)


def _netsh(tag: str, prefixes: Sequence[str], port: int) -> str:
    rule = f'name="Azure {tag}" dir=out action=allow protocol=TCP remoteport={port} remoteip={",".join(prefixes)}'
    return f"netsh advfirewall firewall add rule {rule}"


def _six(prefixes: Sequence[str]) -> list[str]:
    return [prefix for prefix in prefixes if ":" in prefix]
