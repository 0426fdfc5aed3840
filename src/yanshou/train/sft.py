"""Rows with answers, for a checkpoint that has not learnt the two lines of a verdict yet.

    solution 通过, rule 通过       通过 ⏎ 理由: 有图片_1 挡风板/华为,安装方向正确×1      the rule's reason
    solution 不通过, rule 通过     不通过 ⏎ 理由: 摘要中的内容不符合通过条件              a general reason

The first line is always the human label. The reason is the rule's if the rule gives the same verdict.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yanshou.errors import InputError, UsageError
from yanshou.missions import Mission, Missions
from yanshou.missions.rules import decide
from yanshou.schema.summary import parse
from yanshou.stage_b.dataset_rows import ReasonedRow, read_rows
from yanshou.stage_b.verdict import VERDICT_WORDS, write_verdict
from yanshou.storage.file_set import replace_together
from yanshou.storage.jsonl import dump_line

GENERAL_REASONS = {  # where the rule contradicts the label
    True: "摘要中的内容符合通过条件",
    False: "摘要中的内容不符合通过条件",
}


def write_rows(targets: Mapping[Path, Path], missions: Missions) -> None:
    """Writes the rows of training files with their answers. `targets`: by target, the file with its rows."""
    replace_together(
        {target: b"".join(map(dump_line, _answered(source, missions))) for target, source in targets.items()}
    )


def answer(row: ReasonedRow, mission: Mission) -> str:
    """The two lines that the checkpoint learns."""
    passed = VERDICT_WORDS[row.solution]
    decision = decide(mission.rule, [parse(line) for line in row.summaries])
    return write_verdict(passed, decision.reason if decision.passed == passed else GENERAL_REASONS[passed])


def _answered(source: Path, missions: Missions) -> Iterator[dict[str, Any]]:
    for number, row in read_rows(source, ReasonedRow):
        try:
            mission = missions.get(row.mission)
        except UsageError as error:
            raise InputError(f"{source}:{number}: {error}") from error
        messages = [message.model_dump() for message in row.messages]
        yield {"messages": [*messages, {"role": "assistant", "content": answer(row, mission)}]}
