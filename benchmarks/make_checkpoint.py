"""Writes a Qwen3-VL checkpoint folder with the real vocabulary and random weights, or none.

    python benchmarks/make_checkpoint.py OUT                 the shapes of 4B without weights; throughput.py makes them
    python benchmarks/make_checkpoint.py OUT --shape tiny    a few million weights, written to disk: runs anywhere

Config, tokenizer, processor and chat template are as transformers saves them. The vocabulary comes from the BPE ranks
in the dashscope package (`pip install --no-deps dashscope`), which is not imported. The shape "4b" is that of the
public Qwen3-VL-4B-Instruct.
"""

import argparse
import base64
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    GenerationConfig,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from yanshou.world.model import CHAT_TEMPLATE, SPECIAL_TOKENS

RANKS = "resources/qwen.tiktoken"  # in the dashscope package; a line is a token in base64, a space and its rank
MORE_TOKENS = (
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>",
)  # fmt: skip
FIRST_SPECIAL = 151_643
VOCABULARY = 151_936  # rows of the embedding; more than there are tokens

SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # text, vision
    "4b": (
        {
            "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262_144,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5_000_000, "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
        },
        {
            "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2560,
            "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17],
        },
    ),
    "tiny": (
        {
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 32_768,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5_000_000, "mrope_section": [6, 5, 5], "mrope_interleaved": True,
            },
        },
        {
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
            "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
        },
    ),
}  # fmt: skip


def write_checkpoint(folder: Path, shape: str, weights: bool, ranks: Path | None = None) -> None:
    """Writes the whole folder. Without weights, its model.safetensors holds no tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = real_tokenizer(ranks or ranks_file())
    processor(tokenizer).save_pretrained(folder)
    config = model_config(tokenizer, shape)
    generation = GenerationConfig(
        bos_token_id=FIRST_SPECIAL, pad_token_id=FIRST_SPECIAL, do_sample=False,
        eos_token_id=[tokenizer.eos_token_id, FIRST_SPECIAL],
    )  # fmt: skip
    if weights:
        torch.manual_seed(0)
        model = Qwen3VLForConditionalGeneration(config).to(torch.bfloat16)
        model.generation_config = generation
        model.save_pretrained(folder)
    else:
        config.save_pretrained(folder)
        generation.save_pretrained(folder)
        save_file({}, folder / "model.safetensors", metadata={"format": "pt"})


def ranks_file() -> Path:
    """The file of BPE ranks, found without importing the package that contains it."""
    spec = find_spec("dashscope")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "The vocabulary is part of dashscope: pip install --no-deps dashscope==2.0.2, or give --ranks."
        )
    return Path(spec.origin).parent / RANKS


def real_tokenizer(path: Path) -> Qwen2TokenizerFast:
    """Qwen's byte-level BPE: 151,643 text tokens and 26 added tokens."""
    ranks = read_ranks(path)
    letter = dict(zip(range(256), bytes_as_letters(), strict=True))

    def spell(token: bytes) -> str:
        return "".join(letter[byte] for byte in token)

    merges = [tuple(map(spell, last_merge(token, ranks))) for token in ranks if len(token) > 1]
    vocabulary = {spell(token): rank for token, rank in ranks.items()}
    added = (*SPECIAL_TOKENS, *MORE_TOKENS)
    vocabulary |= {token: FIRST_SPECIAL + at for at, token in enumerate(added)}
    return Qwen2TokenizerFast(
        vocab=vocabulary, merges=merges, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left",
        model_max_length=262_144, extra_special_tokens=list(added),
    )  # fmt: skip


def read_ranks(path: Path) -> dict[bytes, int]:
    """Token → rank, which is also its id, in the order of the ranks."""
    lines = (line.split() for line in path.read_bytes().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts whose merge makes the token, after all merges of lower rank."""
    parts = [token[at : at + 1] for at in range(len(token))]
    while len(parts) > 2:
        pair_ranks = [ranks.get(left + right, VOCABULARY) for left, right in pairwise(parts)]
        at = pair_ranks.index(min(pair_ranks))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def bytes_as_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte: itself if printable, else a letter from U+0100 on."""
    prints = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    letters = [chr(byte if byte in prints else next(others)) for byte in range(256)]
    assert set(letters) == set(ByteLevel.alphabet())
    return letters


def processor(tokenizer: Qwen2TokenizerFast) -> Qwen3VLProcessor:
    shape: dict[str, Any] = {
        "patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    images = Qwen2VLImageProcessor(size={"shortest_edge": 65_536, "longest_edge": 16_777_216}, **shape)
    videos = Qwen3VLVideoProcessor(size={"shortest_edge": 4_096, "longest_edge": 25_165_824}, **shape)
    return Qwen3VLProcessor(images, tokenizer, videos, chat_template=CHAT_TEMPLATE)


def model_config(tokenizer: Qwen2TokenizerFast, shape: str) -> Qwen3VLConfig:
    text, vision = SHAPES[shape]
    token = tokenizer.convert_tokens_to_ids
    ends = {"bos_token_id": token("<|endoftext|>"), "eos_token_id": token("<|im_end|>")}
    return Qwen3VLConfig(
        text_config={"vocab_size": VOCABULARY, "tie_word_embeddings": True, **ends, **text},
        vision_config=vision, tie_word_embeddings=True, dtype="bfloat16",
        architectures=["Qwen3VLForConditionalGeneration"],  # vLLM needs it
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a Qwen3-VL checkpoint folder with the real vocabulary.")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--shape", choices=SHAPES, default="4b")
    parser.add_argument(
        "--weights",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write random weights; default: only for the shape tiny",
    )
    parser.add_argument("--ranks", type=Path, help="the file qwen.tiktoken, if dashscope is not installed")
    given = parser.parse_args()
    weights = given.shape == "tiny" if given.weights is None else given.weights
    write_checkpoint(given.out, given.shape, weights, given.ranks)


if __name__ == "__main__":
    main()
