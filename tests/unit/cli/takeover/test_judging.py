"""Each fact about the origin gives the finding that an operator needs."""

from datetime import timedelta

import pytest
from attrs import evolve

from domain.scripts.language import Language
from domain.takeover.census import Census
from domain.takeover.inspection import SourceColumn, SourceConstraint, SourceCounts, SourceFunction
from domain.takeover.plan import ClockDifference, Generation, GenerationEvidence, ScriptSurvey, ScriptVerdict
from domain.takeover.scripts import ScriptForm
from entrypoints.cli.doctor.report import Level
from entrypoints.cli.takeover.judging import findings
from entrypoints.cli.takeover.plan_report import has_problem
from tests.unit.takeover.builders import COLUMNS, FACTS, NOW, POLICY, SCHEMA, SERVER, head, table

SECOND = timedelta(seconds=1)
COUNTS = SourceCounts(live=3, retained=0, fenced=0, last_live=SECOND)
VERDICT = ScriptVerdict(Language.PYTHON, "0" * 32, 2, 10, ScriptForm.RESULT, ["P4"], None, checked=True)


def counted(*heads):
    census = Census(POLICY, NOW)
    list(census.add(heads))
    return {"census": census, "counts": COUNTS}


def schema(**changes):
    return {"schema": evolve(SCHEMA, **changes)}


def with_table(**changes):
    return schema(tables={"sessions": table(**changes)})


def with_column(name, type_, *, is_required=False):
    return schema(columns={**COLUMNS, name: SourceColumn(name, type_, is_required)})


def test_an_ordinary_origin_has_no_warning():
    found = list(findings(evolve(FACTS, **counted(head()))))
    assert {each.level for each in found} <= {Level.OK, Level.NOTE}
    assert not has_problem(found)


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"source": evolve(SERVER, version_number=90500)}, Level.PROBLEM, "older than 9.6"),
        ({"source": evolve(SERVER, version_number=100023)}, Level.NOTE, "10 is older than 11"),
        ({"source": evolve(SERVER, is_standby=True)}, Level.NOTE, "it is a standby"),
        ({"target": None, "clock": None}, Level.NOTE, "no database yet"),
        ({"target": SERVER}, Level.PROBLEM, "is the database of the origin"),
        ({"clock": ClockDifference(-6 * SECOND, SECOND)}, Level.PROBLEM, "6.000 s behind this service's"),
        (schema(tables={}) | {"other_schemas": {"old": True, "x": False}}, Level.PROBLEM, "with --schema: old."),
        (schema(columns={}) | {"other_schemas": {"meta": False}}, Level.PROBLEM, "has the tables of this service"),
        (with_table(kind="v"), Level.PROBLEM, "sessions is a view"),
        (with_table(kind="p"), Level.NOTE, "partitioned"),
        (with_table(hides_rows=True), Level.PROBLEM, "row security hides rows"),
        (with_column("context", "text"), Level.PROBLEM, "another type: context"),
        (with_column("expires_at", "timestamp without time zone"), Level.PROBLEM, "have no time zone"),
        (with_column("tenant", "integer", is_required=True), Level.WARNING, "must have a value: tenant"),
        (schema(constraints=[]), Level.PROBLEM, "neither primary key nor unique"),
        (schema(triggers=["update_session_on_execute"]), Level.WARNING, "adds 1 again"),
        (schema(triggers=["calculate_script_hash"]), Level.WARNING, "fails for scripts with a backslash"),
        (schema(triggers=["mine"], rules=["rule"]), Level.WARNING, "further triggers or rules: mine, rule"),
        (schema(constraints=[SourceConstraint("f", "f", "(user_id)")]), Level.NOTE, "in the table of users"),
        (with_table(can_fence=False), Level.NOTE, "lacks rights for adopt"),
        (with_table(can_select=False), Level.PROBLEM, "lacks rights for plan"),
        ({"chosen": Generation.G1}, Level.NOTE, "of generation g1"),
        ({"evidence": GenerationEvidence()}, Level.WARNING, "g1 or g2 or g3"),
        (counted(head(language_title="rust-x")), Level.WARNING, "left, 1 live session: language_not_served"),
        (counted(head(status="odd"), head(status="odd")), Level.NOTE, "with a remark, 2: status_ignored"),
        (counted(head(request_id="0198f0e5-1f3b-7c5d-8e9f-0a1b2c3d4e5f")), Level.WARNING, "1 ids are UUIDv7"),
        ({**counted(head()), "counts": evolve(COUNTS, fenced=2)}, Level.WARNING, "hidden by a takeover"),
        ({**counted(head()), "room_bytes": 10}, Level.PROBLEM, "there is room for 10"),
        ({"scripts": ScriptSurvey([evolve(VERDICT, fault="x")])}, Level.NOTE, "syntax errors in 1 different script"),
        ({"scripts": ScriptSurvey([evolve(VERDICT, checked=False)])}, Level.WARNING, "could not be checked"),
        ({"scripts": ScriptSurvey([VERDICT, VERDICT])}, Level.NOTE, "P4: 2 different scripts, of 4 live sessions"),
        ({"scripts": ScriptSurvey([], 7)}, Level.NOTE, "scripts of 7 further sessions"),
        ({"functions": [SourceFunction("rust-x", "rust", True, True)]}, Level.NOTE, "1 of them in Rust"),
        ({"logs": {"request_logs": 5}}, Level.NOTE, "about 5 rows of logs"),
    ],
)
def test_what_deviates_is_found(changes, level, words):
    found = [each for each in findings(evolve(FACTS, **changes)) if words in f"{each.seen} {each.remedy}"]
    assert [each.level for each in found] == [level], list(findings(evolve(FACTS, **changes)))


def test_variant_d_is_told_with_what_it_lacks():
    columns = {name: column for name, column in COLUMNS.items() if name != "execution_count"}
    seen = [each.seen for each in findings(evolve(FACTS, **schema(columns=columns)))]
    assert any(text.startswith("variant D") for text in seen)
    assert "columns are missing: execution_count" in seen


def test_every_warning_and_problem_has_a_consequence_and_a_remedy():
    everything = schema(
        tables={"sessions": table(kind="v", can_select=False)}, columns={}, constraints=[], triggers=["x"]
    )
    for facts in (evolve(FACTS, **everything), evolve(FACTS, **counted(head(status="odd", language_title="rust-x")))):
        for each in findings(facts):
            assert each.level in {Level.OK, Level.NOTE} or (each.why and each.remedy), each
