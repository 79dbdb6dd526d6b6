"""The signature of an interrupted connection, in the notation of the SIGCOMM 2023 study of tampering.

Sundara Raman et al., "Global, Passive Detection of Connection Tampering"; Cloudflare Radar publishes its stages.

Contract: pure. That study stands at the server and sees resets that carry the client's address; seen from the client
the same signs are mirrored, so here the arrow leads from what the connection showed to the resets of either address.
Two departures: the last stage begins with the server's first data, because today's ClientHello often takes two
packets; and "=" and "≠" compare sequence numbers, since a reset without ACK has no acknowledgement number to compare.
"""

from __future__ import annotations

from netdiag.model import ResetObservation
from netdiag.rules.captured import flags

_SEEN = {
    "post_syn": "SYN",
    "post_ack": "SYN; ACK",
    "post_psh": "PSH+ACK",
    "later_in_flow": "PSH+ACK; Data",
}

_STAGES = {
    "post_syn": "before the connection was open",
    "post_ack": "after the connection was open, before any data",
    "post_psh": "right after the client's first data, before any answer",
    "later_in_flow": "after the server had sent data",
}


def signature(observation: ResetObservation) -> str:
    """For example ``⟨PSH+ACK → RST+ACK⟩``."""
    return f"⟨{_SEEN[observation.stage]} → {_resets(observation)}⟩"


def stage(observation: ResetObservation) -> str:
    """How far the connection had come, in words."""
    if observation.stage == "later_in_flow" and not observation.bytes_server:
        return "in a connection whose beginning is not known"
    return _STAGES[observation.stage]


def _resets(o: ResetObservation) -> str:
    kinds = ["RST+ACK" if "ACK" in flags(reset) else "RST" for reset in o.resets]
    if o.stage == "later_in_flow" or len(kinds) == 1:
        return kinds[0]
    if len(set(kinds)) == 2:
        return "RST; RST+ACK"
    if o.stage == "post_syn":
        return kinds[0]
    if kinds[0] == "RST" and o.stage == "post_psh":
        numbers = {reset.seq for reset in o.resets}
        return "RST = RST" if len(numbers) == 1 else "RST; RST₀" if 0 in numbers else "RST ≠ RST"
    return f"{kinds[0]}; {kinds[0]}"
