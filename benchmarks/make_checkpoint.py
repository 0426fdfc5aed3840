"""Writes a Qwen3-VL checkpoint folder with the real vocabulary and random weights, or none.

    python benchmarks/make_checkpoint.py OUT                 the shapes of 4B without weights; throughput.py makes them
    python benchmarks/make_checkpoint.py OUT --shape tiny    a few million weights, written to disk: runs anywhere
    python benchmarks/make_checkpoint.py OUT --shape 32b --fp8 blocks    weights in FP8 as published: 35 GB

Config, tokenizer, processor and chat template are as transformers saves them. The vocabulary comes from the BPE ranks
in the dashscope package (`pip install --no-deps dashscope`), which is not imported. The shapes "4b", "8b" and "32b" are
those of the public Qwen3-VL Instruct models. Weights are drawn on the GPU where there is one and written tensor by
tensor, so that neither the GPU nor the host holds them all.
"""

import argparse
import base64
import json
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from quantized_model import BLOCK, by_block
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
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

ROPE = {
    "rope_type": "default", "rope_theta": 5_000_000, "mrope_section": [24, 20, 20], "mrope_interleaved": True,
}  # fmt: skip
TOWER = {  # of 8B and 32B
    "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [8, 16, 24],
}  # fmt: skip
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # text, vision
    "4b": (
        {
            "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262_144, "rope_parameters": ROPE,
        },
        {
            "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2560,
            "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17],
        },
    ),
    "8b": (
        {
            "hidden_size": 4096, "intermediate_size": 12_288, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262_144, "rope_parameters": ROPE,
        },
        {**TOWER, "out_hidden_size": 4096},
    ),
    "32b": (
        {
            "hidden_size": 5120, "intermediate_size": 25_600, "num_hidden_layers": 64, "num_attention_heads": 64,
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262_144, "rope_parameters": ROPE,
        },
        {**TOWER, "out_hidden_size": 5120},
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
UNTIED = ("8b", "32b")  # shapes whose output matrix is not the embeddings

GB = 10**9
FP8: dict[str, dict[str, Any]] = {  # format → quantization_config as published
    "blocks": {
        "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK],
        "modules_to_not_convert": ["lm_head", "model.visual"],
    },
    "channels": {
        "quant_method": "compressed-tensors", "format": "float-quantized", "quantization_status": "compressed",
        "config_groups": {"group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "channel", "dynamic": False},
            "input_activations": {
                "num_bits": 8, "type": "float", "symmetric": True, "strategy": "token", "dynamic": True,
            },
        }},
        "ignore": ["lm_head", "re:.*visual.*"], "kv_cache_scheme": None,
    },
}  # fmt: skip
SHARD = 4 * GB  # bytes per weight file


def write_checkpoint(
    folder: Path, shape: str, weights: bool, ranks: Path | None = None, fp8: str | None = None
) -> None:
    """Writes the whole folder. Without weights, its model.safetensors holds no tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = real_tokenizer(ranks or ranks_file())
    processor(tokenizer).save_pretrained(folder)
    config = model_config(tokenizer, shape)
    generation = GenerationConfig(
        bos_token_id=FIRST_SPECIAL, pad_token_id=FIRST_SPECIAL, do_sample=False,
        eos_token_id=[tokenizer.eos_token_id, FIRST_SPECIAL],
    )  # fmt: skip
    if fp8:
        config.quantization_config = FP8[fp8]
    if weights and shape == "tiny" and not fp8:
        torch.manual_seed(0)
        model = Qwen3VLForConditionalGeneration(config).to(torch.bfloat16)
        model.generation_config = generation
        model.save_pretrained(folder)
        return
    config.save_pretrained(folder)
    generation.save_pretrained(folder)
    if weights:
        write_shards(folder, random_weights(config, fp8))
    else:
        save_file({}, folder / "model.safetensors", metadata={"format": "pt"})


def random_weights(config: Qwen3VLConfig, fp8: str | None) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors, on the GPU where there is one: linear layers of the language model in FP8, others in bf16."""
    with torch.device("meta"):
        wanted = Qwen3VLForConditionalGeneration(config).state_dict()
    if config.tie_word_embeddings:
        del wanted["lm_head.weight"]
    generator = torch.Generator("cuda" if torch.cuda.is_available() else "cpu").manual_seed(0)
    for name, like in wanted.items():
        weight = random_tensor(name, like.shape, generator)
        if not fp8 or ".language_model.layers." not in name or not name.endswith("proj.weight"):
            yield name, weight
            continue
        blocks = fp8 == "blocks"  # else one scale per output channel
        values, scales = by_block(weight) if blocks else by_block(weight, 1, weight.shape[1])
        yield name, values
        yield f"{name}_scale_inv" if blocks else f"{name}_scale", scales.bfloat16()


def random_tensor(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """As transformers initializes it, in bf16: norms 1, biases 0, others normal."""
    if len(shape) == 1:
        return torch.full(shape, float(name.endswith(".weight")), dtype=torch.bfloat16, device=generator.device)
    drawn = torch.empty(shape, dtype=torch.bfloat16, device=generator.device)
    return drawn.normal_(0, 0.02, generator=generator)


def write_shards(folder: Path, weights: Iterator[tuple[str, Tensor]]) -> None:
    """Weight files of about SHARD bytes, and their index."""
    places, shard, total = dict[str, str](), dict[str, Tensor](), 0

    def write() -> None:
        file = f"model-{len(set(places.values())) + 1:05}.safetensors"
        save_file(shard, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(shard, file))
        shard.clear()

    for name, weight in weights:
        shard[name] = weight.cpu()
        total += weight.nbytes
        if sum(tensor.nbytes for tensor in shard.values()) > SHARD:
            write()
    write()
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


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
    ends, tied = {"bos_token_id": token("<|endoftext|>"), "eos_token_id": token("<|im_end|>")}, shape not in UNTIED
    return Qwen3VLConfig(
        text_config={"vocab_size": VOCABULARY, "tie_word_embeddings": tied, **ends, **text},
        vision_config=vision, tie_word_embeddings=tied, dtype="bfloat16",
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
        help="write random weights; default: only for the shape tiny, and with --fp8",
    )
    parser.add_argument("--fp8", choices=FP8, help="write the language model's linear layers in this format of FP8")
    parser.add_argument("--ranks", type=Path, help="the file qwen.tiktoken, if dashscope is not installed")
    given = parser.parse_args()
    weights = bool(given.shape == "tiny" or given.fp8) if given.weights is None else given.weights
    write_checkpoint(given.out, given.shape, weights, given.ranks, given.fp8)


if __name__ == "__main__":
    main()
