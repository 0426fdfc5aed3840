"""Evaluates the demo checkpoint during training, on photos and jobs that it was not trained on.

    {"exam_photos": 256, "lines_right": 0.957, "verdicts_right": 0.828}

The prompts are those of a real run. Answers are greedy and come from transformers' `generate`, in batches of one
layout. A line is right if it equals the truth, character by character; a verdict is right if its first line agrees with
the job's label.
"""

from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from yanshou.missions import Mission, load_missions
from yanshou.world.batched_forward import PATCH, patches
from yanshou.world.draw import SIZES, draw
from yanshou.world.jobs import random_job
from yanshou.world.training_batches import PromptTokenizer, pixels, random_photo, visual_tokens

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor

SEED = 987_654_321  # no training seed draws the same photos
LINE_TOKENS, VERDICT_TOKENS = 128, 4  # maximum new tokens; of a verdict only the first line counts


class Evaluator:
    """Draws the same photos and jobs for every evaluation."""

    def __init__(self, processor: "Qwen3VLProcessor", device: str, photos: int) -> None:
        self.tokenizer, self.prompts = processor.tokenizer, PromptTokenizer(processor)
        self.device, self.photos = device, photos
        self.missions = list(load_missions())

    @torch.inference_mode()
    def evaluate(self, model: "Qwen3VLForConditionalGeneration") -> dict[str, float]:
        """The share of photos with the true line, and of jobs whose verdict agrees with the label."""
        rng = Random(SEED)
        batches = self.missions * 2
        lines = [
            right
            for number, mission in enumerate(batches)
            for right in self._lines(model, rng, mission, SIZES[number % len(SIZES)], self.photos // len(batches) or 1)
        ]
        verdicts = [
            right for mission in self.missions for right in self._verdicts(model, rng, mission, self.photos // 16 or 1)
        ]
        return {
            "exam_photos": len(lines),
            "lines_right": round(sum(lines) / len(lines), 4),
            "verdicts_right": round(sum(verdicts) / len(verdicts), 4),
        }

    def _lines(
        self, model: "Qwen3VLForConditionalGeneration", rng: Random, mission: Mission, size: tuple[int, int], count: int
    ) -> list[bool]:
        """Whether each line is right, for one batch of photos of one size and mission."""
        scenes = [random_photo(rng, self.missions, size)[0] for _ in range(count)]
        photos = torch.stack([pixels(draw(scene, rng, size), rng) for scene in scenes])
        question, _ = self.prompts.expand_photo(self.prompts.summary(mission), visual_tokens(photos))
        ids = torch.tensor([question] * count)
        answers = self._answers(
            model,
            LINE_TOKENS,
            input_ids=ids,
            pixel_values=patches(photos).flatten(0, 1),  # (photos × patches, 1536)
            image_grid_thw=torch.tensor([[1, photos.shape[1] // PATCH, photos.shape[2] // PATCH]] * count),
            mm_token_type_ids=(ids == self.prompts.image_token).int(),
        )
        return [answer == scene.line() for answer, scene in zip(answers, scenes, strict=True)]

    def _verdicts(
        self, model: "Qwen3VLForConditionalGeneration", rng: Random, mission: Mission, count: int
    ) -> list[bool]:
        """Whether each verdict is right, for jobs of one mission."""
        jobs = [random_job(rng, mission) for _ in range(count)]
        answers = [
            self._answers(model, VERDICT_TOKENS, input_ids=torch.tensor([self.prompts.verdict(job)]))[0] for job in jobs
        ]
        return [
            (answer.split("\n")[0] == "通过") == (job.label == "pass")
            for answer, job in zip(answers, jobs, strict=True)
        ]

    def _answers(self, model: "Qwen3VLForConditionalGeneration", limit: int, **inputs: Tensor) -> list[str]:
        """The model's continuation of each row of `input_ids` (rows, tokens), at most `limit` tokens long."""
        ids = inputs["input_ids"].to(self.device)
        given = {name: tensor.to(self.device) for name, tensor in inputs.items()}
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            out = model.generate(**given, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False)
        texts: list[str] = self.tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
        return texts
