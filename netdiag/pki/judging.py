"""The judgement on one candidate path, and which of several is the best. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from netdiag.model import ChainFault, ChainProfile, ChainPurpose, Failure, Severity, name_part
from netdiag.pki.checks import path_faults
from netdiag.pki.context import Context
from netdiag.pki.facts import Facts
from netdiag.pki.names import name_problem
from netdiag.pki.path import UNANSWERED, Built, Fetch, Path, issuers_in
from netdiag.pki.policies import ANYTHING, Inputs
from netdiag.pki.roles import intermediates
from netdiag.pki.trust import TrustStore

#: What a path reaches: the store in use, only the public roots, or neither.
Anchor = Literal["store", "public", "none"]
_RANK: dict[Anchor, int] = {"store": 0, "public": 1, "none": 2}

#: Faults of an authority that let it sign what it must not.
_USURPED = ("not-a-ca", "path-length-exceeded", "key-usage", "name-constraint")
#: Faults that an authority has by what stands below it.
_OF_OTHERS = ("path-length-exceeded", "name-constraint", "policy")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a chain.

    ``hostname`` None asks for no name. ``at`` is in seconds since the epoch; certificates count whole seconds, so
    fractions are dropped. ``max_depth`` limits the intermediates that are not self-issued. ``sent``: a server sent the
    certificates, and should have sent them all. ``nonce`` goes into OCSP requests (RFC 9654).
    """

    hostname: str | None
    at: float
    purpose: ChainPurpose = "server"
    profile: ChainProfile = "windows"
    max_depth: int | None = None
    policies: Inputs = ANYTHING
    sent: bool = False
    nonce: bytes | None = None


@dataclass(frozen=True)
class Judged:
    """A path, what it reaches, and its faults without those of revocation."""

    path: Path
    reach: Anchor
    faults: tuple[ChainFault, ...]

    @property
    def trusted(self) -> bool:
        """It reaches the store in use, and no fault is an error."""
        return self.reach == "store" and not errors(self.faults)


def errors(faults: Sequence[ChainFault]) -> int:
    """How many of the faults are errors."""
    return sum(fault.severity is Severity.ERROR for fault in faults)


def rank(judged: Judged) -> tuple[int, int, int]:
    """Lower is better: where it ends, then how many errors it has, then how long it is.

    Among paths that reach no anchor the longest tells most.
    """
    length = len(judged.path.elements)
    return _RANK[judged.reach], errors(judged.faults), -length if judged.reach == "none" else 0


def judge_all(built: Built, question: Question, public: TrustStore | None, given: Sequence[Facts]) -> list[Judged]:
    """Every path, the best first; the public roots count only where no path reaches the store in use."""
    reached: list[tuple[Path, Anchor]] = [(path, "store" if path.trusted else "none") for path in built.paths]
    if not any(reach == "store" for _, reach in reached):
        reached += [(path, "public") for path in built.public_paths if path.trusted]
    judged = [_judge(path, reach, built, question, public, given) for path, reach in reached]
    return sorted(judged, key=rank)  # stable: found earlier, better


def authentic(path: Path, question: Question) -> bool:
    """Only authorities signed, up to a public root. Without this, any public server certificate could sign others."""
    context = Context(path.elements, True, question.at, question.profile, question.purpose)
    return path.trusted and not any(
        fault.severity is Severity.ERROR
        and fault.kind in _USURPED
        and (fault.element or fault.kind == "name-constraint")
        for fault in path_faults(context, ANYTHING)
    )


def flawless(question: Question) -> Callable[[Facts], bool]:
    """Whether an authority has no error of its own, whatever stands below and above it."""

    @functools.cache
    def asked(issuer: Facts) -> bool:
        context = Context((issuer, issuer), False, question.at, question.profile, question.purpose)
        return not any(
            fault.element and fault.severity is Severity.ERROR and fault.kind not in _OF_OTHERS
            for fault in path_faults(context, ANYTHING)
        )

    return asked


def why_chosen(judged: Sequence[Judged]) -> str:
    """Why the first path is the best, in a sentence."""
    best, others = judged[0], judged[1:]
    if not others:
        return "the only path"
    count = f"of {len(judged)} paths"
    if best.reach == "store" and all(other.reach != "store" for other in others):
        return f"{count} the only one that ends at a trusted root"
    if best.trusted and not any(other.trusted for other in others):
        return f"{count} the only one without an error"
    if best.reach == "none":
        return f"{count}, none of which ends at a root that is known, the one that leads furthest"
    fewest = errors(best.faults)
    if all(errors(other.faults) > fewest for other in others if other.reach == best.reach):
        return f"{count} the one with the fewest errors ({fewest})"
    return f"{count} the first of {sum(rank(other) == rank(best) for other in judged)} that are equally good"


