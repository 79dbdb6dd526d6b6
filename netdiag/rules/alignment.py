"""What two captures of the same traffic prove that one cannot: where a packet first appears, and where it is lost.

Contract: pure. What both captures show outweighs TTL arithmetic. ``refined`` adds it to a finding about connections
that both hold; ``placed`` does so for the sender of a reset, before a finding is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from netdiag.model import (
    AlignedObservation,
    AlignedPacket,
    Blame,
    Culprit,
    Finding,
    Losses,
    Observation,
    ResetObservation,
)
from netdiag.rules.initial_ttl import hop_number, is_undecremented, ordinal, sum_of
from netdiag.rules.reset_evidence import Attribution, attribute
from netdiag.rules.reset_evidence import here as vantage_of
from netdiag.rules.reset_sign import ttl_word
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted

Capture = Literal["this", "other"]

#: As sure as two captures make it: a packet cannot pass a place without being seen there, unless that capture lost it.
PROVEN = 0.98
#: Frames and kinds of changes named in a sentence.
_NAMED = 4
#: How deep observations depend on each other.
_MAX_DEPTH = 6


def aligned_with(seen: Seen, observation: Observation | None) -> AlignedObservation | None:
    """The comparison of the connection that an observation is about."""
    by_parent = seen.derived(_by_parent)
    for _ in range(_MAX_DEPTH):
        if observation is None:
            return None
        if isinstance(observation, AlignedObservation):
            return observation
        found = by_parent.get(observation.id) or by_parent.get(observation.parent or "")
        if found is not None:
            return found
        observation = seen.get(observation.parent) if observation.parent else None
    return None


def _by_parent(seen: Seen) -> dict[str, AlignedObservation]:
    return {o.parent: o for o in seen.of(AlignedObservation) if o.parent}


def near(aligned: AlignedObservation, side: Literal["client", "server"]) -> Capture | None:
    """Which capture was taken nearer to ``side``; None where that is not known."""
    if not aligned.nearer_client:
        return None
    if side == "client":
        return aligned.nearer_client
    return "other" if aligned.nearer_client == "this" else "this"


def name_of(aligned: AlignedObservation, capture: Capture) -> str:
    """A file without its folders."""
    path = aligned.path if capture == "this" else aligned.other
    return path.replace("\\", "/").rpartition("/")[2] or path


def between(aligned: AlignedObservation) -> str:
    """The stretch between the two places: "between a.pcap and b.pcap", from the client's side on."""
    first: Capture = aligned.nearer_client or "this"
    return f"between {name_of(aligned, first)} and {name_of(aligned, _not(first))}"


def _not(capture: Capture) -> Capture:
    return "other" if capture == "this" else "this"


def frame_in(packet: AlignedPacket, capture: Capture) -> int | None:
    """Its number in one of the captures."""
    return packet.frame if capture == "this" else packet.other_frame


# --- resets ----------------------------------------------------------------------------------------------------------


def reset_packet(aligned: AlignedObservation, reset: ResetObservation) -> AlignedPacket | None:
    """The first reset of an observation in the comparison."""
    capture, frame = seen_in(reset), reset.resets[0].frame
    return next((p for p in aligned.packets if frame_in(p, capture) == frame and "RST" in p.flags), None)


def seen_in(reset: ResetObservation) -> Capture:
    """Which capture shows it: of resets in the other one, the comparison is the parent."""
    return "other" if reset.id.startswith("other-") else "this"


def told_already(seen: Seen, reset: ResetObservation) -> bool:
    """Whether it is one of the other capture's, and this one shows it too."""
    aligned = aligned_with(seen, reset) if seen_in(reset) == "other" else None
    packet = reset_packet(aligned, reset) if aligned else None
    return packet is not None and packet.frame is not None


def moment(seen: Seen, reset: ResetObservation) -> float:
    """When it came, on this capture's clock."""
    aligned = aligned_with(seen, reset)
    packet = reset_packet(aligned, reset) if aligned else None
    return packet.at if packet else reset.resets[0].at


