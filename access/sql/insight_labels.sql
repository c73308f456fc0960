-- What people have in common beside their team: terminal, department, operating system, the labels that a company puts
-- into OTEL_RESOURCE_ATTRIBUTES, such as a region, and the model that they mostly use. Of a person, the value of nearly
-- all prompts. Events do not carry the operating system; the metric that counts sessions does.
WITH
    ['user.id', 'user.account_uuid', 'user.account_id', 'user.email', 'enduser.id', 'telemetry.demo'] AS names,
    prompts AS (
        SELECT user_id, terminal_type, department, cost_center, host_name, attributes
        FROM telemetry_events AS e
        WHERE event_type = 'user_prompt' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')} AND user_id != ''
            AND ({team:String} = '' OR e.team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
    ),
    counted AS (
        SELECT user_id, label.1 AS name, label.2 AS value, count() AS times
        FROM prompts
        ARRAY JOIN arrayConcat(
            [('terminal', toString(terminal_type)), ('department', toString(department)), ('cost center', toString(cost_center))],
            arrayFilter(
                one -> one.1 NOT IN names,
                arrayMap((key, value) -> (toString(key), value), mapKeys(attributes), mapValues(attributes)))) AS label
        WHERE label.2 != ''
        GROUP BY user_id, name, value
        UNION ALL
        SELECT
            multiIf(
                Attributes['user.email'] != '', Attributes['user.email'], Attributes['enduser.id'] != '', Attributes['enduser.id'],
                Attributes['user.id'] != '', Attributes['user.id'], Attributes['user.account_uuid']) AS user_id,
            'operating system' AS name, ResourceAttributes['os.type'] AS value, count() AS times
        FROM otel_metrics_sum
        WHERE MetricName = 'claude_code.session.count' AND value != ''
            AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
        GROUP BY user_id, name, value
        UNION ALL
        SELECT user_id, 'usual model' AS name, toString(thing) AS value, sum(events) AS times
        FROM telemetry_measures
        WHERE event_type = 'api_request' AND hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')} AND thing != ''
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY user_id, name, value
    ),
    asked AS (SELECT user_id, count() AS prompts FROM prompts GROUP BY user_id)
SELECT name, value, arraySort(groupArray(toString(user_id))) AS users
FROM (
    SELECT user_id, name, argMax(value, times) AS value, max(times) AS most, sum(times) AS whole
    FROM counted
    GROUP BY user_id, name
) AS labelled
-- What only some prompts have, such as a command's name, is no label of the person.
LEFT JOIN asked USING (user_id)
WHERE most >= 0.8 * if(name IN ('operating system', 'usual model'), whole, greatest(whole, asked.prompts))
GROUP BY name, value
HAVING length(users) >= 2
ORDER BY length(users) DESC, name, value
LIMIT 12 BY name
LIMIT 200
