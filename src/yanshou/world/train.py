"""Trains the demo checkpoint from scratch on freshly drawn photos.

    python -m yanshou.world.train --output-dir runs/demo --minutes 18 --device cuda
    python -m yanshou.world.train --output-dir runs/try --steps 3 --batch-size 4 --device cpu --workers 0

`output-dir` holds the checkpoint folder (bf16, any engine loads it), `state.safetensors` to go on from, and
`training.jsonl` with the figures. The same command again goes on where the last one stopped: at its `--steps` or
`--minutes`, whichever comes first, or at `--pause-after` minutes of this call. The state is saved at each exam too.
"""

import copy
import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

from yanshou.engines import checkpoint
from yanshou.world.batched_forward import BatchedForward
from yanshou.world.evaluation import Evaluator
from yanshou.world.model import write_untrained
from yanshou.world.training_batches import IGNORED, VERDICT_EVERY, TrainBatch, TrainBatches

if TYPE_CHECKING:
    from transformers import Qwen3VLProcessor

SHARD = "14MB"  # a file of the weights at most
STATE = "state.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's, one of each a parameter
LOG_EVERY = 50  # steps


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast."""

    output_dir: Path
    steps: int  # in all, over every call
    minutes: float  # of training in all, over every call
    pause_after: float  # minutes of this call
    batch_size: int  # photos a step
    learning_rate: float
    warmup: int  # steps
    device: str
    workers: int  # processes that draw; 0: this one
    seed: int
    exam: int  # photos
    exam_every: int  # steps
    close_ups: int  # steps, the first ones
    verdict_every: int  # one step in so many is of verdicts
    compile: bool


class Trainer:
    """Model, optimizer, and how far they have come."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        if not (plan.output_dir / "config.json").exists():
            write_untrained(plan.output_dir, seed=plan.seed)
        self.processor: Qwen3VLProcessor = AutoProcessor.from_pretrained(plan.output_dir)
        self.model = Qwen3VLForConditionalGeneration.from_pretrained(plan.output_dir, dtype=torch.float32)
        self.model.to(plan.device)
        forward = BatchedForward(self.model)
        self.forward = torch.compile(forward, dynamic=False) if plan.compile else forward
        self.optimizer = torch.optim.AdamW(
            _decayed(self.model), lr=plan.learning_rate, betas=(0.9, 0.98), fused=plan.device != "cpu"
        )
        self.exam = Evaluator(self.processor, plan.device, plan.exam)
        self.step, self.seconds = 0, 0.0  # done so far, over every call
        self._restore()

    def run(self) -> None:
        """Trains until the plan or this call's time ends, examines, and saves."""
        if self.progress >= 1:
            self._save_checkpoint()  # the last call may have been killed before it did
            click.echo(f"finished at step {self.step}. More --steps or --minutes go on.", err=True)
            return
        began, before = time.monotonic(), self.seconds
        for lesson in self._lessons():
            loss = self._learn(lesson)
            self.step += 1
            self.seconds = before + time.monotonic() - began
            if self.step % LOG_EVERY == 0:
                self._log_loss(lesson, loss)
            if self.progress >= 1 or self.seconds - before > self.plan.pause_after * 60:
                break
            if self.step % self.plan.exam_every == 0:
                self._examine_and_save()
        self._examine_and_save()

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end, by steps or by time, whichever is further."""
        return max(self.step / self.plan.steps, self.seconds / 60 / self.plan.minutes)

    def _lessons(self) -> Iterator[TrainBatch]:
        plan, workers = self.plan, self.plan.workers
        lessons = TrainBatches(
            self.processor, plan.seed, plan.batch_size, self.step, plan.steps, plan.close_ups, plan.verdict_every
        )
        return iter(
            torch.utils.data.DataLoader(
                lessons, batch_size=None, num_workers=workers, prefetch_factor=2 if workers else None
            )
        )

    def _rate(self) -> float:
        """Linear warm-up, then a cosine from all of the learning rate to a hundredth of it."""
        warm = min(1.0, (self.step + 1) / self.plan.warmup)
        return self.plan.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress))))

    def _learn(self, lesson: TrainBatch) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        loss = self._loss(lesson)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _loss(self, lesson: TrainBatch) -> Tensor:
        device = self.plan.device
        ids, targets = lesson.ids.to(device), lesson.targets[:, lesson.answer_from :].to(device)
        photos = None if lesson.photos is None else lesson.photos.to(device)
        with torch.autocast("cuda", torch.bfloat16, enabled=device != "cpu"):
            logits = self.forward(ids, lesson.start, photos, lesson.answer_from)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)

    def _log_loss(self, lesson: TrainBatch, loss: Tensor) -> None:
        kind = "verdict" if lesson.photos is None else "summary"
        self._log(loss=round(float(loss), 4), kind=kind, lr=self._rate(), photos=self.step * self.plan.batch_size)

    def _log(self, **figures: float | str) -> None:
        line = json.dumps({"step": self.step, "seconds": round(self.seconds, 1), **figures})
        click.echo(line)
        with (self.plan.output_dir / "training.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _examine_and_save(self) -> None:
        self._log(**self.exam.sit(self.model))
        self._save_state()
        self._save_checkpoint()

    def _save_state(self) -> None:
        """Weights and optimizer, fp32: the old file or the new one, whole."""
        path = self.plan.output_dir / STATE
        draft = path.with_suffix(".tmp")
        figures = {"step": str(self.step), "seconds": str(self.seconds)}
        save_file({name: tensor.contiguous() for name, tensor in self._state()}, draft, figures)
        draft.replace(path)

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield f"weight.{name}", parameter.detach()
            for moment in MOMENTS:
                yield f"{moment}.{name}", self.optimizer.state[parameter][moment]

    def _save_checkpoint(self) -> None:
        """bf16 in shards. Drawn up beside the old files, which go last: a killed save leaves a folder that loads."""
        folder = self.plan.output_dir
        draft = folder / "draft"
        model = copy.deepcopy(self.model).to(torch.bfloat16)
        for part in (model.config, model.config.text_config, model.config.vision_config):
            part.dtype = torch.bfloat16
        model.save_pretrained(draft, max_shard_size=SHARD)
        checkpoint.share(draft)
        new = {path.name for path in draft.iterdir()}
        for name in sorted(new):
            (draft / name).replace(folder / name)
        for old in folder.glob("model*.safetensors*"):
            if old.name not in new:
                old.unlink()
        shutil.rmtree(draft)

    def _restore(self) -> None:
        path = self.plan.output_dir / STATE
        if not path.exists():
            return
        with safe_open(path, framework="pt", device=self.plan.device) as state:
            figures = state.metadata()
            self.step, self.seconds = int(figures["step"]), float(figures["seconds"])
            for name, parameter in self.model.named_parameters():
                parameter.data.copy_(state.get_tensor(f"weight.{name}"))
                self.optimizer.state[parameter] = {moment: state.get_tensor(f"{moment}.{name}") for moment in MOMENTS}


def _decayed(model: Qwen3VLForConditionalGeneration) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for norms and biases."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    return [
        {"params": matrices, "weight_decay": 0.05},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


class _Number(click.FloatRange):
    """A range that NaN is not in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number.", param, ctx)
        return number


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))  # \b: click keeps the line breaks
@click.option("--output-dir", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--steps", type=click.IntRange(min=1), default=100_000, show_default=True, help="Steps in all.")
@click.option("--minutes", type=_Number(min=0, min_open=True), default=18.0, show_default=True, help="Minutes in all.")
@click.option(
    "--pause-after", type=_Number(min=0), default=math.inf, help="Minutes of this call; the next one goes on."
)
@click.option("--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="Photos a step.")
@click.option("--learning-rate", type=_Number(min=0, min_open=True, max=1), default=1e-3, show_default=True)
@click.option("--warmup", type=click.IntRange(min=1), default=300, show_default=True, help="Steps.")
@click.option("--device", default="cuda", show_default=True)
@click.option("--workers", type=click.IntRange(min=0), default=15, show_default=True, help="Processes that draw.")
@click.option("--seed", default=0, show_default=True)
@click.option("--exam", type=click.IntRange(min=1), default=256, show_default=True, help="Photos an exam.")
@click.option("--exam-every", type=click.IntRange(min=1), default=2000, show_default=True, help="Steps.")
@click.option(
    "--close-ups", default=0, show_default=True, help="The first steps draw small photos of one or two items."
)
@click.option(
    "--verdict-every",
    type=click.IntRange(min=2),
    default=VERDICT_EVERY,
    show_default=True,
    help="One step in so many is of verdicts.",
)
@click.option("--compile/--no-compile", default=False, help="Compile the forward pass, once a photo size.")
def main(**options: Any) -> None:
    """Command line."""
    plan = Plan(**options)
    if not re.fullmatch(r"cpu|cuda(:\d+)?", plan.device):
        raise click.UsageError(f"--device {plan.device}: give cpu, cuda, or cuda:1 for the second GPU.")
    if plan.device.startswith("cuda") and not torch.cuda.is_available():
        raise click.UsageError(f"--device {plan.device}: no CUDA device here. Add --device cpu.")
    Trainer(plan).run()


if __name__ == "__main__":
    main()
