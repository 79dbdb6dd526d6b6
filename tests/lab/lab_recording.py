"""What a recording is: who acts, where tcpdump listens, what an administrator would ask, and what must come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.lab.lab_capture_world import SITE, World
from tests.lab.lab_topology import Topology
from tests.lab.lab_wire import Tunnel

Act = Callable[[World], None]


@dataclass(frozen=True)
class Expect:
    """``ids``: every finding's id, no more and no fewer. ``options``: of ``netdiag pcap``, when it needs any."""

    status: Literal["healthy", "impaired", "failed", "inconclusive"]
    finding: str | None = None
    blame: str | None = None
    ids: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()


def healthy(*infos: str, options: tuple[str, ...] = ()) -> Expect:
    """Nothing wrong; ``infos`` are findings that change nothing."""
    return Expect("healthy", ids=frozenset(infos), options=options)


def impaired(finding: str, blame: str, *others: str, options: tuple[str, ...] = ()) -> Expect:
    """It works, with warnings."""
    return Expect("impaired", finding, blame, frozenset((finding, *others)), options)


def failed(finding: str, blame: str, *others: str, options: tuple[str, ...] = ()) -> Expect:
    """It cannot be used."""
    return Expect("failed", finding, blame, frozenset((finding, *others)), options)


@dataclass(frozen=True)
class Shot:
    """One capture file. ``at``: namespace and device. ``other``: the name of the capture to compare it with, made at
    the same time, and ``says``: what that comparison must show."""

    name: str
    expect: Expect
    asks: str
    at: tuple[str, str] = ("client", "router")
    options: tuple[str, ...] = ()
    tool: Literal["tcpdump", "dumpcap"] = "tcpdump"
    suffix: str = "pcap"
    other: str = ""
    says: str = ""


@dataclass(frozen=True)
class Recording:
    """``act`` does it, ``made`` says what it does. All ``shots`` are taken at once."""

    made: str
    act: Act
    shots: tuple[Shot, ...]
    topology: Topology = SITE
    tunnel: Tunnel | None = None
    offload: bool = False


@dataclass(frozen=True)
class Derived:
    """A file made of another: ``{source}`` and ``{file}`` in ``command``. ``convert``: by a function."""

    name: str
    source: str
    suffix: str
    made: str
    asks: str
    expect: Expect
    command: tuple[str, ...] = ()
    convert: Callable[[bytes], bytes] | None = None

    @property
    def counts_of_source(self) -> bool:
        """It holds the same packets in a wrapping that tshark cannot read, or not everywhere."""
        return self.suffix == "etl" or self.suffix.startswith("pcap.")


@dataclass
class Table:
    """The recordings of one file, in order."""

    recordings: list[Recording] = field(default_factory=list)

    def add(
        self,
        *shots: Shot,
        made: str,
        topology: Topology = SITE,
        tunnel: Tunnel | None = None,
        offload: bool = False,
    ) -> Callable[[Act], Act]:
        """Decorates what is done."""

        def register(act: Act) -> Act:
            self.recordings.append(Recording(made, act, shots, topology, tunnel, offload))
            return act

        return register
