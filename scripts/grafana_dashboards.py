#!/usr/bin/env python3
"""Makes grafana/dashboards/*.json from grafana/dashboards.yaml and the questions in queries/.

Run it after a change of either. With `--check` it writes nothing and fails when a file is stale.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from access.questions import QUERIES, Question, find  # noqa: E402  the path is set above

DECLARED = ROOT / "grafana/dashboards.yaml"
FOLDER = ROOT / "grafana/dashboards"
CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "telemetry"}
PROMETHEUS = {"type": "prometheus", "uid": "telemetry-prometheus"}
HEADER = re.compile(r"\A/\*.*?\*/\n", re.DOTALL)
PERIOD = {
    "from": "toDateTime(intDiv(${__from}, 1000), 'UTC')",
    "to": "toDateTime(intDiv(${__to}, 1000), 'UTC')",
}
KINDS = {"table": "table", "timeseries": "timeseries", "bars": "barchart", "stat": "stat", "trace": "traces"}
# The plugin's numbers for the ways in which it passes rows to a panel.
FORMATS = {"timeseries": 0, "trace": 3}
UNITS = {
    "usd": "currencyUSD",
    "projected": "currencyUSD",
    "mean": "currencyUSD",
    "percent": "percent",
    "ms": "ms",
    "seconds": "s",
    "minutes": "m",
    "hours": "h",
    "mb": "decmbytes",
}
BY = (
    "model, user, team, department, cost_center, project, skill, agent, mcp_server, mcp_tool, query_source,"
    " workflow_step, speed, service, day, hour"
)
# A variable's options come from its query: the value, then its label.
OPTIONS = {
    "team": "SELECT '' AS value, 'all' AS text UNION ALL SELECT * FROM (SELECT DISTINCT team, team FROM telemetry_daily"
    " WHERE team != '' ORDER BY team LIMIT 1000)",
    "user": "SELECT '' AS value, 'all' AS text UNION ALL SELECT * FROM (SELECT DISTINCT user_id, user_id"
    " FROM telemetry_daily WHERE user_id != '' ORDER BY user_id LIMIT 1000)",
    "category": "SELECT '' AS value, 'all' AS text UNION ALL SELECT * FROM (SELECT failure, failure"
    " FROM telemetry_daily WHERE failure != '' GROUP BY failure ORDER BY sum(failures) DESC LIMIT 200)",
}
LABELS = {"by": "by", "session": "session id", "trace": "trace id"}


def main() -> int:
    """Write the dashboards, or compare them with the present ones."""
    parser = argparse.ArgumentParser(description="Make Grafana's dashboards from queries/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    arguments = parser.parse_args()
    fresh = {FOLDER / f"{name}.json": _text(dashboard) for name, dashboard in dashboards().items()}
    stale = [path for path, text in fresh.items() if not path.exists() or path.read_text("utf-8") != text]
    stale += [path for path in FOLDER.glob("*.json") if path not in fresh]
    if arguments.check:
        for path in stale:
            sys.stderr.write(f"{path} is stale; run scripts/grafana_dashboards.py.\n")
        return len(stale)
    FOLDER.mkdir(exist_ok=True)
    for path in stale:
        if path in fresh:
            path.write_text(fresh[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


def dashboards() -> dict[str, dict[str, Any]]:
    """Return every dashboard in Grafana's model, by name."""
    declared = yaml.safe_load(DECLARED.read_text(encoding="utf-8"))
    return {one["name"]: _dashboard(one) for one in declared}


