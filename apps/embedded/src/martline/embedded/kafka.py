"""Kafka 3.9, with its own ZooKeeper."""

import shutil
import socket
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from martline.command import port_is_free
from martline.embedded.server import Server
from martline.embedded.state import State, write_private

BROKER_ID = 0
JVM_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


def prepare(state: State) -> None:
    """Write both servers' settings."""
    _bring_home_stray_data(state)
    zookeeper = {
        "dataDir": state.plain(state.data("zookeeper")),
        "clientPort": state.ports["zookeeper_port"],
        "clientPortAddress": "127.0.0.1",
        "admin.enableServer": "false",
        "4lw.commands.whitelist": "dump",
        # Others who reach the port can do nothing, whatever the nodes' own access lists say.
        "authProvider.sasl": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        "sessionRequireClientSASLAuth": "true",
    }
    kafka = {
        "broker.id": BROKER_ID,
        "listeners": f"PLAINTEXT://127.0.0.1:{state.ports['kafka_port']}",
        "zookeeper.connect": f"127.0.0.1:{state.ports['zookeeper_port']}",
        "zookeeper.session.timeout.ms": 6000,
        "log.dirs": state.plain(state.data("kafka")),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    logging = {
        "log4j.rootLogger": "INFO, stdout",
        "log4j.appender.stdout": "org.apache.log4j.ConsoleAppender",
        "log4j.appender.stdout.layout": "org.apache.log4j.PatternLayout",
        "log4j.appender.stdout.layout.ConversionPattern": "[%d] %p %m (%c)%n",
    }
    for name, properties in (("zookeeper", zookeeper), ("kafka", kafka), ("log4j", logging)):
        write_private(
            state.run / f"{name}.properties",
            "".join(f"{key}={java_property(str(value))}\n" for key, value in properties.items()),
        )
    login = "org.apache.zookeeper.server.auth.DigestLoginModule required"
    password = state.secrets["zookeeper"]
    write_private(state.run / "zookeeper.jaas", f'Server {{ {login} user_kafka="{password}"; }};\n')
    write_private(state.run / "kafka.jaas", f'Client {{ {login} username="kafka" password="{password}"; }};\n')


def _bring_home_stray_data(state: State) -> None:
    """Move data that was once written beside the folder, when Java read its UTF-8 name as ISO-8859-1."""
    stray = Path(str(state.folder).encode().decode("latin-1")) / "data"
    for server in ("kafka", "zookeeper"):
        if (
            not state.data(server).exists()
            and (stray / server).is_dir()
            and (stray / server) != state.data(server)
        ):
            shutil.move(stray / server, state.data(server))


def java_property(value: str) -> str:
    """A value escaped for a Java properties file, which is read as ISO-8859-1."""
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    units = escaped.encode("utf-16-be")
    characters = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    text = "".join(chr(unit) if 0x20 <= unit < 0x7F else f"\\u{unit:04x}" for unit in characters)
    return f"\\{text}" if text.startswith(" ") else text


def zookeeper(state: State, java_home: Path, class_path: list[Path]) -> Server:
    """The ZooKeeper process. It is ready when it has forgotten a killed broker."""
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    command = _java(state, java_home, class_path, "128m", main, "zookeeper")

    def is_ready() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", state.ports["zookeeper_port"]), timeout=5) as connection:
                connection.sendall(b"dump")
                answer = b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError:
            return False
        return b"SessionTracker" in answer and f"/brokers/ids/{BROKER_ID}".encode() not in answer

    return Server("zookeeper", command, is_ready)


def kafka(state: State, java_home: Path, class_path: list[Path]) -> Server:
    """The broker process."""
    command = _java(state, java_home, class_path, "384m", "kafka.Kafka", "kafka")

    def is_ready() -> bool:
        if port_is_free(state.ports["kafka_port"]):
            return False
        try:
            KafkaAdminClient(bootstrap_servers=bootstrap_servers(state)).close()
        except (KafkaError, OSError):
            return False
        return True

    return Server("kafka", command, is_ready)


def environment(state: State) -> dict[str, str]:
    """The variables for producers and consumers."""
    return {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers(state)}


def bootstrap_servers(state: State) -> str:
    """The broker's address."""
    return f"127.0.0.1:{state.ports['kafka_port']}"


def _java(state: State, java_home: Path, class_path: list[Path], heap: str, main: str, name: str) -> list[str]:
    run = state.plain(state.run)
    return [
        str(java_home / "bin" / "java"),
        f"-Xmx{heap}",
        *JVM_OPTIONS,
        f"-Dlog4j.configuration={(run / 'log4j.properties').as_uri()}",
        f"-Djava.security.auth.login.config={run / f'{name}.jaas'}",
        "-cp",
        ":".join(map(str, class_path)),
        main,
        str(run / f"{name}.properties"),
    ]
