-- Rows that keep their resource's attributes.
ResourceAttributes['telemetry.demo'] = 'true'
