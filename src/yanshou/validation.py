"""pydantic's findings as messages, one readable line each, without a full stop.

key rule.text is missing
unknown key colour
key batch_size is 0: input should be greater than or equal to 1
per_image must have the keys 图片_1…图片_2 only      from a check of the whole record: its own message, no key
"""

from collections.abc import Callable, Sequence
from pathlib import PurePath

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from yanshou.text import excerpt, truncate

KeyPath = Sequence[str | int]  # the keys and indices that lead to a value
NameOf = Callable[[KeyPath], str]  # what a message calls the value


def key_name(path: KeyPath) -> str:
    """`key rule.when.0.if`"""
    return "key " + truncate(".".join(map(str, path)))


def validation_message(error: ValidationError, name_of: NameOf = key_name) -> str:
    """The first finding. `name_of` turns the path of a value into its name, for example that of an option."""
    return validation_messages(error, name_of)[0]


def validation_messages(error: ValidationError, name_of: NameOf = key_name) -> list[str]:
    """All findings."""
    return [_message(finding, name_of) for finding in error.errors(include_url=False)]


def _message(finding: ErrorDetails, name_of: NameOf) -> str:
    path = finding["loc"]
    match finding["type"]:
        case "missing":
            return f"{name_of(path)} is missing"
        case "extra_forbidden":
            return f"unknown {name_of(path)}"
        case "value_error":  # from a model's own check, which writes messages for people
            message = str(finding["ctx"]["error"]).rstrip(".。")
        case _:
            message = finding["msg"][:1].lower() + finding["msg"][1:]
    return f"{name_of(path)} is {_shown(finding['input'])}: {message}" if path else message


def _shown(value: object) -> str:
    return excerpt(str(value) if isinstance(value, PurePath) else value)
