"""report.html: an evaluation as one page beside its thumbnails.

    DIR/report.html             figures, confusion matrix, curve, origin, and every group; opens from disk, offline
    DIR/thumbnails/….jpg        thumbnails of the photos; the large view opens the photo itself by its file:// URL
        parts/*.html.jinja      figures and settings, escaped on insertion
        parts/*.css, *.js       inserted unchanged; the page's policy holds the script's hash
        <script type="application/json">    report_data.py: the groups, worst first; the script shows one at a time

Models and strangers wrote the texts of a group. So the page has a Content-Security-Policy that runs this one script by
its hash and loads only pictures, and the script inserts all data as text, never as markup.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from markupsafe import Markup

from yanshou.evaluate.decision_counts import DecisionCounts
from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.figures import EvaluationFigures
from yanshou.evaluate.metrics import Rate
from yanshou.report import assets
from yanshou.report.calibration_plot import calibration_frame
from yanshou.report.confusion import by_mission, confusions, url
from yanshou.report.curve_plot import curve_plots, plot_frame
from yanshou.report.moments import in_words
from yanshou.report.overview import overview
from yanshou.report.packed import Packed
from yanshou.report.promises_shown import promises_shown
from yanshou.report.provenance import checkpoints, origins, threshold_text
from yanshou.report.report_data import report_data, to_script_json
from yanshou.report.thumbnails import Progress, Thumbnail, make_thumbnails, remove_others
from yanshou.report.translations import translation
from yanshou.report.worth_shown import worth_shown
from yanshou.schema.records import now
from yanshou.storage.file_set import replace_together
from yanshou.version import __version__

NAME = "report.html"


def write_report(
    evaluation: Evaluation,
    output_dir: Path,
    lang: str = "zh",
    *,
    progress: Progress | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Path:
    """Writes `<output_dir>/report.html`, replacing an old one, and the missing thumbnails.

    `beside`: files by name that are replaced together with it, so that those of two evaluations never lie side by side.
    `progress` is called after each photo with the numbers of finished photos and of all photos. Raises UsageError for
    an unknown language and OutputError if a file cannot be written. A photo that is missing or damaged gets a
    placeholder.
    """
    texts = translation(lang)
    photos = (photo for group in evaluation.groups for photo in group.images)
    thumbnails = make_thumbnails(photos, output_dir, progress)
    path = output_dir / NAME
    html = page(evaluation, thumbnails, texts)
    content = {NAME: encoded(html), **(beside or {})}
    replace_together({output_dir / name: data for name, data in content.items()})
    remove_others(output_dir, thumbnails.values())
    return path


def packed_page(evaluation: Evaluation, lang: str) -> Callable[[Packed, Mapping[str, Thumbnail]], bytes]:
    """Makes the page of an archive from the groups and photos in it."""
    return lambda packed, photos: encoded(page(evaluation, photos, translation(lang), packed))


def encoded(html: str) -> bytes:
    """The file's content. A lone surrogate, from a file name that is not UTF-8, is written as its escape."""
    return html.encode("utf-8", errors="backslashreplace")


def page(
    evaluation: Evaluation,
    thumbnails: Mapping[str, Thumbnail],
    texts: Mapping[str, str],
    packed: Packed | None = None,
) -> str:
    """The whole page. `packed`: the page is for an archive, and shows the groups in it."""
    templates = assets.environment()
    templates.filters.update(percent=_percent, svg=_svg, url=url)
    script = assets.script()
    plots = curve_plots(evaluation, texts)
    return templates.get_template(assets.PAGE).render(
        t=texts,
        moment=in_words(now(), texts),
        version=__version__,
        script=Markup(script),
        script_hash=assets.script_hash(script),
        style=Markup(assets.style()),
        data=Markup(to_script_json(report_data(evaluation, thumbnails, plots, texts, packed))),
        packed=packed and packed.notes(thumbnails, texts),
        evaluation=evaluation,
        parts=_parts(evaluation),
        share=lambda rate: _share(rate, evaluation.confidence),
        overview=overview(evaluation),
        sizes={name: len(groups) for name, groups in by_mission(evaluation)},
        confusions=confusions(evaluation),
        plots=plots,
        frame=plot_frame(),
        checkpoints=checkpoints(evaluation),
        labels=_labels(evaluation, texts),
        threshold=threshold_text(evaluation, texts),
        promises=promises_shown(evaluation.promises, texts),
        decisions=_decisions(evaluation),
        worth=worth_shown(evaluation, texts),
        reliability=calibration_frame(),
        origins=origins(evaluation, texts),
    )


def _parts(evaluation: Evaluation) -> list[tuple[str | None, EvaluationFigures]]:
    """The figures of all missions together (None), if there are several of one judge, and of each mission."""
    parts: list[tuple[str | None, EvaluationFigures]] = list(evaluation.missions.items())
    return [(None, evaluation.overall), *parts] if len(parts) > 1 and evaluation.overall else parts


def _decisions(evaluation: Evaluation) -> list[tuple[str | None, DecisionCounts]]:
    """What the policy decides in all missions together (None), if there are several, and in each mission."""
    each: list[tuple[str | None, DecisionCounts]] = list(evaluation.decisions().items())
    together = evaluation.all_decisions()
    return [(None, together), *each] if together and len(each) > 1 else each


def _labels(evaluation: Evaluation, texts: Mapping[str, str]) -> str | None:
    """What labels files changed; None: there are none."""
    used = evaluation.labels
    if used is None:
        return None
    return texts["labels_counts"].format(corrected=used.corrected, **used.model_dump(exclude={"files"}))


def _share(rate: Rate, confidence: float) -> dict[str, str] | None:
    interval = rate.interval(confidence)
    if interval is None:
        return None
    low, high = (f"{end * 100:.1f}" for end in interval)
    return {"share": _percent(rate.count / rate.of), "interval": f"[{low}–{high}]"}


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}"


def _svg(number: float) -> str:
    """A length in SVG user units."""
    return f"{number:.1f}"
