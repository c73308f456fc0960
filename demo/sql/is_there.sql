-- A row if there is any demo data.
SELECT 1 FROM otel_logs WHERE ResourceAttributes['telemetry.demo'] = 'true' LIMIT 1
