"""Settings of a server, as a user types them."""

import pytest
from pydantic import ValidationError

from yanshou.settings import EndpointSettings

URL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize("name", ["", "  ", "a\udcff"])
def test_a_name_that_no_server_can_read_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="not a model's name: it is empty, or not UTF-8"):
        EndpointSettings(endpoint=URL, model=name)


@pytest.mark.parametrize("name", ["qwen3-vl", "/models/验收 4B", "org/model:free"])
def test_other_names_are_taken_as_they_are(name: str) -> None:
    assert EndpointSettings(endpoint=URL, model=name).model == name
