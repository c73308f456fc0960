"""The state of an installation, as its settings say where it is."""

from dataclasses import dataclass

from config.settings import Settings
from connectors.state.connections import Connections
from connectors.state.database import Database, opened
from connectors.state.errors import StateError
from connectors.state.history import History
from connectors.state.keys import Keys


@dataclass(frozen=True, slots=True)
class State:
    """What is kept, in one database."""

    database: Database
    keys: Keys
    connections: Connections
    history: History

    def rotate(self) -> int:
        """Make a new first key, or take that of TELEMETRY_SECRET_KEY, and encrypt all credentials with it.

        Returns how many were under another key, which is then removed where it was generated. Raises StateError.
        """
        if not self.keys.given:
            self.keys.add_generated()
        count = self.connections.rotate()
        self.keys.drop_others()
        return count


def open_state(settings: Settings) -> State:
    """Open the state, with the tables of this version. Raises StateError.

    The data directory must be there: a command that is started in another folder by mistake makes none.
    """
    url = settings.state_url.get_secret_value()
    if not url and not settings.data_dir.is_dir():
        raise StateError(
            "There is no data directory here yet: start the server once, or set TELEMETRY_DATA_DIR to that of the"
            " server, or TELEMETRY_STATE_URL."
        )
    database = opened(url, settings.data_dir)
    given = [part.strip() for part in settings.secret_key.get_secret_value().split(",") if part.strip()]
    keys = Keys(tuple(given), None if url else settings.data_dir)
    return State(database, keys, Connections(database, keys), History(database))
