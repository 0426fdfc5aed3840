"""`yanshou evaluate`."""

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.messages import print_json, print_warnings, say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import EvaluateSettings


@command("Compares verdicts with human labels, and writes a report.")
@settings_options(EvaluateSettings, arguments={"verdicts": "FILE..."})
@quiet_option
@json_option
def evaluate(settings: EvaluateSettings, quiet: bool, as_json: bool) -> None:
    """Compares verdicts with human labels: accuracy, false releases and false blocks of the judge and of two
    baselines, the rules and always-pass (every group passes)."""
    from yanshou.cli.progress import progress
    from yanshou.cli.reporter import print_tables
    from yanshou.cli.tables import evaluation_tables
    from yanshou.report import csv_export, page, portable
    from yanshou.report.files import evaluate_files

    with progress("thumbnails", "photos", shown=not (quiet or as_json)) as meter:
        result = evaluate_files(settings, meter.update)
    print_warnings(result.warnings)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        print_tables(evaluation_tables(result))
        if result.choice:
            say(result.choice.explanation)
        say(f"report: {settings.output_dir / page.NAME}")
        if settings.portable:
            say(f"for another PC: {settings.output_dir / portable.NAME}")
        say(f"every group: {settings.output_dir / csv_export.NAME}")
