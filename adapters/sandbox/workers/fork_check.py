"""Checks that forks of Node.js work, which neither Node.js nor V8 promises."""

from pathlib import Path

from adapters.sandbox.workers.channel import Ending, encode_frame
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.launch import ForkUnsafe, LaunchFailed

SCRIPT = Path(__file__).with_name("fork_check.cjs").read_bytes()
_EXPECTED = b'[99499500,999989,["content","content","content","content"],["8035ce8e3b671cc3",8],"SIGUSR2"]'
_SHOWN_MAX = 500


async def check_fork(process: WorkerProcess, script: bytes, timeout_s: float) -> None:
    """Run the check in a fork, and end the fork; raises ForkUnsafe for a wrong result, LaunchFailed for a late one."""
    operations = encode_frame(b'{"op":"load","nonce":""}', script)
    operations += encode_frame(
        b'{"op":"run","nonce":"","result_size_max":1024}', b'{"params":{},"context":{},"request_id":""}'
    )
    exchange = await process.exchange(operations, timeout_s)
    stderr = process.output.stderr.text()
    process.kill()
    await process.gone()
    if exchange.ending is Ending.TIMED_OUT:
        raise LaunchFailed(f"no result within {timeout_s:g} s")
    if exchange.ending is not Ending.REPLIED or exchange.frame is None:
        observed = f"{exchange.ending.name.lower()} after {exchange.elapsed_s:.1f} s {stderr}"
    elif exchange.frame.body == _EXPECTED:
        return
    else:
        observed = (exchange.frame.body or exchange.frame.header).decode("utf-8", "replace")
    raise ForkUnsafe(f"the check of a fork of Node.js failed: {observed[:_SHOWN_MAX].strip()}")
