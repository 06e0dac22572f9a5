"""The version of the target's server."""


def is_mariadb(version: str) -> bool:
    """Whether a server that reports this version is MariaDB."""
    return "MariaDB" in version
