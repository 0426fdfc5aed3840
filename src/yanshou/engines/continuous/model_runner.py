"""The device as the scheduler sees it: slots, packs, launches, and what becomes of them when the memory is short."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from yanshou.engines.base import Completion, FinishReason, OutOfMemoryError
from yanshou.engines.continuous.capacity import PATCHES, SEQUENCES, Capacity, RequestBounds
from yanshou.engines.continuous.device_state import PREFIXES, DeviceState
from yanshou.engines.continuous.language_model import LanguageModel
from yanshou.engines.continuous.prefill_batch import Line, PrefillBatch, Shape, collate
from yanshou.engines.continuous.sampler import Sampler
from yanshou.engines.continuous.scheduler import PendingOutput, StepOutput
from yanshou.engines.continuous.vision_encoder import VisionTower
from yanshou.engines.qwen3_vl import ModelInput, Qwen3VLBackend

# What stands in the message of a RuntimeError that is not torch's own OutOfMemoryError.
SHORT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
)

KNOWN = 256  # shapes of prompts whose positions are kept, some 20 KB each

ResultT = TypeVar("ResultT")
SizeFor = Callable[[RequestBounds], Capacity]


class ContinuousRunner:
    """A checkpoint's launches on one device."""

    def __init__(self, checkpoint: Qwen3VLBackend, numbers: Callable[[Tensor], Tensor], size_for: SizeFor) -> None:
        self.checkpoint, self._size_for = checkpoint, size_for
        self.size: Capacity | None = None
        self.halvings = 0
        self.reckoned_with = 0  # of them: sizes that are asked for are smaller already
        self._session: DeviceState | None = None
        self._positions_of = lru_cache(maxsize=KNOWN)(self._reckoned)
        self._copies: Any = None  # the stream on which packs come to the device
        model = checkpoint.model
        self._tower = VisionTower(model.model.visual, numbers)
        self._language = LanguageModel(model.model.language_model, model.lm_head)

    @property
    def slots(self) -> int:
        return self.size.slots if self.size else 1

    # ---- what the scheduler asks about one request ----

    def limit(self, prepared: ModelInput) -> int:
        return prepared.max_new_tokens

    def ends(self, token: int) -> bool:
        return token in self.checkpoint.stop_tokens

    def holds(self, prepared: ModelInput) -> bool:
        size = self.size
        if size is None or self._session is None:
            return False
        scored = self._tokens(prepared) if prepared.request.candidates else 0
        return (
            self._rows(prepared) <= size.room
            and self._tokens(prepared) <= size.tokens
            and self._visual(prepared) <= size.visual
            and scored <= size.scratch
        )

    def fits(self, pack: Sequence[ModelInput], prepared: ModelInput) -> bool:
        assert self._session
        shape, both = self._session.shape, [*pack, prepared]
        prefix_len = pack[0].prefix_len
        return (
            prefix_len == prepared.prefix_len
            and bool(pack[0].request.candidates)
            == bool(prepared.request.candidates)  # another way through the last layer
            and bool((prepared.ids[:prefix_len] == pack[0].ids[:prefix_len]).all())
            and sum(map(self._tokens, both)) <= shape.tokens
            and sum(0 if one.pixels is None else len(one.pixels) for one in both) <= shape.patches
            and sum(1 + len(one.request.candidates) for one in both) <= shape.sequences
        )

    def _rows(self, prepared: ModelInput) -> int:
        return len(prepared.ids) + self.checkpoint.settings.sampling.max_new_tokens

    def _tokens(self, prepared: ModelInput) -> int:
        """What the request adds to a launch: its prompt without what is shared, and its scored lines behind it."""
        lines = sum(len(prepared.ids) + len(line) for line in self._lines(prepared))
        return len(prepared.ids) - prepared.prefix_len + lines

    def _visual(self, prepared: ModelInput) -> int:
        return 0 if prepared.pixels is None else len(prepared.pixels) // PATCHES

    def _lines(self, prepared: ModelInput) -> list[list[int]]:
        return [self.checkpoint.line_ids(choice) for choice in prepared.request.candidates]

    def _positions(self, prepared: ModelInput) -> Tensor:
        grid = None if prepared.grid is None else tuple(prepared.grid[0].tolist())
        return self._positions_of(len(prepared.ids), prepared.prefix_len, self._visual(prepared), grid)

    def _reckoned(self, length: int, before: int, visual: int, grid: tuple[int, ...] | None) -> Tensor:
        """Positions (3, length) of a prompt with so many visual tokens behind the first `before`."""
        images = torch.zeros(1, length, dtype=torch.int)
        images[0, before : before + visual] = 1
        grids = None if grid is None else torch.tensor([grid])
        positions: Tensor = self.checkpoint.model.model.get_rope_index(images.long(), images, grids)[0][:, 0]
        return positions

    # ---- launches ----

    def stage(self, pack: Sequence[ModelInput]) -> PrefillBatch:
        return self._guarded(partial(self._stage, pack))

    def _stage(self, prepared: Sequence[ModelInput]) -> PrefillBatch:
        assert self._session
        cuda = self.checkpoint.device.type == "cuda"
        lines = [
            Line(owner, torch.cat([one.ids, torch.tensor(line)]), len(one.ids))
            for owner, one in enumerate(prepared)
            for line in self._lines(one)
        ]
        positions = [self._positions(one) for one in prepared]
        pack = collate(prepared, lines, positions, self.checkpoint.image_token, self._session.shape, pinned=cuda)
        if not cuda:
            return pack
        self._copies = self._copies or torch.cuda.Stream(self.checkpoint.device)
        return pack.on(self.checkpoint.device, self._copies)

    def admit(self, staged: PrefillBatch, slots: Sequence[int]) -> PendingOutput:
        return self._guarded(partial(self._admit, staged, slots))

    def _admit(self, pack: PrefillBatch, slots: Sequence[int]) -> PendingOutput:
        assert self._session
        tokens, scored = self._session.admit(pack, slots)
        owners = [line.owner for line in pack.lines]
        first = _fetch(tokens[: len(slots)])
        told = _fetch(torch.stack([line.double().sum() for line in scored])) if scored else list
        return lambda: StepOutput(first(), _by_owner(owners, told(), len(slots)))

    def step(self) -> PendingOutput:
        return self._guarded(self._step)

    def _step(self) -> PendingOutput:
        assert self._session
        emitted = _fetch(self._session.step())
        return lambda: StepOutput(emitted())

    def end(self, slot: int) -> None:
        assert self._session
        self._guarded(partial(self._session.end, slot))

    def kept(self, prepared: ModelInput) -> ModelInput:
        return replace(prepared, pixels=None)  # 2 MB a slot

    def complete(
        self, prepared: ModelInput, tokens: Sequence[int], reason: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        return self.checkpoint.completion(prepared, tokens, reason, logprobs)

    # ---- how large everything is ----

    def make_room(self, prepared: ModelInput) -> None:
        """A session whose slots hold the request, and any other photo with the same words.

        Raises OutOfMemoryError where not even one slot and the smallest launch fit.
        """
        own, photo = self._visual(prepared), prepared.grid is not None
        visual = max(self.checkpoint.max_visual_tokens, own) if photo else 0
        rows = max(self._rows(prepared) + visual - own, self._tokens(prepared), self.size.room if self.size else 0)
        tokens = len(prepared.ids) - prepared.prefix_len + visual - own
        need = RequestBounds(rows, tokens, visual, scored=bool(prepared.request.candidates))
        wanted = replace(self._size_for(need), shared=PREFIXES * prepared.prefix_len)
        halvings = self.halvings
        while self._session is None or not self.holds(prepared):
            self._drop()
            halved = wanted.halved(self.halvings - self.reckoned_with)
            try:
                self._guarded(partial(self._open, halved))
            except OutOfMemoryError:
                if not self._halve(halved):
                    self.halvings = halvings  # the others do not pay for one that fits nowhere
                    raise

    def expect(self, wanted: Capacity, exactly: bool) -> Capacity:
        """The size that a run to come will have, which wants this one, `exactly` with its launches and slots.

        A session that would not do is given up now and not in the middle of the run. Nothing may be under way.
        """
        size = self.size
        long = size is not None and size.room >= wanted.room and size.scratch >= wanted.scratch
        if size and long and (not exactly or size.shape == wanted.shape):
            return size
        self._drop()
        return wanted

    def shrink(self) -> bool:
        """Half of everything; the next request builds it anew. False if it was as small as can be."""
        size = self.size
        self._drop()
        return size is not None and self._halve(size)

    def _halve(self, size: Capacity) -> bool:
        if size.halved(1) == size:
            return False
        self.halvings += 1
        return True

    def _drop(self) -> None:
        self._session = self.size = None
        if self.checkpoint.device.type == "cuda":
            torch.cuda.empty_cache()

    def _open(self, size: Capacity) -> None:
        checkpoint = self.checkpoint
        cuda = checkpoint.device.type == "cuda"
        table = self._language.table(size.slots, size.room, size.scratch, size.shared)
        choice = Sampler(
            checkpoint.settings.sampling, size.slots, checkpoint.model.config.text_config.vocab_size,
            checkpoint.model.generation_config.pad_token_id, checkpoint.device,
        )  # fmt: skip
        shape = Shape(size.tokens, PATCHES * size.visual, SEQUENCES, exact=not cuda)
        session = DeviceState(self._tower, self._language, choice, table, shape, checkpoint.stop_tokens)
        if cuda:
            session.capture()
        self._session, self.size = session, size

    def _guarded(self, work: Callable[[], ResultT]) -> ResultT:
        device = self.checkpoint.device
        try:
            # Streams and Triton kernels are those of the current device, which is a thread's own.
            with torch.inference_mode(), torch.cuda.device(device) if device.type == "cuda" else nullcontext():
                return work()
        except RuntimeError as error:
            if not _short_of_memory(error):
                raise
        raise OutOfMemoryError  # out here: the traceback would keep the launch's tensors alive


def _short_of_memory(error: BaseException | None) -> bool:
    """Whether the device's memory did not suffice: by torch's allocator or a library, or behind another error."""
    while error is not None:
        if isinstance(error, torch.cuda.OutOfMemoryError) or any(words in str(error) for words in SHORT_OF_MEMORY):
            return True
        error = error.__context__
    return False


def _fetch(tensor: Tensor) -> Callable[[], list[Any]]:
    """The numbers, copied as soon as they are there; the call waits for them."""
    if not tensor.is_cuda:
        numbers: list[Any] = tensor.tolist()
        return lambda: numbers
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    copied = torch.cuda.current_stream().record_event()

    def wait() -> list[Any]:
        copied.synchronize()
        return list(host.tolist())

    return wait


def _by_owner(owners: Sequence[int], told: Sequence[float], requests: int) -> list[tuple[float, ...]]:
    """ln P of each request's choices."""
    return [tuple(p for owner, p in zip(owners, told, strict=True) if owner == request) for request in range(requests)]
