"""Every end of an execution without a result has its failure, with the limit and the reason."""

import re
from pathlib import Path

import pytest
from attrs import evolve

from adapters.sandbox.guest.python import failures, repl
from adapters.sandbox.network import explained
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.failures import FailureRules, ReportedFailure, too_deep, without_engine_noise
from adapters.sandbox.workers.channel import Ending, ProtocolBroken
from adapters.sandbox.workers.process import Death, Exchange
from domain.egress.traffic import LOST, ExecutionTraffic
from domain.scripts.dropped import NAME_SIZE_MAX, TYPE_SIZE_MAX
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import (
    ELLIPSIS,
    NAME_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    ExecutionUnknown,
    Failure,
    FailureCode,
    ScriptReport,
)
from entrypoints.http.openapi.error_catalog import failure_sample

LIMITS = Limits(timeout_ms=500, memory_mb=64, isolation=Isolation.SESSION)


def died(death, **observed):
    return Exchange(Ending.DIED, death=death, **observed)


@pytest.fixture
def rules(tmp_path):
    return FailureRules(SandboxOptions(tmp_path, cpu_s_max=100), LIMITS)


def test_a_failure_has_the_limit_that_was_exceeded(rules):
    failure = rules.reported(ReportedFailure(FailureCode.MEMORY_LIMIT, "MemoryError"))
    assert failure.limit == 64 << 20
    assert rules.reported(ReportedFailure(FailureCode.PROCESS_LIMIT, "")).limit == 32
    too_large = rules.reported(ReportedFailure(FailureCode.RESULT_TOO_LARGE, "", observed=2_000_000))
    assert (too_large.limit, too_large.observed) == (1 << 20, 2_000_000)


def test_a_failure_is_cleaned_of_values_that_no_worker_of_the_service_reports(rules):
    failure = rules.reported(ReportedFailure(FailureCode.SCRIPT_ERROR, "a\0b", line=-1, column=1 << 40, observed=-5))
    assert (failure.message, failure.line, failure.column, failure.observed) == ("a\ufffdb", None, None, None)


@pytest.mark.parametrize("code", [FailureCode.EXECUTION_CANCELLED, FailureCode.EXECUTION_EXPIRED])
def test_a_worker_cannot_report_that_it_was_cancelled_or_has_expired(rules, code):
    with pytest.raises(ProtocolBroken, match="cancelled, or has expired"):
        rules.reported(ReportedFailure(code, "forged"))


def test_a_failure_always_has_a_message(rules):
    assert rules.reported(ReportedFailure(FailureCode.SCRIPT_ERROR, "")).message == "SCRIPT_ERROR"


def test_an_error_without_a_text_has_its_name(rules):
    failure = rules.reported(ReportedFailure(FailureCode.SCRIPT_ERROR, "", name="ValueError"))
    assert (failure.name, failure.message) == ("ValueError", "")


