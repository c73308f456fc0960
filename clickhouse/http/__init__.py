"""ClickHouse's HTTP interface over the engine in this process, so that every ClickHouse client works against it.

    app ──> request ──> statement ──> policy ──> session
    HTTP    text, data,  the engine's  may this   runs in the engine,
            settings     parse of it   user?      streams the result

Source: https://clickhouse.com/docs/interfaces/http
"""
