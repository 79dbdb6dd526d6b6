"""Who sent a reset: the signs weighed, the arithmetic written out, and what may have been harmless.

Contract: pure, from one ``ResetObservation`` alone. The answer is never surer than the evidence: signs are taken as
independent and the sum is capped, because devices can copy a TTL, and a load balancer or NAT answers everything in the
server's place. Where the signs contradict each other or are too weak, the answer is that it cannot be told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from netdiag.model import ResetObservation, Segment
from netdiag.rules import reset_headers, reset_order
from netdiag.rules.captured import flags
from netdiag.rules.initial_ttl import (
    PATH_CHANGE,
    counted,
    doubt,
    family,
    hop_number,
    initial_ttl,
    is_undecremented,
    ordinal,
    routers_crossed,
    sum_of,
)
from netdiag.rules.reset_headers import Detector
from netdiag.rules.reset_sign import Sign, nearest_ttl, own_ttls, ttl_word
from netdiag.rules.reset_signature import signature, stage

Origin = Literal["server", "client", "path-device", "unknown"]
Vantage = Literal["client", "server", "both", "between", "unknown"]

#: Below this, the answer is "cannot be told".
SURE_ENOUGH = 0.68
#: How each confidence is said.
CERTAIN = 0.9
PROBABLE = 0.75
#: No reset is proof: the most that can be claimed of a device, the same without a TTL that speaks for it, and of the
#: claimed sender, whose TTL a device can copy; the last is for a sender on this side of every router.
MOST_DEVICE = 0.95
MOST_DEVICE_WITHOUT_TTL = 0.85
MOST_SENDER = 0.85
MOST_SENDER_HERE = 0.93
#: Silence from which on an idle timeout is the usual cause (the shortest of load balancers and firewalls in practice).
IDLE_S = 60.0
#: The ids of what a run captured of itself: the descendants of its ``WireObservation``.
_OWN = "wire."


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. ``confidence`` runs from 0.5, which is no knowledge, to 1."""

    origin: Origin
    confidence: float
    #: "almost certainly", "probably", "perhaps"; empty for an unknown origin.
    adverb: str
    #: The sender's hop, counted from where the reset was seen towards the claimed sender; for a device only.
    hop: int | None
    #: That hop's address and name, where a trace tells them.
    address: str = ""
    name: str = ""
    signs: tuple[Sign, ...]
    #: "TTL 61 = 64 - 3: ..." for the reset, and for what it is compared with.
    arithmetic: tuple[str, ...]
    #: Harmless explanations that the facts allow.
    benign: tuple[str, ...]
    signature: str
    stage: str
    #: What a second capture or a trace proves, as a clause, what else it shows, and the stretch of the path that it
    #: leaves.
    proof: str = ""
    also: tuple[str, ...] = ()
    where: str = ""

    @property
    def conclusion(self) -> str:
        """The answer and how sure it is, as a sentence."""
        if self.origin == "unknown":
            return "Who sent it cannot be told: the signs are too weak, or contradict each other"
        who = "a device on the path" if self.origin == "path-device" else f"the {self.origin}"
        return f"{_upper(self.adverb)} sent by {who} (confidence {self.confidence:.0%})"

    @property
    def details(self) -> tuple[str, ...]:
        """Everything in sentences: proof, answer, arithmetic, signs, signature, what else it may have been."""
        for_whom = {"nobody": "says nothing", "path-device": "for a device"}
        signs = (s for s in self.signs if s.words != self.proof)
        weighed = (f"{_upper(s.words)} ({for_whom.get(s.points_to, f'for the {s.points_to}')})" for s in signs)
        return (
            *((_upper(self.proof),) if self.proof else ()),
            self.conclusion,
            *self.also,
            *self.arithmetic,
            *weighed,
            f"Signature {self.signature}: {self.stage}",
            *(f"It may be harmless: {words}" for words in self.benign),
        )


_DETECTORS = (*reset_headers.DETECTORS, *reset_order.DETECTORS)


def attribute(
    observation: ResetObservation, detectors: Sequence[Detector] = _DETECTORS, signs: Sequence[Sign] = ()
) -> Attribution:
    """Weigh every sign of the first reset, the one that ended the connection; ``signs``: what else is known of it."""
    found = (*signs, *(sign for detect in detectors for sign in detect(observation)))
    device = _probability(found)
    sender_here = any(s.name == "sent-here" for s in found)
    ttl_speaks = any(s.name in ("ttl", "too-near") and s.points_to == "path-device" for s in found)
    most_device = MOST_DEVICE if ttl_speaks else MOST_DEVICE_WITHOUT_TTL
    device = min(max(device, 1 - (MOST_SENDER_HERE if sender_here else MOST_SENDER)), most_device)
    confidence = max(device, 1 - device)
    origin: Origin = "unknown"
    if confidence >= SURE_ENOUGH:
        origin = "path-device" if device > 0.5 else observation.claimed
    return Attribution(
        origin=origin,
        confidence=round(confidence, 2),
        adverb=_adverb(confidence) if origin != "unknown" else "",
        hop=hop_number(observation.resets[0].ttl) if origin == "path-device" else None,
        signs=found,
        arithmetic=_arithmetic(observation),
        benign=tuple(_benign(observation)),
        signature=signature(observation),
        stage=stage(observation),
    )


