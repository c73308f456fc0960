"""What the server measures of itself, as Prometheus metrics. No label ever holds what a client sent."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BYTES = tuple(1 << power for power in range(10, 27, 2))


@dataclass(frozen=True, slots=True)
class Accepting:
    """What every request of a signal is counted with: looked up once, as looking up costs more than counting."""

    received: Counter
    received_bytes: Counter
    accepted: Counter
    survey: Histogram


class Meters:
    """The instruments of one server, in a registry of their own."""

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
            " do not stay), values that could not be looked at and are replaced.",
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
        self.queries = Counter(
            "telemetry_queries",
            "Statements over ClickHouse's HTTP interface, by user (`unknown` without a right password) and outcome.",
            ["user", "outcome"], registry=registry,
        )  # fmt: skip

    def accepting(self, signal: str) -> Accepting:
        """Give the instruments that each request of the signal passes."""
        return Accepting(
            self.received.labels(signal),
            self.received_bytes.labels(signal),
            self.accepted.labels(signal),
            self.stage.labels("survey"),
        )
