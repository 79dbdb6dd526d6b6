"""Trust stores: which roots this run believes in, read from files, directories, certifi or the operating system.

Contract: reads files and, on macOS, runs ``security``; no network. Certificates that cannot be read are skipped and
counted. Raises ``UsageError`` for a named file or directory that cannot be used. What only some stores need is imported
where they are read.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from netdiag.model import UsageError
from netdiag.pki.distinguished import NameKey, name_key
from netdiag.pki.lazy import lazy
from netdiag.pki.load import Loaded, load, quiet

#: The largest bundle in use is below 1 MiB; a file above this is no trust store.
MAX_FILE_BYTES = 32 * 1024 * 1024
#: A directory of roots holds a few hundred files; reading stops here, so that --trust / does not read a disk.
MAX_DIRECTORY_FILES = 4096

#: Where Linux and BSD keep the bundle, as Go's crypto/x509 root_linux.go and root_bsd.go list it.
BUNDLES: tuple[str, ...] = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, FreeBSD, OpenBSD
    "/usr/local/share/certs/ca-root-nss.crt",  # FreeBSD's package
    "/usr/local/etc/ssl/cert.pem",
)
#: OpenSSL looks for these names only in a directory of roots (openssl-rehash(1)).
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_KEYCHAINS = (
    "/System/Library/Keychains/SystemRootCertificates.keychain",
    "/Library/Keychains/System.keychain",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrustStore:
    """Root certificates, and where they came from (in words, one entry per source).

    ``vouched`` says that the user named the files, so that a chain ending there is what the user expects. ``skipped``
    counts entries that could not be read. Two stores are equal only when they are the same object.
    """

    names: tuple[str, ...]
    roots: tuple[x509.Certificate, ...]
    vouched: bool = False
    skipped: int = 0

    @classmethod
    def of(cls, certificates: Iterable[bytes], name: str = "given") -> TrustStore:
        """A store of these certificates (DER); those that cannot be read count as skipped, and anchor nothing."""
        return _store((name,), [load(der) if der else Loaded((), 1) for der in certificates], vouched=True)

    def by_subject(self, name: NameKey) -> tuple[x509.Certificate, ...]:
        """The roots with this subject (RFC 5280 §7.1 says when two names are one)."""
        return self._subjects.get(name, ())

    def has_sha256(self, fingerprint: str) -> bool:
        """Whether the certificate with this SHA-256 (hexadecimal, lower case) is a root here."""
        return fingerprint in self._fingerprints

    def __contains__(self, certificate: object) -> bool:
        return isinstance(certificate, x509.Certificate) and self.has_sha256(_sha256(certificate))

    @lazy
    def _subjects(self) -> dict[NameKey, tuple[x509.Certificate, ...]]:
        found: dict[NameKey, tuple[x509.Certificate, ...]] = {}
        with quiet():
            for root in self.roots:
                try:
                    name = name_key(root.subject)
                except ValueError:  # a subject that cannot be read issues nothing
                    continue
                found[name] = (*found.get(name, ()), root)
        return found

    @lazy
    def _fingerprints(self) -> frozenset[str]:
        return frozenset(_sha256(root) for root in self.roots)


def load_trust(specs: Sequence[str]) -> TrustStore:
    """The store that ``specs`` add up to: "certifi", "system", or the path of a file or directory, each.

    Raises ``UsageError`` when a path cannot be read or holds no certificate. The system's store may be empty: that is
    a finding about the machine, not a mistake of the user.
    """
    if not specs:
        raise UsageError("no trust store given: certifi, system, a file or a directory")
    stores = [_load_one(spec) for spec in specs]
    if len(stores) == 1:
        return stores[0]
    return _store(
        tuple(name for store in stores for name in store.names),
        [Loaded(store.roots, store.skipped) for store in stores],
        vouched=all(store.vouched for store in stores),
    )


@functools.lru_cache(maxsize=1)
def public_roots() -> TrustStore:
    """The roots of the public WebPKI: Mozilla's list, as certifi carries it."""
    import certifi

    data = Path(certifi.where()).read_bytes()
    return _store((f"certifi {certifi.__version__}",), [load(data)])


def _load_one(spec: str) -> TrustStore:
    if spec == "certifi":
        return public_roots()
    if spec == "system":
        return _system_store(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))
    if not spec:
        raise UsageError("trust store '': it names no file (certifi, system, a file or a directory)")
    path = Path(spec).expanduser()
    try:
        modified = path.stat().st_mtime_ns
        return _path_store(path, modified)
    except OSError as error:
        raise UsageError(f"trust store {spec}: {error.strerror or error}") from None


