-- The users whose hash begins so.
SELECT DISTINCT toString(user_id) AS user
FROM telemetry_daily
WHERE position(user_id, {short:String}) > 0
ORDER BY user
LIMIT 100
