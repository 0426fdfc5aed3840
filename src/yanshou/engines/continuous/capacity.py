"""Decides how many requests run at once and how large a prefill batch is. Nothing else decides or limits either.

    memory × share = weights + activations of one prefill batch + slots × slot_len × bytes per token + reserve
                     (keys and values in FP8: + those of one prefill batch, of one layer, in 16 bits)
                     (long prefixes: + what they take beyond their part of the reserve)

    config and memory ─► out-of-memory halvings of earlier runs ─► clamped to what a resume pins ─► halvings of this run

The same GPU, checkpoint and settings always give the same capacity. Another capacity means matrix products of other
shapes, and the last bits of their results may differ.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

logger = logging.getLogger(__name__)

GIB = 2**30
MAX_SLOTS = 256  # more gain little: a decode step is then limited by reading keys and values, not weights
CPU_SLOTS, CPU_BATCH_TOKENS = 16, 4_096
SLOT_LEN_MULTIPLE = 64
MAX_SEQUENCES = 128  # prompts and scored continuations per prefill batch
MAX_BATCHED_TOKENS = ((38, 25_088), (20, 8_192), (14, 4_096), (0, 2_048))  # (from GPU memory in GiB, about tokens)
GEMM_TILE = 128  # rows that a matrix product computes together
PATCHES_PER_TOKEN = 4  # patches merged into one visual token
MAX_PREFIXES = 4  # prompt prefixes whose keys and values are kept
KV_SCALE_BYTES = 4  # of a head's keys or values of one token, in FP8
RESERVED_BYTES = GIB  # for libraries, the activations of a decode step, and usual prefixes
PREFIX_BYTES = RESERVED_BYTES // 2  # for prefixes; only what they take beyond that is missing for slots
RECORDED = ("slots", "prefill_batch_tokens", "prefill_batch_visual_tokens")


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """What a checkpoint may use of a device."""

    config: Any  # Qwen3VLConfig
    dtype: torch.dtype
    weight_bytes: int
    total_bytes: int | None  # GPU memory; None: a CPU, whose capacity is fixed
    share: float  # part of the GPU memory that may be used
    fp8: bool = False  # whether the large matrix products run in FP8
    fp8_cache: bool = False  # whether keys and values are in FP8


@dataclass(frozen=True, slots=True)
class RequestBounds:
    """Upper bounds on what one request needs."""

    kv_len: int  # cache rows: prompt and answer
    prefill_tokens: int  # the prompt without its prefix
    visual_tokens: int  # 0 without a photo
    scored: bool  # whether the likelihood of given answers is asked for
    prefix_len: int = 0  # tokens that all prompts begin with
    batch_tokens: int = 0  # what it adds to a prefill batch: its prompt, and scored continuations

    def covers(self, other: "RequestBounds") -> bool:
        """Whether a request within `other` is within these bounds, too."""
        return (
            self.scored == other.scored
            and self.kv_len >= other.kv_len
            and self.prefill_tokens >= other.prefill_tokens
            and self.visual_tokens >= other.visual_tokens
            and self.batch_tokens >= other.batch_tokens
        )


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many requests run at once, how long each may be, and how large a prefill batch is."""

    slots: int  # answers generated at once
    slot_len: int  # cache rows per slot
    prefill_batch_tokens: int
    prefill_batch_visual_tokens: int
    scratch_rows: int = 0  # cache rows for scored continuations: one per token of a prefill batch, or none
    prefix_rows: int = 0  # cache rows for prefixes that all slots read from one place
    request_batch_tokens: int = 0  # of the request that adds most to a prefill batch
    halvings: int = field(default=0, compare=False)  # out-of-memory errors after which it was planned

    @property
    def recorded(self) -> dict[str, int]:
        """What run.json records: the part of the capacity that the last bits of an answer may depend on."""
        return {name: getattr(self, name) for name in RECORDED}

    def halved(self, times: int) -> "Capacity":
        """After `times` out-of-memory errors. Never less than one slot and a prefill batch of one request."""
        tokens = max(self.least_batch_tokens, self.prefill_batch_tokens >> times)
        visual_tokens = max(self.slot_len, self.prefill_batch_visual_tokens >> times)
        return replace(
            self, slots=max(1, self.slots >> times), prefill_batch_tokens=tokens,
            prefill_batch_visual_tokens=min(self.prefill_batch_visual_tokens, visual_tokens),
            scratch_rows=tokens if self.scratch_rows else 0, halvings=self.halvings + times,
        )  # fmt: skip

    @property
    def least_batch_tokens(self) -> int:
        """Tokens of the smallest prefill batch that holds any of the requests alone."""
        return max(self.slot_len, self.request_batch_tokens)

    @property
    def is_minimal(self) -> bool:
        return self.halved(1) == self

    def clamped_to(self, earlier: Mapping[str, Any], visual_tokens: int) -> "Capacity":
        """Not more than an earlier run recorded, but enough for a photo of `visual_tokens`. Ignores invalid values."""
        limits = _valid(earlier)
        smaller = replace(self, **{name: min(number, getattr(self, name)) for name, number in limits.items()})
        tokens = max(smaller.prefill_batch_tokens, smaller.least_batch_tokens)
        return replace(
            smaller, prefill_batch_tokens=tokens,
            prefill_batch_visual_tokens=max(smaller.prefill_batch_visual_tokens, visual_tokens),
            scratch_rows=tokens if smaller.scratch_rows else 0,
        )  # fmt: skip

    def serves(self, wanted: "Capacity") -> bool:
        """Whether requests planned for `wanted` fit these slots, and a resume can be clamped to what is recorded."""
        needed = ("slot_len", "scratch_rows", "least_batch_tokens")
        fit = all(getattr(self, name) >= getattr(wanted, name) for name in needed)
        return fit and all(number <= wanted.recorded[name] for name, number in self.recorded.items())


