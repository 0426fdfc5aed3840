"""Options from a settings model, and a validated model from the options.

    @command("Stage-A: one summary line per photo.")
    @settings_options(StageASettings)
    def summarize(settings: StageASettings) -> int: ...

Every field is an option, those of nested models included: `StageASettings.engine.photo.max_pixels` is `--max-pixels`.
Type, allowed values, default and help text come from the field, see `yanshou.settings`. An option belongs to the whole
path of its field, so fields with the same name are not confused. Two options with one name are refused at import.

A nested model that may be None is None unless its required options are given. A fault that pydantic finds becomes a
usage error that names the option.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce, wraps
from inspect import get_annotations
from operator import or_
from pathlib import Path
from types import NoneType
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, get_args, get_origin

import click
from click.core import ParameterSource
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from yanshou.cli.command import ARGUMENTS
from yanshou.cli.param_types import FILE, FILE_OR_FOLDER, FOLDER, NEW_FILE, NumberOrWord, Values
from yanshou.settings import Settings
from yanshou.validation import KeyPath, validation_message

P = ParamSpec("P")
R = TypeVar("R")
SettingsT = TypeVar("SettingsT", bound=Settings)
FieldPath = tuple[str, ...]  # ("engine", "photo", "max_pixels")

FIELD = re.compile(r"`(\w+)`")  # how a model's own check names a field
SEPARATOR = "__"  # in click's names of parameters
SINGULAR = {"missions": "mission", "mission_files": "mission-file"}  # options that give one value at a time


@dataclass(frozen=True, slots=True)
class _Setting:
    """A field that becomes a parameter of a command."""

    path: FieldPath
    kind: Any  # the field's type without None
    help: str
    default: Any
    required: bool
    heading: str

    @property
    def name(self) -> str:
        """click's name of the parameter: as unique as the path."""
        return SEPARATOR.join(self.path)

    @property
    def option(self) -> str:
        return option_name(self.path[-1])


