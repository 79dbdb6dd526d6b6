"""Path building: from a leaf to every candidate path (RFC 4158), without a network.

Contract: ``build`` is a generator. It yields the ``Fetch`` requests for issuers that nobody gave, is sent the answers,
and returns ``Built``. Input is hostile: certificates that sign each other in all directions end within the budgets
below. Nothing here judges validity, purpose or names; they only decide what is tried first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from netdiag.model import Failure, PathEnd, UrlPurpose
from netdiag.pki.distinguished import NameKey
from netdiag.pki.facts import Facts, Unreadable, inheriting, read, read_root, signed_by
from netdiag.pki.load import load
from netdiag.pki.trust import TrustStore

#: Certificates given beside the leaf that are looked at. Real servers send two to four; a file may hold a whole store.
MAX_GIVEN = 2000
#: Longest path, leaf and root included. Public chains have three or four elements; OpenSSL allows 100 by default.
MAX_DEPTH = 20
#: Signature checks in one search. Go's crypto/x509 allows 100, and looks at fewer candidates; the slowest usual check
#: (P-384) takes about 1 ms.
MAX_SIGNATURE_CHECKS = 500
#: Certificates of one name among which an issuer without a fitting key identifier is looked for; of one authority's
#: renewals, real files hold a dozen.
MAX_NAMESAKES = 500
#: Steps of one search: issuers put on top of a path. They cost microseconds once the signatures are known.
MAX_STEPS = 2000
#: Given certificates that make fewer paths than the budgets allow, however they are connected.
FEW = 6
#: Candidate paths kept from one search, of each kind: with a trust anchor and without.
MAX_PATHS = 32
#: Refused candidates kept for the report.
MAX_REJECTED = 64
#: Rounds of fetching issuers, and URLs in all: two intermediates and a root, each with a few addresses.
MAX_ROUNDS = 4
MAX_FETCHES = 12
#: Certificates taken out of one fetched file; a PKCS#7 of a certificate authority holds two or three.
MAX_PER_FETCH = 8

#: Schemes of caIssuers URLs that are fetched. RFC 5280 §4.2.2.1 advises against HTTPS, since it needs another chain.
ISSUER_SCHEMES = ("http://", "ldap://")


@dataclass(frozen=True)
class Fetch:
    """A request for what lies at a URL that a certificate names. ``body`` is the OCSP request to send (RFC 6960)."""

    url: str
    purpose: UrlPurpose = "aia"
    body: bytes = b""


#: What a ``Fetch`` brought: bytes, or why there are none.
Answers = Mapping[Fetch, "bytes | Failure"]
#: What stands for the answer of a request that nobody made.
UNANSWERED = Failure(kind="unknown", step="fetch", detail="not tried")
R = TypeVar("R")
#: Yields requests that may be answered side by side, is sent their answers, returns its result.
Asking = Generator[tuple[Fetch, ...], Answers, R]


@dataclass(frozen=True)
class Path:
    """Leaf first. ``bad_links`` are the elements whose signature their successor did not make."""

    elements: tuple[Facts, ...]
    end: PathEnd
    bad_links: frozenset[int] = frozenset()

    @property
    def trusted(self) -> bool:
        """Ends at an anchor, with good signatures all the way."""
        return self.end == "anchor" and not self.bad_links


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A certificate that bears the name of ``child``'s issuer, or fits its key identifier, and is not its issuer."""

    child: Facts
    candidate: Facts
    reason: str


@dataclass(frozen=True, kw_only=True)
class Built:
    """Candidate paths against the store in use and against the public roots, in the order found.

    ``fetched`` maps the SHA-256 of a fetched certificate to its URL, ``answers`` each request to what it brought.
    ``exhausted`` says that a budget ended the search.
    """

    paths: tuple[Path, ...]
    public_paths: tuple[Path, ...]
    pool: tuple[Facts, ...]
    fetched: Mapping[str, str]
    answers: Answers
    rejected: tuple[Rejected, ...]
    exhausted: bool


