"""One exhibit as the two sides' conversation: what each sent, how it ended, how long the capture watched.

Contract: pure. What happened is told by packets in the order of the capture; who is to blame is not told.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from netdiag.capture.exhibits import Exhibit, IcmpSeen
from netdiag.capture.streams import Stream, streams
from netdiag.model import Connection, Failure, Flow

#: Who ended something; empty for nobody.
Ender = Literal["", "client", "server"]

#: Silence shorter than this tells nothing: the first retransmission comes after 1 s, on older Windows after 3 s.
TELLING_SILENCE_S = 3.0


class Ending(msgspec.Struct, frozen=True):
    """The first FIN or reset, whichever comes first; ``by`` is empty for a connection that the capture shows no end of.

    ``at`` is then the moment when the capture ended.
    """

    how: Literal["fin", "reset", "none"]
    by: Ender
    at: float


class Dialogue(msgspec.Struct, frozen=True):
    """One connection, its two streams, and the ICMP errors that quote it."""

    exhibit: Exhibit
    client: Stream
    server: Stream
    ending: Ending
    icmp: tuple[IcmpSeen, ...] = ()

    @property
    def connection(self) -> Connection:
        """The exhibit's row."""
        return self.exhibit.connection

    @property
    def flow(self) -> Flow:
        """Its ends."""
        row = self.exhibit.connection
        return Flow(client=row.client, client_port=row.client_port, server=row.server, server_port=row.server_port)

    def broken_off(self, step: str, waiting_since: float) -> Failure | None:
        """Why something that was under way at ``waiting_since`` did not come to its end.

        None when the capture ended too early to tell. A client that closes after a long silence has run out of
        patience: that is a timeout.
        """
        ending = self.ending
        silence = max(0.0, ending.at - waiting_since)
        if ending.how == "none":
            if silence < TELLING_SILENCE_S:
                return None
            return Failure(kind="timeout", step=step, detail=f"no answer in {silence:.1f} s")
        if ending.by == "client" and silence >= TELLING_SILENCE_S:
            return Failure(kind="timeout", step=step, detail=f"the client gave up after {silence:.1f} s of silence")
        if ending.how == "reset":
            return Failure(
                kind="reset", step=step, detail=f"a reset with the {ending.by}'s address ended the connection"
            )
        return Failure(kind="eof", step=step, detail=f"the {ending.by} closed the connection")


def listen_to(exhibit: Exhibit, icmp: tuple[IcmpSeen, ...], ended: float) -> Dialogue:
    """The dialogue in an exhibit of a capture that ended at ``ended``."""
    client, server = streams(exhibit)
    return Dialogue(exhibit, client, server, _ending(exhibit, ended), icmp)


def _ending(exhibit: Exhibit, ended: float) -> Ending:
    for segment in exhibit.segments:
        if "RST" in segment.flags:
            return Ending("reset", segment.sender, segment.at)
        if "FIN" in segment.flags:
            return Ending("fin", segment.sender, segment.at)
    return Ending("none", "", ended)