def _probability(found: tuple[Sign, ...]) -> float:
    """That a device sent it: the odds of independent signs multiply, from even odds."""
    total = 0.0
    for sign in found:
        if sign.points_to != "nobody":
            log_odds = math.log(sign.weight / (1 - sign.weight))
            total += log_odds if sign.points_to == "path-device" else -log_odds
    return 1 / (1 + math.exp(-total))


def _adverb(confidence: float) -> str:
    return "almost certainly" if confidence >= CERTAIN else "probably" if confidence >= PROBABLE else "perhaps"


def vantage(observation: ResetObservation) -> Vantage:
    """Where the packets were seen: a TTL that no router has touched tells the end of the path."""
    own = observation.before or observation.opening
    claimed_here = own is not None and is_undecremented(own.ttl)
    other = observation.answers or observation.provoked_by
    other_here = other is not None and is_undecremented(other.ttl)
    if claimed_here and other_here:
        return "both"
    if claimed_here:
        return observation.claimed
    if other_here:
        return "server" if observation.claimed == "client" else "client"
    return "between" if own is not None and other is not None else "unknown"


def own(observation: ResetObservation) -> bool:
    """Whether a run captured it of itself, at the client."""
    return observation.id.startswith(_OWN)


def here(observation: ResetObservation) -> str:
    """The place that hops are counted from, in words."""
    place = vantage(observation)
    if observation.source == "probe" or own(observation):
        return "this machine"
    return {"client": "the client", "server": "the server"}.get(place, "the capture point")


def _arithmetic(o: ResetObservation) -> tuple[str, ...]:
    reset, word = o.resets[0], ttl_word(o)
    hop, initial = hop_number(reset.ttl), initial_ttl(reset.ttl)
    if is_undecremented(reset.ttl):
        where = f"sent by the 1st hop from {here(o)}, or right there: no router between"
    else:
        where = f"{counted(hop - 1, 'router')} between, sent by the {ordinal(hop)} hop from {here(o)}"
    lines = [f"Reset: {word} {sum_of(reset.ttl)}: {where}; {initial} is the initial {word} of {family(initial)}"]
    own = reference(o)
    if own is not None:
        distance = routers_crossed(own.ttl)
        lines.append(
            f"The {o.claimed}'s {own.packets}: {word} {sum_of(own.ttl)}: {counted(distance, 'router')} between, so the "
            f"{o.claimed} is the {ordinal(distance + 1)} hop; {initial_ttl(own.ttl)} is the initial {word} of "
            f"{family(initial_ttl(own.ttl))}"
        )
    doubts = dict.fromkeys(doubt(ttl) for ttl in (reset.ttl, own.ttl if own else reset.ttl))
    return (*lines, *(f"Not certain: {words}" for words in doubts if words))


class Reference(NamedTuple):
    """What the reset's TTL is compared with in words: packets of the claimed sender."""

    packets: str
    ttl: int


def reference(o: ResetObservation) -> Reference | None:
    """The opening packet where it is there, else whatever comes nearest to the reset."""
    if o.opening is not None:
        return Reference("SYN-ACK" if o.claimed == "server" else "SYN", o.opening.ttl)
    nearest = nearest_ttl(o)
    if nearest is None:
        return None
    return Reference("other packets" if o.ttls else "SYN-ACKs in other connections", nearest)


def silence_s(observation: ResetObservation) -> float:
    """How long nothing had been heard before the reset, or before the packet that it answers."""
    moments = sorted(p.at for p in (observation.before, observation.answers) if p is not None)
    moments.append(observation.resets[0].at)
    return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)


def _benign(o: ResetObservation) -> list[str]:
    """The explanations that involve no ill will, of those that the facts allow."""
    found = []
    reset = o.resets[0]
    if o.after_fin:
        found.append(f"the {o.claimed} had closed already, and answers late packets with a reset (RFC 9293 §3.10.7.1)")
    elif o.fins:
        found.append(f"the other side had closed, and the {o.claimed} ends its half with a reset")
    elif o.stage == "later_in_flow" and "ACK" in flags(reset):
        found.append(
            f"a program at the {o.claimed} closed the connection with data unread (RFC 2525 §2.17) or by abort"
        )
    if _answers_unknown(o, reset):
        found.append(f"the {o.claimed} no longer knew the connection, after a restart or a timeout")
    if silence_s(o) >= IDLE_S:
        found.append(f"nothing was sent for {silence_s(o):.0f} s, and an idle timeout ended it")
    nearest = nearest_ttl(o)
    if nearest is not None and own_ttls(o):
        far = routers_crossed(reset.ttl) - routers_crossed(nearest)
        if 0 < abs(reset.ttl - nearest) <= PATH_CHANGE:
            found.append("packets of one sender take several paths (ECMP, anycast, another way back)")
        elif far > PATH_CHANGE:
            found.append(f"a device in front of the {o.claimed} accepts connections for it (SYN proxy, load balancer)")
    if o.claimed == "server" and nearest == reset.ttl:
        found.append("a load balancer, NAT or proxy at the server's address answers in its place, with the same TTL")
    if o.claimed == "client" and o.stage in ("post_syn", "post_ack") and not o.bytes_client:
        found.append("a port test, a health probe, or a second connection attempt that was not needed (RFC 8305)")
    return found


def _answers_unknown(o: ResetObservation, reset: Segment) -> bool:
    """The form of an answer to a packet of no known connection: no ACK, the number that the packet acknowledged."""
    return (
        o.stage == "later_in_flow"
        and not o.fins
        and "ACK" not in flags(reset)
        and o.answers is not None
        and "ACK" in flags(o.answers)
        and reset.seq == o.answers.ack
    )


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]
