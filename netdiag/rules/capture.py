"""Rules about capture files themselves: what of the traffic is not in them, so that nothing can be said about it."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import AlignedObservation, CaptureObservation, Culprit, Severity
from netdiag.rules.alignment import between, name_of
from netdiag.rules.captured import captured_side, connections, has_copies, server_name, share
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import few

#: A capture that lacks this share of its packets makes every count about loss doubtful.
DOUBTFUL = 0.01
#: Kinds of changes named in a sentence.
_NAMED = 4


@rule("capture.truncated-file", "The capture file ends in the middle, or is damaged", Severity.WARNING)
def truncated_file(seen: Seen) -> Iterator[Hit]:
    """The file could be read up to a certain packet, and not beyond.

    The usual reasons: the capturing program was killed or the disk was full, so that the last record is
    half written; the file was copied while it was still being written, or by a transfer that stopped; a
    compressed file is not complete; or some bytes in it were altered. Everything up to that packet is
    judged. What came after it is not, and connections that were open then seem to have no end.

    Copy the file again, and compare its size with the original's. When you capture anew, end the
    program with Ctrl-C (tcpdump, dumpcap) or "netsh trace stop", and copy afterwards.
    """
    for capture in seen.of(CaptureObservation):
        if not capture.damage:
            continue
        where = f"after packet {capture.damaged_frame:,}" if capture.damaged_frame else "before its first packet"
        byte = f", at byte {capture.damaged_byte:,}" if capture.damaged_byte is not None else ""
        yield Hit(
            summary=f"{capture.path} can be read no further {where}{byte}: {capture.damage}",
            blame="unknown",
            remedy="Copy the file again, completely; what comes behind that place is not judged.",
            evidence=(capture,),
        )


@rule("capture.unknown-link-type", "Packets of a kind of network that netdiag does not read", Severity.WARNING)
def unknown_link_type(seen: Seen) -> Iterator[Hit]:
    """Some packets were captured on a link layer that netdiag does not know, and were left out.

    Each packet of a capture begins with the header of the network it was taken from, and the file says
    which (tcpdump.org/linktypes.html). netdiag reads Ethernet, Linux cooked, raw IP, loopback and PPP,
    with VLANs and the usual tunnels. Captures of radio (802.11 in monitor mode), USB, Bluetooth or a
    bus hold no IP packets that could be found this way.

    Capture on the machine's own network interface instead: it shows Ethernet also for Wi-Fi, unless
    monitor mode is turned on.
    """
    for capture in seen.of(CaptureObservation):
        if not capture.unknown_links:
            continue
        packets = sum(count for _, count in capture.unknown_links)
        kinds = few([f"{name} ({count:,})" for name, count in capture.unknown_links])
        which = "Every packet" if packets >= capture.packets else f"{packets:,} of {capture.packets:,} packets"
        yield Hit(
            summary=f"{which} of {capture.path} {'is' if which == 'Every packet' else 'are'} of a link layer that "
            f"netdiag does not read, and left out: {kinds}",
            blame="unknown",
            remedy="Capture on the machine's own interface, as Ethernet; not in monitor mode.",
            evidence=(capture,),
        )


@rule("capture.one-direction", "The capture holds only one direction", Severity.WARNING)
def one_direction(seen: Seen) -> Iterator[Hit]:
    """The capture has what one side sent, and not what the other side answered.

    One side acknowledges bytes of the other that are not in the file. So the answers existed, and it is
    the capture that lacks them: a mirror port that copies one direction only, a filter such as "dst
    port 443", two paths of which one was captured, or one half of a pair of optical taps. Nothing can
    be said about answers then, and netdiag does not call such connections unanswered.

    Capture both directions: mirror received and sent packets, filter by "port 443" or "host ADDRESS",
    or capture on the machine itself.
    """
    for capture in seen.of(CaptureObservation):
        side = captured_side(capture)
        if side:
            has, lacks = ("SYNs", "SYN-ACK") if side == "clients" else ("SYN-ACKs", "SYN")
            yield Hit(
                summary=f"{capture.path} holds only what the {side} sent: {max(capture.syn, capture.syn_ack):,} {has}, "
                f"no {lacks}, and {capture.acked_unseen:,} ACKs for bytes that are not in it",
                blame="unknown",
                remedy="Capture both directions (mirror port: received and sent; filter: port or host, not dst), or on "
                "the machine itself.",
                evidence=(capture,),
            )


@rule("capture.packets-dropped", "The capture lacks packets that were there", Severity.INFO)
def packets_dropped(seen: Seen) -> Iterator[Hit]:
    """The capturing system could not keep up, and left packets out of the file.

    It says so itself (the drop counters of pcapng, events lost in ETL), or the packets do: one side
    acknowledges bytes that the file does not hold, so they did arrive. These gaps look like loss on the
    network and are not. Below one packet in a hundred this is only worth knowing; above, every
    statement about lost packets is doubtful, and it is a warning.

    Capture with a larger buffer (tcpdump -B 65536, dumpcap -B 64, netsh trace maxSize and bufferSize),
    with a filter, with fewer bytes of each packet (-s 128), or on a machine that has less to do.
    """
    for capture in seen.of(CaptureObservation):
        unseen = 0 if captured_side(capture) else capture.acked_unseen
        if not capture.dropped and not unseen:
            continue
        said = [f"the capturing system counts {capture.dropped:,} dropped packets"] if capture.dropped else []
        said += [f"{unseen:,} ACKs are for bytes that are not in it"] if unseen else []
        doubtful = max(capture.dropped, unseen) >= DOUBTFUL * max(capture.packets, 1)
        yield Hit(
            summary=f"{capture.path} lacks packets that were on the network: {', and '.join(said)}",
            blame="unknown",
            remedy="Capture again with a larger buffer, with a filter, or with fewer bytes of each packet.",
            evidence=(capture,),
            severity=Severity.WARNING if doubtful else None,
        )


@rule("capture.system-drops", "The captured system says that it dropped packets itself", Severity.WARNING)
def system_drops(seen: Seen) -> Iterator[Hit]:
    """The machine that was captured reports packets that its own network stack threw away, and why.

    Windows' packet monitor (pktmon) follows each packet through the stack and notes where it is
    dropped, and for which reason: a rule of the Windows Filtering Platform, on which the firewall and
    protection software build, a port that nobody listens on, an address that is not this machine's, a
    malformed packet. Such packets were on the cable, and no application saw them. Some are ordinary:
    broadcasts and packets for others are dropped all the time.

    Look for the reasons that name a filter. "netsh wfp show state" and the log of the protection
    software tell which rule it was.
    """
    for capture in seen.of(CaptureObservation):
        if not capture.drops:
            continue
        reasons = few([f"{reason} ({count:,})" for reason, count in capture.drops], 5)
        filtered = any(word in reason.lower() for reason, _ in capture.drops for word in _FILTER_WORDS)
        yield Hit(
            summary=f"The system captured in {capture.path} dropped {sum(n for _, n in capture.drops):,} packets "
            f"itself: {reasons}",
            blame="this-machine",
            remedy="Look for the rule behind it: netsh wfp show state, and the log of the protection software.",
            evidence=(capture,),
            severity=None if filtered else Severity.INFO,
        )


#: Words in pktmon's drop reasons that tell of a filter (learn.microsoft.com, "Packet Monitor").
_FILTER_WORDS = ("wfp", "filter", "firewall", "acl", "policy", "inspection")


@rule("capture.captured-twice", "Packets are in the capture twice", Severity.INFO)
def captured_twice(seen: Seen) -> Iterator[Hit]:
    """The same packets appear twice, as copies with the same IP identification.

    A mirror port that copies a packet where it comes in and again where it goes out does that, and so
    does a capture on "any" interface of a machine that forwards packets, or of one with bridges and
    containers. The copies are no retransmissions: those get an identification of their own, and come
    later. netdiag counts them as packets and as nothing else. Packets without an identification (IPv6,
    or 0) count as copies when they follow within 3 ms; later they may count as retransmissions, and
    pure ACKs as duplicate ACKs.

    To get rid of them, mirror one direction of each port, or capture on one interface; "editcap -d"
    removes copies from a file.
    """
    for capture in seen.of(CaptureObservation):
        if capture.captured_twice >= max(1.0, DOUBTFUL * capture.tcp_packets):
            yield Hit(
                summary=f"{capture.captured_twice:,} of {capture.tcp_packets:,} TCP packets in {capture.path} are "
                "copies of others",
                blame="unknown",
                remedy="Nothing needs to be done: the copies are not counted. To avoid them, capture on one interface.",
                evidence=(capture,),
            )
    copied = [c for c in connections(seen) if has_copies(c)] if seen.capture and not seen.capture.captured_twice else []
    if copied:  # the copies do not follow each other: the file holds one place after the other
        yield Hit(
            summary=f"Packets of {share(seen, len(copied))} to {server_name(seen)} were captured at two places",
            blame="unknown",
            remedy="Look at one place at a time (in Wireshark: frame.interface_id): mixed, copies count as sent again.",
            evidence=tuple(copied[:8]),
        )


@rule("capture.snapped-packets", "The capture holds only the beginning of each packet", Severity.INFO)
def snapped_packets(seen: Seen) -> Iterator[Hit]:
    """Packets were cut when they were captured, so that the rest of their contents is missing.

    tcpdump -s, dumpcap -s and similar options keep only so many bytes of each packet, which makes files
    small and hides contents. Addresses, ports, flags, sequence numbers and lengths are in the headers
    and are judged as ever. The server's name, TLS versions, alerts and certificates, proxy answers and
    DNS messages may be cut off.

    When names or certificates matter, capture again without a limit: tcpdump -s 0, netsh trace with
    PacketTruncateBytes=0.
    """
    for capture in seen.of(CaptureObservation):
        if capture.snapped:
            yield Hit(
                summary=f"{capture.snapped:,} of {capture.packets:,} packets in {capture.path} were cut when captured",
                blame="unknown",
                remedy="Addresses, ports and TCP's headers are judged all the same; for names, TLS and certificates, "
                "capture whole packets (tcpdump -s 0).",
                evidence=(capture,),
            )


@rule("capture.packets-changed", "Packets are changed on their way", Severity.INFO, reference="RFC 3234")
def packets_changed(seen: Seen) -> Iterator[Hit]:
    """Between the two captures something rewrites more than routers and address translation do.

    A router lowers the TTL, NAT replaces addresses and ports; these are told in the comparison and
    are no finding. Firewalls, load balancers, WAN accelerators and mobile networks (middleboxes,
    RFC 3234) also lower the MSS that a SYN announces, which is useful in front of a tunnel; take
    out options, so that connections become slower (window scaling, SACK) or lose their protection;
    replace sequence numbers, identifications and timestamps. Usually it is meant so. It is a
    warning when the payload is changed: something between reads and rewrites what applications say.

    If the connections work and are fast, there is nothing to do. If they stall or are slow, turn
    off the feature (TCP normalisation, MSS clamping, optimisation, protocol inspection) on the
    device between the two places, and compare again.
    """
    changed = [o for o in seen.of(AlignedObservation) if o.changes or o.shift_client or o.shift_server]
    if not changed:
        return
    first = changed[0]
    kinds = dict.fromkeys(f"{words} ({sender})" for o in changed for sender, words, _ in o.changes)
    if any(o.shift_client or o.shift_server for o in changed):
        kinds["sequence numbers shifted"] = None
    payload = any(words == "payload" for o in changed for _, words, _ in o.changes)
    one, other = name_of(first, "this"), name_of(first, "other")
    yield Hit(
        summary=f"Packets of {share(seen, len(changed))} to {server_name(seen)} are changed {between(first)}; in {one} "
        f"and then in {other}: {few(list(kinds), _NAMED)}",
        blame="path-device",
        remedy="If these connections are slow or break, turn off TCP normalisation, MSS clamping or inspection on the "
        "device between the two places; otherwise there is nothing to do.",
        evidence=tuple(changed[:8]),
        severity=Severity.WARNING if payload else None,
        culprit=Culprit(name=between(first)),
    )
