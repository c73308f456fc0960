-- The columns of this table alone; begins after metric_points.sql.
    (point).count AS Count,
    (point).sum AS Sum,
    (point).quantile_values.quantile AS `ValueAtQuantiles.Quantile`,
    (point).quantile_values.value AS `ValueAtQuantiles.Value`,
    (point).flags AS Flags
FROM points
