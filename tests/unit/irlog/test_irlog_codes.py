"""Numbers of errors in texts -> what they mean; other numbers are no errors."""

from __future__ import annotations

import re

import pytest

from netdiag.irlog import code_table
from netdiag.irlog.codes import codes_in, decode

BLOCKS = [getattr(code_table, name) for name in dir(code_table) if name.endswith("_CODES")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TCP error code 10061: No connection", [(10061, "0x274D", "WSAECONNREFUSED")]),
        ("TCP-Fehlercode 10061: Es konnte", [(10061, "0x274D", "WSAECONNREFUSED")]),
        ("Code d'erreur TCP 10060 : Une tentative", [(10060, "0x274C", "WSAETIMEDOUT")]),
        ("TCP エラー コード 10061: 対象の", [(10061, "0x274D", "WSAECONNREFUSED")]),
        ("SocketException (10013): An attempt", [(10013, "0x271D", "WSAEACCES")]),
        ("SocketErrorCode: ConnectionReset", [(10054, "0x2746", "WSAECONNRESET")]),
        ("cryptographic module is 0x8009030D. The", [(0x8009030D, "0x8009030D", "SEC_E_UNKNOWN_CREDENTIALS")]),
        ("HResult=-2146893043", [(0x8009030D, "0x8009030D", "SEC_E_UNKNOWN_CREDENTIALS")]),
        ("(Exception from HRESULT: 0x8007007E)", [(0x8007007E, "0x8007007E", "ERROR_MOD_NOT_FOUND")]),
        ("0x8007274d", [(0x8007274D, "0x8007274D", "WSAECONNREFUSED")]),
        ("Error 1069: The service did not start", [(1069, "0x42D", "ERROR_SERVICE_LOGON_FAILED")]),
        ("installation failed with error code 1603.", [(1603, "0x643", "ERROR_INSTALL_FAILURE")]),
        ("WinHttp: 12175 ERROR_WINHTTP_SECURE_FAILURE", [(12175, "0x2F8F", "ERROR_WINHTTP_SECURE_FAILURE")]),
        ("CERT_E_CHAINING", [(0x800B010A, "0x800B010A", "CERT_E_CHAINING")]),
        ("0x80131509", [(0x80131509, "0x80131509", "COR_E_INVALIDOPERATION")]),
        ("Integration Runtime Service %%1069", [(1069, "0x42D", "ERROR_SERVICE_LOGON_FAILED")]),
        ("error code 0x5", [(5, "0x5", "ERROR_ACCESS_DENIED")]),
        ("Error code 103", [(103, "0x67", "")]),
        ("0x8009030D and again 0x8009030D", [(0x8009030D, "0x8009030D", "SEC_E_UNKNOWN_CREDENTIALS")]),
    ],
)
def test_numbers_that_are_errors(text, found):
    assert [(code.value, code.hexadecimal, code.name) for code in codes_in(text)] == found


@pytest.mark.parametrize(
    "text",
    [
        "listening on port 10061",
        "10.2.4.10:10061",
        "10061 rows",
        "line 10054: unexpected token",
        "process ID 10054) was chosen",
        "version 5.0.10061.2",
        "took 10060 ms",
        "0x80090",
        "address 0x00007FFA8009030D",
        "id 80090310",
        "2024-05-21 10:00:00",
    ],
)
def test_numbers_that_are_none(text):
    assert codes_in(text) == ()


def test_an_unknown_hresult_is_placed():
    assert decode(0x80099999).meaning == "not in the table; an HRESULT of Windows security: TLS, Kerberos, keys"
    assert decode(0x80070FFF).meaning == "not in the table; an HRESULT of Windows (Win32), number 4095"
    assert decode(0x8ABC0001).meaning == "not in the table; an HRESULT of facility 700"


def test_the_table_is_well_formed_and_unambiguous():
    lines = [line for block in BLOCKS for line in block.strip().splitlines()]
    assert len(lines) > 180
    assert [
        line
        for line in lines
        if not re.fullmatch(r"(?:\d+|0x[0-9A-F]{8}) [A-Z][A-Z0-9_]+ [^A-Z\s].*[^.\s]|.* [A-Z].*", line)
    ] == []
    numbers = [int(line.split()[0], 0) for line in lines]
    assert len(numbers) == len(set(numbers))
    assert all(decode(number).source for number in numbers)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (10048, "WSAEADDRINUSE"),
        (10049, "WSAEADDRNOTAVAIL"),
        (10051, "WSAENETUNREACH"),
        (10053, "WSAECONNABORTED"),
        (10065, "WSAEHOSTUNREACH"),
        (11001, "WSAHOST_NOT_FOUND"),
        (11002, "WSATRY_AGAIN"),
        (11004, "WSANO_DATA"),
        (0x80090325, "SEC_E_UNTRUSTED_ROOT"),
        (0x80090326, "SEC_E_ILLEGAL_MESSAGE"),
        (0x80090331, "SEC_E_ALGORITHM_MISMATCH"),
        (0x80092013, "CRYPT_E_REVOCATION_OFFLINE"),
        (0x800B0109, "CERT_E_UNTRUSTEDROOT"),
        (0x80096004, "TRUST_E_CERT_SIGNATURE"),
        (0x80090016, "NTE_BAD_KEYSET"),
        (12002, "ERROR_WINHTTP_TIMEOUT"),
        (1053, "ERROR_SERVICE_REQUEST_TIMEOUT"),
        (2, "ERROR_FILE_NOT_FOUND"),
        (126, "ERROR_MOD_NOT_FOUND"),
    ],
)
def test_numbers_that_must_be_known(number, name):
    assert decode(number).name == name
