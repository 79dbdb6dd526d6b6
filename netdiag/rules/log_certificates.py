"""Known issues of TLS, certificates and private keys in logs."""

from __future__ import annotations

from netdiag.rules.log_issue import Advice, LogText, endpoint, known_issue, node

_REGISTRATION = "log.cloud-service-unreachable"
_TRUST = "log.trust-relationship-failed"
_CHAIN = "log.certificate-chain-failed"
_FAILED = "log.tls-failed"


def _whose(text: LogText) -> str:
    """The certificate in question, in words."""
    if text.seen.certificate:
        return f"The certificate {text.seen.certificate}"
    return f"The certificate of {text.where}" if text.place else "The certificate"


def _probe(text: LogText) -> tuple[tuple[str, ...], ...]:
    return node(text) if text.is_node else endpoint(text)


@known_issue(
    "log.private-key-access-denied",
    "Log: the account may not use the certificate's private key",
    folds=("log.credential-sync-pending", _FAILED),
    explains=("log.credential-sync-pending",),
)
def key_access(text: LogText) -> Advice | None:
    r"""Windows could not use the private key with which this node serves TLS (0x8009030D).

    The service runs as NT SERVICE\DIAHostService, which has no right to a key that an administrator
    imported. So no other node can connect, and credentials are not copied: nodes stay at "trying to
    sync the credentials across nodes". It shows only when something is to be copied, such as
    account keys; service principals do not need it.

    In certlm.msc, Personal, Certificates: All Tasks, Manage Private Keys of that certificate, add
    NT SERVICE\DIAHostService with full control, and restart the service on each node. netdiag cert
    FILE.pfx says whether the file's key is there and of the right kind.
    """
    if not text.code(0x8009030D):
        return None
    return Advice(
        summary="The service may not use the private key of its certificate (0x8009030D), so nodes cannot talk",
        blame="this-machine",
        remedy=(
            r"Give NT SERVICE\DIAHostService full control of the key: certlm.msc, Personal, the "
            r"certificate, All Tasks, "
            "Manage Private Keys; then restart the service"
        ),
    )


@known_issue(
    "log.key-in-ksp", "Log: the certificate's key is in a key storage provider", folds=("log.key-not-for-exchange",)
)
def ksp(text: LogText) -> Advice | None:
    """The service could not be given access to a certificate: its key is a CNG key (error code 103).

    The integration runtime uses keys in a cryptographic service provider (CSP) only. A certificate
    that was enrolled or imported into a key storage provider (KSP) has a key that it cannot handle.

    Import the PFX file again into a CSP: certutil -csp "Microsoft RSA SChannel Cryptographic
    Provider" -importpfx FILE.pfx AT_KEYEXCHANGE, after removing the certificate that is there.
    netdiag cert FILE.pfx (key.provider-ksp) shows which provider a file is for.
    """
    said = text.says("Failed to grant Integration Runtime service account", "Invalid provider type specified")
    if not said and not (text.is_of_runtime and text.code(0x80090014)):
        return None
    name = f" {text.seen.certificate}" if text.seen.certificate else ""
    return Advice(
        summary=f"The integration runtime cannot use the certificate{name}: its key is in a key storage provider (CNG)",
        blame="this-machine",
        remedy=(
            'Remove the certificate and import it again into a CSP: certutil -csp "Microsoft RSA '
            "SChannel Cryptographic "
            'Provider" -importpfx FILE.pfx AT_KEYEXCHANGE; netdiag cert FILE.pfx checks the file'
        ),
    )


@known_issue(
    "log.key-not-for-exchange",
    "Log: the certificate's key cannot be used between nodes",
    folds=("log.private-key-missing",),
)
def key_exchange(text: LogText) -> Advice | None:
    """The certificate chosen for the traffic between nodes has no private key that can be used for it.

    Either the file was imported as one for signatures only, or without its key; or whoever runs
    Configuration Manager may not read the key. Windows distinguishes keys for key exchange and for
    signatures.

    Run Configuration Manager as administrator. Import the file with its key for exchange: certutil
    -importpfx FILE.pfx AT_KEYEXCHANGE. netdiag cert FILE.pfx (key.missing, key.not-for-exchange)
    shows what the file holds.
    """
    capable = text.says("private key that is capable of key exchange")
    mode = text.says("Failed to change intranet communication encryption mode")
    if not (capable or mode) or text.says("Failed to grant Integration Runtime service account"):
        return None
    name = f" {text.seen.certificate}" if text.seen.certificate else ""
    return Advice(
        summary=f"The private key of the certificate{name} is missing, not for key exchange, or may not be read",
        blame="this-machine",
        remedy=(
            "Run Configuration Manager as administrator, and import the file again: certutil -importpfx FILE.pfx "
            "AT_KEYEXCHANGE; netdiag cert FILE.pfx shows whether it holds such a key"
        ),
    )


