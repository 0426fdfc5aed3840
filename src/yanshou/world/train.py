"""Trains the demo checkpoint from scratch on freshly drawn photos.

    python -m yanshou.world.train --output-dir runs/demo --minutes 18 --device cuda
    python -m yanshou.world.train --output-dir runs/try --steps 3 --batch-size 4 --device cpu --workers 0

`--output-dir` becomes a checkpoint folder (bf16, loaded by every engine). It also holds `state.safetensors`, from which
training resumes, and `training.jsonl` with the figures. Training ends at `--steps` or `--minutes`, whichever comes
first, and pauses after `--pause-after` minutes of each call. The same command resumes it. The state is also saved at
each evaluation.
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
from yanshou.engines.checkpoint.reading import reading_weights
from yanshou.engines.saving import save_errors
from yanshou.errors import RunError
from yanshou.storage.atomic import replacing
from yanshou.world.batched_forward import BatchedForward
from yanshou.world.evaluation import Evaluator
from yanshou.world.model import write_untrained
from yanshou.world.training_batches import IGNORED, VERDICT_SHARE, TrainBatch, TrainBatches

if TYPE_CHECKING:
    from transformers import Qwen3VLProcessor

MAX_SHARD_SIZE = "14MB"
STATE = "state.safetensors"
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of each parameter
LOG_EVERY = 50  # steps


@dataclass(frozen=True, slots=True)
class Plan:
    """The command's options."""

    output_dir: Path
    steps: int  # over all calls
    minutes: float  # of training, over all calls
    pause_after: float  # minutes of this call
    batch_size: int  # photos per step
    learning_rate: float
    warmup: int  # steps
    device: str
    workers: int  # drawing processes; 0: photos are drawn in this process
    seed: int
    exam: int  # photos per evaluation
    exam_every: int  # steps
    close_ups: int  # steps at the start with close-ups
    verdict_share: float  # part of the steps that have a batch of verdicts
    compile: bool