class CapacityPlanner:
    """Number and length of slots and the size of prefill batches, from the start of a run to its last out-of-memory."""

    def __init__(self, budget: Callable[[], MemoryBudget]) -> None:
        self._budget = budget
        self._pinned: Mapping[str, Any] = {}
        self.run_capacity: Capacity | None = None  # what `plan_run` decided
        self._run_bounds: RequestBounds | None = None
        self.halvings = 0  # after out-of-memory errors, in all runs
        self._halving = threading.Lock()
        self._halvings_before_run = 0  # those of earlier runs, applied before the pinned capacity

    def pin(self, earlier: Mapping[str, Any]) -> None:
        """Keeps the capacity that an earlier run recorded in its environment, as far as memory allows. {}: none."""
        self._pinned = earlier

    def plan_run(self, bounds: RequestBounds, current: Capacity | None) -> Capacity:
        """The capacity of a whole run of such requests: `current`, which is allocated, if it serves the run."""
        self._halvings_before_run, self.run_capacity = self.halvings, None
        wanted = self.plan(bounds)
        if current and not self.is_outdated(current) and current.serves(wanted):
            keeps_pinned = not self._pinned or current.recorded == wanted.recorded
            wanted = current if keeps_pinned else wanted
        self.run_capacity, self._run_bounds = wanted, bounds
        return wanted

    def plan(self, bounds: RequestBounds, current: Capacity | None = None) -> Capacity:
        """The capacity for requests within these bounds: the run's, which its run.json records, if it covers them.

        Otherwise a new one, whose slots are never shorter than the run's or the current ones.
        """
        if self.run_capacity and self._run_bounds and self._run_bounds.covers(bounds):
            return self.run_capacity.halved(self.halvings - self.run_capacity.halvings)
        return self._plan_alone(bounds, self.run_capacity, current)

    def _plan_alone(self, bounds: RequestBounds, *others: Capacity | None) -> Capacity:
        """A new capacity, whose slots are never shorter than those of the others."""
        planned = [capacity.slot_len for capacity in others if capacity]
        longest = replace(bounds, kv_len=max(bounds.kv_len, *planned, 0))
        earlier = None if self._halvings_before_run else self._pinned  # which may be halved as often already
        wanted = plan_capacity(self._budget(), longest, earlier)
        pinned = wanted.halved(self._halvings_before_run).clamped_to(self._pinned, bounds.visual_tokens)
        return pinned.halved(self.halvings - self._halvings_before_run)

    def attempts(self, bounds: RequestBounds, current: Capacity | None) -> Iterator[Capacity]:
        """Capacities to try to allocate, each half of the one before. Pass the one that fits to `allocated`.

        Where prompts differ in length, the run's longest may fit nowhere: then come those for this request alone. If
        none fits, nothing has changed: a request that fits nowhere does not slow down the others.
        """
        planned = self.plan(bounds, current)
        yield from _halved_to_the_minimum(planned)
        if planned.slot_len > (alone := self._plan_alone(bounds)).slot_len and not bounds.visual_tokens:
            yield from _halved_to_the_minimum(alone)

    def allocated(self, capacity: Capacity) -> None:
        """Keeps the halvings that led to this capacity."""
        self.reduce(capacity.halvings)

    def after_oom(self, capacity: Capacity) -> bool:
        """Halves the capacity of all plans from now on. False if it is minimal already.

        Where prompts differ in length, a minimal one may hold longer ones than it has to: then each request is planned
        alone from now on.
        """
        if capacity.is_minimal:
            return self._leave_run()
        if not self.is_outdated(capacity):
            _log_halving(capacity)
        self.reduce(capacity.halvings + 1)
        return True

    def _leave_run(self) -> bool:
        """Gives up the run's capacity, which holds its longest prompt. False without one, and where all are alike."""
        if self.run_capacity is None or self._run_bounds is None or self._run_bounds.visual_tokens:
            return False
        logger.info("out of memory with %s: planning each request alone", describe(self.run_capacity))
        self.run_capacity = self._run_bounds = None
        return True

    def reduce(self, halvings: int) -> None:
        """Halves the capacity of all plans from now on, until there are this many halvings. For any thread."""
        with self._halving:
            self.halvings = max(self.halvings, halvings)

    def is_outdated(self, capacity: Capacity) -> bool:
        """Whether this capacity would be smaller if it were planned now."""
        return capacity.halvings < self.halvings and not capacity.is_minimal


