"""``python -m tests.lab.lab_retrieve``: a retrieval as JSON on standard input, what became of it on standard output.

In: requests (url, purpose, body in base64), and optionally proxy, credentials, trust (a file), timeout_s.
Out: for each the fields of ``Fetched``; the answer as base64, or the failure's kind, step and detail.
"""

from __future__ import annotations

import base64
import json
import sys

from netdiag.model import Failure
from netdiag.pki.path import Fetch
from netdiag.pki.trust import load_trust
from netdiag.probes.machine import Machine
from netdiag.probes.net import Deadline
from netdiag.probes.retrieval import Fetched, Retriever
from netdiag.probes.retrieval_tls import verifier


def _row(found: Fetched) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(found, name) for name in Fetched._fields if name not in ("fetch", "answer")}
    if isinstance(found.answer, Failure):
        return {**row, "kind": found.answer.kind, "step": found.answer.step, "detail": found.answer.detail}
    return {**row, "answer": base64.b64encode(found.answer).decode()}


def main() -> None:
    """Do it."""
    asked = json.load(sys.stdin)
    machine = Machine()
    secure = None
    if "trust" in asked:
        store = load_trust((asked["trust"],))
        secure = verifier(store, store, machine.clock)
    retriever = Retriever(
        machine,
        proxy=asked.get("proxy", "none"),
        credentials=tuple(asked["credentials"]) if "credentials" in asked else None,
        secure=secure,
        timeout_s=asked.get("timeout_s", 8.0),
    )
    requests = [Fetch(url, purpose, base64.b64decode(body)) for url, purpose, body in asked["requests"]]
    print(json.dumps([_row(found) for found in retriever.retrieve(requests, Deadline(50))]))


if __name__ == "__main__":
    main()
