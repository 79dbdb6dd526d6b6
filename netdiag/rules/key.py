"""Rules about key: whether the private key in a file is there, is the right one, and can be used by the service.

What an integration runtime wants of the certificate between its nodes stands in learn.microsoft.com/azure/data-factory,
"Create a self-hosted integration runtime" (TLS/SSL certificate requirements) and "Troubleshoot self-hosted integration
runtime"; what WCF, which it is written on, checks is EnsureCertificateCanDoKeyExchange in its SecurityUtils.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from netdiag.model import ChainObservation, KeyObservation, Severity
from netdiag.rules.certificates import covers, short_name
from netdiag.rules.node_words import is_node
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted, few

#: Windows' own provider that takes RSA keys of any usual size, and SHA-2 (learn.microsoft.com, "Microsoft AES
#: Cryptographic Provider").
CSP = "Microsoft Enhanced RSA and AES Cryptographic Provider"
#: Any of these in a critical key usage, and WCF takes the key; without keyEncipherment, TLS can use an RSA key for
#: signatures only (RFC 5246 §7.4.2).
_USABLE = frozenset({"digitalSignature", "keyEncipherment", "dataEncipherment", "keyAgreement"})


@rule("key.missing", "PFX file without the private key", Severity.ERROR)
def missing(seen: Seen) -> Iterator[Hit]:
    """A PKCS#12 (.pfx, .p12) file holds a certificate, and no private key that belongs to it.

    A service cannot present a certificate whose key it does not have, so that Windows imports the
    file without complaint, and the certificate is then not offered, or refused, where one is to be
    chosen. The file was exported without "Yes, export the private key", or the key cannot be
    exported, or it never was on that machine: it stays where the signing request was made.

    On the machine where the request was made, import the certificate, join it with its key again
    (certutil -repairstore), export both, and import that file here. Where the key is lost, have the
    certificate issued again for a new key.
    """
    for observation in seen.of(KeyObservation):
        if observation.format != "pkcs12" or observation.present:
            continue
        serial = _serial(seen, observation)
        yield Hit(
            summary=f"{observation.path} holds the certificate of {_whose(observation)} without its private key",
            blame="this-machine",
            remedy=(
                f"On the machine where the request was made: certutil -repairstore my {serial}, then "
                f"certutil -exportpfx my {serial} {_file(observation)}. Or join the two from PEM files: "
                f"openssl pkcs12 -export -in cert.pem -inkey key.pem -out {_file(observation)}"
            ),
            evidence=(observation,),
        )


@rule("key.mismatch", "Private key belongs to another certificate", Severity.ERROR)
def mismatch(seen: Seen) -> Iterator[Hit]:
    """The file holds a private key, but its public half is not the one in the certificate.

    Servers refuse to start with such a pair (OpenSSL: "key values mismatch"), and Windows imports
    the certificate as one without a key. It happens when a certificate is renewed with a new key and
    put beside the old one, or the other way round.

    Find the key whose public half is the certificate's, and build the file from these two; the two
    commands of the remedy print the same for a pair. Where that key is lost, have the certificate
    issued again.
    """
    for observation in seen.of(KeyObservation):
        if not observation.present or observation.matches or not observation.key:
            continue
        file = _file(observation)
        if observation.format == "pkcs12":
            certificate, key = (
                f"openssl pkcs12 -in {file} -nokeys -clcerts | ",
                f"openssl pkcs12 -in {file} -nocerts -nodes | ",
            )
            certificate += "openssl x509 -noout -pubkey"
            key += "openssl pkey -pubout"
        else:
            certificate, key = f"openssl x509 -in {file} -noout -pubkey", f"openssl pkey -in {file} -pubout"
        yield Hit(
            summary=(
                f"The private key ({observation.key}) in {observation.path} is not the one of the certificate of "
                f"{_whose(observation)}"
            ),
            blame="this-machine",
            remedy=(
                f"Compare what these print: {certificate}; and for each key that may be meant: {key}. Then build the "
                "file from the pair: openssl pkcs12 -export -in cert.pem -inkey key.pem -out "
                f"{_beside(observation, '.pfx')}"
            ),
            evidence=(observation,),
        )


@rule("key.provider-ksp", "Private key is for a key storage provider (CNG)", Severity.ERROR)
def provider_ksp(seen: Seen) -> Iterator[Hit]:
    """The PFX file says that its key goes into a key storage provider (KSP), and not into a CSP.

    A self-hosted integration runtime takes keys of the older cryptographic service providers (CSP)
    only: with this one it fails with "Failed to grant Integration Runtime service account the access
    of to the certificate", error code 103. Other software may well use it. Windows writes the name
    of the provider into the file on export, and puts the key back into the same one on import.

    Import the file again and name a CSP, or write the file again with one. Remove the certificate
    that is in the store already first; what is there keeps its provider. OpenSSL 3 needs -legacy to
    read files of Windows before Server 2019, and to write files for it. A key of an elliptic curve
    fits no CSP: have the certificate issued for an RSA key.
    """
    for observation in _with_key(seen):
        if observation.provider_kind != "ksp":
            continue
        yield Hit(
            summary=(
                f"The private key in {observation.path} is for {observation.provider}, a key storage provider, "
                "which an integration runtime cannot use"
            ),
            blame="this-machine",
            remedy=_into_csp(observation),
            evidence=(observation,),
        )


@rule("key.not-for-exchange", "Private key is not for key exchange", Severity.ERROR)
def not_for_exchange(seen: Seen) -> Iterator[Hit]:
    """The private key is marked as one for signatures only, or its certificate does not let it be more.

    A key that a CSP holds is either for key exchange (AT_KEYEXCHANGE), which includes signing, or for
    signatures alone (AT_SIGNATURE), and a PFX file says which. For one of the latter an integration
    runtime reports that the certificate "may not have a private key that is capable of key exchange".
    The key usage of the certificate counts too: without keyEncipherment an RSA key serves only those
    cipher suites that exchange keys by (EC)DHE, which every current client offers, so that this is a
    warning; without any usage that TLS has, it is an error.

    Import the file again as AT_KEYEXCHANGE, or write it again with -keyex. The key usage is signed
    by the authority: have the certificate issued again with digitalSignature and keyEncipherment.
    """
    for observation in _with_key(seen):
        usages = observation.key_usage
        if observation.key_spec == "signature":
            yield Hit(
                summary=(f"The private key in {observation.path} is marked AT_SIGNATURE: it is not for key exchange"),
                blame="this-machine",
                remedy=_into_csp(observation),
                evidence=(observation,),
            )
        if usages and observation.key.startswith("RSA") and "keyEncipherment" not in usages:
            usable = not _USABLE.isdisjoint(usages)
            yield Hit(
                summary=(
                    f"The certificate of {_whose(observation)} lets its RSA key do {few(usages)}, not keyEncipherment"
                    + ("" if usable else ", so that TLS cannot use it at all")
                ),
                blame="certificate-authority",
                remedy=(
                    "Have the certificate issued again with the key usages digitalSignature and keyEncipherment: "
                    "in the request of certreq, KeyUsage = 0xa0; with openssl req, -addext "
                    '"keyUsage=critical,digitalSignature,keyEncipherment"'
                ),
                evidence=(observation,),
                severity=Severity.WARNING if usable else None,
            )


@rule("key.last-san-only", "Only the last alternative name counts for an integration runtime", Severity.WARNING)
def last_san_only(seen: Seen) -> Iterator[Hit]:
    """The certificate has several alternative names, of which an integration runtime uses the last one.

    For the traffic between its nodes, a self-hosted integration runtime takes only the last item of
    the subject alternative names, which is why Microsoft does not recommend such certificates there.
    Another node that connects by one of the other names does not find it in the certificate. Web
    servers and browsers take any of the names, and to them nothing is wrong.

    Compare the last name with the name by which the nodes reach each other, and have the certificate
    issued again, with that name last or alone, if it is another one. netdiag node compares them by
    itself: a node that was asked for by the last name is fine by it.
    """
    for observation in seen.of(KeyObservation):
        names = observation.names
        if len(names) < 2 or observation.format != "pkcs12":  # which a node is given; others are most likely a server's
            continue
        yield Hit(
            summary=(
                f"The certificate of {_whose(observation)} has {counted(len(names), 'alternative name')}, and between "
                f"nodes an integration runtime uses only the last one, {names[-1]}"
            ),
            blame="this-machine",
            remedy=(
                f"If the nodes do not reach this one as {names[-1]}, have the certificate issued again with that name "
                "last, or as its only one. openssl x509 -noout -ext subjectAltName -in cert.pem shows their order"
            ),
            evidence=(observation,),
        )
    if is_node(seen):
        yield from _last_san_of_node(seen)


def _last_san_of_node(seen: Seen) -> Iterator[Hit]:
    """Of the certificate that a node presents: whether the name that it was asked for by is the one that counts."""
    for chain in seen.effective(ChainObservation):
        names = chain.elements[0].names if chain.elements else ()
        if len(names) < 2:
            continue
        fits = covers(names[-1], chain.host)
        yield Hit(
            summary=(
                f"The certificate of {chain.host} has {counted(len(names), 'alternative name')}, and between nodes an "
                f"integration runtime uses only the last one, {names[-1]}: "
                + (
                    "nodes that call this one by another name do not find it"
                    if fits
                    else f"nodes that call this one {chain.host} do not find that"
                )
            ),
            blame="server",
            remedy=(
                f"None, as long as all nodes call this one {chain.host}."
                if fits
                else f"Have the certificate of {chain.host} issued again with that name last, or as its only one"
            ),
            evidence=(chain,),
            severity=Severity.INFO if fits else None,
        )


def _with_key(seen: Seen) -> Iterator[KeyObservation]:
    """The observations whose key is the certificate's, so that what the file says of it matters."""
    return (observation for observation in seen.of(KeyObservation) if observation.present and observation.matches)


