"""Scripts in Python: what they find, what they may return, and how they fail."""

import json

import pytest
from attrs import evolve

from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

SHORT = Limits(timeout_ms=700, memory_mb=128, isolation=Isolation.SESSION)
LOCKED = "import threading\nLOCK = threading.Lock()\n"
LONG = Limits(timeout_ms=20_000, memory_mb=128, isolation=Isolation.SESSION)


async def test_the_standard_library_works(shared):
    source = (
        "import asyncio, bz2, concurrent.futures, ctypes, dataclasses, decimal, hashlib, lzma, sqlite3, ssl, uuid, zlib\n"
        "import tempfile, zoneinfo, datetime\n"
        "with tempfile.TemporaryFile() as file: file.write(b'x')\n"
        "result = str(datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo('Asia/Tokyo')))"
    )
    assert json.loads(await result_of(shared, run_of(source))) == "2026-01-01T00:00:00+09:00".replace("T", " ")


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("class Handler:\n  def __call__(self, params): return params['n']\nhandler = Handler()", 7),
        ("import functools\nhandler = functools.partial(lambda x, params: x + params['n'], 1)", 8),
        ("def handler(*, n=5): return n", 5),
        ("def handler(event, /): return event['params']['n']", 7),
        ("import dataclasses\n@dataclasses.dataclass\nclass A:\n  n: int\nresult = dataclasses.asdict(A(1))", {"n": 1}),
        ("result = __name__", "script"),
        ("result = (1, {2: None, True: 1.5})", [1, {"2": None, "true": 1.5}]),
    ],
)
async def test_less_common_forms_run(shared, source, result):
    assert json.loads(await result_of(shared, run_of(source, '{"n": 7}'))) == result


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{'a': [1, {2, 3}]}", "result['a'][1] is a value of type set"),
        ("{'a': float('nan')}", "result['a'] is the number nan"),
        ("chr(0xd800)", "lone surrogate"),
        ("10 ** 5000", "integer too large"),
        ("{(1, 2): 3}", "result (a key)"),
        ("(x for x in [1])", "generator"),
        ("__import__('decimal').Decimal(1)", "Decimal"),
        ("__import__('datetime').datetime.now()", "datetime"),
        ("__import__('functools').reduce(lambda a, _: [a], range(100000), 1)", "nested too deeply"),
    ],
)
async def test_a_result_that_json_cannot_hold_fails_with_its_path(shared, value, words):
    failure = await failure_of(shared, run_of(f"result = {value}"))
    assert failure.code is FailureCode.RESULT_NOT_SERIALIZABLE
    assert words in failure.message


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import os\nos._exit(3)", FailureCode.SCRIPT_EXITED),
        ("import os\nos.abort()", FailureCode.SCRIPT_EXITED),
        ("import ctypes\nctypes.string_at(0)", FailureCode.SCRIPT_EXITED),
        ("raise KeyboardInterrupt", FailureCode.SCRIPT_ERROR),
        ("def f(): f()\nf()", FailureCode.SCRIPT_ERROR),
        ("class E(Exception):\n  def __str__(self): raise ValueError\nraise E", FailureCode.SCRIPT_ERROR),
        ("def handler(a, b): pass", FailureCode.SCRIPT_ERROR),
        ("async def handler():\n  import asyncio\n  await asyncio.Future()", FailureCode.EXECUTION_TIMEOUT),
        ("x = [0] * (1 << 30)", FailureCode.MEMORY_LIMIT),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", FailureCode.MEMORY_LIMIT),
        ("import mmap\nx = [mmap.mmap(-1, 1 << 24) for _ in range(100)]", FailureCode.SCRIPT_ERROR),
        ("while True: print('x' * 1000)", FailureCode.OUTPUT_LIMIT),
        ("import sys\nsys.stderr.write('x' * 300000)", FailureCode.OUTPUT_LIMIT),
        ("import os\nos.fork()", FailureCode.PROCESS_LIMIT),
        ("import subprocess\nsubprocess.run(['ls'])", FailureCode.PROCESS_LIMIT),
        (
            "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(9,)).start()",
            FailureCode.PROCESS_LIMIT,
        ),
    ],
)
async def test_every_limit_has_its_code(shared, source, code):
    # A busy machine takes a while to fill all memory. Only scripts that must be stopped run for so long.
    limits = SHORT if code is FailureCode.EXECUTION_TIMEOUT else evolve(SHORT, timeout_ms=20_000)
    assert (await failure_of(shared, run_of(source, limits=limits))).code is code


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("import socket\nsocket.socket()", "the sandbox has no network: socket.socket.__init__ was refused"),
        ("import socket\nsocket.getaddrinfo('localhost', 80)", "the sandbox has no network"),
        ("import os\nx = 'é', os.chroot('/')", "the sandbox refuses os.chroot('/')"),
        (
            "import urllib.request\nurllib.request.urlopen('http://example.com')",
            "the sandbox has no network: socket.getad",
        ),
        ("import socket\nsocket.create_connection(('192.0.2.1', 80))", "the sandbox has no network: socket.socket"),
        (
            "import numpy.linalg",
            "No module named 'numpy' (a script has Python's standard library; packages need an environment)",
        ),
        ("from pglambda import secrets", "No module named 'pglambda' (it is there if the session has secrets)"),
        ("state['n'] = 1", "name 'state' is not defined (the session has no state)"),
        ("open('/files/in/a')", "No such file or directory: '/files/in/a' (the session has no files)"),
        ("import fcntl\nfcntl.fcntl(0, 1031, 4096)", "the sandbox refuses fcntl.fcntl(0, 1031, 4096)"),
        ("import os\nos.chroot(\n  '/')", "the sandbox refuses os.chroot("),
        (
            "import os\ndef f(): os.mknod('/tmp/d', 0o20600, 259)\nf()",
            "the sandbox refuses os.mknod('/tmp/d', 0o20600, 259)",
        ),
    ],
)
async def test_a_failure_names_the_call_that_the_sandbox_refused(shared, source, named):
    assert named in (await failure_of(shared, run_of(source))).message


