"""What becomes of a request that a server did not answer: the photo's failure, or the end of the run.

400 413 422 …             the photo fails                     the server read it and refused it
401 402 403 404 405 410   the run ends                        key, model name or path are wrong for every photo
3xx                       the run ends                        keys follow no redirect
500                       the photo fails, after retries      `Doubt` asks whether it is the photo
429 502 503 504 520 …     held and tried again, then the photo fails
"""

from collections.abc import Iterable, Mapping

from yanshou.engines.endpoint.address import KEY, Address, without_userinfo
from yanshou.errors import GenerationError, RunError

GATEWAY = range(502, 600)  # a gateway whose server is away; some have numbers of their own, 520 or 529
BUSY = 429  # too many requests
ENDING = (401, 402, 403, 404, 405, 410)
NAMES_SHOWN = 8
SEE_LOG = "look at the server's log; the next run tries the group again"
SMALLER = "raise the server's limit, or lower --max-pixels; the next run tries the group again"


def says(body: object) -> str:
    """The server's own words in the body of an error, whatever its shape."""
    for name in ("message", "detail", "error", "msg"):
        if isinstance(body, Mapping) and body.get(name):
            return says(body[name])
    if isinstance(body, list) and body:
        return says(body[0])
    return str(body or "no words")


def refused(status: int, words: str) -> GenerationError:
    """The failure of one photo."""
    if status == 500 or status in GATEWAY:
        return GenerationError(f"the server answered {status} at every try: {words}", SEE_LOG)
    return GenerationError(f"the server refused the request ({status}): {words}", SMALLER if status == 413 else SEE_LOG)


def ending(status: int, words: str, address: Address, model: str, models: Iterable[str], location: str) -> RunError:
    """The error that ends the run, with the cure for its cause."""
    if 300 <= status < 400:
        cure = (
            f"It redirects to {without_userinfo(location)}, and no key is sent there. Give that server as --endpoint."
        )
    elif status == 401:
        cure = f"Set {KEY} to a key that the server knows." if not address.authorization else f"Is {KEY} right?"
    elif status in (402, 403):
        cure = "Ask whoever runs the server what the key may use."
    else:
        cure = _unknown(model, list(models))
    return RunError(f"{address.base_url} answered {status}: {words.rstrip('.')}. {cure}")


def _unknown(model: str, models: list[str]) -> str:
    if not models:
        return f"Is --model {model} a name that the server knows, and does --endpoint end in the right path (/v1)?"
    names = ", ".join(models[:NAMES_SHOWN]) + (f" and {more} more" if (more := len(models) - NAMES_SHOWN) > 0 else "")
    return f"--model is {model}; the server lists {names}."
