"""What a scenario of the chain is, and the verdicts that one can expect.

The true culprit is known, because it was put there. What is expected is what the evidence allows: where two senders
cannot be told apart from the client, it says so (``unknown``), and nobody is accused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lab.lab_chain import NAME, SERVER, SERVER_V6, Setting, hop_address


@dataclass(frozen=True)
class Expect:
    """The verdict. ``hops``: any of these may be named as the culprit's, None for no hop.

    ``address`` must be the culprit's where there is one hop to name; a device between two routers has none of its own.
    ``says``: what the summary of the root cause must contain.
    """

    finding: str | None = None
    blame: str | None = None
    hops: tuple[int | None, ...] = (None,)
    address: str = ""
    exit_status: int = 0
    says: str = ""


@dataclass(frozen=True)
class Scenario:
    """One line of the table. ``culprit``: who did it, in words. ``expect``: the verdicts that the evidence allows."""

    name: str
    culprit: str
    expect: Expect | tuple[Expect, ...]
    wire: frozenset[str]
    setting: Setting = field(default_factory=Setting)
    target: str = NAME

    @property
    def allowed(self) -> tuple[Expect, ...]:
        """Every verdict that is right."""
        return self.expect if isinstance(self.expect, tuple) else (self.expect,)


def healthy() -> Expect:
    """Nobody is accused of anything."""
    return Expect()


def hop(
    number: int, finding: str = "tcp.reset-by-path-device", *, address: str | None = None, v6: bool = False
) -> Expect:
    """The device at this hop."""
    shown = hop_address(number, v6=v6) if address is None else address
    return Expect(finding, "path-device", (number,), shown, 1)


def server(finding: str = "tcp.reset-by-server", *, v6: bool = False) -> Expect:
    """The server, whether or not its distance is said."""
    return Expect(finding, "server", (None, 13, 22), SERVER_V6 if v6 else SERVER, 1)


def unknown(finding: str = "tcp.reset-origin-unknown") -> Expect:
    """It cannot be told, and nobody is accused."""
    return Expect(finding, "unknown", exit_status=1)


def last_answer(number: int) -> Expect:
    """It cannot be told who is silent; the last hop that answered is named, and nobody accused."""
    return Expect("tcp.no-reply", "unknown", exit_status=1, says=hop_address(number))


def this_machine(finding: str) -> Expect:
    """The client itself."""
    return Expect(finding, "this-machine", exit_status=1)
