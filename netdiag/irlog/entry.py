"""One entry of a log, and what is counted of those that say nothing of interest.

Contract: values only. Times are seconds since the epoch, counted as if the log's clock were UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

#: Told how many bytes are read, of how many (None where that is not known), and how many entries there were.
Progress = Callable[[int, int | None, int], None]

#: Characters of one entry that are looked at. Nested exceptions with their stacks have some ten thousand.
MAX_ENTRY = 256_000

#: Beginnings of words of trouble, in lower case. An entry without any of them is counted, and not looked at. Each costs
#: a pass over the whole log, so that a stem stands for many words: "err" for error, erreur, errore.
HINTS = (
    *("err", "exce", "fail", "fata", "crit", "denied", "refused", "reset by", "forcibl", "could", "cannot", "can't"),
    *("unable", "invalid", "missing", "not found", "timed", "timeo", "0x8", "not assigned", "trying to sync"),
    *("wrong payload", "updating", "fehl", "ausnahm", "fout", "chyba"),
)
#: The same in other scripts, which most logs need not be searched for.
FOREIGN_HINTS = ("błąd", "ошибк", "исключ", "エラー", "例外", "错误", "異常", "异常", "錯誤", "오류", "예외")


@dataclass(slots=True, kw_only=True)
class Entry:
    """What one entry says. ``time`` is None where it tells none; ``utc`` says that its clock was UTC."""

    text: str
    time: float | None = None
    utc: bool = False
    level: str = ""
    provider: str = ""
    event_id: int | None = None
    node: str = ""
    activity_id: str = ""
    #: Line, row or record, from 1 on.
    number: int = 0


@dataclass(slots=True)
class Tally:
    """What the readers count beside the entries that they yield."""

    entries: int = 0
    first: float | None = None
    last: float | None = None
    utc: bool = False
    damage: list[str] = field(default_factory=list)
    #: The first few nodes of entries that are not looked at.
    nodes: dict[str, None] = field(default_factory=dict)

    def saw(self, time: float | None, *, utc: bool = False) -> None:
        """The time of an entry, whether it is yielded or not."""
        if time is None:
            return
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)
        self.utc = self.utc or utc

    def damaged(self, sentence: str) -> None:
        """Something could not be read; each kind of damage is told once."""
        if sentence not in self.damage and len(self.damage) < MAX_DAMAGE:
            self.damage.append(sentence)


#: Sentences about damage. They name no numbers that make each of them another.
MAX_DAMAGE = 20


def hinted(text: str) -> bool:
    """Whether there is any word of trouble in it."""
    lowered = text.lower()
    return any(hint in lowered for hint in HINTS) or (
        not lowered.isascii() and any(hint in lowered for hint in FOREIGN_HINTS)
    )
