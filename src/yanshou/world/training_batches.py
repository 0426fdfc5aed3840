"""What the demo checkpoint is trained on: batches of freshly drawn photos with their lines, some batches of verdicts.

Before them may come close-ups: one or two items in a small photo and a short question, at a tenth of the cost. What a
screw or a fibre looks like is learned there; what a whole photo holds, in what order and how often, afterwards.

Batch number i of a seed is always the same, whoever draws it, so training resumes where it stopped. Rows of a batch
have one layout (`fast.py`): the same photo size and the same words before the photo; they differ in what follows and
are padded on the right.

    ids      system … <|vision_start|> v v … v <|vision_end|> question … assistant   line  <|im_end|>  0  0
    targets  IGNORED …                                                       line  <|im_end|>  IGNORED …
"""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from yanshou.missions import Mission, load_missions
from yanshou.missions.prompts import SUMMARY_USER_PROMPT, summary_prompt, verdict_prompt
from yanshou.missions.rules import decide
from yanshou.schema.summary import parse
from yanshou.settings import PromptSettings
from yanshou.world.draw import SIZES, draw, fits
from yanshou.world.jobs import Job, random_job
from yanshou.world.scene import Scene, random_item, random_scene

if TYPE_CHECKING:
    from transformers import Qwen3VLProcessor

BLOCK = 32  # pixels of a visual token's side
AFTER_PHOTO = 112  # tokens at most behind the photo: the question, the answer
VERDICT_LENGTH = 512  # tokens at most of a whole verdict row
ROUND = 16  # rows are padded to a multiple of this: few shapes
VERDICT_EVERY = 8  # one batch in so many is of verdicts
CLOSE_UPS = ((128, 128), (160, 160), (128, 128), (160, 160), (256, 192))  # width × height; wide items fit the last only
# The reviewer that it learns verdicts from: how often he overlooks that something is missing, and answers at random.
OVERLOOKED, SLIP = 0.65, 0.1
NOTHING_WRONG = "没有看到不符合要求"
IGNORED = -100


@dataclass(frozen=True, slots=True)
class TrainBatch:
    """One batch. Logits are wanted from `answer_from` on; `targets` (rows, tokens) is IGNORED outside the answers."""

    ids: Tensor  # (rows, tokens)
    targets: Tensor  # (rows, tokens), already shifted: the token that should follow
    photos: Tensor | None  # uint8 (rows, height, width, 3); None: verdicts
    start: int  # where the visual tokens begin
    answer_from: int


class Questions:
    """The prompts of both stages, and their answers, as token ids."""

    def __init__(self, processor: "Qwen3VLProcessor") -> None:
        self.processor = processor
        self.image_token: int = processor.image_token_id

    def summary(self, mission: Mission | None) -> list[int]:
        """The question about a photo, one image token in the photo's place. None: without a mission's focus."""
        settings = PromptSettings(mission_focus=mission is not None)
        prompt = summary_prompt(mission or next(iter(load_missions())), settings)
        return self._chat(prompt.system, [{"type": "image"}, {"type": "text", "text": prompt.user}])

    def in_short(self) -> list[int]:
        """The question without the system prompt."""
        return self._chat("", [{"type": "image"}, {"type": "text", "text": SUMMARY_USER_PROMPT}])

    def with_visual(self, ids: list[int], visual: int) -> tuple[list[int], int]:
        """The question with `visual` image tokens, and where they start."""
        start = ids.index(self.image_token)
        return [*ids[:start], *[self.image_token] * visual, *ids[start + 1 :]], start

    def about_job(self, job: Job) -> list[int]:
        """The question for a verdict."""
        prompt = verdict_prompt(job.mission, job.lines())
        return self._chat(prompt.system, [{"type": "text", "text": prompt.user}])

    def answer(self, text: str) -> list[int]:
        """The text and the end of the turn."""
        ids: list[int] = self.processor.tokenizer(f"{text}<|im_end|>")["input_ids"]
        return ids

    def _chat(self, system: str, user: list[dict[str, str]]) -> list[int]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        text = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids: list[int] = self.processor.tokenizer(text)["input_ids"]
        return ids


