"""Does this key's signature fit those bytes? One function for certificates, CRLs and OCSP responses.

Contract: pure; never raises. An algorithm that cannot be checked counts as a signature that does not hold.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

#: How the signature was made, as cryptography gives it for certificates and CRLs; None where the key alone tells.
Parameters = padding.PSS | padding.PKCS1v15 | ec.ECDSA | None


def signature_holds(
    key: CertificatePublicKeyTypes,
    signature: bytes,
    signed: bytes,
    algorithm: hashes.HashAlgorithm | None,
    parameters: Parameters = None,
) -> bool:
    """Whether ``signature`` over ``signed`` was made with ``key``'s private half.

    Weak hashes are computed like any other: weakness is a fault of its own, and not wrong.
    """
    try:
        match key:
            case rsa.RSAPublicKey():
                if algorithm is None or isinstance(parameters, ec.ECDSA):
                    return False
                key.verify(signature, signed, parameters or padding.PKCS1v15(), algorithm)
            case ec.EllipticCurvePublicKey():
                if algorithm is None or isinstance(parameters, (padding.PSS, padding.PKCS1v15)):
                    return False
                key.verify(signature, signed, ec.ECDSA(algorithm))
            case dsa.DSAPublicKey():
                if algorithm is None:
                    return False
                key.verify(signature, signed, algorithm)
            case _:  # Ed25519, Ed448 and ML-DSA hash by themselves; an X25519 key signs nothing
                if algorithm is not None:
                    return False
                key.verify(signature, signed)  # type: ignore[union-attr] # AttributeError is caught
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, AttributeError):
        return False
    return True
