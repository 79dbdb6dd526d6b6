"""net.tcp preambles overheard (MC-NMF): where the client wants to go, and what answered; and where TLS then begins.

Contract: pure. What is encrypted, after an upgrade, is not read here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from netdiag.capture.dialogue import Dialogue
from netdiag.model import Failure, NodeObservation, Outcome
from netdiag.wire import framing
from netdiag.wire.framing import RecordType

_STEP = "preamble"
#: Characters kept of an answer that is something else.
MAX_NOT_NET_TCP = 64

_ANSWERS: dict[RecordType, Literal["upgrade", "acknowledged", "fault"]] = {
    RecordType.UPGRADE_RESPONSE: "upgrade",
    RecordType.PREAMBLE_ACK: "acknowledged",
    RecordType.FAULT: "fault",
}


class Preamble(msgspec.Struct, frozen=True):
    """A preamble; ``client`` and ``server`` are where the streams go on behind it and its answer."""

    observation: NodeObservation
    #: Via, upgrade and answer, for the reader.
    exchange: str
    client: int = 0
    server: int = 0


def preamble(dialogue: Dialogue) -> Preamble | None:
    """The preamble in a dialogue that begins with MC-NMF; None where it is malformed, or its end was not captured."""
    try:
        asked = list(framing.parse_preamble(dialogue.client.data))
    except framing.NotFramingError:
        return None
    if not asked:
        return None
    via = next((record.text for record, _ in asked if record.type is RecordType.VIA), "")
    last, client = asked[-1]
    if not via or last.type not in (RecordType.UPGRADE_REQUEST, RecordType.PREAMBLE_END):
        return None
    upgrade = last.text if last.type is RecordType.UPGRADE_REQUEST else ""
    reply, server, wrong = None, 0, ""
    try:
        reply, server = framing.parse_record(dialogue.server.data) or (None, 0)
    except framing.NotFramingError as error:
        wrong = str(error)
    outcome, failure = _result(dialogue, reply, wrong, client)
    answered = server or min(1, len(dialogue.server.data))
    ended = dialogue.server.at(answered) if answered else dialogue.ending.at
    asked_at = dialogue.client.at(client)
    row = dialogue.connection
    observation = NodeObservation(
        id=f"node-{row.number}",
        parent=f"tcp-{row.number}",
        source="capture",
        started=asked_at,
        took_s=max(0.0, ended - asked_at),
        outcome=outcome,
        failure=failure,
        flow=dialogue.flow,
        address=row.server,
        port=row.server_port,
        via=via,
        upgrade=upgrade,
        answer=_ANSWERS.get(reply.type, "other") if reply else "",
        fault=reply.text if reply and reply.type is RecordType.FAULT else "",
        not_net_tcp=dialogue.server.data[:MAX_NOT_NET_TCP].decode("latin-1") if wrong else "",
    )
    said = f" → {wrong or _words(reply)}" if reply or wrong else ""
    return Preamble(observation, f"{via}{f' ({upgrade})' if upgrade else ''}{said}", client, server)


def _result(
    dialogue: Dialogue, reply: framing.Record | None, wrong: str, client: int
) -> tuple[Outcome, Failure | None]:
    if wrong:
        return "failed", Failure(kind="not-net-tcp", step=_STEP, detail=wrong)
    if reply is None:
        failure = dialogue.broken_off(_STEP, dialogue.client.at(client))
        lost = dialogue.server.cut or dialogue.server.data  # the answer, or its end, is missing from the capture
        return ("not-run", None) if failure is None or lost else ("failed", failure)
    if reply.type is RecordType.FAULT:
        return "failed", Failure(kind="net-tcp-fault", step=_STEP, detail=reply.fault)
    return "ok", None


def _words(reply: framing.Record | None) -> str:
    if reply is None:
        return ""
    return f"fault {reply.fault}" if reply.type is RecordType.FAULT else reply.type.name.lower().replace("_", " ")
