"""The cache on a disk that is full, foreign, damaged, or not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from netdiag.probes import retrieval_cache
from netdiag.probes.retrieval_cache import Cache, default_folder

URL = "http://crl.test/a.crl"


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_it_keeps_until_the_moment_given(tmp_path):
    cache = Cache(tmp_path / "deep" / "er")
    assert cache.get(URL, 1.0) is None
    cache.put(URL, b"crl", 1000.9)
    assert cache.get(URL, 999.0) == b"crl"
    assert cache.get(URL, 1000.0) is None
    assert cache.get(URL + "x", 1.0) is None
    cache.put(URL, b"newer", 2000.0)
    assert Cache(tmp_path / "deep" / "er").get(URL, 1500.0) == b"newer"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_it_is_private(tmp_path):
    old = os.umask(0)
    try:
        Cache(tmp_path / "cache").put(URL, b"crl", 1000)
    finally:
        os.umask(old)
    (file,) = files(tmp_path / "cache")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data.replace(b"crl", b"CRL"),
        lambda data: b"<html>",
        lambda data: data.replace(b"netdiag-cache 1", b"netdiag-cache 2"),
        lambda data: data.replace(b" 1000 ", b" 99999999999999999999 "),
    ],
)
def test_what_is_damaged_or_foreign_is_not_there(tmp_path, damage):
    cache = Cache(tmp_path)
    cache.put(URL, b"crl", 1000)
    (file,) = files(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    assert cache.get(URL, 1.0) is None
    cache.put(URL, b"crl", 1000)
    assert cache.get(URL, 1.0) == b"crl"


def test_the_oldest_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(retrieval_cache, "MAX_TOTAL", 1000)
    cache = Cache(tmp_path)
    foreign = tmp_path / "notes.txt"
    foreign.write_bytes(b"x" * 5000)
    half_written = tmp_path / "tmp-abc.part"
    half_written.write_bytes(b"x" * 500)
    os.utime(half_written, (1, 1))
    for number in range(4):
        cache.put(f"{URL}{number}", b"x" * 200, 1000)
        newest = max((file for file in files(tmp_path) if len(file.name) == 64), key=lambda f: f.stat().st_mtime_ns)
        os.utime(newest, (10 + number, 10 + number))
    assert [cache.get(f"{URL}{number}", 1.0) is not None for number in range(4)] == [False, True, True, True]
    assert foreign.exists()
    assert not half_written.exists()


def test_what_cannot_be_kept_is_not(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    for until in (-1.0, float("nan"), float("inf"), 1e300):
        cache.put(URL, b"crl", until)
    monkeypatch.setattr(retrieval_cache, "MAX_ENTRY", 2)
    cache.put(URL, b"crl", 1000)
    assert files(tmp_path) == []


def test_no_trouble_of_the_disk_gets_out(tmp_path, monkeypatch):
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    for folder in (in_the_way, in_the_way / "below", tmp_path / "nul\0", Path("/proc/none")):
        cache = Cache(folder)
        cache.put(URL, b"crl", 1000)
        assert cache.get(URL, 1.0) is None
    full = Cache(tmp_path / "full")

    def no_space(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    full.put(URL, b"crl", 1000)
    assert files(tmp_path / "full") == []


def test_a_folder_in_place_of_a_file(tmp_path):
    cache = Cache(tmp_path)
    cache.put(URL, b"crl", 1000)
    (file,) = files(tmp_path)
    file.unlink()
    file.mkdir()
    assert cache.get(URL, 1.0) is None
    cache.put(URL, b"crl", 1000)
    assert cache.get(URL, 1.0) is None


def test_off_is_off():
    cache = Cache(None)
    cache.put(URL, b"crl", 1000)
    assert cache.get(URL, 1.0) is None


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {"HOME": "/h"}, "/h/.cache/netdiag"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/netdiag"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "relative"}, "/h/.cache/netdiag"),
        ("linux", {}, None),
        ("darwin", {"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/h/Library/Caches/netdiag"),
        ("darwin", {}, None),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/netdiag/cache"),
        ("win32", {"HOME": "/h"}, None),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX path is not absolute on Windows")
def test_the_folder_of_each_platform(monkeypatch, platform, environment, folder):
    monkeypatch.setattr(sys, "platform", platform)
    assert default_folder(environment) == (Path(folder) if folder else None)


def test_a_user_without_a_home(monkeypatch):
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert default_folder() is None
