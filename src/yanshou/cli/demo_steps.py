"""The steps of `yanshou demo`: photos are drawn with known truth, summarized, scored, judged and evaluated.

demo/photos/<mission>/{审核通过|审核不通过}/<group>/*.jpeg     drawn photos, beside truth.jsonl
demo/stage_a/<mission>_stage_a.jsonl                           the checkpoint's line for each photo
demo/verdicts/<mission>_verdicts.jsonl                         its verdict on each group
demo/report/report.html, groups.csv                            every verdict, beside the label and the rules' verdict
demo/review.sqlite                                             answers, where somebody reads the groups; they are kept
"""

import shlex
import shutil
from pathlib import Path

from yanshou.cli.messages import INDENTED, say
from yanshou.cli.reporter import final_messages, print_tables
from yanshou.cli.run_progress import VERDICTS as VERDICT_UNIT
from yanshou.cli.run_progress import RunProgress
from yanshou.cli.run_table import run_table
from yanshou.cli.signals import interruptible
from yanshou.cli.tables import evaluation_tables, score_tables
from yanshou.errors import OutputError
from yanshou.evaluate.summaries import score
from yanshou.missions import load_missions
from yanshou.pipeline.mission_result import MissionResult, exit_status
from yanshou.pipeline.stage import Stage
from yanshou.report.evaluate_files import evaluate_files
from yanshou.requirements import how_to_install
from yanshou.review.web.packages import packages_are_there
from yanshou.schema.records import StageARecord
from yanshou.settings import ALL, EngineSettings, EvaluateSettings, JudgeSettings, StageASettings, VerdictEngineSettings
from yanshou.stage_a import summarize
from yanshou.stage_b import judge
from yanshou.storage.atomic import write_errors
from yanshou.storage.jsonl import read_records
from yanshou.world.synth import synthesize

GROUPS = 24
SEED = 20_250_101  # no photo of this seed was trained on
PHOTOS, STAGE_A, VERDICTS, REPORT = "photos", "stage_a", "verdicts", "report"
STORE = "review.sqlite"  # its log and its lock are beside it: review.sqlite-wal, .review.sqlite.lock


def run(output_dir: Path) -> int:
    """Draws, summarizes, scores, judges and evaluates; prints where everything is. Returns the worst exit status."""
    clear(output_dir)
    say(f"drawing {GROUPS} groups …")
    truth = synthesize(output_dir / PHOTOS, GROUPS, SEED, list(load_missions()))
    summarized = _summarize(output_dir)
    stage_a = [result.lines for result in summarized if result.lines]
    _section("Stage-A: one summary line per photo, by the checkpoint that ships with yanshou")
    print_tables([run_table(summarized)])
    say(f"one of the photos and its line:\n  {_example(stage_a)}")
    _section("The lines compared with the true summaries of the drawn photos")
    print_tables(score_tables(score(truth, stage_a, load_missions())))
    judged = _judge(output_dir, stage_a) if exit_status(summarized) in (0, 3) and stage_a else []
    verdicts = [result.lines for result in judged if result.lines]
    if verdicts:
        _evaluate(output_dir, verdicts)
    _section("Files")
    say(f"photos and truth: {output_dir / PHOTOS}")
    say(f"summaries:        {output_dir / STAGE_A}")
    say(f"verdicts:         {output_dir / VERDICTS}")
    say(f"report:           {output_dir / REPORT}/report.html")
    results = [*summarized, *judged]
    for message in final_messages(results):
        say(message)
    if verdicts:
        say(f"to judge the groups yourself:{INDENTED}{_review_command(output_dir)}")
    return exit_status(results)


def _summarize(output_dir: Path) -> list[MissionResult]:
    settings = StageASettings(
        input_dir=output_dir / PHOTOS,
        output_dir=output_dir / STAGE_A,
        missions=(ALL,),
        engine=EngineSettings(checkpoint="demo"),
    )
    return _run(summarize.prepare(settings, listener=RunProgress()))


def _judge(output_dir: Path, stage_a: list[Path]) -> list[MissionResult]:
    settings = JudgeSettings(
        stage_a=tuple(stage_a), output_dir=output_dir / VERDICTS, engine=VerdictEngineSettings(checkpoint="demo")
    )
    return _run(judge.prepare(settings, listener=RunProgress(VERDICT_UNIT)))


def _run(stage: Stage) -> list[MissionResult]:
    with interruptible(stage.interrupt):
        return stage.run()


def _evaluate(output_dir: Path, verdicts: list[Path]) -> None:
    evaluation = evaluate_files(EvaluateSettings(verdicts=tuple(verdicts), output_dir=output_dir / REPORT))
    _section("Stage-B: one verdict per group, compared with the labels of the drawn jobs")
    print_tables(evaluation_tables(evaluation))


def _section(title: str) -> None:
    say("")
    say(title)


def clear(output_dir: Path) -> None:
    """Removes the files of an earlier demo, but no answers.

    Raises OutputError where the folder holds anything else, and where a file cannot be removed.
    """
    with write_errors(output_dir):
        if output_dir.exists():
            _clear(output_dir)


def _clear(output_dir: Path) -> None:
    names = {path.name for path in output_dir.iterdir() if not path.name.lstrip(".").startswith(STORE)}
    foreign = names - {PHOTOS, STAGE_A, VERDICTS, REPORT}
    if foreign or ((output_dir / PHOTOS).exists() and not (output_dir / PHOTOS / "truth.jsonl").exists()):
        raise OutputError(f"{output_dir} holds files that are not of a demo. Choose another --output-dir.")
    for folder in (output_dir / name for name in (PHOTOS, STAGE_A, VERDICTS, REPORT)):
        with write_errors(folder):
            if folder.exists():
                shutil.rmtree(folder)


def _review_command(output_dir: Path) -> str:
    """The command that opens the reviewer's page on all groups of the demo."""
    command = shlex.join(["yanshou", "review", "--all-groups", "--store", str(output_dir / STORE)])
    install = "" if packages_are_there() else f"{INDENTED}first: {how_to_install('review')}"
    return f"{command} {shlex.quote(str(output_dir / VERDICTS))}/*_verdicts.jsonl{install}"


def _example(files: list[Path]) -> str:
    for file in files:
        for _, record in read_records(file, StageARecord):
            return f"{record.images[0]}\n  {record.clean_texts[0]}"
    return "none was written"
