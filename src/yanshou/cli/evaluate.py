"""`yanshou evaluate`."""

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.messages import print_json, print_warnings, say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import EvaluateSettings


@command("Compares verdicts with human labels, and writes a report.")
@settings_options(EvaluateSettings, arguments={"verdicts": "FILE..."})
@quiet_option
@json_option
def evaluate(settings: EvaluateSettings, quiet: bool, as_json: bool) -> int:
    """Compares verdicts with human labels: accuracy, false releases and false blocks of the judge and of
    baselines: the rules, always-pass (every group passes) and a model learned from the summaries.

    With --max-false-release or --max-false-block it also finds the thresholds of a policy. Exit status 3: no
    threshold can be promised for a side of a mission."""
    from yanshou.cli.progress import progress
    from yanshou.cli.promises import decision_table, next_messages, promise_messages
    from yanshou.cli.reporter import print_tables
    from yanshou.cli.tables import evaluation_tables
    from yanshou.evaluate import policy
    from yanshou.report import csv_export, page, portable
    from yanshou.report.files import evaluate_files

    with progress("thumbnails", "photos", shown=not (quiet or as_json)) as meter:
        result = evaluate_files(settings, meter.update)
    print_warnings(result.warnings)
    if result.policy is None and (settings.output_dir / policy.NAME).exists():
        say(f"warning: {settings.output_dir / policy.NAME}: from an earlier evaluation, not from this one", err=True)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        print_tables(evaluation_tables(result))
        if result.labels:
            say(f"labels of {result.labels}")
        for mission, part in result.worth.items():
            if part.photos and part.no_baseline:
                say(f"no learned baseline for {mission}: {part.no_baseline}")
        if result.promises:
            print_tables([decision_table(result)])
            for message in promise_messages(result.promises):
                say(message)
        say(f"report: {settings.output_dir / page.NAME}")
        if settings.portable:
            say(f"for another PC: {settings.output_dir / portable.NAME}")
        say(f"every group: {settings.output_dir / csv_export.NAME}")
        if result.promises:
            say(f"policy: {settings.output_dir / policy.NAME}")
            for message in next_messages(result, settings):
                say(message)
    failed = result.promises.failed() if result.promises else []
    for message in failed if quiet or as_json else ():
        say(message, err=True)
    return 3 if failed else 0
