"""For every test: no proxy of the developer's, and no way to the network beyond loopback."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("netdiag", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("netdiag")

HERE = Path(__file__).resolve().parent
#: Every test in one of these folders carries its name as a marker.
MARKED = ("browser", "lab")

for _name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.lower(), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/lab carries the marker ``lab``, and so on."""
    for item in items:
        for name in MARKED:
            if HERE / name in item.path.parents:
                item.add_marker(getattr(pytest.mark, name))


class _Guard:
    """Refuses to connect, send or look a name up outside this machine while a test that is no lab test runs.

    It is an audit hook (PEP 578), so it sees every library; it cannot be removed again, hence the switch.
    """

    def __init__(self) -> None:
        self.active = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple[object, ...]) -> None:
        if not self.active:
            return
        if event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
            host = args[1][0]
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = args[0]
        else:
            return
        if not _stays_here(host):
            pytest.fail(f"the test would leave this machine: {event} to {host!r}")


def _stays_here(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", errors="replace")
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


_guard = _Guard()


@pytest.fixture(autouse=True)
def _stay_on_this_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    _guard.active = request.node.get_closest_marker("lab") is None
    yield
    _guard.active = False
