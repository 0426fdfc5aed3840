"""`yanshou review-export`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.messages import print_json, say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import ReviewExportSettings

if TYPE_CHECKING:
    from yanshou.review.export import Export
    from yanshou.schema.records import GroupKey

MAX_NAMED = 5  # groups of each kind that are not exported


@command("Writes the reviewers' answers as a labels file.")
@settings_options(ReviewExportSettings)
@quiet_option
@json_option
def review_export(settings: ReviewExportSettings, quiet: bool, as_json: bool) -> None:
    """Writes what people answered on the page of `yanshou review`: a labels file for dataset, evaluate and audit
    estimate, and beside it every answer with its time. Groups whose readers disagree are named and left out. Prints how
    far readers agree. Works while the page is served, and on a copy of the store."""
    from yanshou.cli.reporter import print_tables
    from yanshou.cli.review_tables import agreement_lines, reader_tables
    from yanshou.review import export
    from yanshou.review.reader_figures import ReaderFigures
    from yanshou.review.store.snapshot import read_snapshot

    snapshot = read_snapshot(settings.store)
    found, figures = export.export(snapshot), ReaderFigures.of(snapshot)
    export.write(found, settings.output)
    for message in _left_out(found):
        say(message, err=True)
    if as_json:
        files = {"labels_file": settings.output, "answers_file": export.answers_path(settings.output)}
        print_json({**files, **found.to_dict(), **figures.to_dict()})
    elif not quiet:
        for line in _counts(found, settings):
            say(line)
        print_tables(reader_tables(figures))
        for line in agreement_lines(figures.agreement):
            say(line)


def _left_out(found: "Export") -> Iterator[str]:
    """Names the first groups that are not in the labels file."""
    kinds = {
        "whose readers disagree; a third reader or the lead settles them": found.disputed,
        "of the audit sample that are not settled; another reader or the lead settles them": found.unsettled,
        "whose id begins or ends with a space, which a labels file does not keep; rename the folders": found.unwritable,
    }
    for what, groups in kinds.items():
        if groups:
            yield f"not exported: {len(groups)} groups {what}: {_named(groups)}"


def _named(groups: Sequence["GroupKey"]) -> str:
    more = f"; and {len(groups) - MAX_NAMED} more (--json names all)" if len(groups) > MAX_NAMED else ""
    return "; ".join(map(str, groups[:MAX_NAMED])) + more


def _counts(found: "Export", settings: ReviewExportSettings) -> Iterator[str]:
    from yanshou.review.export import answers_path

    labels = ", ".join(f"{count} {label}" for label, count in found.to_dict()["labels"].items())
    yield f"labels: {len(found.labelled)} groups in {settings.output}: {labels}"
    if found.awaiting:
        yield f"{found.awaiting} of them wait for a second reader, who may disagree"
    if found.unanswered:
        yield f"{found.unanswered} groups of the queue have no answer yet"
    yield f"answers: {len(found.lines)}, undos included, in {answers_path(settings.output)}"
