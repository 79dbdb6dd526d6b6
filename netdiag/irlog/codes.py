"""Text -> the numbers of errors in it, decoded by the table of code_table.py.

Contract: pure. A number in hexadecimal with eight digits and the high bit set is an HRESULT wherever it stands. A small
decimal number is an error's only where the text says so ("error code 10061", "Win32Exception (1069)", "WSA"): ports,
sizes and line numbers look alike. Numbers that are not in the table are listed too, with what their parts tell.
"""

from __future__ import annotations

import functools
import re

from netdiag.irlog import code_table as table
from netdiag.model import LogCode

#: Of one entry. A text with more is a dump of memory.
MAX_CODES = 12

_BLOCKS = (
    (table.WINSOCK_CODES, table.WINSOCK),
    (table.WIN32_CODES, table.WIN32),
    (table.INSTALLER_CODES, table.INSTALLER),
    (table.WINHTTP_CODES, table.WINHTTP),
    (table.SSPI_CODES, table.SSPI),
    (table.CRYPTO_CODES, table.CRYPTO),
    (table.COM_CODES, table.COM),
    (table.DOTNET_CODES, table.DOTNET),
)

#: FACILITY_WIN32, and the facilities by which an unknown HRESULT can at least be placed [MS-ERREF §2.1].
_WIN32_FACILITY = 7
_FACILITIES = {
    1: "remote procedure calls",
    4: "a component's own number (COM interface)",
    7: "Windows (Win32)",
    8: "COM",
    9: "Windows security: TLS, Kerberos, keys",
    11: "certificates",
    13: "the installer",
    19: ".NET",
    21: "the .NET runtime",
    25: "HTTP",
}

#: An HRESULT. No digit may follow: the text may be one without blanks, where a letter may.
_HRESULT = re.compile(r"0x([89a-f][0-9a-f]{7})(?!\d)", re.IGNORECASE)
#: The same in decimal, as .NET writes HResult.
_NEGATIVE = re.compile(r"(?<![\d.:-])-(2\d{9})(?!\d)")
#: Short hexadecimal numbers, where the text calls them an error.
_SHORT = re.compile(r"(?:error|code|status|result)\W{0,4}0x([0-9a-f]{1,7})(?![0-9a-f])", re.IGNORECASE)
#: Words that announce an error's number, in the languages of Windows' larger editions, and the number behind them.
_ANNOUNCED = re.compile(
    r"(?<![^\W_])(?:err(?:or|eur|ore|orcode|no)?|fehler(?:code|nummer)?|fel|virhe|chyba|błąd|ошибк\w*|код|code|c[oó]digo|codice|kod|status|"
    r"exception|ausnahme|winsock|wsa\w*|win32|return(?:ed)?(?: value)?|コード|代码|代碼|错误|錯誤|오류|코드)"
    r"[^\w\n.,;]{1,4}(?:(?:tcp|code|number|value|is|was|of|von|de|d'erreur|d’erreur)?[\s:=(#\"']{0,4}){0,2}(\d{1,5})(?![\d.]*\d)",
    re.IGNORECASE,
)
#: A socket error's number that nothing announces: "TCP error code 10061:" in any language, "SocketException (10013)".
_BARE = re.compile(r"(?<![\d.:,-])(1[01]0\d\d)(?=\s?[:：])|[(\[](1[01]0\d\d)[)\]]")
#: What is counted or numbered, and no error, by the word before.
_COUNTED = re.compile(r"(?:line|port|row|record|id|pid|no\.?|zeile|item|#)[\s.]{0,3}$", re.IGNORECASE)
#: A number of the product's own, which only its documentation knows.
_OWN = re.compile(
    r"(?:error|fehler|d'erreur|d’erreur|de error)[\s-]?code\s?[:=]?\s?'?\"?(\d{3,6})(?![\d.]*\d)", re.IGNORECASE
)
#: How Windows' event logs refer to the text of a Win32 number: "%%1069".
_REFERRED = re.compile(r"%%(\d{1,5})\b")
#: A name in place of a number.
_NAMED = re.compile(r"\b((?:WSA|SEC_E_|CRYPT_E_|CERT_E_|TRUST_E_|NTE_|ERROR_WINHTTP_|COR_E_|E_)[A-Z_]{3,40})\b")
#: .NET's names of socket errors (SocketError) and what Windows calls them.
_SOCKET_ERRORS = {
    "ConnectionRefused": 10061,
    "ConnectionReset": 10054,
    "ConnectionAborted": 10053,
    "TimedOut": 10060,
    "HostNotFound": 11001,
    "TryAgain": 11002,
    "NoRecovery": 11003,
    "NoData": 11004,
    "NetworkUnreachable": 10051,
    "HostUnreachable": 10065,
    "AddressAlreadyInUse": 10048,
    "AddressNotAvailable": 10049,
    "AccessDenied": 10013,
}
_SOCKET_ERROR = re.compile(rf"SocketError(?:Code)?\W{{1,4}}({'|'.join(_SOCKET_ERRORS)})\b")


def decode(value: int) -> LogCode:
    """What a number means; of one that the table does not hold, where it belongs."""
    value &= 0xFFFFFFFF
    entry = _by_number().get(value)
    if entry is None and value >> 16 == 0x8007:  # HRESULT_FROM_WIN32
        entry = _by_number().get(value & 0xFFFF)
    name, meaning, source = entry or ("", _placed(value), "")
    return LogCode(value=value, hexadecimal=_hexadecimal(value), name=name, meaning=meaning, source=source)


def _hexadecimal(value: int) -> str:
    return f"0x{value:08X}" if value > 0xFFFF else f"0x{value:X}"


def _placed(value: int) -> str:
    """Of an unknown number: the part of Windows that it comes from."""
    if value < 0x80000000:
        return ""
    facility = value >> 16 & 0x7FF
    number = f", number {value & 0xFFFF}" if facility == _WIN32_FACILITY else ""
    return f"not in the table; an HRESULT of {_FACILITIES.get(facility, f'facility {facility}')}{number}"


@functools.cache
def _by_number() -> dict[int, tuple[str, str, str]]:
    found: dict[int, tuple[str, str, str]] = {}
    for block, source in _BLOCKS:
        for line in block.strip().splitlines():
            number, name, meaning = line.split(" ", 2)
            found[int(number, 0)] = (name, meaning, source)
    return found


@functools.cache
def _by_name() -> dict[str, int]:
    return {name: number for number, (name, _, _) in _by_number().items()}


def codes_in(text: str) -> tuple[LogCode, ...]:
    """Every error's number in ``text``, in the order of kinds, each once."""
    found = [int(match[1], 16) for match in _HRESULT.finditer(text)]
    found += [(1 << 32) - int(match[1]) for match in _NEGATIVE.finditer(text) if int(match[1]) <= 1 << 31]
    found += [int(match[1], 16) for match in _SHORT.finditer(text)]
    decimals = [int(match[1]) for match in _ANNOUNCED.finditer(text)]
    decimals += [int(m[1] or m[2]) for m in _BARE.finditer(text) if not _COUNTED.search(text[: m.start()][-12:])]
    decimals += [int(match[1]) for match in _REFERRED.finditer(text)]
    found += [number for number in decimals if number in _by_number()]
    found += [int(match[1]) for match in _OWN.finditer(text)]
    found += [_by_name()[match[1]] for match in _NAMED.finditer(text) if match[1] in _by_name()]
    found += [_SOCKET_ERRORS[match[1]] for match in _SOCKET_ERROR.finditer(text)]
    return tuple(decode(value) for value in list(dict.fromkeys(value for value in found if value))[:MAX_CODES])
