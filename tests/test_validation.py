"""Promises of `yanshou.validation`: one readable line per finding, whatever the model."""

from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from yanshou.validation import validation_message, validation_messages


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=1)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: Inner
    name: str = "a"

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if "\n" in name:
            raise ValueError("a name is one line.")
        return name

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.name == "none":
            raise ValueError("the record has no name")
        return self


def refused(**fields: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "key inner is missing"),
        ({"inner": {"count": 1}, "colour": "red"}, "unknown key colour"),
        ({"inner": {"count": 0}}, "key inner.count is 0: input should be greater than or equal to 1"),
        ({"inner": {"count": 1}, "name": "a\nb"}, r"key name is 'a\nb': a name is one line"),
        ({"inner": {"count": 1}, "name": Path("a.txt")}, "key name is 'a.txt': input should be a valid string"),
        ({"inner": {"count": 1}, "name": "none"}, "the record has no name"),
    ],
)
def test_a_finding_names_key_value_and_what_is_wrong(fields: dict[str, Any], message: str) -> None:
    assert validation_message(refused(**fields)) == message


def test_all_findings_come_in_the_order_of_the_fields_and_the_first_one_alone_on_request() -> None:
    error = refused(inner={"count": 0}, name="a\nb")
    first, second = validation_messages(error)
    assert (validation_message(error), second.startswith("key name is")) == (first, True)


def test_a_caller_names_the_value_as_its_user_knows_it() -> None:
    assert validation_message(refused(inner={"count": 0}), lambda path: f"--{path[-1]}").startswith("--count is 0: ")


def test_long_keys_and_values_are_shortened() -> None:
    assert len(validation_message(refused(**{"x" * 10**6: 1, "inner": {"count": 1}}))) < 100
    assert len(validation_message(refused(inner={"count": "x" * 10**6}))) < 300
