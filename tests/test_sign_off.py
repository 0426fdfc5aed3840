"""The lead's way in docs/sign-off.md runs as it is written, from labelled groups to an audit and back.

What a user fills in is filled in: the folders, the checkpoint (a script that says what the photos show, and gives
verdicts that are right), and figures that 40 groups can keep.
"""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from yanshou.cli import main
from yanshou.missions import load_missions
from yanshou.missions.rules import decide
from yanshou.schema.policy import DecisionRecord
from yanshou.schema.records import TruthRecord
from yanshou.schema.summary import parse
from yanshou.stage_b.verdict import write_verdict
from yanshou.storage.jsonl import read_records
from yanshou.world.synth import synthesize

MISSION = "挡风板安装检查"
PAGE = Path(__file__).parents[1] / "docs" / "sign-off.md"
SMALLER = {
    "--checkpoint CHECKPOINT": "--engine scripted --checkpoint script.json",
    "--max-false-release 0.03 --max-false-block 0.1": "--max-false-release 0.5 --max-false-block 0.5",
    "yanshou dataset": "yanshou dataset --val-fraction 0.7",
    "--size 300": "--size 5",
}


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def run(command: str) -> Result:
    for text, smaller in SMALLER.items():
        command = command.replace(text, smaller)
    words = [found for word in shlex.split(command)[1:] for found in expanded(word)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, f"{command}\n{result.output}"
    return result


def expanded(word: str) -> list[str]:
    """The files that a shell would put in place of the word."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LABELLED and NEW with drawn photos, and the script that reads and judges them."""
    monkeypatch.chdir(tmp_path)
    (mission,) = [mission for mission in load_missions() if mission.name == MISSION]
    answers: dict[str, str] = {}
    for name, groups, seed in (("LABELLED", 40, 1), ("drawn", 14, 2)):
        synthesize(tmp_path / name, groups, seed, [mission])
        for _, truth in read_records(tmp_path / name / "truth.jsonl", TruthRecord):
            answers |= script_of(tmp_path / name, truth)
    new = tmp_path / "NEW" / MISSION
    new.mkdir(parents=True)
    for group in (tmp_path / "drawn" / MISSION).glob("*/*"):
        group.rename(new / group.name)
    script = {"answers": answers, "confidence": {"*": 0.9}}
    (tmp_path / "script.json").write_text(json.dumps(script, ensure_ascii=False), encoding="utf-8")
    return tmp_path


def script_of(folder: Path, truth: TruthRecord) -> dict[str, str]:
    """What the photos of one group show, and the verdict of its mission's rule."""
    (photos,) = (folder / MISSION).glob(f"*/{truth.group_id}")
    names = sorted(path.name for path in photos.iterdir())
    decision = decide(load_missions().get(MISSION).rule, map(parse, truth.per_image.values()))
    lines = zip(names, truth.per_image.values(), strict=True)
    verdict = write_verdict(decision.passed, decision.reason)
    return {f"{truth.group_id}/{name}": line for name, line in lines} | {truth.group_id: verdict}


def test_every_command_of_the_page_runs_in_its_order(folder: Path) -> None:
    before = commands()
    while "audit estimate" not in before[0]:
        run(before.pop(0))
    released = decisions(folder)
    assert {"release", "block"} == {line.decision for line in released}
    rows = [f"{MISSION},{line.group_id},,pass,Li,2099-01-01T09:00:00+08:00" for line in released]
    header = "mission,group_id,label_given,label,who,when"
    (folder / "answers.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    for command in before:
        run(command)
    assert (folder / "report" / "policy.json").is_file()
    assert (folder / "audit.json").is_file()


def decisions(folder: Path) -> list[DecisionRecord]:
    file = folder / "new" / "verdicts" / f"{MISSION}_decisions.jsonl"
    return [line for _, line in read_records(file, DecisionRecord)]
