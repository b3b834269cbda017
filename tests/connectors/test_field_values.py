"""Each field of a connector type takes valid values, and rejects others with a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from painchain.connectors import TYPES
from painchain.connectors.base import FieldError
from tests.connectors.specification import FIELDS, field_of

# A field, a refused value, and a word of the error message.
REFUSED = [
    *(
        (field, value, reason)
        for field in ("github.base_url", "gitlab.base_url", "kubernetes.api_server")
        for value, reason in [
            ("ftp://host.example", "URL such as"),
            ("host.example", "URL such as"),
            ("javascript:alert(1)", "URL such as"),
            ("file:///etc/passwd", "URL such as"),
            ("https://", "URL such as"),
            ("https:///api", "URL such as"),
            ("https://host.example:port", "URL such as"),
            ("https://host.example:99999", "URL such as"),
            ("https://ho st.example", "URL such as"),
            ("https://[::1", "URL such as"),
            ("https://person@host.example", "user name or password"),
            ("https://person:word@host.example", "user name or password"),
            ("https://:word@host.example", "user name or password"),
            ("https://host.example/?token=abc", "'?' or '#'"),
            ("https://host.example/#part", "'?' or '#'"),
            ("https://host.example/" + "a" * 500, "500 characters"),
            (80, "text"),
            (["https://host.example"], "text"),
        ]
    ),
    *(
        (field, value, "integer between")
        for field in ("github.poll_interval", "gitlab.poll_interval", "kubernetes.poll_interval")
        for value in (0, -300, 3601, "3601", 300.5, "300.5", "5 min", "٣٠٠", True, [300], "1" * 30, float("inf"))
    ),
    ("github.poll_interval", 59, "between 60 and 3600"),
    ("gitlab.poll_interval", "59", "between 60 and 3600"),
    ("kubernetes.poll_interval", 9, "between 10 and 3600"),
    *(
        ("github.repos", value, "owner/name")
        for value in (
            "word",
            "a/b/c",
            "/b",
            "a/",
            "a b/c",
            "http://a.example/b",
            ["a/b", "c"],
            "a/b;c/d",
            "../..",
            "a/..",
        )
    ),
    *(
        ("gitlab.projects", value, "group/project")
        for value in ("group", "-1", "1.5", "/project", "group/", "a//b", "http://a.example/b", "../..", "a/./b")
    ),
    *(
        (field, value, "branch name")
        for field in ("github.branches", "gitlab.branches")
        for value in ("two words", "what?", "a..b~1", "a:b", "back\\slash", "star*", "[a]", ["one,two"])
    ),
    *(
        ("kubernetes.namespaces", value, "namespace")
        for value in ("Default", "-a", "a-", "a_b", "a.b", "a/b", "a" * 64, "ü", ["a,b"])
    ),
    ("kubernetes.namespaces", [f"n{number}" for number in range(201)], "at most 200"),
    *(
        ("kubernetes.leave_out", value, "kind/namespace/name")
        for value in (
            "*",
            "ci/*",
            "Secret/*",
            "Lease/*/*",
            "secret/ci/*",
            "Secret//a",
            "Secret/ci/a/b",
            "Secret/CI/a",
            "*/*/ü",
        )
    ),
    ("kubernetes.leave_out", [f"Secret/n{number}/*" for number in range(201)], "at most 200"),
    ("kubernetes.namespaces", {"a": 1}, "list of strings"),
    ("kubernetes.namespaces", [1], "list of strings"),
    ("kubernetes.cluster_name", "x" * 101, "100 characters"),
    ("kubernetes.cluster_name", "", "required"),
    ("kubernetes.cluster_name", "\x07", "unprintable"),
    *(("kubernetes.verify_ssl", value, "true or false") for value in ("on", "true", 1, 0, [True])),
    ("kubernetes.verify_ssl", None, "required"),
    *(
        (f"{type_key}.name", value, reason)
        for type_key in TYPES
        for value, reason in [
            ("", "required"),
            ("   ", "required"),
            (None, "required"),
            ("x" * 101, "100 characters"),
            ("bell \x07", "unprintable"),
            (7, "text"),
        ]
    ),
    ("github.tags", "x" * 51, "50 characters"),
    ("github.tags", [["a"]], "list of strings"),
    ("github.tags", ",".join(f"tag{number}" for number in range(201)), "at most 200"),
    ("github.token", 12345, "text"),
    ("github.token", "x" * 10_001, "10000 characters"),
]

# A field, a valid value, and the stored value.
TAKEN = [
    ("github.base_url", "https://host.example/api/v3/", "https://host.example/api/v3"),
    ("github.base_url", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("github.base_url", "  https://host.example  ", "https://host.example"),
    ("gitlab.base_url", "https://[::1]:8443/gitlab", "https://[::1]:8443/gitlab"),
    ("kubernetes.api_server", "", None),
    ("kubernetes.api_server", "https://10.0.0.1:6443", "https://10.0.0.1:6443"),
    ("github.poll_interval", "60", 60),
    ("github.poll_interval", 3600, 3600),
    ("gitlab.poll_interval", 60.0, 60),
    ("kubernetes.poll_interval", " 10 ", 10),
    ("github.repos", "a/b\r\nc-d/e.f_g", ["a/b", "c-d/e.f_g"]),
    ("github.repos", "a/b, c/d ,a/b", ["a/b", "c/d"]),
    ("kubernetes.leave_out", "Secret/ci/*\n*/*/*-tmp\n", ["Secret/ci/*", "*/*/*-tmp"]),
    ("kubernetes.leave_out", "HelmRelease/a/b,Role/*/system:node", ["HelmRelease/a/b", "Role/*/system:node"]),
    ("github.repos", [], []),
    ("gitlab.projects", "42, group/project, group/sub/project", ["42", "group/project", "group/sub/project"]),
    ("github.branches", "main\nrelease/1.0\nfix-#7", ["main", "release/1.0", "fix-#7"]),
    ("kubernetes.namespaces", "kube-system,default,a," + "a" * 63, ["kube-system", "default", "a", "a" * 63]),
    ("kubernetes.cluster_name", " production ", "production"),
    ("kubernetes.verify_ssl", False, False),
    ("kubernetes.verify_ssl", True, True),
    ("kubernetes.token", "", None),
    ("github.token", " spaces-around\n", "spaces-around"),
    ("kubernetes.token", "signed." * 200, "signed." * 200),
    ("github.name", "x" * 100, "x" * 100),
    ("github.name", "Zoe\u0308", "Zo\u00eb"),
    ("github.name", "two\r\nlines", "two lines"),
    ("github.tags", "a, b,,a , ü", ["a", "b", "ü"]),
    ("painchain.tags", "", []),
]


def test_an_invalid_value_is_rejected_with_a_reason():
    for address, value, reason in REFUSED:
        try:
            message = f"accepted as {field_of(address).clean(value)!r}"
        except FieldError as error:
            message = str(error)
        assert reason in message, (address, value)


@pytest.mark.parametrize(("address", "given", "stored"), TAKEN, ids=lambda value: repr(value)[:40])
def test_a_valid_value_is_accepted(address, given, stored):
    cleaned = field_of(address).clean(given)
    assert cleaned == stored
    assert type(cleaned) is type(stored)


@pytest.mark.parametrize("address", [f"{row[0]}.{row[1]}" for row in FIELDS if row[5] and row[3] != "secret"])
@pytest.mark.parametrize("empty", [None, "", []], ids=repr)
def test_a_required_field_must_not_be_empty(address, empty):
    with pytest.raises(FieldError, match="is required"):
        field_of(address).clean(empty)


def test_an_optional_field_may_be_left_empty():
    for address in (f"{row[0]}.{row[1]}" for row in FIELDS if not row[5]):
        for empty in (None, "", []):
            assert field_of(address).clean(empty) in (None, []), (address, empty)


def test_every_invalid_field_is_named_and_valid_values_remain():
    cleaned, errors = TYPES["github"].clean({"name": "Work", "poll_interval": "7", "base_url": "ftp://host.example"})
    assert cleaned == {"name": "Work"}
    assert set(errors) == {"poll_interval", "base_url"}


def test_an_error_about_an_address_does_not_repeat_its_password():
    with pytest.raises(FieldError) as refused:
        field_of("github.base_url").clean("https://person:planted@host.example")
    assert "planted" not in str(refused.value)


@pytest.fixture(scope="module")
def certificate() -> tuple[str, str]:
    """A certificate and its private key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster.example")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def test_a_certificate_with_a_browsers_line_ends_is_accepted(certificate):
    pem, _ = certificate
    ca_certificate = field_of("kubernetes.ca_certificate")
    assert ca_certificate.clean(pem.replace("\n", "\r\n")) == pem.strip()
    assert ca_certificate.clean(pem + pem) == (pem + pem).strip()


def test_a_private_key_is_rejected_alone_and_with_a_certificate(certificate):
    pem, private = certificate
    for text in (private, pem + private, private + pem):
        with pytest.raises(FieldError, match="private key"):
            field_of("kubernetes.ca_certificate").clean(text)


def test_invalid_certificates_are_rejected(certificate):
    pem, _ = certificate
    broken = pem[: len(pem) // 2]
    wrapped = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"
    for text in ("nonsense", broken, wrapped, pem + wrapped, pem.replace("CERTIFICATE", "PUBLIC KEY")):
        with pytest.raises(FieldError, match="PEM"):
            field_of("kubernetes.ca_certificate").clean(text)