class Trainer:
    """The model, its optimizer, and their progress."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        if not any(plan.output_dir.glob("model*.safetensors")):  # they are written last
            with save_errors(plan.output_dir):
                write_untrained(plan.output_dir, seed=plan.seed)
        self.processor: Qwen3VLProcessor = AutoProcessor.from_pretrained(plan.output_dir)
        self.model = Qwen3VLForConditionalGeneration.from_pretrained(plan.output_dir, dtype=torch.float32)
        self.model.to(plan.device)
        forward = BatchedForward(self.model)
        self.forward = torch.compile(forward, dynamic=False) if plan.compile else forward
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.model), lr=plan.learning_rate, betas=(0.9, 0.98), fused=plan.device != "cpu"
        )
        self.evaluator = Evaluator(self.processor, plan.device, plan.exam)
        self.step, self.seconds = 0, 0.0  # so far, over all calls
        self._restore()

    def run(self) -> None:
        """Trains until the plan or this call's time ends, then evaluates and saves."""
        if self.progress >= 1:
            self._save_checkpoint()  # the last call may have been killed before this
            click.echo(f"finished at step {self.step}. Give more --steps or --minutes to continue training.", err=True)
            return
        began, before = time.monotonic(), self.seconds
        for batch in self._batches():
            loss = self._train_step(batch)
            self.step += 1
            self.seconds = before + time.monotonic() - began
            if self.step % LOG_EVERY == 0:
                self._log_loss(batch, loss)
            if self.progress >= 1 or self.seconds - before > self.plan.pause_after * 60:
                break
            if self.step % self.plan.exam_every == 0:
                self._evaluate_and_save()
        self._evaluate_and_save()

    @property
    def progress(self) -> float:
        """From 0 at the start to 1 at the end, by steps or by time, whichever is further."""
        return max(self.step / self.plan.steps, self.seconds / 60 / self.plan.minutes)

    def _batches(self) -> Iterator[TrainBatch]:
        plan, workers = self.plan, self.plan.workers
        batches = TrainBatches(
            self.processor, plan.seed, plan.batch_size, self.step, plan.steps, plan.close_ups, plan.verdict_share
        )
        return iter(
            torch.utils.data.DataLoader(
                batches, batch_size=None, num_workers=workers, prefetch_factor=2 if workers else None
            )
        )

    def _learning_rate(self) -> float:
        """Linear warm-up, then a cosine decay to 1 % of the learning rate."""
        warm = min(1.0, (self.step + 1) / self.plan.warmup)
        return self.plan.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress))))

    def _train_step(self, batch: TrainBatch) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        loss = self._loss(batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _loss(self, batch: TrainBatch) -> Tensor:
        device = self.plan.device
        ids, targets = batch.ids.to(device), batch.targets[:, batch.answer_from :].to(device)
        photos = None if batch.photos is None else batch.photos.to(device)
        with torch.autocast("cuda", torch.bfloat16, enabled=device != "cpu"):
            logits = self.forward(ids, batch.start, photos, batch.answer_from)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)

    def _log_loss(self, batch: TrainBatch, loss: Tensor) -> None:
        kind, photos = "verdict" if batch.photos is None else "summary", self.step * self.plan.batch_size
        self._log(loss=round(float(loss), 4), kind=kind, lr=self._learning_rate(), photos=photos)

    def _log(self, **figures: float | str) -> None:
        line = json.dumps({"step": self.step, "seconds": round(self.seconds, 1), **figures})
        click.echo(line)
        with (self.plan.output_dir / "training.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _evaluate_and_save(self) -> None:
        self._log(**self.evaluator.evaluate(self.model))
        self._save_state()
        self._save_checkpoint()

    def _save_state(self) -> None:
        """Weights and optimizer state in fp32, written atomically. Raises OutputError."""
        figures = {"step": str(self.step), "seconds": str(self.seconds)}
        path = self.plan.output_dir / STATE
        with save_errors(path), replacing(path) as draft:
            save_file({name: tensor.contiguous() for name, tensor in self._state()}, draft, figures)

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield f"weight.{name}", parameter.detach()
            if parameter in self.optimizer.state:  # not before its first gradient: verdicts have none for the tower
                for key in OPTIMIZER_STATE:
                    yield f"{key}.{name}", self.optimizer.state[parameter][key]

    def _save_checkpoint(self) -> None:
        """Weights in bf16, in shards. Raises OutputError."""
        model = copy.deepcopy(self.model).to(torch.bfloat16)
        for part in (model.config, model.config.text_config, model.config.vision_config):
            part.dtype = torch.bfloat16
        with save_errors(self.plan.output_dir):
            _write_shards(model, self.plan.output_dir)

    def _restore(self) -> None:
        path = self.plan.output_dir / STATE
        if not path.exists():
            return
        with reading_weights(path), safe_open(path, framework="pt", device=self.plan.device) as state:
            figures, stored = state.metadata(), set(state.keys())
            self.step, self.seconds = int(figures["step"]), float(figures["seconds"])
            for name, parameter in self.model.named_parameters():
                parameter.data.copy_(state.get_tensor(f"weight.{name}"))
                if f"{OPTIMIZER_STATE[0]}.{name}" in stored:
                    self.optimizer.state[parameter] = {
                        key: state.get_tensor(f"{key}.{name}") for key in OPTIMIZER_STATE
                    }


def _write_shards(model: Qwen3VLForConditionalGeneration, folder: Path) -> None:
    """Old shards are deleted last, so that a killed save leaves a folder that loads."""
    draft = folder / "draft"
    model.save_pretrained(draft, max_shard_size=MAX_SHARD_SIZE)
    checkpoint.inherit_permissions(draft)
    new = {path.name for path in draft.iterdir()}
    for name in sorted(new):
        (draft / name).replace(folder / name)
    for old in folder.glob("model*.safetensors*"):
        if old.name not in new:
            old.unlink()
    shutil.rmtree(draft)


def _parameter_groups(model: Qwen3VLForConditionalGeneration) -> list[dict[str, Any]]:
    """AdamW's parameter groups: weight decay for matrices, none for norms and biases."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    return [
        {"params": matrices, "weight_decay": 0.05},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


class _Number(click.FloatRange):
    """A range that excludes NaN."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))  # \b: click keeps the line breaks
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Checkpoint folder to write, or to resume from.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=100_000, show_default=True, help="Training steps over all calls."
)
@click.option(
    "--minutes",
    type=_Number(min=0, min_open=True),
    default=18.0,
    show_default=True,
    help="Minutes of training over all calls.",
)
@click.option(
    "--pause-after",
    type=_Number(min=0),
    default=math.inf,
    help="Minutes after which this call saves and stops; the next call resumes. Default: never.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="Photos per step.")
@click.option(
    "--learning-rate",
    type=_Number(min=0, min_open=True, max=1),
    default=1e-3,
    show_default=True,
    help="Learning rate after warm-up; it then decays to 1 % of it.",
)
@click.option(
    "--warmup", type=click.IntRange(min=1), default=300, show_default=True, help="Steps until the full learning rate."
)
@click.option("--device", default="cuda", show_default=True, help="cpu, cuda, or cuda:1 for the second GPU.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=15,
    show_default=True,
    help="Processes that draw photos; 0 draws in the training process.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the initial weights and of the photos.")
@click.option("--exam", type=click.IntRange(min=1), default=256, show_default=True, help="Photos per evaluation.")
@click.option(
    "--exam-every", type=click.IntRange(min=1), default=2000, show_default=True, help="Steps between evaluations."
)
@click.option(
    "--close-ups",
    default=0,
    show_default=True,
    help="Number of steps at the start that train on small photos of one or two items.",
)
@click.option(
    "--verdict-share",
    type=_Number(min=0, max=1),
    default=VERDICT_SHARE,
    show_default=True,
    help="Part of the steps that train on verdicts; all others train on summary lines.",
)
@click.option(
    "--compile/--no-compile", default=False, help="Compile the forward pass with torch.compile, once per photo size."
)
def main(**options: Any) -> None:
    """Command line."""
    plan = Plan(**options)
    if not re.fullmatch(r"cpu|cuda(:\d+)?", plan.device):
        raise click.UsageError(f"--device {plan.device}: give cpu, cuda, or cuda:1 for the second GPU.")
    if plan.device.startswith("cuda") and not torch.cuda.is_available():
        raise click.UsageError(f"--device {plan.device}: no CUDA device found. Add --device cpu.")
    try:
        Trainer(plan).run()
    except RunError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