async def test_a_missing_part_of_the_standard_library_is_not_explained_as_a_package(shared):
    assert (await failure_of(shared, run_of("import json.nothing"))).message == "No module named 'json.nothing'"


@pytest.mark.parametrize(
    "source",
    [
        "from concurrent.futures import ProcessPoolExecutor\nwith ProcessPoolExecutor() as pool: pool.submit(abs, 1)",
        "import multiprocessing\nmultiprocessing.Pool(2)",
    ],
)
async def test_a_pool_of_processes_fails_as_a_process_does(shared, source):
    failure = await failure_of(shared, run_of(source))
    assert failure.code is FailureCode.PROCESS_LIMIT
    assert "cannot start processes" in failure.message
    assert "the sandbox refuses multiprocessing.synchronize." in failure.message


async def test_a_script_that_does_not_parse_fails_with_its_line(shared):
    failure = await failure_of(shared, run_of("x = 1\ny = ("))
    assert (failure.code, failure.name, failure.line) == (FailureCode.SCRIPT_ERROR, "SyntaxError", 2)


async def test_an_error_whose_stack_cannot_be_written_has_a_name_and_a_text(shared):
    source = """
class Own(Exception):
    @property
    def __notes__(self):
        raise KeyboardInterrupt
raise Own("text")
"""
    failure = await failure_of(shared, run_of(source))
    assert (failure.name, failure.message, failure.stack) == ("Own", "text", "")


async def test_a_handler_with_an_unknown_parameter_fails_with_the_names_that_it_may_use(shared):
    failure = await failure_of(shared, run_of("def handler(params, other): pass"))
    assert "has the parameter 'other'" in failure.message
    assert "receives only event, params, context, request_id" in failure.message


async def test_large_params_arrive_whole(shared):
    assert await result_of(shared, run_of("result = len(params)", json.dumps("x" * 500_000))) == "500000"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_the_failure_has_the_size_of_the_output_and_the_limit(shared, stream):
    failure = await failure_of(shared, run_of(f"import sys\nwhile True: sys.{stream}.write('x' * 1000)"))
    assert failure.code is FailureCode.OUTPUT_LIMIT
    assert failure.limit == shared.options.output_size_max < failure.observed


