from __future__ import annotations

import errno

import pytest
import requests
from docker.errors import APIError, ImageNotFound, NotFound

from appbed.engine.docker_refusals import doing, removed_by
from appbed.errors import EngineError


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (NotFound("404", explanation="No such container: x\nmore"), "start x: No such container: x", ""),
        (APIError("500", explanation="No space left on device"), "start x: No space left on device", "free some disk"),
        (APIError("404 No such image: x"), "start x: 404 No such image: x", "run `appbed setup`"),
        (requests.ConnectionError("refused"), "start x: refused", ""),
        (TimeoutError("timed out"), "start x: no answer in time", ""),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "start x: Broken pipe", ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_refusal_is_one_line_that_says_what_was_being_done(error: Exception, said: str, remedy: str) -> None:
    with pytest.raises(EngineError) as caught, doing("start x"):
        raise error
    assert caught.value.message == said
    assert caught.value.remedy.startswith(remedy)


def test_what_is_no_refusal_passes() -> None:
    with pytest.raises(ZeroDivisionError), doing("start x"):
        raise ZeroDivisionError


class Answer:
    def __init__(self, status: int) -> None:
        self.status_code = status


@pytest.mark.parametrize(
    "error",
    [
        NotFound("404"),
        ImageNotFound("404"),
        APIError("removal is already in progress", response=Answer(409)),
        APIError("x", explanation="network x has active endpoints"),
    ],
)
def test_what_is_gone_or_going_is_not_counted_and_no_error(error: APIError) -> None:
    def remove() -> None:
        raise error

    assert removed_by(lambda: None)
    assert not removed_by(remove)


def test_another_refusal_to_remove_is_told() -> None:
    def remove() -> None:
        raise APIError("x", explanation="permission denied")

    with pytest.raises(EngineError, match="remove: permission denied"):
        removed_by(remove)
