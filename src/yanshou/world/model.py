"""The untrained demo checkpoint: a folder with every file of a real Qwen3-VL checkpoint, but small.

    config.json · generation_config.json · chat_template.jinja · processor_config.json
    tokenizer.json · tokenizer_config.json · model.safetensors

It has 11.7 million parameters. The tokenizer is a byte-level BPE (it encodes any text) trained on the demo world's own
corpus, with Qwen's special tokens and chat template, so the folder needs no special code path.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from yanshou.missions import load_missions
from yanshou.missions.prompts import SUMMARY_SYSTEM_PROMPT, SUMMARY_USER_PROMPT, summary_prompt, verdict_prompt
from yanshou.settings import PromptSettings
from yanshou.world.scene import random_scene

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
VOCABULARY = 2048
# Qwen's pre-tokenizer: letters after at most one other character, single digits, runs of punctuation, line breaks.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' or 'image' in part -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif 'text' in part -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""


def corpus(seed: int = 0, photos: int = 4000) -> Iterator[str]:
    """Prompts and answers of the demo checkpoint. The tokenizer learns its merges from them."""
    rng = Random(seed)
    missions = list(load_missions())
    yield from ("system", "user", "assistant") * 100
    for i in range(photos):
        yield random_scene(rng).line()
        if i % 40 == 0:
            for mission in missions:
                yield SUMMARY_SYSTEM_PROMPT
                yield SUMMARY_USER_PROMPT
                yield summary_prompt(mission, PromptSettings()).user
                question = verdict_prompt(mission, [random_scene(rng).line() for _ in range(3)])
                yield from (question.system, question.user)
                yield f"通过\n理由: {mission.rule.text}"
                yield f"不通过\n理由: {mission.rule.text}"


def write_untrained(
    folder: Path,
    texts: Iterable[str] | None = None,
    seed: int = 0,
    vision: dict[str, Any] | None = None,
    **text: Any,
) -> None:
    """Writes the whole checkpoint folder with random weights, in bf16.

    The tokenizer is trained on `texts` (None: `corpus(seed)`). `vision` and `text` override fields of the configuration
    of the vision tower and the language model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_processor(folder, corpus(seed) if texts is None else texts)
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config(folder, vision or {}, **text))
    model.generation_config.update(**generation_config(folder))
    model.to(torch.bfloat16).save_pretrained(folder)


def write_processor(folder: Path, texts: Iterable[str]) -> None:
    """Writes tokenizer, chat template and image processor, as transformers saves them."""
    tokenizer = Qwen2TokenizerFast(
        tokenizer_object=_bpe(texts), pad_token="<|endoftext|>", eos_token="<|im_end|>", padding_side="left",
        model_max_length=32768, extra_special_tokens=list(SPECIAL_TOKENS),
    )  # fmt: skip
    shape: dict[str, Any] = {
        "patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    images = Qwen2VLImageProcessor(size={"shortest_edge": 65_536, "longest_edge": 16_777_216}, **shape)
    videos = Qwen3VLVideoProcessor(size={"shortest_edge": 4_096, "longest_edge": 25_165_824}, **shape)
    processor = Qwen3VLProcessor(images, tokenizer, videos, chat_template=CHAT_TEMPLATE)
    processor.save_pretrained(folder)


def _bpe(texts: Iterable[str]) -> Tokenizer:
    """A byte-level BPE of at most VOCABULARY tokens, fewer if the texts have no more merges."""
    bpe = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERN), "isolated"), byte_level])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe


def config(folder: Path, vision: dict[str, Any], **text: Any) -> Qwen3VLConfig:
    """The demo checkpoint's configuration with the given fields changed. Token ids come from the folder's tokenizer."""
    token = _token_ids(folder)
    text = {
        "vocab_size": VOCABULARY, "hidden_size": 256, "intermediate_size": 896, "num_hidden_layers": 6,
        "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 64, "max_position_embeddings": 32_768,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 100_000.0, "mrope_section": [12, 10, 10], "mrope_interleaved": True,
        },
        "bos_token_id": token("<|endoftext|>"), "eos_token_id": token("<|im_end|>"), "tie_word_embeddings": True,
    } | text  # fmt: skip
    vision = {
        "depth": 6, "hidden_size": 192, "intermediate_size": 768, "num_heads": 6,
        "out_hidden_size": text["hidden_size"], "num_position_embeddings": 576, "deepstack_visual_indexes": [1, 3],
    } | vision  # fmt: skip
    return Qwen3VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=True,
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
    )  # fmt: skip


def generation_config(folder: Path) -> dict[str, Any]:
    """Greedy decoding, with the folder's stop and padding tokens."""
    token = _token_ids(folder)
    stop = [token("<|im_end|>"), token("<|endoftext|>")]
    return {"bos_token_id": stop[1], "pad_token_id": stop[1], "eos_token_id": stop, "do_sample": False}


def _token_ids(folder: Path) -> Callable[[str], int]:
    ids: Mapping[str, int] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    return ids.__getitem__
