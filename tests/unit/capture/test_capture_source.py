"""Bytes of a file however it is packed: whole, cut, corrupt, enormous, through a pipe."""

import bz2
import gzip
import io
import lzma
import random
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.capture import source as source_module
from netdiag.capture.source import HEAD, Source
from netdiag.model import UsageError

PACKERS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
}
#: Neither all alike nor all different; larger than every buffer on the way.
CONTENT = b"".join(random.Random(number).randbytes(40) * (number % 7) for number in range(20_000))
PACKED = {name: pack(CONTENT) for name, pack in PACKERS.items()}
packers = pytest.mark.parametrize("name", PACKERS)


@pytest.fixture
def stored(tmp_path):
    """Writes a file with this content; its path."""
    path = tmp_path / "stored"

    def stored(data):
        path.write_bytes(data)
        return str(path)

    return stored


def read(source, size=100_000):
    """Everything, by views of ``size`` bytes."""
    view = memoryview(bytearray(size))
    found = []
    while got := source.readinto(view):
        found.append(bytes(view[:got]))
    assert all(len(piece) == size for piece in found[:-1])
    return b"".join(found)


def content(path):
    with Source(path) as source:
        return read(source), source.compression, source.damage


@pytest.mark.parametrize("size", [0, 1, HEAD - 1, HEAD, HEAD + 1, 300_000])
def test_a_plain_file(stored, size):
    data = CONTENT[:size]
    with Source(stored(data)) as source:
        assert source.head == data[:HEAD]
        assert source.total == size
        assert source.skip(7) == min(7, size)
        assert read(source, 1_000) == data[7:]
        assert source.consumed == size
        assert (source.compression, source.damage) == ("", "")
        assert source.skip(1) == 0


@packers
def test_compressed(stored, name):
    with Source(stored(PACKED[name])) as source:
        assert source.head == CONTENT[:HEAD]
        assert read(source) == CONTENT
        assert source.total == source.consumed == len(PACKED[name])
        assert (source.compression, source.damage) == (name, "")


@packers
@pytest.mark.parametrize("outer", PACKERS)
def test_nested(stored, name, outer):
    assert content(stored(PACKERS[outer](PACKED[name]))) == (CONTENT, f"{name} in {outer}", "")


def test_nesting_is_bounded(stored):
    data = b"data"
    for _ in range(5):
        data = gzip.compress(data)
    found, compression, _ = content(stored(data))
    assert compression == "gzip in gzip in gzip"
    assert found[:2] == b"\x1f\x8b"


@packers
def test_several_members(stored, name):
    pack = PACKERS[name]
    parts = [CONTENT[:10], b"", CONTENT[10:200_000], CONTENT[200_000:]]
    joined = b"".join(map(pack, parts))
    assert content(stored(joined)) == (CONTENT, name, "")
    assert content(stored(joined + bytes(512))) == (CONTENT, name, "")
    assert content(stored(pack(parts[0]) + bytes(4) + pack(parts[2]))) == (parts[0] + parts[2], name, "")


def test_a_thousand_members(stored):
    assert content(stored(gzip.compress(b"abc") * 1_000)) == (b"abc" * 1_000, "gzip", "")


@packers
def test_nothing_inside(stored, name):
    assert content(stored(PACKERS[name](b""))) == (b"", name, "")


@packers
@pytest.mark.parametrize("keep", [0.001, 0.5, 0.999])
def test_cut(stored, name, keep):
    cut = PACKED[name][: int(len(PACKED[name]) * keep)]
    found, _, damage = content(stored(cut))
    assert CONTENT.startswith(found)
    assert len(found) > len(CONTENT) * keep * 0.3 - 400_000
    assert damage == f"the {name} data is cut"


@packers
def test_every_cut_of_a_small_file(stored, name):
    packed = PACKERS[name](b"content" * 9)
    for size in range(6, len(packed)):
        found, compression, damage = content(stored(packed[:size]))
        assert (b"content" * 9).startswith(found)
        assert (compression, damage) == (name, f"the {name} data is cut")


