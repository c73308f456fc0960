"""A finding as a message of a chat, in the form that Slack, Mattermost and Discord's Slack address take.

The message is what a person needs to begin: cause, who, since when, cost, and what to do. No message of an error and no
id of a session leaves for the chat. Texts of telemetry cannot format it, address anybody, or become a link.
Source: https://docs.slack.dev/messaging/formatting-message-text (what is escaped).
"""

import re
from collections.abc import Sequence
from typing import Final

from access.insight.finding import Finding
from access.report.findings import cost_of
from access.text import cut

_LONGEST: Final = 1_900
"""Characters of a message; Discord refuses more than 2,000."""
_LINE: Final = 400
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ACTIVE: Final = (
    # Who is called (Mattermost and Discord read it in plain text), what becomes a link, what becomes code.
    (re.compile("@"), "＠"),  # noqa: RUF001  it looks the same, and calls for no one
    (re.compile("://"), "[:]//"),
    (re.compile(r"\bwww\.", re.IGNORECASE), "www[.]"),
    (re.compile(r"\]\("), "] ("),
    (re.compile("`"), "'"),
)


def message(finding: Finding) -> str:
    """Return a finding as a message."""
    lines = [
        f"*{inert(finding.title)}* ({inert(finding.who)})",
        inert(finding.reason),
        inert(cost_of(finding)),
        inert(finding.advice),
        "More: `telemetry findings`, and on the page.",
    ]
    return _fitted([line for line in lines if line])


def rest(count: int) -> str:
    """Return the message about findings that have no message of their own."""
    return f"*{count:,} more findings*\nSee them all: `telemetry findings`, and on the page."


def trial() -> str:
    """Return the message of a test."""
    return "*Test of the telemetry server's alerts*\nFindings will arrive here, each incident once."


def inert(text: str) -> str:
    """Return a text that a chat shows as it is, cut to a line."""
    short = cut(text, _LINE)
    for pattern, replacement in _ACTIVE:
        short = pattern.sub(replacement, short)
    return re.sub("[&<>]", lambda found: _ESCAPES[found[0]], short)


def _fitted(lines: Sequence[str]) -> str:
    taken: list[str] = []
    room = _LONGEST
    for line in lines:
        if len(line) + 1 <= room:
            taken.append(line)
            room -= len(line) + 1
    return "\n".join(taken)