def build(
    leaf: Facts,
    given: Iterable[Facts],
    store: TrustStore,
    public: TrustStore | None,
    at: float,
    *,
    every_url: bool,
    flawless: Callable[[Facts], bool] = lambda _: True,
) -> Asking[Built]:
    """Every path from ``leaf`` through ``given`` to ``store``.

    Issuers are fetched where a path ends without one: until a path reaches a store, or with ``every_url`` from all
    URLs that the certificates on the way name. ``at`` puts certificates that hold then before others, and where there
    are many, ``flawless`` (asked of authorities) those that can be on a good path.
    """
    pool = list(dict.fromkeys(given))[:MAX_GIVEN]
    fetched: dict[str, str] = {}
    answers: dict[Fetch, bytes | Failure] = {}
    for _ in range(MAX_ROUNDS):
        own = search(leaf, pool, store, at, flawless)
        other = own if public is None or public is store else search(leaf, pool, public, at, flawless)
        reached = any(path.trusted for path in (*own.paths, *other.paths))
        wanted = _wanted(own.paths, answers, every_url=every_url, reached=reached)
        if not wanted:
            break
        came = yield wanted
        for request in wanted:
            answer = answers[request] = came.get(request, UNANSWERED)
            for issuer in issuers_in(answer) if isinstance(answer, bytes) else ():
                if issuer not in pool and issuer != leaf:
                    pool.append(issuer)
                    fetched[issuer.sha256] = request.url
    return Built(
        paths=tuple(own.paths),
        public_paths=tuple(other.paths) if public is not None else (),
        pool=tuple(pool),
        fetched=fetched,
        answers=answers,
        rejected=tuple(own.rejected),
        exhausted=own.exhausted or other.exhausted,
    )


def drive(asking: Asking[R], fetch: Callable[[tuple[Fetch, ...]], Answers] | None = None) -> R:
    """Run a generator to its end; without ``fetch``, nobody answers."""
    try:
        requests = next(asking)
        while True:
            requests = asking.send(fetch(requests) if fetch else {})
    except StopIteration as stop:
        result: R = stop.value
        return result


def issuers_in(data: bytes) -> list[Facts]:
    """The certificates in an answer to a caIssuers URL: DER, PEM or PKCS#7 (RFC 5280 §4.2.2.1)."""
    found = [read_root(certificate) for certificate in load(data).certificates[:MAX_PER_FETCH]]
    return [certificate for certificate in found if not isinstance(certificate, Unreadable)]


def read_all(certificates: Iterable[bytes]) -> list[Facts | Unreadable]:
    """Each certificate, in the order given."""
    return [read(der) for der in certificates]


def search(
    leaf: Facts,
    pool: Sequence[Facts],
    store: TrustStore,
    at: float,
    flawless: Callable[[Facts], bool] = lambda _: True,
) -> Search:
    """All paths within the budgets, depth first, the likeliest issuers before others."""
    found = Search(store=store, at=at, flawless=flawless)
    for certificate in pool:
        found.by_subject.setdefault(certificate.subject, []).append(certificate)
        found.by_key.setdefault((certificate.subject, certificate.public_key), []).append(certificate)
        if identifier := certificate.subject_key_id:
            found.by_key_id.setdefault(identifier, []).append(certificate)
    if len(pool) > FEW:
        found.measure(leaf)
    found.extend((leaf,), frozenset())
    return found


