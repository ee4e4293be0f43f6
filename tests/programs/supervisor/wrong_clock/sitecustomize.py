"""A wall clock that is wrong by what WRONG_CLOCK_FILE holds, for every Python process that finds this module at its start.

Python imports `sitecustomize` before any program. So the program runs as it is, on a machine whose wall clock seems to
be off: what reads the wall clock through `time` or `datetime` reads the wrong one. Monotonic clocks are left alone.
The file has the seconds as a signed number of eight bytes. Whoever changes them steps the clock of all processes.
"""

import ctypes
import datetime as dt
import gc
import mmap
import os
import time
from pathlib import Path

_NS_PER_S = 1_000_000_000

with Path(os.environ["WRONG_CLOCK_FILE"]).open("rb") as _file:
    _held = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)


def _off_s() -> int:
    return int.from_bytes(_held[:8], "little", signed=True)


def _off() -> dt.timedelta:
    return dt.timedelta(seconds=_off_s())


def _set_time_functions() -> None:
    true_time, true_time_ns = time.time, time.time_ns
    true_gettime, true_gettime_ns = time.clock_gettime, time.clock_gettime_ns
    true_localtime, true_gmtime = time.localtime, time.gmtime
    time.time = lambda: true_time() + _off_s()
    time.time_ns = lambda: true_time_ns() + _off_s() * _NS_PER_S
    time.clock_gettime = lambda clock: true_gettime(clock) + _off_s() * (clock == time.CLOCK_REALTIME)
    time.clock_gettime_ns = lambda clock: true_gettime_ns(clock) + _off_s() * _NS_PER_S * (clock == time.CLOCK_REALTIME)
    time.localtime = lambda seconds=None: true_localtime(time.time() if seconds is None else seconds)
    time.gmtime = lambda seconds=None: true_gmtime(time.time() if seconds is None else seconds)


def _set_class_methods(of: type, **methods: object) -> None:
    """Replace methods of a class written in C; a subclass in its place would not be the type that libraries look for."""
    (attributes,) = gc.get_referents(of.__dict__)
    attributes.update({name: classmethod(method) for name, method in methods.items()})
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(of))


def _set_datetime_methods() -> None:
    true_now = dt.datetime.now
    _set_class_methods(
        dt.datetime,
        now=lambda _cls, tz=None: true_now(tz) + _off(),
        utcnow=lambda _cls: true_now(dt.UTC).replace(tzinfo=None) + _off(),
        today=lambda _cls: true_now() + _off(),
    )
    _set_class_methods(dt.date, today=lambda _cls: (true_now() + _off()).date())


_set_time_functions()
_set_datetime_methods()
