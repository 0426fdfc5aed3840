"""The hosts of a cluster, each looked at by a task that runs on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from yanshou.engines.workers.host_view import Host, HostView
from yanshou.engines.workers.ray_runtime import RayRuntime, ray
from yanshou.version import __version__

START_S = 60.0  # for a task to start on a host and look at versions and photos
GPU_KIND = "accelerator_type:"  # begins the name of a resource of a node


def look(address: str, checkpoint: str | None, base: str | None, input_dir: Path | None) -> Iterator[Host]:
    """Joins the cluster and looks at every host, all at the same time. Raises RunError where it cannot be joined."""
    runtime = RayRuntime(address)
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        asked = (checkpoint, base, input_dir)
        views = [_start(node["NodeID"], asked) for node in nodes]
        for node, view in zip(nodes, views, strict=True):
            yield _host(node, _result(node, view, START_S if checkpoint is None else None))
    finally:
        runtime.close()


def _start(node: str, asked: tuple[object, ...]) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(_task()).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    return task.remote(__version__, *asked)


def _task() -> Callable[..., Any]:
    """A function that travels by its code: yanshou may be missing there."""

    def task(version: str, *asked: Any) -> Any:
        try:
            from yanshou.version import __version__ as here
        except ImportError:
            here = "none"
        if here != version:
            return here
        from yanshou.engines.workers.host_view import view

        return view(*asked)

    return task


def _result(node: dict[str, Any], reference: Any, timeout: float | None) -> HostView:
    """What the task found, or a view with the reason why it found nothing."""
    host = node["NodeManagerHostname"]
    try:
        found = ray.get(reference, timeout=timeout)
    except ray.exceptions.RayError as error:
        return HostView(host, faults=(f"no task runs there ({' '.join(str(error).split())[:200]}). Restart its Ray.",))
    if isinstance(found, str):
        needed = f"this host has {__version__}. Install the same version there."
        return HostView(host, {"yanshou": found}, faults=(f"yanshou {found} is there, and {needed}",))
    assert isinstance(found, HostView)
    return found


def _host(node: dict[str, Any], view: HostView) -> Host:
    resources = node["Resources"]
    kinds = [name.removeprefix(GPU_KIND) for name in resources if name.startswith(GPU_KIND)]
    return Host(
        node["NodeManagerAddress"], int(resources.get("CPU", 0)), int(resources.get("GPU", 0)), "".join(kinds[:1]), view
    )
