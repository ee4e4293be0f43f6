"""A small interpreter of BPF, which runs the filters of workers."""

import struct

from adapters.sandbox.isolation.system_calls import MACHINES

ALLOW, DO_NOTHING = 0x7FFF0000, 0x00050000
IDLE = "succeeds without being made"


def decide(programs, machine, number, arguments=(), architecture=None):
    """Return what the strictest filter says, as `verdict` does. Of two that fail the call, the later one counts."""
    verdicts = [verdict(program, machine, number, arguments, architecture) for program in reversed(programs)]
    return next((each for each in verdicts if each != 0), 0)


def verdict(program, machine, number, arguments=(), architecture=None):
    """Return 0 when the filter allows the call, IDLE when nothing is done, else the errno that it fails with."""
    data = struct.pack(
        "<iIQ6Q", number, architecture or MACHINES[machine].audit, 0, *arguments, *[0] * (6 - len(arguments))
    )
    instructions, at, accumulator = list(struct.iter_unpack("=HBBI", program)), 0, 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x06:
            return {ALLOW: 0, DO_NOTHING: IDLE}.get(operand, operand & 0xFFFF)
        else:
            holds = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: bool(accumulator & operand),
            }[code]
            at += if_true if holds else if_false
