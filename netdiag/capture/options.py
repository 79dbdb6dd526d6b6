"""What a user may ask of a capture."""

from __future__ import annotations

import msgspec

_DAY_NS = 86_400 * 10**9


class CaptureOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Filters and choices. Filters join by AND, the values of one by OR; an empty one lets everything pass."""

    #: Addresses, or names that the capture itself gives addresses; either end of a packet.
    hosts: tuple[str, ...] = ()
    #: TCP or UDP ports; either end.
    ports: tuple[int, ...] = ()
    #: Moments in ns, both inclusive, since the Unix epoch; ``relative``: since the first packet; ``of_day``: since the
    #: midnight (UTC) before the first packet. ``window`` resolves them.
    since_ns: int | None = None
    until_ns: int | None = None
    relative: bool = False
    of_day: bool = False
    #: Connections whose packets are kept whatever their state, by number.
    conversations: tuple[int, ...] = ()
    #: List every connection with a reset.
    resets: bool = False
    #: How many connections the report lists in short, those with a fault first (``Report.conversations``).
    listed: int = 0
    #: How many rows of connections stay in memory; the rest goes to a temporary file.
    live_connections: int = 64_000

    def window(self, first_ns: int) -> tuple[int | None, int | None]:
        """The first and the last moment asked for, in ns since the Unix epoch; ``first_ns``: the first packet's.

        A time of day that has passed when the capture begins is the next day's, as the end of a range; its beginning
        is then the last such time before that end.
        """
        since, until = self.since_ns, self.until_ns
        start = first_ns if self.relative else first_ns - first_ns % _DAY_NS if self.of_day else 0
        since = None if since is None else start + since
        until = None if until is None else start + until
        if self.of_day and until is not None:
            if until < first_ns:
                until += _DAY_NS
            if since is not None:
                since = until - (until - since) % _DAY_NS
        return since, until
