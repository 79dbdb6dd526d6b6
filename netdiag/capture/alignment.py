"""Two captures of the same traffic -> what both hold, and what only one of them does. Facts; nothing is judged.

Contract: bounded by the named limits. Clocks are compared by the packets themselves. A packet counts as missing from a
capture only where that one would hold it: its file covers the moment, the packets around it were kept, and nobody there
acknowledges what it carried.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from netdiag.capture import clocks, pairing
from netdiag.capture.arrivals import Arrivals
from netdiag.capture.changes import changes, losses
from netdiag.capture.clocks import Clock, Moments
from netdiag.capture.engine import Analysis
from netdiag.capture.exhibits import Exhibit
from netdiag.capture.matching import Match, match
from netdiag.capture.observe import observe
from netdiag.capture.pairing import Pair, Pairing
from netdiag.capture.resets import resets
from netdiag.model import (
    AlignedObservation,
    AlignedPacket,
    AlignmentObservation,
    AnyObservation,
    CaptureObservation,
    Connection,
    Flow,
    TcpObservation,
)

#: Connections that are compared packet by packet, and those whose files are read again for all of their packets.
MAX_ALIGNED = 64
MAX_READ_AGAIN = 24
#: Packets of one connection that the report holds: so many of each kind that matters, and of the first.
_EACH = 12
#: Connections that only one capture holds.
MAX_ALONE = 16
#: Pairs of addresses.
MAX_TRANSLATED = 8
#: Kinds of changes of one connection.
_MAX_CHANGES = 12
#: Nobody stops a capture within the second in which something happens.
GRACE_S = 1.0
#: A capture that lost this share of its packets by its own count does not prove that one was not there.
_DOUBTFUL = 0.01
#: Two places without a router between are told apart by a delay from here on: clocks tick in microseconds.
_LEAST_DELAY_S = 10e-6

#: Reads a file again: the connections with these numbers, all of their packets. None for a stream.
ReadAgain = Callable[[tuple[int, ...]], Analysis]
_Capture = Literal["", "this", "other"]
_FLIPPED: dict[_Capture, _Capture] = {"this": "other", "other": "this", "": ""}


class _Aligned(msgspec.Struct):
    """One connection of both captures."""

    here: Exhibit
    there: Exhibit
    pairing: Pairing
    arrived_here: Arrivals
    arrived_there: Arrivals
    nearer: _Capture = ""
    routers: int | None = None


class _Two(msgspec.Struct):
    """Both captures, and what is known of how they relate."""

    here: Analysis
    there: Analysis
    clock: Clock | None = None
    aligned: list[_Aligned] = msgspec.field(default_factory=list)
    terminated: int = 0


def align(
    here: Analysis,
    there: Analysis,
    *,
    here_again: ReadAgain | None = None,
    there_again: ReadAgain | None = None,
    asked: Collection[int] = (),
) -> tuple[AnyObservation, ...]:
    """How the two captures relate, one observation for each connection compared, and what only the other shows."""
    two = _Two(here, there)
    found = match(here, there)
    exhibits = _exhibits(two, found, asked, here_again, there_again)
    for one, (ours, theirs) in exhibits.items():
        paired = pairing.begin(ours, theirs)
        if paired.is_same or (one.sure and paired.sure):
            arrived = Arrivals(paired.here.segments), Arrivals(paired.there.segments)
            two.aligned.append(_Aligned(ours, theirs, paired, *arrived))
        elif paired.sure:
            two.terminated += 1
    _locate(two)
    joined = [o for each in two.aligned for o in _observations(two, each)]
    matched = {(one.here, one.there) for one in found}
    alone = [*_only_here(two, {n for n, _ in matched}), *_only_there(two, {n for _, n in matched})]
    summary = _summary(two, len(found) - two.terminated, [o for o in alone if isinstance(o, AlignedObservation)])
    return (summary, *joined, *alone)


def _exhibits(
    two: _Two,
    found: Sequence[Match],
    asked: Collection[int],
    here_again: ReadAgain | None,
    there_again: ReadAgain | None,
) -> dict[Match, tuple[Exhibit, Exhibit]]:
    """The packets of the matches that matter most, in both captures."""
    ours = {e.connection.number: e for e in two.here.capture.exhibits}
    theirs = {e.connection.number: e for e in two.there.capture.exhibits}

    def harm(one: Match) -> tuple[bool, bool, int]:
        kept = [e.connection for e in (ours.get(one.here), theirs.get(one.there)) if e is not None]
        return one.here not in asked, not any(map(_troubled, kept)), one.here

    ranked = sorted(found, key=harm)[:MAX_ALIGNED]
    first = ranked[:MAX_READ_AGAIN]
    _complete(ours, [one.here for one in first], here_again)
    _complete(theirs, [one.there for one in first], there_again)
    return {
        one: (ours[one.here], _turned(theirs[one.there], ours[one.here].connection))
        for one in ranked
        if one.here in ours and one.there in theirs
    }


def _troubled(connection: Connection) -> bool:
    c = connection
    again = c.retransmissions_client + c.retransmissions_server
    return c.opening in ("unanswered", "refused", "unfinished") or c.closing == "reset" or again > 0


def _complete(exhibits: dict[int, Exhibit], numbers: Sequence[int], again: ReadAgain | None) -> None:
    """Read the file again if packets of these connections were not kept."""
    if again is None or all(n in exhibits and not exhibits[n].omitted for n in numbers):
        return
    wanted = set(numbers)
    for exhibit in again(tuple(numbers)).capture.exhibits:
        if exhibit.connection.number in wanted:
            exhibits[exhibit.connection.number] = exhibit


def _turned(exhibit: Exhibit, like: Connection) -> Exhibit:
    """With client and server as in the other capture: without the opening, each has guessed for itself."""
    c = exhibit.connection
    swapped = (c.client, c.client_port, c.server, c.server_port) == (
        like.server,
        like.server_port,
        like.client,
        like.client_port,
    )
    if not swapped:
        return exhibit
    segments = [
        msgspec.structs.replace(s, sender="server" if s.sender == "client" else "client") for s in exhibit.segments
    ]
    ends = {"client": like.client, "client_port": like.client_port, "server": like.server}
    row = msgspec.structs.replace(c, **ends, server_port=like.server_port)
    return Exhibit(row, segments, exhibit.payloads, exhibit.omitted, exhibit.omitted_after)


def _locate(two: _Two) -> None:
    """Which capture is nearer to the client of each connection, how many routers lie between, and the clocks."""
    for each in two.aligned:
        each.nearer, each.routers = _by_ttl(each.pairing)
    # Where no router is between, the delay tells: it cannot be negative.
    if not any(each.nearer for each in two.aligned):
        clock = _clock(two.aligned)
        if clock and clock.delay_s is not None and abs(clock.delay_s) >= _LEAST_DELAY_S:
            for each in two.aligned:
                each.nearer = "this" if clock.delay_s > 0 else "other"
    two.clock = _clock(two.aligned)


def _by_ttl(paired: Pairing) -> tuple[_Capture, int | None]:
    """A packet loses TTL on its way: by how much, and in which direction the client's go."""
    differences: list[int] = []
    for i, j in paired.sure:
        a, b = paired.here.segments[i], paired.there.segments[j]
        lost = a.ttl - b.ttl
        differences.append(lost if a.sender == "client" else -lost)
    if not differences:
        return "", None
    middle = int(statistics.median_low(differences))
    return ("this" if middle > 0 else "other" if middle < 0 else ""), abs(middle)


