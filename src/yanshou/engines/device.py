"""Where and how a checkpoint runs: device, dtype and attention, chosen by name or automatically."""

import torch
from transformers.utils import is_flash_attn_2_available

from yanshou.errors import UsageError


def pick_device(name: str) -> torch.device:
    """The device called auto, cpu, cuda or cuda:N. Raises UsageError, which lists the devices of this machine."""
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device(there[1] if len(there) > 1 else "cpu")
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in there:
        raise UsageError(f"--device {name}: this machine has no such device, only {', '.join(there)}.")
    return torch.device(wanted)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of that name; auto is bfloat16 on CUDA and float32 on the CPU."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def pick_attention(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """The attention of that name; auto is FlashAttention 2 where it is installed and supported, else SDPA."""
    possible = device.type == "cuda" and dtype != torch.float32 and is_flash_attn_2_available()
    if name == "auto":
        return "flash_attention_2" if possible else "sdpa"
    if name == "flash_attention_2" and not possible:
        raise UsageError("--attn flash_attention_2 needs CUDA, 16-bit weights and the package flash-attn. Use sdpa.")
    return name
