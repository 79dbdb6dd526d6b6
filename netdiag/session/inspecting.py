"""One certificate verified, and what it names retrieved, for whoever has one: a file, or a server that presents it.

Contract: without ``fetch`` nothing touches the network. Trouble there is in the observations, never raised.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from netdiag.model import ChainObservation, Failure, RetrievalObservation
from netdiag.pki.judging import Question
from netdiag.pki.path import Answers, Asking, Fetch
from netdiag.pki.trust import TrustStore, public_roots
from netdiag.pki.verify import Verification, observed, verifying
from netdiag.probes.net import Deadline

if TYPE_CHECKING:
    from netdiag.probes.machine import Machine
    from netdiag.probes.retrieval import Fetched, Retriever

#: All retrievals of one round together, in seconds: a person waits in front of it.
RETRIEVAL_LIMIT_S = 55.0

#: Told what is being done, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


@dataclass(kw_only=True)
class Inspector:
    """Verifies certificates with one trust store and one way out to what they name.

    ``deadline`` bounds all retrievals together; without it ``RETRIEVAL_LIMIT_S`` bounds each round of them.
    """

    machine: Machine | None
    store: TrustStore
    fetch: bool = True
    cache: bool = True
    proxy: str = "system"
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    timeout_s: float = 8.0
    deadline: Deadline | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    progress: Progress | None = None
    #: Bugs of netdiag that cost one retrieval each.
    errors: list[str] = field(default_factory=list)
    _retriever: Retriever | None = None

    def verify(
        self,
        leaf: bytes,
        others: Sequence[bytes],
        question: Question,
        crls: Sequence[bytes] = (),
        responses: Sequence[bytes] = (),
        *,
        public: bool = True,
    ) -> tuple[Verification, dict[Fetch, Fetched]]:
        """The judgement on ``leaf``, and what came from each URL. ``public``: tell public roots from private ones."""
        found, fetched = self._carry_out(
            verifying(
                leaf,
                others,
                self.store,
                question,
                public=self._public() if public else None,
                crls=crls,
                responses=responses,
                every_url=self.fetch,
            )
        )
        self._keep(found, fetched, question.at)
        return found, fetched

    def _public(self) -> TrustStore:
        return (self.machine.public_roots if self.machine else None) or public_roots()

    def _carry_out(self, asking: Asking[Verification]) -> tuple[Verification, dict[Fetch, Fetched]]:
        """Run the engine, and answer what it asks for."""
        fetched: dict[Fetch, Fetched] = {}
        answers: Answers = {}
        try:
            requests = next(asking)
            while True:
                if self.fetch and not self.cancel.is_set():
                    came = self._fetch(requests, len(fetched))
                    fetched |= came
                    answers = {request: entry.answer for request, entry in came.items()}
                else:
                    answers = {}
                requests = asking.send(answers)
        except StopIteration as stop:
            return stop.value, fetched

    def _fetch(self, requests: Sequence[Fetch], before: int) -> Mapping[Fetch, Fetched]:
        done, total = itertools.count(before), before + len(set(requests))

        def one_more() -> None:
            if self.progress:
                self.progress("fetching", next(done), total)

        one_more()
        deadline = self.deadline or Deadline(RETRIEVAL_LIMIT_S)
        found = self._opened().retrieve(requests, deadline, self.cancel, ended=one_more)
        came = {entry.fetch: entry for entry in found}
        answers = [entry.answer for entry in came.values() if isinstance(entry.answer, Failure)]
        self.errors += [f"retrieval: {answer.detail}" for answer in answers if answer.kind == "internal"]
        return came

    def _opened(self) -> Retriever:
        """The retriever: made when something is to be retrieved, since what it needs takes time to load."""
        if self._retriever is None:
            from netdiag.probes.machine import Machine
            from netdiag.probes.retrieval import Retriever
            from netdiag.probes.retrieval_cache import Cache, default_folder
            from netdiag.probes.retrieval_tls import verifier

            machine = self.machine or Machine()
            self._retriever = Retriever(
                machine,
                proxy=self.proxy,
                credentials=self.credentials,
                secure=verifier(self.store, machine.public_roots or public_roots(), machine.clock),
                cache=Cache(default_folder(machine.environment) if self.cache else None),
                timeout_s=self.timeout_s,
            )
        return self._retriever

    def _keep(self, found: Verification, fetched: Mapping[Fetch, Fetched], at: float) -> None:
        """Keep verified CRLs for as long as they say that they hold."""
        for entry in found.retrievals:
            came = fetched.get(entry.fetch)
            if (
                came is None
                or came.cached
                or isinstance(came.answer, Failure)
                or entry.fetch.purpose not in ("cdp", "delta")
            ):
                continue
            if entry.status in ("verified", "revoked") and entry.next_update is not None and entry.next_update > at:
                self._opened().cache.put(entry.fetch.url, came.answer, entry.next_update)


def observed_in_full(found: Verification, question: Question, store: TrustStore) -> ChainObservation:
    """The chain with every candidate path and what is known of revocation; who asked adds id, place and time."""
    return msgspec.structs.replace(
        observed(found, question, store),
        paths=found.paths,
        chosen=found.chosen,
        rejected=found.rejected,
        exhausted=found.exhausted,
        revocation=found.revocation,
    )


def retrievals_of(
    chain: ChainObservation, found: Verification, fetched: Mapping[Fetch, Fetched]
) -> Iterator[RetrievalObservation]:
    """What became of each URL that the certificates of ``chain`` name."""
    for number, entry in enumerate(found.retrievals):
        came = fetched.get(entry.fetch)
        failure = came.answer if came is not None and isinstance(came.answer, Failure) else None
        if came is None and entry.status == "failed":
            failure = Failure(kind="cancelled", step="fetch", detail=entry.detail or "not asked")
        yield RetrievalObservation(
            id=f"retrieval.{chain.id.removeprefix('chain').removeprefix('.') or '1'}.{number + 1}",
            parent=chain.id,
            source="probe",
            started=came.started if came else chain.started,
            took_s=came.took_s if came else 0.0,
            outcome="failed" if failure else "ok",
            failure=failure,
            url=entry.fetch.url,
            purpose=entry.fetch.purpose,
            element=entry.element,
            subject=entry.subject,
            status=entry.status,
            detail=entry.detail,
            method=came.method if came else "",
            proxy=came.proxy if came else "",
            http_status=came.http_status if came else None,
            bytes=came.received if came else 0,
            cached=came.cached if came else False,
            object=entry.object,
            this_update=entry.this_update,
            next_update=entry.next_update,
        )
