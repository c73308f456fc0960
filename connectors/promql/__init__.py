"""PromQL over the metrics of OpenTelemetry's tables: an expression becomes one SQL statement with its values bound.

    names ──> catalog ──> selectors ──> functions, matching ──> translation ──> evaluation
    OTLP to   which       samples of    what is made of them    the tree        runs it
    Prometheus metrics    each series

The answers are those of Prometheus 2.42 on the same samples: a range includes both of its ends, a sample counts for
five minutes. What is not translated is refused by its name.
"""
