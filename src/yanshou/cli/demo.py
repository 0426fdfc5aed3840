"""Both stages in a minute: photos drawn with known truth, summarised, scored, judged and evaluated.

demo/photos/<mission>/{审核通过|审核不通过}/<group>/*.jpeg     what was drawn, and truth.jsonl
demo/stage_a/<mission>_stage_a.jsonl                           what the checkpoint wrote of each photo
demo/verdicts/<mission>_verdicts.jsonl                         what it says of each group
demo/report/report.html, groups.csv                            every group, beside its label and the rules
"""

import shutil
from pathlib import Path

from yanshou.cli.progress import VERDICTS as VERDICT_UNIT
from yanshou.cli.progress import ProgressView, last_words, page, table
from yanshou.cli.signals import interruptible
from yanshou.cli.tables import evaluation_tables, score_tables
from yanshou.errors import OutputError
from yanshou.evaluate import evaluate, write_groups, write_report
from yanshou.evaluate.summaries import score
from yanshou.missions import load_missions
from yanshou.pipeline.mission_result import MissionResult, exit_status
from yanshou.pipeline.stage import Stage
from yanshou.schema.records import StageARecord
from yanshou.settings import ALL, VERDICT_TOKENS, EngineSettings, JudgeSettings, SamplingSettings, StageASettings
from yanshou.stage_a import summarize
from yanshou.stage_b import judge
from yanshou.storage.jsonl import read_records
from yanshou.world.synth import synthesize

GROUPS = 24
SEED = 20_250_101  # no photo of this seed was trained on
PHOTOS, STAGE_A, VERDICTS, REPORT = "photos", "stage_a", "verdicts", "report"


def run(output_dir: Path) -> int:
    """Draws, summarises, scores, judges, evaluates, prints where everything is. Returns the worst exit status."""
    console = page()
    _clear(output_dir)
    console.print(f"drawing {GROUPS} groups …")
    truth = synthesize(output_dir / PHOTOS, GROUPS, SEED, list(load_missions()))
    summarized = _summarize(output_dir)
    console.print(table(summarized))
    stage_a = [result.lines for result in summarized if result.lines]
    console.print(*score_tables(score(truth, stage_a, load_missions())), sep="\n")
    console.print(f"one of the photos and its line:\n  {_example(stage_a)}", markup=False)
    judged = _judge(output_dir, stage_a) if exit_status(summarized) in (0, 3) and stage_a else []
    verdicts = [result.lines for result in judged if result.lines]
    if verdicts:
        evaluation = evaluate(verdicts, None, load_missions())
        write_groups(evaluation.groups, output_dir / REPORT)
        write_report(evaluation, output_dir / REPORT)
        console.print(*evaluation_tables(evaluation), sep="\n")
    console.print(
        f"photos and truth: {output_dir / PHOTOS}\nsummaries:        {output_dir / STAGE_A}\n"
        f"verdicts:         {output_dir / VERDICTS}\nreport:           {output_dir / REPORT}/report.html",
        markup=False,
    )
    results = [*summarized, *judged]
    for words in last_words(results):
        console.print(words, markup=False)
    return exit_status(results)


def _summarize(output_dir: Path) -> list[MissionResult]:
    settings = StageASettings(
        input_dir=output_dir / PHOTOS,
        output_dir=output_dir / STAGE_A,
        missions=(ALL,),
        engine=EngineSettings(checkpoint="demo"),
    )
    return _run(summarize.prepare(settings, listener=ProgressView()))


def _judge(output_dir: Path, stage_a: list[Path]) -> list[MissionResult]:
    sampling = SamplingSettings(max_new_tokens=VERDICT_TOKENS)
    settings = JudgeSettings(
        stage_a=tuple(stage_a),
        output_dir=output_dir / VERDICTS,
        engine=EngineSettings(checkpoint="demo", sampling=sampling),
    )
    return _run(judge.prepare(settings, listener=ProgressView(unit=VERDICT_UNIT)))


def _run(stage: Stage) -> list[MissionResult]:
    with interruptible(stage.interrupt):
        return stage.run()


def _clear(output_dir: Path) -> None:
    """Removes what an earlier demo left, and nothing else."""
    if not output_dir.exists():
        return
    foreign = {path.name for path in output_dir.iterdir()} - {PHOTOS, STAGE_A, VERDICTS, REPORT}
    if foreign or ((output_dir / PHOTOS).exists() and not (output_dir / PHOTOS / "truth.jsonl").exists()):
        raise OutputError(f"{output_dir} holds something that is no demo. Give another --output-dir.")
    for name in (PHOTOS, STAGE_A, VERDICTS, REPORT):
        shutil.rmtree(output_dir / name, ignore_errors=True)


def _example(files: list[Path]) -> str:
    for file in files:
        for _, record in read_records(file, StageARecord):
            return f"{record.images[0]}\n  {record.clean_texts[0]}"
    return "none was written"
