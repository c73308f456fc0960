-- Typed events, which keep the mark among their other attributes.
attributes['telemetry.demo'] = 'true'
