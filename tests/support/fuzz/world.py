"""The files that the fuzz test damages: one of every kind, made by the commands themselves.

in/<mission>/…                    photos (the script answers without reading them)
script.json, verdicts.json        what the scripted engine says
mission.toml, system.txt          a mission and a prompt of the user's own
a/<mission>_stage_a.*             lines, errors file, run file of `summarize`; one group failed
v/<mission>_verdicts.*            the same of `judge`; one group failed
d/train.jsonl, val.jsonl, …       `dataset`
truth.jsonl                       for `score`
../checkpoint                     the shipped checkpoint; its weights are links
"""

import json
import os
import shutil
from importlib import resources
from pathlib import Path

from support.cli_runs import run
from support.lines import BAD, GOOD, LABEL_DIRS, truth_line, write_lines

MISSION = "抱杆检查"
TOML = f"""name = "{MISSION}"
aliases = ["抱杆"]
focus = "本检查项重点关注BBU设备。"

[rule]
text = "必须看到BBU设备。"
require = [["BBU设备"]]
forbid = ["*/不符合要求"]
"""
GROUPS = {  # label and lines; no two groups have the same lines, which would keep them on one side of a split
    f"QC-{number}": ("fail" if number % 2 else "pass", [f"{GOOD}，电线/捆扎整齐×{number}", BAD][: 1 + number % 2])
    for number in range(1, 7)
}
STAGE_A, VERDICTS = f"a/{MISSION}_stage_a", f"v/{MISSION}_verdicts"
OWN = ("--mission-file", "mission.toml")
SUMMARIZE = (
    "summarize", "--engine", "scripted", "--checkpoint", "script.json", "--input-dir", "in", "--output-dir", "a",
    "--mission", MISSION, "--system-prompt", "system.txt", *OWN, "--json",
)  # fmt: skip
JUDGE = (
    "judge", "--engine", "scripted", "--checkpoint", "verdicts.json", "--output-dir", "v", f"{STAGE_A}.jsonl", *OWN,
    "--json",
)  # fmt: skip
RULES = ("judge", "--rules", "--output-dir", "r", f"{STAGE_A}.jsonl", *OWN, "--json")
DATASET = ("dataset", f"{STAGE_A}.jsonl", "--output-dir", "d", "--val-fraction", "0.4", *OWN, "--json")
EVALUATE = ("evaluate", f"{VERDICTS}.jsonl", "--output-dir", "e", *OWN, "--json")
SCORE = ("score", "--truth", "truth.jsonl", "--stage-a", f"{STAGE_A}.jsonl", *OWN, "--json")
TRAIN = (
    "train", "--checkpoint", "../checkpoint", "--train-file", "d/train.jsonl", "--val-file", "d/val.jsonl",
    "--output-dir", "t", "--dry-run", "--device", "cpu",
)  # fmt: skip
DOCTOR = ("doctor", "--checkpoint", "../checkpoint")


def build(folder: Path) -> None:
    """Makes the files in `folder`, which becomes the working folder, and the checkpoint beside it."""
    folder.mkdir()
    os.chdir(folder)
    for group, (label, texts) in GROUPS.items():
        place = Path("in") / MISSION / LABEL_DIRS[label] / group
        place.mkdir(parents=True)
        for number in range(1, len(texts) + 1):
            (place / f"{number}.jpg").write_text(f"{group} {number}")
    answers = {f"{group}/{n}.jpg": text for group, (_, texts) in GROUPS.items() for n, text in enumerate(texts, 1)}
    del answers["QC-6/1.jpg"]
    _write("script.json", {"answers": answers, "decode": False})
    _write("verdicts.json", {"answers": {"QC-5": "？", "*": "通过\n理由: 有图片_1"}, "decode": False})
    Path("mission.toml").write_text(TOML, encoding="utf-8")
    Path("system.txt").write_text("看图，只写一行中文摘要。\n", encoding="utf-8")
    write_lines(Path("truth.jsonl"), [truth_line(group, *_labelled(group), mission=MISSION) for group in GROUPS])
    for command, status in ((SUMMARIZE, 3), (JUDGE, 3), (DATASET, 0)):
        ran = run(*command)
        assert ran.exit_code == status, ran.output
    _link_checkpoint(folder.parent / "checkpoint")


def _labelled(group: str) -> tuple[str, ...]:
    label, texts = GROUPS[group]
    return (label, *texts)


def _write(name: str, content: object) -> None:
    Path(name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _link_checkpoint(folder: Path) -> None:
    folder.mkdir()
    shipped = Path(str(resources.files("yanshou.world"))) / "checkpoint"
    for file in shipped.iterdir():
        if file.suffix == ".safetensors":
            (folder / file.name).symlink_to(file)
        else:
            shutil.copy(file, folder)
