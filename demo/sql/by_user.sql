-- Sums by user. Invented people have addresses in .invalid or ids drawn for them, so no other person's rows have theirs.
user_id IN (SELECT user_id FROM telemetry_events WHERE attributes['telemetry.demo'] = 'true')
