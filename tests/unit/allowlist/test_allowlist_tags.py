"""Service-tag files, and which tag a name goes with."""

from __future__ import annotations

import json

import pytest

from netdiag.allowlist import services
from netdiag.allowlist.tags import read_tags
from netdiag.model import UsageError
from tests.service_tags import TAGS, WEST_US_2, tag_file, write_tags


def test_a_file(tmp_path):
    found = read_tags(write_tags(tmp_path / "ServiceTags_Public_20250728.json"))
    assert (found.cloud, found.kind, found.change_number, found.date) == ("Public", "public", "364", "2025-07-28")
    assert len(found.tags) == len(TAGS)
    assert list(found.get("datafactory.WESTUS2").addresses().prefixes()) == list(WEST_US_2)
    assert found.regional("DataFactory", "westus2").name == "DataFactory.WestUS2"
    assert found.regional("DataFactory", "").name == "DataFactory"
    assert found.regional("DataFactory", "mars") is None
    assert found.regional("DataFactoryManagement", "westus2") is None
    assert found.regions("DataFactory") == ("westus2", "westus", "uksouth")
    assert found.like("DataFactory.WestUs3")[0].startswith("DataFactory.West")


@pytest.mark.parametrize(
    ("cloud", "kind"),
    [("AzureGovernment", "gov"), ("AzureChinaCloud", "china"), ("AzureGermanCloud", "germany"), ("X", "")],
)
def test_clouds(tmp_path, cloud, kind):
    assert read_tags(write_tags(tmp_path / "tags.json", cloud=cloud)).kind == kind


def test_what_az_prints(tmp_path):
    content = tag_file(change="63")
    content["values"].append({"name": "Broken", "properties": None})
    content["values"].append({"name": "Null", "properties": {"addressPrefixes": None, "region": None}})
    (tmp_path / "tags.json").write_text(json.dumps({**content, "id": "/subscriptions/x", "type": "y"}))
    found = read_tags(str(tmp_path / "tags.json"))
    assert (found.change_number, found.date) == ("63", "")
    assert len(found.tags) == len(TAGS)


def test_unreadable_prefixes_are_told(tmp_path):
    found = read_tags(write_tags(tmp_path / "tags.json", {"A": ["10.0.0.0/8", "10.0.0.0/99", "x"]}))
    assert list(found.get("a").addresses().prefixes()) == ["10.0.0.0/8"]
    assert found.get("a").unreadable() == ("10.0.0.0/99", "x")
    assert list(found.everything().prefixes()) == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "it is empty"),
        ("<!DOCTYPE html>", r"a web page, not the JSON file.*id=56519"),
        ("{", "not JSON"),
        ("[]", "JSON, but no service-tag file"),
        ("{}", "JSON, but no service-tag file"),
        ('{"values": [{"name": 7}]}', "JSON, but no service-tag file"),
        ('{"values": [{"name": "A", "properties": {"addressPrefixes": [1]}}]}', "JSON, but no service-tag file"),
        ('{"values": []}', "no service tag in it"),
        ('{"values": ' + "[" * 50_000, "service-tag file"),
    ],
)
def test_files_that_are_none(tmp_path, content, complaint):
    path = tmp_path / "tags.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=complaint) as caught:
        read_tags(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "tag", "cloud", "region"),
    [
        ("wu2.frontend.clouddatahub.net", "DataFactory", "public", "westus2"),
        ("uks.frontend.clouddatahub.net", "DataFactory", "public", "uksouth"),
        ("contoso.westus2.datafactory.azure.net", "DataFactory", "public", "westus2"),
        ("contoso.westus2.privatelink.datafactory.azure.net", "DataFactory", "public", "westus2"),
        ("x.frontend.datamovement.azure.us", "DataFactory", "gov", ""),
        ("df.chinaeast2.datafactory.azure.cn", "DataFactory", "china", "chinaeast2"),
        ("contoso.servicebus.windows.net", "ServiceBus", "public", ""),
        ("contoso.blob.core.windows.net", "Storage", "public", ""),
        ("contoso.database.windows.net", "Sql", "public", ""),
        ("contoso.vault.azure.net", "AzureKeyVault", "public", ""),
        ("login.microsoftonline.com", "AzureActiveDirectory", "public", ""),
    ],
)
def test_names_and_their_tags(host, tag, cloud, region):
    found = services.belonging(host)
    assert (found.service.tag, found.cloud, found.region) == (tag, cloud, region)


@pytest.mark.parametrize(
    "host",
    ["download.microsoft.com", "example.com", "evilfrontend.clouddatahub.net.example", "adf.azure.com", "10.0.0.1"],
)
def test_names_without_a_tag(host):
    assert services.belonging(host) is None


def test_regions():
    assert services.belonging("jpe.frontend.clouddatahub.net").strange == "jpe"
    assert [services.region_of(text) for text in ("West US 2", "wu2", "WestUS2", "west-us-2", "")] == [
        *["westus2"] * 4,
        "",
    ]
    assert services.service_of("datafactory.westus2").tag == "DataFactory"
    assert services.service_of("AzureCloud") is None


def test_no_two_services_claim_one_name():
    suffixes = [suffix for service in services.SERVICES for suffix, _ in service.suffixes]
    assert len(suffixes) == len(set(suffixes))
