"""TLS alerts: number -> name -> what it says, and the exceptions that carry one up through a ``Stream``.

Contract: pure. Names are those of RFC 8446 §6, and of RFC 5246 §7.2 for the few that TLS 1.3 dropped.
"""

from __future__ import annotations

#: Description byte -> (name, what the sender says with it).
ALERTS: dict[int, tuple[str, str]] = {
    0: ("close_notify", "the sender has nothing more to send"),
    10: ("unexpected_message", "a message came that does not belong there"),
    20: ("bad_record_mac", "a record did not decrypt, so something altered it or the keys differ"),
    21: ("decryption_failed", "a record did not decrypt"),
    22: ("record_overflow", "a record was longer than TLS allows"),
    30: ("decompression_failure", "a record did not decompress"),
    40: ("handshake_failure", "no acceptable set of cipher, key exchange and certificate in common"),
    41: ("no_certificate", "no certificate to present (SSL 3.0)"),
    42: ("bad_certificate", "the certificate is missing, corrupt or wrongly signed"),
    43: ("unsupported_certificate", "the certificate is of a type that is not supported"),
    44: ("certificate_revoked", "the certificate was revoked"),
    45: ("certificate_expired", "the certificate has expired or is not yet valid"),
    46: ("certificate_unknown", "the certificate is not acceptable for a reason that is not told"),
    47: ("illegal_parameter", "a field of the handshake is out of range or contradicts another"),
    48: ("unknown_ca", "the certificate's issuer is not trusted"),
    49: ("access_denied", "the certificate is valid, but access is not granted"),
    50: ("decode_error", "a message could not be decoded"),
    51: ("decrypt_error", "a signature or a Finished message did not verify"),
    60: ("export_restriction", "the negotiation broke export rules (TLS 1.0)"),
    70: ("protocol_version", "the offered TLS versions are not supported"),
    71: ("insufficient_security", "stronger ciphers than those offered are required"),
    80: ("internal_error", "an error of its own, unrelated to the peer"),
    86: ("inappropriate_fallback", "a retry with a lower version was not called for"),
    90: ("user_canceled", "the handshake was cancelled"),
    100: ("no_renegotiation", "renegotiation is refused"),
    109: ("missing_extension", "a mandatory extension is missing"),
    110: ("unsupported_extension", "an extension came that was not offered"),
    111: ("certificate_unobtainable", "the certificate could not be fetched from its URL"),
    112: ("unrecognized_name", "no server here has the name that was asked for"),
    113: ("bad_certificate_status_response", "the stapled OCSP response is not acceptable"),
    114: ("bad_certificate_hash_value", "the certificate does not match its hash"),
    115: ("unknown_psk_identity", "the pre-shared key is unknown"),
    116: ("certificate_required", "a client certificate is required and none was presented"),
    120: ("no_application_protocol", "none of the offered application protocols (ALPN) is supported"),
    121: ("ech_required", "encrypted ClientHello is required"),
}

_MEANINGS = dict(ALERTS.values())


def alert_name(description: int) -> str:
    """The RFC's name, "alert_N" for a number that it does not assign."""
    return ALERTS[description][0] if description in ALERTS else f"alert_{description}"


def alert_meaning(name: str) -> str:
    """What a sender says with the alert of this name, empty when nothing is known."""
    return _MEANINGS.get(name, "")


class TlsAlertError(ConnectionError):
    """The peer ended a TLS connection with an alert after the handshake. ``alert`` is the RFC's name."""

    def __init__(self, alert: str) -> None:
        self.alert = alert
        meaning = alert_meaning(alert)
        super().__init__(f"{alert}: {meaning}" if meaning else alert)


class TlsMalformedError(ConnectionError):
    """The bytes of an established TLS connection stopped making sense. The text is the TLS library's."""
