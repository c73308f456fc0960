-- What is kept of a trace, whose id the table calls {id:Identifier}.
{id:Identifier} IN (SELECT TraceId FROM otel_traces WHERE ResourceAttributes['telemetry.demo'] = 'true')
