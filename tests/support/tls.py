"""A certificate authority of one's own, as companies have, and a certificate by it."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """`ca` is the file that clients must trust; `server` is what a server on localhost shows."""

    ca: Path
    server: ssl.SSLContext


def make_authority(folder: Path, *, names: tuple[str, ...] = ()) -> Authority:
    """Write a fresh authority and a certificate for localhost, and `names`, to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fumehood test authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    shown: list[x509.GeneralName] = [x509.DNSName(name) for name in ("localhost", *names)]
    shown.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    ca = (
        _builder(issuer, issuer, root.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    certificate = (
        _builder(subject, issuer, leaf.public_key())
        .add_extension(x509.SubjectAlternativeName(shown), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
        )
        .sign(root, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(form.Encoding.PEM))
    key = leaf.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (folder / "server.pem").write_bytes(certificate.public_bytes(form.Encoding.PEM) + key)
    (folder / "server.key").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return Authority(ca=folder / "ca.pem", server=context)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )
