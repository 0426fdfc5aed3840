"""`yanshou evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.messages import print_json, print_warnings, say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import EvaluateSettings

if TYPE_CHECKING:
    from yanshou.evaluate.evaluation import Evaluation


@command("Compares verdicts with human labels, and writes a report.")
@settings_options(EvaluateSettings, arguments={"verdicts": "FILE..."})
@quiet_option
@json_option
def evaluate(settings: EvaluateSettings, quiet: bool, as_json: bool) -> int:
    """Compares verdicts with human labels: accuracy, false releases and false blocks of the judge and of
    baselines: the rules, always-pass (every group passes) and a model learned from the summaries.

    With --max-false-release or --max-false-block it also finds the thresholds of a policy. Exit status 3: no
    threshold can be promised for a side of a mission."""
    from yanshou.cli.policy_messages import promise_messages
    from yanshou.cli.progress import progress
    from yanshou.report.evaluate_files import evaluate_files

    with progress("thumbnails", "photos", shown=not (quiet or as_json)) as meter:
        result = evaluate_files(settings, meter.update)
    print_warnings(result.warnings)
    _warn_about_old_policy(result, settings.output_dir)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        _print_figures(result)
        for message in promise_messages(result.promises) if result.promises else ():
            say(message)
        _print_files(result, settings)
    failed = result.promises.failed() if result.promises else []
    for message in failed if quiet or as_json else ():
        say(message, err=True)
    return 3 if failed else 0


def _warn_about_old_policy(result: "Evaluation", folder: Path) -> None:
    from yanshou.evaluate import policy

    if result.policy is None and (folder / policy.NAME).exists():
        say(f"warning: {folder / policy.NAME}: from an earlier evaluation, not from this one", err=True)


def _print_figures(result: "Evaluation") -> None:
    from yanshou.cli.policy_messages import decision_table
    from yanshou.cli.reporter import print_tables
    from yanshou.cli.tables import evaluation_tables

    print_tables(evaluation_tables(result))
    if result.labels:
        say(f"labels of {result.labels}")
    for mission, part in result.worth.items():
        if part.photos and part.no_baseline:
            say(f"no learned baseline for {mission}: {part.no_baseline}")
    if result.promises:
        print_tables([decision_table(result)])


def _print_files(result: "Evaluation", settings: EvaluateSettings) -> None:
    """Where the files are, and what to run next."""
    from yanshou.cli.policy_messages import next_messages
    from yanshou.evaluate import policy
    from yanshou.report import csv_export, page, portable

    say(f"report: {settings.output_dir / page.NAME}")
    if settings.portable:
        say(f"for another PC: {settings.output_dir / portable.NAME}")
    say(f"every group: {settings.output_dir / csv_export.NAME}")
    if result.promises:
        say(f"policy: {settings.output_dir / policy.NAME}")
        for message in next_messages(result, settings):
            say(message)
