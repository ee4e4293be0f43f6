"""Scripts that people write, in sizes up to the largest: what no limit of the syntax check may refuse."""

from collections.abc import Callable, Mapping

from domain.scripts.language import Language

_PYTHON_FUNCTIONS = '''
def compute_total_{n}(items, rate=0.2, *, currency="EUR"):
    """Return the total of some items, and the tax on it."""
    total = 0.0
    for index, item in enumerate(items):
        if item.get("kind") == "discount" and index > {n}:
            total -= float(item["amount"])
        elif item.get("skip"):
            continue
        else:
            total += item["price"] * item.get("count", 1)
    return {{"total": round(total, 2), "tax": round(total * rate, 2), "currency": currency, "number": {n}}}
'''
_PYTHON_CLASSES = '''
class Order{n}(Base):
    """An order of kind {n}."""

    __slots__ = ("customer", "lines", "paid")

    def __init__(self, customer: str, lines: list[tuple[str, int]]) -> None:
        self.customer = customer
        self.lines = [(name.strip(), count) for name, count in lines if count > 0]
        self.paid = False

    async def pay(self, gateway, attempts: int = 3):
        for attempt in range(attempts):
            try:
                async with gateway.open(timeout=attempt * 2) as channel:
                    self.paid = await channel.send(f"pay {{self.customer}}: {{sum(c for _, c in self.lines):>8}}")
                    break
            except (OSError, ValueError) as error:
                print("again", attempt, error)
            finally:
                gateway.log("order {n}")
        return self.paid
'''
_PYTHON_NESTED = """
def judge_{n}(a, b, c):
    for x in a:
        if x > {n}:
            for y in b:
                if y != x:
                    while c:
                        with c.pop() as d:
                            try:
                                if d[x][y].e.f(lambda z: [k for k in z if k] or {{x: (y, [z])}}):
                                    return ((x + y) * (x - y)) / (1 + abs(x * y)) if x and (y or not d) else None
                            except KeyError:
                                pass
"""
_PYTHON_STATEMENTS = "    v{n} = a[{n}] * b + f(v0, 'name {n}') - {n} // 3\n"
_PYTHON_TABLE = '    {{"id": {n}, "name": "item number {n}", "tags": ["a", "b"], "price": {n}.25, "ok": True}},\n'
_PYTHON_ASSIGNMENTS = "setting_{n} = {n}\n"
_PYTHON_COMPACT = "def f{n}(a,b):c=a*{n}+b;return c if c>b else[f{n}(x,b)for x in range(a)]\n"
_PYTHON_BYTES = "    {n}, 0x{n:x}, -{n},\n"

_NODE_FUNCTIONS = """
function computeTotal{n}(items, rate = 0.2, {{ currency = 'EUR' }} = {{}}) {{
  let total = 0;
  for (const [index, item] of items.entries()) {{
    if (item.kind === 'discount' && index > {n}) total -= Number(item.amount);
    else if (item.skip) continue;
    else total += item.price * (item.count ?? 1);
  }}
  return {{ total, tax: total * rate, text: `${{total.toFixed(2)}} ${{currency}}`, number: {n} }};
}}
"""
_NODE_CLASSES = """
class Order{n} extends Base {{
  #paid = false;
  static made = 0;
  constructor(customer, lines) {{
    super();
    this.customer = customer;
    this.lines = lines.filter(({{ count }}) => count > 0).map(({{ name, ...rest }}) => ({{ ...rest, name: name.trim() }}));
  }}
  async pay(gateway, attempts = 3) {{
    for (let attempt = 0; attempt < attempts; attempt++) {{
      try {{
        const channel = await gateway.open({{ timeout: attempt * 2 }});
        this.#paid = await channel?.send(`pay ${{this.customer}}: ${{this.lines.reduce((sum, {{ count }}) => sum + count, 0)}}`);
        break;
      }} catch (error) {{
        if (!/timed? ?out|ECONN[A-Z]+/i.test(error.message)) throw error;
      }} finally {{
        gateway.log('order {n}');
      }}
    }}
    return this.#paid;
  }}
}}
"""
_NODE_NESTED = """
const judge{n} = (a, b, c) => {{
  for (const x of a) {{
    if (x > {n}) {{
      b.forEach((y) => {{
        while (c.length) {{
          switch (c.pop()) {{
            case y:
              try {{
                if (x[y].e.f((z) => z.filter((k) => k && (() => [k, {{ x, y: [z, (q) => q] }}])()))) {{
                  return ((x + y) * (x - y)) / (1 + Math.abs(x * y)) || (x && (y || !c) ? null : undefined);
                }}
              }} catch {{}}
            default:
          }}
        }}
      }});
    }}
  }}
}};
"""
_NODE_STATEMENTS = "  const v{n} = a[{n}] * b + f(v0, 'name {n}') - Math.floor({n} / 3);\n"
_NODE_TABLE = "    {{ id: {n}, name: 'item number {n}', tags: ['a', 'b'], price: {n}.25, ok: true }},\n"
_NODE_ASSIGNMENTS = "let setting_{n} = {n};\n"
_NODE_COMPACT = "var f{n}=(a,b)=>{{let c=a*{n}+b;return c>b?c:[...Array(a)].map(x=>f{n}(x,b))}},g{n}=/^[a-z]+{n}$/i;"
_NODE_BYTES = "    {n}, 0x{n:x}, -{n},\n"
_NODE_PATTERNS = 'rules.push([/^(?<name>[a-z_]\\w*)\\s*[:=]\\s*("[^"]*"|\\d+){n}$/iu, \'rule {n}\']);\n'


