"""What Java is given for TLS: MySQL's settings name PEM files, and Java reads stores of its own."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)

from martline.command import MySQLSettings, WrongSettings


@contextmanager
def java_stores(settings: MySQLSettings) -> Iterator[dict[str, str]]:
    """Connector/J's options for the settings' certificates, as PKCS 12 files that go with the block.

    The files are readable by their owner alone, and their password is made for them. Raises
    :class:`WrongSettings` where the PEM files can't be used.
    """
    password = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="martline-tls-") as folder:
        try:
            stores = _stores(settings, Path(folder), password)
        except (OSError, ValueError, TypeError) as error:
            raise WrongSettings(
                f"The files of MYSQL_SSL_CA, MYSQL_SSL_CERT and MYSQL_SSL_KEY can't be used: {error}"
            ) from error
        options = {}
        for name, file in stores.items():
            options[f"{name}CertificateKeyStoreUrl"] = file.as_uri()
            options[f"{name}CertificateKeyStoreType"] = "PKCS12"
            options[f"{name}CertificateKeyStorePassword"] = password
        if settings.ssl_ca:
            options["fallbackToSystemTrustStore"] = "false"
        yield options


def _stores(settings: MySQLSettings, folder: Path, password: str) -> dict[str, Path]:
    encryption = BestAvailableEncryption(password.encode())
    stores = {}
    if settings.ssl_ca:
        authorities = x509.load_pem_x509_certificates(Path(settings.ssl_ca).read_bytes())
        trusted = [
            pkcs12.PKCS12Certificate(certificate, f"authority {n}".encode())
            for n, certificate in enumerate(authorities)
        ]
        stores["trust"] = folder / "authorities.p12"
        stores["trust"].write_bytes(pkcs12.serialize_java_truststore(trusted, encryption))
    if settings.ssl_cert:
        certificate, *others = x509.load_pem_x509_certificates(Path(settings.ssl_cert).read_bytes())
        key = load_pem_private_key(Path(settings.ssl_key or settings.ssl_cert).read_bytes(), password=None)
        stores["client"] = folder / "client.p12"
        stores["client"].write_bytes(
            pkcs12.serialize_key_and_certificates(b"client", key, certificate, others, encryption)  # type: ignore[arg-type]
        )
    return stores
