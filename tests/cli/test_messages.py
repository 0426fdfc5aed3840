"""Promises of `yanshou.cli.messages` and `console`: nothing that comes from outside commands a terminal."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.table import Table
from support.checkpoint_folders import folder
from support.cli_runs import arguments, run
from support.judged_files import write_judged
from support.lines import GROUNDING, SHIELD, stage_a_line, verdict, write_lines

from yanshou.cli.console import SafeConsole
from yanshou.cli.messages import one_message
from yanshou.cli.run_table import name_cell

PhotoTree = Callable[..., Path]
Script = Callable[..., Path]

CLIPBOARD, CLEAR, FORGED = "\x1b]52;c;cm0=\x1b\\", "\x9b2J", "\nerror: no"
HOSTILE = f"g{CLIPBOARD}{CLEAR}{FORGED}\u202e"
SHOWN = r"g\x1b]52;c;cm0=\x1b\\x9b2J\nerror: no\u202e"
OF_RICH = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours, cursor


def on_a_terminal(*args: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "yanshou", *args], stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:  # how Linux reports that the other end is closed
            pass
        os.close(ours)
        process.wait()
    return written.decode().replace("\r\n", "\n")


def test_names_of_folders_and_photos_are_escaped_beside_a_progress_bar(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root = photo_tree({f"{SHIELD}/审核通过/{HOSTILE}": ["1.jpg", f"{HOSTILE}.jpg"]})
    (root / SHIELD / "审核通过" / HOSTILE / f"{HOSTILE}.jpg").write_bytes(b"no photo")
    (root / SHIELD / "审核通过" / HOSTILE / f"{HOSTILE}.txt").touch()
    job = {"engine": "scripted", "checkpoint": str(script()), "input-dir": str(root), "mission": SHIELD}
    printed = on_a_terminal("summarize", *arguments({**job, "output-dir": str(tmp_path / "out")}), "-v")
    assert "\x1b[" in printed  # the bar is drawn
    text = OF_RICH.sub("", printed)
    assert re.findall(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text) == []
    assert f"left out 1 × file that is not JPEG or PNG by its name: 审核通过/{SHOWN}/{SHOWN}.txt" in text
    assert f"{SHOWN}.jpg: not a photo but text" in text
    assert not [line for line in text.splitlines() if line.startswith("error: no")]


@pytest.mark.parametrize(
    "args",
    [
        ["evaluate", "{file}", "--output-dir", "{out}"], ["judge", "--rules", "{file}", "--output-dir", "{out}"],
        ["dataset", "{file}", "--output-dir", "{out}"], ["score", "--truth", "{file}", "--stage-a", "{file}"],
        ["summarize", "--checkpoint", "{file}", "--engine", "scripted", "--input-dir", "{file}", "--output-dir",
         "{out}", "--mission", "all"],
        ["summarize", "--checkpoint", "demo", "--input-dir", "{out}", "--output-dir", "{out}", "--mission", HOSTILE],
        ["judge", "--threshold", "{file}", "{file}", "--output-dir", "{out}"], ["{file}"], ["judge", "--{file}"],
        ["--{file}"], ["synth", "--groups", "1", "--output-dir", "{file}"],
    ],
)  # fmt: skip
def test_every_command_escapes_what_it_was_given(args: list[str], tmp_path: Path) -> None:
    file = tmp_path / HOSTILE
    file.write_text(f'{{"{HOSTILE}": 1}}'.replace("\n", "\\n"), encoding="utf-8")
    ran = run(*(word.format(file=file, out=tmp_path / "out") for word in args))
    assert ran.exit_code in (1, 2)
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ran.output) == []
    assert not [line for line in ran.output.splitlines() if line.startswith("error: no")]
    assert r"\x1b]52;c" in ran.output


def test_the_same_characters_are_data_in_json(tmp_path: Path) -> None:
    line = verdict(HOSTILE, "pass", "pass")
    verdicts = write_judged(tmp_path, [line], [stage_a_line(HOSTILE, "pass")])
    ran = run("evaluate", str(verdicts), "--output-dir", str(tmp_path / "out"), "--json", "--lang", "en")
    assert [json.loads(ran.stdout)["overall"]["judge"]["groups"], ran.exit_code] == [1, 0]
    folder = tmp_path / HOSTILE
    folder.mkdir()
    file = write_lines(folder / f"{GROUNDING}_verdicts.jsonl", [line])
    ran = run("evaluate", str(file), "--stage-a", str(tmp_path / f"{GROUNDING}_stage_a.jsonl"), "--output-dir",
              str(tmp_path / "out"), "--json")  # fmt: skip
    assert json.loads(ran.stdout)["verdict_files"] == [str(file)]
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ran.stdout) == []


def test_only_an_indented_line_continues_a_message() -> None:
    assert one_message("settings differ:\n  a\n  b\x1b") == "settings differ:\n  a\n  b\\x1b"
    assert one_message("a\nwarning: b\r\n c") == r"a\nwarning: b\r\n c"


def test_tables_and_texts_read_no_markup_and_send_no_control_characters() -> None:
    shown = io.StringIO()
    console = SafeConsole(file=shown, force_terminal=True, width=60, markup=False, emoji=False)
    table = Table("name", box=None)
    table.add_row(name_cell(f"[red]{CLEAR}[/nothing]"))
    console.print(table, f":smile: {CLIPBOARD}", sep="\n")
    assert OF_RICH.sub("", shown.getvalue()).split() == [
        "name", r"[red]\x9b2J[/nothing]", ":smile:", r"\x1b]52;c;cm0=\x1b" + "\\",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "files",
    [
        {"config__json": json.dumps({"model_type": HOSTILE})},
        {"config__json": json.dumps({"model_type": "qwen3_vl", "quantization_config": {"quant_method": HOSTILE}})},
        {"model__safetensors__index__json": json.dumps({"weight_map": {HOSTILE: HOSTILE}})},
        {"preprocessor_config__json": json.dumps({"rescale_factor": HOSTILE})},
        {"chat_template__jinja": f"{{{{ raise_exception({HOSTILE!r}) }}}}"},
    ],
)
def test_doctor_escapes_what_a_checkpoint_says(tmp_path: Path, files: dict[str, str]) -> None:
    ran = run("doctor", "--checkpoint", str(folder(tmp_path / "checkpoint", **files)))
    assert ran.exit_code == 1
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ran.output) == []
    assert not [line for line in ran.output.splitlines() if line.startswith("error: no")]
