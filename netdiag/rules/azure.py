"""The Azure services that an integration runtime talks to, and the roots that sign their certificates.

Contract: pure data and one look-up. Names come from Microsoft's list of outbound requirements of a self-hosted
integration runtime (learn.microsoft.com/azure/data-factory/create-self-hosted-integration-runtime) and of Private Link
zones (learn.microsoft.com/azure/private-link/private-endpoint-dns); roots from "Azure Certificate Authority details"
(learn.microsoft.com/azure/security/fundamentals/azure-CA-details).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

#: The one root whose absence breaks most machines: (name, SHA-1 of the certificate).
DIGICERT_GLOBAL_ROOT_G2 = ("DigiCert Global Root G2", "df3c24f9bfd666761b268073fe06d1cc8d4f82a4")

#: Name and SHA-1 of every root that Microsoft lists for Azure. Baltimore expired on 2025-05-12, yet a chain that still
#: ends there is Azure's own and not an interceptor's, so it stays.
AZURE_ROOTS: tuple[tuple[str, str], ...] = (
    DIGICERT_GLOBAL_ROOT_G2,
    ("DigiCert Global Root CA", "a8985d3a65e5e5c4b2d7d66d40c6dd2fb19c5436"),
    ("DigiCert Global Root G3", "7e04de896a3e666d00e687d33ffad93be83d349e"),
    ("Microsoft RSA Root Certificate Authority 2017", "73a5e64a3bff8316ff0edccc618a906e4eae4d74"),
    ("Microsoft ECC Root Certificate Authority 2017", "999a64c37ff47d9fab95f14769891460eec4c3c5"),
    ("Baltimore CyberTrust Root", "d4de20d05e66fc53fe1a50882c78db2852cae474"),
)


class Service(msgspec.Struct, frozen=True):
    """One service. A suffix that starts with a dot covers every name below it; any other is that very name.

    ``expected_roots`` are pairs of name and lower-case hexadecimal SHA-1, the usual one first.
    """

    name: str
    suffixes: tuple[str, ...]
    expected_roots: tuple[tuple[str, str], ...] = AZURE_ROOTS


#: Public cloud, then US Government, then China (21Vianet) in each entry. Private Link names lie below the same names.
SERVICES: tuple[Service, ...] = (
    Service(
        "Azure Data Factory",
        (
            ".datafactory.azure.net",
            ".clouddatahub.net",  # *.frontend and the undocumented *.configuration.dataproxy
            ".adf.azure.com",
            "adf.azure.com",
            ".datafactory.azure.us",
            ".datamovement.azure.us",
            ".adf.azure.us",
            "adf.azure.us",
            ".datafactory.azure.cn",
            ".datamovement.azure.cn",
            ".adf.azure.cn",
            "adf.azure.cn",
        ),
    ),
    Service(
        "Azure Relay and Service Bus",
        (".servicebus.windows.net", ".servicebus.usgovcloudapi.net", ".servicebus.chinacloudapi.cn"),
    ),
    Service("Azure Storage", (".core.windows.net", ".core.usgovcloudapi.net", ".core.chinacloudapi.cn")),
    Service(
        "Azure SQL Database", (".database.windows.net", ".database.usgovcloudapi.net", ".database.chinacloudapi.cn")
    ),
    Service(
        "Azure Synapse Analytics",
        (
            ".sql.azuresynapse.net",
            ".dev.azuresynapse.net",
            ".azuresynapse.net",
            ".azuresynapse.usgovcloudapi.net",
            ".azuresynapse.azure.cn",
        ),
    ),
    Service(
        "Azure Key Vault",
        (".vault.azure.net", ".vaultcore.azure.net", ".vault.usgovcloudapi.net", ".vault.azure.cn"),
    ),
    Service("Azure Data Lake Storage Gen1", (".azuredatalakestore.net",)),
    Service(
        "Microsoft Entra ID",
        (
            "login.microsoftonline.com",
            "login.windows.net",
            "login.microsoftonline.us",
            "login.partner.microsoftonline.cn",
            "login.chinacloudapi.cn",
        ),
    ),
    Service("Microsoft Download Center", ("download.microsoft.com",)),
)


def known_service(host: str) -> Service | None:
    """The service behind a host name, None for any other name or an address."""
    name = host.rstrip(".").lower()
    for service in SERVICES:
        for suffix in service.suffixes:
            if name.endswith(suffix) if suffix.startswith(".") else name == suffix:
                return service
    return None


#: http.sys, IIS and the edge sign themselves in these headers; every Azure service adds ids of its own ("x-ms-...").
_SERVERS = ("microsoft-httpapi/", "microsoft-iis/", "kestrel", "windows-azure-")
_IDS = ("x-ms-", "x-azure-", "request-context")


def answered_by_azure(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether an HTTP answer bears the marks of an Azure front end. Its status and page are nowhere documented."""
    lowered = [(name.lower(), value.lower()) for name, value in headers]
    return any((name == "server" and value.startswith(_SERVERS)) or name.startswith(_IDS) for name, value in lowered)
