"""`yanshou audit draw` and `yanshou audit estimate`."""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from yanshou.cli.command import CONTEXT, command, json_option, quiet_option
from yanshou.cli.messages import print_json, say
from yanshou.cli.settings_options import settings_options
from yanshou.cli.verbosity import verbose_option
from yanshou.settings import AuditDrawSettings, AuditEstimateSettings

if TYPE_CHECKING:
    from yanshou.audit.estimate import Estimate
    from yanshou.schema.audit import Audit


@click.group(context_settings=CONTEXT, short_help="Checks released groups by a random sample.")
def audit() -> None:
    """Estimates how many released groups are bad: people judge a random sample, and from their answers follows an upper
    bound for all released groups."""


audit.params.append(verbose_option())


@command("Draws a random sample of the released groups.")
@settings_options(AuditDrawSettings, arguments={"decisions": "FILE..."})
@quiet_option
@json_option
def draw(settings: AuditDrawSettings, quiet: bool, as_json: bool) -> None:
    """Draws a simple random sample from the released groups of all decisions files together. The audit file names
    groups and their folders' labels; it says nothing about verdicts."""
    from yanshou.audit.draw import draw_audit

    drawn = draw_audit(settings)
    if as_json:
        print_json({**drawn.model_dump(), "released": drawn.released, "sample_needed": _needed(settings, drawn, 0)})
    elif not quiet:
        for line in _draw_lines(drawn, settings):
            say(line)


@command("Estimates how many released groups are bad.")
@settings_options(AuditEstimateSettings, arguments={"audit": "FILE"})
@quiet_option
@json_option
def estimate(settings: AuditEstimateSettings, quiet: bool, as_json: bool) -> int:
    """Estimates how many of all released groups are bad, with an exact upper bound, once every group of the sample has
    an answer. The exit status is 3 while answers are missing."""
    from yanshou.audit.estimate import estimate_audit

    result = estimate_audit(settings)
    found = result.bad.found if result.bad else 0
    for message in result.missing_messages():
        say(message, err=True)
    if as_json:
        print_json({**result.to_dict(), "sample_needed": _needed(settings, result.audit, found)})
    elif not quiet:
        for line in (*_estimate_lines(result), *_needed_lines(settings, result.audit, found)):
            say(line)
    return 3 if result.missing else 0


audit.add_command(draw)
audit.add_command(estimate)


def _draw_lines(drawn: "Audit", settings: AuditDrawSettings) -> Iterator[str]:
    from yanshou.audit.bounds import most_bad

    size = len(drawn.groups)
    for name, mission in drawn.missions.items():
        yield f"{name}: {mission.sampled} of {mission.released} released groups"
    most = most_bad(drawn.released, size, 0, settings.confidence)
    yield (
        f"if none of the {size} is bad, at most {_of(most, drawn.released)} released groups are, at "
        f"{settings.confidence * 100:g}% confidence"
    )
    yield from _needed_lines(settings, drawn, 0)
    yield f"audit: {settings.output}"
    file = shlex.quote(str(settings.output))
    yield (
        f"next, people answer these groups: yanshou review --audit {file} --store review.sqlite, with the same files; "
        f"then yanshou review-export, and yanshou audit estimate {file} --labels labels.csv"
    )


def _estimate_lines(result: "Estimate") -> Iterator[str]:
    if result.others:
        yield f"{result.others} groups with labels are not in the sample and do not count"
    if result.bad is None:
        return
    bad, confidence = result.bad, f"at {result.confidence * 100:g}% confidence"
    for name, (found, of) in result.missions.items():
        yield f"{name}: {_of(found, of)} of the sample bad"
    yield f"bad in the sample: {_of(bad.found, bad.sample)}: {bad.fails} fail, {bad.unsure} unsure"
    yield f"bad among all released groups: at most {_of(bad.most, bad.population)}, {confidence}"
    rate = result.false_release
    if rate is None:
        yield (
            "the false-release rate needs --human-fails: how many of the "
            f"{result.audit.not_released} blocked and reviewed groups people failed"
        )
    elif rate.share is None or rate.upper is None:
        yield "false-release rate: none, because people failed no group"
    else:
        yield f"false-release rate: {rate.share:.1%}, at most {rate.upper:.1%}, {confidence}"
    if len(result.audit.missions) > 1:
        yield "the bounds are about all missions together; they say nothing about a single one"


def _needed(settings: AuditDrawSettings | AuditEstimateSettings, drawn: "Audit", found: int) -> dict[str, object]:
    """For --json: the samples that show the limit."""
    from yanshou.audit.bounds import sample_needed

    numbers = dict.fromkeys((0, found, found + 1, found + 2))
    sizes = {str(bad): sample_needed(drawn.released, settings.limit, bad, settings.confidence) for bad in numbers}
    return {"limit": settings.limit, "by_bad_groups_found": sizes}


def _needed_lines(settings: AuditDrawSettings | AuditEstimateSettings, drawn: "Audit", found: int) -> Iterator[str]:
    """The size of a sample that shows the limit: with no bad group in it, with as many as were found, and more."""
    from yanshou.audit.bounds import sample_needed

    parts = []
    for bad in dict.fromkeys((0, found, found + 1)):
        size = sample_needed(drawn.released, settings.limit, bad, settings.confidence)
        parts.append(f"N={size} with {bad} bad" if size else f"no sample does with {bad} bad")
        if not size:
            break
    yield (
        f"to show that at most {settings.limit * 100:g}% of {drawn.released} released groups are bad, at "
        f"{settings.confidence * 100:g}% confidence: {', '.join(parts)}"
    )


def _of(count: int, of: int) -> str:
    """`2 of 300 (0.7%)`"""
    return f"{count} of {of} ({count / of:.1%})"
