"""The environment of the platform's programs: a few of the caller's variables, and the platform's own.

Only variables on a list are inherited, those that users need. Any other variable may change what a program does,
and PostgreSQL, MySQL, Java, Python, Spark and Airflow have many, and ever more, of them.
"""

import os
import re
import sys
from collections.abc import Mapping

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")
INHERITED = {
    *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "TMPDIR", "JAVA_HOME", "SSH_AUTH_SOCK"),
    *("TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "EDITOR", "VISUAL", "PAGER", "DISPLAY"),
    # Downloads may need a company's own certificate authority and proxy.
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *PROXIES,
    *(name.upper() for name in PROXIES),
    *("no_proxy", "NO_PROXY"),
}
INHERITED_PREFIXES = ("MARTLINE_", "XDG_")
HOST = re.compile(r"[\w.:*/-]+")
"""The entries of the list of hosts without a proxy that every program can read."""
OWN_MACHINE = ("127.0.0.1", "localhost", "::1")


def inherited(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The caller's variables that a program inherits, and the locale and time zone of all programs."""
    kept = {name: value for name, value in environment.items() if _is_inherited(name) and _is_usable(name, value)}
    # One list under both names, because programs differ in which name they prefer.
    listed = [kept.pop(name, "") for name in ("no_proxy", "NO_PROXY")]
    hosts = [host.strip() for host in ",".join(listed).split(",")]
    direct = ",".join(dict.fromkeys([*OWN_MACHINE, *(host for host in hosts if HOST.fullmatch(host))]))
    # Only in such a locale does Java take file names as UTF-8.
    locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
    return {**kept, "no_proxy": direct, "NO_PROXY": direct, "LANG": locale, "LC_ALL": locale, "TZ": "UTC"}


def forget_foreign() -> None:
    """Remove foreign variables from this program's own environment too: libpq in it reads ``PG…``."""
    for name in [name for name in os.environ if not (_is_inherited(name) or name in ("YES", "LANG", "LC_ALL"))]:
        del os.environ[name]


def _is_inherited(name: str) -> bool:
    return name in INHERITED or name.startswith(INHERITED_PREFIXES)


def _is_usable(name: str, value: str) -> bool:
    """Airflow's HTTP client does not start with a proxy of an unknown kind, such as `socks://…`."""
    return name.lower() not in PROXIES or "://" not in value or value.startswith(("http://", "https://"))