def placed(seen: Seen, reset: ResetObservation, judged: Attribution) -> Attribution:
    """The attribution with what both captures show; as it was where they show nothing."""
    aligned = aligned_with(seen, reset)
    packet = reset_packet(aligned, reset) if aligned else None
    if aligned is None or packet is None:
        return judged
    here, nearest = seen_in(reset), near(aligned, reset.claimed)
    if nearest is None:
        return judged
    frame = frame_in(packet, here)
    if frame_in(packet, _not(here)) is None:
        return _in_one_only(aligned, reset, packet, judged) if packet.missing else judged
    if nearest == here:
        return msgspec.structs.replace(judged, proof=f"it reaches {name_of(aligned, _not(here))} too")
    # It passes the place that is nearer to the sender: what that place shows of it counts.
    others = (o for o in seen.of(ResetObservation) if o.parent == aligned.id and o.claimed == reset.claimed)
    there = next((o for o in others if o.resets[0].frame == packet.other_frame), None)
    nearer = attribute(there) if there is not None and here == "this" else judged
    other = frame_in(packet, nearest)
    ttl = packet.other_ttl if nearest == "other" else packet.ttl
    proof = (
        f"it passes {name_of(aligned, nearest)}, nearer to the {reset.claimed}, already (frame {other:,} there, TTL "
        f"{ttl}; frame {frame:,} in {name_of(aligned, here)}), so it comes from beyond both"
    )
    agreed = nearer if nearer.origin != "unknown" else judged
    hop = agreed.hop
    if agreed is nearer and agreed.origin == "path-device" and aligned.routers is not None and ttl is not None:
        hop = hop_number(ttl) + aligned.routers
    return msgspec.structs.replace(agreed, hop=hop, proof=proof)


def _in_one_only(
    aligned: AlignedObservation, reset: ResetObservation, packet: AlignedPacket, judged: Attribution
) -> Attribution:
    """A reset that only one capture holds, and the other would."""
    here, nearest = seen_in(reset), near(aligned, reset.claimed)
    frame, mine, other = frame_in(packet, here), name_of(aligned, here), name_of(aligned, _not(here))
    if nearest == here:
        return msgspec.structs.replace(judged, proof=f"it is in {mine} (frame {frame:,}) and is dropped before {other}")
    routers = f", {counted(aligned.routers, 'router')} further towards the {reset.claimed}" if aligned.routers else ""
    proof = f"it is in {mine} (frame {frame:,}) and never in {other}{routers}: it was made between the two"
    hop = hop_number(reset.resets[0].ttl)
    believed = aligned.routers is None or hop <= aligned.routers + 1
    if believed:
        ttl = reset.resets[0].ttl
        away = f"the {ordinal(hop)} hop from {vantage_of(reset)}"
        away += ", or that place itself" if is_undecremented(ttl) else ""
        proof += f" ({ttl_word(reset)} {sum_of(ttl)}: {away})"
    also = list(_vanished_before(aligned))
    if packet.after_end:
        also.append(f"The last packet of {other} is older than the reset, by less than a second")
    return msgspec.structs.replace(
        judged,
        origin="path-device",
        confidence=PROVEN,
        adverb="almost certainly",
        hop=hop if believed else None,
        proof=proof + _other_side(aligned, packet),
        also=tuple(also),
        where=between(aligned),
    )


def _vanished_before(aligned: AlignedObservation) -> Iterator[str]:
    """Data that gets lost where the reset appears: the device that resets does not pass on what it dislikes."""
    first = next((p for p in _vanishing(aligned) if p.length and "RST" not in p.flags), None)
    source = near(aligned, first.sender) if first else None
    if first is not None and source is not None:
        yield (
            f"The {first.sender}'s data ({first.length} bytes, frame {frame_in(first, source):,} in "
            f"{name_of(aligned, source)}) never reaches {name_of(aligned, _not(source))}"
        )


def _other_side(aligned: AlignedObservation, told: AlignedPacket) -> str:
    """Whether the other end is reset from between the two places as well."""
    for p in aligned.packets:
        if "RST" in p.flags and p.sender != told.sender and p.missing and _appears(aligned, p):
            place: Capture = "this" if p.frame is not None else "other"
            return (
                f"; another one, with the {p.sender}'s address, is in {name_of(aligned, place)} alone "
                f"(frame {frame_in(p, place):,}): both sides are reset from there"
            )
    return ""


