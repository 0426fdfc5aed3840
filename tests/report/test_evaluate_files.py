"""The files of an evaluation belong together, wherever it is killed."""

from collections.abc import Callable
from pathlib import Path

from support.lines import stage_a_line, verdict
from support.processes import killed_before_each_change

from yanshou.report.evaluate_files import evaluate_files
from yanshou.settings import EvaluateSettings

NAMES = ("report.html", "groups.csv")


def test_a_killed_evaluation_leaves_files_of_one_evaluation(judged: Callable[..., Path], tmp_path: Path) -> None:
    """A report beside the table of another evaluation would be believed. The same command again makes both."""
    out = tmp_path / "out"

    def evaluated(group: str) -> None:
        evaluate_files(EvaluateSettings(verdicts=(judged([verdict(group)], [stage_a_line(group)]),), output_dir=out))

    def left() -> list[set[str]]:
        texts = [(out / name).read_text("utf-8") for name in NAMES if (out / name).exists()]
        return [{group for group in ("QC-OLD", "QC-NEW") if group in text} for text in texts]

    evaluated("QC-OLD")
    old = {name: (out / name).read_bytes() for name in NAMES}
    states = []
    for _ in killed_before_each_change(out, lambda: evaluated("QC-NEW")):
        states.append(left())
        for name, data in old.items():
            (out / name).write_bytes(data)
    assert left() == [{"QC-NEW"}] * 2
    assert [{"QC-OLD"}] * 2 in states
    assert all(state in ([{"QC-OLD"}] * 2, [{"QC-OLD"}], [{"QC-NEW"}], [{"QC-NEW"}] * 2) for state in states)
    evaluated("QC-OLD")
    assert left() == [{"QC-OLD"}] * 2
    assert [path.name for path in out.iterdir() if path.name.endswith((".new", ".tmp"))] == []