def _clock(aligned: Iterable[_Aligned]) -> Clock | None:
    forth: list[Moments] = []
    back: list[Moments] = []
    for each in aligned:
        client, server = list(each.pairing.moments("client")), list(each.pairing.moments("server"))
        forth += server if each.nearer == "other" else client
        back += client if each.nearer == "other" else server
    return clocks.fit(forth, back)


def _observations(two: _Two, each: _Aligned) -> Iterator[AnyObservation]:
    """The connection, packet by packet, and the resets that the other capture shows of it."""
    pairs = pairing.finish(each.pairing, two.clock)
    told = [(pair, _missing(two, each, pair)) for pair in pairs]
    number = each.here.connection.number
    aligned = _aligned(two, each, told)
    yield aligned
    for reset in resets(each.there, parent=aligned.id):
        yield msgspec.structs.replace(reset, id=f"other-reset-{number}-{reset.claimed}", flow=aligned.flow)


def _aligned(two: _Two, each: _Aligned, told: Sequence[tuple[Pair, bool]]) -> AlignedObservation:
    row = each.here.connection
    flow, other = _flow(row), _flow(each.there.connection)
    packets = [_packet(two, each.pairing, pair, missing) for pair, missing in told]
    counts = Counter((p.sender, words) for p in packets for words in p.changes)
    shown = _that_matter(packets)
    farther = _FLIPPED[each.nearer]
    return AlignedObservation(
        id=f"aligned-{row.number}",
        parent=f"connection-{row.number}",
        source="capture",
        started=row.started,
        flow=flow,
        connection=row.number,
        other_connection=each.there.connection.number,
        path=two.here.summary.path,
        other=two.there.summary.path,
        other_flow=other if other != flow else None,
        nearer_client=each.nearer,
        routers=each.routers,
        shift_client=each.pairing.shift["client"],
        shift_server=each.pairing.shift["server"],
        both=sum(pair.here is not None and pair.there is not None for pair, _ in told),
        only_here=sum(pair.there is None and missing for pair, missing in told),
        only_there=sum(pair.here is None and missing for pair, missing in told),
        lost_client=losses(told, "client", each.nearer) if each.nearer else None,
        lost_server=losses(told, "server", farther) if farther else None,
        changes=tuple((sender, words, count) for (sender, words), count in counts.most_common(_MAX_CHANGES)),
        packets=tuple(shown),
        omitted=len(packets) - len(shown),
    )


