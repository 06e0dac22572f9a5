"""The environment that programs of the platform start with: a few variables of the caller's, and our own.

What is inherited is a list of what users need. Everything else may change what a program does: settings of
PostgreSQL's, MySQL's, Java's, Python's, Spark's and Airflow's own are many, and grow.
"""

import os
import re
import sys
from collections.abc import Mapping

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")
INHERITED = {
    *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "TMPDIR", "JAVA_HOME", "SSH_AUTH_SOCK"),
    *("TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "EDITOR", "VISUAL", "PAGER", "DISPLAY"),
    # A company's own authority and proxy are needed for what is fetched.
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *PROXIES,
    *(name.upper() for name in PROXIES),
    *("no_proxy", "NO_PROXY"),
}
INHERITED_PREFIXES = ("MARTLINE_", "XDG_")
HOST = re.compile(r"[\w.:*/-]+")
"""Of the list of hosts without a proxy, what every program can read."""
OWN_MACHINE = ("127.0.0.1", "localhost", "::1")


def inherited(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The caller's variables that a program gets, with the locale and the time zone that all programs have."""
    kept = {name: value for name, value in environment.items() if _is_inherited(name) and _is_usable(name, value)}
    # One list under both names: which one counts where both are set differs from program to program.
    listed = [kept.pop(name, "") for name in ("no_proxy", "NO_PROXY")]
    hosts = [host.strip() for host in ",".join(listed).split(",")]
    direct = ",".join(dict.fromkeys([*OWN_MACHINE, *(host for host in hosts if HOST.fullmatch(host))]))
    # File names are UTF-8 to Java only in such a locale.
    locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
    return {**kept, "no_proxy": direct, "NO_PROXY": direct, "LANG": locale, "LC_ALL": locale, "TZ": "UTC"}


def forget_foreign() -> None:
    """Take from this program itself what it must not hand on to the libraries in it: libpq reads ``PG…``."""
    for name in [name for name in os.environ if not (_is_inherited(name) or name in ("YES", "LANG", "LC_ALL"))]:
        del os.environ[name]


def _is_inherited(name: str) -> bool:
    return name in INHERITED or name.startswith(INHERITED_PREFIXES)


def _is_usable(name: str, value: str) -> bool:
    """Airflow's HTTP client does not start where a proxy is of a kind that it does not know, as `socks://…`."""
    return name.lower() not in PROXIES or "://" not in value or value.startswith(("http://", "https://"))
