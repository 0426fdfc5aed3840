"""Trains the demo checkpoint from scratch on freshly drawn photos.

    python -m yanshou.world.train --output-dir runs/demo --minutes 18 --device cuda      # see docs/demo-world.md
    python -m yanshou.world.train --output-dir runs/try --steps 3 --batch-size 4 --device cpu --workers 0

`output-dir` holds the checkpoint folder (bf16, any engine loads it), `state.safetensors` to go on from, and
`training.jsonl` with the figures. The same command again goes on where the last one stopped: at its `--steps` or
`--minutes`, whichever comes first, or `--pause-after` minutes of this call.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import click
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from yanshou.world.draw import SIZES
from yanshou.world.fast import PATCH, FastForward, patches
from yanshou.world.jobs import any_job
from yanshou.world.lessons import IGNORED, Lesson, Lessons, pixels
from yanshou.world.model import write_untrained

SHARD = "14MB"
EXAM_SEED = 987_654_321  # photos of the exam: no training seed draws them


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast."""

    output_dir: Path
    steps: int
    minutes: float  # of training in all, over every call
    pause_after: float  # minutes of this call
    batch_size: int  # photos a step
    learning_rate: float
    warmup: int  # steps
    device: str
    workers: int
    seed: int
    exam: int  # photos
    exam_every: int  # steps
    compile: bool


class Trainer:
    """Model, optimizer, and how far they have come."""

    def __init__(self, plan: Plan) -> None:
        from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

        self.plan = plan
        if not (plan.output_dir / "config.json").exists():
            write_untrained(plan.output_dir, seed=plan.seed)
        self.processor = AutoProcessor.from_pretrained(plan.output_dir)
        self.model = Qwen3VLForConditionalGeneration.from_pretrained(plan.output_dir, dtype=torch.float32)
        self.model.to(plan.device)
        self.fast = torch.compile(FastForward(self.model), dynamic=False) if plan.compile else FastForward(self.model)
        self.optimizer = torch.optim.AdamW(
            _decayed(self.model), lr=plan.learning_rate, betas=(0.9, 0.98), fused=plan.device != "cpu"
        )
        self.step, self.seconds = 0, 0.0  # done so far, over every call
        self._restore()

    def run(self) -> None:
        """Trains until the plan or this call's time ends, examines, and saves."""
        began, before = time.monotonic(), self.seconds
        for lesson in self._lessons():
            loss = self._learn(lesson)
            self.step += 1
            self.seconds = before + time.monotonic() - began
            if self.step % 50 == 0:
                kind = "verdict" if lesson.photos is None else "summary"
                self._log(
                    loss=round(float(loss), 4), kind=kind, lr=self._rate(), photos=self.step * self.plan.batch_size
                )
            if self.step % self.plan.exam_every == 0:
                self._log(**self.examine(self.plan.exam))
            if self.progress >= 1 or self.seconds - before > self.plan.pause_after * 60:
                break
        self._log(**self.examine(self.plan.exam))
        self._save()

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end, by steps or by time, whichever is further."""
        return max(self.step / self.plan.steps, self.seconds / 60 / self.plan.minutes)

    def _lessons(self) -> Iterator[Lesson]:
        lessons = Lessons(self.processor, self.plan.seed, self.plan.batch_size, self.step, self.plan.steps)
        workers = self.plan.workers
        return iter(
            torch.utils.data.DataLoader(
                lessons, batch_size=None, num_workers=workers, prefetch_factor=2 if workers else None
            )
        )

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / self.plan.warmup)
        return self.plan.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress))))

    def _learn(self, lesson: Lesson) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        loss = self._loss(lesson)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _loss(self, lesson: Lesson) -> Tensor:
        device = self.plan.device
        ids, targets = lesson.ids.to(device), lesson.targets[:, lesson.answer_from :].to(device)
        photos = None if lesson.photos is None else lesson.photos.to(device)
        with torch.autocast(device.split(":")[0], torch.bfloat16):
            logits = self.fast(ids, lesson.start, photos, lesson.answer_from)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)

    @torch.inference_mode()
    def examine(self, count: int) -> dict[str, float]:
        """Share of unseen photos whose line is the truth, and of unseen jobs whose verdict is the label."""
        lessons, rng = Lessons(self.processor, 0, 1, 0, 0), Random(EXAM_SEED)
        right = asked = 0
        for mission in lessons.missions * 2:
            size = SIZES[asked % len(SIZES)]
            scenes = [lessons._shown(rng, size)[0] for _ in range(max(1, count // (2 * len(lessons.missions))))]
            answers = self._describe(lessons, [(scene, mission) for scene in scenes], size, rng)
            right += sum(answer == scene.line() for answer, scene in zip(answers, scenes, strict=True))
            asked += len(scenes)
        jobs = [any_job(rng, mission) for mission in lessons.missions for _ in range(max(1, count // 16))]
        agreed = sum((self._judge(lessons, job) == "通过") == (job.label == "pass") for job in jobs)
        return {
            "exam_photos": asked,
            "lines_right": round(right / asked, 4),
            "verdicts_right": round(agreed / len(jobs), 4),
        }

    def _describe(self, lessons: Lessons, shown: list[Any], size: tuple[int, int], rng: Random) -> list[str]:
        from yanshou.world.draw import draw

        photos = torch.stack([pixels(draw(scene, rng, size), rng) for scene, _ in shown]).to(self.plan.device)
        grid = torch.tensor([[1, photos.shape[1] // PATCH, photos.shape[2] // PATCH]] * len(shown))
        question, token = lessons._question(shown[0][1]), lessons.image_token
        at = question.index(token)
        ids = question[:at] + [token] * int(grid[0].prod() // 4) + question[at + 1 :]
        batch = torch.tensor([ids] * len(shown), device=self.plan.device)
        return self._generate(
            128,
            input_ids=batch,
            pixel_values=patches(photos).flatten(0, 1),
            image_grid_thw=grid.to(self.plan.device),
            mm_token_type_ids=(batch == token).int(),
        )

    def _judge(self, lessons: Lessons, job: Any) -> str:
        ids = torch.tensor([lessons.verdict_question(job)], device=self.plan.device)
        return self._generate(4, input_ids=ids)[0].split("\n")[0]

    def _generate(self, limit: int, **inputs: Tensor) -> list[str]:
        ids = inputs["input_ids"]
        with torch.autocast(self.plan.device.split(":")[0], torch.bfloat16):
            out = self.model.generate(
                **inputs, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False
            )
        texts: list[str] = self.processor.tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
        return texts

    def _log(self, **figures: Any) -> None:
        line = json.dumps({"step": self.step, "seconds": round(self.seconds, 1), **figures})
        click.echo(line)
        with (self.plan.output_dir / "training.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield f"weight.{name}", parameter.detach()
            for moment in ("exp_avg", "exp_avg_sq"):
                yield f"{moment}.{name}", self.optimizer.state[parameter][moment]

    def _save(self) -> None:
        folder = self.plan.output_dir
        figures = {"step": str(self.step), "seconds": str(self.seconds)}
        save_file({name: tensor.contiguous() for name, tensor in self._state()}, folder / "state.safetensors", figures)
        for old in folder.glob("model*.safetensors*"):
            old.unlink()
        tied = {"lm_head.weight"}  # the embedding's own tensor
        weights = {n: t.to(torch.bfloat16) for n, t in self.model.state_dict().items() if n not in tied}
        self.model.config.dtype = torch.bfloat16
        self.model.save_pretrained(folder, state_dict=weights, max_shard_size=SHARD)

    def _restore(self) -> None:
        path = self.plan.output_dir / "state.safetensors"
        if not path.exists():
            return
        with safe_open(path, framework="pt", device=self.plan.device) as state:
            figures = state.metadata()
            self.step, self.seconds = int(figures["step"]), float(figures["seconds"])
            for name, parameter in self.model.named_parameters():
                parameter.data.copy_(state.get_tensor(f"weight.{name}"))
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(
                        float(self.step), device=self.plan.device if self.plan.device != "cpu" else None
                    ),
                    **{moment: state.get_tensor(f"{moment}.{name}") for moment in ("exp_avg", "exp_avg_sq")},
                }


def _decayed(model: Any) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for norms and biases."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    return [
        {"params": matrices, "weight_decay": 0.05},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


@click.command(help=__doc__)
@click.option("--output-dir", type=click.Path(path_type=Path), required=True)
@click.option("--steps", default=100_000, show_default=True, help="Steps in all.")
@click.option("--minutes", default=18.0, show_default=True, help="Minutes in all.")
@click.option("--pause-after", default=float("inf"), help="Minutes of this call; the next one goes on.")
@click.option("--batch-size", default=256, show_default=True, help="Photos a step.")
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--warmup", default=300, show_default=True, help="Steps.")
@click.option("--device", default="cuda", show_default=True)
@click.option("--workers", default=15, show_default=True, help="Processes that draw.")
@click.option("--seed", default=0, show_default=True)
@click.option("--exam", default=256, show_default=True, help="Photos an exam.")
@click.option("--compile/--no-compile", default=False, help="Compile the forward pass, once a photo size.")
@click.option("--exam-every", default=2000, show_default=True, help="Steps.")
def main(**options: Any) -> None:
    """Command line."""
    Trainer(Plan(**options)).run()


if __name__ == "__main__":
    main()
