"""Where the engine runs: in this process, or in workers on many GPUs and hosts."""

from typing import Literal, Self

from pydantic import Field, model_validator

from yanshou.settings.base import Settings

WORKER_TIMEOUT_S = 600.0


class WorkerSettings(Settings):
    """Several engines for one run, each in a process of its own, started by Ray."""

    heading = "Workers"

    workers: Literal["all"] | int | None = Field(
        default=None,
        description="Number of workers, each with one GPU and an engine of its own; all: one per GPU. On CPUs give a "
        "number. Needs the extra ray. Default: one engine in this process.",
    )
    ray_address: str | None = Field(
        default=None,
        description="Address of a Ray cluster, HOST:PORT of its head; auto: the cluster that runs on this host. Every "
        "host must see checkpoint and photos under the same paths. Default: a private Ray on this host.",
    )
    mixed_workers: bool = Field(
        default=False,
        description="Accept workers whose GPUs, or versions of torch and Triton, differ. The same photo may then get "
        "another line. Default: such workers are refused.",
    )
    worker_timeout: float = Field(
        default=WORKER_TIMEOUT_S,
        gt=0,
        description="Seconds without an answer after which a worker is replaced, and its photos go to others. Time to "
        "load the checkpoint does not count.",
    )

    @model_validator(mode="after")
    def _address_of_workers(self) -> Self:
        if self.workers is None and self.ray_address is not None:
            raise ValueError("`ray_address` is where workers run. Say how many with `workers`, or all")
        if self.workers is None and self.mixed_workers:
            raise ValueError("`mixed_workers` is about several workers. Say how many with `workers`, or all")
        if self.workers is None and self.worker_timeout != WORKER_TIMEOUT_S:
            raise ValueError("`worker_timeout` is about workers. Say how many with `workers`, or all")
        if isinstance(self.workers, int) and self.workers < 1:
            raise ValueError(f"`workers` is {self.workers}, expected all or a number from 1")
        return self
