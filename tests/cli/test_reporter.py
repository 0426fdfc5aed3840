"""Promises of `yanshou.cli.reporter`: what failed and what to do is always printed."""

from pathlib import Path

from yanshou.cli.reporter import file_summary, final_messages
from yanshou.pipeline.mission_result import MissionResult


def test_the_final_messages_name_what_failed_and_what_to_do() -> None:
    errors = Path("out/errors.jsonl")
    results = [
        MissionResult("a", groups=5, written=5),
        MissionResult("b", groups=5, written=3, failed=2, errors=errors),
        MissionResult("c", error="out/c.jsonl: another run is writing it."),
        MissionResult("d", groups=9, written=1, failed=1, interrupted=True, errors=errors),
    ]
    assert final_messages(results) == [
        f"b: 2 of 5 groups failed: see {errors}. Run the same command again to retry only these.",
        "error: out/c.jsonl: another run is writing it.",
        "d: interrupted. Run the same command again to resume.",
        f"d: 1 of 9 groups failed: see {errors}. Run the same command again to retry only these.",
    ]


def test_an_out_of_memory_error_is_reported_with_its_cure_although_the_run_continued() -> None:
    (message,) = final_messages([MissionResult("a", groups=5, written=5, out_of_memory=2)])
    assert message == (
        "a: the GPU ran out of memory 2 time(s); the run continued with smaller batches. To avoid it, lower "
        "--gpu-memory (continuous engine) or --batch-size (transformers engine)."
    )


def test_the_file_summary_says_where_the_lines_are_and_how_many_verdicts_a_threshold_changed() -> None:
    lines = Path("out/a.jsonl")
    results = [MissionResult("a", groups=9, written=2, skipped=5, revised=3, lines=lines), MissionResult("b")]
    assert file_summary(results) == [f"7 of 9 groups are in {lines}; the other threshold changed 3 verdicts"]
