"""The sentences of a finding: what, who, how much, what to do, and how to see that it helped."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from access.ids import alias
from access.insight.change import Change
from access.insight.people import People
from access.insight.series import TIMES, Measure, Scope
from access.text import visible

_LONG: Final = 80
_MOST: Final = 5
_MS_IN_A_SECOND: Final = 1_000
_MANY: Final = 0.8
_TITLES: Final[Mapping[Measure, str]] = {
    Measure.CONNECTION: "MCP server {thing} cannot be connected to",
    Measure.LOOPS: "The same call fails over and over: {thing}",
    Measure.TOOL_FAILS: "{thing} fails",
    Measure.HOOK_FAILS: "Hook {thing} fails",
    Measure.HOOK_BLOCKS: "Hook {thing} blocks calls",
    Measure.API: "API requests fail: {thing}",
    Measure.MODEL: "Requests go to a dearer model: {thing}",
    Measure.AGENT_COST: "Subagent {thing} is dearer",
    Measure.ANSWERS: "Answers are longer",
    Measure.SUBAGENTS: "Subagents fan out",
    Measure.COMPACTIONS: "Conversations are compacted more often",
    Measure.CACHE: "Less of the input comes from the cache",
    Measure.REFUSALS: "Calls of {thing} are refused",
    Measure.HOOK_TIME: "Hook {thing} is slow",
    Measure.TOOL_TIME: "{thing} is slow",
    Measure.FIRST_TOKEN: "The first token comes late: {thing}",
    Measure.WAIT: "Tools wait longer for permission",
    Measure.RETRIES: "Requests are tried again before they succeed: {thing}",
    Measure.REQUEST_TIME: "Requests take longer: {thing}",
    Measure.REQUESTS: "More requests a prompt",
    Measure.REQUEST_COST: "Requests are dearer",
}
_RATES: Final[Mapping[Measure, str]] = {
    Measure.CONNECTION: "{now} of attempts to connect failed",
    Measure.LOOPS: "{now} of calls were the same failing call again",
    Measure.TOOL_FAILS: "{now} of calls failed",
    Measure.HOOK_FAILS: "{now} of runs failed",
    Measure.HOOK_BLOCKS: "{now} of runs blocked",
    Measure.API: "{now} of requests failed so",
    Measure.MODEL: "{now} of requests went to it",
    Measure.AGENT_COST: "{now} a typical request of it",
    Measure.ANSWERS: "{now} tokens a typical answer",
    Measure.SUBAGENTS: "{now} subagents a prompt",
    Measure.COMPACTIONS: "{now} compactions a prompt",
    Measure.CACHE: "{now} of the input was not cached",
    Measure.REFUSALS: "{now} of the calls that people were asked about were refused",
    Measure.RETRIES: "{now} tries beyond the first a request",
    Measure.REQUESTS: "{now} requests a prompt",
    Measure.REQUEST_COST: "{now} a typical request",
}
_PERCENT: Final = frozenset(
    {
        Measure.CONNECTION, Measure.LOOPS, Measure.TOOL_FAILS, Measure.HOOK_FAILS, Measure.HOOK_BLOCKS, Measure.API,
        Measure.MODEL, Measure.CACHE, Measure.REFUSALS,
    }
)  # fmt: skip
_ADVICE: Final[Mapping[Measure, str]] = {
    Measure.CONNECTION: "See whether the server runs, then look at the server itself; each session waits for it.",
    Measure.TOOL_FAILS: "Read what it says, run it by hand where they work, and see what changed at that time.",
    Measure.LOOPS: "Read what it says, write down how it is done, and stop the repetition with a hook.",
    Measure.TOOL_TIME: "Run it by hand where they work, and see what changed at that time: its version, data, machine.",
    Measure.HOOK_FAILS: "Run the hook by hand, and see who changed it at that time (settings.json, its script).",
    Measure.HOOK_BLOCKS: "Run the hook by hand, and see who changed it at that time (settings.json, its script).",
    Measure.HOOK_TIME: "Run the hook by hand, and see who changed it at that time (settings.json, its script).",
    Measure.MODEL: "See who set the model (settings, ANTHROPIC_MODEL, /model), and whether the work needs it.",
    Measure.AGENT_COST: "See who set its model (the agent's file, CLAUDE_CODE_SUBAGENT_MODEL), and what it reads.",
    Measure.ANSWERS: "See what makes it write or think more: effort, thinking tokens, an output style, a new prompt.",
    Measure.SUBAGENTS: "Look at the prompts, agents or skills that start them: say how many may run, and for what.",
    Measure.COMPACTIONS: "See what fills the context: large outputs, a smaller window, a lower limit for compacting.",
    Measure.CACHE: "See what changes at the beginning of each prompt (CLAUDE.md, tools, a date): it spoils the cache.",
    Measure.REFUSALS: "Ask them why they refuse; a rule in the permissions saves the question, one way or the other.",
    Measure.WAIT: "See which calls wait: allow those that are harmless in the permissions.",
}
_SLOW: Final = (
    "Look at the API's status page and at the region; it is not one team's network.",
    "Look at their network and proxy; compare with people elsewhere at the same time.",
)
_ANSWERS: Final = dict.fromkeys((Measure.FIRST_TOKEN, Measure.REQUEST_TIME, Measure.RETRIES), _SLOW)
"""What to do when it is so for everyone, and when it is not."""
_API: Final[Mapping[str, str]] = {
    "429": "The organization's limit is reached: spread the work over the day, or have the limit raised.",
    "401": "A key or login is no longer valid: renew it.",
    "403": "A key may not do that: look at its rights.",
    "400": "Requests are refused, mostly since the conversation is too long: compact earlier, or begin a new session.",
    "connection": "The API is not reached: look at the network, the proxy and the name server from where they work.",
}


def title(change: Change) -> str:
    """Return what happens, in a few words."""
    thing = visible(change.series.thing, _LONG)
    named = f"tool {thing}" if change.measure is Measure.TOOL_FAILS and not thing.startswith("MCP") else thing
    return _TITLES[change.measure].format(thing=named).removesuffix(": ")


def who(
    scope: Scope, users: Sequence[str], teams: Sequence[str], everybody: People, also: Sequence[Scope] = ()
) -> str:
    """Return whom it is about: the scope, others with the same people, and the people or teams in it."""
    of = f"{len(users)} of {len(everybody)} people"
    value = visible(scope.value, _LONG)
    named = ", ".join(visible(alias(user), _LONG) for user in users[:_MOST])
    more = f" and {len(users) - _MOST} more" if len(users) > _MOST else ""
    listed = ", ".join(visible(team, _LONG) for team in teams[:_MOST] if team)
    match scope.dimension:
        case "team":
            return f"team {value}: {named}{more}" if named else f"team {value}"
        case "user":
            return f"user {visible(alias(scope.value), _LONG)}{f', team {listed}' if listed else ''}"
        case "version":
            return f"client version {value}: {of}{f', team {listed}' if listed else ''}"
        case "everyone":
            return f"everyone: {of}{f', of teams {listed}' if listed else ''}"
        case _:
            labels = " or ".join(
                f"{visible(one.dimension, _LONG)} {visible(one.value, _LONG)}" for one in (scope, *also)
            )
            return f"{labels}: {of}{f', team {listed}' if listed else ''}"


def rate(measure: Measure, value: float) -> str:
    """Return a level with its unit."""
    if measure in TIMES:
        return f"{value:,.0f} ms" if value < _MS_IN_A_SECOND else f"{value / _MS_IN_A_SECOND:,.1f} s"
    if measure in _PERCENT:
        return f"{100 * value:.1f}%"
    if measure is Measure.ANSWERS:
        return f"{value:,.0f}"
    return f"${value:.3f}" if measure in {Measure.REQUEST_COST, Measure.AGENT_COST} else f"{value:.2f}"


def reason(change: Change, since: datetime, until: datetime | None) -> str:
    """Return what is different, since when, in a sentence."""
    measure = change.measure
    now, before = rate(measure, change.now), rate(measure, change.before)
    said = f"typically {now}" if measure in TIMES else _RATES[measure].format(now=now)
    usual = "other versions" if change.is_of_its_own else "usually"
    comparison = f"{usual} {before}" if usual == "usually" else f"{before} with {usual}"
    times = f", {change.inside.k:,.0f} times" if measure in _PERCENT and measure is not Measure.CACHE else ""
    if measure in TIMES:
        times = f", {change.inside.n:,.0f} times"
    clock = ", {2:.0%} of them from {0:02}:00 to {1:02}:00 UTC".format(*change.clock) if change.clock else ""
    return f"Since {moment(since)}{f' until {moment(until)}' if until else ''} {said}, {comparison}{times}{clock}."


def moment(time: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def advice(change: Change) -> str:
    """Return what to do about this cause."""
    measure, thing, scope = change.measure, change.series.thing, change.series.scope
    if scope.dimension == "version" and change.is_of_its_own:
        version = visible(scope.value, _LONG)
        return f"It came with client version {version}: go back to the version before, and report it to its maker."
    if measure is Measure.API:
        return _api(thing, scope)
    if measure in {Measure.TOOL_FAILS, Measure.TOOL_TIME} and thing.startswith(("MCP server", "mcp__")):
        return "Look at the MCP server's own log since then, and at its time limit."
    if measure is Measure.CONNECTION and scope.dimension != "everyone":
        return "See whether the server runs, then look at their network and configuration; each session waits for it."
    if measure in _ANSWERS:
        return _ANSWERS[measure][scope.dimension not in {"everyone", "model"}]
    return _ADVICE.get(measure, "Read the sessions below, and compare them with some from before.")


def _api(status: str, scope: Scope) -> str:
    if status in _API:
        if status == "connection" and scope.dimension in {"team", "user"}:
            return "Elsewhere the API is reached at the same time: look at their network and proxy."
        return _API[status]
    if scope.dimension in {"team", "user"}:
        return "Others had no trouble at the time: look at their proxy, provider or region before the API."
    return "The API was not available: nothing helps on this side; let batch work retry by itself."


def check(change: Change) -> str:
    """Return how to see that the repair worked."""
    measure = change.measure
    words = f"below {rate(measure, max(change.before * 1.3, change.before))}"
    return f"Repaired when the next two days are {words}: telemetry findings names it until then."
