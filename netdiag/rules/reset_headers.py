"""Signs in a reset's IP and TCP headers, against other packets of the address that it carries.

Contract: pure, and from one ``ResetObservation`` alone, so that captures and live probes are weighed alike.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from itertools import pairwise

from netdiag.model import ResetObservation
from netdiag.rules.captured import after as ahead
from netdiag.rules.initial_ttl import PATH_CHANGE, counted, initial_ttl, is_undecremented, routers_crossed
from netdiag.rules.reset_sign import Sign, nearest_ttl, own_ttls, ttl_word

#: Resets closer together than this came at once.
VOLLEY_S = 0.003
#: Steps of an IP identification counter between two packets of one connection; a busy host counts the others too.
MAX_ID_STEP = 256
#: From here on an identification is off the counter.
OFF_SERIES = 4096


def _ttl(o: ResetObservation) -> Iterator[Sign]:
    ttl, own, word = o.resets[0].ttl, nearest_ttl(o), ttl_word(o)
    if own is None:
        yield Sign(
            name="ttl", points_to="nobody", words=f"the capture has no other packet of that address to compare {word}s"
        )
        return
    gap = abs(ttl - own)
    whose = f"the {o.claimed}'s own packets" if o.ttls else f"the {o.claimed}'s SYN-ACKs in other connections"
    if gap == 0 and is_undecremented(ttl) and o.ttls:
        yield Sign(
            name="sent-here",
            points_to=o.claimed,
            weight=0.9,
            words=f"the reset has {word} {ttl} as {whose}, and no router lies between that machine and this capture",
        )
    elif gap == 0:
        yield Sign(name="ttl", points_to=o.claimed, weight=0.7, words=f"the reset has {word} {ttl}, as {whose}")
    elif gap <= PATH_CHANGE:
        yield Sign(
            name="ttl",
            points_to="nobody",
            words=f"the reset's {word} {ttl} is {gap} off that of {whose} ({own}), as a change of path can make it",
        )
    else:
        yield _other_ttl(o, ttl, own, whose)


def _other_ttl(o: ResetObservation, ttl: int, own: int, whose: str) -> Sign:
    """Three routers or more of difference are no change of path, but who else it was depends on the distance."""
    word, distance, own_distance = ttl_word(o), routers_crossed(ttl), routers_crossed(own)
    other_start = initial_ttl(ttl) != initial_ttl(own)
    words = f"the reset has {word} {ttl}, {whose} {own}: {counted(distance, 'router')} away against {own_distance}"
    # Systems start with one value: a packet that started with another is another system's, at any distance.
    nearer = own_distance - distance
    if nearer > PATH_CHANGE:
        weight = 0.93 if other_start else 0.85
        words += ", so it came from closer by"
    elif nearer < -PATH_CHANGE:
        weight = 0.6
        words += ", so it came from further away: the real server behind a device that answers for it, or another path"
    else:
        weight = 0.8 if nearer > 0 else 0.72
        words += (
            f", from another kind of system about as far away: a firewall or load balancer in front of the {o.claimed}"
        )
    values = [value for value, _ in o.ttls]
    if values and (max(values) - min(values) > PATH_CHANGE):
        weight = 0.5 + (weight - 0.5) / 2
        words += f"; but those packets differ among themselves ({min(values)} to {max(values)})"
    if not o.ttls:
        weight -= 0.05
    return Sign(name="ttl", points_to="path-device", weight=weight, words=words)


def _too_near(o: ResetObservation) -> Iterator[Sign]:
    """A public server cannot be on the private network of its client; the NAT of a virtual machine looks so, though."""
    if own_ttls(o) or o.claimed != "server" or o.flow is None or o.answers is None:
        return
    if not (is_undecremented(o.resets[0].ttl) and is_undecremented(o.answers.ttl)):
        return
    if _is_public(o.flow.server) and not _is_public(o.flow.client):
        yield Sign(
            name="too-near",
            points_to="path-device",
            weight=0.75,
            words=f"no router lies between the reset's sender and the client, but {o.flow.server} is a public address "
            f"and {o.flow.client} is not",
        )


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _resets_differ(o: ResetObservation) -> Iterator[Sign]:
    """Two senders, or one that sends what no host sends."""
    ttls = sorted({reset.ttl for reset in o.resets})
    if ttls[-1] - ttls[0] > PATH_CHANGE:
        listed = ", ".join(str(reset.ttl) for reset in o.resets[:4])
        yield Sign(
            name="resets-differ",
            points_to="path-device",
            weight=0.7,
            words=f"the resets differ in {ttl_word(o)} ({listed}): they have several senders",
        )
    volley = [reset for reset in o.resets if reset.at - o.resets[0].at <= VOLLEY_S]
    if len(volley) >= 3:
        yield Sign(
            name="volley",
            points_to="path-device",
            weight=0.6,
            words=f"{len(volley)} resets came at once; a host sends one for each packet that it refuses",
        )


def _ip_id(o: ResetObservation) -> Iterator[Sign]:
    """The identification field: counters go on, kernels answer what they do not know with 0, devices copy."""
    reset = o.resets[0]
    if reset.ip_id is None:
        return
    ids = [value for value in o.ip_ids if value]  # Linux sends its SYN-ACK with 0, and counts from there
    steps = [(later - earlier) & 0xFFFF for earlier, later in pairwise(ids)]
    counting = len(steps) >= 2 and all(0 < step <= MAX_ID_STEP for step in steps)
    if reset.ip_id and o.answers and reset.ip_id == o.answers.ip_id and reset.ip_id not in o.ip_ids:
        yield Sign(
            name="ip-id-copied",
            points_to="path-device",
            weight=0.7,
            words=f"its IP id {reset.ip_id} is that of the packet it answers, as a device makes it that turns it round",
        )
    elif counting:
        step = (reset.ip_id - ids[-1]) & 0xFFFF
        series = f"the {o.claimed}'s IP ids count on (..., {', '.join(str(value) for value in ids[-3:])})"
        if 0 < step <= MAX_ID_STEP:
            yield Sign(
                name="ip-id-goes-on",
                points_to=o.claimed,
                weight=0.8,
                words=f"{series}, and the reset's {reset.ip_id} is next",
            )
        elif reset.ip_id == 0 and reset.df and initial_ttl(_ttl_before(o)) == 64:
            yield Sign(
                name="ip-id-zero",
                points_to="nobody",
                words="its IP id is 0 with DF, as Linux sends resets, be it the host or a firewall",
            )
        elif step == 0 or step > OFF_SERIES:
            yield Sign(
                name="ip-id-off",
                points_to="path-device",
                weight=0.7,
                words=f"{series}, and the reset's {reset.ip_id} is not of that series",
            )
    if o.before is not None and o.before.df != reset.df:
        yield Sign(
            name="df",
            points_to="path-device",
            weight=0.6,
            words="the reset may be fragmented, other packets of that address may not"
            if o.before.df
            else "the reset may not be fragmented (DF), other packets of that address may",
        )


def _ttl_before(o: ResetObservation) -> int:
    return o.before.ttl if o.before else o.resets[0].ttl


def _timestamps(o: ResetObservation) -> Iterator[Sign]:
    """RFC 7323 §3.2: a reset should carry the option where it was negotiated; most stacks leave it out."""
    reset, before = o.resets[0], o.before
    if reset.ts_val is None or before is None:
        return
    if before.ts_val is None:
        yield Sign(
            name="timestamps",
            points_to="path-device",
            weight=0.65,
            words="the reset carries a TCP timestamp, which other packets of that address do not",
        )
    elif ahead(reset.ts_val, before.ts_val) < 0:
        yield Sign(
            name="timestamps",
            points_to="path-device",
            weight=0.65,
            words=f"its TCP timestamp {reset.ts_val} is older than that of an earlier packet ({before.ts_val})",
        )
    else:
        yield Sign(
            name="timestamps",
            points_to=o.claimed,
            weight=0.8,
            words="it carries a TCP timestamp that fits the sender's clock, which few devices trouble to copy",
        )


Detector = Callable[[ResetObservation], Iterator[Sign]]

#: What TTLs alone tell.
BY_TTL: tuple[Detector, ...] = (_ttl,)
DETECTORS: tuple[Detector, ...] = (
    _ttl,
    _too_near,
    _resets_differ,
    _ip_id,
    _timestamps,
)
