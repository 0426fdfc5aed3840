"""What `yanshou doctor --ray-address` finds: the hosts of a cluster, and what a worker on each would see.

ok    gpu-1 (10.0.0.1): 8 GPUs (H100), 128 CPUs, yanshou 0.4.0, Python 3.11.7, torch 2.14.1
FAIL  gpu-2 (10.0.0.2): /data/photos: cannot be read (No such file or directory). Mount the photos there …
FAIL  torch is 2.14.1 on gpu-1 (10.0.0.1), 2.13.0 on gpu-2 (10.0.0.2). Install the same version, or accept …
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from yanshou.cli.doctor import Finding
from yanshou.errors import YanshouError

if TYPE_CHECKING:
    from yanshou.engines.workers.host_view import Host

MIXED = "Install the same version on both, or accept that the same photo may get another line: --mixed-workers."


def cluster(
    address: str, checkpoint: str | None, base_checkpoint: str | None, input_dir: Path | None
) -> Iterator[Finding]:
    """The findings about every host, and those about the differences between them."""
    folder = input_dir.absolute() if input_dir else None
    try:
        from yanshou.engines.workers.hosts import look

        hosts = list(look(address, _absolute(checkpoint), _absolute(base_checkpoint), folder))
    except YanshouError as error:
        yield Finding("FAIL", str(error))
        return
    for host in hosts:
        yield from _host(host)
    if gpus := sum(host.gpus for host in hosts):
        yield Finding("ok", f"GPUs of the cluster: {gpus}, and --workers all makes one worker for each")
    else:
        yield Finding("note", "the cluster has no GPU: workers run on its CPUs, slowly, and --workers is a number")
    for other in hosts[1:]:
        yield from _differences(hosts[0], other)


def _absolute(name: str | None) -> str | None:
    """A checkpoint's folder as other hosts know it; a hub id as it is."""
    return str(Path(name).absolute()) if name is not None and Path(name).exists() else name


def _host(host: "Host") -> Iterator[Finding]:
    yield from (Finding("FAIL", f"{_name(host)}: {fault}") for fault in host.view.faults)
    if host.view.faults:
        return
    parts = [f"{host.gpus} GPUs" + (f" ({host.gpu})" if host.gpu else ""), f"{host.cpus} CPUs"]
    parts += [f"{package} {version}" for package, version in host.view.versions.items()]
    yield Finding("ok", f"{_name(host)}: {', '.join(parts)}")
    for name, fingerprint in host.view.fingerprints.items():
        yield Finding("ok", f"{_name(host)}: {name} fingerprint {fingerprint[:12]}…")
    if host.view.first_photo:
        yield Finding("ok", f"{_name(host)}: first photo {host.view.first_photo}")


def _differences(first: "Host", other: "Host") -> Iterator[Finding]:
    if first.view.faults or other.view.faults:
        return
    yield from _compare(first, other, _versions(first), _versions(other), MIXED)
    yield from _compare(first, other, _prints(first), _prints(other), "Copy the same checkpoint to both.")
    yield from _compare(first, other, _photo(first), _photo(other), "Mount the same folder on both.")


def _compare(
    first: "Host", other: "Host", one: Mapping[str, str], two: Mapping[str, str], cure: str
) -> Iterator[Finding]:
    for name in sorted({*one, *two}):
        values = [found.get(name, "missing") for found in (one, two)]
        if values[0] != values[1]:
            yield Finding("FAIL", f"{name} is {values[0]} on {_name(first)}, {values[1]} on {_name(other)}. {cure}")


def _versions(host: "Host") -> dict[str, str]:
    """What must be alike; the GPU only where there is one."""
    from yanshou.engines.workers.agreement import FREE

    gpu = {"GPU": host.gpu} if host.gpu else {}
    return {**gpu, **{name: text for name, text in host.view.versions.items() if name not in FREE}}


def _prints(host: "Host") -> dict[str, str]:
    return {f"the fingerprint of the {name}": text[:12] for name, text in host.view.fingerprints.items()}


def _photo(host: "Host") -> dict[str, str]:
    return {"the first photo": host.view.first_photo}


def _name(host: "Host") -> str:
    return f"{host.view.host} ({host.address})"
