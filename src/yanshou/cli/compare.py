"""`yanshou compare`."""

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.messages import print_json, print_warnings, say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import CompareSettings


@command("Compares two Stage-A files, or two files of verdicts.")
@settings_options(CompareSettings, arguments={"files": "A B"})
@quiet_option
@json_option
def compare(settings: CompareSettings, quiet: bool, as_json: bool) -> None:
    """Compares two Stage-A files, or two files of verdicts, about the same groups: of two checkpoints, engines,
    prompts or precisions. Writes what changed. The exit status is 0 whatever differs."""
    from yanshou.cli.compare_tables import comparison_tables, setting_lines
    from yanshou.cli.progress import progress
    from yanshou.cli.reporter import print_tables
    from yanshou.compare import page
    from yanshou.compare.compare_files import CHANGES, compare_files

    with progress("thumbnails", "photos", shown=not (quiet or as_json)) as meter:
        result = compare_files(settings, meter.update)
    print_warnings(result.warnings)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        print_tables(comparison_tables(result))
        for line in setting_lines(result):
            say(line)
        say(f"changes: {len(result.changes)}, all in {settings.output_dir / CHANGES}")
        everything = len(result.changes) <= settings.max_shown
        say(f"page: {settings.output_dir / page.NAME} (shows {'all' if everything else settings.max_shown} of them)")
