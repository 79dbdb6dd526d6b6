"""What the duration of a failed attempt tells (FACTS 3.5: KB 175523, KB 2786464, measurements). Pure."""

from __future__ import annotations

from netdiag.rules.log_issue import LogText

#: Windows tries a refused connection again at intervals of half a second: twice until Server 2019's settings, four
#: times in current ones, so that a refusal takes about 1 s or 2 s; other systems report it at once.
_AT_ONCE_S, _AFTER_TWO_S, _AFTER_FOUR_S = 0.3, (0.8, 1.4), (1.7, 2.6)
#: Silence: three SYNs (0, 3, 9 s) or five (0, 1, 3, 7, 15 s), and in both cases the end after 21 s.
_SILENCE_S = (20.0, 22.5)
_SHORTER_SILENCE_S = (6.5, 7.6)


def wait_words(text: LogText) -> tuple[str, ...]:
    """How long the attempt lasted, and what that means for it; nothing where the text does not tell."""
    waited = text.seen.waited_s
    if waited is None:
        return ()
    if text.code(10061, 1225) or text.says("actively refused"):
        return (f"It took {waited:.2f} s: {_refused(waited)}",)
    if text.code(10060, 12002) or text.says("did not properly respond"):
        return (f"It took {waited:.1f} s: {_silent(waited)}",)
    return (f"It took {waited:.1f} s",)


def _refused(waited: float) -> str:
    if waited < _AT_ONCE_S:
        return "refused at the first packet, with no second try: a real reset came back"
    for low, high, times in ((*_AFTER_TWO_S, "twice more"), (*_AFTER_FOUR_S, "four times more")):
        if low <= waited <= high:
            return (
                f"Windows asks {times}, every half second, after a refusal, so each packet was "
                f"answered by a real reset: "
                "the way there is open, and nobody listens (or a firewall says so)"
            )
    if waited > _AFTER_FOUR_S[1]:
        return "longer than the refusals of one address take: several addresses were tried, or packets were lost"
    return "a real reset came back"


def _silent(waited: float) -> str:
    if _SILENCE_S[0] <= waited <= _SILENCE_S[1]:
        return "what Windows takes to give up on silence: no packet was answered, so something drops them"
    if _SHORTER_SILENCE_S[0] <= waited <= _SHORTER_SILENCE_S[1]:
        return "silence, with Windows set to two repetitions: no packet was answered, so something drops them"
    if waited > _SILENCE_S[1]:
        return "several addresses were tried one after the other, each without an answer, or the connection was open"
    return "the program gave up before Windows did"
