"""One line of the bench's table, and the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """``measured`` and ``peer`` are in ``unit``; ``limit`` bounds their ratio, None only tells it."""

    what: str
    measured: float
    peer: float
    peer_is: str
    unit: str = "s"
    limit: float | None = None

    @property
    def ratio(self) -> float:
        return self.measured / self.peer

    @property
    def kept(self) -> bool:
        return self.limit is None or self.ratio <= self.limit

    def cells(self) -> tuple[str, ...]:
        limit = "-" if self.limit is None else f"{self.limit:g}"
        return (
            self.what,
            f"{self.measured:.3g} {self.unit}",
            f"{self.peer:.3g} {self.unit} ({self.peer_is})",
            f"{self.ratio:.2f}",
            limit if self.limit is None else f"{limit} {'ok' if self.kept else 'MISSED'}",
        )


def lines(rows: Iterable[Row]) -> list[str]:
    """The table as lines of text, columns aligned."""
    return aligned([("what", "measured", "peer", "ratio", "limit"), *(row.cells() for row in rows)])


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text as lines, columns aligned; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    ruled = [cells[0], ["-" * width for width in widths], *cells[1:]]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in ruled]
