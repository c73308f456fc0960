"""The way to the server: name, port, TLS, token, and a record that is taken."""

import http.client
import json
import socket
from datetime import UTC, datetime
from typing import Any, Final

from receiver.signals import KINDS
from telemetry.client import trial
from telemetry.client.destination import Destination
from telemetry.client.sender import SendError, connect, send, shake_hands
from telemetry.doctor.client import ADDRESS, destinations
from telemetry.doctor.finding import Check, Finding, broken, ok, skipped, warning
from telemetry.doctor.patient import Patient
from telemetry.settings import is_loopback

_SECONDS: Final = 5.0
_CERTIFICATE_DAYS: Final = 14
_SKEW_SECONDS: Final = 30


def name(patient: Patient) -> Finding:
    """See whether the host's name leads to an address."""
    hosts = dict.fromkeys(to.host for to in destinations(patient))
    for host in hosts:
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            return broken(
                f"the name {host} leads nowhere from this machine",
                "Correct the host in OTEL_EXPORTER_OTLP_ENDPOINT, or the name service.",
            )
    return ok(", ".join(hosts))


def port(patient: Patient) -> Finding:
    """See whether something listens there."""
    for to in _distinct(patient):
        try:
            connect(to, _SECONDS)
        except SendError as error:
            return _broken(error)
    return ok(", ".join(to.address for to in _distinct(patient)))


def tls(patient: Patient) -> Finding:
    """See whether the client accepts the certificate, and when that ends."""
    secure = [to for to in _distinct(patient) if to.is_tls]
    plain = [to for to in _distinct(patient) if not to.is_tls and not is_loopback(to.host)]
    for to in secure:
        try:
            ends = shake_hands(to, _SECONDS)
        except SendError as error:
            return _broken(error)
        days = (ends - datetime.now(UTC)).days
        if days < _CERTIFICATE_DAYS:
            return warning(f"the certificate of {to.address} ends in {days} days", "Renew it on the server.")
    if plain:
        return warning(
            f"what is sent to {plain[0].address} crosses the network unencrypted, its token included",
            "Give the server a certificate, or put a proxy in front, and use https://.",
        )
    return ok("certificates are accepted" if secure else "not used, on this machine")


def ready(patient: Patient) -> Finding:
    """Ask the server whether it takes telemetry."""
    host, at = _health(patient)
    try:
        status, answer = _get(host, at, "/ready")
    except OSError:
        text = f"no health at {host}:{at}"
        if is_loopback(host):
            return warning(text, "Set TELEMETRY_HEALTH_PORT here as the server has it.")
        return skipped(f"{text}: it may listen on the server's machine only")
    if status != http.client.OK:
        return broken("the server is starting or stopping", "Wait, then look at its log.")
    store = answer.get("store", {}).get("status", "ok")
    if store != "ok":
        return warning(
            "ready, but ClickHouse does not take what comes: it waits in the spool",
            "Look at the server's log.",
        )
    return ok(f"{host}:{at} says so")


def clock(patient: Patient) -> Finding:
    """Compare the clocks: rows of a wrong one stand in another hour, or are past the retention."""
    host, at = _health(patient)
    try:
        connection = http.client.HTTPConnection(host, at, timeout=_SECONDS)
        connection.request("GET", "/live")
        said = connection.getresponse().getheader("date") or ""
        connection.close()
        server = datetime.strptime(said, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except (OSError, ValueError, http.client.HTTPException):
        return skipped("the server's clock was not seen")
    skew = round((datetime.now(UTC) - server).total_seconds())
    if abs(skew) > _SKEW_SECONDS:
        return warning(
            f"this machine's clock is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} the server's",
            "Let both follow a time server (timedatectl set-ntp true).",
        )
    return ok(f"within {max(1, abs(skew))} s of the server's")


def token(patient: Patient) -> Finding:
    """See whether the server accepts what the client shows, over the protocol that the client speaks."""
    for to in destinations(patient):
        try:
            send(to, KINDS[to.signal].request(), _SECONDS)  # an empty request is taken, and makes no row
        except SendError as error:
            return _broken(error)
    shown = any(key == "authorization" for to in destinations(patient) for key, _ in to.headers)
    return ok("accepted" if shown else "none is wanted")


def record(patient: Patient) -> Finding:
    """Send a record of every signal."""
    sent = []
    for to in destinations(patient):
        try:
            send(to, trial.record(to.signal, patient.check_id))
        except SendError as error:
            return _broken(error)
        sent.append(to.signal.value)
    return ok(f"acknowledged: {', '.join(sent)}")


def _distinct(patient: Patient) -> list[Destination]:
    return list({to.base: to for to in destinations(patient)}.values())


def _health(patient: Patient) -> tuple[str, int]:
    host = next(destinations(patient)).host
    return host, patient.settings.health_port


def _get(host: str, at: int, path: str) -> tuple[int, Any]:
    """Ask the server something over plain HTTP. Raises OSError."""
    connection = http.client.HTTPConnection(host, at, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (http.client.HTTPException, ValueError):
        raise OSError from None
    finally:
        connection.close()


def _broken(error: SendError) -> Finding:
    return broken(error.problem.rstrip("."), error.fix)


PORT: Final = "port"
RECORD: Final = "test record taken"
READY: Final = "server ready"
CHECKS: Final = (
    Check("name", name, (ADDRESS,)),
    Check(PORT, port, ("name",)),
    Check("tls", tls, (PORT,)),
    Check(READY, ready, (PORT,)),
    Check("clock", clock, (PORT,)),
    Check("token", token, ("tls",)),
    Check(RECORD, record, ("token",)),
)
