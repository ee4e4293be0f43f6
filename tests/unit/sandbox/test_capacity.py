"""The limits of all workers together follow from the options and from the host's memory."""

import pytest
from attrs import evolve

from adapters.sandbox.capacity import group_limits, memory_of_host
from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.zygote.sandbox_spec import ZYGOTE_PROCESSES
from adapters.sandbox.zygote.zygote_pool import ZYGOTE_MEMORY_MB, ZYGOTES_MAX

V2, V1 = "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"


@pytest.mark.parametrize(
    ("files", "size"),
    [
        ({}, 1 << 30),
        ({"proc/meminfo": "MemTotal:     2048 kB\nMemFree: 1 kB\n"}, 2 << 20),
        ({"proc/meminfo": "MemTotal:     2048 kB\n", V2: "1048576\n"}, 1 << 20),
        ({"proc/meminfo": "MemTotal:     2048 kB\n", V2: "max\n"}, 2 << 20),
        ({"proc/meminfo": "MemTotal:     2048 kB\n", V1: "9223372036854771712\n"}, 2 << 20),
        ({"proc/meminfo": "nothing\n", V1: "4096\n"}, 4096),
    ],
)
def test_the_smallest_limit_counts(tmp_path, files, size):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_of_host(tmp_path) == size


def test_prewarmed_workers_have_memory_and_processes_of_their_own(tmp_path):
    none, some = (group_limits(SandboxOptions(tmp_path, prewarmed=count)) for count in (0, 16))
    assert some.memory_bytes - none.memory_bytes == 2 * 16 * 32 * MIB
    assert some.processes - none.processes == 2 * 16 * SandboxOptions(tmp_path).processes_max


def test_zygotes_with_files_have_memory_and_processes_of_their_own(tmp_path):
    options = SandboxOptions(tmp_path, prewarmed=0, starting_max=1, memory_budget_mb=1024, environments_max=1)
    one, two = (group_limits(evolve(options, environments_max=count)) for count in (1, 2))
    assert two.processes - one.processes == 2 * ZYGOTE_PROCESSES, "one of an environment has files, and one has none"
    others_mb = 2 * 32 + 6 * options.check_memory_mb + 1024
    assert one.memory_bytes == (others_mb + 2 * (ZYGOTES_MAX + 1 + 4) * ZYGOTE_MEMORY_MB) * MIB
