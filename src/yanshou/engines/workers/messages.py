"""What driver and workers say to each other. Everything here is pickled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from yanshou.engines.base import Answer

Follows = Literal["more now", "maybe more", "nothing"]  # what comes after the requests of an exchange


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """Who a worker is, and what its answers depend on. Loads no weights."""

    host: str
    pid: int
    device: str  # the GPU's name, or cpu
    versions: Mapping[str, str]  # of yanshou, Python, torch, triton and transformers, as far as they are installed
    identity: Mapping[str, Any]  # of its engine


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How a worker runs the run that was planned."""

    environment: Mapping[str, Any]  # of its engine, capacity included
    in_flight: int  # of its engine


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker has done since its last reply."""

    answers: tuple[Answer, ...] = ()
    unseen: frozenset[int] = frozenset()  # of the failed: photos that do not exist on the worker's host
    loading: bool = False  # its checkpoint is not loaded yet
    stopped: bool = False  # after `stop`: no more answers will come
    data_wait_s: float = 0.0  # of its engine, since it was made
    out_of_memory: int = 0  # of its engine, since it was made


class BrokenWorkerError(Exception):
    """A worker that can compute nothing any more, such as one with a broken CUDA context. It has to be replaced."""
