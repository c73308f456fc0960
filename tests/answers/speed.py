"""Answers to the questions of the topic `speed`: a function for each, of its name, with its rows in order."""

from tests.answers.counting import bare
from tests.oracle import (
    Row,
    World,
    group,
    ordered,
    quantile,
    r,
    share,
)


def latency(world: World) -> list[Row]:
    firsts = group(
        (span for span in world.waited("llm_request") if "ttft_ms" in span.a),
        lambda span: bare(str(span.a["model"])),
    )
    rows = []
    for model, events in group(world.during("api_request"), lambda event: bare(event.model)).items():
        took = [event.ms for event in events]
        known = [float(span.a["ttft_ms"]) for span in firsts.get(model, ())]
        spent = sum(ms or 0 for ms in took)
        rows.append(
            {
                "model": model,
                "requests": len(events),
                "p50_ms": r(quantile(took, 0.5), 0),
                "p95_ms": r(quantile(took, 0.95), 0),
                "p99_ms": r(quantile(took, 0.99), 0),
                "tokens_per_second": r(
                    1000 * sum(event.count("output_tokens") for event in events) / spent if spent else None, 1
                ),
                "measured": len(known),
                "ttft_p50_ms": r(quantile(known, 0.5), 0),
                "ttft_p95_ms": r(quantile(known, 0.95), 0),
            }
        )
    return ordered(rows, "-requests", "model")


def permission_wait(world: World) -> list[Row]:
    names = {span.span_id: str(span.a["tool_name"]) for span in world.spans if span.name == "tool"}
    waits = [
        span for span in world.waited("tool.blocked_on_user") if span.a["source"] not in {"config", "hook"}
    ]
    whole = sum(span.ms for span in waits)
    rows = []
    for (tool, source), found in group(
        waits, lambda span: (names.get(span.parent_id, ""), str(span.a["source"]))
    ).items():
        took = [span.ms for span in found]
        rows.append(
            {
                "tool": tool,
                "decision_source": source,
                "waits": len(found),
                "p50_seconds": r((quantile(took, 0.5) or 0) / 1000, 1),
                "p95_seconds": r((quantile(took, 0.95) or 0) / 1000, 1),
                "minutes": r(sum(took) / 60000, 1),
                "percent": r(share(sum(took), whole), 1),
                "sessions": len({span.a["session.id"] for span in found}),
                "all": sum(took),
            }
        )
    return [
        {k: v for k, v in row.items() if k != "all"}
        for row in ordered(rows, "-all", "tool", "decision_source")
    ]
