-- The users whose hash begins so, and one who is called so.
SELECT DISTINCT toString(user_id) AS user
FROM telemetry_daily
WHERE user = {value:String}
    OR (match(user, '^((hmac-)?sha256:)?[0-9a-f]{32,64}$')
        AND startsWith(replaceRegexpOne(user, '^(hmac-)?sha256:', ''), {short:String}))
ORDER BY user != {value:String}, user
LIMIT 6