class SettingOption(click.Option):
    """An option that is listed under a heading of `--help`."""

    def __init__(self, *args: Any, heading: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.heading = heading


class SettingArgument(click.Argument):
    """A positional argument that `--help` explains."""

    heading = ARGUMENTS

    def __init__(self, *args: Any, text: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.text = text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        return self.metavar or "", self.text


def settings_options(
    model: type[SettingsT], *, arguments: Mapping[str, str] | None = None, omit: Collection[str] = ()
) -> Callable[[Callable[Concatenate[SettingsT, P], R]], Callable[..., R]]:
    """Gives a command the options of `model`, and as its first argument the model that they make.

    `arguments`: fields that are positional arguments instead, with their metavar: {"stage_a": "FILE..."}.
    `omit`: paths of fields or nested models that keep their defaults: "engine.photo".
    """
    positional = arguments or {}
    settings = [setting for setting in _settings(model) if not _omitted(setting.path, omit)]
    names = [setting.option for setting in settings]
    assert len(set(names)) == len(names), f"two fields of {model.__name__} want the same option: {sorted(names)}"

    def decorate(command: Callable[Concatenate[SettingsT, P], R]) -> Callable[..., R]:
        untyped: Callable[..., R] = command  # click passes the other arguments by name

        @wraps(command)
        def run(**given: Any) -> R:
            values = {setting.path: given.pop(setting.name) for setting in settings}
            return untyped(_build(model, values), **given)

        decorated: Callable[..., R] = run
        for setting in reversed(settings):
            metavar = positional.get(".".join(setting.path))
            decorated = (_argument(setting, metavar) if metavar else _option(setting))(decorated)
        return decorated

    return decorate


def given_options(part: str) -> Iterator[str]:
    """The options on the command line of the running command that set fields of this nested model."""
    context = click.get_current_context()
    for name in context.params:
        path = name.split(SEPARATOR)
        if path[0] == part and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            yield option_name(path[-1])


def option_name(field: str) -> str:
    """max_pixels → --max-pixels"""
    return "--" + SINGULAR.get(field, field).replace("_", "-")


# ---- fields → parameters ----


def _settings(
    model: type[Settings], at: FieldPath = (), defaults: Settings | None = None, optional: bool = False
) -> Iterator[_Setting]:
    """The plain fields of the model, before those of the classes that it extends; then those of nested models."""
    fields = model.model_fields
    for name, owner in _owners(model).items():
        if _nested(fields[name].annotation) is None:
            yield _Setting(
                path=(*at, name),
                kind=_without_none(fields[name].annotation),
                help=fields[name].description or "",
                default=getattr(defaults, name) if defaults else fields[name].default,
                required=fields[name].is_required() and not optional,
                heading=owner.heading,
            )
    for name, field in fields.items():
        if nested := _nested(field.annotation):
            inner = field.default if isinstance(field.default, Settings) else None
            yield from _settings(nested, (*at, name), inner, optional or _may_be_none(field.annotation))


def _owners(model: type[Settings]) -> dict[str, type[Settings]]:
    """The class that declares each field: the model's own fields first."""
    classes = [base for base in model.__mro__ if issubclass(base, Settings)]
    owners: dict[str, type[Settings]] = {}
    for owner in classes:
        for name in get_annotations(owner):
            if name in model.model_fields:
                owners.setdefault(name, owner)
    return owners


def _nested(annotation: Any) -> type[Settings] | None:
    """The settings model of an annotation, the first of a union; None for a plain value."""
    for kind in get_args(annotation) or (annotation,):
        if isinstance(kind, type) and issubclass(kind, Settings):
            return kind
    return None


def _may_be_none(annotation: Any) -> bool:
    return NoneType in get_args(annotation)


def _without_none(annotation: Any) -> Any:
    """`int | None` → `int`"""
    if not _may_be_none(annotation):
        return annotation
    return reduce(or_, (kind for kind in get_args(annotation) if kind is not NoneType))


def _omitted(path: FieldPath, omit: Collection[str]) -> bool:
    return any(".".join(path[: end + 1]) in omit for end in range(len(path)))


def _argument(setting: _Setting, metavar: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    many = get_origin(setting.kind) is tuple
    kind = _type(setting.path[-1], get_args(setting.kind)[0] if many else setting.kind)
    return click.argument(
        setting.name, nargs=-1 if many else 1, required=setting.required, metavar=metavar, type=kind,
        cls=SettingArgument, text=setting.help,
    )  # fmt: skip


def _option(setting: _Setting) -> Callable[[Callable[..., R]], Callable[..., R]]:
    shape: dict[str, Any] = {"heading": setting.heading, "help": setting.help, "required": setting.required}
    if not setting.required:
        default = None if setting.default is PydanticUndefined else setting.default
        shape |= {"default": default, "show_default": not (default is None or default is False or default == ())}
    option = setting.option
    if setting.kind is bool:
        shape["is_flag"] = True
        option += f"/--no-{option[2:]}" if setting.default else ""
    elif get_origin(setting.kind) is tuple:
        shape |= {"multiple": True, "type": _type(setting.path[-1], get_args(setting.kind)[0])}
    else:
        shape["type"] = _type(setting.path[-1], setting.kind)
    return click.option(setting.name, option, cls=SettingOption, **shape)


def _type(name: str, kind: Any) -> Any:
    """click's type of a value. A folder and an output need not exist, another file has to."""
    if get_origin(kind) is Literal:
        return Values(get_args(kind))
    if words := [word for one in get_args(kind) if get_origin(one) is Literal for word in get_args(one)]:
        return NumberOrWord(words)
    if kind is not Path:
        return kind
    if name.endswith("_dir"):
        return FOLDER
    if name in {"output", "store"}:
        return NEW_FILE
    return FILE_OR_FOLDER if name in {"mission_files", "photos"} else FILE


# ---- values → model ----


def _build(model: type[SettingsT], values: Mapping[FieldPath, Any]) -> SettingsT:
    """The model from the values of its options; what was omitted keeps its default."""
    return _validated(model, _fields(model, values, ()))


def _fields(model: type[Settings], values: Mapping[FieldPath, Any], at: FieldPath) -> dict[str, Any]:
    """The fields of the model, by name. Models inside one that turns out to be None are validated, too."""
    fields = {path[-1]: value for path, value in values.items() if path[:-1] == at}
    for name, field in model.model_fields.items():
        inner, nested = (*at, name), _nested(field.annotation)
        if nested and any(path[: len(inner)] == inner for path in values):
            given = _fields(nested, values, inner)
            absent = _may_be_none(field.annotation) and _lacks_required(nested, given)
            fields[name] = None if absent else _validated(nested, given)
    return fields


def _lacks_required(model: type[Settings], given: Mapping[str, Any]) -> bool:
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    lacks_all = bool(model.needs_one_of) and not any(_at(given, path) for path in model.needs_one_of)
    return lacks_all or any(given.get(name) is None for name in required)


def _at(given: Mapping[str, Any], path: str) -> Any:
    """The value of a field, or of a nested model's field: `server.endpoint`."""
    name, _, rest = path.partition(".")
    return getattr(given.get(name), rest, None) if rest else given.get(name)


def _validated(model: type[SettingsT], given: Mapping[str, Any]) -> SettingsT:
    try:
        return model(**given)
    except ValidationError as error:
        raise click.UsageError(f"{_message(error)}.") from error


def _message(error: ValidationError) -> str:
    """The first finding, with names of options in place of names of fields."""

    def name_of(path: KeyPath) -> str:
        return option_name(str(path[0]))

    return FIELD.sub(lambda field: option_name(field[1]), validation_message(error, name_of))
