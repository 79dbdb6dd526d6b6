"""The rule about the clock, which comes before the others about chain: a wrong one makes good certificates look bad."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import ChainObservation, FaultKind, HttpsObservation, Severity
from netdiag.rules.certificates import counts_as, element_of, names_of, skew, utc
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

#: Kerberos refuses a larger difference by default (RFC 4120 §1.6 recommends five minutes, and Active Directory's
#: "Maximum tolerance for computer clock synchronization" is five).
CLOCK_TOLERANCE_S = 300.0
_TIME_KINDS: tuple[FaultKind, ...] = ("expired", "not-yet-valid")


@rule(
    "chain.clock-skew",
    "This machine's clock is wrong",
    Severity.ERROR,
    folds=("chain.expired", "chain.not-yet-valid"),
)
def clock_skew(seen: Seen) -> Iterator[Hit]:
    """The clock of this machine differs from that of the server, as the Date header of its answer tells.

    Certificates hold from one moment to another, and every program judges that by the clock of its
    own machine. A clock that is wrong by enough makes good certificates count as expired or not yet
    valid: that is an error here. When no certificate fails because of it, a difference above five
    minutes is still a warning, since Kerberos refuses it by default (RFC 4120), and with it sign-in
    to a domain and to proxies that want Negotiate.

    Set the clock, and let it be kept: "w32tm /resync" on Windows (a member of a domain follows its
    domain controller), "timedatectl set-ntp true" on Linux. If the clock of this machine is right
    after all, the server's is wrong, and its administrator has to act.
    """
    clock = _server_clock(seen)
    if clock is None:
        return
    offset = _offset(clock)
    remedy = "Set this machine's clock and let NTP keep it (Windows: w32tm /resync; Linux: timedatectl set-ntp true)."
    caused = [chain for chain in seen.effective(ChainObservation) if _cured_by(chain, offset)]
    for chain in caused:
        faults = [fault for fault in chain.faults if fault.kind in _TIME_KINDS]
        yield Hit(
            summary=f"This machine's clock is {skew(offset)} that of {chain.host}: {names_of(faults)} "
            f"{counts_as(faults)} here, and holds at the server's time, {utc(chain.at + offset)}",
            blame="this-machine",
            remedy=remedy,
            evidence=(chain, clock),
        )
    if not caused and abs(offset) > CLOCK_TOLERANCE_S:
        yield Hit(
            summary=f"This machine's clock is {skew(offset)} that of {seen.target.host}; Kerberos refuses more than 5 "
            "minutes",
            blame="this-machine",
            remedy=remedy,
            evidence=(clock,),
            severity=Severity.WARNING,
        )


def _server_clock(seen: Seen) -> HttpsObservation | None:
    """The answer whose clock counts: one of the effective route, else any; a verified one before another."""
    answers = [
        answer
        for answer in (*seen.effective(HttpsObservation), *seen.other(HttpsObservation))
        if answer.clock_offset_s is not None
    ]
    return next((a for a in answers if a.verified), answers[0] if answers else None)


def _offset(answer: HttpsObservation) -> float:
    """The server's clock minus this machine's. A cache sends the old Date, and its Age in seconds (RFC 9111 §5.1)."""
    age = next((value.strip() for name, value in answer.headers if name.lower() == "age"), "")
    return (answer.clock_offset_s or 0.0) + (int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0)


def _cured_by(chain: ChainObservation, offset: float) -> bool:
    """Whether the chain has faults of time, and none of them at the server's time."""
    faults = [fault for fault in chain.faults if fault.kind in _TIME_KINDS]
    elements = [element_of(chain, fault) for fault in faults]
    now = chain.at + offset
    return bool(faults) and all(e is not None and e.not_before <= now <= e.not_after for e in elements)
