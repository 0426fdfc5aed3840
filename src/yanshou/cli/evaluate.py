"""`yanshou evaluate`."""

import click

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.settings_options import settings_options
from yanshou.settings import EvaluateSettings


@command("Compares verdicts with human labels, and writes a report.")
@settings_options(EvaluateSettings, arguments={"verdicts": "FILE..."})
@quiet_option
@json_option
def evaluate(settings: EvaluateSettings, quiet: bool, as_json: bool) -> None:
    """Compares verdicts with human labels: accuracy, false releases and false blocks of the judge, of the rules, and
    of passing every group."""
    from yanshou import evaluate as evaluation
    from yanshou.cli.progress import progress
    from yanshou.cli.reporter import print_json, print_tables, print_warnings
    from yanshou.cli.tables import evaluation_tables
    from yanshou.missions import load_missions
    from yanshou.storage.lock import locked

    result = evaluation.evaluate(
        settings.verdicts, settings.stage_a or None, load_missions(settings.mission_files), only=settings.only,
        threshold=settings.threshold, max_false_release=settings.max_false_release, confidence=settings.confidence,
    )  # fmt: skip
    print_warnings(result.warnings)
    with locked(settings.output_dir / ".evaluate.lock", settings.output_dir):  # a second run would delete thumbnails
        table = evaluation.write_groups(result.groups, settings.output_dir)
        with progress("thumbnails", "photos", shown=not (quiet or as_json)) as meter:
            report = evaluation.write_report(result, settings.output_dir, settings.lang, progress=meter.update)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        print_tables(evaluation_tables(result))
        if result.choice:
            click.echo(result.choice.explanation)
        click.echo(f"report: {report}\nevery group: {table}")
