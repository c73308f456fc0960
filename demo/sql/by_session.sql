-- Sums by session.
session_id IN (SELECT session_id FROM telemetry_events WHERE attributes['telemetry.demo'] = 'true' AND session_id != '')