@packers
def test_corrupt(stored, name):
    packed = bytearray(PACKED[name])
    middle = len(packed) // 2
    packed[middle : middle + 40] = bytes(40)
    found, _, damage = content(stored(packed))
    assert len(found) < len(CONTENT)
    assert CONTENT.startswith(found[: len(CONTENT) // 3])
    assert len(found) > len(CONTENT) // 3
    assert damage.startswith(f"the {name} data is corrupt (")


def test_gzip_gives_all_that_comes_before_a_wrong_checksum(stored):
    packed = bytearray(gzip.compress(CONTENT[:300_000]))
    packed[-8] ^= 1
    found, _, damage = content(stored(packed))
    assert found == CONTENT[:300_000]
    assert "incorrect data check" in damage


@packers
def test_something_else_after_it(stored, name):
    found, _, damage = content(stored(PACKED[name] + b"something else entirely"))
    assert found == CONTENT
    assert damage.startswith(f"the {name} data is")


@settings(deadline=None, max_examples=200)
@given(
    name=st.sampled_from(list(PACKERS)),
    at=st.integers(0, 500),
    value=st.integers(0, 255),
    size=st.integers(6, 2_000),
)
def test_damage_never_raises(tmp_path_factory, name, at, value, size):
    packed = bytearray(PACKERS[name](CONTENT[:3_000] + bytes(30_000)))[:size]
    packed[min(6 + at, len(packed) - 1)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(packed)
    assert len(content(str(path))[0]) <= 10_000_000


def bomb(name):
    """256 MiB of zeros, packed piece by piece."""
    packed = io.BytesIO()
    opener = {
        "gzip": lambda: gzip.GzipFile(fileobj=packed, mode="wb"),
        "zstd": lambda: zstandard.ZstdCompressor().stream_writer(packed, closefd=False),
        "xz": lambda: lzma.open(packed, "wb", preset=0),  # noqa: SIM115 - below
        "lz4": lambda: lz4.frame.LZ4FrameFile(packed, "wb"),
    }[name]
    with opener() as file:
        for _ in range(256):
            file.write(bytes(1 << 20))
    return packed.getvalue()


@packers
def test_a_bomb_takes_no_memory(stored, name):
    path = stored(PACKERS[name](bomb(name)))
    tracemalloc.start()
    try:
        with Source(path) as source:
            assert source.compression == f"{name} in {name}"
            view = memoryview(bytearray(1 << 20))
            assert source.readinto(view) == len(view)
        with Source(path) as source:
            assert source.skip(1 << 40) == 256 << 20
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 << 20


@packers
def test_closing_early_stops_the_thread(stored, name):
    before = threading.active_count()
    with Source(stored(PACKED[name])) as source:
        source.skip(1_500_000)
        assert threading.active_count() > before
    assert threading.active_count() == before


@pytest.mark.parametrize("name", ["", *PACKERS])
def test_random_access(stored, name):
    with Source(stored(PACKED.get(name, CONTENT))) as source:
        access = source.random_access()
        assert access.size == len(CONTENT)
        for at, length in ((500_000, 70_000), (0, 10), (len(CONTENT) - 5, 100), (123, 0)):
            assert access.read_at(at, length) == CONTENT[at : at + length]
        assert access.read_at(len(CONTENT), 1) == access.read_at(-1, 5) == access.read_at(3, -3) == b""
        assert source.consumed == source.total
        assert source.damage == ""


def test_random_access_to_what_is_cut(stored):
    with Source(stored(PACKED["gzip"][:-100])) as source:
        access = source.random_access()
        assert CONTENT.startswith(access.read_at(0, len(CONTENT)))
        assert 0 < access.size < len(CONTENT)
        assert source.damage == "the gzip data is cut"


def test_a_temporary_copy_is_bounded(stored, monkeypatch):
    monkeypatch.setattr(source_module, "_MAX_SPOOL", 2_500_000)
    monkeypatch.setattr(source_module, "_CHUNK", 1_000_000)
    with Source(stored(gzip.compress(bytes(5_000_000)))) as source:
        assert source.random_access().size == 2_000_000
        assert "GiB" in source.damage


def test_no_room_for_a_temporary_copy(stored, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with Source(stored(PACKED["xz"])) as source:
        access = source.random_access()
        assert (access.size, access.read_at(0, 5)) == (0, b"")
        assert "No space left" in source.damage


SCRIPT = """
import sys
from netdiag.capture.source import Source
with Source("-") as source:
    if sys.argv[1] == "random":
        access = source.random_access()
        data = access.read_at(0, access.size)
    else:
        view = memoryview(bytearray(10_000_000))
        data = bytes(view[:source.readinto(view)])
    print(source.compression, source.total, source.consumed, source.damage, file=sys.stderr)
sys.stdout.buffer.write(data)
"""


@pytest.mark.parametrize("name", ["", *PACKERS])
@pytest.mark.parametrize("way", ["forward", "random"])
def test_standard_input(name, way):
    packed = PACKED.get(name, CONTENT)
    run = subprocess.run([sys.executable, "-c", SCRIPT, way], input=packed, capture_output=True, check=True)
    assert run.stdout == CONTENT
    assert run.stderr.decode().strip() == f"{name} None {len(packed)}".strip()


def test_standard_input_that_is_a_file(stored):
    with Path(stored(PACKED["zstd"])).open("rb") as file:
        run = subprocess.run([sys.executable, "-c", SCRIPT, "random"], stdin=file, capture_output=True, check=True)
    assert run.stdout == CONTENT
    assert run.stderr.decode().split()[:2] == ["zstd", str(len(PACKED["zstd"]))]


def test_what_cannot_be_opened(tmp_path, monkeypatch):
    def complaint(path):
        with pytest.raises(UsageError) as error:
            Source(str(path))
        return str(error.value)

    assert complaint(tmp_path / "none") == f"{tmp_path / 'none'}: no such file"
    assert complaint(tmp_path) == f"{tmp_path}: is a folder, not a capture"
    assert complaint("a\0b") == r"'a\x00b': cannot be opened (embedded null byte)"
    assert "cannot be opened" in complaint("x" * 5_000)

    def denied(*_):
        raise PermissionError

    monkeypatch.setattr(source_module.io, "FileIO", denied)
    assert complaint(tmp_path / "none") == f"{tmp_path / 'none'}: no permission to read it"
    assert complaint(tmp_path) == f"{tmp_path}: is a folder, not a capture"
    monkeypatch.setattr(sys, "stdin", None)
    assert complaint("-") == "-: standard input is not a capture"


@pytest.mark.skipif(sys.platform != "linux", reason="a file that opens and cannot be read")
def test_a_file_that_cannot_be_read_on():
    with Source("/proc/self/mem") as source:
        assert source.head == b""
        assert source.damage == "the file cannot be read on (Input/output error)"


def test_bzip2_is_not_among_them(stored):
    assert content(stored(bz2.compress(b"data")))[1] == ""
