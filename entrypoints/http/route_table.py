"""From method and path to the operation."""

from collections.abc import Iterable, Mapping

from attrs import define, field

from entrypoints.http.errors import MethodNotAllowed, RouteNotFound
from entrypoints.http.route import Route


@define
class _Node:
    """One step of a path: literal segments lead on by name, any other by the parameter."""

    literals: dict[str, "_Node"] = field(factory=dict)
    parameter: str | None = None
    following: "_Node | None" = None
    methods: dict[str, Route] = field(factory=dict)

    def step(self, segment: str) -> "_Node":
        """Return the node behind a segment of a template, made if need be."""
        if not segment.startswith("{"):
            return self.literals.setdefault(segment, _Node())
        name = segment[1:-1]
        assert self.parameter in (None, name), f"one place, two names: {self.parameter} and {name}"
        self.parameter = name
        self.following = self.following or _Node()
        return self.following


class RouteTable:
    """Finds operations by exact comparison of path segments; HEAD is answered where GET is."""

    def __init__(self, operations: Iterable[Route]) -> None:
        self._root = _Node()
        for operation in operations:
            self._add(operation)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """Return the operation and the texts of its parameters. Raises RouteNotFound or MethodNotAllowed."""
        texts: dict[str, str] = {}
        node = self._root
        for segment in path.split("/"):
            following = node.literals.get(segment)
            if following is None:
                following = node.following
                if following is None or not segment:
                    raise RouteNotFound
                texts[node.parameter or ""] = segment
            node = following
        operation = node.methods.get(method)
        if operation is None:
            raise MethodNotAllowed(tuple(sorted(node.methods))) if node.methods else RouteNotFound
        return operation, texts

    def _add(self, operation: Route) -> None:
        node = self._root
        for segment in operation.path.split("/"):
            node = node.step(segment)
        assert operation.method not in node.methods, f"twice: {operation.method} {operation.path}"
        node.methods[operation.method] = operation
        if operation.method == "GET":
            node.methods["HEAD"] = operation
