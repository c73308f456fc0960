"""Whose data a person sees on the page: everybody's, a team's, or their own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Role:
    """What a person may see. Both empty: all that is stored."""

    team: str = ""
    user: str = ""

    @property
    def sees_all(self) -> bool:
        """Whether nothing is kept from this person."""
        return not (self.team or self.user)

    def sees(self, team: str, user: str) -> bool:
        """Whether a session of this team and user is among it."""
        return (not self.team or team == self.team) and (not self.user or user == self.user)


ALL = Role()


def role_of(kind: str, which: str) -> Role:
    """Return the role of a setting: the kind, `user` or `team`, and which."""
    return Role(user=which) if kind == "user" else Role(team=which)
