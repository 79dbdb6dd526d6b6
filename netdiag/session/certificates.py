"""Certificate files -> one report: what is in them, every path, every URL that they name; then the rules.

Contract: raises ``UsageError`` for a file that cannot be read or holds no certificate; what else is wrong with it
stands in the report. Without ``fetch`` nothing touches the network.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

import msgspec

from netdiag.model import (
    AnyObservation,
    ChainProfile,
    ChainPurpose,
    KeyObservation,
    MachineInfo,
    NotRun,
    Report,
    Target,
    UsageError,
)
from netdiag.pki.facts import Facts, Unreadable, read
from netdiag.pki.intake import Intake, read_file, read_intake, roles
from netdiag.pki.judging import Question
from netdiag.pki.keys import key_observation
from netdiag.pki.trust import TrustStore, load_trust
from netdiag.session.inspecting import Inspector, Progress, observed_in_full, retrievals_of
from netdiag.session.judgement import describe, judge_certificates

if TYPE_CHECKING:
    from netdiag.probes.machine import Machine

#: Certificates of one command that are verified: a whole store of roots has about 150.
MAX_LEAVES = 200
#: Bytes of a random nonce (RFC 9654 §2.1 suggests 32).
NONCE_BYTES = 32


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
    _made: Inspector | None = None

    def observe(self, intakes: Sequence[Intake]) -> Iterator[AnyObservation]:
        """The chain of each leaf, its URLs, its key."""
        given = [der for intake in intakes for der in intake.certificates]
        extra = [_intake(name, self.options) for name in self.options.untrusted]
        found = roles(given, [key for intake in intakes for key in intake.keys])
        helpers = [*given, *(der for intake in extra for der in intake.certificates)]
        trust = self.options.trust
        store = trust if isinstance(trust, TrustStore) else load_trust(trust)
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
        others = [der for der in helpers if der != leaf]
        # Whether roots are public matters to what is not trusted, and to who presents a public name: loading the list
        # of them takes longer than everything else here.
        quick = not options.fetch and options.hostname is None
        inspector = self._inspector(store)
        found, fetched = inspector.verify(leaf, others, question, crls, responses, public=not quick)
        if quick and not found.trusted:
            found, fetched = inspector.verify(leaf, others, question, crls, responses)
        chain = msgspec.structs.replace(
            observed_in_full(found, question, store),
            id=identifier,
            source="file",
            started=started,
            took_s=time.monotonic() - clock,
        )
        yield chain
        yield from retrievals_of(chain, found, fetched)

    def _inspector(self, store: TrustStore) -> Inspector:
        """Made once: what it has retrieved for one certificate serves the next."""
        options = self.options
        if self._made is None:
            self._made = Inspector(
                machine=self.machine,
                store=store,
                fetch=options.fetch,
                cache=options.cache,
                proxy=options.proxy,
                credentials=options.credentials,
                timeout_s=options.timeout_s,
                cancel=self.cancel,
                progress=self.progress,
                errors=self.errors,
            )
        return self._made

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
