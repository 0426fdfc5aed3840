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
from safetensors.torch import load_file
from transformers import Qwen3VLForConditionalGeneration

from yanshou.engines import checkpoint
from yanshou.world.train import SHARD


def write(trained: Path, target: Path) -> None:
    """Writes the whole folder; one that is there is replaced at the end."""
    demo = checkpoint.locate("demo")
    weights = {name: tensor for path in trained.glob("*.safetensors") for name, tensor in load_file(path).items()}
    model = Qwen3VLForConditionalGeneration.from_pretrained(demo, dtype=torch.bfloat16)
    missing, unknown = model.load_state_dict(weights, strict=False)
    assert not unknown, unknown
    assert all(name.startswith(("model.visual.", "lm_head.")) for name in missing), (
        missing
    )  # frozen; tied to the embedding
    draft = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    model.save_pretrained(draft, max_shard_size=SHARD)
    for path in demo.iterdir():
        if path.suffix in {".json", ".jinja"} and not path.name.endswith(".index.json"):
            shutil.copy2(path, draft)
    checkpoint.share(draft)
    if target.exists():
        shutil.rmtree(target)
    draft.replace(target)


def main(arguments: Sequence[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description="A trained checkpoint in the demo checkpoint's form.")
    parser.add_argument("trained", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args(arguments)
    write(given.trained, given.target)
    return Path(given.target)


if __name__ == "__main__":
    sys.exit(not main())
