"""Groups through an engine: photos go out one by one, answers come back in any order, groups come out in input order.

    groups   G1(a, b)  G2(c)  G3(d, e)
    requests a b c d e …                      lazily: a group's photos are listed when the engine asks for them
    answers  c a e d b                        in the order in which they finish
    outcomes G1 G2 G3                         each when its last photo and every group before it is done

An outcome is a checked record, or the faults that keep the group from being written: one for every photo that fails.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from yanshou.engines.base import Answer, Engine, Request, closing_answers
from yanshou.errors import GroupError
from yanshou.inputs.discovery import Group
from yanshou.pipeline.outcome import RAISE_LIMIT_OR_ACCEPT, AnswerCallback, Outcome, completed
from yanshou.pipeline.reorder import Reorder
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import GroupKey, StageARecord, image_key, now
from yanshou.stage_a.clean import clean_text


@dataclass(slots=True)
class _PendingGroup:
    """A group with photos that are not answered yet."""

    number: int  # its place in the input, from 0
    key: GroupKey
    photos: list[Path] = field(default_factory=list)
    texts: dict[int, tuple[str, str]] = field(default_factory=dict)  # photo's index → raw, clean
    errors: dict[int, GroupError] = field(default_factory=dict)  # photo's index → why it failed

    @property
    def complete(self) -> bool:
        return len(self.texts) + len(self.errors) == len(self.photos)

    def outcome(self) -> Outcome[StageARecord]:
        if self.errors:
            errors = tuple((self.photos[at], error) for at, error in sorted(self.errors.items()))
            return Outcome(self.key, None, errors)
        return Outcome(self.key, self._record())

    def _record(self) -> StageARecord:
        texts = [self.texts[at] for at in range(len(self.photos))]
        return StageARecord(
            group_id=self.key.group_id,
            mission=self.key.mission,
            label=self.key.label,
            images=[str(photo.absolute()) for photo in self.photos],
            per_image={image_key(number): clean for number, (_, clean) in enumerate(texts, 1)},
            raw_texts=[raw for raw, _ in texts],
            clean_texts=[clean for _, clean in texts],
            timestamp=now(),
        )


class GroupAssembler:
    """Assembles the answers about photos into groups. One `run` per assembler."""

    def __init__(
        self,
        engine: Engine,
        prompt: Prompt,
        allow_truncated: bool = False,
        on_answer: AnswerCallback = lambda _: None,
    ) -> None:
        self._engine, self._prompt, self._allow_truncated, self._on_answer = engine, prompt, allow_truncated, on_answer
        self._requested: dict[int, tuple[_PendingGroup, int]] = {}  # request id → group, index of the photo
        self._outcomes = Reorder[Outcome[StageARecord]]()

    def run(self, groups: Iterable[Group]) -> Iterator[Outcome[StageARecord]]:
        """One outcome per group, in input order. A stopped engine ends it before the first group without an answer."""
        with closing_answers(self._engine, self._requests(groups)) as answers:
            for answer in answers:
                self._add(answer)
                self._on_answer(answer)
                yield from self._outcomes.ready()
        yield from self._outcomes.ready()

    def _requests(self, groups: Iterable[Group]) -> Iterator[Request]:
        ids = count()
        for number, group in enumerate(groups):
            pending = _PendingGroup(number, group.key)
            try:
                pending.photos = group.photos()
            except GroupError as error:
                self._outcomes.add(number, Outcome.failed(group.key, error))
                continue
            for at, photo in enumerate(pending.photos):
                self._requested[request_id := next(ids)] = (pending, at)
                yield Request(request_id, self._prompt, photo, _sampling_key(group.key, photo))

    def _add(self, answer: Answer) -> None:
        group, at = self._requested.pop(answer.id)
        try:
            group.texts[at] = parse_answer(answer, self._allow_truncated)
        except GroupError as error:
            group.errors[at] = error
        if group.complete:
            self._outcomes.add(group.number, group.outcome())


def parse_answer(answer: Answer, allow_truncated: bool = False) -> tuple[str, str]:
    """Raw and clean text of one answer. Raises the GroupError that its group fails with."""
    completion = completed(answer, allow_truncated=allow_truncated, advice=RAISE_LIMIT_OR_ACCEPT)
    return completion.text, clean_text(completion.text)


def _sampling_key(key: GroupKey, photo: Path) -> str:
    return "/".join((key.mission, key.label or "", key.group_id, photo.name))