def _halved_to_the_minimum(capacity: Capacity) -> Iterator[Capacity]:
    yield capacity
    while not capacity.is_minimal:
        _log_halving(capacity)
        capacity = capacity.halved(1)
        yield capacity


def _log_halving(capacity: Capacity) -> None:
    logger.info("out of memory with %s: retrying with half", describe(capacity))


def describe(capacity: Capacity) -> str:
    return (
        f"{capacity.slots} slots of {capacity.slot_len:,} tokens and prefill batches of "
        f"{capacity.prefill_batch_tokens:,} tokens ({capacity.prefill_batch_visual_tokens:,} visual)"
    )


def plan_capacity(budget: MemoryBudget, bounds: RequestBounds, earlier: Mapping[str, Any] | None = None) -> Capacity:
    """The largest capacity that fits the budget, computed from the config's shapes before any weight is loaded.

    Where a prefill batch holds the prompts of more than half the slots, most slots would be empty before each: smaller
    ones leave memory for more slots. A prefill batch that an earlier run recorded stays as it is, if its slots fit
    beside it.
    """
    if budget.total_bytes is None:
        return _with_batches_of(CPU_BATCH_TOKENS, budget, bounds)
    tokens = next(tokens for gib, tokens in MAX_BATCHED_TOKENS if budget.total_bytes >= gib * GIB)
    recorded = _valid(earlier or {})
    if len(recorded) == len(RECORDED):
        kept = _with_batches_of(tokens, budget, bounds).clamped_to(recorded, bounds.visual_tokens)
        if recorded["slots"] <= _free_slots(kept, budget, bounds):
            return replace(kept, slots=recorded["slots"])
    while True:
        capacity = _with_batches_of(tokens, budget, bounds)
        prompts = capacity.prefill_batch_tokens // max(bounds.prefill_tokens, bounds.batch_tokens)
        if 2 * prompts <= capacity.slots or tokens <= max(capacity.slot_len, bounds.batch_tokens):
            return capacity
        tokens //= 2


def _valid(earlier: Mapping[str, Any]) -> dict[str, int]:
    """The numbers that an earlier run recorded, without invalid ones."""
    recorded = {name: earlier.get(name) for name in RECORDED}
    return {name: number for name, number in recorded.items() if type(number) is int and number > 0}