def _judge(
    path: Path, reach: Anchor, built: Built, question: Question, public: TrustStore | None, given: Sequence[Facts]
) -> Judged:
    elements = path.elements
    context = Context(elements, path.end == "anchor", question.at, question.profile, question.purpose)
    found: list[ChainFault] = []
    if question.hostname is not None:
        found += _name(context, question.hostname)
    for index in sorted(path.bad_links):
        detail = f"{elements[index + 1].summary.subject} did not sign it"
        found.append(context.fault("bad-signature", index, detail, "NotSignatureValid"))
    found += _unsent(context, built) if question.sent else ()
    found += _trust(context, path, reach, built, public, given)
    below = elements[:-1] if path.end == "anchor" and len(elements) > 1 else elements
    depth = intermediates(below)
    if question.max_depth is not None and depth > question.max_depth:
        detail = f"it has {depth} intermediates, and at most {question.max_depth} were asked for"
        found.append(context.fault("path-length-exceeded", len(elements) - 1, detail, "InvalidBasicConstraints"))
    found += path_faults(context, question.policies)
    return Judged(path, reach, tuple(found))


def _name(context: Context, hostname: str) -> list[ChainFault]:
    leaf = context.elements[0]
    problem = name_problem(
        hostname,
        leaf.dns_names,
        leaf.addresses,
        leaf.common_names,
        leaf.mailboxes,
        public=context.profile == "webpki",
    )
    return [context.fault("name-mismatch", 0, problem)] if problem else []


def _unsent(context: Context, built: Built) -> list[ChainFault]:
    """The first gap in what the server sent that a fetched intermediate had to fill."""
    for index, element in enumerate(context.elements[1:]):
        url = built.fetched.get(element.sha256)
        if url is not None and not element.self_signed:
            detail = f"the server does not send {element.summary.subject}, which is available at {url}"
            return [context.fault("incomplete", index, detail, "PartialChain")]
    return []


def _trust(
    context: Context, path: Path, reach: Anchor, built: Built, public: TrustStore | None, given: Sequence[Facts]
) -> list[ChainFault]:
    """Why the path does not end at a root of the store in use, where it does not.

    A server normally sends everything but the root. So when at least one authority came along, what is missing above
    it is a root that is not trusted; when only the leaf came, what is missing is an intermediate.
    """
    last, top = len(path.elements) - 1, path.elements[-1]
    subject, issuer = top.summary.subject, top.summary.issuer
    known = public is not None and path.end == "self-signed" and public.has_sha256(top.sha256)
    if reach == "public" or (reach == "none" and known):
        detail = f"{subject} is a public root, and not in the trust store"
        flag = "UntrustedRoot" if top in given else "PartialChain"
        return [context.fault("root-missing-locally", last, detail, flag)]
    if path.end == "anchor":
        return []  # trusted, or reached over a bad signature, which is said
    if path.end == "self-signed":
        detail = "it is self-signed, and not in the trust store" if not last else f"{subject} is not in the trust store"
        return [context.fault("untrusted-root", last, detail, "UntrustedRoot")]
    if (len(given) >= 2 and top.is_ca) or _names_a_root(name_part(issuer, "CN")):
        detail = f"its issuer {issuer} is not in the trust store"
        return [context.fault("untrusted-root", last, detail, "PartialChain")]
    where = "sent by the server" if context.profile == "clients" else "given"
    detail = f"its issuer {issuer} is neither {where} nor in the trust store{_unfetched(top, built.answers)}"
    return [context.fault("incomplete", last, detail, "PartialChain")]


def _unfetched(top: Facts, answers: Mapping[Fetch, bytes | Failure]) -> str:
    """Why the first URL that names the issuer did not give it, as a clause."""
    for url in top.summary.aia:
        answer = answers.get(Fetch(url))
        if answer == UNANSWERED:
            return f"; the certificate says that it is at {url}, which was not asked"
        if isinstance(answer, Failure):
            return f"; {url} did not give it ({answer.detail or answer.kind})"
        if answer is not None:
            return f"; {url} holds {'another' if issuers_in(answer) else 'no'} certificate"
    return ""


def _names_a_root(name: str) -> bool:
    """Whether an authority calls itself a root, and not what a root's name merely starts ("X Root - Issuing CA 1")."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    return "root" in words and not words & {"issuing", "intermediate", "sub", "subordinate", "server", "tls"}
