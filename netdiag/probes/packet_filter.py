"""The filter of the tap: a program for the classic packet filter of the kernel (McCanne and Jacobson, USENIX 1993).

Contract: pure. The program sees packets from their IP header on, as a packet socket of type SOCK_DGRAM shows them, and
returns how many bytes to pass: none or all. What passes: TCP from or to a watched address, UDP port 53 from or to a
watched address, ICMP and ICMPv6 errors. Later fragments, and IPv6 with extension headers, pass by their addresses.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import NamedTuple

#: linux/bpf_common.h: load a byte, half word or word from a fixed place (``LD_*``) or behind X (``LD_*_X``); X = length
#: of the IPv4 header; A &= k; jump always, if A == k, if A >= k, if A & k; end.
LD_B, LD_H, LD_W, LD_B_X, LD_H_X, LDX_HEADER = 0x30, 0x28, 0x20, 0x50, 0x48, 0xB1
AND, JA, JEQ, JGE, JSET, RET = 0x54, 0x05, 0x15, 0x35, 0x45, 0x06

#: More than any packet has.
EVERYTHING = 0xFFFFFFFF
#: linux/filter.h BPF_MAXINSNS.
MAX_INSTRUCTIONS = 4096
#: How far a condition can jump: its distances are bytes.
_NEAR = 255

_TCP, _UDP, _ICMP, _ICMP6, _DNS = 6, 17, 1, 58, 53
#: Destination unreachable, time exceeded, parameter problem (RFC 792).
_ICMP_ERRORS = (3, 11, 12)
#: RFC 4443 §2.1: errors stand below it, echo, router and neighbour discovery from it on.
_ICMP6_INFORMATION = 128
#: What TCP may stand behind (RFC 8200 §4.1): hop-by-hop, routing, fragment, authentication, destination options.
_EXTENSIONS = (0, 43, 44, 51, 60)
_FRAGMENT_OFFSET = 0x1FFF


class Instruction(NamedTuple):
    """One instruction (linux/filter.h struct sock_filter): after a condition, skip ``yes`` or ``no`` others."""

    code: int
    yes: int = 0
    no: int = 0
    k: int = 0


Program = tuple[Instruction, ...]

_PASS: Program = (Instruction(RET, k=EVERYTHING),)
_REFUSE: Program = (Instruction(RET, k=0),)
#: Lets nothing pass.
NOTHING = _REFUSE


def program(addresses: Iterable[str] | None) -> Program:
    """The filter for these IPv4 and IPv6 addresses, written without zones; None: for any address."""
    four, six = _PASS, _PASS
    if addresses is not None:
        every = sorted(set(addresses))
        four = _either([socket.inet_pton(socket.AF_INET, address) for address in every if ":" not in address], 12, 16)
        six = _either([socket.inet_pton(socket.AF_INET6, address) for address in every if ":" in address], 8, 24)
    return (
        Instruction(LD_B, k=0),
        Instruction(AND, k=0xF0),
        *_if(JEQ, 0x40, _four(four)),
        *_if(JEQ, 0x60, _six(six)),
        *_REFUSE,
    )


def _if(test: int, k: int, then: Program, otherwise: Program = ()) -> Program:
    """``then`` where the test of A holds, else ``otherwise``; both go on behind it, unless they end."""
    if otherwise:
        then = (*then, Instruction(JA, k=len(otherwise)))
    if len(then) <= _NEAR:
        return (Instruction(test, 0, len(then), k), *then, *otherwise)
    return (Instruction(test, 1, 0, k), Instruction(JA, k=len(then)), *then, *otherwise)


def _unless(test: int, k: int, then: Program) -> Program:
    return _if(test, k, (), then) if len(then) > _NEAR else (Instruction(test, len(then), 0, k), *then)


def _four(by_address: Program) -> Program:
    """IPv4, with the offsets of RFC 791 §3.1. It ends in any case."""
    icmp = (
        Instruction(LDX_HEADER),
        Instruction(LD_B_X, k=0),
        *(step for kind in _ICMP_ERRORS for step in _if(JEQ, kind, _PASS)),
        *_REFUSE,
    )
    first_fragment = (
        Instruction(LDX_HEADER),
        Instruction(LD_H_X, k=0),
        *_unless(JEQ, _DNS, (Instruction(LD_H_X, k=2), *_unless(JEQ, _DNS, _REFUSE))),
    )
    udp = (Instruction(LD_H, k=6), *_unless(JSET, _FRAGMENT_OFFSET, first_fragment))
    others = (*_if(JEQ, _ICMP, icmp), *_unless(JEQ, _UDP, _REFUSE), *udp)
    return (Instruction(LD_B, k=9), *_unless(JEQ, _TCP, others), *by_address, *_REFUSE)


def _six(by_address: Program) -> Program:
    """IPv6, with the offsets of RFC 8200 §3. It ends in any case."""
    icmp = (Instruction(LD_B, k=40), *_if(JGE, _ICMP6_INFORMATION, _REFUSE), *_PASS)
    udp = (
        Instruction(LD_H, k=40),
        *_unless(JEQ, _DNS, (Instruction(LD_H, k=42), *_unless(JEQ, _DNS, _REFUSE))),
    )
    extension: Program = _REFUSE
    for header in _EXTENSIONS:
        extension = _unless(JEQ, header, extension)
    others = (*_if(JEQ, _ICMP6, icmp), *_if(JEQ, _UDP, udp, extension))
    return (Instruction(LD_B, k=6), *_unless(JEQ, _TCP, others), *by_address, *_REFUSE)


def _either(addresses: list[bytes], *places: int) -> Program:
    """Pass when one of the addresses stands at one of the places."""
    return tuple(step for at in places for address in addresses for step in _equal(address, at))


def _equal(address: bytes, at: int) -> Program:
    """Pass when the address stands there, else go on."""
    found = _PASS
    for offset in reversed(range(0, len(address), 4)):
        word = int.from_bytes(address[offset : offset + 4])
        found = (Instruction(LD_W, k=at + offset), *_if(JEQ, word, found))
    return found
