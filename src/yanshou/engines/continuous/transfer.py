"""Copies between host and device for which neither side waits."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; copied from pinned memory, so that the host does not wait."""
    if device.type != "cuda":
        return tensor
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)


def integers(numbers: Sequence[int], device: torch.device) -> Tensor:
    """A few integers on the device, int64."""
    return to_device(torch.tensor(numbers, dtype=torch.long), device)


class HostCopy:
    """A tensor's numbers, copied to the host as soon as the device has computed them."""

    def __init__(self, tensor: Tensor) -> None:
        self._event: Any = None
        if not tensor.is_cuda:
            self._numbers = tensor.clone()
            return
        self._numbers = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._numbers.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.current_stream().record_event()

    def get(self) -> list[Any]:
        """Waits for the copy."""
        if self._event is not None:
            self._event.synchronize()
        return list(self._numbers.tolist())
