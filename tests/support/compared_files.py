"""Two files about the same groups, the run files beside them, and `yanshou compare` on them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from support.lines import BAD, GOOD, SHIELD, TIMESTAMP, stage_a_line, verdict, write_lines
from support.photos import photo_file
from yanshou.cli import main
from yanshou.schema.run_record import RunRecord
from yanshou.storage.jsonl import dump_line


def write_side(folder: Path, lines: Iterable[dict[str, Any]], kind: str = "stage_a", **settings: Any) -> Path:
    """Writes one side; with settings, its run file, too. `environment` is that of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    file = write_lines(folder / f"m_{kind}.jsonl", lines)
    if settings:
        environment = settings.pop("environment", {})
        run = RunRecord(
            format=1, yanshou="0", status="finished", counts={}, runs=1, started=TIMESTAMP, updated=TIMESTAMP,
            settings=settings, environment=environment, earlier_environments=[],
        )  # fmt: skip
        file.with_suffix(".run.json").write_bytes(dump_line(run))
    return file


def run_compare(a: Path, b: Path, output_dir: Path, *more: str) -> Result:
    command = ["compare", str(a), str(b), "--output-dir", str(output_dir), *more]
    return CliRunner().invoke(main, command, catch_exceptions=False)


def compared(a: Path, b: Path, output_dir: Path, *more: str) -> dict[str, Any]:
    """What --json says."""
    result = run_compare(a, b, output_dir, "--json", *more)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def changes(output_dir: Path) -> list[dict[str, Any]]:
    """The lines of changes.jsonl."""
    return [json.loads(line) for line in (output_dir / "changes.jsonl").read_text("utf-8").splitlines()]


def changed_sides(folder: Path) -> tuple[Path, Path]:
    """Two Stage-A files with every kind of change, and photos that are upright, rotated, damaged and gone."""
    photos = [str(photo_file(folder / "照 片#1" / f"QC-1_{n}.jpg", orientation=1 + 5 * (n == 2))) for n in (1, 2, 3)]
    Path(photos[2]).write_bytes(b"\xff\xd8 torn")
    screws = GOOD.rpartition("，")[0]
    a = [
        stage_a_line("QC-1", "fail", GOOD, "标签/A×1", "无关图片×1", images=photos),
        stage_a_line("QC-2", "pass", "挡风板/华为,安装方向正确×2，标签/B×1", mission=SHIELD),
        stage_a_line("QC-3", "pass", GOOD),
        stage_a_line("QC-4", "pass", GOOD, "标签/A×1"),
        stage_a_line("QC-5", "pass", GOOD),
    ]
    b = [
        stage_a_line("QC-1", "fail", f"{screws}，{BAD}", "标签/A×1，标签/C×1", "标签/D×1", images=photos),
        stage_a_line("QC-2", "pass", "挡风板/华为,安装方向正确×1，标签/B×1", mission=SHIELD),
        stage_a_line("QC-3", "pass", GOOD.replace("螺丝、光纤插头/", "螺丝/")),
        stage_a_line("QC-4", "pass", GOOD),
        stage_a_line("QC-5", "pass", GOOD),
    ]
    prompts = {"system": "你是验收员"}
    return (
        write_side(folder / "a", a, checkpoint="4f0c" * 16, dtype="bfloat16", prompts=prompts),
        write_side(folder / "b", b, checkpoint="77aa" * 16, dtype="bfloat16", prompts=prompts),
    )


def flipped_sides(folder: Path) -> tuple[Path, Path]:
    """Two files of verdicts with a flip of every kind."""
    a = [
        verdict("QC-1", "fail", "fail", 0.2), verdict("QC-2", "pass", "pass", 0.8), verdict("QC-3", None, "pass", 0.9),
        verdict("QC-4", "fail", "pass", 0.7), verdict("QC-5", "pass", "pass", 0.95),
    ]  # fmt: skip
    says = {"pass": "fail", "fail": "pass"}
    b = [{**line, "verdict": says[line["verdict"]], "p_pass": 0.5, "reason": "没有看到地排"} for line in a[:4]]
    return write_side(folder / "a", a, "verdicts"), write_side(folder / "b", [*b, a[4]], "verdicts")
