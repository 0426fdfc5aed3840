"""Writes a trained checkpoint in the form in which the demo checkpoint is shipped: bf16, in shards of at most 14 MB.

    python -m yanshou.world.export run/final src/yanshou/world/checkpoint

The first folder gives the weights only. Those of the vision tower may be missing, because training freezes it.
Configuration, tokenizer and processor are those of the demo checkpoint, from which the training started.
"""

import shutil
from pathlib import Path

import click
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import Qwen3VLForConditionalGeneration

from yanshou.engines import checkpoint
from yanshou.errors import CheckpointError, OutputError, RunError
from yanshou.world.train import MAX_SHARD_SIZE


def export(trained: Path, target: Path) -> None:
    """Writes the folder `target`. An old one is replaced at the end. Raises CheckpointError and OutputError."""
    there = next(path for path in (target, *target.absolute().parents) if path.exists())
    if not there.is_dir():
        raise OutputError(f"{there}: this is a file. Give a folder to write to.")
    demo = checkpoint.locate("demo")
    weights = _weights(trained)
    model = Qwen3VLForConditionalGeneration.from_pretrained(demo, dtype=torch.bfloat16)
    if problem := _mismatch(weights, model.state_dict()):
        raise CheckpointError(f"{trained}: {problem}. Give a checkpoint that was trained from the demo checkpoint.")
    model.load_state_dict(weights, strict=False)
    draft = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    model.save_pretrained(draft, max_shard_size=MAX_SHARD_SIZE)
    for path in demo.iterdir():
        if path.suffix in {".json", ".jinja"} and not path.name.endswith(".index.json"):
            shutil.copy2(path, draft)
    checkpoint.inherit_permissions(draft)
    if target.exists():
        shutil.rmtree(target)
    draft.replace(target)


def _weights(trained: Path) -> dict[str, torch.Tensor]:
    try:
        return {name: tensor for path in trained.glob("*.safetensors") for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{trained}: the weights cannot be read: {error}. Copy the checkpoint again.") from error


def _mismatch(weights: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> str | None:
    """The first reason why the weights cannot replace those of the demo checkpoint. None: they can."""
    if not weights:
        return "this folder has no safetensors weights"
    for name, tensor in weights.items():
        if name not in wanted:
            return f"the demo checkpoint has no {name}"
        if tensor.shape != wanted[name].shape:
            return f"{name} has the shape {[*tensor.shape]}, not {[*wanted[name].shape]} as in the demo checkpoint"
    for name in wanted:
        # The vision tower is frozen, and lm_head is tied to the embedding.
        if name not in weights and not name.startswith(("model.visual.", "lm_head.")):
            return f"{name} is missing"
    return None


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))  # \b: click keeps the line breaks
@click.argument("trained", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
def main(trained: Path, target: Path) -> None:
    """Command line."""
    try:
        export(trained, target)
    except RunError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
