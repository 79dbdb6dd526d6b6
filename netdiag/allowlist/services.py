"""Which service tag the names of a service go with, and which region a name speaks of.

Contract: pure data and look-ups. Names are those of Microsoft's list of outbound requirements of a self-hosted
integration runtime (learn.microsoft.com/azure/data-factory/create-self-hosted-integration-runtime), tags and what they
cover those of learn.microsoft.com/azure/virtual-network/service-tags-overview. A name without a tag there is "not
known": no tag is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netdiag.allowlist.tags import Cloud

OVERVIEW = "learn.microsoft.com/azure/virtual-network/service-tags-overview"

#: The tag of what an integration runtime talks to, and that of an Azure-SSIS integration runtime in a virtual network
#: (azure-ssis-integration-runtime-express-virtual-network-injection, "Configure an NSG").
DATA_FACTORY = "DataFactory"
SSIS = "DataFactoryManagement"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service: the ends of its names by cloud, its tag, and what is to be known of that."""

    tag: str
    suffixes: tuple[tuple[str, Cloud], ...]
    #: The first label of its names, or the second, names the region.
    regional: bool = False
    remark: str = ""


SERVICES: tuple[Service, ...] = (
    Service(
        tag=DATA_FACTORY,
        suffixes=(
            (".frontend.clouddatahub.net", "public"),
            (".datafactory.azure.net", "public"),
            (".frontend.datamovement.azure.us", "gov"),
            (".datafactory.azure.us", "gov"),
            (".frontend.datamovement.azure.cn", "china"),
            (".datafactory.azure.cn", "china"),
        ),
        regional=True,
    ),
    Service(
        tag="ServiceBus",
        suffixes=(
            (".servicebus.windows.net", "public"),
            (".servicebus.usgovcloudapi.net", "gov"),
            (".servicebus.chinacloudapi.cn", "china"),
        ),
        remark="Microsoft describes the tag for the Premium tier of Service Bus only; allow a relay by its name",
    ),
    Service(
        tag="Storage",
        suffixes=(
            (".core.windows.net", "public"),
            (".core.usgovcloudapi.net", "gov"),
            (".core.chinacloudapi.cn", "china"),
        ),
    ),
    Service(
        tag="Sql",
        suffixes=(
            (".database.windows.net", "public"),
            (".sql.azuresynapse.net", "public"),
            (".database.usgovcloudapi.net", "gov"),
            (".database.chinacloudapi.cn", "china"),
        ),
    ),
    Service(
        tag="AzureKeyVault",
        suffixes=((".vault.azure.net", "public"), (".vault.usgovcloudapi.net", "gov"), (".vault.azure.cn", "china")),
    ),
    Service(tag="AzureDataLake", suffixes=((".azuredatalakestore.net", "public"),)),
    Service(
        tag="AzureActiveDirectory",
        suffixes=(
            ("login.microsoftonline.com", "public"),
            ("login.microsoftonline.us", "gov"),
            ("login.partner.microsoftonline.cn", "china"),
        ),
    ),
)

#: The short names of regions in the names of Data Factory's front ends, as far as they were seen.
PREFIXES = {
    "wu": "westus",
    "wu2": "westus2",
    "eu": "eastus",
    "ne": "northeurope",
    "we": "westeurope",
    "uks": "uksouth",
}

#: ``{factory}.{region}.datafactory.azure.net``, also through Private Link.
_FACTORY = re.compile(r"[^.]+\.([a-z0-9]+)\.(?:privatelink\.)?datafactory\.azure\.(?:net|us|cn)")
_FRONT_END = re.compile(r"([a-z0-9]+)\.frontend\.[a-z.]+")


@dataclass(frozen=True, kw_only=True)
class Belonging:
    """What a name tells: its service, its cloud, and its region where it names one ("westus2")."""

    service: Service
    cloud: Cloud
    region: str = ""
    #: The short name of a region that is not in ``PREFIXES``.
    strange: str = ""


def belonging(host: str) -> Belonging | None:
    """What ``host``, a name in lower case, belongs to; None where no tag is known."""
    for service in SERVICES:
        for suffix, cloud in service.suffixes:
            if host.endswith(suffix) if suffix.startswith(".") else host == suffix:
                region, strange = _region(host) if service.regional else ("", "")
                return Belonging(service=service, cloud=cloud, region=region, strange=strange)
    return None


def service_of(tag: str) -> Service | None:
    """The service that a tag is for, whatever its region."""
    name = tag.partition(".")[0].lower()
    return next((service for service in SERVICES if service.tag.lower() == name), None)


def region_of(text: str) -> str:
    """A region as a person writes it ("West US 2", "wu2") -> as the files have it ("westus2")."""
    plain = re.sub(r"[\s_-]", "", text).lower()
    return PREFIXES.get(plain, plain)


def _region(host: str) -> tuple[str, str]:
    if match := _FACTORY.fullmatch(host):
        return match[1], ""
    if match := _FRONT_END.fullmatch(host):
        return (PREFIXES[match[1]], "") if match[1] in PREFIXES else ("", match[1])
    return "", ""
