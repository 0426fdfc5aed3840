"""Do the checks of a dataset's card find what is wrong with drawn jobs, and nothing else?

    python benchmarks/dataset_checks.py --groups 2000 --flipped 0.1 --seeds 20 --twice 0.1

Jobs of the demo world are drawn, and a share of the labels is flipped. `--twice`: this share of the jobs is uploaded
again under another id, and labelled again. Counted over the seeds: how often the interval of the twins' label noise
holds the true share, and per mission how often a planted shortcut (需复核 in 95 % of the passed groups and 5 % of the
failed) is named, and how often anything is suspicious without it.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from random import Random
from statistics import mean
from typing import Any, NamedTuple

from yanshou.missions import Mission, load_missions
from yanshou.schema.records import GroupKey, Label
from yanshou.stage_b.shortcut import find_shortcut
from yanshou.stage_b.twins import find_twins, twin_figures
from yanshou.world.jobs import Job, random_job

PLANTED = "BBU设备/需复核备注:部分遮挡×1"


class Group(NamedTuple):
    mission: Mission
    label: Label
    lines: list[str]


def drawn_groups(groups: int, flipped: float, twice: float, seed: int) -> Iterator[Group]:
    """`groups` of all missions in turn, some of them another upload of an earlier job."""
    rng, missions = Random(f"checks:{seed}"), list(load_missions())
    jobs: list[Job] = []
    for number in range(groups):
        if jobs and rng.random() < twice / (1 + twice):
            job = rng.choice(jobs)
        else:
            job = random_job(rng, missions[number % len(missions)])
            jobs.append(job)
        label: Label = job.label if rng.random() >= flipped else ("fail" if job.label == "pass" else "pass")
        yield Group(job.mission, label, job.lines())


def planted(groups: Sequence[Group], rng: Random) -> list[Group]:
    """The groups with 需复核, mostly in those that passed."""
    shares = {"pass": 0.95, "fail": 0.05}
    return [
        group._replace(lines=[*group.lines, PLANTED]) if rng.random() < shares[group.label] else group
        for group in groups
    ]


def suspicious(groups: Sequence[Group]) -> list[str]:
    """The suspicious feature of each mission that has one."""
    missions = {group.mission.name: group.mission for group in groups}
    found = [
        find_shortcut(((group.label, group.lines) for group in groups if group.mission == mission), mission.rule)
        for mission in missions.values()
    ]
    return [shortcut.feature for shortcut in found if shortcut and shortcut.suspicious]


def check(groups: int, flipped: float, twice: float, seeds: int) -> dict[str, Any]:
    """The counts over all seeds."""
    sets, widths, covered, named, wrong = [], [], 0, 0, 0
    for seed in range(seeds):
        world = list(drawn_groups(groups, flipped, twice, seed))
        keys = (GroupKey(group.mission.name, group.label, str(number)) for number, group in enumerate(world))
        figures = twin_figures(find_twins(zip(keys, (group.lines for group in world), strict=True)))
        sets.append(figures.sets)
        if noise := figures.label_noise:
            covered += noise.low <= flipped <= noise.high
            widths.append((noise.share, noise.low, noise.high))
        named += sum("需复核" in feature for feature in suspicious(planted(world, Random(seed))))
        wrong += len(suspicious(world))
    shares = [round(mean(column), 3) for column in zip(*widths, strict=True)]
    return {
        "groups": groups, "flipped": flipped, "twice": twice, "seeds": seeds, "twin sets, mean": mean(sets),
        "noise, low, high, mean": shares, "covered": f"{covered} of {len(widths)}",
        "planted shortcut named": f"{named} of {seeds * len(load_missions())}", "suspicious without": wrong,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="What the checks of a dataset's card find in drawn jobs.")
    parser.add_argument("--groups", type=int, default=2000)
    parser.add_argument("--flipped", type=float, default=0.1, help="share of the labels that are wrong")
    parser.add_argument("--twice", type=float, default=0.0, help="jobs that are uploaded again, as a share of all jobs")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args(arguments)
    result = check(given.groups, given.flipped, given.twice, given.seeds)
    print(result, flush=True)
    return result


if __name__ == "__main__":
    sys.exit(not main())
