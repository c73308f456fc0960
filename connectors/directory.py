"""All connections of all users: of the state, of the file, and this installation's own store.

It holds what is the same however a connection is changed, by REST or at the command line: who may see it, which names
and configurations are allowed, what becomes of credentials. Its methods block. They raise Refusal for what a caller can
correct, and StateError when the state cannot be used.
"""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import orjson
from pydantic_core import to_jsonable_python

from access.refusal import Code, Refusal, invalid, unknown
from access.text import visible
from connectors.addresses import Policy
from connectors.backend import Backend, Config, HttpConfig
from connectors.configuration import Parts, Secret, checked, kept, parts, refuse_placeholders, together
from connectors.connections_file import FileEntry
from connectors.contract import Adapter, BackendError, Signal
from connectors.entry import EVERYONE, OWN_NAME, Checked, Draft, Entry, Source, taken, user_of
from connectors.registry import Registry

NAME: Final = 255
DESCRIPTION: Final = 2_000
TAGS: Final = 50
TAG: Final = 100
CONFIG_BYTES: Final = 64 << 10
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
OWN: Final = Entry(
    str(uuid.uuid5(uuid.NAMESPACE_DNS, "own-store.claude-code-telemetry")),
    EVERYONE,
    OWN_NAME,
    "clickhouse",
    {},
    "This installation's own store: what it took over OTLP.",
    source=Source.OWN,
)
"""The entry of this installation's own store."""


@dataclass(frozen=True, slots=True)
class OwnStore:
    """How this installation's own store is opened, and what it has."""

    opened: Callable[[], Adapter]
    signals: frozenset[Signal] = frozenset(Signal)


class KeptConnections(Protocol):
    """Where the connections of users are kept: `connectors.state.connections`."""

    def listed(self, user: str | None = None) -> list[Entry]:
        """Return a user's entries by name, or those of all users."""
        ...

    def secrets(self, entry: Entry) -> tuple[Secret, ...]:
        """Return an entry's credentials."""
        ...

    def add(self, user: str, draft: Draft, parts: Parts) -> Entry:
        """Add an entry."""
        ...

    def replace(self, entry: Entry, draft: Draft, parts: Parts) -> Entry | None:
        """Write an entry again; None when it is gone."""
        ...

    def remove(self, entry: Entry) -> bool:
        """Remove an entry; whether it was there."""
        ...

    def record(self, entry: Entry, checked: Checked) -> None:
        """Keep what a health check found."""
        ...


