"""One DNS question to one name server: what is sent, how often, and what became of it. No socket, no clock."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from netdiag.model import Failure, FailureKind
from netdiag.wire.dns import HEADER, Message, query, question

#: What fits a UDP datagram on every path without fragments (dnsflagday.net/2020, RFC 9715 §3.1).
EDNS_PAYLOAD = 1232
#: A server that answers so may not have understood the question well enough to repeat it.
_MAY_LACK_THE_QUESTION = ("FORMERR", "SERVFAIL", "NOTIMP", "REFUSED")


@dataclass(kw_only=True)
class Question:
    """One question on its way."""

    qtype: str
    #: Name, type and class as the query carries them, and an answer repeats them.
    asked: bytes
    #: The query as it is sent.
    wire: bytes
    edns: bool = True
    attempts: int = 0
    reply: Message | None = None
    failure: Failure | None = None
    truncated: bool = False
    took_s: float = 0.0

    @classmethod
    def about(cls, name: str, qtype: str) -> Question:
        """A question with a random id (RFC 5452 §4.3). Raises ``ValueError`` for a name that DNS cannot carry."""
        try:
            asked = question(name, qtype)
        except ValueError as error:  # UnicodeError is one
            raise ValueError(f"not a name that DNS can carry: {error}") from error
        wire = query(secrets.randbits(16), asked, EDNS_PAYLOAD)
        return cls(qtype=qtype, asked=asked, wire=wire)

    @property
    def pending(self) -> bool:
        """Neither answered nor failed yet."""
        return self.reply is None and self.failure is None

    def without_edns(self) -> None:
        """Ask as before 1999: some servers and firewalls know no EDNS (RFC 6891 §7)."""
        self.edns = False
        self.wire = query(int.from_bytes(self.wire[:2], "big"), self.asked)

    def fail(self, kind: FailureKind, detail: str) -> None:
        """End it with a failure of the query."""
        self.failure = Failure(kind=kind, step="query", detail=detail)

    def matches(self, wire: bytes) -> bool:
        """Whether ``wire`` carries this question's id. Everything else can only be judged after parsing it."""
        return wire[:2] == self.wire[:2]

    def is_answered_by(self, wire: bytes, message: Message) -> bool:
        """Whether ``wire``, which has this id and means ``message``, answers this question (RFC 5452 §9.1).

        Its own echo does not, nor does an answer to another question. Names compare without case (RFC 4343 §3).
        """
        if not message.response:
            return False
        if not message.qtype:
            return message.rcode in _MAY_LACK_THE_QUESTION
        return wire[HEADER : HEADER + len(self.asked)].lower() == self.asked.lower()
