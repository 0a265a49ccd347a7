"""What Docker refuses, as EngineError with a remedy; what is gone already is no refusal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import requests
from docker.errors import APIError, DockerException, NotFound

from appbed.errors import EngineError


def removed_by(remove: Callable[[], Any]) -> bool:
    """True if it went; one that is gone already, or is going, is nobody's problem."""
    try:
        remove()
    except NotFound:
        return False
    except APIError as error:
        if error.status_code in (404, 409):
            return False
        if "has active endpoints" in str(error.explanation):
            return False
        raise EngineError(f"remove: {error.explanation}") from None
    return True


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """The engine's refusals as EngineError."""
    try:
        yield
    except NotFound as error:
        raise EngineError(f"{what}: {reason(error)}") from None
    except (DockerException, requests.RequestException) as error:
        raise EngineError(f"{what}: {reason(error)}", remedy=remedy(str(error))) from None
    except TimeoutError:
        raise EngineError(f"{what}: no answer in time") from None
    except OSError as error:
        raise EngineError(f"{what}: {error.strerror or error}") from None


def reason(error: Exception) -> str:
    explanation = getattr(error, "explanation", None) or str(error)
    return str(explanation).strip().splitlines()[0] if str(explanation).strip() else type(error).__name__


def remedy(problem: str) -> str:
    if "no space left" in problem.lower():
        return "free some disk space (`docker system df` shows what takes it)"
    if "No such image" in problem or "pull access denied" in problem:
        return "run `appbed setup`"
    return ""
