"""The demo checkpoint's training data: batches of freshly drawn photos with their lines, and some batches of verdicts.

Close-ups can come first: one or two items in a small photo with a short question, at a tenth of the cost. They teach
what a screw or a fibre looks like; full photos then teach which items to list, in which order and how often.

Batch i of a seed is always the same, in any process, so training resumes where it stopped. The rows of a batch have one
layout (see `batched_forward.py`), that is one photo size and one text before the photo. They are padded on the right.

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

from yanshou.engines.chat import encode, expand_image_token
from yanshou.missions import Mission, load_missions
from yanshou.missions.prompts import SUMMARY_USER_PROMPT, summary_prompt, verdict_prompt
from yanshou.missions.rules import Rule, decide, evidence, satisfying
from yanshou.schema.prompt import Prompt
from yanshou.schema.summary import Summary, parse
from yanshou.settings import PromptSettings
from yanshou.world.draw import SIZES, draw, fits
from yanshou.world.jobs import Job, random_job
from yanshou.world.scene import Scene, random_item, random_scene

if TYPE_CHECKING:
    from transformers import Qwen3VLProcessor

VISUAL_TOKEN_SIDE = 32  # pixels
MAX_AFTER_PHOTO = 112  # tokens of question and answer behind the photo
MAX_VERDICT_ROW = 512  # tokens of prompt and answer
PAD_MULTIPLE = 16  # tokens; rows are padded to a multiple of it, which keeps the number of shapes small
VERDICT_SHARE = 0.125  # of the batches; by default every eighth one consists of verdicts
CLOSE_UPS = ((128, 128), (160, 160), (128, 128), (160, 160), (256, 192))  # width × height; wide items fit the last only
# The hasty reviewer whose verdicts are trained: how often it overlooks a missing item, answers at random, or gives only
# the first of several entries that speak for 通过.
OVERLOOKED, RANDOM_ANSWER, CUT_SHORT = 0.65, 0.1, 0.3
NOTHING_WRONG = "没有看到不符合要求"
IGNORED = -100  # cross-entropy's ignore_index


@dataclass(frozen=True, slots=True)
class TrainBatch:
    """One batch of rows of one layout."""

    ids: Tensor  # (rows, tokens)
    targets: Tensor  # (rows, tokens): the token that should follow each position; IGNORED outside the answers
    photos: Tensor | None  # uint8 (rows, height, width, 3); None in a batch of verdicts
    start: int  # position of the first visual token
    answer_from: int  # logits are needed from this position on


class PromptTokenizer:
    """Turns prompts and answers of both stages into token ids."""

    def __init__(self, processor: "Qwen3VLProcessor") -> None:
        self.processor = processor
        self.image_token: int = processor.image_token_id

    def summary(self, mission: Mission | None) -> list[int]:
        """The prompt about a photo, with one image token for the photo. None: without a mission's focus."""
        settings = PromptSettings(mission_focus=mission is not None)
        prompt = summary_prompt(mission or next(iter(load_missions())), settings)
        return encode(self.processor, prompt, with_photo=True)

    def short_summary(self) -> list[int]:
        """The prompt about a photo without a system prompt."""
        return encode(self.processor, Prompt("", SUMMARY_USER_PROMPT), with_photo=True)

    def expand_photo(self, ids: list[int], visual: int) -> tuple[list[int], int]:
        """The prompt with `visual` image tokens instead of one, and the position of the first."""
        return expand_image_token(ids, self.image_token, visual)

    def verdict(self, job: Job) -> list[int]:
        """The prompt for a verdict about the job."""
        return encode(self.processor, verdict_prompt(job.mission, job.lines()), with_photo=False)

    def answer(self, text: str) -> list[int]:
        """An answer: the text and the token that ends the turn."""
        ids: list[int] = self.processor.tokenizer(f"{text}<|im_end|>")["input_ids"]
        return ids