@functools.lru_cache(maxsize=32)
def _path_store(path: Path, _modified: int) -> TrustStore:
    """The store in a file or directory; ``_modified`` is only there to read a changed one again."""
    if path.is_dir():
        found = [entry for entry in _directory(path) if entry.certificates]
        if not found:
            raise UsageError(f"trust store {path}: no file in this directory holds a certificate")
    else:
        found = [_file(path)]
        if not found[0].certificates:
            raise UsageError(f"trust store {path}: holds no certificate (PEM, DER or PKCS#7)")
    return _store((str(path),), found, vouched=True)


def _file(path: str | Path) -> Loaded:
    with open(path, "rb") as stream:  # noqa: PTH123 - a hundred of them, and pathlib takes as long as the reading
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"trust store {path}: larger than {MAX_FILE_BYTES // 2**20} MiB")
    return load(data)


def _directory(path: Path, only: re.Pattern[str] | None = None) -> list[Loaded]:
    """What the files of a directory hold; files that cannot be read count as skipped, as OpenSSL passes over them."""
    found: list[Loaded] = []
    with os.scandir(path) as listed:
        entries = sorted(itertools.islice(listed, MAX_DIRECTORY_FILES), key=lambda entry: entry.name)
    for entry in entries:
        if only is not None and not only.fullmatch(entry.name):
            continue
        try:
            # A FIFO or device would block for ever.
            if entry.is_file() and entry.stat().st_size <= MAX_FILE_BYTES:
                found.append(_file(entry.path))
        except OSError:
            found.append(Loaded((), 1))
    return found


@functools.lru_cache(maxsize=4)
def _system_store(cert_file: str, cert_dir: str) -> TrustStore:
    """The operating system's roots. The arguments are SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL obeys everywhere.

    Windows fetches roots on demand, so that its store can lack one that an application would get (learn.microsoft.com,
    "Configure trusted roots and disallowed certificates in Windows").
    """
    if not (cert_file or cert_dir):
        if sys.platform == "win32":
            return _store(("system (Windows ROOT store)",), [_windows_roots()])
        if sys.platform == "darwin":
            return _store(("system (macOS keychains)",), [_keychain_roots()])
    return _openssl_store(cert_file, cert_dir)


def _openssl_store(cert_file: str, cert_dir: str) -> TrustStore:
    """What OpenSSL would load: a file and a directory, each from its variable or its default (SSL_CTX_set_default...).

    Where this Python's OpenSSL was built for another system and finds nothing, the system's bundle.
    """
    import ssl

    defaults = ssl.get_default_verify_paths()
    sources = [Path(cert_file or defaults.openssl_cafile)]
    sources += [Path(part) for part in (cert_dir or defaults.openssl_capath).split(os.pathsep) if part]
    if not (cert_file or cert_dir):
        sources += [Path(bundle) for bundle in BUNDLES]
    names: list[str] = []
    found: list[Loaded] = []
    known: set[x509.Certificate] = set()
    for source in sources:
        if names and str(source) in BUNDLES:
            break  # the defaults had certificates
        try:
            loaded = _directory(source, _HASHED) if source.is_dir() else [_file(source)]
        except OSError:
            continue
        new = {certificate for entry in loaded for certificate in entry.certificates} - known
        if new:  # Debian's directory repeats its bundle
            names.append(f"system {source}")
            known |= new
            found += loaded
    return _store(tuple(names) or ("system (no certificates found)",), found)


def _windows_roots() -> Loaded:
    """The ROOT store of the user and the machine, without entries that Windows does not trust for servers."""
    found: list[x509.Certificate] = []
    skipped = 0
    if sys.platform == "win32":
        import ssl

        for data, encoding, purposes in ssl.enum_certificates("ROOT"):
            trusted = purposes if isinstance(purposes, bool) else _SERVER_AUTH in purposes
            if encoding != "x509_asn" or not trusted:
                continue
            loaded = load(data)
            found += loaded.certificates
            skipped += loaded.skipped
    return Loaded(tuple(found), skipped)


def _keychain_roots() -> Loaded:
    """The roots of Apple's and of the administrator's keychain (security(1))."""
    import subprocess

    command = ["/usr/bin/security", "find-certificate", "-a", "-p", *_KEYCHAINS]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.TimeoutExpired):
        return Loaded(())
    return load(done.stdout)


def _store(names: tuple[str, ...], found: Iterable[Loaded], *, vouched: bool = False) -> TrustStore:
    """One store of everything found, each certificate once."""
    parts = tuple(found)
    roots = dict.fromkeys(certificate for part in parts for certificate in part.certificates)
    return TrustStore(names=names, roots=tuple(roots), vouched=vouched, skipped=sum(part.skipped for part in parts))


def _sha256(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
