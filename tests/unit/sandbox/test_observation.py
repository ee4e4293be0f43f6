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


def test_a_process_whose_first_thread_has_ended_has_no_footprint():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    meter = UsageMeter.of(ended.pid)
    assert meter.footprint() == Footprint()
    meter.close()
    ended.wait()
