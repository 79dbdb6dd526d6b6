"""Profiles: what they expand to, what they skip, and what they refuse."""

from __future__ import annotations

import pytest

from netdiag.model import Target, UsageError
from netdiag.profile import BUILT_IN, MAX_TARGETS, Profile, expand_profile


def authorities(profile):
    return [target.authority for target in profile.targets]


def test_the_public_cloud():
    profile = expand_profile("adf:wu2")
    assert authorities(profile) == [
        "wu2.frontend.clouddatahub.net:443",
        "login.microsoftonline.com:443",
        "download.microsoft.com:443",
    ]
    assert all(target.purpose for target in profile.targets)
    assert [skipped.host for skipped in profile.skipped] == [
        "{factory}.{location}.datafactory.azure.net",
        "{namespace}.servicebus.windows.net",
        "{vault}.vault.azure.net",
        "{storage}.blob.core.windows.net",
        "{sql_server}.database.windows.net",
    ]
    assert profile.skipped[0].missing == ("factory", "location")


@pytest.mark.parametrize(
    ("name", "frontend", "relay"),
    [
        ("adf-gov", "gv.frontend.datamovement.azure.us:443", "r.servicebus.usgovcloudapi.net:443"),
        ("adf-china", "gv.frontend.datamovement.azure.cn:443", "r.servicebus.chinacloudapi.cn:443"),
    ],
)
def test_the_other_clouds(name, frontend, relay):
    found = authorities(expand_profile(f"{name}:gv", {"namespace": ["r"]}))
    assert {frontend, relay} <= set(found)


def test_values_fill_placeholders_and_several_multiply():
    profile = expand_profile(
        "adf:wu2",
        {"factory": ["f"], "location": ["westus2"], "namespace": ["a", "b", "a"], "sql_server": ["s"]},
    )
    found = authorities(profile)
    assert "f.westus2.datafactory.azure.net:443" in found
    assert [name for name in found if "servicebus" in name] == [
        "a.servicebus.windows.net:443",
        "b.servicebus.windows.net:443",
    ]
    assert (
        Target(
            host="s.database.windows.net", port=1433, scheme="tcp", purpose="Azure SQL Database or Synapse as a store"
        )
        in profile.targets
    )


def test_an_unknown_region_is_taken_and_upper_case_is_lowered():
    assert authorities(expand_profile("adf:XY9"))[0] == "xy9.frontend.clouddatahub.net:443"


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_profile_expands(name):
    assert expand_profile(f"{name}:wu2").targets


def write(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_of_the_user(tmp_path):
    file = write(tmp_path, '[values]\nhost = ["a", "b"]\n[[endpoints]]\nhost = "{host}.{region}.corp"\nport = 8060\n')
    assert expand_profile(f"{file}:x1") == Profile(
        name=f"{file}:x1",
        targets=(Target(host="a.x1.corp", port=8060), Target(host="b.x1.corp", port=8060)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adf", "profile 'adf' is not PROFILE:REGION, such as adf:wu2"),
        (":wu2", "profile ':wu2' is not PROFILE:REGION"),
        ("adf:", "profile adf: the region '' is not letters and digits (seen so far: wu2, wu, eu, ne, we, uks)"),
        ("adf:w.x", "profile adf: the region 'w.x' is not"),
        ("nope:wu2", "profile 'nope' is unknown (profiles: adf, adf-gov, adf-china, or a FILE.toml)"),
        ("missing.toml:wu2", "profile missing.toml: cannot be read: No such file or directory"),
        ("./\0:wu2", "profile ./\0: cannot be read: "),
    ],
)
def test_a_bad_name_is_told(text, message):
    with pytest.raises(UsageError) as caught:
        expand_profile(text)
    assert str(caught.value).startswith(message)


def test_a_value_that_the_profile_does_not_know_is_told():
    with pytest.raises(UsageError, match=r"no value is called 'colour' \(values: factory, location"):
        expand_profile("adf:wu2", {"colour": ["red"]})


@pytest.mark.parametrize("value", ["a b", "a/b", "x@y", "-", "a\nb", "x" * 300, "é"])
def test_a_value_that_fits_no_host_name_is_refused(value):
    with pytest.raises(UsageError, match="cannot be part of a host name"):
        expand_profile("adf:wu2", {"factory": [value]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not TOML"),
        ("", "missing required field `endpoints`"),
        ("endpoints = 3", "Expected `array`"),
        ("[[endpoints]]\nhost = 3", "Expected `str`"),
        ("[[endpoints]]\nhost = 'x'\nprot = 1", "unknown field `prot`"),
        ("[[endpoints]]\nhost = 'x'\nport = 70000", "x: the port 70000 is not from 1 to 65535"),
        ("[[endpoints]]\nhost = 'x y'", "'x y' is not a host name"),
        ("[[endpoints]]\nhost = 'x'\npath = 'y'", "the path 'y' does not begin with /"),
        ("[[endpoints]]\nhost = '{nope}.x'", "'{nope}.x' names {nope}, which has no entry in [values]"),
        ("cloud = 'moon'\n[[endpoints]]\nhost = 'x'", "cloud 'moon' is none of (none)"),
        ("[[endpoints]]\nhost = 'x'\nscheme = 'ftp'", "Invalid enum value 'ftp'"),
    ],
)
def test_a_bad_file_is_told(text, message, tmp_path):
    file = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        expand_profile(f"{file}:wu2")
    assert str(caught.value).startswith(f"profile {file}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_told(tmp_path):
    file = tmp_path / "image.toml"
    file.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        expand_profile(f"{file}:wu2")


def test_an_expansion_is_bounded(tmp_path):
    many = [f"h{n}" for n in range(100)]
    file = write(tmp_path, f"[values]\na = {many}\nb = {many}\n[[endpoints]]\nhost = '{{a}}.{{b}}'\n")
    with pytest.raises(UsageError, match=f"more than {MAX_TARGETS} addresses"):
        expand_profile(f"{file}:x")
