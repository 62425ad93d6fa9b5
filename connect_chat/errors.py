"""Every error this library raises, in one tree.

::

    ConnectChatError
    ├── ServiceError                      the service answered with an error
    │   ├── AccessDeniedException         403
    │   ├── ConflictException             409
    │   ├── InternalServerException       500
    │   ├── ResourceNotFoundException     404
    │   ├── ServiceQuotaExceededException 402
    │   ├── ThrottlingException           429
    │   └── ValidationException           400
    ├── ServiceUnreachableError           no usable answer: refused, reset, timed out, 502–504
    ├── InvalidRequestError               (also ValueError) refused here, before it was sent
    │   └── InvalidContentError           a content, its type or its length
    ├── AttachmentError                   a file could not be sent or fetched
    ├── ConfigurationError                (also ValueError) region, endpoint or options
    │   └── MissingExtraError             (also ImportError) an optional dependency
    ├── NotConnectedError                 the chat could not be connected, or is closed
    ├── ChatEndedError                    the chat is over
    ├── ChatNotFoundError                 (also KeyError) a hub holds no such chat
    ├── HubFullError                      a hub holds as many chats as it may
    └── HubClosedError                    a hub takes no chats any more

Service errors carry the service's own names, so that code moved from boto3 keeps its ``except``
clauses. No message holds a token, a presigned URL or the content of a chat.
"""

from __future__ import annotations

__all__ = [
    "AccessDeniedException",
    "AttachmentError",
    "ChatEndedError",
    "ChatNotFoundError",
    "ConfigurationError",
    "ConflictException",
    "ConnectChatError",
    "HubClosedError",
    "HubFullError",
    "InternalServerException",
    "InvalidContentError",
    "InvalidRequestError",
    "MissingExtraError",
    "NotConnectedError",
    "ResourceNotFoundException",
    "ServiceError",
    "ServiceQuotaExceededException",
    "ServiceUnreachableError",
    "ThrottlingException",
    "ValidationException",
    "service_error",
]


class ConnectChatError(Exception):
    """The root of every error raised by ``connect_chat``."""


class ServiceError(ConnectChatError):
    """The service answered with an error.

    Attributes:
        status_code: The HTTP status, for example ``403``.
        code: The service's name of the error, for example ``"AccessDeniedException"``; for an
            answer that names none, ``"HTTP 403"`` and the like.
        message: What the service said, without our advice; may be empty.
        operation: The operation that failed, for example ``"SendMessage"``.
        request_id: The ``x-amzn-RequestId`` of the answer, to quote to AWS Support.
        retry_after: Seconds that the service asked us to wait, from ``Retry-After``.
    """

    hint = "Quote the request id to AWS Support if it persists."
    retryable = False

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int,
        code: str,
        operation: str,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status_code = status_code
        self.code = code
        self.message = message
        self.operation = operation
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(message)

    def __str__(self) -> str:
        said = f": {self.message}" if self.message else ""
        where = f" [HTTP {self.status_code}, request id {self.request_id or 'none'}]"
        return f"{self.operation} failed with {self.code}{said}{where}. {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, which ``Exception`` alone would drop."""
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(
    kind: type[ServiceError], args: tuple[str, ...], state: dict[str, object]
) -> ServiceError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    error.args = args
    return error


class AccessDeniedException(ServiceError):  # noqa: D101 - documented by its hint
    hint = (
        "Check that the token belongs to this participant, that the chat has not ended, that it "
        "is used in its own region, and that a new chat was connected within 5 minutes "
        "(a CUSTOM_BOT within 15 seconds)."
    )


class ConflictException(ServiceError):  # noqa: D101
    hint = (
        "The same upload is already being completed, or a supervisor has barged in and receipts "
        "are off; do not repeat the call."
    )


class InternalServerException(ServiceError):  # noqa: D101
    hint = "The service had a fault of its own; the call may be repeated after a pause."
    retryable = True


class ResourceNotFoundException(ServiceError):
    """The resource does not exist.

    Attributes:
        resource_id: The id the service did not find, where it says so.
        resource_type: Its kind, for example ``"PARTICIPANT"``, where the service says so.
    """

    hint = "Check the identifier and that it belongs to this chat."
    resource_id: str | None = None
    resource_type: str | None = None


class ServiceQuotaExceededException(ServiceError):  # noqa: D101
    hint = "The chat has reached its number of attachments; an administrator can raise the quota."


class ThrottlingException(ServiceError):  # noqa: D101
    hint = (
        "The Connect instance's request quota is used up: keep pacing on (quota=…), share one "
        "ParticipantClient per instance, or ask AWS for a higher quota."
    )
    retryable = True


class ValidationException(ServiceError):  # noqa: D101
    hint = "The service refused the request's values; correct them before calling again."


