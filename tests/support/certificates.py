"""Certificates for servers of tests."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MINUTE = timedelta(minutes=1)


def certificate(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself, and what a server with it needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster.example")])
    start = datetime.now(UTC) - MINUTE
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start + 60 * MINUTE)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
    builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return pem.decode(), context


def certificate_of_plain_ca(folder: Path, host: str) -> tuple[str, ssl.SSLContext]:
    """A CA without key identifiers, as of Amazon EKS, and what a server for `host` with its certificate needs."""
    start, keys = datetime.now(UTC) - MINUTE, [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    ca, leaf = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("kubernetes", "kube-apiserver"))
    builder = x509.CertificateBuilder(ca, ca, keys[0].public_key(), 1, start, start + 60 * MINUTE)
    root = builder.add_extension(x509.BasicConstraints(True, None), True).sign(keys[0], hashes.SHA256())
    builder = x509.CertificateBuilder(ca, leaf, keys[1].public_key(), 2, start, start + 60 * MINUTE)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), False)
    signed = builder.sign(keys[0], hashes.SHA256())
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return root.public_bytes(serialization.Encoding.PEM).decode(), context