def _vanishing(aligned: AlignedObservation) -> Iterator[AlignedPacket]:
    """Packets that the capture nearer to their sender holds, and the other does not."""
    for packet in aligned.packets:
        source = near(aligned, packet.sender)
        if packet.missing and source is not None and frame_in(packet, source) is not None:
            yield packet


def _appears(aligned: AlignedObservation, packet: AlignedPacket) -> bool:
    """Whether only the capture farther from the sender that it names holds it."""
    source = near(aligned, packet.sender)
    return source is not None and frame_in(packet, source) is None


# --- other findings ---------------------------------------------------------------------------------------------------


class _Answer(msgspec.Struct, frozen=True):
    """Where it happens. ``stretch`` is set when it is between the two places."""

    words: str
    stretch: str = ""
    remedy: str = ""
    blame: Blame | None = None


def refined(finding: Finding, seen: Seen) -> Finding:
    """The finding, with the place that both captures prove."""
    if not seen.of(AlignedObservation):
        return finding
    answer = _answer(finding, seen)
    if answer is None:
        return finding
    culprit = finding.culprit
    if answer.stretch:
        culprit = msgspec.structs.replace(culprit or Culprit(), name=answer.stretch)
    evidence = [aligned_with(seen, seen.get(identifier)) for identifier in finding.evidence]
    ids = dict.fromkeys((*finding.evidence, *(o.id for o in evidence if o is not None)))
    return msgspec.structs.replace(
        finding,
        summary=f"{finding.summary.rstrip('.')}. In both captures: {answer.words}",
        remedy=_advice(finding, answer),
        blame=answer.blame or finding.blame,
        culprit=culprit,
        evidence=tuple(ids),
    )


def _advice(finding: Finding, answer: _Answer) -> str:
    """Where to look, and what else the finding advises, unless that was to capture at two places."""
    if not answer.remedy or finding.id in ("tcp.retransmissions", "tcp.handshake-incomplete"):
        return answer.remedy or finding.remedy
    return f"{answer.remedy} {finding.remedy}"


_OPENING = frozenset(("tcp.no-reply", "tcp.handshake-incomplete"))
_LOSS = frozenset(("tcp.retransmissions", "tcp.mtu-black-hole"))
_CUT = frozenset(("tls.sni-filtered", "tls.interrupted", "tls.handshake-failed", "proxy.no-answer", "https.no-answer"))


def _answer(finding: Finding, seen: Seen) -> _Answer | None:
    evidence = [aligned_with(seen, seen.get(identifier)) for identifier in finding.evidence]
    compared = list({o.id: o for o in evidence if o is not None and o.nearer_client}.values())
    if finding.id in _OPENING:
        return next((answer for o in compared if (answer := _opening(o)) is not None), None)
    if finding.id in _LOSS:
        return _lost(finding, [o for o in (compared or seen.of(AlignedObservation)) if o.nearer_client])
    if finding.id in _CUT:
        return next((answer for o in compared if (answer := _cut(o)) is not None), None)
    return None


def _opening(aligned: AlignedObservation) -> _Answer | None:
    """How far the SYNs come, and their answers."""
    at_client, at_server = near(aligned, "client"), near(aligned, "server")
    if at_client is None or at_server is None:
        return None
    syns = [p for p in aligned.packets if p.sender == "client" and _flags(p) >= {"SYN"}]
    answers = [p for p in aligned.packets if p.sender == "server" and _flags(p) >= {"SYN", "ACK"}]
    one, other = name_of(aligned, at_client), name_of(aligned, at_server)
    if syns and all(frame_in(p, at_server) is None for p in syns):
        if not any(p.missing for p in syns):
            return None
        what = f"the SYNs are in {one} ({_frames(syns, at_client)}) and never in {other}"
        return _between(aligned, f"{what}: they are dropped between the two")
    vanished = [p for p in answers if p.missing and frame_in(p, at_client) is None]
    if vanished:
        what = f"the SYN-ACK is in {other} ({_frames(vanished, at_server)}) and never in {one}"
        return _between(aligned, f"{what}: it is dropped between the two, on its way back")
    passed = [p for p in syns if frame_in(p, at_server) is not None]
    if passed and not answers:
        what = f"the SYNs pass {other} ({_frames(passed, at_server)}), and no answer comes back to that place"
        return _Answer(
            f"{what}: they are dropped or left unanswered beyond it",
            remedy=f"Look beyond {other}, towards the server, for what drops the SYN or its answer; at the server "
            "itself, for whether it arrives.",
        )
    return None


