"""Signs in a reset's numbers and in its moment, against the course of the connection.

Contract: pure, and from one ``ResetObservation`` alone. Names in capitals are the detectors of Weaver, Sommer and
Paxson, "Detecting Forged TCP Reset Packets" (NDSS 2009); their benign cases stand beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from netdiag.model import ResetObservation, Segment
from netdiag.rules.captured import after as ahead
from netdiag.rules.captured import flags
from netdiag.rules.initial_ttl import counted
from netdiag.rules.reset_sign import Sign

#: Two resets further apart are not one act (the NDSS detectors' own bound).
TOGETHER_S = 2.0
#: A round trip below this is too short to tell a device from a host by time.
MIN_RTT_MS = 5.0
#: Packets that overtake each other do so within this time (as "out of order" in capture/connections.py).
REORDER_S = 0.003
#: A sequence number so far ahead is a guess, not lost data (no window without scaling is larger).
FAR_AHEAD = 65_535
#: Devices try numbers that are whole segments further on.
MSS_GUESS = 1460


def _sequence(o: ResetObservation) -> Iterator[Sign]:
    """DATA_SEQ_RST, and numbers ahead of the sender's own.

    A reset without ACK takes its number from the packet that it answers (RFC 9293 §3.10.7.1), and so may lie behind.
    """
    reset = o.resets[0]
    if o.next_seq is None or o.stage == "post_syn":
        return
    gap = ahead(reset.seq, o.next_seq)
    if gap < 0 and "ACK" in flags(reset):
        yield Sign(
            name="DATA_SEQ_RST",
            points_to="path-device",
            weight=0.75,
            words=f"its sequence number lies {counted(-gap, 'byte')} behind what that address had sent before",
        )
    elif gap > FAR_AHEAD or (gap > 1 and gap % MSS_GUESS == 0):
        yield Sign(
            name="sequence-ahead",
            points_to="path-device",
            weight=0.75 if gap > FAR_AHEAD else 0.7,
            words=f"its sequence number lies {gap:,} bytes ahead of what that address had sent, as a guess would",
        )
    elif gap > 1:
        yield Sign(
            name="sequence-ahead",
            points_to="path-device",
            weight=0.55,
            words=f"its sequence number lies {gap:,} bytes ahead of what that address had sent, unless these were lost",
        )


def _numbers_change(o: ResetObservation) -> Iterator[Sign]:
    """RST_SEQ_CHANGE and RST_ACK_CHANGE: resets in quick succession that try several numbers."""
    sent = o.next_seq
    for packet in o.after:
        end = packet.seq + packet.length
        sent = end if sent is not None and ahead(end, sent) > 0 else sent
    pairs = [(a, b) for a, b in pairwise(o.resets) if b.at - a.at < TOGETHER_S]
    if sent is not None and any(ahead(b.seq, a.seq) > 0 and ahead(b.seq, sent) > 1 for a, b in pairs):
        yield Sign(
            name="RST_SEQ_CHANGE",
            points_to="path-device",
            weight=0.8,
            words="resets follow each other with growing sequence numbers beyond all data sent: somebody guesses",
        )
    known = _sent_by_other(o)
    acks = {reset.ack for pair in pairs for reset in pair if "ACK" in flags(reset)}
    if len(acks) > 1:
        beyond = known is not None and any(ahead(ack, known) > 0 for ack in acks)
        yield Sign(
            name="RST_ACK_CHANGE",
            points_to="path-device",
            weight=0.75 if beyond else 0.65,
            words="resets follow each other with different acknowledgement numbers"
            + (", some beyond all data sent" if beyond else ""),
        )
    elif known is not None and any("ACK" in flags(r) and ahead(r.ack, known) > 0 for r in o.resets):
        yield Sign(
            name="ack-ahead",
            points_to="path-device",
            weight=0.65,
            words="it acknowledges bytes that the other side had not sent",
        )


def _sent_by_other(o: ResetObservation) -> int | None:
    """Where the other side's data ended when the first reset came."""
    ends = [_end(packet) for packet in (o.provoked_by, o.answers) if packet]
    return max(ends, key=lambda end: ahead(end, ends[0])) if ends else None


