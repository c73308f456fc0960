"""Sessions and settings of ClickHouse's Python driver.

It is asked what its published integration tests ask of a ClickHouse server.
"""

import uuid

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
)

from tests.gateway.driver import connected, failed
from tests.server import Server, eventually


class TestSessions:
    """The state that a session keeps, and its owner."""

    def test_temporary_tables_last_as_long_as_the_session(self, client: Client, server: Server) -> None:
        """And no other session sees them."""
        client.command("CREATE TEMPORARY TABLE connect_temporary (a Int8, b String)")
        try:
            client.command("INSERT INTO connect_temporary VALUES (1, 'one')")
            assert client.insert("connect_temporary", [[2, "two"]]).written_rows == 1
            rows = client.query("SELECT * FROM connect_temporary ORDER BY a").result_rows
            assert rows == [(1, "one"), (2, "two")]
            with connected(server) as other:
                assert failed(other, "SELECT * FROM connect_temporary").code == 60
        finally:
            client.command("DROP TABLE connect_temporary")

    def test_set_lasts_as_long_as_the_session(self, server: Server) -> None:
        """And only there."""
        asked = "SELECT getSetting('max_block_size')"
        with connected(server) as first, connected(server) as second:
            usual = first.command(asked)
            first.command("SET max_block_size = 4321")
            assert first.command(asked) == 4321
            assert second.command(asked) == usual

    def test_a_querys_settings_end_with_it(self, server: Server) -> None:
        """They are not the session's, which only SET changes."""
        asked = "SELECT getSetting('max_block_size')"
        with connected(server) as client:
            usual = client.command(asked)
            assert client.command(asked, settings={"max_block_size": 99}) == 99
            assert client.command(asked) == usual

    def test_a_session_runs_one_query_at_a_time(self, server: Server) -> None:
        """The second gets an error, and may try again when the first is done."""
        name = str(uuid.uuid4())
        with (
            connected(server, session_id=name, compress=False) as first,
            connected(server) as second,
        ):
            second.set_client_setting("session_id", name)
            with first.query_row_block_stream("SELECT number FROM numbers(5000000)") as stream:
                assert next(iter(stream))[0] == (0,)
                error = failed(second, "SELECT 1")
                assert (error.code, error.name) == (373, "SESSION_IS_LOCKED")
            eventually(lambda: answers(second))

    def test_a_session_that_must_exist_does_or_not(self, client: Client) -> None:
        """With `session_check`."""
        wanted = {"session_id": f"none-{uuid.uuid4()}", "session_check": "1"}
        assert failed(client, "SELECT 1", settings=wanted).code == 372

    def test_sessions_are_generated_given_or_left_out(self, server: Server) -> None:
        """As the driver's options say."""
        with connected(server) as client:
            assert uuid.UUID(client.get_client_setting("session_id"))
        with connected(server, session_id="mine") as client:
            assert client.get_client_setting("session_id") == "mine"
        with connected(server, autogenerate_session_id=False) as client:
            assert client.get_client_setting("session_id") is None
            client.command("CREATE TEMPORARY TABLE connect_gone (a Int8)")
            assert failed(client, "SELECT * FROM connect_gone").code == 60


def answers(client: Client) -> bool:
    """Whether a query is answered now."""
    try:
        return client.command("SELECT 1") == 1
    except DatabaseError:
        return False


class TestSettings:
    """The driver looks settings up before it sends them."""

    def test_settings_go_with_a_query(self, server: Server) -> None:
        """And change its result."""
        with connected(server, autogenerate_session_id=False) as client:
            limit = {"max_result_rows": 10, "max_block_size": 5}
            assert failed(client, "SELECT number FROM numbers(100)", settings=limit).code == 396
            broken = {**limit, "result_overflow_mode": "break"}
            assert client.query("SELECT number FROM numbers(100)", settings=broken).row_count < 100
            assert client.query("SELECT number FROM numbers(100)").row_count == 100

    def test_unknown_settings_are_refused(self, server: Server, client: Client) -> None:
        """By the server as a server does, since the driver sends what it does not know."""
        error = failed(client, "SELECT 1", settings={"no_such_setting": 1})
        assert error.code in {115, 452}
        with pytest.raises(DatabaseError), connected(server, settings={"no_such_setting": 1}) as strange:
            strange.query("SELECT 1")

    def test_a_clients_settings_go_with_each_query(self, server: Server) -> None:
        """From its beginning, and when they are set later."""
        with connected(server, settings={"max_block_size": 7}) as client:
            assert client.command("SELECT getSetting('max_block_size')") == 7
            client.set_client_setting("max_block_size", 8)
            assert client.command("SELECT getSetting('max_block_size')") == 8

    def test_a_dsn_says_all_of_it(self, server: Server) -> None:
        """Who, where, which database and which session."""
        address = (
            f"telemetry_user:{server.passwords['CLICKHOUSE_PASSWORD']}@{server.listening['clickhouse_http']}"
        )
        dsn = f"clickhousedb://{address}/telemetry?session_id=by-dsn"
        client = clickhouse_connect.get_client(dsn=dsn, dedicated_pool=True)
        try:
            assert client.database == "telemetry"
            assert client.get_client_setting("session_id") == "by-dsn"
            assert client.command("SELECT count() FROM system.tables WHERE database = currentDatabase()") > 5
        finally:
            client.close()

    def test_another_database_is_used(self, server: Server) -> None:
        """`default` may be, which is empty; one that is not there may not."""
        with connected(server, database="default") as client:
            assert client.command("SELECT currentDatabase()") == "telemetry"
        with pytest.raises(DatabaseError), connected(server, database="elsewhere") as client:
            client.query("SELECT 1")
