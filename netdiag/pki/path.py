"""Path building: from the presented certificates to every candidate path (RFC 4158), without a network.

Contract: ``build`` is a generator. It yields ``Fetch(url)`` for an issuer that neither the server nor a store has, is
sent the bytes found there or a ``Failure``, and returns ``Built``. Input is hostile: certificates that sign each other
in all directions end within the budgets below. Nothing here judges validity, purpose or names.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from netdiag.model import Failure
from netdiag.pki.facts import Facts, Unreadable, read, read_root, signed_by
from netdiag.pki.load import load
from netdiag.pki.trust import TrustStore

#: Certificates of the server that are looked at. Real servers send two to four; OpenSSL limits the depth to 100.
MAX_PRESENTED = 32
#: Longest path, leaf and root included. Public chains have three or four elements.
MAX_DEPTH = 10
#: Signature checks in one search, the number that Go's crypto/x509 allows for a whole verification.
MAX_SIGNATURE_CHECKS = 100
#: Candidate paths kept from one search.
MAX_PATHS = 32
#: Issuers fetched for one chain: two intermediates and a root.
MAX_FETCHES = 3
#: Certificates taken out of one fetched file; a PKCS#7 of a certificate authority holds two or three.
MAX_PER_FETCH = 8

#: How a path ends: at a trust anchor, at a self-signed certificate that is none, or where no issuer is to be found.
End = Literal["anchor", "self-signed", "dead-end"]


@dataclass(frozen=True)
class Fetch:
    """A request for what lies at a caIssuers URL."""

    url: str


@dataclass(frozen=True)
class Path:
    """Leaf first. ``bad_links`` are the elements whose signature their successor did not make."""

    elements: tuple[Facts, ...]
    end: End
    bad_links: frozenset[int] = frozenset()

    @property
    def trusted(self) -> bool:
        """Ends at an anchor, with good signatures all the way."""
        return self.end == "anchor" and not self.bad_links


@dataclass(frozen=True, kw_only=True)
class Built:
    """Candidate paths against the store in use and against the public roots, in the order found.

    ``fetched`` maps the SHA-256 of a fetched certificate to its URL, ``failures`` a URL to why it gave none.
    ``exhausted`` says that a budget ended the search.
    """

    paths: tuple[Path, ...]
    public_paths: tuple[Path, ...]
    fetched: dict[str, str]
    failures: dict[str, Failure]
    exhausted: bool


Builder = Generator[Fetch, "bytes | Failure", Built]


def build(leaf: Facts, presented: Sequence[Facts], store: TrustStore, public: TrustStore) -> Builder:
    """Every path from ``leaf`` through ``presented`` to ``store``; fetches only when neither store is reached."""
    pool = list(dict.fromkeys(presented[:MAX_PRESENTED]))
    fetched: dict[str, str] = {}
    failures: dict[str, Failure] = {}
    tried: set[str] = set()
    while True:
        own = search(leaf, pool, store)
        other = own if public is store else search(leaf, pool, public)
        url = _next_url(own.paths, tried)
        if any(path.trusted for path in (*own.paths, *other.paths)) or url is None or len(tried) >= MAX_FETCHES:
            break
        tried.add(url)
        answer = yield Fetch(url)
        issuers = answer if isinstance(answer, Failure) else _certificates(answer, url)
        if isinstance(issuers, Failure):
            failures[url] = issuers
            continue
        for issuer in issuers:
            if issuer not in pool:
                pool.append(issuer)
                fetched[issuer.sha256] = url
    return Built(
        paths=tuple(own.paths),
        public_paths=tuple(other.paths),
        fetched=fetched,
        failures=failures,
        exhausted=own.exhausted or other.exhausted,
    )


def drive(builder: Builder, fetch: Callable[[str], bytes | Failure] | None = None) -> Built:
    """Run a builder to its end; without ``fetch``, every request is answered with a failure."""
    try:
        request = next(builder)
        while True:
            answer = fetch(request.url) if fetch else Failure(kind="unknown", step="fetch", detail="not tried")
            request = builder.send(answer)
    except StopIteration as stop:
        built: Built = stop.value
        return built


def anchored(certificate: Facts, store: TrustStore) -> bool:
    """Whether a store trusts this certificate: the same one, or the same name and key (RFC 5280 §6.1.1 (d))."""
    if store.has_sha256(certificate.sha256):
        return True
    return any(root.public_key == certificate.public_key for root in _roots(certificate.subject, store))


def search(leaf: Facts, pool: Sequence[Facts], store: TrustStore) -> _Search:
    """All paths within the budgets, depth first, the store's issuers before the presented ones."""
    found = _Search(pool=pool, store=store)
    found.extend([leaf], frozenset())
    return found