@known_issue("log.private-key-missing", "Log: a private key is not there")
def key_missing(text: LogText) -> Advice | None:
    """A private key that was to be used does not exist, or may not be opened by the account.

    Windows says "Keyset does not exist" (0x80090016) or that a certificate has no key (0x8009200B).
    The certificate was imported without its key, the key's file was deleted, or belongs to another
    user's store.

    Import the PFX file again into the store of the computer. netdiag cert FILE.pfx shows whether it
    holds the key.
    """
    if not text.code(0x80090016, 0x8009200B, 0x8009000D) and not text.says("Keyset does not exist"):
        return None
    return Advice(
        summary="The private key of a certificate is not there, or may not be opened by this account",
        blame="this-machine",
        remedy=(
            "Import the PFX file, with its key, into the computer's store again; netdiag cert FILE.pfx checks the file"
        ),
    )


@known_issue(
    "log.revocation-offline",
    "Log: whether a certificate was revoked could not be found out",
    folds=(_CHAIN, _TRUST, _FAILED, _REGISTRATION, "log.node-service-unavailable"),
)
def revocation(text: LogText) -> Advice | None:
    """A certificate was refused because the service that knows about revocation is not reached.

    Each certificate names where its revocation list (CRL) or responder (OCSP) is. The machine that
    checks must reach one of these, HTTP or LDAP; the account of a service may have no proxy set for
    it. The chain itself may be perfect.

    netdiag cert FILE retrieves every address that the certificate names and says which one fails,
    like certutil -verify -urlfetch; netdiag node HOST:8060 does so with the certificate that a node
    presents. Have the network team open the way to one of the addresses.
    """
    said = text.says(
        "revocation server was offline", "unable to check revocation", "OfflineRevocation", "RevocationStatusUnknown"
    )
    if not said and not text.code(0x80092013, 0x80092012, 0x800B010E, 12057):
        return None
    return Advice(
        summary=f"{_whose(text)} was refused, because this machine could not find out whether it was revoked",
        blame="local-network",
        remedy=(
            "Have this machine reach the certificate's revocation addresses (port 80, or LDAP); one of them is enough. "
            "Export the certificate and let netdiag cert FILE name them"
        ),
        commands=_probe(text),
    )


@known_issue(
    "log.certificate-revoked", "Log: a certificate was revoked", folds=(_CHAIN, _TRUST, _FAILED, _REGISTRATION)
)
def revoked(text: LogText) -> Advice | None:
    """A certificate was refused because its authority has revoked it.

    It must not be used any more, and no setting of the client changes that. Where it is the
    certificate of a public service, look who really presents it.

    Have the certificate replaced. netdiag endpoint HOST shows which one is presented now.
    """
    if not text.code(0x80092010, 0x800B010C, 12170) and not text.matches(r"x509chainstatusflags\W{0,3}revoked"):
        return None
    return Advice(
        summary=f"{_whose(text)} was revoked",
        blame="server",
        remedy="Have the certificate replaced by its owner",
        commands=_probe(text),
    )


@known_issue(
    "log.certificate-expired", "Log: a certificate has expired", folds=(_CHAIN, _TRUST, _FAILED, _REGISTRATION)
)
def expired(text: LogText) -> Advice | None:
    """A certificate was refused because it has expired or is not valid yet, by this machine's clock.

    Look at the clock first: when it is wrong, every certificate seems to be. An issuer's
    certificate can be the one that has expired, too.

    Have the certificate renewed. netdiag endpoint HOST shows the dates of the whole chain, and
    checks the clock.
    """
    said = text.says("NotTimeValid", "certificate has expired", "certificate is expired")
    if not said and not text.code(0x80090328, 0x800B0101, 12037):
        return None
    return Advice(
        summary=f"{_whose(text)} has expired, or is not valid yet",
        blame="server",
        remedy="Check this machine's clock; if it is right, have the certificate renewed",
        commands=_probe(text),
    )


@known_issue(
    "log.certificate-name-mismatch",
    "Log: a certificate is for another name",
    folds=(_CHAIN, _TRUST, _FAILED, _REGISTRATION, "log.node-identity-mismatch"),
)
def name_mismatch(text: LogText) -> Advice | None:
    """A certificate was refused because it is for another name than the one that was asked for.

    The address leads to another server than meant (hosts file, DNS, a captive portal), something in
    between answers in its place, or the certificate lacks a name.

    netdiag endpoint HOST shows the names in the certificate and who presents it.
    """
    tls = text.matches("tls|ssl|certificate|schannel|https")
    said = text.says("RemoteCertificateNameMismatch") or text.code(0x800B010F, 12038)
    if not said and not (text.code(0x80090322) and tls):  # of Kerberos otherwise
        return None
    return Advice(
        summary=f"{_whose(text)} is for another name than the one that was asked for",
        blame="unknown",
        remedy="Check where the name leads (hosts file, DNS), and whether a device in between answers in its place",
        commands=_probe(text),
    )


