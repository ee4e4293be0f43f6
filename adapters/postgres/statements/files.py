"""A file of `sql/`, read into the class that names its statements."""

from typing import TypeVar

from attrs import fields

from adapters.postgres.connections.statement import Statement
from adapters.sql_files import read_statements

Holder = TypeVar("Holder")

UNPREPARED = {"prepare": False}
"""Metadata of a statement that is planned for each set of values."""


def load(holder: type[Holder], file_name: str, package: str = "sql") -> Holder:
    """Read one file into its holder; raises StatementsDiffer if a statement is missing or unused."""
    prepared = {wanted.name: wanted.metadata.get("prepare", True) for wanted in fields(holder)}  # type: ignore[arg-type]  # each is an attrs class
    read = read_statements(file_name, prepared, package)
    return holder(**{name: Statement(name, sql, prepared[name]) for name, sql in read.items()})