_BY_CODE: dict[str, type[ServiceError]] = {
    kind.__name__: kind
    for kind in (
        AccessDeniedException,
        ConflictException,
        InternalServerException,
        ResourceNotFoundException,
        ServiceQuotaExceededException,
        ThrottlingException,
        ValidationException,
    )
}
_BY_STATUS: dict[int, type[ServiceError]] = {
    400: ValidationException,
    402: ServiceQuotaExceededException,
    403: AccessDeniedException,
    404: ResourceNotFoundException,
    409: ConflictException,
    429: ThrottlingException,
    500: InternalServerException,
}


def service_error(
    *,
    status_code: int,
    code: str | None,
    message: str,
    operation: str,
    request_id: str | None = None,
    retry_after: float | None = None,
) -> ServiceError:
    """Return the error that an answer stands for, typed by its code or else by its status.

    A code that this library does not know gives a plain `ServiceError` that carries it. An
    answer without a code is typed by its HTTP status, since gateways in between send those.
    """
    kind = _BY_CODE.get(code, ServiceError) if code else _BY_STATUS.get(status_code, ServiceError)
    return kind(
        message,
        status_code=status_code,
        code=code or (kind.__name__ if kind is not ServiceError else f"HTTP {status_code}"),
        operation=operation,
        request_id=request_id,
        retry_after=retry_after,
    )


class ServiceUnreachableError(ConnectChatError):
    """The service gave no usable answer: refused, reset, timed out, or a gateway's 502–504.

    Attributes:
        operation: The operation that failed, for example ``"GetTranscript"``.
        retryable: Whether another call may succeed: not while the server is not trusted.
    """

    def __init__(self, message: str, *, operation: str, retryable: bool = True) -> None:
        self.operation = operation
        self.retryable = retryable
        super().__init__(message, operation, retryable)

    def __str__(self) -> str:
        return f"{self.operation} got no answer: {self.args[0]}"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments."""
        return (_unreachable, self.args)


def _unreachable(message: str, operation: str, retryable: bool) -> ServiceUnreachableError:
    return ServiceUnreachableError(message, operation=operation, retryable=retryable)


class InvalidRequestError(ConnectChatError, ValueError):
    """A request was refused here, before anything was sent.

    Attributes:
        field: The parameter at fault, by its Python name, for example ``"max_results"``.
        limit: What is allowed, in words, for example ``"0 to 100"``.
        size: The value's size or, for a plain number, the value; never a content.
    """

    def __init__(self, field: str, limit: str, *, size: int | None = None) -> None:
        self.field = field
        self.limit = limit
        self.size = size
        given = "" if size is None else f"; got {size:,}"
        super().__init__(f"{field} must be {limit}{given}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the three arguments rather than the sentence made of them."""
        return (_invalid, (type(self), self.field, self.limit, self.size))


def _invalid(
    kind: type[InvalidRequestError], field: str, limit: str, size: int | None
) -> InvalidRequestError:
    return kind(field, limit, size=size)


class InvalidContentError(InvalidRequestError):
    """A message's content, its type or its length is not what the service accepts."""


class AttachmentError(ConnectChatError):
    """A file could not be sent or fetched. Nobody sees a part of it."""


class ConfigurationError(ConnectChatError, ValueError):
    """A region, an endpoint or an option is missing or contradicts another."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional part was used without the extra that brings its dependencies."""

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(
            f'{feature} needs an extra: run  pip install "connect-chat[{extra}]"', extra
        )

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the two arguments."""
        return (MissingExtraError, (self.feature, self.extra))


class NotConnectedError(ConnectChatError):
    """The chat could not be connected or kept connected, or the session is not open.

    The cause, where there is one, is chained (``__cause__``).
    """


class ChatEndedError(ConnectChatError):
    """The chat is over: nothing can be sent to it any more. Start a new chat to go on."""


class ChatNotFoundError(ConnectChatError, KeyError):
    """A hub holds no chat of that contact: it has ended, was closed, or is held elsewhere.

    Attributes:
        contact_id: The contact that was asked for.
    """

    def __init__(self, contact_id: str) -> None:
        self.contact_id = contact_id
        super().__init__(contact_id)

    def __str__(self) -> str:
        return f"no chat of contact {self.contact_id} is held here: open it, or ask its process"


class HubFullError(ConnectChatError):
    """A hub holds as many chats as it may: close some, raise ``max_chats``, or use another one.

    Attributes:
        max_chats: How many that is.
    """

    def __init__(self, max_chats: int) -> None:
        self.max_chats = max_chats
        super().__init__(max_chats)

    def __str__(self) -> str:
        return f"the hub holds {self.max_chats:,} chats already, its max_chats; close some first"


class HubClosedError(ConnectChatError):
    """A hub is not open, draining or closed."""
