"""Which machine this is, as reports say it; and not when the user does not want it."""

from __future__ import annotations

import platform
import time

import pytest

from netdiag import CertificateOptions, Options, check_certificates
from netdiag.model import MachineInfo
from netdiag.probes import machine_info as module
from netdiag.probes.machine import Machine
from netdiag.probes.machine_info import machine_info
from netdiag.session import diagnose_endpoint
from netdiag.world.scenes import SCENES
from netdiag.world.world import World
from tests.support import ROOT


@pytest.fixture
def fresh():
    machine_info.cache_clear()
    yield
    machine_info.cache_clear()


def test_this_machine(fresh):
    info = machine_info()
    assert info.name == platform.node()[:253]
    assert info.system
    assert info.utc_offset_s == time.localtime().tm_gmtoff
    assert Machine().described() is info


@pytest.mark.parametrize(
    ("system", "answers", "expected"),
    [
        (
            "linux",
            {"freedesktop_os_release": {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}},
            "Debian GNU/Linux 12 (bookworm)",
        ),
        ("linux", {"freedesktop_os_release": {}, "system": "Linux"}, "Linux"),
        ("linux", {"freedesktop_os_release": OSError, "system": "Linux", "release": "6.1"}, "Linux 6.1"),
        ("darwin", {"mac_ver": ("14.5", ("", "", ""), "arm64")}, "macOS 14.5"),
        (
            "win32",
            {"win32_edition": "ServerStandard", "release": "2022Server", "version": "10.0.20348"},
            "Windows 2022Server (ServerStandard), build 10.0.20348",
        ),
        ("win32", {"win32_edition": None, "release": "10", "version": "10.0.1"}, "Windows 10, build 10.0.1"),
    ],
)
def test_systems_in_words(fresh, monkeypatch, system, answers, expected):
    def answer(value):
        def ask():
            if value is OSError:
                raise OSError
            return value

        return ask

    for name, value in answers.items():
        monkeypatch.setattr(platform, name, answer(value))
    monkeypatch.setattr(module, "sys", type("sys", (), {"platform": system}))
    assert machine_info().system == expected


def test_names_are_bounded(fresh, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "x" * 5_000)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"PRETTY_NAME": "y" * 5_000})
    info = machine_info()
    assert (len(info.name), len(info.system) <= 100) == (253, True)


def test_a_run_says_which_machine_it_was_unless_told_not_to():
    scene = next(scene for scene in SCENES if scene.name == "port-refused")
    with World() as world:
        machine = world.machine(scene.setting)
        trust = world.trust(scene.setting)
        named = diagnose_endpoint(scene.target, options=Options(trust=trust, timeout_s=2.0), machine=machine)
        hidden = Options(trust=trust, timeout_s=2.0, name_machine=False)
        unnamed = diagnose_endpoint(scene.target, options=hidden, machine=machine)
    assert named.machine == MachineInfo(name="demo", system="the embedded world", utc_offset_s=0)
    assert unnamed.machine is None


def test_certificates_say_which_machine_judged_them():
    file, root = str(ROOT / "examples" / "sql01.pem"), str(ROOT / "examples" / "contoso-root.pem")
    named = check_certificates([file], CertificateOptions(trust=(root,), fetch=False))
    assert named.machine == machine_info()
    assert (
        check_certificates([file], CertificateOptions(trust=(root,), fetch=False, name_machine=False)).machine is None
    )
