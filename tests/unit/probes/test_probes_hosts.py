from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.probes.hosts import MAX_BYTES, addresses_by_name, hosts_entries
from netdiag.probes.machine import Machine
from netdiag.probes.net import Step

STEP = Step("dns.hosts")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"10.0.0.1 a.example", ("10.0.0.1",)),
        (b"10.0.0.1\ta.example\r\n10.0.0.2 a.example\r\n", ("10.0.0.1", "10.0.0.2")),
        (b"10.0.0.1 a.example\n10.0.0.1 a.example\n", ("10.0.0.1",)),
        (b"2001:DB8::0:1 a.example", ("2001:db8::1",)),
        (b"fe80::1%eth0 a.example", ("fe80::1%eth0",)),
        (b"10.0.0.1 b.example x A.Example. # why", ("10.0.0.1",)),
        (b"\xef\xbb\xbf10.0.0.1 a.example", ("10.0.0.1",)),
        (b"   10.0.0.1 a.example", ("10.0.0.1",)),
        (b"10.0.0.1 # a.example", ()),
        (b"#10.0.0.1 a.example", ()),
        (b"10.0.0.1 b.a.example a.example.org", ()),
        (b"10.0.0.1", ()),
        (b"10.0.0.300 a.example\nnonsense a.example\n\xff\xfe a.example", ()),
        (b"", ()),
    ],
)
@pytest.mark.parametrize("name", ["a.example", "A.EXAMPLE."])
def test_addresses_of_a_name(text: bytes, expected: tuple[str, ...], name: str, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(text)
    assert hosts_entries(Machine(hosts_file=path), name, STEP).addresses == expected


@given(st.binary(max_size=400))
def test_any_file_can_be_read(data: bytes) -> None:
    assert all(addresses_by_name(data).values())


@given(st.text(max_size=20))
def test_any_name_can_be_looked_for(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / "hosts"
    path.write_bytes(b"10.0.0.1 a.example\n")
    assert hosts_entries(Machine(hosts_file=path), name, STEP).outcome == "ok"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    for address in ("10.0.0.1", "10.0.0.23", "2001:db8::4"):
        path.write_text(f"{address} a.example\n")
        assert hosts_entries(Machine(hosts_file=path), "a.example", STEP).addresses == (address,)


@given(st.binary(max_size=200).filter(lambda data: b"a.example" not in data.lower()))
def test_an_entry_is_found_whatever_stands_before_and_after(noise: bytes) -> None:
    assert addresses_by_name(noise + b"\n10.0.0.1 a.example\n" + noise)[b"a.example"] == ("10.0.0.1",)


def test_observation(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 a.example\n")
    found = hosts_entries(Machine(hosts_file=path), "a.example", STEP)
    assert (found.id, found.outcome, found.asker, found.addresses) == ("dns.hosts", "ok", "hosts-file", ("10.0.0.1",))
    assert found.server == str(path)
    assert hosts_entries(Machine(hosts_file=path), "b.example", STEP).addresses == ()


def test_no_file_means_no_entries(tmp_path: Path) -> None:
    found = hosts_entries(Machine(hosts_file=tmp_path / "none"), "a.example", STEP)
    assert (found.outcome, found.addresses) == ("ok", ())


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_an_unreadable_file_is_a_failure(tmp_path: Path, path: str) -> None:
    found = hosts_entries(Machine(hosts_file=tmp_path / path), "a.example", STEP)
    assert found.outcome == "failed"
    assert found.failure is not None
    assert found.failure.step == "read"


def test_only_the_start_of_a_huge_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"10.0.0.1 early.example\n" + b"#" * MAX_BYTES + b"\n10.0.0.2 late.example\n")
    machine = Machine(hosts_file=path)
    assert hosts_entries(machine, "early.example", STEP).addresses == ("10.0.0.1",)
    late = hosts_entries(machine, "late.example", STEP)
    assert late.outcome == "failed"
    assert late.addresses == ()
