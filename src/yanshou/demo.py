"""The whole of Stage-A in a minute: photos drawn with known truth, summarised by the shipped checkpoint, and scored.

demo/photos/<mission>/{审核通过|审核不通过}/<group>/*.jpeg     what was drawn, and truth.jsonl
demo/stage_a/<mission>_stage_a.jsonl                           what the checkpoint wrote
"""

import shutil
from pathlib import Path

from yanshou.errors import OutputError
from yanshou.interrupt import interruptible
from yanshou.jsonl import read_records
from yanshou.mission_run import exit_status
from yanshou.missions import load_missions
from yanshou.progress import ProgressView, last_words, page, table
from yanshou.records import StageARecord
from yanshou.score import score, tables
from yanshou.settings import ALL, EngineSettings, StageASettings
from yanshou.stage_a import StageA, prepare
from yanshou.world.synth import synthesize

GROUPS = 24
SEED = 20_250_101  # no photo of this seed was trained on
PHOTOS, STAGE_A = "photos", "stage_a"


def run(output_dir: Path) -> int:
    """Draws, summarises, scores, prints where everything is. Returns the exit status of `summarize`."""
    console = page()
    _clear(output_dir)
    console.print(f"drawing {GROUPS} groups …")
    truth = synthesize(output_dir / PHOTOS, GROUPS, SEED, list(load_missions()))
    settings = StageASettings(
        input_dir=output_dir / PHOTOS,
        output_dir=output_dir / STAGE_A,
        missions=(ALL,),
        engine=EngineSettings(checkpoint="demo"),
    )
    found, engine = prepare(settings)
    stage = StageA(settings, engine, ProgressView())
    with interruptible(stage.interrupt):
        results = [stage.run(*one) for one in found]
    console.print(table(results))
    files = [result.lines for result in results if result.lines]
    console.print(*tables(score(truth, files)), sep="\n")
    console.print(f"one of the photos and its line:\n  {_example(files)}", markup=False)
    console.print(f"photos and truth: {output_dir / PHOTOS}\nsummaries:        {output_dir / STAGE_A}", markup=False)
    for words in last_words(results):
        console.print(words, markup=False)
    return exit_status(results)


def _clear(output_dir: Path) -> None:
    """Removes what an earlier demo left, and nothing else."""
    if not output_dir.exists():
        return
    foreign = {path.name for path in output_dir.iterdir()} - {PHOTOS, STAGE_A}
    if foreign or ((output_dir / PHOTOS).exists() and not (output_dir / PHOTOS / "truth.jsonl").exists()):
        raise OutputError(f"{output_dir} holds something that is no demo. Give another --output-dir.")
    for name in (PHOTOS, STAGE_A):
        shutil.rmtree(output_dir / name, ignore_errors=True)


def _example(files: list[Path]) -> str:
    for file in files:
        for _, record in read_records(file, StageARecord):
            return f"{record.images[0]}\n  {record.clean_texts[0]}"
    return "none was written"
