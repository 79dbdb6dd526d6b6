"""Certificate files -> one report: what is in them, every path, every URL that they name; then the rules.

Contract: raises ``UsageError`` for a file that cannot be read or holds no certificate; what else is wrong with it
stands in the report. Without ``fetch`` nothing touches the network.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

import msgspec

from netdiag.model import (
    AnyObservation,
    ChainObservation,
    ChainProfile,
    ChainPurpose,
    Failure,
    KeyObservation,
    MachineInfo,
    NotRun,
    Report,
    RetrievalObservation,
    Target,
    UsageError,
)
from netdiag.pki.facts import Facts, Unreadable, read
from netdiag.pki.intake import Intake, read_file, read_intake, roles
from netdiag.pki.judging import Question
from netdiag.pki.keys import key_observation
from netdiag.pki.path import Answers, Asking, Fetch
from netdiag.pki.trust import TrustStore, load_trust, public_roots
from netdiag.pki.verify import Verification, observed, verifying
from netdiag.session.judgement import describe, judge_certificates

if TYPE_CHECKING:
    from netdiag.probes.machine import Machine
    from netdiag.probes.retrieval import Fetched, Retriever

#: Certificates of one command that are verified: a whole store of roots has about 150.
MAX_LEAVES = 200
#: All retrievals of one certificate together, in seconds: a person waits in front of it.
RETRIEVAL_LIMIT_S = 55.0
#: Bytes of a random nonce (RFC 9654 §2.1 suggests 32).
NONCE_BYTES = 32

#: Told what is being done, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class CertificateOptions:
    """The same choices as the command line's, with its defaults.

    ``hostname`` None asks for no name. ``purpose`` None is "any" for the certificate of an authority that no name is
    asked for, else "server". ``at`` is in seconds since the epoch; None is now. ``untrusted``, ``crls`` and ``ocsp``
    name files, ``trust`` files, folders, "system" and "certifi". ``password`` is asked for each file that needs one
    (the file's name is its argument), and may say None. ``nonce`` sends one with each OCSP request. ``name_machine``
    says in the report which machine this is.
    """

    hostname: str | None = None
    purpose: ChainPurpose | None = None
    profile: ChainProfile = "windows"
    at: float | None = None
    untrusted: tuple[str, ...] = ()
    trust: tuple[str, ...] | TrustStore = ("system",)
    crls: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    password: Callable[[str], bytes | None] | None = field(default=None, repr=False)
    fetch: bool = True
    cache: bool = True
    nonce: bool = False
    proxy: str = "system"
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    timeout_s: float = 8.0
    name_machine: bool = True


def check_certificates(
    files: Sequence[str],
    options: CertificateOptions | None = None,
    *,
    machine: Machine | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Verify the certificates in ``files`` ("-" is standard input), and retrieve what they name.

    The certificates of all files help to build paths; each that signed no other one is verified. When ``cancel`` is
    set, the report is on what was retrieved until then.
    """
    options = options or CertificateOptions()
    if not files:
        raise UsageError("no certificate file given")
    started, clock = time.time(), time.monotonic()
    desk = _Desk(options=options, machine=machine, progress=progress, cancel=cancel or threading.Event())
    intakes = [_intake(name, options) for name in files]
    observations: tuple[AnyObservation, ...] = ()
    errors: list[str] = []
    try:
        observations = tuple(desk.observe(intakes))
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug must cost the finding, not the report (DESIGN, Errors)
        errors.append(describe(error))
    return judge_certificates(
        _target(files),
        started=started,
        took_s=time.monotonic() - clock,
        observations=observations,
        not_run=tuple(desk.not_run),
        internal_errors=(*desk.errors, *errors),
        interrupted=desk.cancel.is_set(),
        machine=_described(machine) if options.name_machine else None,
    )


def _described(machine: Machine | None) -> MachineInfo:
    """Which machine judged: its trust stores did. Without loading what probes need."""
    from netdiag.probes.machine_info import machine_info

    return machine.described() if machine is not None else machine_info()


def _intake(name: str, options: CertificateOptions) -> Intake:
    password = options.password
    return read_intake(read_file(name), _shown(name), (lambda: password(name)) if password else None)


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _target(files: Sequence[str]) -> Target:
    names = [_shown(name) if name == "-" else PurePath(name).name for name in files]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Target(host="", port=0, scheme="file", path=f"{names[0]}{more}")


@dataclass(kw_only=True)
class _Desk:
    """One run: what is asked, and with what help."""

    options: CertificateOptions
    machine: Machine | None
    progress: Progress | None
    cancel: threading.Event
    #: Bugs of netdiag that cost one retrieval each.
    errors: list[str] = field(default_factory=list)
    #: What was left out, and why.
    not_run: list[NotRun] = field(default_factory=list)
    _retriever: Retriever | None = None

    def observe(self, intakes: Sequence[Intake]) -> Iterator[AnyObservation]:
        """The chain of each leaf, its URLs, its key."""
        given = [der for intake in intakes for der in intake.certificates]
        extra = [_intake(name, self.options) for name in self.options.untrusted]
        found = roles(given, [key for intake in intakes for key in intake.keys])
        helpers = [*given, *(der for intake in extra for der in intake.certificates)]
        store = self._store()
        crls = [*(crl for intake in intakes for crl in intake.crls), *map(_crl, self.options.crls)]
        responses = [*map(_response, self.options.ocsp)]
        if (more := len(found.leaves) - MAX_LEAVES) > 0:
            self.not_run.append(
                NotRun(rung="chain", reason=f"{more} more certificates are not verified: too many at once")
            )
        for number, leaf in enumerate(found.leaves[:MAX_LEAVES]):
            identifier = f"chain.{number + 1}" if number else "chain"
            yield from self._chain(identifier, leaf, helpers, store, crls, responses)
            yield from self._keys(identifier, leaf, intakes)

    def _store(self) -> TrustStore:
        trust = self.options.trust
        return trust if isinstance(trust, TrustStore) else load_trust(trust)

    def _public(self) -> TrustStore:
        return (self.machine.public_roots if self.machine else None) or public_roots()

    def _chain(
        self,
        identifier: str,
        leaf: bytes,
        helpers: Sequence[bytes],
        store: TrustStore,
        crls: Sequence[bytes],
        responses: Sequence[bytes],
    ) -> Iterator[AnyObservation]:
        import secrets

        options, started, clock = self.options, time.time(), time.monotonic()
        question = Question(
            hostname=options.hostname,
            at=started if options.at is None else options.at,
            purpose=options.purpose or ("server" if options.hostname else _purpose(leaf)),
            profile=options.profile,
            nonce=secrets.token_bytes(NONCE_BYTES) if options.nonce else None,
        )

        def ask(public: TrustStore | None) -> tuple[Verification, dict[Fetch, Fetched]]:
            others = [der for der in helpers if der != leaf]
            return self._carry_out(
                verifying(
                    leaf,
                    others,
                    store,
                    question,
                    public=public,
                    crls=crls,
                    responses=responses,
                    every_url=options.fetch,
                )
            )

        # Whether roots are public matters to what is not trusted, and to who presents a public name: loading the list
        # of them takes longer than everything else here.
        quick = not options.fetch and options.hostname is None
        found, fetched = ask(None if quick else self._public())
        if quick and not found.trusted:
            found, fetched = ask(self._public())
        self._keep(found, fetched, question.at)
        chain = msgspec.structs.replace(
            observed(found, question, store),
            id=identifier,
            source="file",
            started=started,
            took_s=time.monotonic() - clock,
            paths=found.paths,
            chosen=found.chosen,
            rejected=found.rejected,
            exhausted=found.exhausted,
            revocation=found.revocation,
        )
        yield chain
        yield from _retrieval_observations(chain, found, fetched)

    def _carry_out(self, asking: Asking[Verification]) -> tuple[Verification, dict[Fetch, Fetched]]:
        """Run the engine, and answer what it asks for."""
        fetched: dict[Fetch, Fetched] = {}
        answers: Answers = {}
        try:
            requests = next(asking)
            while True:
                if self.options.fetch and not self.cancel.is_set():
                    came = self._fetch(requests, len(fetched))
                    fetched |= came
                    answers = {request: entry.answer for request, entry in came.items()}
                else:
                    answers = {}
                requests = asking.send(answers)
        except StopIteration as stop:
            return stop.value, fetched

    def _fetch(self, requests: Sequence[Fetch], before: int) -> Mapping[Fetch, Fetched]:
        from netdiag.probes.net import Deadline

        done, total = itertools.count(before), before + len(set(requests))

        def one_more() -> None:
            if self.progress:
                self.progress("fetching", next(done), total)

        one_more()
        deadline = Deadline(RETRIEVAL_LIMIT_S)
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
                proxy=self.options.proxy,
                credentials=self.options.credentials,
                secure=verifier(self._store(), machine.public_roots or public_roots(), machine.clock),
                cache=Cache(default_folder(machine.environment) if self.options.cache else None),
                timeout_s=self.options.timeout_s,
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

    def _keys(self, parent: str, leaf: bytes, intakes: Sequence[Intake]) -> Iterator[KeyObservation]:
        facts = read(leaf)
        for intake in intakes:
            if isinstance(facts, Facts) and leaf in intake.certificates:
                seen = key_observation(intake, facts, id=f"key{parent.removeprefix('chain')}", path=intake.name)
                if seen is not None:
                    yield msgspec.structs.replace(seen, parent=parent)
                return


def _purpose(leaf: bytes) -> ChainPurpose:
    facts = read(leaf)
    return "any" if isinstance(facts, Facts) and facts.is_ca else "server"


def _crl(name: str) -> bytes:
    """A CRL that the user named. Raises ``UsageError`` for anything else."""
    from netdiag.pki.crl_facts import read_crl

    return _readable(name, read_crl)


def _response(name: str) -> bytes:
    """An OCSP response that the user named. Raises ``UsageError`` for anything else."""
    from netdiag.pki.ocsp_facts import read_response

    return _readable(name, read_response)


def _readable(name: str, reader: Callable[[bytes], object]) -> bytes:
    data = read_file(name)
    found = reader(data)
    if isinstance(found, Unreadable):
        raise UsageError(f"{_shown(name)}: {found.reason}")
    return data


def _retrieval_observations(
    chain: ChainObservation, found: Verification, fetched: Mapping[Fetch, Fetched]
) -> Iterator[RetrievalObservation]:
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
