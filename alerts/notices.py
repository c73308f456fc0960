"""Sends the findings that people do not know of yet, and remembers each as soon as it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from access.insight.finding import Finding
from alerts.errors import AlertError
from alerts.incidents import Incidents, save
from alerts.message import message, rest
from alerts.webhook import Webhook

MOST: Final = 10
"""Messages at a time; one more says how many findings are left."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the findings of one look."""

    sent: int
    """Messages that arrived."""
    known: int
    """Findings that people knew of."""
    failure: str = ""
    """Why the rest was not sent, "" when all was. It is tried again with the next look."""


def notify(
    findings: Sequence[Finding], incidents: Incidents, path: Path, webhook: Webhook, now: datetime
) -> Sent:
    """Send what is new, at most MOST messages and one about the rest. Raises AlertError when it cannot be kept.

    A message that was sent just before a crash may be sent again; none is left out.
    """
    new = [one for one in findings if not incidents.is_known(one)]
    for one in findings:
        if incidents.is_known(one):
            incidents.remember(one, now)
    incidents.forget_old(now)
    save(incidents, path)
    known = len(findings) - len(new)
    sent = 0
    try:
        for one in new[:MOST]:
            webhook.post(message(one))
            sent += 1
            incidents.remember(one, now)
            save(incidents, path)
        if more := new[MOST:]:
            webhook.post(rest(len(more)))
            sent += 1
            for one in more:
                incidents.remember(one, now)
            save(incidents, path)
    except AlertError as error:
        return Sent(sent, known, str(error))
    return Sent(sent, known)
