"""The contract of ScriptRunner, in terms of Python scripts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from domain.errors import Overloaded, RuntimeUnavailable, StorageUnavailable
from domain.grants.secrets import SECRETS_MAX
from domain.identity import ANONYMOUS
from domain.json_text import VALUE_DEPTH_MAX, JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.output import ScriptProgress
from domain.scripts.ports import RunState, ScriptRunner, Worker
from domain.scripts.report import ExecutionStatus, FailureCode
from domain.scripts.script import InputForm, ScriptSyntaxError
from domain.scripts.syntax import Syntax
from domain.secrets.secret import VALUE_SIZE_MAX
from tests.contracts.script_runs import (
    Heard,
    Source,
    failure_of,
    gives_result,
    new_session,
    report_of,
    result_of,
    run_of,
    script_of,
    stopped_report,
)

ENDLESS = "import asyncio\nasync def handler():\n  print('begun', flush=True)\n  await asyncio.sleep(60)"
EVENT_NAMES = ["context", "params", "request_id"]
DEEP = "[" * VALUE_DEPTH_MAX + "]" * VALUE_DEPTH_MAX


class ScriptRunnerContract:
    """The contract of every adapter. A subclass provides `runner`, opened, with these limits.

    Its queue timeout must be short enough for a test to wait for.
    """

    workers_max = 2
    queue_max = 2

    @pytest.fixture
    def runner(self) -> ScriptRunner:
        raise NotImplementedError

    @asynccontextmanager
    async def _all_workers_taken(self, runner: ScriptRunner) -> AsyncIterator[list[Worker]]:
        async with AsyncExitStack() as stack:
            workers = []
            for _ in range(self.workers_max):
                worker = await runner.acquire(run_of("result = 1"))
                stack.push_async_callback(worker.release)
                workers.append(worker)
            yield workers

    # Input and output.

    async def test_the_value_left_in_result_is_the_result(self, runner):
        assert await result_of(runner, run_of("result = 6 * 7")) == "42"

    async def test_params_and_context_arrive(self, runner):
        run = run_of("result = [params['a'], context['b']]", '{"a": 1}', context='{"b": "two"}')
        assert json.loads(await result_of(runner, run)) == [1, "two"]

    @pytest.mark.parametrize(
        "value",
        ["null", "true", "[]", "{}", '""', "0", "-1.5", "1e-7", "12345678901234567890123456789", DEEP],
    )
    async def test_any_json_passes_through(self, runner, value):
        assert json.loads(await result_of(runner, run_of("result = params", value))) == json.loads(value)

    async def test_text_of_any_script_passes_through(self, runner):
        text = 'quote " backslash \\ newline \n tab \t é 漢字 🎉 \u2028 \x7f'
        assert json.loads(await result_of(runner, run_of("result = params", json.dumps(text)))) == text
        unescaped = json.dumps(text, ensure_ascii=False)
        assert json.loads(await result_of(runner, run_of("result = params", unescaped))) == text

    async def test_a_syntax_that_the_language_does_not_have_is_refused_before_anything_starts(self, runner):
        source = Source(script_of("result = 1"))
        with pytest.raises(RuntimeUnavailable, match="no scripts in typescript"):
            await runner.acquire(run_of(source, syntax=Syntax.TYPESCRIPT))
        assert source.reads == 0
        with pytest.raises(RuntimeUnavailable, match="no scripts in typescript"):
            await runner.check(Language.PYTHON, source.script, ANONYMOUS, syntax=Syntax.TYPESCRIPT)
        assert await result_of(runner, run_of("result = 1")) == "1"

    async def test_a_source_beyond_ascii_runs_unchanged(self, runner):
        assert json.loads(await result_of(runner, run_of("résumé = '漢字🎉'\nresult = résumé"))) == "漢字🎉"

    async def test_a_success_is_reported(self, runner):
        report = await report_of(runner, run_of("result = 1"))
        assert report.status is ExecutionStatus.SUCCEEDED
        assert report.execution_time_ms >= 0

    async def test_output_is_reported(self, runner):
        report = await report_of(runner, run_of("import sys\nprint('out é')\nprint('err', file=sys.stderr)"))
        assert (report.stdout, report.stderr) == ("out é\n", "err\n")

    async def test_output_is_reported_with_a_failure(self, runner):
        report = await report_of(runner, run_of("print('before')\nraise ValueError"))
        assert report.status is ExecutionStatus.FAILED
        assert report.stdout == "before\n"

    async def test_measurements_are_reported(self, runner):
        report = await report_of(runner, run_of("result = 1"))
        assert report.cpu_time_ms is not None
        assert report.queue_time_ms is not None

    # What is heard while a script runs.

    async def test_a_listener_hears_what_the_report_has(self, runner):
        heard = Heard()
        source = "import sys\nprint('out é', flush=True)\nprint('err', file=sys.stderr)\nprint('last')\nresult = 1"
        report = await report_of(runner, run_of(source, listener=heard))
        assert (
            (heard.stdout.decode(), heard.stderr.decode())
            == (report.stdout, report.stderr)
            == ("out é\nlast\n", "err\n")
        )

    async def test_a_listener_hears_the_output_of_a_failure(self, runner):
        heard = Heard()
        await failure_of(runner, run_of("print('before')\nraise ValueError", listener=heard))
        assert heard.stdout == b"before\n"

    async def test_a_listener_hears_nothing_of_the_next_execution(self, runner):
        ref, heard = new_session(), Heard()
        await report_of(runner, run_of("print('first')", ref=ref, listener=heard))
        await report_of(runner, run_of("print('second'); progress(0.5)", ref=ref))
        assert (heard.stdout, heard.progress) == (b"first\n", [])

    @pytest.mark.parametrize("convention", [Convention.OWN, Convention.EVENT_FIRST])
    async def test_a_listener_hears_progress(self, runner, convention):
        heard = Heard()
        source = "progress(0)\nprogress(0.5, 'half é')\nprogress(None)\nprogress(1, message='all')"
        await report_of(runner, run_of(source, listener=heard, convention=convention))
        assert heard.progress[-1] == ScriptProgress(1, "all")
        assert set(heard.progress) <= {
            ScriptProgress(0),
            ScriptProgress(0.5, "half é"),
            ScriptProgress(None),
            ScriptProgress(1, "all"),
        }

    async def test_a_script_reports_progress_to_nobody(self, runner):
        assert await result_of(runner, run_of("progress(0.5, 'half')\nresult = 1")) == "1"

    async def test_a_script_for_the_origin_has_no_progress(self, runner):
        run = run_of("result = 'progress' in globals()", convention=Convention.ORIGIN)
        assert await result_of(runner, run) == "false"

    async def test_a_script_may_have_a_name_progress_of_its_own(self, runner):
        assert await result_of(runner, run_of("def progress(): return 7\nresult = progress()")) == "7"

    @pytest.mark.parametrize("given", ["1.5", "-0.1", "float('nan')", "0, 'x' * 201"])
    async def test_progress_that_is_none_is_an_error_of_the_script(self, runner, given):
        heard = Heard()
        failure = await failure_of(runner, run_of(f"\nprogress({given})", listener=heard))
        assert (failure.code, failure.name, failure.line) == (FailureCode.SCRIPT_ERROR, "ValueError", 2)
        assert heard.progress == []

    # The state of the session.

    async def test_a_change_of_the_state_is_reported_beside_the_result(self, runner):
        source = "def handler(state, params):\n    state['n'] = state['n'] + params\n    return state['n']"
        for convention in (Convention.OWN, Convention.EVENT_FIRST):
            state = RunState(JsonText('{"n": 40, "é": [1.5, null]}'))
            report = await report_of(runner, run_of(source, "2", state=state, convention=convention))
            assert (report.result, report.failure) == ("42", None)
            assert json.loads(report.state) == {"n": 42, "é": [1.5, None]}

    async def test_a_state_without_a_change_is_not_reported(self, runner):
        report = await report_of(runner, run_of("result = state['n']", state=RunState(JsonText('{"n": 1}'))))
        assert (report.result, report.state) == ("1", None)
        report = await report_of(runner, run_of("result = 'state' in event"))
        assert (report.result, report.state) == ("false", None)

    async def test_a_script_that_fails_reports_its_state_only_if_failures_save_it(self, runner):
        source = "state['n'] = 1\nraise ValueError('no')"
        for saves, expected in ((False, None), (True, {"n": 1})):
            state = RunState(JsonText("{}"), saves_failures=saves)
            report = await report_of(runner, run_of(source, state=state))
            assert report.failure.code is FailureCode.SCRIPT_ERROR
            assert (None if report.state is None else json.loads(report.state)) == expected

    async def test_a_shared_state_is_not_reported(self, runner):
        state = RunState(JsonText('{"n": [1]}'), is_shared=True)
        report = await report_of(runner, run_of("state['n'].append(2)\nresult = state['n']", state=state))
        assert (json.loads(report.result), report.state) == ([1, 2], None)

    async def test_a_state_that_is_too_large_fails_the_execution(self, runner):
        report = await report_of(runner, run_of("state['a'] = 'x' * 300_000", state=RunState(JsonText("{}"))))
        assert (report.failure.code, report.result, report.state) == (FailureCode.STATE_TOO_LARGE, None, None)

    async def test_the_names_of_a_script_are_its_state_in_a_repl(self, runner):
        source = (
            "import math\nn = globals().get('n', params) + 1\nlist_ = [1.5, {'a': None}]\n_own = 1\n"
            "pair = (1, 2)\ndef handler(): return 'not called'\nresult = [n, math.floor(1.5)]"
        )
        state = RunState(JsonText('{"a key": 1, "gone": 2}'), is_repl=True)
        first = await report_of(runner, run_of(source + "\ndel gone", "1", state=state))
        assert json.loads(first.result) == [2, 1]
        assert json.loads(first.state) == {"a key": 1, "n": 2, "list_": [1.5, {"a": None}]}
        assert {(each.name, each.type) for each in first.dropped} == {("pair", "tuple"), ("handler", "function")}
        second = await report_of(runner, run_of("result = n + list_[0]", state=RunState(first.state, is_repl=True)))
        assert (second.result, second.state, second.dropped) == ("3.5", None, ())

    async def test_names_of_a_script_that_fails_stay_only_if_failures_save_them(self, runner):
        for saves, expected in ((False, None), (True, {"n": 1})):
            state = RunState(JsonText("{}"), saves_failures=saves, is_repl=True)
            report = await report_of(runner, run_of("n = 1\nraise ValueError('no')", state=state))
            assert report.failure.code is FailureCode.SCRIPT_ERROR
            assert (None if report.state is None else json.loads(report.state)) == expected

    # Secrets.

    async def test_a_script_imports_the_secrets_of_its_run(self, runner):
        source = "from pglambda import secrets\nresult = [secrets['KEY'], sorted(secrets), repr(secrets)]"
        ref = new_session()
        for value in ('first "välue"\n', "x" * 65_536):
            result = await result_of(runner, run_of(source, ref=ref, secrets={"KEY": value, "OTHER": "unused-1"}))
            assert json.loads(result) == [value, ["KEY", "OTHER"], "<secrets: KEY, OTHER>"]

    async def test_a_script_imports_as_many_secrets_of_the_greatest_size_as_a_session_may_have(self, runner):
        values = {f"KEY_{number}": "\x01" * VALUE_SIZE_MAX for number in range(SECRETS_MAX)}  # six bytes each in JSON
        source = "from pglambda import secrets\nresult = [len(secrets[name]) for name in event['params']]"
        result = await result_of(runner, run_of(source, params=json.dumps(list(values)), secrets=values))
        assert json.loads(result) == [VALUE_SIZE_MAX] * SECRETS_MAX

    async def test_a_run_without_secrets_finds_none_of_an_earlier_one(self, runner):
        ref = new_session()
        assert (
            await result_of(runner, run_of("import pglambda\nresult = 1", ref=ref, secrets={"KEY": "12345678"})) == "1"
        )
        failure = await failure_of(runner, run_of("import pglambda", ref=ref))
        assert (failure.code, failure.name) == (FailureCode.SCRIPT_ERROR, "ModuleNotFoundError")

    # Stopping.

    async def test_a_stopped_script_reports_its_output_and_that_it_was_cancelled(self, runner):
        heard = Heard()
        report = await stopped_report(runner, run_of(ENDLESS, listener=heard), heard)
        assert report.failure is not None
        assert (report.failure.code, report.result, report.stdout) == (FailureCode.EXECUTION_CANCELLED, None, "begun\n")
        assert report.execution_time_ms > 0

    async def test_a_session_continues_after_a_stopped_execution(self, runner):
        ref, heard = new_session(), Heard()
        await stopped_report(runner, run_of(ENDLESS, ref=ref, listener=heard), heard)
        assert await result_of(runner, run_of("result = 1", ref=ref)) == "1"

    async def test_a_worker_that_is_stopped_before_its_run_starts_nothing(self, runner):
        heard = Heard()
        worker = await runner.acquire(run_of("print('ran')", listener=heard))
        assert await worker.stop()
        report = await worker.run()
        await worker.release()
        assert report.failure is not None
        assert (report.failure.code, report.stdout, heard.stdout) == (FailureCode.EXECUTION_CANCELLED, "", b"")

    async def test_stopping_a_script_that_has_ended_changes_nothing(self, runner):
        ref = new_session()
        worker = await runner.acquire(run_of("result = 1", ref=ref))
        assert (await worker.run()).result == "1"
        await worker.stop()
        await worker.release()
        report = await report_of(runner, run_of("result = 2", ref=ref))
        assert (report.result, report.cold_start) == ("2", False)

    # The forms of a script.

    @pytest.mark.parametrize(
        ("source", "result"),
        [
            ("x = 1", None),
            ("", None),
            ("def handler(event): return event['params']['n']", 7),
            ("def handler(event): return event['context']['c']", 8),
            ("def handler(params): return params['n']", 7),
            ("def handler(context): return context['c']", 8),
            ("def handler(context, params): return [context['c'], params['n']]", [8, 7]),
            ("def handler(anything): return sorted(anything)", ["context", "params", "request_id"]),
            ("def handler(): return 'none'", "none"),
            ("def handler(params, scale=2): return params['n'] * scale", 14),
            ("def handle(params): return params['n'] + 1", 8),
            ("def handle(params): return 'handle'\ndef handler(params): return 'handler'", "handler"),
            ("result = 'result'\ndef handle(params): return 'handle'", "handle"),
            ("async def handler(params): return params['n']", 7),
            ("import asyncio\nasync def handle(params):\n  await asyncio.sleep(0)\n  return params['n']", 7),
            ("handler = lambda params: params['n']", 7),
            ("handler = 5\nresult = 6", 6),
            ("total = 0\ndef add(n):\n  global total\n  total += n\nadd(3)\nresult = total", 3),
            ("result = [x for x in range(3) if x in params or True]", [0, 1, 2]),
        ],
    )
    async def test_every_form_of_the_script_contract_runs(self, runner, source, result):
        run = run_of(source, '{"n": 7}', context='{"c": 8}')
        assert json.loads(await result_of(runner, run)) == result

    @pytest.mark.parametrize(
        ("source", "results"),
        [
            ("result = params['n']", [7, 7, 7]),
            ("def handle(params, scale=2): return params['n'] * scale", [14, 14, 14]),
            ("def handle(value): return sorted(value)", [EVENT_NAMES, ["n"], EVENT_NAMES]),
            ("def handle(context): return sorted(context)", [["c"], ["n"], EVENT_NAMES]),
            ("def handle(params, context=None): return context", [{"c": 8}, None, {"c": 8}]),
            ("result = 2\ndef handler(event): return 1", [1, 2, 1]),
            ("def handler(context=None): return sorted(context)", [["c"], None, EVENT_NAMES]),
        ],
    )
    async def test_a_script_is_called_by_the_convention_of_its_run(self, runner, source, results):
        runs = [run_of(source, '{"n": 7}', context='{"c": 8}', convention=convention) for convention in Convention]
        assert [json.loads(await result_of(runner, run)) for run in runs] == results

    async def test_a_script_is_checked_under_a_convention(self, runner):
        for convention in Convention:
            assert await runner.check(Language.PYTHON, script_of("result = 1"), ANONYMOUS, convention)
            with pytest.raises(ScriptSyntaxError):
                await runner.check(Language.PYTHON, script_of("result ="), ANONYMOUS, convention)

    @pytest.mark.parametrize(
        "source",
        [
            "",
            "x = 1",
            "def main(params): return 5",
            "handler = 5",
            "def handle(params): params",
            "def handler():\n  if True:\n    return\n  return  # nothing",
            "async def handle(params): params",
            "def handle():\n  text = 'a\u2028b'\n  return\ndef later():\n  return 1",
        ],
    )
    async def test_a_script_that_gives_no_result_is_told_apart(self, runner, source):
        assert not await gives_result(runner, run_of(source))

    @pytest.mark.parametrize(
        "source",
        [
            "result = None",
            "def handle(params): return None",
            "def handle(params):\n  if not params:\n    return (\n      None\n    )",
            "def handle(params): return {}.get('x')",
            "def handle():\n  try:\n    return(None)\n  finally:\n    pass",
            "def handle(): é = 'é'; return None",
            *(f"text = 'a{end}b'\ndef handle():\n  return None" for end in "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"),
            "text = 1\rdef handle():\r  return None",
            "async def handle(params): return None",
            "handle = lambda params: None",
        ],
    )
    async def test_null_is_a_result(self, runner, source):
        report = await report_of(runner, run_of(source))
        assert (report.result, report.failure) == ("null", None)

    async def test_a_script_knows_its_session(self, runner):
        run = run_of("def handler(request_id, event): return [request_id, event['request_id']]")
        assert json.loads(await result_of(runner, run)) == [str(run.ref.session_id)] * 2

    # Failures.

    async def test_an_exception_is_a_script_error_with_name_message_and_line(self, runner):
        failure = await failure_of(runner, run_of("a = 1\n\nraise KeyError('missing')"))
        assert failure.code is FailureCode.SCRIPT_ERROR
        assert (failure.name, failure.message, failure.line) == ("KeyError", "'missing'", 3)

    async def test_the_line_is_where_the_script_itself_failed(self, runner):
        source = "import json\ndef inner():\n    return json.loads('{')\ndef handler():\n    return inner()\n"
        failure = await failure_of(runner, run_of(source))
        assert failure.code is FailureCode.SCRIPT_ERROR
        assert failure.line == 3
        assert failure.stack is not None

    @pytest.mark.parametrize("exit_call", ["import sys; sys.exit(3)", "raise SystemExit"])
    async def test_a_script_that_exits_is_reported_as_exited(self, runner, exit_call):
        failure = await failure_of(runner, run_of(exit_call))
        assert failure.code is FailureCode.SCRIPT_EXITED

    @pytest.mark.parametrize("value", ["{1, 2}", "b'bytes'", "float('nan')", "float('inf')", "object()", "len"])
    async def test_a_result_that_is_not_json_is_rejected(self, runner, value):
        failure = await failure_of(runner, run_of(f"result = {value}"))
        assert failure.code is FailureCode.RESULT_NOT_SERIALIZABLE

    async def test_a_result_that_contains_itself_is_rejected(self, runner):
        failure = await failure_of(runner, run_of("result = []\nresult.append(result)"))
        assert failure.code is FailureCode.RESULT_NOT_SERIALIZABLE

    async def test_a_result_over_its_limit_is_rejected_with_limit_and_size(self, runner):
        failure = await failure_of(runner, run_of("result = 'x' * 2_000_000"))
        assert failure.code is FailureCode.RESULT_TOO_LARGE
        assert failure.limit is not None
        assert failure.observed is None or failure.observed > failure.limit

    async def test_a_session_continues_after_a_failure(self, runner):
        ref = new_session()
        await failure_of(runner, run_of("raise ValueError", ref=ref))
        await failure_of(runner, run_of("raise SystemExit", ref=ref))
        assert await result_of(runner, run_of("result = 1", ref=ref)) == "1"

    # Sessions.

    async def test_no_global_survives_an_execution(self, runner):
        source = "result = globals().get('mark')\nmark = 1"
        ref = new_session()
        assert [await result_of(runner, run_of(source, ref=ref)) for _ in range(3)] == ["null"] * 3

    async def test_sessions_do_not_see_each_other(self, runner):
        source = "result = globals().get('mark')\nmark = params"
        assert [await result_of(runner, run_of(source, str(n))) for n in range(3)] == ["null"] * 3

    async def test_concurrent_executions_of_one_session_each_have_their_own_params(self, runner):
        ref = new_session()
        runs = [run_of("result = params", str(n), ref=ref) for n in range(self.workers_max + self.queue_max)]
        assert await asyncio.gather(*(result_of(runner, run) for run in runs)) == [str(n) for n in range(len(runs))]

    async def test_a_session_is_cold_once_and_again_after_its_eviction(self, runner):
        ref = new_session()
        reports = [await report_of(runner, run_of("result = 1", ref=ref)) for _ in range(2)]
        await runner.evict(ref.session_id)
        reports.append(await report_of(runner, run_of("result = 1", ref=ref)))
        assert [report.cold_start for report in reports] == [True, False, True]

    async def test_an_unknown_session_can_be_evicted(self, runner):
        await runner.evict(new_session().session_id)

    # The source.

    async def test_the_source_is_read_only_without_a_warm_worker(self, runner):
        source, ref = Source(script_of("result = 'once'")), new_session()
        assert [await result_of(runner, run_of(source, ref=ref)) for _ in range(3)] == ['"once"'] * 3
        assert source.reads == 1

    async def test_acquire_raises_what_the_source_raises(self, runner):
        lost = StorageUnavailable()
        with pytest.raises(StorageUnavailable) as caught:
            await runner.acquire(run_of(Source(script_of("result = 'never read'"), error=lost)))
        assert caught.value is lost

    async def test_a_source_that_raises_holds_no_worker(self, runner):
        for n in range(self.workers_max + self.queue_max + 1):
            with pytest.raises(StorageUnavailable):
                await runner.acquire(run_of(Source(script_of(f"result = 'lost {n}'"), error=StorageUnavailable())))
        assert await result_of(runner, run_of("result = 1")) == "1"

    # Workers and the queue.

    async def test_a_worker_may_be_released_without_a_run(self, runner):
        for _ in range(3 * (self.workers_max + self.queue_max)):
            worker = await runner.acquire(run_of("result = 1"))
            await worker.release()
        assert await result_of(runner, run_of("result = 1")) == "1"

    async def test_a_second_release_frees_no_other_worker(self, runner):
        async with self._all_workers_taken(runner) as workers:
            await workers[0].release()
            await workers[0].release()
            taken = await runner.acquire(run_of("result = 1"))
            with pytest.raises(Overloaded):
                await runner.acquire(run_of("result = 1"))
            await taken.release()

    async def test_a_run_can_be_released_twice(self, runner):
        worker = await runner.acquire(run_of("result = 1"))
        assert (await worker.run()).result == "1"
        await worker.release()
        await worker.release()

    async def test_a_wait_that_is_too_long_is_overloaded(self, runner):
        async with self._all_workers_taken(runner):
            with pytest.raises(Overloaded):
                await runner.acquire(run_of("result = 1"))
        assert await result_of(runner, run_of("result = 1")) == "1"

    async def test_a_full_queue_rejects_at_once(self, runner):
        async with self._all_workers_taken(runner):
            waiting = [asyncio.ensure_future(runner.acquire(run_of("result = 1"))) for _ in range(self.queue_max)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await runner.acquire(run_of("result = 1"))
            assert not any(acquisition.done() for acquisition in waiting)
            for acquisition in waiting:
                acquisition.cancel()
            await asyncio.wait(waiting)

    async def test_a_cancelled_acquire_leaves_the_queue_and_takes_no_worker(self, runner):
        async with self._all_workers_taken(runner) as workers:
            waiting = [asyncio.ensure_future(runner.acquire(run_of("result = 1"))) for _ in range(self.queue_max)]
            await asyncio.sleep(0)
            for acquisition in waiting:
                acquisition.cancel()
            await asyncio.wait(waiting)
            next_one = asyncio.ensure_future(runner.acquire(run_of("result = 1")))
            await workers[0].release()
            assert await result_of_worker(await next_one) == "1"

    async def test_a_worker_that_is_released_while_its_next_acquire_is_cancelled_is_not_lost(self, runner):
        async with self._all_workers_taken(runner) as workers:
            waiting = asyncio.ensure_future(runner.acquire(run_of("result = 1")))
            await asyncio.sleep(0)
            await workers[0].release()
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                await waiting.result().release()
            assert await result_of(runner, run_of("result = 1")) == "1"

    # Checks and health.

    async def test_a_script_that_parses_passes_the_check(self, runner):
        assert await runner.check(Language.PYTHON, script_of("def handler(): return 1"), ANONYMOUS) is InputForm.PLAIN

    @pytest.mark.parametrize(
        ("source", "form"),
        [
            ("def handler(context):\n    return context.get('params', {})", InputForm.EVENT_IN_CONTEXT),
            ("def handle(context):\n    return context['params']", InputForm.EVENT_IN_CONTEXT),
            ("def handle(context):\n    return context['user']", InputForm.PLAIN),
            ("def handle(params, context):\n    return context['params']", InputForm.PLAIN),
            ("def handle(event):\n    return event['params']", InputForm.PLAIN),
            ("result = context.get('params')", InputForm.PLAIN),
        ],
    )
    @pytest.mark.parametrize("convention", Convention)
    async def test_a_check_shows_whether_a_handler_reads_the_event_in_context(self, runner, convention, source, form):
        assert await runner.check(Language.PYTHON, script_of(source), ANONYMOUS, convention) is form

    async def test_a_check_runs_nothing(self, runner):
        assert await runner.check(Language.PYTHON, script_of("raise SystemExit"), ANONYMOUS) is InputForm.PLAIN

    @pytest.mark.parametrize(
        ("source", "line"),
        [("a = 1\nresult = = 2", 2), ("def f(:\n  pass", 1), ("a = 1\n\nif a:\nb = 2", 4), ("x = '", 1)],
    )
    async def test_a_script_that_does_not_parse_is_rejected_with_its_line(self, runner, source, line):
        with pytest.raises(ScriptSyntaxError) as caught:
            await runner.check(Language.PYTHON, script_of(source), ANONYMOUS)
        fault = caught.value.fault
        assert fault.line == line
        assert fault.column is not None
        assert fault.column >= 1
        assert fault.message

    async def test_the_health_of_a_runner_that_runs_is_ok(self, runner):
        assert await result_of(runner, run_of("result = 1")) == "1"
        assert (await runner.health())["status"] == "ok"


async def result_of_worker(worker: Worker) -> str | None:
    """Run, release, and return the result."""
    try:
        return (await worker.run()).result
    finally:
        await worker.release()


class ScriptLimitsContract:
    """The contract of every adapter that runs scripts in processes; `runner` as in ScriptRunnerContract."""

    @pytest.fixture
    def runner(self) -> ScriptRunner:
        raise NotImplementedError

    async def test_a_script_that_never_ends_is_stopped_at_its_time_limit(self, runner):
        limits = Limits(timeout_ms=300, memory_mb=128, isolation=Isolation.SESSION)
        report = await report_of(runner, run_of("print('begun', flush=True)\nwhile True: pass", limits=limits))
        assert report.failure is not None
        assert (report.failure.code, report.failure.limit) == (FailureCode.EXECUTION_TIMEOUT, 300)
        assert report.stdout == "begun\n"

    async def test_a_script_over_its_memory_fails(self, runner):
        limits = Limits(timeout_ms=5000, memory_mb=64, isolation=Isolation.SESSION)
        failure = await failure_of(runner, run_of("x = bytearray(400 << 20)\nresult = len(x)", limits=limits))
        assert failure.code in {FailureCode.MEMORY_LIMIT, FailureCode.SCRIPT_ERROR}

    async def test_a_session_continues_after_its_worker_was_stopped(self, runner):
        ref, limits = new_session(), Limits(timeout_ms=300, memory_mb=128, isolation=Isolation.SESSION)
        await failure_of(runner, run_of("while True: pass", ref=ref, limits=limits))
        assert await result_of(runner, run_of("result = 1", ref=ref)) == "1"

    async def test_other_sessions_are_not_affected(self, runner):
        limits = Limits(timeout_ms=500, memory_mb=128, isolation=Isolation.SESSION)
        spinning = asyncio.ensure_future(failure_of(runner, run_of("while True: pass", limits=limits)))
        assert await result_of(runner, run_of("result = 1")) == "1"
        assert (await spinning).code is FailureCode.EXECUTION_TIMEOUT

    async def test_isolation_by_process_is_cold_every_time(self, runner):
        ref, limits = new_session(), Limits(timeout_ms=5000, memory_mb=128, isolation=Isolation.PROCESS)
        reports = [await report_of(runner, run_of("result = 1", ref=ref, limits=limits)) for _ in range(2)]
        assert [report.cold_start for report in reports] == [True, True]

    async def test_a_poisoned_module_reaches_no_other_session(self, runner):
        await report_of(runner, run_of("import json\njson.dumps = lambda *a, **k: '666'\nresult = 1"))
        assert await result_of(runner, run_of("import json\nresult = json.dumps([1])")) == '"[1]"'
