"""PromQL over our own metrics, held against Prometheus."""
