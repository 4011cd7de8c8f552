"""The JSON schema of a study.toml, made from its types: editors complete and check with it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cimbo.config.tables import StudyTable

SCHEMA_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def study_schema() -> dict[str, Any]:
    """Make the schema, as an editor takes it.

    Returns:
        A JSON schema of a study.toml.
    """
    schema: dict[str, Any] = msgspec.json.schema(StudyTable)
    study = schema["$defs"]["StudyTable"]
    network = schema["$defs"]["NetworkTable"]
    # A study needs all required tables, or one that it extends, which may have them.
    study["anyOf"] = [{"required": ["extends"]}, {"required": study["required"]}]
    study["required"] = []
    network["required"] = []
    return {"$schema": SCHEMA_DRAFT, "title": "A study of cimbo", **schema}


def schema_text() -> str:
    """Write what stands in ``presets/study.schema.json``.

    Returns:
        The schema as JSON, with a newline at its end.
    """
    return json.dumps(study_schema(), indent=1) + "\n"


if __name__ == "__main__":  # python -m cimbo.config.schema > cimbo/config/presets/study.schema.json
    print(schema_text(), end="")
