"""The instructions of system call filters: classic BPF that reads one call and returns a verdict (seccomp(2))."""

import errno
import struct
from collections.abc import Collection, Iterable, Iterator

LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
JUMP_IF_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K

# Offsets in struct seccomp_data; arguments are 64 bits wide, their low half first on both machines.
NUMBER = 0
ARCHITECTURE = 4
ARGUMENT_0 = 16
ARGUMENT_1 = 24
ARGUMENT_2 = 32
ARGUMENT_3 = 40
ARGUMENT_5 = 56
HIGH_HALF = 4

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000


def instruction(code: int, operand: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    """Return a `struct sock_filter`; a jump skips so many instructions."""
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def allow() -> bytes:
    """Return the verdict that the call is made."""
    return instruction(_RETURN, _ALLOW)


def fail(error: int) -> bytes:
    """Return the verdict that the call is not made, and fails with `error`."""
    return instruction(_RETURN, _ERRNO | error)


def do_nothing() -> bytes:
    """Return the verdict that the call is not made, and succeeds."""
    return fail(0)


def when(number: int, body: list[bytes]) -> Iterator[bytes]:
    """Run `body`, which always returns, for this call only; afterwards the call's number is still loaded."""
    yield instruction(JUMP_IF_EQUAL, number, if_false=len(body))
    yield from body


def fail_unless(argument: int, values: Collection[int], error: int, mask: int | None = None) -> Iterator[bytes]:
    """Fail unless the argument has one of the values."""
    yield instruction(LOAD, argument)
    if mask is not None:
        yield instruction(_AND, mask)
    for left, value in zip(range(len(values), 0, -1), values, strict=True):
        yield instruction(JUMP_IF_EQUAL, value, if_true=left)
    yield fail(error)


def fail_if_any_bit(argument: int, bits: int, error: int) -> list[bytes]:
    """Fail if the argument has one of the bits, and allow the call otherwise."""
    return [instruction(LOAD, argument), instruction(JUMP_IF_ANY_BIT, bits, if_false=1), fail(error), allow()]


def decide_argument(
    argument: int, denied: Iterable[int], idle: Iterable[int] = (), more: Iterable[bytes] = ()
) -> list[bytes]:
    """Fail with EPERM if the argument is a denied value, do nothing for an idle one, and allow others after `more`."""
    verdicts = [(value, fail(errno.EPERM)) for value in denied]
    verdicts += [(value, do_nothing()) for value in idle]
    body = [instruction(LOAD, argument)]
    for value, verdict in verdicts:
        body += [instruction(JUMP_IF_EQUAL, value, if_false=1), verdict]
    return [*body, *more, allow()]
