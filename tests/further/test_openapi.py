"""The OpenAPI document by the schema of OpenAPI, which takes longer than all other tests of the document."""

import json
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_document_is_openapi_3_1() -> None:
    validator = OpenAPIV31SpecValidator(json.loads(DOCUMENT.read_text()))
    assert [error.message for error in validator.iter_errors()] == []