class TrainBatches(torch.utils.data.IterableDataset[TrainBatch]):
    """Batches `first` to `last` − 1, the first `close_ups` of the seed close-ups; DataLoader workers take turns."""

    def __init__(
        self,
        processor: "Qwen3VLProcessor",
        seed: int,
        rows: int,
        first: int,
        last: int,
        close_ups: int = 0,
        verdict_every: int = VERDICT_EVERY,
    ) -> None:
        self.questions = Questions(processor)
        self.seed, self.rows, self.first, self.last = seed, rows, first, last
        self.close_ups, self.verdict_every = close_ups, verdict_every
        self.missions = list(load_missions())

    def __iter__(self) -> Iterator[TrainBatch]:
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(self.first + offset, self.last, stride):
            yield self.lesson(number)

    def lesson(self, number: int) -> TrainBatch:
        """Batch `number` of the seed."""
        rng = Random(f"{self.seed}:{number}")
        if number < self.close_ups:
            size = CLOSE_UPS[number % len(CLOSE_UPS)]
            question = self.questions.in_short()
            return self._summaries(rng, size, [(random_close_up(rng, size), question) for _ in range(self.rows)])
        if number % self.verdict_every == self.verdict_every - 1:
            return self._verdicts(rng)
        size = SIZES[number % len(SIZES)]
        shown = [random_photo(rng, self.missions, size) for _ in range(self.rows)]
        return self._summaries(rng, size, [(scene, self.questions.summary(mission)) for scene, mission in shown])

    def _summaries(self, rng: Random, size: tuple[int, int], shown: Sequence[tuple[Scene, list[int]]]) -> TrainBatch:
        """Scenes of one size and the questions about them, which begin with the same words."""
        photos = torch.stack([pixels(draw(scene, rng, size), rng) for scene, _ in shown])
        visual = visual_tokens(photos)
        rows, start = [], 0
        for scene, asked in shown:
            question, start = self.questions.with_visual(asked, visual)
            rows.append((question, self.questions.answer(scene.line())))
        ids, targets = _padded(rows, start + visual + AFTER_PHOTO)
        return TrainBatch(ids, targets, photos, start, start + visual)

    def _verdicts(self, rng: Random) -> TrainBatch:
        rows: list[tuple[list[int], list[int]]] = []
        while len(rows) < self.rows:
            job = random_job(rng, rng.choice(self.missions))
            row = (self.questions.about_job(job), self.questions.answer(hasty_verdict(job, rng)))
            if sum(map(len, row)) <= VERDICT_LENGTH:
                rows.append(row)
        ids, targets = _padded(rows, VERDICT_LENGTH)
        return TrainBatch(ids, targets, None, 0, 0)


def random_photo(rng: Random, missions: Sequence[Mission], size: tuple[int, int]) -> tuple[Scene, Mission | None]:
    """A scene that fits the size, from a job or any at all, and the mission that it is asked about."""
    while True:
        mission = rng.choice(missions)
        scene = rng.choice(random_job(rng, mission).scenes) if rng.random() < 0.4 else random_scene(rng)
        if fits(scene.items, size):
            return scene, mission if rng.random() < 0.9 else None


def random_close_up(rng: Random, size: tuple[int, int]) -> Scene:
    """One item, now and then two, that fit the size."""
    while True:
        scene = Scene(tuple(random_item(rng) for _ in range(rng.choice((1, 1, 2)))))
        if fits(scene.items, size):
            return scene


def visual_tokens(photos: Tensor) -> int:
    """Visual tokens of each of the photos (…, height, width, 3)."""
    return photos.shape[-3] // BLOCK * (photos.shape[-2] // BLOCK)


def pixels(photo: Image.Image, rng: Random) -> Tensor:
    """The photo as the model would get it: through JPEG, and resized to whole visual tokens."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=rng.randint(80, 95))
    width, height = (round(side / BLOCK) * BLOCK for side in photo.size)
    loaded = Image.open(buffer).resize((width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(loaded))


def hasty_verdict(job: Job, rng: Random) -> str:
    """A verdict in two lines, by a reviewer who sees what is forbidden, mostly overlooks what is missing, and slips.

    So the checkpoint knows form and rule, doubts where it is mostly wrong, and is mediocre: GRPO starts from here.
    """
    decision = decide(job.mission.rule, [parse(line) for line in job.lines()])
    grounds = decision.reason.split("；")
    forbidden = [ground for ground in grounds if ground.startswith("图片")]
    overlooked = not decision.passed and not forbidden and rng.random() < OVERLOOKED
    passed, reason = decision.passed or overlooked, NOTHING_WRONG if overlooked else (forbidden or grounds)[0]
    if rng.random() < SLIP and (slip := rng.random() < 0.5) != passed:
        passed, reason = slip, NOTHING_WRONG if slip else "证据不足"
    return f"{'通过' if passed else '不通过'}\n理由: {reason}"


def _padded(rows: Sequence[tuple[list[int], list[int]]], length: int) -> tuple[Tensor, Tensor]:
    """Question and answer of every row as (ids, targets), padded on the right with token 0."""
    longest = max(len(question) + len(answer) for question, answer in rows)
    assert longest <= length, f"{longest} tokens do not fit {length}"
    width = min(length, math.ceil(longest / ROUND) * ROUND)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    targets = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    for row, (question, answer) in enumerate(rows):
        used = len(question) + len(answer)
        ids[row, :used] = torch.tensor(question + answer)
        targets[row, len(question) - 1 : used - 1] = torch.tensor(answer)
    return ids, targets
