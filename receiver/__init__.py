"""Ingest: OTLP in over gRPC and HTTP, batched, made private, stored, acknowledged. Read `pipeline` first."""
