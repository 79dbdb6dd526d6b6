"""One lab for all scenarios of a session, and the option that records them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_world import HELPERS, TOOLS, Lab

from tests import support


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="write each scenario's report to tests/unit/golden")


@pytest.fixture(scope="session")
def recording(request: pytest.FixtureRequest) -> bool:
    """Whether --record was given (it is known only when tests/lab is named on the command line)."""
    return bool(request.config.getoption("--record", default=False))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Namespaces, firewall, servers and a client; gone at the end, whatever happens."""
    support.require_root()
    support.require_tools(*TOOLS)
    support.require_files(*HELPERS)
    world = Lab()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", support.search_path())  # tools start each other by name
            world.open()
            yield world
    finally:
        world.close()
