"""Do rewards and dataset work in TRL's trainer unchanged? Runs the code of docs/grpo.md on the demo checkpoint.

    python3 -m venv trl-env                              # separate from ms-swift's environment, whose TRL is older
    trl-env/bin/pip install --upgrade trl .
    trl-env/bin/python benchmarks/trl_step.py

Draws jobs of the demo world, writes train.jsonl with the code of `yanshou dataset`, and runs the code that the page
shows under "TRL", with CHECKPOINT and HERE filled in. It checks that rewards are finite, that weights change, and that
the final checkpoint gives a verdict. The temperature is raised: at 0.7 the demo checkpoint is so certain that all
answers of a group have the same reward, and no weight would change.
"""

import argparse
import math
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

from safetensors.torch import load_file

from yanshou.engines import Completion, Request
from yanshou.engines.checkpoint import locate
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.missions import load_missions
from yanshou.missions.prompts import verdict_prompt
from yanshou.schema.records import StageARecord, image_key, now
from yanshou.settings import DatasetSettings, EngineSettings, SamplingSettings
from yanshou.stage_b.dataset import build_dataset
from yanshou.stage_b.verdict import read_verdict
from yanshou.world.jobs import Job, random_job

PAGE = Path(__file__).parents[1] / "docs" / "grpo.md"
FINITE = (
    *("loss", "grad_norm", "reward", "rewards/label/mean", "rewards/format_/mean", "rewards/grounded/mean"),
    *("frac_reward_zero_std", "kl"),
)
HERE = {"use_cpu=False": "use_cpu=True", "temperature=0.7": "temperature=1.5", "top_p=0.9": "top_p=1.0"}


def filled(code: str, values: Mapping[str, str]) -> str:
    for shown, value in values.items():
        assert code.count(shown) == 1, shown
        code = code.replace(shown, value)
    return code


def write_dataset(folder: Path, groups: int, seed: int = 0, photos: int = 0, val_fraction: float = 0.1) -> None:
    """Writes data/train.jsonl and data/val.jsonl of drawn jobs. `photos`: of each group; 0: as many as it has."""
    rng, named = Random(f"trl:{seed}"), list(load_missions())
    jobs = [random_job(rng, named[number % len(named)]) for number in range(groups)]
    stage_a = folder / "stage_a.jsonl"
    lines = [_record(job, f"QC-20261124-{number:07}", photos).model_dump_json() for number, job in enumerate(jobs)]
    stage_a.write_text("\n".join(lines) + "\n", encoding="utf-8")
    build_dataset(DatasetSettings(stage_a=(stage_a,), output_dir=folder / "data", val_fraction=val_fraction))


def snippet() -> str:
    """The code that docs/grpo.md shows."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("\n## TRL\n")
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found, PAGE
    return found[1]


def _record(job: Job, group_id: str, photos: int = 0) -> StageARecord:
    lines = job.lines()
    lines = list(islice(cycle(lines), photos or len(lines)))
    return StageARecord(
        group_id=group_id, mission=job.mission.name, label=job.label, timestamp=now(),
        images=[f"{group_id}-{number}.jpeg" for number, _ in enumerate(lines, 1)],
        per_image={image_key(number): line for number, line in enumerate(lines, 1)},
        raw_texts=lines, clean_texts=lines,
    )  # fmt: skip


def _weights(folder: Path) -> dict[str, Any]:
    return {name: weight for path in folder.glob("*.safetensors") for name, weight in load_file(path).items()}


def _changed(before: Path, after: Path) -> list[str]:
    old, new = _weights(before), _weights(after)
    return [name for name, weight in new.items() if not weight.equal(old[name].to(weight.dtype))]


def _verdict(checkpoint: Path) -> str:
    """A verdict of yanshou's own engine with the trained checkpoint."""
    job = random_job(Random(1), next(iter(load_missions())))
    engine = TransformersEngine(
        EngineSettings(checkpoint=str(checkpoint), device="cpu", sampling=SamplingSettings(max_new_tokens=128))
    )
    (answer,) = engine.generate([Request(0, verdict_prompt(job.mission, job.lines()), None)])
    assert isinstance(answer, Completion), answer
    return answer.text


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description="Runs the code of docs/grpo.md in TRL's trainer.")
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    print(*(f"{name} {version(name)}" for name in ("trl", "transformers", "torch", "datasets")), flush=True)
    demo, here = locate("demo"), Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            write_dataset(Path(name), given.groups, given.seed)
            names: dict[str, Any] = {}
            exec(filled(snippet(), {"CHECKPOINT": str(demo), **HERE}), names)
            steps = [line for line in names["trainer"].state.log_history if "reward" in line]
            changed = _changed(demo, Path("run/final"))
            text = _verdict(Path("run/final"))
        finally:
            os.chdir(here)
    assert steps
    assert all(math.isfinite(step[name]) for step in steps for name in FINITE), steps
    assert any(step["kl"] > 0 for step in steps), steps  # a very small one is rounded to 0
    assert changed
    assert not [weight for weight in changed if "visual" in weight], changed
    assert read_verdict(text).passed is not None, text
    print(f"{len(changed)} weights changed, none of the vision tower. run/final answers {text!r}")
    return steps


if __name__ == "__main__":
    sys.exit(not main())
