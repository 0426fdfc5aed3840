"""The JSON Schemas in docs/schema are those of the models. `python -m yanshou.schema docs/schema` rewrites them."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.lines import verdict
from support.storage_runs import fault, open_run, record, run_file

from yanshou.schema.__main__ import SCHEMAS, main, render

FOLDER = Path(__file__).parents[2] / "docs/schema"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_is_current_and_every_key_has_a_description(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == render(name)
    schema = json.loads(render(name))
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert [key for key, value in schema["properties"].items() if "description" not in value] == []


def test_the_folder_holds_these_schemas_and_no_other(tmp_path: Path) -> None:
    main(tmp_path)
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(path.name for path in tmp_path.iterdir())


def test_the_keys_are_those_of_real_files_in_their_order(tmp_path: Path) -> None:
    with open_run(tmp_path) as files:
        files.finish("finished", {})
    written: dict[str, dict[str, Any]] = {
        "stage_a_line.json": record(1).model_dump(),
        "verdict_line.json": verdict("QC-1"),
        "errors_line.json": fault(1).model_dump(),
        "run_file.json": run_file(tmp_path),
    }
    for name, fields in written.items():
        schema = json.loads(render(name))
        assert list(schema["properties"]) == list(fields)
        assert schema["required"] == [key for key in fields if key != "summaries_sha256"]  # earlier lines lack it
