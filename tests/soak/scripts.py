"""Scripts of good and of bad callers, and how often each comes."""

import random
from collections.abc import Sequence

from attrs import frozen

from domain.scripts.language import Language


@frozen
class Sample:
    """A script, how often it comes in a thousand, and the outcomes that it may have (None: it succeeds)."""

    language: Language
    source: str
    weight: int
    outcomes: frozenset[str | None]


def _python(source: str, weight: int, *outcomes: str) -> Sample:
    return Sample(Language.PYTHON, source, weight, frozenset(outcomes or (None,)))


def _node(source: str, weight: int, *outcomes: str) -> Sample:
    return Sample(Language.NODEJS, source, weight, frozenset(outcomes or (None,)))


MIXTURE: Sequence[Sample] = (
    _python("result = params['n'] * 2", 350),
    _python("import json, hashlib\nresult = hashlib.sha256(json.dumps(params).encode()).hexdigest()", 120),
    _python("open('note', 'w').write('x' * 10000)\nresult = len(open('note').read())", 80),
    _python("print('x' * 500)\nresult = [n * n for n in range(200)]", 100),
    _python("raise ValueError('why')", 40, "SCRIPT_ERROR"),
    _python("result = {1, 2}", 20, "RESULT_NOT_SERIALIZABLE"),
    _node("return event.params.n * 2", 180),
    _node("console.log('x'.repeat(500)); return [1, 2, 3].map((n) => n * event.params.n)", 60),
    _node("throw new TypeError('why')", 20, "SCRIPT_ERROR"),
    _node("setInterval(() => {}, 1); return 1", 10),
    _python("import os\nos._exit(3)", 3, "SCRIPT_EXITED"),
    _python("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nresult = 1", 3),
    _python("import os\nheld = os.open('/tmp', os.O_RDONLY)\nresult = 1", 3),
    _python("while True: print('x' * 9999)", 2, "OUTPUT_LIMIT"),
    _python("held = []\nwhile True: held.append(bytearray(1 << 20))", 2, "MEMORY_LIMIT"),
    _python("import os, time\nfor n in range(3, 999):\n  try: os.write(n, b'a forged reply')\n  except OSError: pass\ntime.sleep(9)",
            1, "SCRIPT_ERROR"),
    _python("while True: pass", 1, "EXECUTION_TIMEOUT"),
    _python("for n in range(2000): open(str(n), 'w').close()", 2, "SCRIPT_ERROR"),
    _node("process.exit(3)", 2, "SCRIPT_EXITED"),
    _node("for (;;) await null", 1, "EXECUTION_TIMEOUT"),
)  # fmt: skip


def drawn(generator: random.Random) -> Sample:
    """Return one at random, by its weight."""
    return generator.choices(MIXTURE, [sample.weight for sample in MIXTURE])[0]


_BURN = """
import hashlib, threading
def burn():
    while True: hashlib.sha256(bytes(1 << 20)).digest()
for _ in range(8): threading.Thread(target=burn).start()
burn()
"""
ATTACKS: Sequence[tuple[Language, str]] = (
    (Language.PYTHON, _BURN),
    (Language.PYTHON, "while True: pass"),
    (Language.PYTHON, "held = []\nwhile True: held.append(bytearray(1 << 20))"),
    (Language.PYTHON, "while True: print('x' * 9999)"),
    (Language.PYTHON, "n = 0\nwhile True:\n  with open(str(n % 900), 'wb') as file: file.write(bytes(1 << 14))\n  n += 1"),
    (Language.NODEJS, "for (;;) await null"),
    (Language.NODEJS, "const held = []; for (;;) held.push(new Array(10000).fill(1.5))"),
    (Language.NODEJS, "/(a+)+b/.test('a'.repeat(60))"),
)  # fmt: skip
"""Scripts of attackers, which use up processors, memory, output and disk."""
