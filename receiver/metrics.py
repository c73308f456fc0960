"""What the server measures of itself, as Prometheus metrics. No label ever holds what a client sent."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from otlp.json_encoding import Decoded
from otlp.signals import Signal, Survey
from otlp.status import Reason
from receiver.request_repair import Repaired
from receiver.scrub import Tally

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BYTES = tuple(1 << power for power in range(10, 27, 2))


class Metrics:
    """The instruments of one server, in a registry of their own. `of` returns what the pipeline counts with."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter(
            "telemetry_requests",
            "Export requests by how they ended, and the name of the sender's token once it is known.",
            ["signal", "transport", "outcome", "sender"], registry=registry,
        )  # fmt: skip
        self.sender_bytes = Counter(
            "telemetry_sender_bytes", "Bytes of requests read, uncompressed, by the name of the token.",
            ["signal", "sender"], registry=registry,
        )  # fmt: skip
        self.sender_records = Counter(
            "telemetry_sender_records", "Records acknowledged as stored, by the name of the token.",
            ["signal", "sender"], registry=registry,
        )  # fmt: skip
        self.received_bytes = Counter(
            "telemetry_received_bytes", "Bytes of well-formed requests, uncompressed.", ["signal"],
            registry=registry,
        )  # fmt: skip
        self.received = Counter(
            "telemetry_received_records", "Records in well-formed requests.", ["signal"], registry=registry
        )
        self.accepted = Counter(
            "telemetry_accepted_records", "Records stored: committed, or safe in the spool.", ["signal"],
            registry=registry,
        )  # fmt: skip
        self.resent = Counter(
            "telemetry_resent_records", "Records of requests that were sent before, and not stored again.",
            ["signal"], registry=registry,
        )  # fmt: skip
        self.repeated = Counter(
            "telemetry_repeated_records",
            "Records that came before in another request, and are not counted again.",
            ["signal"], registry=registry,
        )  # fmt: skip
        self.refused = Counter(
            "telemetry_refused_records",
            "Records not stored, by reason. A request that cannot be read counts as one.",
            ["signal", "reason"], registry=registry,
        )  # fmt: skip
        self.redactions = Counter(
            "telemetry_redactions", "Pieces of text redacted, by rule.", ["rule"], registry=registry
        )
        self.oddities = Counter(
            "telemetry_odd_records",
            "Odd records, by kind: spans that end before they start, times past the retention (their rows"
            " do not stay), values that could not be looked at and are replaced, values that were repaired.",
            ["kind"], registry=registry,
        )  # fmt: skip
        self.rows = Counter(
            "telemetry_inserted_rows", "Rows committed, by table.", ["table"], registry=registry
        )
        self.insert_errors = Counter(
            "telemetry_insert_errors", "Inserts that failed and are tried again, by table and reason.",
            ["table", "reason"], registry=registry,
        )  # fmt: skip
        self.spooled_blocks = Counter(
            "telemetry_spooled_blocks", "Blocks kept on disk since the store did not take them.",
            ["table", "reason"], registry=registry,
        )  # fmt: skip
        self.spooled_records = Counter(
            "telemetry_spooled_records", "Records in those blocks.", ["table", "reason"], registry=registry
        )
        self.replayed_blocks = Counter(
            "telemetry_replayed_blocks", "Blocks inserted from the spool.", ["table"], registry=registry
        )
        self.replayed_records = Counter(
            "telemetry_replayed_records", "Records in those blocks.", ["table"], registry=registry
        )
        self.dead_blocks = Counter(
            "telemetry_dead_letter_blocks", "Blocks that the store refused for good.", ["table", "reason"],
            registry=registry,
        )  # fmt: skip
        self.dead_records = Counter(
            "telemetry_dead_letter_records",
            "Records in those blocks.",
            ["table", "reason"],
            registry=registry,
        )
        self.corrupt_files = Counter(
            "telemetry_corrupt_spool_files", "Files in the spool that were set aside.", registry=registry
        )
        self.spool_errors = Counter(
            "telemetry_spool_errors", "What the spool's disk did not do: write, sync, bury, remove, record.",
            ["doing"], registry=registry,
        )  # fmt: skip
        self.spool_bytes = Gauge(
            "telemetry_spool_bytes", "Bytes of blocks that wait and of dead letters.", registry=registry
        )
        self.waiting_blocks = Gauge(
            "telemetry_waiting_blocks", "Blocks that wait in the spool.", ["table"], registry=registry
        )
        self.waiting_seconds = Gauge(
            "telemetry_waiting_seconds",
            "How long the oldest of them has waited.",
            ["table"],
            registry=registry,
        )
        self.store_up = Gauge(
            "telemetry_store_up", "1 when the last insert worked for every table, else 0.", registry=registry
        )
        self.queued_bytes = Gauge(
            "telemetry_queued_bytes", "Bytes of requests accepted and not yet stored.", registry=registry
        )
        self.arriving_bytes = Gauge(
            "telemetry_arriving_bytes", "Bytes of HTTP bodies that are still arriving.", registry=registry
        )
        self.batch_bytes = Histogram(
            "telemetry_batch_bytes", "Bytes of raw requests in a batch.", ["signal"], buckets=_BYTES,
            registry=registry,
        )  # fmt: skip
        self.batch_age = Histogram(
            "telemetry_batch_age_seconds", "How long a batch's oldest request waited to be flushed.",
            ["signal"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.stage = Histogram(
            "telemetry_stage_seconds", "How long a stage took: survey, transform, insert.",
            ["stage"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.refused_pages = Counter(
            "telemetry_refused_pages",
            "Requests of web pages of other origins, or by another name than this server's, by port and reason.",
            ["port", "reason"], registry=registry,
        )  # fmt: skip
        self.unredacted_rows = Counter(
            "telemetry_unredacted_rows",
            "Rows inserted over ClickHouse's interface, where no privacy rule applies, by table.",
            ["table"], registry=registry,
        )  # fmt: skip
        self.queries = Counter(
            "telemetry_queries",
            "Statements over ClickHouse's HTTP interface, by user (`unknown` without a right password) and outcome.",
            ["user", "outcome"], registry=registry,
        )  # fmt: skip

    def of(self, signal: Signal) -> "SignalMetrics":
        """Return what the pipeline counts a signal's requests with."""
        return SignalMetrics(self, signal)


class SignalMetrics:
    """Counts what happens to one signal's requests in the pipeline, from any thread.

    Each request passes here, so the instruments are looked up once: looking one up costs more than counting.
    """

    def __init__(self, metrics: Metrics, signal: Signal) -> None:
        self._signal = signal
        self._refused = metrics.refused
        self._redactions = metrics.redactions
        self._oddities = metrics.oddities
        self._received = metrics.received.labels(signal)
        self._received_bytes = metrics.received_bytes.labels(signal)
        self._survey_seconds = metrics.stage.labels("survey")
        self._accepted = metrics.accepted.labels(signal)
        self._resent = metrics.resent.labels(signal)
        self._repeated = metrics.repeated.labels(signal)
        self._batch_bytes = metrics.batch_bytes.labels(signal)
        self._batch_age = metrics.batch_age.labels(signal)
        self._transform_seconds = metrics.stage.labels("transform")

    def surveyed(self, survey: Survey, size: int, seconds: float) -> None:
        """Count a well-formed request of `size` bytes, whose survey took so many seconds."""
        self._survey_seconds.observe(seconds)
        self._received.inc(survey.records + survey.untyped_metrics)
        self._received_bytes.inc(size)

    def refused(self, reason: Reason, records: int = 1) -> None:
        """Count records that are not stored; a request that cannot be read counts as one."""
        self._refused.labels(self._signal, reason).inc(records)

    def repaired(self, repairs: Mapping[str, int]) -> None:
        """Count values that were repaired, by kind."""
        for kind, count in repairs.items():
            self._oddities.labels(kind).inc(count)

    def mended(self, repair: Repaired) -> None:
        """Count what was repaired in a request that did not parse, and the records left out of it."""
        self.repaired(repair.repairs)
        if repair.refused:
            self.refused(Reason.MALFORMED, repair.refused)

    def decoded(self, decoded: Decoded) -> None:
        """Count what was found in a request in JSON."""
        self.repaired(decoded.repairs)
        if decoded.refused:
            self.refused(Reason.MALFORMED, decoded.refused)
        if decoded.unknown:
            self.refused(Reason.UNKNOWN_FIELDS, decoded.unknown)

    def resent(self, records: int) -> None:
        """Count records of a request that was sent before."""
        self._resent.inc(records)

    def repeated(self, records: int) -> None:
        """Count records that came before in another request."""
        if records:
            self._repeated.inc(records)

    def flushed(self, size: int, age_seconds: float) -> None:
        """Count a batch of `size` bytes, whose oldest request waited so many seconds."""
        self._batch_bytes.observe(size)
        self._batch_age.observe(age_seconds)

    def transforming(self) -> AbstractContextManager[None]:
        """Time a transform."""
        return self._transform_seconds.time()

    def redacted(self, tally: Tally) -> None:
        """Count what was redacted and odd in a block that is safe."""
        for rule, count in tally.redactions.items():
            self._redactions.labels(rule).inc(count)
        for kind, count in tally.oddities.items():
            self._oddities.labels(kind).inc(count)

    def accepted(self, records: int) -> None:
        """Count records that are safe."""
        self._accepted.inc(records)
