"""ClickHouse's HTTP interface over the engine in this process, so that any ClickHouse client can read it.

    app ──> request ──> statement ──> policy ──> session
    HTTP    text, data,  the engine's  may this   runs in the engine,
            settings     parse tree    user?      streams the result

Source: https://clickhouse.com/docs/interfaces/http
"""
