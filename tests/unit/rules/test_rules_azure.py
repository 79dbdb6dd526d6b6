"""Which names are a known Azure service, and which only look like one."""

import re

import pytest

from netdiag.rules.azure import AZURE_ROOTS, SERVICES, known_service


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("wu2.frontend.clouddatahub.net", "Azure Data Factory"),
        ("ne.configuration.dataproxy.clouddatahub.net", "Azure Data Factory"),
        ("factory.westus2.datafactory.azure.net", "Azure Data Factory"),
        ("factory.westus2.privatelink.datafactory.azure.net", "Azure Data Factory"),
        ("x.frontend.datamovement.azure.us", "Azure Data Factory"),
        ("x.frontend.datamovement.azure.cn", "Azure Data Factory"),
        ("ADF.Azure.com.", "Azure Data Factory"),
        ("ns.servicebus.windows.net", "Azure Relay and Service Bus"),
        ("ns.servicebus.chinacloudapi.cn", "Azure Relay and Service Bus"),
        ("account.blob.core.windows.net", "Azure Storage"),
        ("server.database.windows.net", "Azure SQL Database"),
        ("w.sql.azuresynapse.net", "Azure Synapse Analytics"),
        ("w.dev.azuresynapse.net", "Azure Synapse Analytics"),
        ("v.vault.azure.net", "Azure Key Vault"),
        ("lake.azuredatalakestore.net", "Azure Data Lake Storage Gen1"),
        ("login.microsoftonline.com", "Microsoft Entra ID"),
        ("login.microsoftonline.us", "Microsoft Entra ID"),
        ("download.microsoft.com", "Microsoft Download Center"),
        ("x.download.microsoft.com", None),
        ("evilclouddatahub.net", None),
        ("clouddatahub.net", None),
        ("frontend.clouddatahub.net.evil.test", None),
        ("login.microsoftonline.com.evil.test", None),
        ("example.com", None),
        ("20.42.1.1", None),
        ("", None),
    ],
)
def test_known_names(host, service):
    found = known_service(host)
    assert (found.name if found else None) == service


def test_roots_are_sha1_fingerprints_in_lower_case():
    assert all(re.fullmatch("[0-9a-f]{40}", sha1) for _, sha1 in AZURE_ROOTS)
    assert len({sha1 for _, sha1 in AZURE_ROOTS}) == len(AZURE_ROOTS)
    assert all(service.expected_roots for service in SERVICES)
