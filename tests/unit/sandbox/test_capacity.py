"""The memory of the host is the smaller of the machine's and the container's limit."""

import pytest

from adapters.sandbox.capacity import memory_of_host

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
