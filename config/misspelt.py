"""Names of variables that look like a setting's and are none, such as TELEMETRY_RETENTION_DAY.

A variable that is not known has no effect, and most are of other programs: Compose, Kubernetes and tests have some that
begin with TELEMETRY_. So only what resembles a setting's name closely is reported.
"""

import difflib
from collections.abc import Iterable
from typing import Final

from pydantic_settings import DotEnvSettingsSource

from config.settings import Settings

_NEAR: Final = 0.88
_OTHERS: Final = frozenset({"TELEMETRY_WEB_TOKEN"})
"""Of credentials.env, which a shell may have read."""


def misspelt(environment: Iterable[str]) -> list[str]:
    """Return a sentence for each name in the environment or in `.env` that is probably meant as a setting's."""
    known = [str(field.alias) for field in Settings.model_fields.values()]
    written = {*environment, *DotEnvSettingsSource(Settings).env_vars}
    return [
        f"{name} is no setting and has no effect: did you mean {meant[0]}?"
        for name in sorted(written - {*known, *_OTHERS})
        if (meant := difflib.get_close_matches(name.upper(), known, 1, _NEAR))
    ]
