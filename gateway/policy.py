"""What each user may do over the HTTP interface, decided from the parsed statement.

`reader` reads the telemetry database and the system tables that clients need (settings, columns, formats). `writer`
reads the same, and creates, alters and fills tables of that database. Neither reaches files, the network, other
databases, other users' queries or the transform's own functions. The engine enforces the reader's limits as well: its
session is read-only.

Table functions, engines and kinds of statements are allowed by name, so an unknown one is refused. Functions are
refused by name, and a test compares that list with every function of the engine. What `structures` refuses and what
`costs` bounds is found before.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from gateway.errors import QueryError, not_allowed
from gateway.statement import Statement
from gateway.tree import words


class Role(StrEnum):
    """What a user may do: read, or read and write."""

    READER = "reader"
    WRITER = "writer"


READS: Final = words("""
    SelectWithUnionQuery SelectIntersectExceptQuery ExplainQuery DescribeQuery ExistsTableQuery
    ShowCreateTableQuery ShowTablesQuery ShowColumnsQuery ShowIndexesQuery ShowFunctions
    ExistsDatabaseQuery ExistsViewQuery ShowCreateDatabaseQuery ShowCreateViewQuery
""")
WRITES: Final = words("""
    InsertQuery CreateQuery AlterQuery DropQuery RenameQuery OptimizeQuery DeleteQuery UpdateQuery
""")
_BY_NAME: Final = frozenset({"DropQuery", "RenameQuery", "OptimizeQuery"})
"""Kinds of statements in which every name is of a table that is changed."""
SESSION: Final = frozenset({"SetQuery", "UseQuery"})

TABLE_FUNCTIONS: Final = words("""
    format generaterandom generateseries generate_series merge null numbers numbers_mt primes
    sqlstandardvalues values view zeros zeros_mt
""")
ENGINES: Final = words("""
    AggregatingMergeTree CoalescingMergeTree CollapsingMergeTree Join Log MaterializedView Memory
    MergeTree Null ReplacingMergeTree ReplicatedAggregatingMergeTree ReplicatedMergeTree
    ReplicatedReplacingMergeTree ReplicatedSummingMergeTree Set StripeLog SummingMergeTree TinyLog
    VersionedCollapsingMergeTree View Atomic
""")
ALTERATIONS: Final = words("""
    ADD_COLUMN ADD_CONSTRAINT ADD_INDEX ADD_PROJECTION COMMENT_COLUMN COMMENT_TABLE DELETE DROP_COLUMN
    DROP_CONSTRAINT DROP_INDEX DROP_PARTITION DROP_PROJECTION MATERIALIZE_COLUMN MATERIALIZE_INDEX
    MATERIALIZE_PROJECTION MATERIALIZE_TTL MODIFY_COLUMN MODIFY_COMMENT MODIFY_ORDER_BY MODIFY_QUERY
    MODIFY_SETTING MODIFY_TTL RENAME_COLUMN REPLACE_PARTITION RESET_SETTING UPDATE
""")
SYSTEM_TABLES: Final = words("""
    aggregate_function_combinators build_options collations columns completions contributors
    data_skipping_indices data_type_families databases dictionaries formats functions keywords licenses
    merge_tree_settings numbers numbers_mt one parts parts_columns projections settings table_engines
    table_functions tables time_zones unicode warnings zeros zeros_mt
""")
"""Tables of `system` that drivers and tools read. None of them shows another user's query or a secret."""

REFUSED_FUNCTIONS: Final = words("""
    evalmlmethod file
    currentrequesturl fqdn fullhostname hostname initial_query_id getoskernelversion uptime getmacro tcpport
    getserverport showcertificate
    addresstoline addresstolinewithinlines addresstosymbol demangle getserversetting hascolumnintable
    joinget joingetornull logtrace serveruuid buildid currentprofiles currentroles defaultprofiles
    defaultroles enabledprofiles enabledroles initialqueryid zookeepersessionuptime
    filesystemavailable filesystemcapacity filesystemunreserved
    eval fuzzquery fuzzjson
""")
REFUSED_PREFIXES: Final = ("ai", "otlp_", "region")
"""`ai…` calls models over the network, `otlp_…` belongs to the transform, `region…` reads files."""

TABLE_SETTINGS: Final = words("""
    index_granularity ttl_only_drop_parts merge_with_ttl_timeout non_replicated_deduplication_window
    replicated_deduplication_window enable_block_number_column fsync_after_insert fsync_part_directory
    min_rows_to_fsync_after_merge
    min_compressed_bytes_to_fsync_after_merge min_bytes_for_wide_part min_rows_for_wide_part
    min_bytes_for_full_part_storage parts_to_throw_insert parts_to_delay_insert max_parts_in_total
    allow_nullable_key enable_mixed_granularity_parts max_bytes_to_merge_at_max_space_in_pool
    add_minmax_index_for_numeric_columns old_parts_lifetime
""")
QUERY_SETTINGS: Final = words("""
    add_http_cors_header additional_table_filters aggregate_functions_null_for_empty allow_experimental_json_type
    allow_suspicious_low_cardinality_types alter_sync any_join_distinct_right_table_keys async_insert
    cast_keep_nullable cast_string_to_dynamic_user_inference cast_string_to_dynamic_use_inference
    connect_timeout count_distinct_implementation date_time_input_format date_time_output_format
    deduplicate_blocks_in_dependent_materialized_views distributed_product_mode extremes final
    flatten_nested function_json_value_return_type_allow_nullable group_by_overflow_mode
    http_headers_progress_interval_ms insert_deduplicate insert_deduplication_token insert_null_as_default
    insert_quorum interval_output_format join_algorithm join_use_nulls limit log_queries
    low_cardinality_allow_in_native_format materialized_views_ignore_errors max_block_size max_bytes_to_read
    max_estimated_execution_time max_execution_time max_insert_block_size max_insert_threads
    max_memory_usage max_partitions_per_insert_block max_result_bytes max_result_rows max_rows_to_group_by
    max_rows_to_read max_threads mutations_sync offset optimize_and_compare_chain optimize_read_in_order
    prefer_column_name_to_alias priority query_plan_merge_expressions read_overflow_mode receive_timeout
    result_overflow_mode select_sequential_consistency send_progress_in_http_headers send_timeout session_timezone
    timeout_overflow_mode transform_null_in union_default_mode use_query_cache use_uncompressed_cache
    wait_for_async_insert
""")
_FORMAT_PREFIXES: Final = ("output_format_", "input_format_", "format_")
_REACHING: Final = ("schema", "path", "template", "file", "url", "registry", "disk", "expressions")
"""Words in names of format settings that make the engine open a file (`format_schema`) or run data as SQL."""


