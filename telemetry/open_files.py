"""How many files and connections the process may have open at a time."""

import resource


def allow(wanted: int) -> int:
    """Raise this process's limit on open files as far as `wanted` where the system lets it; return what holds.

    Each connection is an open file, and 1,024 is a usual limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
