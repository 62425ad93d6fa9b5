"""The tree of errors: types, messages and pickling."""

from __future__ import annotations

import pickle

import pytest

from connect_chat import (
    AccessDeniedException,
    ChatEndedError,
    ConfigurationError,
    ConnectChatError,
    InvalidContentError,
    InvalidRequestError,
    MissingExtraError,
    NotConnectedError,
    ResourceNotFoundException,
    ServiceError,
    ServiceUnreachableError,
    ThrottlingException,
)
from connect_chat.errors import service_error


def test_an_error_is_typed_by_its_code_before_its_status():
    """The code decides; only an answer without one is typed by its status."""
    by_code = service_error(
        status_code=400, code="ThrottlingException", message="", operation="SendMessage"
    )
    assert type(by_code) is ThrottlingException
    by_status = service_error(status_code=403, code=None, message="", operation="SendMessage")
    assert type(by_status) is AccessDeniedException
    assert by_status.code == "AccessDeniedException"


def test_what_nobody_knows_is_a_plain_service_error():
    """An unknown code is kept; an unknown status becomes the code."""
    unknown = service_error(status_code=403, code="New", message="m", operation="SendMessage")
    assert type(unknown) is ServiceError
    assert unknown.code == "New"
    odd = service_error(status_code=418, code=None, message="", operation="SendMessage")
    assert (type(odd), odd.code) == (ServiceError, "HTTP 418")


def test_a_message_says_what_where_and_what_next():
    """Operation, code, the service's words, status, request id and advice in one line."""
    error = service_error(
        status_code=403, code=None, message="Bad.", operation="SendMessage", request_id="r-1"
    )
    assert str(error).startswith("SendMessage failed with AccessDeniedException: Bad. [HTTP 403")
    assert "r-1" in str(error)
    assert "Check that the token" in str(error)


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("ThrottlingException", True),
        ("InternalServerException", True),
        ("AccessDeniedException", False),
        ("ValidationException", False),
        ("ConflictException", False),
        ("ServiceQuotaExceededException", False),
        ("ResourceNotFoundException", False),
    ],
)
def test_which_errors_may_pass(code, retryable):
    error = service_error(status_code=0, code=code, message="", operation="SendMessage")
    assert error.retryable is retryable
    assert type(error).__name__ == code


def not_found():
    error = service_error(
        status_code=404, code=None, message="m", operation="DescribeView", retry_after=1.5
    )
    assert isinstance(error, ResourceNotFoundException)
    error.resource_id = "v-1"
    return error


@pytest.mark.parametrize(
    "error",
    [
        not_found(),
        ServiceUnreachableError("HTTP 503", operation="GetTranscript"),
        ServiceUnreachableError("not trusted", operation="GetTranscript", retryable=False),
        InvalidRequestError("max_results", "0 to 100", size=101),
        InvalidContentError("content", "1 to 1,024 characters long", size=0),
        ConfigurationError("no region"),
        MissingExtraError("The emulator", "emulator"),
        NotConnectedError("closed"),
        ChatEndedError("over"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error):
    """Type, words and attributes arrive, so that an error may cross processes."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert isinstance(copy, ConnectChatError)


def test_errors_that_are_also_pythons_own():
    """Code that catches the built-in kind catches ours."""
    assert issubclass(InvalidRequestError, ValueError)
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(MissingExtraError, ConfigurationError)


def test_a_refusal_names_field_limit_and_size():
    assert str(InvalidRequestError("content", "1 to 1,024 characters long", size=2000)) == (
        "content must be 1 to 1,024 characters long; got 2,000"
    )
    assert str(InvalidRequestError("types", "one of A, B")) == "types must be one of A, B"


def test_a_missing_extra_says_what_to_install():
    assert 'pip install "connect-chat[emulator]"' in str(MissingExtraError("It", "emulator"))
