"""The two ways an export can fail, and the code of each over gRPC and HTTP.

`Rejected` must never be sent again as it is; `TryLater` should be. One table maps the reasons, so that both
transports respond alike. Messages name a remedy and never hold what a client sent.

Source: https://opentelemetry.io/docs/specs/otlp/#failures, #failures-1 (gRPC) and #http-response
"""

from enum import StrEnum
from typing import Final, NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

STATUS_TRAILER: Final = "grpc-status-details-bin"
"""The trailer in which gRPC has a serialized `google.rpc.Status`."""
RETRY_INFO: Final = RetryInfo.DESCRIPTOR.full_name


class Reason(StrEnum):
    """Why records were not stored: the label of the metric `telemetry_refused_records_total`."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNTYPED_METRIC = "untyped_metric"
    UNKNOWN_FIELDS = "unknown_fields"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNKNOWN_ENCODING = "unknown_encoding"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    UNAUTHENTICATED = "unauthenticated"
    SLOW_SENDER = "slow_sender"
    RATE_LIMITED = "rate_limited"
    CROWDED = "crowded"
    OVERLOADED = "overloaded"
    STOPPING = "stopping"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL = "internal"


class Codes(NamedTuple):
    """The codes of one reason over gRPC and HTTP."""

    grpc: grpc.StatusCode
    http: int


CODES = {
    Reason.MALFORMED: Codes(grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.TOO_LARGE: Codes(grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
    Reason.UNTYPED_METRIC: Codes(grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.UNKNOWN_FIELDS: Codes(grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.UNSUPPORTED_MEDIA_TYPE: Codes(grpc.StatusCode.INVALID_ARGUMENT, 415),
    Reason.UNKNOWN_ENCODING: Codes(grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.METHOD_NOT_ALLOWED: Codes(grpc.StatusCode.UNIMPLEMENTED, 405),
    Reason.NOT_FOUND: Codes(grpc.StatusCode.NOT_FOUND, 404),
    Reason.UNAUTHENTICATED: Codes(grpc.StatusCode.UNAUTHENTICATED, 401),
    Reason.SLOW_SENDER: Codes(grpc.StatusCode.DEADLINE_EXCEEDED, 408),
    Reason.RATE_LIMITED: Codes(grpc.StatusCode.UNAVAILABLE, 429),
    Reason.CROWDED: Codes(grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    Reason.OVERLOADED: Codes(grpc.StatusCode.UNAVAILABLE, 503),
    Reason.STOPPING: Codes(grpc.StatusCode.UNAVAILABLE, 503),
    Reason.STORE_UNAVAILABLE: Codes(grpc.StatusCode.UNAVAILABLE, 503),
    Reason.INTERNAL: Codes(grpc.StatusCode.UNAVAILABLE, 503),
}


class Failure(Exception):  # noqa: N818  an event, as in Python's own StopIteration
    """An export that was not stored: its reason and a message that is safe to show."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def codes(self) -> Codes:
        """The codes of the two transports."""
        return CODES[self.reason]

    def status(self) -> Status:
        """Return the `google.rpc.Status` of an HTTP body or a gRPC trailer."""
        number, _ = self.codes.grpc.value
        return Status(code=number, message=self.message)


class Rejected(Failure):
    """The request is wrong and will stay wrong: the client must not send it again."""


class TryLater(Failure):
    """The request may be right, but cannot be stored now: the client should send it again."""

    def __init__(self, reason: Reason, message: str, retry_after_seconds: int = 1) -> None:
        super().__init__(reason, message)
        self.retry_after_seconds = retry_after_seconds

    def status(self) -> Status:
        """Return the status with its `google.rpc.RetryInfo`, without which gRPC clients do not retry."""
        status = super().status()
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=self.retry_after_seconds)))
        return status
