"""The login, and the headers that limit what a browser may do with the pages."""

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from martline.command import WrongSettings

COOKIE = "martline_dashboard"
SESSION_SECONDS = 12 * 3600
SECONDS_BETWEEN_TRIES = 1.0
MOST_SESSIONS = 10_000
SHORTEST_PASSWORD = 12
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_password(file: Path | None, host: str) -> str | None:
    """The password that opens the pages; None if only this machine can reach them and no password is set.

    :raises WrongSettings: other machines can reach the pages without a password, or the password can't be read or
        is too short.
    """
    if file is None:
        if not is_loopback(host):
            raise WrongSettings(
                f"--host {host} lets others than this machine in, and there is no password: put one in a file"
                " and name it with --password-file, or listen on 127.0.0.1"
            )
        return None
    try:
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSettings(f"The password file {file} can't be read: {error}") from error
    if len(password) < SHORTEST_PASSWORD:
        raise WrongSettings(
            f"The password in {file} is shorter than {SHORTEST_PASSWORD} characters: choose a longer one"
        )
    return password


class Door:
    """Checks the password and opens sessions of twelve hours. Only the hash of a session's token is kept."""

    def __init__(self, password: str) -> None:
        self._password = _hash(password)
        self._sessions: dict[str, float] = {}
        self._lock = threading.Lock()

    def open(self, password: str) -> str | None:
        """The token of a new session. For a wrong password None, after a second, so that guessing is slow."""
        with self._lock:
            if not hmac.compare_digest(_hash(password), self._password):
                time.sleep(SECONDS_BETWEEN_TRIES)
                return None
            now = time.monotonic()
            alive = {token: ends for token, ends in self._sessions.items() if ends > now}
            self._sessions = dict(list(alive.items())[-MOST_SESSIONS:])
            token = secrets.token_urlsafe(32)
            self._sessions[_hash(token)] = now + SESSION_SECONDS
            return token

    def knows(self, cookies: Mapping[str, str]) -> bool:
        """Whether one of the cookies belongs to a session."""
        return self._sessions.get(_hash(cookies.get(COOKIE, "")), 0) > time.monotonic()

    def close(self, cookies: Mapping[str, str]) -> None:
        """End the session."""
        with self._lock:
            self._sessions.pop(_hash(cookies.get(COOKIE, "")), None)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