def _text(dashboard: Mapping[str, Any]) -> str:
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def _dashboard(declared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uid": f"telemetry-{declared['name']}",
        "title": declared["title"],
        "description": declared["about"],
        "tags": ["claude-code"],
        "editable": False,
        "schemaVersion": 41,
        "version": 1,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "Claude Code",
                "tags": ["claude-code"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": [_variable(name) for name in declared["variables"]]},
        "panels": list(_panels(declared["panels"], declared["variables"])),
    }


def _variable(name: str) -> dict[str, Any]:
    common = {"name": name, "label": LABELS.get(name, name), "hide": 0}
    if name in OPTIONS:
        return {
            **common,
            "type": "query",
            "datasource": CLICKHOUSE,
            "query": OPTIONS[name],
            "definition": OPTIONS[name],
            "refresh": 1,
            "sort": 0,
            "current": {"text": "all", "value": ""},
        }
    if name == "by":
        options = [
            {"text": option, "value": option, "selected": option == "team"} for option in BY.split(", ")
        ]
        return {
            **common,
            "type": "custom",
            "query": BY,
            "options": options,
            "current": {"text": "team", "value": "team"},
        }
    return {**common, "type": "textbox", "query": "", "current": {"text": "", "value": ""}}


def _panels(declared: Sequence[Mapping[str, Any]], variables: Sequence[str]) -> Iterator[dict[str, Any]]:
    x = y = row_height = 0
    for number, one in enumerate(declared, start=1):
        width, height = one["width"], one.get("height", 8)
        if x + width > 24:  # noqa: PLR2004  Grafana's grid
            x, y, row_height = 0, y + row_height, 0
        panel = _asking(one, variables) if "question" in one else _measuring(one)
        yield {"id": number, "gridPos": {"x": x, "y": y, "w": width, "h": height}, **panel}
        x, row_height = x + width, max(row_height, height)


def _asking(declared: Mapping[str, Any], variables: Sequence[str]) -> dict[str, Any]:
    question = find(declared["question"])
    show = declared["show"]
    target = {
        "refId": "A",
        "datasource": CLICKHOUSE,
        "editorType": "sql",
        "queryType": {"timeseries": "timeseries", "trace": "traces"}.get(show, "table"),
        "format": FORMATS.get(show, 1),
        "rawSql": _sql(question, declared, variables),
    }
    return {
        "type": KINDS[show],
        "title": declared.get("title", question.question),
        "description": " ".join(f"{question.question} {question.note}".split()),
        "datasource": CLICKHOUSE,
        "targets": [target],
        "fieldConfig": {
            "defaults": _defaults(declared),
            "overrides": list(_overrides(question, declared, variables)),
        },
        "options": _options(show),
    }


def _measuring(declared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": declared["title"],
        "datasource": PROMETHEUS,
        "targets": [
            {
                "refId": "A",
                "datasource": PROMETHEUS,
                "expr": declared["expression"],
                "legendFormat": declared["legend"],
            }
        ],
        "fieldConfig": {"defaults": _defaults(declared), "overrides": []},
        "options": _options("timeseries"),
    }


def _sql(question: Question, declared: Mapping[str, Any], variables: Sequence[str]) -> str:
    """Return the question's own SQL with the requested columns, and Grafana's variables as its parameters."""
    sql = HEADER.sub("", (QUERIES / f"{question.name}.sql").read_text("utf-8")).strip()
    given = declared.get("values", {})
    for parameter in question.parameters:
        value = given.get(parameter.name, parameter.default)
        if parameter.name in PERIOD:
            written = PERIOD[parameter.name]
        elif parameter.name not in given and parameter.name in variables:
            written = f"${{{parameter.name}:singlequote}}"
        elif str(value).startswith("$"):
            written = f"${{{value[1:]}:singlequote}}"
        else:
            written = (
                value if value.isdigit() else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
            )
        sql = re.sub(rf"\{{{parameter.name}:[^{{}}]+\}}", lambda _, text=written: text, sql)
    select, where, limit = (declared.get(key) for key in ("select", "where", "limit"))
    if not (select or where or limit):
        return sql
    lines = [f"SELECT {select or '*'}", f"FROM (\n{sql}\n)"]
    lines += [f"WHERE {where}"] if where else []
    lines += ["ORDER BY time"] if declared["show"] == "timeseries" else []
    lines += [f"LIMIT {limit}"] if limit else []
    return "\n".join(lines)


def _defaults(declared: Mapping[str, Any]) -> dict[str, Any]:
    custom: dict[str, Any] = {}
    if declared.get("show", "timeseries") == "timeseries":
        custom = {"drawStyle": "line", "fillOpacity": 10, "showPoints": "auto", "spanNulls": False}
        if declared.get("stack"):
            custom |= {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
    if declared.get("show") == "table":
        custom = {"filterable": True}
    defaults: dict[str, Any] = {"custom": custom} if custom else {}
    return defaults | ({"unit": declared["unit"]} if "unit" in declared else {})


def _overrides(
    question: Question, declared: Mapping[str, Any], variables: Sequence[str]
) -> Iterator[dict[str, Any]]:
    if declared["show"] != "table":
        return
    links = declared.get("links", {})
    for column, meaning in question.columns.items():
        properties: list[dict[str, Any]] = []
        unit = UNITS.get(column) or next(
            (
                unit
                for end, unit in UNITS.items()
                if column.endswith(f"_{end}") or column.startswith(f"{end}_")
            ),
            None,
        )
        if unit:
            properties.append({"id": "unit", "value": unit})
        if link := links.get(column):
            kept = "".join(
                f"&var-{name}=${{{name}:percentencode}}" for name in variables if name != link["variable"]
            )
            url = (
                f"/d/telemetry-{link['dashboard']}?${{__url_time_range}}{kept}"
                f"&var-{link['variable']}=${{__value.raw:percentencode}}"
            )
            properties.append({"id": "links", "value": [{"title": f"Show this {column}", "url": url}]})
        if properties:
            properties.append({"id": "description", "value": meaning})
            yield {"matcher": {"id": "byName", "options": column}, "properties": properties}


def _options(show: str) -> dict[str, Any]:
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {
        "table": {"cellHeight": "sm", "showHeader": True},
        "stat": {"reduceOptions": reduced, "colorMode": "none", "graphMode": "none", "textMode": "value"},
        "bars": {"orientation": "horizontal", "legend": {"showLegend": False}},
        "timeseries": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "trace": {},
    }[show]


if __name__ == "__main__":
    sys.exit(main())
