"""Service-tag files as Microsoft publishes them, small and complete, and rules that go with them.

``python -m tests.service_tags`` writes the ones in ``examples/``. Some prefixes of DataFactory.WestUS2 are real, the
others are made up near real ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

WEST_US_2 = (
    "13.66.143.128/28",
    "20.42.132.0/23",
    "20.51.12.192/27",
    "20.51.13.0/26",
    "40.78.245.16/28",
    "2603:1030:c06:2::440/122",
    "2603:1030:c06:2::500/121",
)
WEST_US = ("13.86.219.208/28", "20.49.112.128/27", "40.82.250.64/27", "2603:1030:a07::440/122")
UK_SOUTH = ("20.90.64.0/25", "51.140.212.112/28", "2603:1020:705:1::480/121")
MANAGEMENT = ("13.66.143.224/28", "20.42.134.0/26", "52.151.27.0/28")
TAGS: dict[str, tuple[str, ...]] = {
    "DataFactory": (*WEST_US_2, *WEST_US, *UK_SOUTH),
    "DataFactory.WestUS2": WEST_US_2,
    "DataFactory.WestUS": WEST_US,
    "DataFactory.UKSouth": UK_SOUTH,
    "DataFactoryManagement": MANAGEMENT,
    "ServiceBus": ("13.66.138.64/29", "40.65.108.146/32", "2603:1030:c06:1::220/123"),
    "Storage": ("20.150.68.0/24", "52.239.148.0/22"),
    "Sql": ("13.66.136.0/26", "40.78.240.0/26"),
    "AzureKeyVault": ("13.66.138.88/30", "51.140.146.56/30"),
    "AzureActiveDirectory": ("20.190.128.0/18", "40.126.0.0/18", "2603:1006:2000::/48"),
    "AzureCloud": ("13.64.0.0/11", "20.40.0.0/13", "20.48.0.0/12", "40.64.0.0/10", "20.150.0.0/15", "2603:1000::/24"),
}


def tag_file(
    tags: Mapping[str, Sequence[str]] = TAGS, *, cloud: str = "Public", change: int | str = 364
) -> dict[str, object]:
    """The content of a file with these tags."""
    values = []
    for number, (name, prefixes) in enumerate(tags.items()):
        service, _, region = name.partition(".")
        properties = {
            "changeNumber": 1 + number,
            "region": region.lower(),
            "regionId": number if region else 0,
            "platform": "Azure",
            "systemService": service,
            "addressPrefixes": list(prefixes),
            "networkFeatures": ["API", "NSG"],
        }
        values.append({"name": name, "id": name, "properties": properties})
    return {"changeNumber": change, "cloud": cloud, "values": values}


def write_tags(path: Path, tags: Mapping[str, Sequence[str]] = TAGS, **changes: object) -> str:
    """The file, written; its path as text."""
    path.write_text(json.dumps(tag_file(tags, **changes), indent=2), encoding="utf-8")  # type: ignore[arg-type]
    return str(path)


def nsg(name: str, rules: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """A network security group as ``az network nsg show`` prints it, without what does not matter."""
    return {"name": name, "type": "Microsoft.Network/networkSecurityGroups", "securityRules": [dict(r) for r in rules]}


def nsg_rule(name: str, priority: int, access: str, to: str | Sequence[str], **changes: object) -> dict[str, object]:
    """An outbound rule for TCP port 443, as az prints it."""
    return {
        "name": name,
        "priority": priority,
        "direction": "Outbound",
        "access": access,
        "protocol": "Tcp",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": to if isinstance(to, str) else None,
        "destinationAddressPrefixes": [] if isinstance(to, str) else list(to),
        "destinationPortRange": "443",
        "destinationPortRanges": [],
        **changes,
    }


RULES = """\
# corporate firewall, rule 118: integration runtime, TCP 443
13.66.143.128/28
20.42.132.0-20.42.132.255   # only the first half of what is there now
20.51.12.192/27
40.78.245.16 255.255.255.240
51.104.9.32/28              # Azure, years ago
*.servicebus.windows.net
login.microsoftonline.com
"""


def main() -> None:
    """Write the examples."""
    folder = Path(__file__).resolve().parent.parent / "examples"
    write_tags(folder / "service-tags.json")
    (folder / "firewall.txt").write_text(RULES, encoding="utf-8")


if __name__ == "__main__":
    main()
