"""The privacy work that peers are given: the same kinds as this server's, as far as each of them can do it.

Keys whose values are replaced by their SHA256, keys that are left alone, and patterns that are redacted in all other
texts. Fewer patterns than this server's rules have, which is to the peers' advantage. They are written so that Python,
RE2 and Go read them alike. Needs the standard library only: rotel's own interpreter imports it too.
"""

HASHED = frozenset(
    ("user.email", "user_prompt", "prompt", "file_path", "full_command", "tool_input", "tool_parameters")
)
SAFE = frozenset(
    (
        *("session.id", "user.id", "organization.id", "terminal.type", "span.type", "model", "tool_name"),
        *("request_id", "tool_use_id", "stop_reason", "exception.type"),
        *("service.name", "service.version", "host.arch", "os.type", "os.version"),
        *(
            "event.name",
            "event.timestamp",
            "prompt.id",
            "speed",
            "query_source",
            "effort",
            "decision",
            "source",
        ),
    )
)
PATTERNS = {
    "email": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    "phone": r"\+?1?[ .-]?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b",
    "card": r"\b(?:\d[ -]?){13,16}\b",
    "ssn": r"\b\d{3}-\d{2}-\d{4}\b",
    "ipv4": r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    "ipv6": r"\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b",
    "anthropic_key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "openai_key": r"\bsk-(?:proj-)?[A-Za-z0-9_-]{20,}",
    "aws_key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github_token": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b",
    "jwt": r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
    "bearer": r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]+=*",
}