def _flow(row: Connection) -> Flow:
    return Flow(client=row.client, client_port=row.client_port, server=row.server, server_port=row.server_port)


def _packet(two: _Two, paired: Pairing, pair: Pair, missing: bool) -> AlignedPacket:
    segment = pair.here or pair.there
    assert segment is not None
    clock = two.clock
    return AlignedPacket(
        sender=segment.sender,
        flags=segment.flags,
        seq=segment.seq,
        length=segment.length,
        at=pairing.moment(pair, clock),
        frame=pair.here.frame if pair.here else None,
        other_frame=pair.there.frame if pair.there else None,
        ttl=pair.here.ttl if pair.here else None,
        other_ttl=pair.there.ttl if pair.there else None,
        changes=changes(pair, ids_kept=paired.same_ids, stamps_kept=paired.same_stamps),
        missing=missing,
        after_end=missing and _after_end(two, pair),
    )


def _that_matter(packets: Sequence[AlignedPacket]) -> list[AlignedPacket]:
    """The first, the last, and of each kind some: openings, resets, the missing, the changed."""
    kinds: tuple[Callable[[AlignedPacket], bool], ...] = (
        lambda p: "RST" in p.flags,
        lambda p: p.missing,
        lambda p: "SYN" in p.flags,
        lambda p: bool(p.changes),
    )
    chosen = {len(packets) - 1} if packets else set()
    for kind in kinds:
        chosen.update([n for n, packet in enumerate(packets) if kind(packet)][:_EACH])
    chosen.update(range(min(_EACH, len(packets))))
    return [packets[n] for n in sorted(chosen)]


def _missing(two: _Two, each: _Aligned, pair: Pair) -> bool:
    """Whether the capture that does not hold a packet would, if it had passed there."""
    clock = two.clock
    if (pair.here is None) == (pair.there is None) or clock is None:
        return False
    if pair.here is not None:
        covered = _covers(two.there, each.there, clock.there(pair.here.at), pair.here.sender)
        return covered and not each.arrived_there.lost(pair.here, each.pairing.shift[pair.here.sender])
    assert pair.there is not None
    covered = _covers(two.here, each.here, clock.here(pair.there.at), pair.there.sender)
    return covered and not each.arrived_here.lost(pair.there, -each.pairing.shift[pair.there.sender])


def _after_end(two: _Two, pair: Pair) -> bool:
    """Whether the other file has no packet as late as that."""
    if two.clock is None:
        return False
    if pair.here is not None:
        return two.clock.there(pair.here.at) > two.there.summary.last
    return pair.there is not None and two.clock.here(pair.there.at) > two.here.summary.last


def _covers(analysis: Analysis, exhibit: Exhibit | None, at: float, sender: str) -> bool:
    """Whether the file holds that moment and that direction, and the packets kept of the connection do."""
    o = analysis.summary
    if o.dropped >= max(_DOUBTFUL * o.packets, 1) or sender == _unseen_side(o):
        return False
    if not analysis.summary.first - GRACE_S <= at <= analysis.summary.last + GRACE_S:
        return False
    if exhibit is None or not exhibit.omitted:
        return True
    gap = exhibit.omitted_after
    return at < exhibit.segments[gap - 1].at or at > exhibit.segments[gap].at if gap else False


def _unseen_side(o: CaptureObservation) -> Literal["", "client", "server"]:
    """Whose packets a capture of one direction lacks: openings of one kind, and ACKs for what the others sent."""
    if not o.acked_unseen or bool(o.syn) == bool(o.syn_ack):
        return ""
    return "server" if o.syn else "client"


def _only_here(two: _Two, matched: Collection[int]) -> Iterator[AlignedObservation]:
    """Connections to hosts that both captures know, and that only this one holds."""
    clock, known = two.clock, {each.here.connection.server for each in two.aligned}
    if clock is None:
        return
    alone = [
        e
        for e in two.here.capture.exhibits
        if e.connection.number not in matched and e.connection.server in known and e.connection.opening != "mid-stream"
    ]
    for exhibit in sorted(alone, key=lambda e: not _troubled(e.connection))[:MAX_ALONE]:
        row = exhibit.connection
        told = [(Pair(s, None), _covers(two.there, None, clock.there(s.at), s.sender)) for s in exhibit.segments]
        if any(missing for _, missing in told):
            yield _lone(two, row, told, f"aligned-{row.number}", f"connection-{row.number}")


