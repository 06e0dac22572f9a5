"""Ports for the tests' servers."""

import random

from martline.command import port_is_free


def free_port() -> int:
    """A port of this machine on which nothing listens.

    It is below the ports that the kernel gives to outgoing connections, so it stays free until a server starts.
    """
    ports = (random.randrange(12_000, 32_000) for _ in range(1000))
    return next(filter(port_is_free, ports))