def _lost(finding: Finding, compared: Sequence[AlignedObservation]) -> _Answer | None:
    """Before, between or behind the two places."""
    for sender in ("server", "client"):
        told = [(o, lost) for o in compared if (lost := _losses(o, sender)) is not None]
        before, between_, after = (sum(getattr(lost, at) for _, lost in told) for at in ("before", "between", "after"))
        if not before + between_ + after:
            continue
        aligned = max(told, key=lambda entry: (entry[1].between, entry[1].before + entry[1].after))[0]
        source = near(aligned, "server" if sender == "server" else "client")
        if source is None:
            continue
        first, last = name_of(aligned, source), name_of(aligned, _not(source))
        if between_:
            large = _large(aligned, sender) if finding.id == "tcp.mtu-black-hole" else ""
            rest = f", {before + after:,} elsewhere" if before + after else ", none elsewhere"
            sent = sum(lost.packets for _, lost in told)
            return _between(
                aligned,
                f"{between_:,} of the {sender}'s {sent:,} packets with data are in {first} and never in {last}{large}: "
                f"they are lost between the two{rest}",
            )
        if before > after:
            words = f"what the {sender} sends is lost before it reaches {first}, nothing between the two"
            return _Answer(words, remedy=f"Look for the loss between the {sender} and the place of {first}.")
        goal = "client" if sender == "server" else "server"
        return _Answer(
            f"what the {sender} sends passes both places and is lost beyond {last}, on its way to the {goal}, or the "
            "acknowledgements are",
            remedy=f"Look for the loss between the place of {last} and the {goal}.",
        )
    return None


def _losses(aligned: AlignedObservation, sender: str) -> Losses | None:
    return aligned.lost_server if sender == "server" else aligned.lost_client


def _large(aligned: AlignedObservation, sender: str) -> str:
    lengths = [p.length for p in _vanishing(aligned) if p.sender == sender and p.length]
    return f" ({min(lengths)} to {max(lengths)} bytes)" if lengths and min(lengths) < max(lengths) else ""


def _cut(aligned: AlignedObservation) -> _Answer | None:
    """A conversation that breaks off: what vanishes between the two places, and what appears there."""
    said = []
    vanished = [p for p in _vanishing(aligned) if p.length and "RST" not in p.flags]
    for sender in ("client", "server"):
        mine = [p for p in vanished if p.sender == sender]
        source = near(aligned, mine[0].sender) if mine else None
        if source is not None:
            said.append(
                f"the {sender}'s data ({_frames(mine, source)} in {name_of(aligned, source)}) never reaches "
                f"{name_of(aligned, _not(source))}"
            )
    forged = [p for p in aligned.packets if p.missing and "RST" in p.flags and _appears(aligned, p)]
    if forged:
        place: Capture = "this" if forged[0].frame is not None else "other"
        said.append(f"the reset is in {name_of(aligned, place)} alone ({_frames(forged, place)})")
    return _between(aligned, f"{', and '.join(said)}: that happens between the two") if said else None


def _between(aligned: AlignedObservation, words: str) -> _Answer:
    stretch = between(aligned)
    routers = f": {counted(aligned.routers, 'router')} lie there" if aligned.routers and aligned.routers > 1 else ""
    remedy = f"Look at what stands {stretch}{routers}; its log, or a capture in the middle, names the one."
    return _Answer(words, stretch, remedy, "path-device")


def _frames(packets: Sequence[AlignedPacket], capture: Capture) -> str:
    numbers = [f"{frame:,}" for p in packets if (frame := frame_in(p, capture)) is not None]
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"{'frame' if len(numbers) == 1 else 'frames'} {', '.join(numbers[:_NAMED])}{more}"


def _flags(packet: AlignedPacket) -> frozenset[str]:
    return frozenset(packet.flags.split(","))
