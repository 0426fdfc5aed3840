"""`python -m yanshou.schema docs/schema`: writes the JSON Schemas of the files that other programs read."""

import json
import sys
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from yanshou.schema.answer_line import AnswerLine
from yanshou.schema.audit import Audit
from yanshou.schema.policy import DecisionRecord, Policy
from yanshou.schema.records import Fault, StageARecord, VerdictRecord
from yanshou.schema.run_record import RunRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, tuple[str, type[BaseModel]]] = {  # file → what it describes, model
    "stage_a_line.json": ("One line of <mission>_stage_a.jsonl", StageARecord),
    "verdict_line.json": ("One line of <mission>_verdicts.jsonl", VerdictRecord),
    "errors_line.json": ("One line of <mission>_stage_a.errors.jsonl and <mission>_verdicts.errors.jsonl", Fault),
    "answer_line.json": ("One line of <labels>.answers.jsonl of yanshou review-export", AnswerLine),
    "audit.json": ("audit.json", Audit),
    "decision_line.json": ("One line of <mission>_decisions.jsonl", DecisionRecord),
    "policy.json": ("policy.json of yanshou evaluate", Policy),
    "run_file.json": ("<mission>_stage_a.run.json and <mission>_verdicts.run.json", RunRecord),
}


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leaves out titles that only repeat the field's name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def render(name: str) -> str:
    """The text of one schema file."""
    title, model = SCHEMAS[name]
    schema = model.model_json_schema(schema_generator=_WithoutFieldTitles, mode="serialization")
    return json.dumps({"$schema": DIALECT, **schema, "title": title}, ensure_ascii=False, indent=2) + "\n"


def main(folder: Path) -> None:
    """Writes all schema files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SCHEMAS:
        (folder / name).write_text(render(name), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m yanshou.schema FOLDER")
    main(Path(sys.argv[1]))