def _only_there(two: _Two, matched: Collection[int]) -> Iterator[AnyObservation]:
    """The same for the other capture, with the attempts that failed."""
    clock, known = two.clock, {each.there.connection.server for each in two.aligned}
    if clock is None:
        return
    alone = [
        e
        for e in two.there.capture.exhibits
        if e.connection.number not in matched and e.connection.server in known and e.connection.opening != "mid-stream"
    ]
    chosen = sorted(alone, key=lambda e: not _troubled(e.connection))[:MAX_ALONE]
    failed = _failed_attempts(two.there) if chosen else {}
    for exhibit in chosen:
        row = exhibit.connection
        told = [(Pair(None, s), _covers(two.here, None, clock.here(s.at), s.sender)) for s in exhibit.segments]
        if not any(missing for _, missing in told):
            continue
        observation = _lone(two, row, told, f"aligned-other-{row.number}", None)
        yield observation
        attempt = failed.get(row.number)
        if attempt is not None:
            yield msgspec.structs.replace(attempt, id=f"other-tcp-{row.number}", parent=observation.id)


def _failed_attempts(analysis: Analysis) -> dict[int, TcpObservation]:
    observations = observe(analysis.capture, ended=analysis.summary.last)
    attempts = (o for o in observations if isinstance(o, TcpObservation) and o.outcome == "failed")
    return {int(o.id.rpartition("-")[2]): o for o in attempts}


def _lone(
    two: _Two, row: Connection, told: Sequence[tuple[Pair, bool]], identifier: str, parent: str | None
) -> AlignedObservation:
    here = parent is not None
    packets = [
        AlignedPacket(
            sender=s.sender,
            flags=s.flags,
            seq=s.seq,
            length=s.length,
            at=pairing.moment(pair, two.clock),
            frame=s.frame if here else None,
            other_frame=None if here else s.frame,
            ttl=s.ttl if here else None,
            other_ttl=None if here else s.ttl,
            missing=missing,
            after_end=missing and _after_end(two, pair),
        )
        for pair, missing in told
        if (s := pair.here or pair.there) is not None
    ]
    shown = _that_matter(packets)
    nearer = _nearer_of(two, row, here=here)
    count = sum(packet.missing for packet in packets)
    return AlignedObservation(
        id=identifier,
        parent=parent,
        source="capture",
        started=row.started,
        flow=_flow(row),
        connection=row.number if here else None,
        other_connection=None if here else row.number,
        path=two.here.summary.path,
        other=two.there.summary.path,
        nearer_client=nearer,
        routers=next((each.routers for each in two.aligned if nearer and each.nearer == nearer), None),
        only_here=count if here else 0,
        only_there=0 if here else count,
        packets=tuple(shown),
        omitted=len(packets) - len(shown),
    )


def _nearer_of(two: _Two, row: Connection, *, here: bool) -> _Capture:
    """As for other connections between the same hosts, or to the same server, or for all."""
    sides = [((each.here if here else each.there).connection, each.nearer) for each in two.aligned if each.nearer]
    for alike in (
        [nearer for c, nearer in sides if (c.client, c.server) == (row.client, row.server)],
        [nearer for c, nearer in sides if c.server == row.server],
    ):
        if len(set(alike)) == 1:
            return alike[0]
    turned = [_FLIPPED[nearer] for c, nearer in sides if (c.server, c.client) == (row.client, row.server)]
    return turned[0] if len(set(turned)) == 1 else ""


def _summary(two: _Two, matched: int, alone: Sequence[AlignedObservation]) -> AlignmentObservation:
    clock = two.clock
    nearer = {each.nearer for each in two.aligned if each.nearer}
    routers = [each.routers for each in two.aligned if each.routers is not None]
    ends = Counter(
        (one, other)
        for each in two.aligned
        for one, other in (
            (each.here.connection.client, each.there.connection.client),
            (each.here.connection.server, each.there.connection.server),
        )
        if one != other
    )
    return AlignmentObservation(
        id="alignment",
        source="capture",
        started=two.here.summary.first,
        path=two.here.summary.path,
        other=two.there.summary.path,
        offset_s=clock.offset_s if clock else None,
        uncertainty_s=clock.uncertainty_s if clock else None,
        delay_s=abs(clock.delay_s) if clock and clock.delay_s is not None else None,
        drift_ppm=clock.drift * 1e6 if clock else 0.0,
        forth=clock.forth if clock else 0,
        back=clock.back if clock else 0,
        matched=matched,
        only_here=sum(o.connection is not None for o in alone),
        only_there=sum(o.connection is None for o in alone),
        terminated=two.terminated,
        translated=tuple(pair for pair, _ in ends.most_common(MAX_TRANSLATED)),
        nearer_client=nearer.pop() if len(nearer) == 1 else "",
        routers=statistics.median_low(routers) if routers else None,
    )
