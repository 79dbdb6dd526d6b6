"""Connections: what each count means, and the definitions that the fast engine and the tests' slow one share.

Identity. A connection is an unordered pair of (address, port), of the innermost IP header; VLAN and tunnel do not
distinguish. A TCP packet counts when the first 16 bytes of its TCP header (ports to window) were captured and lie
within the IP length. Of a header that calls itself shorter than 20 bytes nothing but the packet counts: no flags, no
payload, no mark; yet it has a connection, a base, and may be the first packet. An IP fragment other than the first
counts only through reassembly, whatever its VLAN or tunnel: the segment counts, with time, TTL and IP identification,
in the packet that completes it. A first fragment whose bytes were not all captured counts by itself, without payload.
Headers that an ICMP error quotes never count.

Lengths. An IP packet is as long as its header says, but no longer than the frame was on the wire; IPv4's total length
0 stands for the latter (segmentation offload). A frame was at least as long as what was captured of it, whatever its
record tells. IPv6's payload length 0 is an empty packet, unless a jumbo payload option (RFC 2675) tells of more than
65,535 bytes. A TCP header longer than its packet leaves a payload of 0.

Incarnation, as Wireshark's tcp.stream. Each side has a base: the sequence number of its first packet if that is a
SYN, its sequence number - 1 otherwise; or, if the other side's first packet with ACK comes earlier, that packet's
acknowledgement number - 1. Packets of unknown length (a lone first fragment, a header longer than its packet) set no
base; a SYN-ACK with another sequence number replaces its sender's. A SYN without ACK whose sequence number differs
from its side's base begins a new connection of the same ends (port reuse); one that equals it is a retransmission, even
after a reset (Windows repeats its SYN so).

Client: the sender of the first SYN without ACK; else the receiver of the first SYN-ACK; else the side with the higher
port; at equal ports the sender of the first packet.

Terms, per packet, in capture order, each judged against what its connection showed before it; ``next`` is the highest
sequence number + length that a side's packets (resets aside) have reached, in serial arithmetic (RFC 1982), where
``length`` is the payload on the wire, plus 1 for SYN, plus 1 for FIN:

* *captured twice*: same side, sequence and acknowledgement numbers, flags, payload length and window as that side's
  previous packet, and the same IP identification; where that is 0, or with IPv6, only if ``length`` > 0, no RST, and
  less than 3 ms after the packet that brought ``next`` to where it is. It counts as a packet, with its bytes, flags and
  TTL, and as nothing else below; nor does it tell when a handshake took place. (A mirror port copies packets; a
  retransmission has another identification, or comes later: the shortest timers are 200 ms. Linux sends SYN-ACKs with
  0, Apple's systems everything. Pure ACKs repeat at once of themselves.)
* *keep-alive*: payload of 0 or 1 bytes, no SYN, FIN or RST, sequence number = ``next`` - 1 (RFC 9293 §3.8.4).
* *retransmission*: ``length`` > 0, no RST, sequence number < ``next``, and neither of the above nor out of order.
  SYN and SYN-ACK retransmissions are among them.
* *out of order*: like a retransmission, but no SYN, sequence number + ``length`` < ``next``, and less than 3 ms after
  the packet that brought ``next`` to where it is: too fast for a sender to have noticed a loss.
* *previous lost*: sequence number > ``next``, no SYN or RST.
* *duplicate ACK*: ACK without SYN, FIN or RST, no payload, sequence number = ``next``, and acknowledgement number and
  window equal that side's previous packet's, whatever that was (RFC 5681 §2).
* *zero window*: window 0 without SYN, FIN or RST.
* *acked unseen*: ACK without RST, acknowledgement number > the other side's ``next``, which must be known.

A side without an earlier packet has no ``next``, and nothing that needs it is counted; a SYN's own ``next`` begins
with it. Retransmissions here include SYN, FIN and partial overlaps: tcptrace counts data only, and Wireshark divides
them into retransmission, fast retransmission, spurious retransmission and out-of-order by other times.

Completeness bits are Wireshark's, after the last packet. The first packet of a connection gives 1 if it is a SYN
without ACK, and with that 8 if it has payload; otherwise it gives nothing. A connection begun by port reuse starts with
1. Every later packet adds: 2 SYN with ACK; 8 (with payload) or 4 (without) ACK without SYN, be it FIN or RST too; 16
FIN with ACK; 32 RST.

Opening. SYN: a SYN without ACK of the client. SYN-ACK: one of the server. ACK: a packet of the client with ACK and
without SYN and RST. *complete*: all three; *unfinished*: SYN and SYN-ACK; *mid-stream*: no SYN. With a SYN and no
SYN-ACK: *unanswered* if the client sent nothing else but resets, and the server nothing; *refused* if the server sent
resets and nothing else; *mid-stream* for all others, whose SYN-ACK the capture missed. Closing, in file order: *reset*
if one comes before both sides sent FIN; else by the number of sides that did: *fin*, *half-close*, *none*.

Times. A connection starts with its first packet in the file and lasts until its latest. ``syn_rtt_ms`` is from the
client's last SYN before the server's first SYN-ACK to that; ``ack_rtt_ms`` from there to the client's first ACK after.

Where Wireshark counts otherwise: a header quoted by an ICMP error takes a tcp.stream of its own if its connection is
not in the capture, and moves the completeness of one that is; some of its application dissectors (FTP, VNC) announce or
divide connections.
"""

from __future__ import annotations
