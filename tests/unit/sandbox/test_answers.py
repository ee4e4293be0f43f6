"""Workers' answers are read with distrust; every other ending is explained."""

import os
import subprocess
import sys

import pytest
from attrs import evolve

from adapters.sandbox.isolation.layers import layers_in, shared_namespaces
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.failures import FailureRules, without_engine_noise
from adapters.sandbox.protocol.replies import ReportedFailure, read_reply, read_result
from adapters.sandbox.workers.exchange import Death, Ending, Exchange
from adapters.sandbox.workers.frames import Frame, ProtocolBroken
from adapters.sandbox.workers.output import CapturedOutput
from adapters.sandbox.workers.usage import Footprint, UsageMeter
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionUnknown, FailureCode

LIMITS = Limits(timeout_ms=500, memory_mb=64, isolation=Isolation.SESSION)


def died(death, **observed):
    return Exchange(Ending.DIED, death=death, **observed)


@pytest.fixture
def rules(tmp_path):
    return FailureRules(SandboxOptions(tmp_path, cpu_s_max=100), LIMITS)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b'{"nonce":"n","kind":"other"}',
        b'{"nonce":"other","kind":"result"}',
        b"[" * 5000,
        b'{"nonce":"\xff","kind":"result"}',
        b'{"nonce":"n","kind":"failure","failure":{"code":"NO_SUCH_CODE","message":""}}',
    ],
)
def test_an_answer_that_is_not_one_breaks_the_protocol(header):
    with pytest.raises(ProtocolBroken):
        read_reply(Frame(header, b""), "n")


def test_a_result_is_taken_exactly_as_it_came():
    assert read_result(Frame(b"", '{"a" : 1.0, "é":"\\u0000"}'.encode())) == '{"a" : 1.0, "é":"\\u0000"}'


@pytest.mark.parametrize("body", [b"", b"nan", b"[1,", b'"\xff"', b'"\\ud800"', b'"a\0b"', b"1 2"])
def test_a_result_that_is_no_json_breaks_the_protocol(body):
    with pytest.raises(ProtocolBroken):
        read_result(Frame(b"", body))


def test_a_failure_carries_the_limit_that_it_ran_into(rules):
    told = rules.told(ReportedFailure(FailureCode.MEMORY_LIMIT, "MemoryError"))
    assert told.limit == 64 << 20
    assert rules.told(ReportedFailure(FailureCode.PROCESS_LIMIT, "")).limit == 32
    too_large = rules.told(ReportedFailure(FailureCode.RESULT_TOO_LARGE, "", observed=2_000_000))
    assert (too_large.limit, too_large.observed) == (1 << 20, 2_000_000)


def test_a_failure_is_cleaned_of_what_no_worker_of_ours_tells(rules):
    told = rules.told(ReportedFailure(FailureCode.SCRIPT_ERROR, "a\0b", line=-1, column=1 << 40, observed=-5))
    assert (told.message, told.line, told.column, told.observed) == ("a\ufffdb", None, None, None)


def test_a_failure_always_has_a_message(rules):
    assert rules.told(ReportedFailure(FailureCode.SCRIPT_ERROR, "")).message == "SCRIPT_ERROR"


def test_an_error_without_a_text_of_its_own_is_told_by_its_name(rules):
    failure = rules.told(ReportedFailure(FailureCode.SCRIPT_ERROR, "", name="ValueError"))
    assert (failure.name, failure.message) == ("ValueError", "")


