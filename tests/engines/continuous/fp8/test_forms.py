"""Which products of a decode step run in FP8, for the shapes of the published checkpoints."""

from types import SimpleNamespace
from typing import Any

import pytest

from yanshou.engines.continuous.fp8.forms import decode_forms, product_shapes


def text_config(hidden: int, heads: int, intermediate: int) -> Any:
    """Of a dense Qwen3-VL checkpoint."""
    return SimpleNamespace(
        hidden_size=hidden, num_attention_heads=heads, num_key_value_heads=8, head_dim=128,
        intermediate_size=intermediate,
    )  # fmt: skip


CHECKPOINTS = {
    "2B": text_config(2048, 16, 6144), "4B": text_config(2560, 32, 9728), "8B": text_config(4096, 32, 12288),
    "32B": text_config(5120, 64, 25600),
}  # fmt: skip


def test_shapes_are_those_of_the_fused_products() -> None:
    assert product_shapes(CHECKPOINTS["4B"]) == {
        "qkv": (6144, 2560), "o": (2560, 4096), "gate_up": (19456, 2560), "down": (2560, 9728)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "in_fp8"),
    [
        ("2B", {"gate_up"}),
        ("4B", {"gate_up", "down"}),
        ("8B", {"qkv", "gate_up", "down"}),
        ("32B", {"qkv", "o", "gate_up", "down"}),
    ],
)
def test_large_products_of_a_decode_step_are_in_fp8(name: str, in_fp8: set[str]) -> None:
    forms = decode_forms(CHECKPOINTS[name])
    assert {product for product, form in forms.items() if form == "fp8"} == in_fp8
    assert {form for product, form in forms.items() if product not in in_fp8} <= {"bf16"}
    assert list(forms) == ["qkv", "o", "gate_up", "down"]


def test_all_products_can_be_forced_to_fp8() -> None:
    assert set(decode_forms(CHECKPOINTS["2B"], all_fp8=True).values()) == {"fp8"}
