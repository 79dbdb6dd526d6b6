"""Names and numbers by which Windows and .NET call what is wrong with a chain.

``X509ChainStatusFlags`` of .NET has the values of the CERT_TRUST_* bits of wincrypt.h; the results are those of
winerror.h. Sources: learn.microsoft.com/dotnet/api/system.security.cryptography.x509certificates.x509chainstatusflags,
learn.microsoft.com/windows/win32/api/wincrypt/ns-wincrypt-cert_trust_status, winerror.h.
"""

from __future__ import annotations

#: Flag name: its value, and what CertVerifyCertificateChainPolicy returns for it.
FLAGS: dict[str, tuple[int, int]] = {
    "": (0, 0x800B010F),  # CERT_E_CN_NO_MATCH: a policy's fault, which no bit of the chain stands for
    "NotTimeValid": (0x1, 0x800B0101),  # CERT_E_EXPIRED
    "Revoked": (0x4, 0x80092010),  # CRYPT_E_REVOKED
    "NotSignatureValid": (0x8, 0x80096004),  # TRUST_E_CERT_SIGNATURE
    "NotValidForUsage": (0x10, 0x800B0110),  # CERT_E_WRONG_USAGE
    "UntrustedRoot": (0x20, 0x800B0109),  # CERT_E_UNTRUSTEDROOT
    "RevocationStatusUnknown": (0x40, 0x80092012),  # CRYPT_E_NO_REVOCATION_CHECK
    "InvalidExtension": (0x100, 0x800B0108),  # CERT_E_MALFORMED
    "InvalidPolicyConstraints": (0x200, 0x800B0113),  # CERT_E_INVALID_POLICY
    "InvalidBasicConstraints": (0x400, 0x80096019),  # TRUST_E_BASIC_CONSTRAINTS
    "InvalidNameConstraints": (0x800, 0x800B0114),  # CERT_E_INVALID_NAME
    "HasNotSupportedNameConstraint": (0x1000, 0x800B0114),
    "HasNotPermittedNameConstraint": (0x4000, 0x800B0114),
    "HasExcludedNameConstraint": (0x8000, 0x800B0114),
    "PartialChain": (0x10000, 0x800B010A),  # CERT_E_CHAINING
    "HasWeakSignature": (0x100000, 0x80096004),
    "OfflineRevocation": (0x1000000, 0x80092013),  # CRYPT_E_REVOCATION_OFFLINE
    "HasNotSupportedCriticalExtension": (0x8000000, 0x800B0105),  # CERT_E_CRITICAL
}


def hresult(number: int) -> str:
    """A result as Windows writes it: "0x800B0101"."""
    return f"0x{number:08X}"
