"""What an HTTP answer means: a result, or a failure that may be worth another attempt."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic_core import from_json

from connect_chat.engine.retry import Failure
from connect_chat.errors import (
    ResourceNotFoundException,
    ServiceError,
    ServiceUnreachableError,
    ThrottlingException,
    service_error,
)
from connect_chat.requests import Request
from connect_chat.shapes import Response, http_date
from connect_chat.transport.exchange import Answer

__all__ = ["Failed", "read_answer", "redact"]

R = TypeVar("R", bound=Response)

_GATEWAY_STATUSES = frozenset({502, 503, 504})
_MESSAGE_LIMIT = 2000  # the API model's Reason; a gateway's error page may be longer
_CODE_LIMIT = 100
_SHORT = 8


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that gave no result.

    Attributes:
        error: What the caller gets if this was the last attempt.
        failure: How it failed; None if another attempt would fail in the same way.
        retry_after: Seconds that the service asked us to wait, if it did.
    """

    error: ServiceError | ServiceUnreachableError
    failure: Failure | None
    retry_after: float | None = None


def read_answer(request: Request, kind: type[R], answer: Answer) -> R | Failed:
    """Return the result that an answer carries, or how it failed.

    Args:
        request: What was asked.
        kind: The type of its result.
        answer: What came; its body may be anything.
    """
    status, headers = answer.status, answer.headers
    request_id = headers.get("x-amzn-requestid")
    decoded = _decode(answer.body)
    if not 200 <= status < 300:
        return _read_error(request, status, headers, decoded or {}, request_id)
    if decoded is not None:
        try:
            return kind.of(decoded, request_id=request_id, date=headers.get("date"))
        except ValueError:
            pass
    return Failed(
        _unreachable(request, f"HTTP {status} with a body that cannot be read", request_id),
        Failure.FAULTY,
    )


def redact(text: str, request: Request) -> str:
    """Return ``text`` without what ``request`` wants kept secret, and of a bearable length."""
    for secret in request.secrets:
        # What is short may be part of any word; alone it is masked all the same.
        edge = r"\b" if len(secret) < _SHORT and secret.isalnum() else ""
        text = re.sub(edge + re.escape(secret) + edge, "[redacted]", text)
    return text[:_MESSAGE_LIMIT]


def _decode(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in ``body``, or None if it holds anything else. Nothing is {}."""
    try:
        value = from_json(body or b"{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _read_error(
    request: Request,
    status: int,
    headers: Mapping[str, str],
    body: dict[str, Any],
    request_id: str | None,
) -> Failed:
    retry_after = _retry_after(headers)
    message = _string(body, "Message", "message")
    error = service_error(
        status_code=status,
        code=_code(headers.get("x-amzn-errortype")) or _code(_string(body, "__type", "code")),
        message=redact(message, request),
        operation=request.operation.name,
        request_id=request_id,
        retry_after=retry_after,
    )
    if isinstance(error, ResourceNotFoundException):
        error.resource_id = _string(body, "ResourceId") or None
        error.resource_type = _string(body, "ResourceType") or None
    if isinstance(error, ThrottlingException) or status == 429:
        return Failed(error, Failure.THROTTLED, retry_after)
    if status in _GATEWAY_STATUSES and type(error) is ServiceError:
        gateway = _unreachable(request, f"HTTP {status} from a gateway", request_id)
        return Failed(gateway, Failure.FAULTY, retry_after)
    return Failed(error, Failure.FAULTY if status >= 500 else None, retry_after)


def _unreachable(request: Request, what: str, request_id: str | None) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"{what} [request id {request_id or 'none'}]", operation=request.operation.name
    )


def _string(body: dict[str, Any], *names: str) -> str:
    """Return the first member among ``names`` that is text, or ``""``."""
    return next((value for name in names if isinstance(value := body.get(name), str)), "")


def _code(value: str | None) -> str | None:
    """Return the name in ``namespace#Name:http://…``, or None if there is none."""
    name = (value or "").partition(":")[0].rpartition("#")[2].strip()
    return name if name.isidentifier() and len(name) <= _CODE_LIMIT else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return a ``Retry-After``, given in seconds or as a date, in seconds from now."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = http_date(value)
        if until is None:
            return None
        # By the service's clock if it tells it: ours may be wrong.
        now = http_date(headers.get("date")) or datetime.now(UTC)
        seconds = (until - now).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None
