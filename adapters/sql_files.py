"""Named statements, read from the files of `sql/`."""

from collections.abc import Collection, Mapping
from importlib.resources import as_file, files

import aiosql


class StatementsDiffer(Exception):
    """A file of statements and its class do not name the same statements."""


def read_statements(file_name: str, wanted: Collection[str], package: str = "sql") -> Mapping[str, str]:
    """Return the SQL of each statement of a file by name; raises StatementsDiffer if its names are not those wanted."""
    with as_file(files(package) / file_name) as path:
        queries = aiosql.from_path(path, "apsycopg")
    # aiosql adds a variant of its own to each.
    written = {name for name in queries.available_queries if not name.endswith("_cursor")}
    if written != set(wanted):
        missing, unused = sorted(set(wanted) - written), sorted(written - set(wanted))
        raise StatementsDiffer(
            f"{file_name} does not fit the code: missing {missing}, unused {unused}. Correct the file or its class."
        )
    return {name: getattr(queries, name).sql for name in wanted}