@known_issue(_CHAIN, "Log: no chain to a trusted root could be built", folds=(_FAILED, _REGISTRATION))
def chain(text: LogText) -> Advice | None:
    """A certificate was refused because no chain from it to a root that is trusted here could be built.

    An intermediate certificate is missing and cannot be retrieved, or the root is not among the
    trusted ones of this machine. Between nodes, each must trust the certificate that the others
    present.

    netdiag cert FILE builds every path and says what is missing; netdiag node HOST:8060 does so
    with the certificate that a node presents. Install the root (and what is missing in between) in
    the computer's store.
    """
    said = text.matches(r"chainbuildingfailed|trustchainthatcannotbeverified|partialchain(?!=)")
    if not said and not text.code(0x800B010A, 0x800B0112):
        return None
    return Advice(
        summary=f"{_whose(text)} was refused: no chain to a trusted root could be built",
        blame="this-machine",
        remedy=(
            "Install the certificate's root, and the intermediates that are missing, in the computer's stores on every "
            "node; export the certificate and let netdiag cert FILE name them"
        ),
        commands=_probe(text),
    )


@known_issue(
    "log.tls-no-common-algorithm", "Log: no TLS version or cipher suite in common", folds=(_FAILED, _REGISTRATION)
)
def algorithms(text: LogText) -> Advice | None:
    """The two sides of a connection have no version of TLS, or no cipher suite, in common (0x80090331).

    The service takes TLS 1.2 and later. Older .NET programs use TLS 1.0 unless
    SystemDefaultTlsVersions and SchUseStrongCrypto are set in the registry; a policy may have
    switched versions or suites off on this machine.

    Enable TLS 1.2 for SChannel and for .NET Framework, and the suites of the service, and restart.
    netdiag tls HOST shows which versions the other side takes.
    """
    if not text.code(0x80090331) and not text.says("do not possess a common algorithm"):
        return None
    return Advice(
        summary=f"This machine and {text.where} have no TLS version or cipher suite in common",
        blame="this-machine",
        remedy=(
            "Enable TLS 1.2 and its cipher suites for SChannel, and SchUseStrongCrypto and "
            "SystemDefaultTlsVersions for "
            ".NET Framework; then restart"
        ),
        commands=_probe(text),
    )


@known_issue("log.not-tls", "Log: what answered did not speak TLS", folds=(_FAILED, _REGISTRATION))
def not_tls(text: LogText) -> Advice | None:
    """A TLS handshake was answered by something that is not TLS ("unexpected packet format").

    The port is one for unencrypted traffic, or a proxy, firewall or portal answered with a page of
    its own.

    netdiag endpoint HOST:PORT shows the first bytes that come.
    """
    if not text.says("handshake failed due to an unexpected packet format", "Cannot determine the frame size"):
        return None
    return Advice(
        summary=f"What answers at {text.where} does not speak TLS",
        blame="unknown",
        remedy="Check port and address, and whether a proxy or a firewall answers with a page of its own",
        commands=_probe(text),
    )


@known_issue(_TRUST, "Log: a server's certificate is not trusted", folds=(_FAILED, _REGISTRATION))
def trust(text: LogText) -> Advice | None:
    """The certificate of the service was refused: "Could not establish trust relationship".

    There are two reasons. The root of the service's chain is missing among the trusted ones of this
    machine: for Azure Data Factory that is DigiCert Global Root G2. Or a proxy or firewall opens
    TLS and presents a certificate of its own, whose root is not trusted here, or only in a user's
    store and not in the computer's, which the service uses.

    netdiag endpoint HOST tells the two apart (chain.root-missing-locally, tls.intercepted). Install
    the missing root in the computer's store, or have the device except the service's names.
    """
    said = text.says(
        "Could not establish trust relationship",
        "remote certificate is invalid according to the validation procedure",
        "UntrustedRoot",
        "SSL/TLS cert is not trusted",
        "certificate chain was issued by an authority that is not trusted",
    )
    certificates = text.matches("zertifikat|certificat|certificado|сертификат|証明書|证书")
    localised = (
        text.type("AuthenticationException") and text.type("WebException", "HttpRequestException") and certificates
    )
    if not (said or localised or text.code(0x80090325, 0x800B0109, 0x800B010D, 12045)):
        return None
    return Advice(
        summary=f"{_whose(text)} is not trusted by this machine",
        blame="unknown",
        remedy=(
            "Find out whether the root is missing here (for the service: DigiCert Global Root G2) or "
            "a proxy presents a "
            "certificate of its own; then install that root in the computer's store, or have the proxy except the name"
        ),
        commands=_probe(text) or (("netdiag", "endpoint", "eu.frontend.clouddatahub.net"),),
    )


@known_issue(_FAILED, "Log: TLS failed", folds=(_REGISTRATION, "log.node-service-unavailable"))
def tls_failed(text: LogText) -> Advice | None:
    """A TLS connection could not be made ("Could not create SSL/TLS secure channel"), and no more is said.

    Often the other side sent an alert: no version or cipher suite in common, a client certificate
    is wanted, or a device on the way did not like the name.

    netdiag endpoint HOST makes the handshake in several ways and compares them.
    """
    said = text.says("Could not create SSL/TLS secure channel", "message received was unexpected or badly formatted")
    if not said and not text.code(0x80090326, 12157, 12175):
        return None
    return Advice(
        summary=f"TLS with {text.where} failed",
        blame="unknown",
        remedy="Let netdiag endpoint compare handshakes; Windows' System log (SChannel) names the alert",
        commands=_probe(text),
    )