class TrainBatches(torch.utils.data.IterableDataset[TrainBatch]):
    """Batches `first` to `last` − 1 of a seed that begins with `close_ups` close-ups. DataLoader workers take turns."""

    def __init__(
        self,
        processor: "Qwen3VLProcessor",
        seed: int,
        rows: int,
        first: int,
        last: int,
        close_ups: int = 0,
        verdict_share: float = VERDICT_SHARE,
    ) -> None:
        self.prompts = PromptTokenizer(processor)
        self.seed, self.rows, self.first, self.last = seed, rows, first, last
        self.close_ups, self.verdict_share = close_ups, verdict_share
        self.missions = list(load_missions())

    def __iter__(self) -> Iterator[TrainBatch]:
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(self.first + offset, self.last, stride):
            yield self.batch(number)

    def batch(self, number: int) -> TrainBatch:
        """Batch `number` of the seed."""
        rng = Random(f"{self.seed}:{number}")
        if number < self.close_ups:
            size = CLOSE_UPS[number % len(CLOSE_UPS)]
            prompt = self.prompts.short_summary()
            return self._summaries(rng, size, [(random_close_up(rng, size), prompt) for _ in range(self.rows)])
        verdicts = int(number * self.verdict_share)  # batches of verdicts before this one
        if int((number + 1) * self.verdict_share) > verdicts:
            return self._verdicts(rng)
        size = SIZES[(number - verdicts) % len(SIZES)]  # in turn, whatever the share
        shown = [random_photo(rng, self.missions, size) for _ in range(self.rows)]
        return self._summaries(rng, size, [(scene, self.prompts.summary(mission)) for scene, mission in shown])

    def _summaries(self, rng: Random, size: tuple[int, int], shown: Sequence[tuple[Scene, list[int]]]) -> TrainBatch:
        """A batch of scenes with their prompts. The prompts have the same text before the photo."""
        photos = torch.stack([pixels(draw(scene, rng, size), rng) for scene, _ in shown])
        visual = visual_tokens(photos)
        rows, start = [], 0
        for scene, short in shown:
            prompt, start = self.prompts.expand_photo(short, visual)
            rows.append((prompt, self.prompts.answer(scene.line())))
        ids, targets = _padded(rows, start + visual + MAX_AFTER_PHOTO)
        return TrainBatch(ids, targets, photos, start, start + visual)

    def _verdicts(self, rng: Random) -> TrainBatch:
        rows: list[tuple[list[int], list[int]]] = []
        while len(rows) < self.rows:
            job = random_job(rng, rng.choice(self.missions))
            row = (self.prompts.verdict(job), self.prompts.answer(hasty_verdict(job, rng)))
            if sum(map(len, row)) <= MAX_VERDICT_ROW:
                rows.append(row)
        ids, targets = _padded(rows, MAX_VERDICT_ROW)
        return TrainBatch(ids, targets, None, 0, 0)


def random_photo(rng: Random, missions: Sequence[Mission], size: tuple[int, int]) -> tuple[Scene, Mission | None]:
    """A scene that fits the size, and the mission of its prompt. 40 % of the scenes come from jobs of the mission."""
    while True:
        mission = rng.choice(missions)
        scene = rng.choice(random_job(rng, mission).scenes) if rng.random() < 0.4 else random_scene(rng)
        if fits(scene.items, size):
            return scene, mission if rng.random() < 0.9 else None


def random_close_up(rng: Random, size: tuple[int, int]) -> Scene:
    """A scene of one item or two that fit the size."""
    while True:
        scene = Scene(tuple(random_item(rng) for _ in range(rng.choice((1, 1, 2)))))
        if fits(scene.items, size):
            return scene


def visual_tokens(photos: Tensor) -> int:
    """The number of visual tokens of each photo of (…, height, width, 3)."""
    return photos.shape[-3] // VISUAL_TOKEN_SIDE * (photos.shape[-2] // VISUAL_TOKEN_SIDE)


def pixels(photo: Image.Image, rng: Random) -> Tensor:
    """The photo as a run would load it: uint8 (height, width, 3), JPEG-compressed, resized to whole visual tokens."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=rng.randint(80, 95))
    width, height = (round(side / VISUAL_TOKEN_SIDE) * VISUAL_TOKEN_SIDE for side in photo.size)
    loaded = Image.open(buffer).resize((width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(loaded))


def hasty_verdict(job: Job, rng: Random) -> str:
    """A two-line verdict of a reviewer who notices forbidden items, often overlooks missing ones, and errs at random.

    A reason names one ground for 不通过, and what speaks for 通过, sometimes only the first of it.

    A checkpoint trained on such verdicts knows the format, the rule and how to cite, and is uncertain where it is often
    wrong. This leaves GRPO something to improve, in verdicts and in reasons.
    """
    photos = [parse(line).canonical() for line in job.lines()]
    decision = decide(job.mission.rule, photos)
    grounds = decision.reason.split("；")
    forbidden = [ground for ground in grounds if ground.startswith("图片")]
    overlooked = not decision.passed and not forbidden and rng.random() < OVERLOOKED
    passed = decision.passed or overlooked
    reason = _shown(job.mission.rule, photos, rng) if passed else (forbidden or grounds)[0]
    if rng.random() < RANDOM_ANSWER and (guess := rng.random() < 0.5) != passed:
        passed, reason = guess, _shown(job.mission.rule, photos, rng) if guess else "证据不足"
    return f"{'通过' if passed else '不通过'}\n理由: {reason}"


def _shown(rule: Rule, photos: Sequence[Summary], rng: Random) -> str:
    """The entries that meet the rule's requirements, as `decide` names them, or only the first."""
    found = [f"有{entry}" for entry in dict.fromkeys(satisfying(rule, list(evidence(photos))))]
    return "；".join(found[:1] if rng.random() < CUT_SHORT else found) or NOTHING_WRONG


def _padded(rows: Sequence[tuple[list[int], list[int]]], length: int) -> tuple[Tensor, Tensor]:
    """The rows' prompts and answers as (ids, targets), padded on the right with token 0."""
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    assert longest <= length, f"{longest} tokens do not fit {length}"
    width = min(length, math.ceil(longest / PAD_MULTIPLE) * PAD_MULTIPLE)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    targets = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    for row, (prompt, answer) in enumerate(rows):
        used = len(prompt) + len(answer)
        ids[row, :used] = torch.tensor(prompt + answer)
        targets[row, len(prompt) - 1 : used - 1] = torch.tensor(answer)
    return ids, targets
