"""A server that answers requests in place of an engine of this process."""

from typing import Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from yanshou.settings.base import Settings
from yanshou.text import escape_surrogates

CONCURRENCY = 64


class EndpointSettings(Settings):
    """An OpenAI-compatible server. Its key, if it wants one, is in the environment variable YANSHOU_ENDPOINT_KEY."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a URL may hold a password
    heading = "Endpoint"

    endpoint: str | None = Field(
        default=None,
        repr=False,
        description="Base URL of an OpenAI-compatible server that answers, such as http://127.0.0.1:8000/v1. Photos "
        "(judge: summaries) are sent there. Its key is read from the environment variable YANSHOU_ENDPOINT_KEY. Needs "
        "the extra endpoint. Default: no server, and a checkpoint is needed.",
    )
    model: str | None = Field(
        default=None, description="Name of the model on that server. Default: none; --endpoint needs it."
    )
    concurrency: int = Field(
        default=CONCURRENCY, ge=1, le=1000, description="Maximum number of requests to that server at once."
    )

    @field_validator("model")
    @classmethod
    def _is_a_name(cls, model: str | None) -> str | None:
        if model is not None and (not model.strip() or model != escape_surrogates(model)):
            raise ValueError("not a model's name: it is empty, or not UTF-8")
        return model

    @model_validator(mode="after")
    def _model_of_server(self) -> Self:
        if self.endpoint is not None and self.model is None:
            raise ValueError("Missing option `model`: the name of the model on the server")
        if self.endpoint is None and self.model is not None:
            raise ValueError("`model` is a model on a server. Give the server with `endpoint`")
        if self.endpoint is None and self.concurrency != CONCURRENCY:
            raise ValueError("`concurrency` is about requests to a server. Give the server with `endpoint`")
        return self