async def test_a_failure_has_the_position_of_the_error_in_the_script(shared):
    failure = await failure_of(shared, run_of("def f(x):\n    return 1 + x.nothing\nf(1)"))
    assert (failure.line, failure.column) == (2, 16)
    assert "pglambda" not in failure.stack
    assert "x.nothing" in failure.stack


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("open('/tmp/mark', 'w').close()", "import os\nresult = os.listdir('/tmp') or None"),
        ("import os\nos.makedirs('/tmp/a/b')\nos.chmod('/tmp/a', 0)", "import os\nresult = os.listdir('/tmp') or None"),
        ("import os\nos.environ['MARK'] = '1'", "import os\nresult = os.environ.get('MARK')"),
        ("import os\nos.environ = {'MARK': '1'}", "import os\nresult = os.environ.get('MARK')"),
        ("import os\nos.chmod('/tmp', 0o300)", "import os\nresult = os.listdir('/tmp') or None"),
        ("import sys\nsys.path.append('/tmp')\nopen('/tmp/own.py', 'w').write('x = 1')\nimport own",
         "import sys\nresult = 'own' in sys.modules or '/tmp' in sys.path or None"),
        ("import sys\nsys.stdout = None", "print('heard')"),
        ("import os\nos.chdir('/')", "import os\nresult = None if os.getcwd() == '/tmp' else os.getcwd()"),
        ("__builtins__['len'] = None", "result = None if len('') == 0 else 1"),
        ("import builtins\nbuiltins.mark = 1\nbuiltins.len = None", "result = None if len('') == 0 == ('mark' in dir(__import__('builtins'))) else 1"),
        ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.5)", "import time\ntime.sleep(0.7)"),
    ],
)  # fmt: skip
async def test_nothing_of_one_execution_reaches_the_next(shared, first, second):
    ref = new_session()
    await result_of(shared, run_of(first, ref=ref))
    assert await result_of(shared, run_of(second, ref=ref)) == "null"


@pytest.mark.parametrize(
    "source",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(9,)).start()",
        "import _thread, time\n_thread.start_new_thread(time.sleep, (9,))",
        "import os\nos.open('/tmp', os.O_RDONLY)",
        "import os\nos.close(0)",
        "import os\nos.close(1)",
        "import sys\nsys.stdout.close()",
    ],
)
async def test_a_worker_in_which_something_is_left_is_replaced(shared, source):
    ref = new_session()
    reports = [await report_of(shared, run_of(source, ref=ref)) for _ in range(2)]
    assert [report.cold_start for report in reports] == [True, True]
    assert [report.failure for report in reports] == [None, None]


async def test_a_handler_with_a_long_line_and_no_result_costs_in_proportion_to_its_length(shared):
    rows = ", ".join(f"{{'id': {number}, 'name': params}}" for number in range(4000))
    report = await report_of(shared, run_of(f"def handler(params):\n  rows = [{rows}]", limits=LONG))
    assert (report.failure, report.result) == (None, None)
    assert report.cpu_time_ms < 2000


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("with LOCK: return None", "null"),
        ("with LOCK: x = 1; return None", "null"),
        ("try: return None\n  finally: pass", "null"),
        ("with LOCK: return", None),
        ("with LOCK: x = 'return 1'", None),
        ("with LOCK: x = 1  # return 1", None),
    ],
)
async def test_a_block_on_one_line_that_returns_none_gives_a_result(shared, body, result):
    report = await report_of(shared, run_of(f"{LOCKED}def handler(params):\n  {body}"))
    assert (report.result, report.failure) == (result, None)


async def test_a_block_on_one_long_line_costs_in_proportion_to_its_length(shared):
    calls = "; ".join("x = {'a': params, 'b': 'return'}" for _ in range(8000))
    report = await report_of(shared, run_of(f"{LOCKED}def handler(params):\n  with LOCK: {calls}", limits=LONG))
    assert (report.failure, report.result) == (None, None)
    assert report.cpu_time_ms < 2000


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0c"])
async def test_a_script_reads_its_own_lines_as_the_compiler_numbers_them(shared, end):
    source = f"text = 'a{end}b'\nimport inspect\ndef own(): pass\nresult = inspect.getsource(own)"
    assert json.loads(await result_of(shared, run_of(source))) == "def own(): pass\n"


async def test_memory_and_cpu_are_measured_from_outside(shared):
    source = "x = bytearray(30 << 20)\nn = 0\nfor i in range(300000): n += i"
    report = await report_of(shared, run_of(source))
    assert report.memory_usage_bytes > 29 << 20
    assert report.cpu_time_ms > 0
    small = await report_of(shared, run_of("result = 1"))
    assert small.memory_usage_bytes < 29 << 20


async def test_a_script_finds_no_part_of_the_guest_among_the_modules_of_python(shared):
    source = "import sys\nresult = [name for name in sys.modules if name.partition('.')[0] == 'python']"
    assert await result_of(shared, run_of(source)) == "[]"
    assert (await failure_of(shared, run_of("import python.worker"))).name == "ModuleNotFoundError"