@dataclass
class _Search:
    pool: Sequence[Facts]
    store: TrustStore
    paths: list[Path] = field(default_factory=list)
    checks: int = 0
    exhausted: bool = False

    def extend(self, path: list[Facts], bad_links: frozenset[int]) -> None:
        top = path[-1]
        if len(self.paths) >= MAX_PATHS:
            self.exhausted = True
        elif anchored(top, self.store):
            self.paths.append(Path(tuple(path), "anchor", bad_links))
        elif top.self_signed:
            self.paths.append(Path(tuple(path), "self-signed", bad_links))
        elif issuers := self.issuers(path):
            for issuer, good in issuers:
                self.extend([*path, issuer], bad_links if good else bad_links | {len(path) - 1})
        else:
            self.paths.append(Path(tuple(path), "dead-end", bad_links))

    def issuers(self, path: list[Facts]) -> list[tuple[Facts, bool]]:
        """Who may have signed the last element, and whether the signature says so.

        A wrong signature counts only when nobody else made it, and when the key identifiers do not already tell that
        this is another authority of the same name.
        """
        if len(path) >= MAX_DEPTH:
            self.exhausted = True
            return []
        child = path[-1]
        good: list[Facts] = []
        bad: list[Facts] = []
        for candidate in dict.fromkeys([*_roots(child.issuer, self.store), *self.pool]):
            if candidate.subject != child.issuer or any(_same_entity(candidate, element) for element in path):
                continue
            if self.checks >= MAX_SIGNATURE_CHECKS:
                self.exhausted = True
                break
            self.checks += 1
            if signed_by(child, candidate):
                good.append(candidate)
            elif _may_be_issuer(child, candidate):
                bad.append(candidate)
        return [(issuer, True) for issuer in good] or [(issuer, False) for issuer in bad]


def _roots(subject: bytes, store: TrustStore) -> list[Facts]:
    found = [read_root(root) for root in store.by_subject(subject)]
    return [root for root in found if isinstance(root, Facts)]


def _same_entity(one: Facts, other: Facts) -> bool:
    """The same name with the same key: going through it again would be a loop (RFC 4158 §2.4.2)."""
    return one.subject == other.subject and one.public_key == other.public_key


def _may_be_issuer(child: Facts, candidate: Facts) -> bool:
    wanted, given = child.authority_key_id, candidate.subject_key_id
    return wanted is None or given is None or wanted == given


def _next_url(paths: Sequence[Path], tried: set[str]) -> str | None:
    """The first plain-HTTP caIssuers URL of a dead end that was not asked yet; only such URLs are fetched.

    RFC 5280 §4.2.2.1 advises against HTTPS here, since it would need another chain.
    """
    for path in paths:
        if path.end == "dead-end":
            for url in path.elements[-1].summary.aia:
                if url.lower().startswith("http://") and url not in tried:
                    return url
    return None


def _certificates(data: bytes, url: str) -> list[Facts] | Failure:
    found = [read_root(certificate) for certificate in load(data).certificates[:MAX_PER_FETCH]]
    usable = [certificate for certificate in found if not isinstance(certificate, Unreadable)]
    return usable or Failure(kind="certificate", step="fetch", detail=f"{url} holds no certificate")


def read_presented(presented: Sequence[bytes]) -> list[Facts | Unreadable]:
    """Each presented certificate, in the order of the server."""
    return [read(der) for der in presented[:MAX_PRESENTED]]
