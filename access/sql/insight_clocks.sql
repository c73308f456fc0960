-- Whose clock is wrong: on which machine, in which sessions, by how much, and what the requests of that time cost.
-- An event that is later than its arrival has a clock that is ahead. One that is earlier may have waited on its way, as
-- what is imported or was spooled, which arrives all at once; where a clock is behind, all of a session is late by as
-- much. Of what was stored before arrivals were known, what is of the future is ahead.
SELECT
    user_id AS user,
    host_name AS host,
    is_ahead,
    any(of_team) AS team,
    sum(times) AS events,
    sum(nanos) / 1e9 AS usd,
    min(begun) AS since,
    max(last) AS newest,
    max(greatest(abs(least_late), abs(most_late))) AS seconds,
    arraySlice(arraySort(groupUniqArray(toString(session_id))), 1, 3) AS sessions
FROM (
    SELECT
        session_id, user_id, host_name, late < 0 AS is_ahead,
        any(toString(e.team)) AS of_team,
        count() AS times,
        sumIf(ifNull(cost_nanos, 0), event_type = 'api_request') AS nanos,
        min(if(is_known, toUnixTimestamp(arrived), time)) AS begun,
        min(time) AS first,
        max(time) AS last,
        min(late) AS least_late,
        max(late) AS most_late
    FROM (
        SELECT
            *,
            toInt64(toUnixTimestamp(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC'))) AS time,
            arrived > toDateTime64(0, 3, 'UTC') AS is_known,
            if(is_known, toInt64(toUnixTimestamp(arrived)), toInt64(toUnixTimestamp({now:DateTime('UTC')}))) - time AS late
        FROM telemetry_events
    ) AS e
    WHERE timestamp >= {history:DateTime('UTC')} AND timestamp < {now:DateTime('UTC')} + toIntervalDay(400)
        AND (late < -300 OR (late > 300 AND is_known))
        AND (NOT is_known OR (arrived >= {from:DateTime('UTC')} AND arrived < {to:DateTime('UTC')}))
        AND ({team:String} = '' OR e.team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
    GROUP BY session_id, user_id, host_name, is_ahead
    HAVING is_ahead OR (times >= 5 AND last - first >= 120 AND most_late - least_late <= 60 + (last - first) / 5)
)
GROUP BY user, host, is_ahead
ORDER BY events DESC, user, host, is_ahead
LIMIT 20