class Directory:
    """The connections. `kept` opens the state when it is first needed."""

    def __init__(
        self,
        registry: Registry,
        kept: Callable[[], KeptConnections],
        policy: Policy,
        file: Sequence[FileEntry] = (),
        own: OwnStore | None = None,
    ) -> None:
        self.registry = registry
        self._kept = kept
        self._policy = policy
        self._file = {one.entry.id: one for one in file}
        self._own = own
        self._checked: dict[str, Checked] = {}

    def fixed(self, user: str) -> list[Entry]:
        """Return what a user has without the state: the entries of the file, and the own store last."""
        return [one for one in self._all_fixed() if one.user in {user, EVERYONE}]

    def entries(self, caller: str) -> list[Entry]:
        """Return all that a caller has: their own by name, those of the file, and the own store last."""
        user = user_of(caller)
        return [*self._kept().listed(user), *self.fixed(user)]

    def everyones(self) -> list[Entry]:
        """Return the entries of all users, each once."""
        return [*self._kept().listed(), *self._all_fixed()]

    def found(self, caller: str, name: str, field: str = "connection") -> Entry:
        """Return the entry of this id or name. Raises Refusal, with the nearest names."""
        return pick(self.entries(caller), name, field)

    def signals(self, entry: Entry) -> frozenset[Signal]:
        """Return what an entry can be asked for; nothing, for a kind that cannot be loaded."""
        if entry.source is Source.OWN:
            return self._own.signals if self._own is not None else frozenset()
        backend = self.registry.backends().get(entry.backend_type)
        return backend.signals if backend is not None else frozenset()

    def only_named(self, entry: Entry) -> frozenset[Signal]:
        """Return those of its signals that an entry is asked for only when it is named."""
        backend = None if entry.source is Source.OWN else self.registry.backends().get(entry.backend_type)
        return backend.only_named if backend is not None else frozenset()

    def configured(self, entry: Entry) -> Callable[[], Adapter]:
        """Return what opens an entry's adapter. Raises Refusal for a configuration that is not right any more."""
        if entry.source is Source.OWN:
            assert self._own is not None  # noqa: S101  it is its entry
            return self._own.opened
        backend = self.registry.backend(entry.backend_type)
        if entry.source is Source.FILE:
            raw: Any = self._file[entry.id].config
        else:
            raw = together(entry.config, self._kept().secrets(entry))
        return self._opener(backend, checked(backend.config, raw))

    def added(self, caller: str, draft: Draft) -> Entry:
        """Add a connection of a caller's."""
        _check(draft)
        self._check_name(caller, draft.name, None)
        config = self._config(draft.backend_type, draft.config)
        refuse_placeholders(config)
        return self._kept().add(user_of(caller), draft, parts(config))

    def replaced(self, caller: str, entry_id: str, draft: Draft) -> Entry:
        """Write a connection again. Credentials that the draft leaves out, or has as SET, stay."""
        entry = self._changeable(caller, entry_id)
        _check(draft)
        self._check_name(caller, draft.name, entry.id)
        raw = draft.config
        if draft.backend_type == entry.backend_type:
            raw = kept(raw, entry.config, self._kept().secrets(entry))
        config = self._config(draft.backend_type, raw)
        refuse_placeholders(config)
        changed = self._kept().replace(entry, draft, parts(config))
        if changed is None:
            raise _gone(entry_id)
        return changed

    def removed(self, caller: str, entry_id: str) -> None:
        """Remove a connection with its credentials."""
        entry = self._changeable(caller, entry_id)
        if not self._kept().remove(entry):
            raise _gone(entry_id)

    def record(self, entry: Entry, checked: Checked) -> None:
        """Keep what a health check found."""
        if entry.source is Source.STATE:
            self._kept().record(entry, checked)
        else:
            self._checked[entry.id] = checked

    def _all_fixed(self) -> list[Entry]:
        """Return the entries outside of the state, with what their last check found."""
        found = [one.entry for one in self._file.values()]
        if self._own is not None:
            found.append(OWN)
        return [replace(one, checked=self._checked.get(one.id, one.checked)) for one in found]

    def _changeable(self, caller: str, entry_id: str) -> Entry:
        entry = self.found(caller, entry_id, "connection_id")
        if entry.source is Source.FILE:
            raise Refusal(
                Code.FORBIDDEN,
                f"Connection {visible(entry.name, 80)} is of TELEMETRY_CONNECTIONS_FILE: change it there.",
                "connection_id",
            )
        if entry.source is Source.OWN:
            raise Refusal(
                Code.FORBIDDEN, "This installation's own store is always connected.", "connection_id"
            )
        return entry

    def _check_name(self, caller: str, name: str, own_id: str | None) -> None:
        if name == OWN_NAME:
            raise invalid(
                "name", f"The name {OWN_NAME!r} is that of this installation's own store: choose another."
            )
        if any(one.name == name and one.id != own_id for one in self.entries(caller)):
            raise taken(name)

    def _config(self, backend_type: str, raw: Any) -> Config:
        """Return a configuration that can be opened. Raises Refusal."""
        backend = self.registry.backend(backend_type)
        config = checked(backend.config, raw)
        if isinstance(config, HttpConfig):
            try:
                self._policy.check_url(config.url)
            except BackendError as error:
                raise invalid("config.url", f"config.url: {error.message}") from None
        return config

    def _opener(self, backend: Backend, config: Config) -> Callable[[], Adapter]:
        return lambda: backend.opened(config, self._policy)


def pick(entries: Sequence[Entry], name: str, field: str) -> Entry:
    """Return the entry of this id or name. Raises Refusal, with the nearest names."""
    for one in entries:
        if one.id == name:
            return one
    for one in entries:
        if one.name == name:
            return one
    raise unknown("connection", name, [one.name for one in entries], field)


def _gone(entry_id: str) -> Refusal:
    return unknown("connection", entry_id, (), "connection_id")


def _is_unfit(value: Any) -> bool:
    """Whether a text of it cannot be kept: PostgreSQL takes no NUL, and UTF-8 no half of a pair of surrogates."""
    if isinstance(value, str):
        return "\0" in value or _SURROGATE.search(value) is not None
    if isinstance(value, Mapping):
        return any(_is_unfit(key) or _is_unfit(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(map(_is_unfit, value))


def _check(draft: Draft) -> None:
    """Raise Refusal for a name or text that cannot be shown as it is, or that is too long."""
    name = draft.name
    if not name.strip() or len(name) > NAME or name != name.strip() or visible(name) != name:
        raise invalid(
            "name",
            f"A name has 1 to {NAME} characters that are seen, and no space at its ends.",
            ("prod-eu",),
        )
    if len(draft.description) > DESCRIPTION:
        raise invalid("description", f"A description has {DESCRIPTION:,} characters at most.")
    if _is_unfit((draft.description, draft.config)):
        raise invalid("config", "A text has the character NUL, or half of a pair of surrogates.")
    if len(orjson.dumps(to_jsonable_python(draft.config, fallback=str))) > CONFIG_BYTES:
        raise invalid("config", f"A configuration has {CONFIG_BYTES >> 10} KiB at most.")
    if len(draft.tags) > TAGS or any(not tag or len(tag) > TAG or visible(tag) != tag for tag in draft.tags):
        raise invalid("tags", f"There are {TAGS} tags at most, each of 1 to {TAG} characters that are seen.")
