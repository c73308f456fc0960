-- Whether a period has any span, 0 or 1.
SELECT count()
FROM (
    SELECT 1
    FROM telemetry_spans
    WHERE timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    LIMIT 1
)