@dataclass(kw_only=True)
class Search:
    """One search: what it looks in, what it found, what it spent."""

    store: TrustStore
    at: float
    flawless: Callable[[Facts], bool]
    by_subject: dict[tuple[str, ...], list[Facts]] = field(default_factory=dict)
    by_key: dict[tuple[NameKey, bytes], list[Facts]] = field(default_factory=dict)
    by_key_id: dict[bytes, list[Facts]] = field(default_factory=dict)
    anchored: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    exhausted: bool = False
    _checks: int = 0
    _steps: int = 0
    _known: dict[Facts, tuple[list[Facts], list[Facts]]] = field(default_factory=dict)
    _distance: dict[Facts, int] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        """Those with an anchor first."""
        return [*self.anchored, *self.others]

    def measure(self, leaf: Facts) -> None:
        """How far each certificate above ``leaf`` is from a trust anchor, by way of authorities without a flaw.

        The number of paths grows exponentially with the certificates, and the budgets with nothing: so a path that is
        probably good has to come first, and the shortest of them is found in linear time.
        """
        above, children = deque([leaf]), dict[Facts, list[Facts]]()
        anchors: deque[Facts] = deque()
        while above and self._checks < MAX_SIGNATURE_CHECKS // 2:  # the rest is for the search itself
            child = above.popleft()
            if self.store.has_sha256(child.sha256):
                anchors.append(child)
                continue
            for issuer in () if child.self_signed else self._issuers(child)[0]:
                if not self._holds(issuer) or not (issuer.is_ca or issuer.version < 3) or not self.flawless(issuer):
                    continue
                if issuer not in children:
                    children[issuer] = []
                    above.append(issuer)
                children[issuer].append(child)
        self._distance = dict.fromkeys(anchors, 0)
        while anchors:
            issuer = anchors.popleft()
            for child in children.get(issuer, ()):
                if child not in self._distance:
                    self._distance[child] = self._distance[issuer] + 1
                    anchors.append(child)

    def extend(self, path: tuple[Facts, ...], bad_links: frozenset[int]) -> None:
        """Record ``path`` where it ends, and follow it upwards."""
        top = path[-1]
        self._steps += 1
        if self._steps > MAX_STEPS:
            self.exhausted = True
            return
        if self.store.has_sha256(top.sha256):
            self._keep(self.anchored, Path(path, "anchor", bad_links))
            return
        if top.self_signed:
            self._keep(self.others, Path(path, "self-signed", bad_links))
            return
        if len(path) >= MAX_DEPTH:
            self.exhausted = True
            self._keep(self.others, Path(path, "dead-end", bad_links))
            return
        good, bad = self._issuers(top)
        inside = {(element.subject, element.public_key) for element in path}
        for issuers, broken in ((good, bad_links), (bad, bad_links | {len(path) - 1})):
            # The same name with the same key: going through it again would be a loop (RFC 4158 §2.4.2).
            onward = [issuer for issuer in issuers if (issuer.subject, issuer.public_key) not in inside]
            onward.sort(key=lambda issuer: self._distance.get(issuer, MAX_STEPS))
            for issuer in onward:
                self.extend((*path, issuer), broken)
            if onward:
                return
        self._keep(self.others, Path(path, "dead-end", bad_links))

    def _keep(self, kept: list[Path], path: Path) -> None:
        if len(kept) < MAX_PATHS:
            kept.append(path)
        else:
            self.exhausted = True

    def _issuers(self, child: Facts) -> tuple[list[Facts], list[Facts]]:
        """Who signed ``child``; and, where a signature is wrong, who nevertheless passes for its issuer.

        The latter are those whose key identifiers do not already tell that they are another authority of that name.
        """
        if child not in self._known:
            self._known[child] = ([], [])  # for a question about itself on the way
            self._known[child] = self._look(child)
        return self._known[child]

    def _with_key(self, candidate: Facts) -> Facts:
        """The candidate with the parameters that its key may inherit from its own issuer."""
        if candidate.key is None and candidate.inherits_parameters:
            for issuer in self._issuers(candidate)[0]:
                candidate = inheriting(candidate, issuer.key)
        return candidate

    def _look(self, child: Facts) -> tuple[list[Facts], list[Facts]]:
        """First the candidates whose key identifier fits: once one of them signed, no other key of that name did.

        So a step costs as much as there are such candidates, however many authorities of one name there are.
        """
        if self._checks >= MAX_SIGNATURE_CHECKS:
            self.exhausted = True
            return [], []
        anchors = roots(child.issuer, self.store)
        named = self.by_subject.get(child.issuer, [])
        fitting = [*anchors, *self.by_key_id.get(child.authority_key_id or b"", ())]
        good, bad = self._signers(child, [entry for entry in fitting if _key_ids_fit(child, entry)])
        if good:
            key = good[0].public_key
            same = [entry for entry in anchors if entry.public_key == key]
            good += map(self._with_key, [*same, *self.by_key.get((child.issuer, key), ())])
        else:
            self.exhausted |= len(named) > MAX_NAMESAKES
            good, more = self._signers(child, [*anchors, *named[:MAX_NAMESAKES]])
            bad = list(dict.fromkeys((*bad, *more)))
        signers = dict.fromkeys(entry for entry in good if entry != child)
        for other in (*anchors, *named[: MAX_REJECTED + len(signers)]):
            if other not in signers and other != child:
                self._reject(child, other, _why_not(child, other))
        for other in self.by_key_id.get(child.authority_key_id or b"", ())[:MAX_REJECTED]:
            if other.subject != child.issuer and other != child:
                self._reject(child, other, f"it is named {other.summary.subject}, not {child.summary.issuer}")
        return sorted(signers, key=lambda entry: self._likeliness(child, entry)), bad

    def _signers(self, child: Facts, candidates: Sequence[Facts]) -> tuple[list[Facts], list[Facts]]:
        """Those whose key signed, and those whose key did not, although no identifier tells it from the issuer's."""
        good: list[Facts] = []
        bad: list[Facts] = []
        signed: dict[bytes, bool] = {}  # by key: of an authority's many certificates one is checked
        for entry in sorted(dict.fromkeys(candidates), key=lambda entry: self._likeliness(child, entry)):
            if entry == child or entry.subject != child.issuer:
                continue
            candidate = self._with_key(entry)
            key = candidate.der if entry.key is None else candidate.public_key
            if key not in signed:
                if self._checks >= MAX_SIGNATURE_CHECKS:
                    self.exhausted = True
                    break
                self._checks += 1
                signed[key] = signed_by(child, candidate)
            if signed[key]:
                good.append(candidate)
            elif _key_ids_fit(child, candidate) is not False:
                bad.append(candidate)
        return good, bad

    def _likeliness(self, child: Facts, candidate: Facts) -> tuple[bool, bool, bool, bool]:
        fits = _key_ids_fit(child, candidate)
        return (fits is False, fits is None, not self._holds(candidate), not candidate.is_ca)

    def _holds(self, certificate: Facts) -> bool:
        return certificate.not_before <= self.at <= certificate.not_after

    def _reject(self, child: Facts, candidate: Facts, reason: str) -> None:
        if len(self.rejected) < MAX_REJECTED:
            self.rejected.append(Rejected(child=child, candidate=candidate, reason=reason))


