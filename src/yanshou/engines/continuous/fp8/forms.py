"""Which matrix products of a decode step run in FP8. A fixed rule: nothing is measured when a run starts.

Prefill batches and the vision tower run in FP8 everywhere. A decode step has few rows, so its products read weights
more than they compute. Small products are then faster in 16 bits, and keep a copy of their weights in 16 bits.
"""

from collections.abc import Mapping
from typing import Any, Literal

Form = Literal["bf16", "fp8"]
DecodeForms = Mapping[str, Form]  # by product: qkv, o, gate_up, down

FP8_FROM_WEIGHTS = 24_000_000  # outputs × inputs of a product that decode steps run in FP8


def product_shapes(text_config: Any) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the matrix products of one layer of the language model."""
    hidden, intermediate, head_dim = text_config.hidden_size, text_config.intermediate_size, text_config.head_dim
    heads, key_heads = text_config.num_attention_heads, text_config.num_key_value_heads
    return {
        "qkv": ((heads + 2 * key_heads) * head_dim, hidden),
        "o": (hidden, heads * head_dim),
        "gate_up": (2 * intermediate, hidden),
        "down": (hidden, intermediate),
    }


def decode_forms(text_config: Any, all_fp8: bool = False) -> dict[str, Form]:
    """The form of each product of a decode step. `all_fp8` is for tests and benchmarks."""
    return {
        name: "fp8" if all_fp8 or outputs * inputs >= FP8_FROM_WEIGHTS else "bf16"
        for name, (outputs, inputs) in product_shapes(text_config).items()
    }
