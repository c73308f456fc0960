SELECT if(severity = '', 'unknown', severity) AS name, count() AS lines
FROM (SELECT /* severity */ AS severity FROM otel_logs WHERE /* which */)
GROUP BY name