def roots(subject: tuple[str, ...], store: TrustStore) -> list[Facts]:
    """The store's roots of this name."""
    found = [read_root(root) for root in store.by_subject(subject)]
    return [root for root in found if isinstance(root, Facts)]


def _key_ids_fit(child: Facts, candidate: Facts) -> bool | None:
    """Whether the child's authority key identifier is the candidate's; None where one of them has none."""
    wanted, given = child.authority_key_id, candidate.subject_key_id
    return None if wanted is None or given is None else wanted == given


def _why_not(child: Facts, candidate: Facts) -> str:
    if candidate.key is None:
        return "its public key is of no kind that can be read"
    if _key_ids_fit(child, candidate) is False:
        return "it has the issuer's name and another key: the key identifiers differ, and it did not sign"
    return "it has the issuer's name, and its key did not make the signature"


def _wanted(paths: Sequence[Path], asked: Answers, *, every_url: bool, reached: bool) -> tuple[Fetch, ...]:
    """The caIssuers URLs to ask next: of the first dead end, or of every certificate on a path."""
    if reached and not every_url:
        return ()
    found: dict[Fetch, None] = {}
    for path in paths:
        elements = path.elements if every_url else path.elements[-1:] if path.end == "dead-end" else ()
        for element in elements:
            found |= dict.fromkeys(Fetch(url) for url in element.summary.aia if url.lower().startswith(ISSUER_SCHEMES))
    new = [request for request in found if request not in asked]
    room = MAX_FETCHES - len(asked)
    return tuple(new[: room if every_url else min(room, 1)])