def check(statement: Statement, role: Role, database: str, reach: "Reach") -> None:
    """Raise QueryError unless the role may run the statement.

    `database` is the telemetry database, in which unqualified names are looked up.
    """
    kind, writes = statement.kind, statement.kind in WRITES
    if not (writes or kind in READS or kind in SESSION):
        raise not_allowed(f"Not enough privileges: statements of the kind {kind} are not allowed here.")
    if writes and role is Role.READER:
        raise QueryError.of(
            164, "READONLY", f"Cannot execute query in readonly mode: this user only reads ({kind})."
        )
    if kind == "DropQuery" and statement.whole_database:
        raise not_allowed(f"Not enough privileges to drop the database {database}.")
    if statement.databases - {database} and not kind.startswith("Show"):
        raise not_allowed(f"Not enough privileges: only the database {database} can be used.")
    if kind in _BY_NAME and any(len(parts) > 1 and parts[0] != database for parts in statement.names):
        raise not_allowed(f"Not enough privileges: only the database {database} can be written.")
    _check_reach(statement, reach)
    for name in statement.settings:
        if not (is_query_setting(name) or (writes and name in TABLE_SETTINGS)):
            raise setting_refused(name)


def _check_reach(statement: Statement, reach: "Reach") -> None:
    """Raise QueryError when any part of the statement reaches beyond the tables."""
    if statement.files:
        raise not_allowed("Not enough privileges: INTO OUTFILE and FROM INFILE are not allowed here.")
    for what, refused in (
        ("function", {name for name in statement.functions if reach.refuses(name)}),
        ("function", {name for name in statement.passed if reach.knows(name)}),
        ("engine", statement.engines - ENGINES),
        ("ALTER", statement.alterations - ALTERATIONS),
    ):
        if refused:
            listed = ", ".join(sorted(refused))
            raise not_allowed(f"Not enough privileges: the {what} {listed} reaches beyond the database.")
    for parts in statement.names:
        if not _may_read(parts):
            raise not_allowed(f"Not enough privileges to read from {'.'.join(parts)}.")


def used_database(name: str, database: str) -> str:
    """Return the database in which to look up unqualified names. Raises QueryError.

    Clients name `default` unless they are told otherwise. In this engine that database shows files, so they get the
    telemetry database in its place.
    """
    if name not in {database, "default"}:
        raise not_allowed(f"Not enough privileges: only the database {database} can be used.")
    return database


def is_query_setting(name: str) -> bool:
    """Whether a client may change this setting for its query."""
    if name in QUERY_SETTINGS:
        return True
    return name.startswith(_FORMAT_PREFIXES) and not any(word in name for word in _REACHING)


def setting_refused(name: str) -> QueryError:
    """Return the error for a setting that clients may not change."""
    return QueryError.of(452, "SETTING_CONSTRAINT_VIOLATION", f"Setting {name} should not be changed")


class Reach:
    """The functions of this engine that reach beyond its tables: refused functions, and table functions not allowed."""

    def __init__(self, table_functions: Iterable[str], functions: Iterable[tuple[str, str]]) -> None:
        """Take the names of all table functions, and pairs of every function and the function it is an alias of."""
        self._refused = {name.lower() for name in table_functions} - TABLE_FUNCTIONS
        self._refused |= {
            name.lower() for name, alias_of in functions if _reaches(name) or _reaches(alias_of)
        }

    def refuses(self, function: str) -> bool:
        """Whether the function is refused for every user."""
        return function.lower() in self._refused or _reaches(function)

    def knows(self, name: str) -> bool:
        """Whether a name is that of a refused function, which another function might call if it were passed to it."""
        return name.lower() in self._refused


def _reaches(function: str) -> bool:
    name = function.lower()
    return name in REFUSED_FUNCTIONS or name.startswith(REFUSED_PREFIXES)


def _may_read(parts: tuple[str, ...]) -> bool:
    """Whether a name may be looked up; a name of one part is a column, or in the database in use."""
    if len(parts) == 1 or parts[0] not in _OTHER_DATABASES:
        return True
    return parts[0] == "system" and parts[1] in SYSTEM_TABLES


_OTHER_DATABASES: Final = frozenset({"system", "default"})
"""Every database of the engine except `information_schema`, which only describes. The writer cannot create one."""