def _filled(first: str, each: str, last: str) -> Callable[[int], str]:
    def script(size: int) -> str:
        parts, left, n = [first], size - len((first + last).encode()), 0
        while (left := left - len(part := each.format(n=n))) >= 0:
            parts.append(part)
            n += 1
        return "".join([*parts, last])

    return script


def _of_text(first: str, last: str) -> Callable[[int], str]:
    line = "Zeilen eines Textes, mit ein paar Umlauten: äöü, und Zeichen wie 漢字.\n"

    def script(size: int) -> str:
        return first + line * ((size - len(first + last)) // len(line.encode())) + last

    return script


ORDINARY_SCRIPTS: Mapping[Language, Mapping[str, Callable[[int], str]]] = {
    Language.PYTHON: {
        "functions": _filled("import json\n", _PYTHON_FUNCTIONS, "result = 1\n"),
        "classes": _filled("from base import Base\n", _PYTHON_CLASSES, "result = 1\n"),
        "nested": _filled("", _PYTHON_NESTED, "result = 1\n"),
        "one long function": _filled("def handler(a, b, f):\n", _PYTHON_STATEMENTS, "    return v0\n"),
        "table": _filled("TABLE = [\n", _PYTHON_TABLE, "]\nresult = len(TABLE)\n"),
        "assignments": _filled("", _PYTHON_ASSIGNMENTS, "result = 1\n"),
        "compact": _filled("", _PYTHON_COMPACT, "result = 1\n"),
        "numbers": _filled("DATA = [\n", _PYTHON_BYTES, "]\nresult = len(DATA)\n"),
        "text": _of_text('TEXT = """', '"""\nresult = len(TEXT)\n'),
    },
    Language.NODEJS: {
        "functions": _filled("'use strict';\n", _NODE_FUNCTIONS, "return 1;\n"),
        "classes": _filled("class Base {}\n", _NODE_CLASSES, "return 1;\n"),
        "nested": _filled("", _NODE_NESTED, "return 1;\n"),
        "one long function": _filled("exports.handler = (a, b, f) => {\n", _NODE_STATEMENTS, "  return v0;\n};\n"),
        "table": _filled("const table = [\n", _NODE_TABLE, "];\nreturn table.length;\n"),
        "assignments": _filled("", _NODE_ASSIGNMENTS, "return 1;\n"),
        "compact": _filled("", _NODE_COMPACT, "return 1;\n"),
        "numbers": _filled("const data = [\n", _NODE_BYTES, "];\nreturn data.length;\n"),
        "patterns": _filled("const rules = [];\n", _NODE_PATTERNS, "return rules.length;\n"),
        "text": _of_text("const text = `", "`;\nreturn text.length;\n"),
    },
}
"""Makes a script of each kind, of at most so many bytes."""