def _with_batches_of(tokens: int, budget: MemoryBudget, bounds: RequestBounds) -> Capacity:
    """The capacity with prefill batches of about `tokens` tokens, or of one request where that needs more."""
    slot_len, prefix_rows = round_up(bounds.kv_len, SLOT_LEN_MULTIPLE), _prefix_rows(budget, bounds.prefix_len)
    tokens = visual_tokens = max(tokens, slot_len, bounds.batch_tokens)
    if bounds.visual_tokens and budget.total_bytes is not None:
        # a whole number of the largest photos, so that none is padding
        photos = min(tokens // bounds.prefill_tokens, MAX_SEQUENCES)
        tokens = max(round_up(photos * bounds.prefill_tokens, GEMM_TILE), slot_len)
        visual_tokens = photos * bounds.visual_tokens
    scratch_rows = tokens if bounds.scored else 0
    batch = Capacity(1, slot_len, tokens, visual_tokens, scratch_rows, prefix_rows, bounds.batch_tokens)
    return _with_slots(batch, budget, bounds)


def _prefix_rows(budget: MemoryBudget, prefix_len: int) -> int:
    """Cache rows for prefixes: as many of this length as their part of the reserve holds, but one at least.

    All of them, where they are long, such as a prompt with examples, would take the memory of many slots.
    """
    counts = range(1, MAX_PREFIXES + 1)
    fitting = (count for count in counts if _prefix_bytes(budget, prefix_len, count * prefix_len) <= PREFIX_BYTES)
    return prefix_len * max(fitting, default=1)


def _prefix_bytes(budget: MemoryBudget, prefix_len: int, rows: int) -> int:
    """Bytes of one prefix as it was computed, in 16 bits, and of the cache rows for prefixes."""
    computed = prefix_len * kv_bytes_per_token(budget.config, budget.dtype)
    return computed + rows * kv_bytes_per_token(budget.config, budget.dtype, budget.fp8_cache)


def _with_slots(capacity: Capacity, budget: MemoryBudget, bounds: RequestBounds) -> Capacity:
    """The capacity with as many slots as there is memory for beside its prefill batch, but one at least."""
    if budget.total_bytes is None:
        return replace(capacity, slots=CPU_SLOTS)
    slots = max(1, _free_slots(capacity, budget, bounds))
    return replace(capacity, slots=slots if slots < 8 else slots // 8 * 8)


def _free_slots(capacity: Capacity, budget: MemoryBudget, bounds: RequestBounds) -> int:
    """How many slots a GPU has memory for beside a prefill batch; less than one where the batch does not fit."""
    assert budget.total_bytes is not None
    tokens = capacity.prefill_batch_tokens
    row_bytes = kv_bytes_per_token(budget.config, budget.dtype, budget.fp8_cache)
    activations = activation_bytes(budget.config, budget.dtype, tokens, budget.fp8)
    spare = budget.share * budget.total_bytes - budget.weight_bytes - activations - RESERVED_BYTES
    batch_row = batch_row_bytes(budget.config, budget.dtype) if budget.fp8_cache else 0
    spare -= (capacity.scratch_rows + 1) * row_bytes + tokens * batch_row
    spare -= max(0, _prefix_bytes(budget, bounds.prefix_len, capacity.prefix_rows) - PREFIX_BYTES)
    return min(MAX_SLOTS, int(spare // (capacity.slot_len * row_bytes + bounds.prefix_len * batch_row)))


def round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def kv_bytes_per_token(config: Any, dtype: torch.dtype, fp8: bool = False) -> int:
    """Bytes of one token's keys and values in all layers. In FP8 each head has a scale beside its numbers."""
    text = config.text_config
    head_bytes = text.head_dim + KV_SCALE_BYTES if fp8 else text.head_dim * dtype.itemsize
    return int(2 * text.num_hidden_layers * text.num_key_value_heads * head_bytes)


def batch_row_bytes(config: Any, dtype: torch.dtype) -> int:
    """Bytes of one row of `BatchKeysValues`: a token's keys and values in one layer."""
    return kv_bytes_per_token(config, dtype) // int(config.text_config.num_hidden_layers)


def activation_bytes(config: Any, dtype: torch.dtype, tokens: int, fp8: bool = False) -> int:
    """Peak bytes of activations of a prefill batch of `tokens`, in the vision tower or in the language model.

    In FP8 the input of an MLP's last product has one byte per number.
    """
    text, vision, itemsize = config.text_config, config.vision_config, dtype.itemsize
    inner = 1 if fp8 else itemsize
    heads = 2 * text.num_attention_heads + 4 * text.num_key_value_heads
    language = (8 * text.hidden_size + heads * text.head_dim) * itemsize
    language += text.intermediate_size * (2 * itemsize + inner)
    tower = (9 * vision.hidden_size + 1_536) * itemsize + vision.intermediate_size * (itemsize + inner)
    return int(tokens * max(language, PATCHES_PER_TOKEN * tower))
