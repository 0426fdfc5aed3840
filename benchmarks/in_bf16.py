"""A trained checkpoint as the demo checkpoint is shipped: bf16, in shards of at most 14 MB.

    python benchmarks/in_bf16.py run/final src/yanshou/world/checkpoint

Only weights come from the first folder; those of the vision tower, which stays, may be missing there. Configuration,
tokenizer and processor are the demo checkpoint's, which it was trained from.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import Qwen3VLForConditionalGeneration

from yanshou.engines import checkpoint
from yanshou.errors import CheckpointError, OutputError, RunError
from yanshou.world.train import MAX_SHARD_SIZE


def write(trained: Path, target: Path) -> None:
    """Writes the whole folder; one that is there is replaced at the end. Raises CheckpointError and OutputError."""
    there = next(path for path in (target, *target.absolute().parents) if path.exists())
    if not there.is_dir():
        raise OutputError(f"{there} is a file. Give a folder to write to.")
    demo = checkpoint.locate("demo")
    weights = _weights(trained)
    model = Qwen3VLForConditionalGeneration.from_pretrained(demo, dtype=torch.bfloat16)
    if fault := _fault(weights, model.state_dict()):
        raise CheckpointError(f"{trained}: {fault}. Give a checkpoint that was trained from the demo checkpoint.")
    model.load_state_dict(weights, strict=False)
    draft = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    model.save_pretrained(draft, max_shard_size=MAX_SHARD_SIZE)
    for path in demo.iterdir():
        if path.suffix in {".json", ".jinja"} and not path.name.endswith(".index.json"):
            shutil.copy2(path, draft)
    checkpoint.share(draft)
    if target.exists():
        shutil.rmtree(target)
    draft.replace(target)


def _weights(trained: Path) -> dict[str, torch.Tensor]:
    try:
        return {name: tensor for path in trained.glob("*.safetensors") for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{trained}: the weights cannot be read: {error}. Copy the checkpoint again.") from error


def _fault(weights: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> str:
    """The first thing that keeps the weights from being the demo model's, or ""."""
    if not weights:
        return "no safetensors weights are there"
    for name, tensor in weights.items():
        if name not in wanted:
            return f"the demo checkpoint has no {name}"
        if tensor.shape != wanted[name].shape:
            return f"{name} has the shape {[*tensor.shape]}, in the demo checkpoint {[*wanted[name].shape]}"
    for name in wanted:
        if name not in weights and not name.startswith(("model.visual.", "lm_head.")):  # frozen; tied to the embedding
            return f"{name} is missing"
    return ""


def main(arguments: Sequence[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description="A trained checkpoint in the demo checkpoint's form.")
    parser.add_argument("trained", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args(arguments)
    try:
        write(given.trained, given.target)
    except RunError as error:
        sys.exit(f"{parser.prog}: {error}")
    return Path(given.target)


if __name__ == "__main__":
    sys.exit(not main())
