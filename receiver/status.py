"""The two ways an export can fail, and what each is called over gRPC and HTTP.

`Rejected` must never be sent again as it is; `TryLater` should be. One table maps the reasons, so that both
transports answer alike. Messages are written here and name a remedy; they never hold what a client sent.

Source: https://opentelemetry.io/docs/specs/otlp/#failures, #failures-1 (gRPC) and #http-response
"""

from enum import StrEnum
from typing import NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status


class Reason(StrEnum):
    """Why records were not stored: the label of the metric `telemetry_refused_records_total`."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNTYPED_METRIC = "untyped_metric"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNKNOWN_ENCODING = "unknown_encoding"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    UNAUTHENTICATED = "unauthenticated"
    SLOW_SENDER = "slow_sender"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    STOPPING = "stopping"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL = "internal"


class Answer(NamedTuple):
    """The code of one reason on each transport."""

    grpc: grpc.StatusCode
    http: int


ANSWERS = {
    Reason.MALFORMED: Answer(grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.TOO_LARGE: Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
    Reason.UNTYPED_METRIC: Answer(grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.UNSUPPORTED_MEDIA_TYPE: Answer(grpc.StatusCode.INVALID_ARGUMENT, 415),
    Reason.UNKNOWN_ENCODING: Answer(grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.METHOD_NOT_ALLOWED: Answer(grpc.StatusCode.UNIMPLEMENTED, 405),
    Reason.NOT_FOUND: Answer(grpc.StatusCode.NOT_FOUND, 404),
    Reason.UNAUTHENTICATED: Answer(grpc.StatusCode.UNAUTHENTICATED, 401),
    Reason.SLOW_SENDER: Answer(grpc.StatusCode.DEADLINE_EXCEEDED, 408),
    Reason.RATE_LIMITED: Answer(grpc.StatusCode.UNAVAILABLE, 429),
    Reason.OVERLOADED: Answer(grpc.StatusCode.UNAVAILABLE, 503),
    Reason.STOPPING: Answer(grpc.StatusCode.UNAVAILABLE, 503),
    Reason.STORE_UNAVAILABLE: Answer(grpc.StatusCode.UNAVAILABLE, 503),
    Reason.INTERNAL: Answer(grpc.StatusCode.UNAVAILABLE, 503),
}


class Failure(Exception):  # noqa: N818  what happened, as in Python's own StopIteration
    """An export that was not stored: its reason and a message that is safe to show."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def answer(self) -> Answer:
        """The codes of the two transports."""
        return ANSWERS[self.reason]

    def status(self) -> Status:
        """Give the `google.rpc.Status` that stands in an HTTP body or a gRPC trailer."""
        number, _ = self.answer.grpc.value
        return Status(code=number, message=self.message)


class Rejected(Failure):
    """The request is wrong and will stay wrong: the client must not send it again."""


class TryLater(Failure):
    """The request may be right, but cannot be stored now: the client should send it again."""

    def __init__(self, reason: Reason, message: str, retry_after_seconds: int = 1) -> None:
        super().__init__(reason, message)
        self.retry_after_seconds = retry_after_seconds

    def status(self) -> Status:
        """Give the status with its `google.rpc.RetryInfo`, without which gRPC clients do not retry."""
        status = super().status()
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=self.retry_after_seconds)))
        return status
