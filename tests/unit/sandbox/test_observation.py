"""CPU time, memory, threads and output of a process are observed from outside it."""

import os
import subprocess
import sys

from adapters.sandbox.workers.observation import CapturedOutput, Footprint, UsageMeter


def test_output_is_kept_up_to_its_limit():
    output = CapturedOutput(5)
    output.add(b"abc")
    output.add(b"de\xff")
    output.add(b"more")
    assert (output.text(), output.is_exceeded) == ("abcde", True)
    output.clear()
    output.add(b"\0\xff")
    assert (output.text(), output.is_exceeded) == ("\ufffd\ufffd", False)


def test_a_meter_without_a_process_reads_nothing():
    meter = UsageMeter.of(None)
    assert (meter.cpu_s(), meter.footprint()) == (None, Footprint())
    meter.close()


def test_a_meter_of_a_process_that_has_gone_reads_nothing():
    meter = UsageMeter.of((1 << 22) + 1)
    assert (meter.cpu_s(), meter.footprint()) == (None, Footprint())


def test_the_peak_is_that_since_it_was_reset():
    meter = UsageMeter.of(os.getpid())
    meter.reset_peak()
    before = meter.footprint().memory_bytes
    bytearray(b"x") * (64 << 20)
    peak = meter.footprint().memory_bytes
    meter.reset_peak()
    assert before + (32 << 20) < peak
    assert meter.footprint().memory_bytes < peak - (32 << 20)
    meter.close()
    assert meter.footprint() == Footprint()


def test_memory_beyond_that_of_the_interpreter_leaves_out_pages_of_files():
    base = Footprint(memory_bytes=50, resident_bytes=40, file_bytes=30)
    assert Footprint(memory_bytes=70, resident_bytes=60, file_bytes=35).beyond(base) == 25
    assert Footprint(memory_bytes=41, resident_bytes=41, file_bytes=32).beyond(base) == 0
    assert Footprint().beyond(base) is None


def test_a_process_whose_first_thread_has_ended_has_no_footprint():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    meter = UsageMeter.of(ended.pid)
    assert meter.footprint() == Footprint()
    meter.close()
    ended.wait()


HOLDS_AND_FORKS = """
import os, sys
held = bytearray(b"x") * (64 << 20)
if os.fork():
    os.wait()
else:
    sys.stdin.readline()
    held[: 32 << 20] = b"y" * (32 << 20)
    print(os.getpid(), flush=True)
    if sys.stdin.readline():
        held[32 << 20 :] = b"z" * (32 << 20)
        print(flush=True)
        sys.stdin.readline()
"""


def marked(meter, times=1):
    for _ in range(times):
        meter.mark_idle(meter.cpu_s(), meter.footprint())
    return meter


def test_memory_that_is_shared_with_the_process_of_a_fork_costs_nothing_once_it_is_measured():
    with subprocess.Popen([sys.executable, "-c", HOLDS_AND_FORKS], text=True, stdin=-1, stdout=-1) as parent:
        parent.stdin.write("\n")
        parent.stdin.flush()
        meter = marked(UsageMeter.of(int(parent.stdout.readline())))
        resident = meter.footprint().resident_bytes
        before, was_known = meter.cost_bytes, meter.is_cost_known
        meter.measure_cost()
        after, is_known = meter.cost_bytes, meter.is_cost_known
        meter.close()
        parent.stdin.close()
    assert (was_known, is_known) == (False, True)
    assert resident <= before < resident + (2 << 20)
    assert 32 << 20 < after < before - (24 << 20)


def test_a_measurement_holds_for_as_many_operations_as_there_were_before_it_and_is_exact_until_the_next_one():
    with subprocess.Popen([sys.executable, "-c", HOLDS_AND_FORKS], text=True, stdin=-1, stdout=-1) as parent:
        parent.stdin.write("\n")
        parent.stdin.flush()
        meter = marked(UsageMeter.of(int(parent.stdout.readline())), times=3)
        unmeasured = meter.cost_bytes
        meter.measure_cost()
        found = []
        for _ in range(4):
            found.append((meter.cost_bytes < unmeasured - (24 << 20), meter.counts_shared, meter.is_cost_known))
            marked(meter)
        meter.close()
        parent.stdin.close()
    assert found == [(True, False, True), (True, False, False), (True, False, False), (False, True, False)]


def test_shared_memory_that_a_later_operation_writes_is_found_by_another_measurement():
    with subprocess.Popen([sys.executable, "-c", HOLDS_AND_FORKS], text=True, stdin=-1, stdout=-1) as parent:
        parent.stdin.write("\n")
        parent.stdin.flush()
        meter = marked(UsageMeter.of(int(parent.stdout.readline())), times=3)
        meter.measure_cost()
        before = meter.cost_bytes
        parent.stdin.write("\n")
        parent.stdin.flush()
        parent.stdout.readline()
        assert not marked(meter).is_cost_known
        meter.measure_cost()
        after, is_known = meter.cost_bytes, meter.is_cost_known
        meter.close()
        parent.stdin.close()
    assert is_known
    assert after > before + (24 << 20)


def test_a_process_that_cannot_be_measured_costs_its_resident_memory():
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    meter = marked(UsageMeter.of(ended.pid))
    before = meter.cost_bytes
    ended.communicate(b"\n")
    meter.measure_cost()
    assert meter.cost_bytes == before > 1 << 20
    assert meter.is_cost_known
    meter.close()
