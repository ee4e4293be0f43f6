"""What the conformance suite expects, held against the document before the suite runs."""

import tomllib
from pathlib import Path

CONFIGURATION = Path(__file__).parents[3] / "conformance/schemathesis.toml"
ACCEPTANCE = "positive_data_acceptance"


def statuses(checks: dict) -> set[str]:
    return set(map(str, checks.get(ACCEPTANCE, {}).get("expected-statuses", [])))


def test_statuses_of_conditions_that_do_not_hold_are_expected_wherever_they_are_documented(whole):
    configuration = tomllib.loads(CONFIGURATION.read_text())
    everywhere = statuses(configuration["checks"])
    expected = {}
    for group in configuration["operations"]:
        names = group["include-operation-id"]
        for name in [names] if isinstance(names, str) else names:
            found = statuses(group.get("checks", {}))
            assert not (found and expected.get(name)), f"{name} stands twice, and only the first one counts"
            expected[name] = expected.get(name) or found

    missing = {}
    for methods in whole["paths"].values():
        for operation in methods.values():
            name = operation["operationId"]
            conditions = {"304", "412", "416"} & set(operation["responses"])
            missing[name] = conditions - (expected.get(name) or everywhere)

    assert not {name for name, conditions in missing.items() if conditions}
