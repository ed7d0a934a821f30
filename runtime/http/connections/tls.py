"""HTTPS: the certificate and its key, and how they are renewed while others are served."""

import ssl
from pathlib import Path

from runtime.faults.errors import SettingsRefused

HANDSHAKE_S = 5.0
HANDSHAKES_MOST = 128


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return what to serve HTTPS with; None for plain HTTP. Raises SettingsRefused."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "tls_key" if key is None else "tls_certificate"
        raise SettingsRefused(
            f"HTTPS needs both, and {missing} is not set",
            where=missing,
            mend="set tls_certificate and tls_key, or neither",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load(context, certificate=certificate, key=key)
    return context


def renew(context: ssl.SSLContext, *, certificate: Path, key: Path) -> None:
    """Use the files as they are now for new connections. Raises SettingsRefused, and keeps on."""
    load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate=certificate, key=key)
    load(context, certificate=certificate, key=key)


def load(context: ssl.SSLContext, *, certificate: Path, key: Path) -> None:
    """Load both files, which have to fit each other. Raises SettingsRefused."""
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        raise SettingsRefused(
            f"{certificate} and {key} do not fit: {error.reason or error}",
            where="tls_certificate",
            mend="give a chain and its own key, both PEM, the key without a password",
        ) from error
    except (OSError, ValueError) as error:
        raise SettingsRefused(
            f"{certificate} or {key} cannot be read: {error}",
            where="tls_certificate",
            mend="let the user that runs this read both files",
        ) from error


def _no_password() -> str:
    raise ValueError("the key has a password")
