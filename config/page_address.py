"""The address of the page that logs a browser in."""

from urllib.parse import quote

from config.credentials import FILE, web_token
from config.data_directory import StartError
from config.settings import Settings, is_loopback, reachable


def page_address(settings: Settings, port: str = "") -> str:
    """Return the address that logs in, on the port given or the settings' own. Raises StartError without one."""
    number = port or settings.web_port
    if number == "off":
        raise StartError("There is no page: TELEMETRY_WEB_PORT is off. Set it to a port, such as 8080.")
    if number == "0":
        raise StartError("TELEMETRY_WEB_PORT is 0, any free port: the server's log says which one it took.")
    token = web_token(settings) if is_loopback(settings.web_host) else ""
    if not token:
        token = next((token for _, token in settings.readers), "")
    if not token:
        raise StartError(
            f"There is no token yet: start the server first. It keeps one in {settings.data_dir / FILE}."
        )
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{reachable(settings.web_host)}:{number}/login?token={quote(token, safe='')}"
