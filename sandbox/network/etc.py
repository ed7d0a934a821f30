"""What a run with network finds in its /etc: its resolver, and whom to trust, as all runs do."""

from pathlib import Path

CERTIFICATES = "ssl/certs/ca-certificates.crt"
"""Below /etc. Debian has it there; the others are where OpenSSL is told to look elsewhere."""
_TWINS = ("ssl/cert.pem", "pki/tls/cert.pem", "pki/tls/certs/ca-bundle.crt")
_OF_HOSTS = ("/etc/ssl/certs/ca-certificates.crt", *(f"/etc/{twin}" for twin in _TWINS))


def variables() -> dict[str, str]:
    """Return what tells a program's TLS library where the certificates are (SSL_CTX_load…(3))."""
    return {"SSL_CERT_FILE": f"/etc/{CERTIFICATES}"}


def files(ca_bundle: str) -> dict[str, bytes]:
    """Return the files by their places below /etc; see `trusted`."""
    resolver = {"resolv.conf": b"nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"}
    return resolver | trusted(ca_bundle)


def trusted(ca_bundle: str) -> dict[str, bytes]:
    """Return certificates by their places below /etc; `ca_bundle` is the admin's, else the host's.

    Raises OSError where the admin's cannot be read. A host without any has none to show.
    """
    chosen = Path(ca_bundle) if ca_bundle else _of_the_host()
    if chosen is None:
        return {}
    return dict.fromkeys((CERTIFICATES, *_TWINS), chosen.read_bytes())


def _of_the_host() -> Path | None:
    return next((path for path in map(Path, _OF_HOSTS) if path.is_file()), None)
