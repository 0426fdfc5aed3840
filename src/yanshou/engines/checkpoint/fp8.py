"""Weights in FP8: which tensor is scaled by which, by config.json and the headers of the weight files.

    ….up_proj.weight            F8_E4M3  (9728, 2560)
    ….up_proj.weight_scale_inv  BF16     (76, 20)      one per block of 128 × 128: quant_method fp8, as Qwen publishes
    ….up_proj.weight_scale      BF16     (9728, 1)     one per output channel, or one alone: compressed-tensors

Both kinds of scales multiply the stored values, in spite of the first one's name. What is stored for activations and
for the KV cache is left out: the run's settings decide on both.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from yanshou.engines.checkpoint.weight_files import TensorHeader
from yanshou.errors import CheckpointError
from yanshou.validation import validation_message

Block = tuple[PositiveInt, PositiveInt]  # rows and columns that share a scale

FP8, WEIGHT = "F8_E4M3", ".weight"
SUFFIXES = ("_scale_inv", "_scale")  # of a weight's scale
SCALE_DTYPES = ("BF16", "F16", "F32")
FP8_FORMATS = ("float-quantized", "naive-quantized")  # of compressed-tensors
STRATEGIES = ("tensor", "channel", "block")

COPY = "Copy the checkpoint again."
IN_16_BITS = "Take the checkpoint in 16 bits."
SAVED_WITHOUT = (
    "It was saved from a loaded FP8 checkpoint, which leaves out what the 8 bits mean. Take the FP8 checkpoint itself, "
    "or the one in 16 bits."
)
CONVERTED = (
    "If the folder was converted to 16 bits, delete quantization_config from config.json; otherwise copy the "
    "checkpoint again."
)


class Scale(NamedTuple):
    """The scale of one FP8 weight."""

    name: str
    header: TensorHeader
    weight: TensorHeader  # of the weight; its file may be another
    block: Block | None  # None: per output channel or for the whole weight


def fp8_block(settings: Mapping[str, Any]) -> Block | None:
    """The block of values that shares a scale; None: one scale per output channel, or one for the whole weight.

    Raises ValueError, with the method in words, for anything but FP8 that can be loaded.
    """
    method = settings.get("quant_method")
    try:
        if method == "fp8":
            return FineGrained.model_validate(settings).weight_block_size
        if method == "compressed-tensors":
            return _compressed_block(CompressedTensors.model_validate(settings))
    except ValidationError as error:
        raise ValueError(f"{method}: {validation_message(error)}") from error
    raise ValueError(method or f"{settings.get('bits', 'unknown')} bits, no quant_method")


def match_scales(settings: Mapping[str, Any] | None, tensors: Mapping[str, TensorHeader]) -> dict[str, Scale]:
    """The scale of every FP8 weight, by the weight's name. Raises CheckpointError where headers and config disagree."""
    weights = {name: tensor for name, tensor in tensors.items() if tensor.dtype.startswith("F8_")}
    if settings is None:
        if weights:
            name, tensor = next(iter(weights.items()))
            raise CheckpointError(
                f"{tensor.file}: {name} is {tensor.dtype}, as are {len(weights) - 1} more, and config.json has no "
                f"quantization_config. {SAVED_WITHOUT}"
            )
        return {}
    block = fp8_block(settings)
    for name in tensors:
        if (weight := _scaled_weight(name)) and weight not in weights:
            raise CheckpointError(f"{tensors[name].file}: {name} scales no weight in FP8. {CONVERTED}")
    if not weights:
        file = next((tensor.file for tensor in tensors.values()), "the weight files")
        raise CheckpointError(f"{file}: no weight is in FP8, and config.json says that they are. {CONVERTED}")
    return {name: _scale(name, weight, tensors, block) for name, weight in weights.items()}


def _scale(name: str, weight: TensorHeader, tensors: Mapping[str, TensorHeader], block: Block | None) -> Scale:
    found = [name + suffix for suffix in SUFFIXES if name + suffix in tensors]
    if weight.dtype != FP8 or len(weight.shape) != 2 or not name.endswith(WEIGHT):
        raise CheckpointError(
            f"{weight.file}: {name} is {weight.dtype} of shape {weight.shape}; only {FP8} weights of linear layers can "
            f"be loaded. {IN_16_BITS}"
        )
    if len(found) != 1:
        raise CheckpointError(f"{weight.file}: {name} is in FP8 and has {len(found)} scales, expected one. {COPY}")
    scale = tensors[found[0]]
    if scale.dtype not in SCALE_DTYPES:
        raise CheckpointError(
            f"{scale.file}: {found[0]} is {scale.dtype}, and only scales in {', '.join(SCALE_DTYPES)} can be loaded. "
            f"{IN_16_BITS}"
        )
    if scale.shape not in (expected := list(_scale_shapes(weight.shape, block))):
        raise CheckpointError(
            f"{scale.file}: {found[0]} is {scale.dtype} of shape {scale.shape}, expected "
            f"{' or '.join(map(str, expected))} for a weight of shape {weight.shape}. {COPY}"
        )
    return Scale(found[0], scale, weight, block)


def _scale_shapes(weight: Sequence[int], block: Block | None) -> Iterator[tuple[int, ...]]:
    rows, columns = weight
    if block:
        yield -(-rows // block[0]), -(-columns // block[1])
    else:
        yield from ((rows, 1), (rows,), (1,), (), (1, 1))


def _scaled_weight(name: str) -> str | None:
    """The weight that a tensor of this name scales; None for any other tensor."""
    for suffix in SUFFIXES:
        if name.endswith(WEIGHT + suffix):
            return name.removesuffix(suffix)
    return None


def _compressed_block(settings: "CompressedTensors") -> Block | None:
    """All groups of layers must be stored alike."""
    name = f"compressed-tensors, {settings.format}"
    weights = [group.weights for group in settings.config_groups.values()]
    if settings.format not in FP8_FORMATS or not all(one.is_fp8 for one in weights) or not weights:
        raise ValueError(f"{name}, {weights[0].num_bits} bits" if weights else name)
    if settings.transform_config or (settings.sparsity_config and settings.sparsity_config.format != "dense"):
        raise ValueError(f"{name}, sparse or transformed")
    blocks = {one.block_structure if one.strategy == "block" else None for one in weights}
    if len(blocks) > 1 or any(one.strategy not in STRATEGIES for one in weights):
        raise ValueError(f"{name}, {' and '.join(sorted({one.strategy for one in weights}))} scales")
    return blocks.pop()


class Settings(BaseModel):
    """A part of quantization_config, without the keys that loading does not need."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FineGrained(Settings):
    """`quant_method` fp8."""

    weight_block_size: Block | None = None


class Weights(Settings):
    """How compressed-tensors stores the weights of a group of layers."""

    num_bits: int
    type: str
    strategy: str
    symmetric: bool = True
    block_structure: Block | None = None

    @property
    def is_fp8(self) -> bool:
        return (self.num_bits, self.type, self.symmetric) == (8, "float", True)


class Group(Settings):
    """A group of layers."""

    weights: Weights


class Sparsity(Settings):
    """How compressed-tensors leaves out zeros."""

    format: str = "dense"


class CompressedTensors(Settings):
    """`quant_method` compressed-tensors."""

    format: str
    config_groups: dict[str, Group]
    sparsity_config: Sparsity | None = None
    transform_config: dict[str, Any] | None = None