@pytest.mark.parametrize(
    ("exchange", "stderr", "code"),
    [
        (Exchange(Ending.TIMED_OUT, elapsed_s=0.6), "", FailureCode.EXECUTION_TIMEOUT),
        (Exchange(Ending.OUTPUT_LIMIT), "", FailureCode.OUTPUT_LIMIT),
        (Exchange(Ending.PROTOCOL_BROKEN, detail="x"), "", FailureCode.SCRIPT_ERROR),
        (Exchange(Ending.CANCELLED), "", FailureCode.EXECUTION_CANCELLED),
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
def test_every_ending_without_a_reply_has_its_code(rules, exchange, stderr, code):
    failure = rules.ended(exchange, stderr)
    assert failure.code is code
    assert failure.message


@pytest.mark.parametrize(
    ("death", "held"),
    [
        (Death(-9), None),
        (Death(None), None),
        (Death(-9), (64 << 20) - 1),
        (Death(-9, memory_was_short=True), None),
    ],
    ids=["nothing known", "not ended", "just below its limit", "memory was short"],
)
def test_the_end_of_a_worker_that_was_killed_within_its_limits_is_unknown(rules, death, held):
    with pytest.raises(ExecutionUnknown) as caught:
        rules.ended(died(death, memory_bytes=held), "")
    assert (caught.value.executed, caught.value.retry_after_ms) == ("unknown", None)


def test_the_memory_of_the_host_is_the_reason_if_the_kernel_killed_for_it(rules):
    with pytest.raises(ExecutionUnknown, match=r"SANDBOX_MEMORY_MB.* was used up.* at 5 of its 64 MiB"):
        rules.ended(died(Death(-9, memory_was_short=True), memory_bytes=5 << 20), "")
    with pytest.raises(ExecutionUnknown, match=r"killed from outside \(SIGKILL\)"):
        rules.ended(died(Death(-9)), "")


@pytest.mark.parametrize("memory_was_short", [True, False])
@pytest.mark.parametrize(
    ("held", "stderr"),
    [(64 << 20, ""), (0, "Fatal process out of memory")],
    ids=["it held as much as its limit", "its interpreter said so"],
)
def test_its_own_limit_is_the_reason_even_while_others_are_killed(rules, held, stderr, memory_was_short):
    failure = rules.ended(died(Death(-9, memory_was_short=memory_was_short), memory_bytes=held), stderr)
    assert (failure.code, failure.limit) == (FailureCode.MEMORY_LIMIT, 64 << 20)


def test_what_the_engine_writes_when_it_dies_is_not_the_scripts_output():
    text = "mine\n\n<--- Last few GCs --->\nnumbers\nFATAL ERROR: heap"
    assert without_engine_noise(text).strip() == "mine"


@pytest.mark.parametrize(
    "failure",
    [
        lambda rules: rules.ended(Exchange(Ending.TIMED_OUT, elapsed_s=5.003), ""),
        lambda rules: rules.ended(Exchange(Ending.CPU_LIMIT, cpu_s=10.021), ""),
        lambda rules: rules.ended(Exchange(Ending.OUTPUT_LIMIT), ""),
        lambda rules: rules.ended(died(Death(3)), ""),
        lambda rules: rules.reported(
            ReportedFailure(FailureCode.PROCESS_LIMIT, "can't start new thread", "RuntimeError")
        ),
        lambda rules: rules.reported(ReportedFailure(FailureCode.RESULT_TOO_LARGE, "", observed=2_097_152)),
        lambda rules: evolve(rules.memory_limit(), observed=134_217_728),
        lambda _: too_deep(),
    ],
)
def test_the_documented_example_of_a_failure_is_what_the_sandbox_reports(tmp_path, failure):
    found = failure(FailureRules(SandboxOptions(tmp_path), Limits(5000, 128, Isolation.SESSION)))
    assert failure_sample(found.code).failure == found


def test_workers_cut_texts_where_the_redaction_of_secrets_looks_for_cuts():
    assert (failures.TEXT_SIZE_MAX, failures.NAME_SIZE_MAX) == (TEXT_LENGTH_MAX, NAME_LENGTH_MAX)
    assert failures.cut("xyz", 2) == f"xy{ELLIPSIS}"
    assert (repl.NAME_SIZE_MAX, repl.TYPE_SIZE_MAX) == (NAME_SIZE_MAX, TYPE_SIZE_MAX)
    of_node = Path(failures.__file__).parents[1] / "nodejs"
    assert f"TEXT_SIZE_MAX = {TEXT_LENGTH_MAX:_};" in (text := (of_node / "failures.cjs").read_text())
    assert f"NAME_SIZE_MAX = {NAME_LENGTH_MAX};" in text
    assert f"slice(0, sizeMax)}}{ELLIPSIS}`" in text
    names = (of_node / "repl.cjs").read_text()
    assert re.search(rf"\bNAME_SIZE_MAX = {NAME_SIZE_MAX}\b", names)
    assert f".slice(0, {TYPE_SIZE_MAX})" in names


@pytest.mark.parametrize(("said", "kept"), [("no", "no. The"), ("no.", "no. The"), ("cut...", "cut... The")])
def test_what_the_service_adds_to_a_message_stands_behind_its_sentence_or_its_ellipsis(said, kept):
    report = ScriptReport(None, Failure(FailureCode.SCRIPT_ERROR, said), 1.0)
    assert explained(report, (), LOST).failure.message.startswith(f"{kept} process that connects")


@pytest.mark.parametrize(
    "said",
    [
        "certificate verify failed: self-signed certificate (_ssl.c:1029)",
        "certificate verify failed: unable to get local issuer certificate",
        "fetch failed (unable to verify the first certificate; if the root CA is installed locally)",
    ],
)
def test_the_message_about_a_certificate_names_the_setting(said):
    report = ScriptReport(None, Failure(FailureCode.SCRIPT_ERROR, said), 1.0)
    assert explained(report, (), ExecutionTraffic()).failure.message.endswith("by default those in EGRESS_CA_FILE.")
