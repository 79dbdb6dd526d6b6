"""How logs write times and levels -> seconds, and one of a few words.

Contract: pure. A time without a zone is counted as if it were UTC; the caller knows that it is not.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

#: A date and a time in the ways of .NET, Event Viewer, IIS and the integration runtime's own trace.
_DATE = (
    r"(?:(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"
    r"|(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<y2>\d{4}))"
)
_CLOCK = r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
_ZONE = r"(?:\s?(?P<ampm>[AP]\.?M\.?)\b)?\s?(?P<zone>Z\b|UTC\b|GMT\b|[+-]\d{2}:?\d{2}\b)?"
TIME = re.compile(rf"{_DATE}(?:[T ,-]|,\s|\s-\s|\s+){_CLOCK}{_ZONE}", re.IGNORECASE)

#: The words of Event Viewer, of .NET and of common loggers, in the languages of Windows' larger editions.
_LEVELS = {
    "critical": "critical kritisch critique crítico critico fatal fatl ftl kritiek критический 重大 严重 關鍵 위험",
    "error": "error err fehler erreur errore erro fout błąd chyba ошибка エラー 错误 錯誤 오류 fel fejl virhe severe",
    "warning": "warning warn wrn warnung avertissement advertencia avviso aviso waarschuwing предупреждение"
    " 警告 경고 ostrzeżenie",
    "information": "information info inf informationen informations información informazioni informações informacje"
    " informatie сведения 情報 信息 資訊 정보 notice informational",
    "verbose": "verbose debug dbg trace trc vrb ausführlich commentaires detallado dettagliato подробности 詳細 详细",
}
_LEVEL_OF = {word: level for level, words in _LEVELS.items() for word in words.split()}

#: Windows' own numbers of levels.
LEVEL_NUMBERS = {1: "critical", 2: "error", 3: "warning", 4: "information", 5: "verbose", 0: ""}


@dataclass(slots=True)
class Clock:
    """Reads the times of one file. What "05/06/2024" means is taken from the first date that leaves no doubt."""

    day_first: bool | None = None

    def read(self, text: str, at: int = 0) -> tuple[float, bool, int] | None:
        """The time that begins at or soon after ``at``: seconds, whether its zone was told, where it ends."""
        match = TIME.search(text, at, at + _NEAR)
        return self.value(match) if match else None

    def value(self, match: re.Match[str]) -> tuple[float, bool, int] | None:
        """What a match of ``TIME`` means, unless no calendar has that time."""
        part = match.groupdict()
        if part["y"]:
            year, month, day = int(part["y"]), int(part["m"]), int(part["d"])
        else:
            year, (month, day) = int(part["y2"]), self._month_day(int(part["a"]), int(part["b"]), part)
        hour = int(part["H"])
        if part["ampm"]:
            hour = hour % 12 + (12 if part["ampm"][0] in "pP" else 0)
        try:
            moment = datetime(year, month, day, hour, int(part["M"]), int(part["S"] or 0), tzinfo=UTC)
        except ValueError:
            return None
        seconds = moment.timestamp() + float(f"0.{part['f'] or 0}")
        zone = part["zone"] or ""
        return seconds - _offset(zone), bool(zone), match.end()

    def _month_day(self, first: int, second: int, part: dict[str, str | None]) -> tuple[int, int]:
        if first > 12 or second > 12:  # no doubt
            self.day_first = first > 12
        day_first = self.day_first
        if day_first is None:
            day_first = part["sep"] == "."
        return (second, first) if day_first else (first, second)


#: How far into a line its time may begin: "[14]0460.3404::", a level, a thread.
_NEAR = 80


def _offset(zone: str) -> float:
    if zone[:1] not in ("+", "-"):
        return 0.0
    digits = zone[1:].replace(":", "")
    away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])).total_seconds()
    return away if zone[0] == "+" else -away


@functools.lru_cache(maxsize=4096)
def level_of(word: str) -> str:
    """One of critical, error, warning, information, verbose; empty for a word that is no level."""
    word = word.strip().strip("[]<>():|").casefold()
    if word.isdigit() and len(word) == 1:
        return LEVEL_NUMBERS.get(int(word), "")
    return _LEVEL_OF.get(word, "")
