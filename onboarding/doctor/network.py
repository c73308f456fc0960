"""Checks of the way to the server: name, port, TLS, token, and a record that it acknowledges."""

import http
import json
import socket
from datetime import UTC, datetime
from typing import Final

from config.settings import is_loopback
from onboarding import probe
from onboarding.doctor.client import ADDRESS, destinations
from onboarding.doctor.finding import Check, Finding, broken, ok, skipped, warning
from onboarding.doctor.http_get import get
from onboarding.doctor.target import Target
from otlp.destination import Destination
from otlp.sender import SendError, connect, send, shake_hands
from otlp.signals import KINDS

_SECONDS: Final = 5.0
_CERTIFICATE_DAYS: Final = 14
_SKEW_SECONDS: Final = 30


def name(target: Target) -> Finding:
    """Check that the host's name resolves to an address."""
    hosts = dict.fromkeys(to.host for to in destinations(target))
    for host in hosts:
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            return broken(
                f"this machine cannot resolve the name {host}",
                "Correct the host in OTEL_EXPORTER_OTLP_ENDPOINT, or the DNS settings of this machine.",
            )
    return ok(", ".join(hosts))


def port(target: Target) -> Finding:
    """Check that something listens on the port."""
    for to in _distinct(target):
        try:
            connect(to, _SECONDS)
        except SendError as error:
            return _broken(error)
    return ok(", ".join(to.address for to in _distinct(target)))


def tls(target: Target) -> Finding:
    """Check that the client accepts the certificate, and that it is valid for some time yet."""
    secure = [to for to in _distinct(target) if to.is_tls]
    unencrypted = [to for to in _distinct(target) if not to.is_tls and not is_loopback(to.host)]
    for to in secure:
        try:
            ends = shake_hands(to, _SECONDS).ends
        except SendError as error:
            return _broken(error)
        days = (ends - datetime.now(UTC)).days
        if days < _CERTIFICATE_DAYS:
            return warning(f"the certificate of {to.address} ends in {days} days", "Renew it on the server.")
    if unencrypted:
        return warning(
            f"what is sent to {unencrypted[0].address} crosses the network unencrypted, with the token",
            "Set a certificate for the server, or put a proxy with one in front of it, and use https://.",
        )
    return ok("certificates are accepted" if secure else "not used, on this machine")


def ready(target: Target) -> Finding:
    """Check that the server is ready to take telemetry."""
    host, port_number = _health(target)
    try:
        response = get(host, port_number, "/ready", _SECONDS)
        answer = json.loads(response.body)
    except (OSError, ValueError):
        text = f"no health at {host}:{port_number}"
        if is_loopback(host):
            return warning(text, "Set TELEMETRY_HEALTH_PORT here as the server has it.")
        return skipped(f"{text}: the server may serve it on its own machine only")
    if response.status != http.HTTPStatus.OK:
        return broken("the server is starting or stopping", "Wait a moment, then look at its log.")
    store = answer.get("store", {}).get("status", "ok")
    if store != "ok":
        return warning(
            "ready, but ClickHouse takes nothing: records wait in the spool",
            "Look at the server's log.",
        )
    return ok(f"{host}:{port_number} says so")


def clock(target: Target) -> Finding:
    """Compare the clocks: a wrong one puts rows into another hour, or past the retention."""
    host, port_number = _health(target)
    try:
        date = get(host, port_number, "/live", _SECONDS).date
        server = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except (OSError, ValueError):
        return skipped("the server did not say what time it has")
    skew = round((datetime.now(UTC) - server).total_seconds())
    if abs(skew) > _SKEW_SECONDS:
        return warning(
            f"this machine's clock is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} the server's",
            "Synchronize both clocks (timedatectl set-ntp true).",
        )
    return ok(f"within {max(1, abs(skew))} s of the server's")


def token(target: Target) -> Finding:
    """Check that the server accepts the client's token, over the client's protocol."""
    for to in destinations(target):
        try:
            send(to, KINDS[to.signal].request(), _SECONDS)  # an empty request is accepted, and makes no row
        except SendError as error:
            return _broken(error)
    shown = any(key == "authorization" for to in destinations(target) for key, _ in to.headers)
    return ok("accepted" if shown else "none is needed")


def record(target: Target) -> Finding:
    """Send a test record of every signal."""
    sent = []
    for to in destinations(target):
        try:
            send(to, probe.record(to.signal, target.check_id))
        except SendError as error:
            return _broken(error)
        sent.append(to.signal.value)
    return ok(f"acknowledged: {', '.join(sent)}")


def _distinct(target: Target) -> list[Destination]:
    return list({to.base: to for to in destinations(target)}.values())


def _health(target: Target) -> tuple[str, int]:
    host = next(destinations(target)).host
    return host, target.settings.health_port


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