def _end(packet: Segment) -> int:
    return packet.seq + packet.length + ("SYN" in flags(packet)) + ("FIN" in flags(packet))


def _goes_on(o: ResetObservation) -> Iterator[Sign]:
    """RST_SEQ_DATA: a host that has reset a connection has forgotten it, and sends nothing more.

    Benign: packets that overtook each other; a port that opens while Windows repeats its SYN.
    """
    reset = o.resets[0]
    for packet in o.after:
        if any(reset.at < moment < packet.at for moment in o.syns):
            return  # a new attempt, which the same host may treat otherwise
        late = packet.at - reset.at > REORDER_S or ahead(packet.seq, reset.seq) >= 0
        if "SYN" in flags(packet) and o.claimed == "server":
            yield Sign(
                name="RST_SEQ_DATA",
                points_to="path-device",
                weight=0.92,
                words="after the reset the server's SYN-ACK arrived: the server had accepted",
            )
            return
        if (packet.length or "FIN" in flags(packet)) and late:
            yield Sign(
                name="RST_SEQ_DATA",
                points_to="path-device",
                weight=0.9,
                words=f"the {o.claimed} went on sending after the reset, so it knows nothing of it",
            )
            return
    if any(packet.at - reset.at > REORDER_S for packet in o.after):
        yield Sign(
            name="acknowledges-on",
            points_to="path-device",
            weight=0.6,
            words=f"the {o.claimed} went on acknowledging after the reset",
        )


def _arrival(o: ResetObservation) -> Iterator[Sign]:
    """A reset that answers a packet before the claimed sender can have seen it comes from somebody nearer."""
    reset, cause = o.resets[0], o.provoked_by if o.stage in ("post_psh", "later_in_flow") else o.answers
    if cause is None or o.rtt_ms is None or o.rtt_ms < MIN_RTT_MS:
        return
    took_ms = (reset.at - cause.at) * 1000
    times = f"{took_ms:.1f} ms after the packet before it, while that address is {o.rtt_ms:.1f} ms away (round trip)"
    if 0 <= took_ms < o.rtt_ms / 2:
        # The acknowledgement proves that its sender had the packet. Without data before, nothing else can have
        # provoked it; in the middle of a transfer the server may have decided earlier.
        acknowledges = "ACK" in flags(reset) and cause.length > 0 and ahead(reset.ack, cause.seq) > 0
        weight = 0.9 if acknowledges else 0.8 if o.stage == "post_psh" else 0.6
        yield Sign(name="too-early", points_to="path-device", weight=weight, words=f"it came {times}")
    elif 0.8 * o.rtt_ms <= took_ms <= 3 * o.rtt_ms:
        yield Sign(name="in-time", points_to=o.claimed, weight=0.55, words=f"it came {times}")


def _syn_rst(o: ResetObservation) -> Iterator[Sign]:
    """SYN_RST: a client does not take back what nobody has answered yet. Benign: port scanners."""
    if o.claimed == "client" and o.stage == "post_syn" and o.opening is not None and o.answers is None:
        yield Sign(
            name="SYN_RST",
            points_to="path-device",
            weight=0.6,
            words="it takes back a SYN that nobody had answered, as a client does only when it scans ports",
        )


def _moment(o: ResetObservation) -> Iterator[Sign]:
    """The moment says something of the purpose: a filter must read the name before it can refuse it."""
    if o.claimed == "server" and o.stage == "post_psh" and o.server_name:
        yield Sign(
            name="after-name",
            points_to="path-device",
            weight=0.6,
            words=f"it came right after the client had named {o.server_name}, as filters do; servers refuse with a TLS "
            "alert or an HTTP status",
        )


DETECTORS: tuple[Callable[[ResetObservation], Iterator[Sign]], ...] = (
    _sequence,
    _numbers_change,
    _goes_on,
    _arrival,
    _syn_rst,
    _moment,
)