def _into_csp(observation: KeyObservation) -> str:
    """The commands that put the key of a PFX file into a CSP, for key exchange."""
    if observation.key and not observation.key.startswith("RSA"):
        return (
            f"A CSP takes RSA keys only, and this one is {observation.key}: have the certificate issued again for an "
            f'RSA key, made with certreq and ProviderName = "{CSP}", KeySpec = AT_KEYEXCHANGE'
        )
    file, pem = _file(observation), _beside(observation, ".pem")
    return (
        f'Import it again, on the node, as administrator: certutil -importpfx -csp "{CSP}" {file} AT_KEYEXCHANGE. Or '
        f"write the file again: openssl pkcs12 -in {file} -out {pem}, then openssl pkcs12 -export -in {pem} -CSP "
        f'"{CSP}" -keyex -out {_beside(observation, ".pfx")}, and delete {pem}'
    )


def _whose(observation: KeyObservation) -> str:
    return short_name(observation.subject)


def _serial(seen: Seen, observation: KeyObservation) -> str:
    """The serial number of the certificate, by which certutil finds it in a store."""
    elements = (element for chain in seen.of(ChainObservation) for element in chain.elements)
    return next((element.serial for element in elements if element.sha256 == observation.certificate), "SERIAL")


def _file(observation: KeyObservation) -> str:
    return _quoted("FILE.pfx" if observation.path == "-" else observation.path)


def _beside(observation: KeyObservation, suffix: str) -> str:
    """The name of a new file beside this one."""
    path = "FILE.pfx" if observation.path == "-" else observation.path
    return _quoted(re.sub(r"(\.\w{1,8})?$", f"-new{suffix}", path, count=1))


def _quoted(path: str) -> str:
    """A file's name for a command line: as cmd, PowerShell and Unix shells all take it, where there is such a way."""
    path = f"./{path}" if path.startswith("-") else path
    if re.fullmatch(r"[\w./:+@=,-]+", path):
        return path
    return f'"{path}"' if re.fullmatch(r"[\w./:+@=,\\ ()#~&'\[\]{};^-]+", path) else shlex.quote(path)
