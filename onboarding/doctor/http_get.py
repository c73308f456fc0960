"""Ask one of the server's own ports (health, metrics) something over plain HTTP."""

import http.client
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Response:
    """What a port answered."""

    status: int
    date: str
    """The Date header, "" when there is none."""
    body: bytes


def get(host: str, port: int, path: str, seconds: float) -> Response:
    """Return the response to a GET. Raises OSError when nothing answers in time, or not in HTTP."""
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Response(response.status, response.getheader("date") or "", response.read())
    except http.client.HTTPException:
        raise OSError("what answers does not speak HTTP") from None
    finally:
        connection.close()