@pytest.mark.parametrize(
    ("exchange", "stderr", "code"),
    [
        (Exchange(Ending.TIMED_OUT, elapsed_s=0.6), "", FailureCode.EXECUTION_TIMEOUT),
        (Exchange(Ending.OUTPUT_LIMIT), "", FailureCode.OUTPUT_LIMIT),
        (Exchange(Ending.PROTOCOL_BROKEN, observed="x"), "", FailureCode.SCRIPT_ERROR),
        (died(Death(3)), "", FailureCode.SCRIPT_EXITED),
        (died(Death(0)), "", FailureCode.SCRIPT_EXITED),
        (died(Death(-11)), "", FailureCode.SCRIPT_EXITED),
        (died(Death(-63)), "", FailureCode.SCRIPT_EXITED),
        (died(Death(-5)), "Fatal process out of memory: Zone", FailureCode.MEMORY_LIMIT),
        (died(Death(-5)), "# Check failed: SetPermissions(GetPlatformPage", FailureCode.MEMORY_LIMIT),
        (died(Death(137)), "", FailureCode.SCRIPT_EXITED),
        (died(Death(-9, closed_channel=True)), "", FailureCode.SCRIPT_ERROR),
        (died(Death(None, closed_channel=True)), "", FailureCode.SCRIPT_ERROR),
        (died(Death(-9), elapsed_s=100), "", FailureCode.CPU_LIMIT),
        (died(Death(-9), cpu_before_s=100), "", FailureCode.CPU_LIMIT),
    ],
)
def test_every_ending_without_an_answer_has_its_code(rules, exchange, stderr, code):
    failure = rules.ended(exchange, stderr)
    assert failure.code is code
    assert failure.message


@pytest.mark.parametrize(
    "death",
    [Death(-9), Death(None), Death(-9, script_bytes=(64 << 20) - 1), Death(-9, memory_was_short=True)],
    ids=["nothing known", "not ended", "just below its limit", "memory was short"],
)
def test_a_worker_that_was_killed_within_its_limits_has_an_unknown_end(rules, death):
    with pytest.raises(ExecutionUnknown) as caught:
        rules.ended(died(death), "")
    assert (caught.value.executed, caught.value.retry_after_ms) == ("unknown", None)


def test_the_memory_of_the_host_is_the_reason_when_the_kernel_says_so(rules):
    with pytest.raises(ExecutionUnknown, match=r"SANDBOX_MEMORY_MB.* was used up.* at 5 of its 64 MiB"):
        rules.ended(died(Death(-9, script_bytes=5 << 20, memory_was_short=True)), "")
    with pytest.raises(ExecutionUnknown, match=r"killed from outside \(SIGKILL\)"):
        rules.ended(died(Death(-9)), "")


@pytest.mark.parametrize("memory_was_short", [True, False])
@pytest.mark.parametrize(
    ("death", "stderr"),
    [(Death(-9, script_bytes=64 << 20), ""), (Death(-9, script_bytes=0), "Fatal process out of memory")],
    ids=["it held as much as its limit", "its interpreter said so"],
)
def test_its_own_limit_is_the_reason_also_while_others_are_killed(rules, death, stderr, memory_was_short):
    failure = rules.ended(died(evolve(death, memory_was_short=memory_was_short)), stderr)
    assert (failure.code, failure.limit) == (FailureCode.MEMORY_LIMIT, 64 << 20)


def test_the_engines_last_words_are_not_the_scripts():
    text = "mine\n\n<--- Last few GCs --->\nnumbers\nFATAL ERROR: heap"
    assert without_engine_noise(text).strip() == "mine"


def test_output_is_kept_up_to_its_bound():
    output = CapturedOutput(5)
    output.add(b"abc")
    output.add(b"de\xff")
    output.add(b"more")
    assert (output.text(), output.is_exceeded) == ("abcde", True)
    output.clear()
    output.add(b"\0\xff")
    assert (output.text(), output.is_exceeded) == ("\ufffd\ufffd", False)


def test_layers_are_read_from_what_the_kernel_says():
    status = "NSpid:\t10\t1\nCapEff:\t0000\nCapBnd:\t0000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    assert layers_in(status).missing == []
    assert len(layers_in("").missing) == 4
    assert layers_in(status.replace("\t1\nCap", "\t7\nCap")).missing == ["a process namespace"]
    assert layers_in(status, ("net", "ipc")).missing == ["namespaces of its own (net, ipc)"]


def test_a_process_shares_every_namespace_with_itself():
    assert len(shared_namespaces(os.getpid(), os.getpid())) == 7


def test_a_meter_of_nothing_reads_nothing():
    meter = UsageMeter.of(None)
    assert (meter.cpu_s(), meter.footprint()) == (None, Footprint())
    meter.close()


def test_a_meter_of_a_process_that_is_gone_reads_nothing():
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


def test_a_process_whose_first_thread_has_ended_cannot_be_read():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    meter = UsageMeter.of(ended.pid)
    assert meter.footprint() == Footprint()
    meter.close()
    ended.wait()
