"""The lead's way in docs/sign-off.md runs as it is written, from labelled groups to an audit and back.

What a user fills in is filled in: the folders, the checkpoint (a script that says what the photos show, and gives
verdicts that are right), and figures that 40 groups can keep.
"""

import json
import re
import shlex
import signal
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from support.review_client import Connection
from support.review_command import links, served

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
    estimate = ""
    for command in commands():
        if command.startswith("yanshou review "):
            assert {"release", "block"} == {line.decision for line in decisions(folder)}
            read_by_people(command)
        else:
            result = run(command)
            estimate = result.stdout if "audit estimate" in command else estimate
    assert "bad in the sample: 0 of 5 (0.0%): 0 fail, 0 unsure" in estimate
    assert (folder / "report" / "policy.json").is_file()
    assert (folder / "audit.json").is_file()


def read_by_people(command: str) -> None:
    """Serves the page as the command says, and answers every group of the queue with pass, as two readers."""
    words = [found for word in shlex.split(command)[2:] for found in expanded(word)]
    with served(*words) as (process, printed):
        link = urlsplit(links(printed)[0])
        for reader in ("李", "王"):
            page = Connection(int(link.port or 0))
            page.send("GET", f"{link.path}?{link.query}")
            page.send("POST", "/api/name", {"name": reader})
            asked = {"queue": "main", "mission": None, "hold": [], "count": 2}
            while groups := page.send("POST", "/api/next", asked).json()["groups"]:
                for group in groups:
                    answer = {"uid": str(uuid4()), "group": group["id"], "label": "pass", "reason": "", "seconds": 1.0}
                    assert page.send("POST", "/api/answer", answer).status == 200
            page.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def decisions(folder: Path) -> list[DecisionRecord]:
    file = folder / "new" / "verdicts" / f"{MISSION}_decisions.jsonl"
    return [line for _, line in read_records(file, DecisionRecord)]
