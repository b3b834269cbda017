"""Connector types have the fields, validation, events and labels of the specification."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from painchain import connectors
from painchain.connectors import ADDABLE, BUILTIN, TYPES
from painchain.connectors.base import ConnectorType, EventType, Field, FieldError, Kind, fields
from painchain.connectors.painchain import PEOPLE, SYSTEM_NAME, SYSTEM_TAGS

ROOT = Path(__file__).parents[2]

# type, key, caption, kind, default, required, range
FIELDS = [
    ("github", "base_url", "API URL", "url", "https://api.github.com", True, None),
    ("github", "token", "Token", "secret", None, True, None),
    ("github", "poll_interval", "Poll interval (seconds)", "number", 300, True, (60, 3600)),
    ("github", "repos", "Repositories", "list", [], False, None),
    ("github", "branches", "Branches", "list", [], False, None),
    ("gitlab", "base_url", "GitLab URL", "url", "https://gitlab.com", True, None),
    ("gitlab", "token", "Token", "secret", None, True, None),
    ("gitlab", "poll_interval", "Poll interval (seconds)", "number", 300, True, (60, 3600)),
    ("gitlab", "projects", "Projects", "list", [], False, None),
    ("gitlab", "branches", "Branches", "list", [], False, None),
    ("kubernetes", "api_server", "API server URL", "url", None, False, None),
    ("kubernetes", "token", "Service account token", "secret", None, False, None),
    ("kubernetes", "ca_certificate", "CA certificate (PEM)", "certificate", None, False, None),
    ("kubernetes", "verify_ssl", "Verify TLS certificate", "checkbox", True, True, None),
    ("kubernetes", "cluster_name", "Cluster name", "text", "default", True, None),
    ("kubernetes", "poll_interval", "Poll interval (seconds)", "number", 300, True, (10, 3600)),
    ("kubernetes", "namespaces", "Namespaces", "list", [], False, None),
    ("kubernetes", "leave_out", "Leave out", "list", [], False, None),
]

PLACE = "cluster namespace workload"
ANNOTATIONS = "annotations_added annotations_removed annotations_modified"
CODE_HOST_EVENT_FIELDS = {
    "Push": "repository branch before after commits pusher forced",
    "Release": "repository tag prerelease draft assets",
    "Commit": "repository branch sha committed_at push changes files_changed files_total",
    "Deployment": "repository environment ref sha state creator",
    "Image": "repository registry image digest tags size package",
}
PULL_FACTS = "branches changes reviewers approvals changes_requested comments merged files_changed files_total"
EVENT_FIELDS = {
    "github": {
        "PullRequest": f"repository {PULL_FACTS}",
        "WorkflowRun": "repository status duration branch commit trigger run_number failed_jobs logs_url",
        **CODE_HOST_EVENT_FIELDS,
    },
    "gitlab": {
        "MergeRequest": "repository branches approved_by approvals comments votes merged files_changed files_total",
        "Pipeline": "repository status duration ref commit source pipeline_id failed_jobs logs_url",
        **CODE_HOST_EVENT_FIELDS,
    },
    "kubernetes": {
        "K8sDeployment": f"{PLACE} replicas strategy images {ANNOTATIONS}",
        "K8sStatefulSet": f"{PLACE} replicas images {ANNOTATIONS}",
        "K8sDaemonSet": f"{PLACE} images strategy {ANNOTATIONS}",
        "K8sService": f"{PLACE} service_type cluster_ip ports {ANNOTATIONS}",
        "K8sConfigMap": f"{PLACE} keys_added keys_removed keys_modified {ANNOTATIONS}",
        "K8sSecret": f"{PLACE} keys_added keys_removed keys_modified {ANNOTATIONS}",
        "K8sIngress": f"{PLACE} ingress_class hosts {ANNOTATIONS}",
        "K8sJob": f"{PLACE} status duration images {ANNOTATIONS}",
        "K8sCronJob": f"{PLACE} schedule suspended images {ANNOTATIONS}",
        "K8sNode": f"{PLACE} conditions unschedulable taints {ANNOTATIONS}",
        "K8sPod": f"{PLACE} reason container restarts",
        "K8sRole": f"{PLACE} rules {ANNOTATIONS}",
        "K8sRoleBinding": f"{PLACE} role subjects {ANNOTATIONS}",
        "HelmRelease": f"{PLACE} release revision status chart",
    },
    "api": dict.fromkeys(
        [
            "Deployment",
            "Release",
            "Configuration",
            "FeatureFlag",
            "Migration",
            "Infrastructure",
            "Dns",
            "Incident",
            "Other",
        ],
        "repository service environment version status sha digest claimed_time end_time duration actor text data "
        "external_id cloudevent_type cloudevent_source cloudevent_subject",
    ),
    "painchain": {
        "ConnectorCreated": "connector_name connector_type action",
        "ConnectorUpdated": "connector_name connector_type changes action",
        "ConnectorDeleted": "connector_name connector_type action",
        "ConnectorEnabled": "connector_name connector_type action",
        "ConnectorDisabled": "connector_name connector_type action",
        "ConnectorFailing": "connector_name connector_type error action",
        "ConnectorRecovered": "connector_name connector_type failures since action",
        "ConfigChanged": "connector_name field old_value new_value action",
        "FieldVisibilityChanged": "event_type field visible action",
        "NotifyRuleCreated": "rule configuration action",
        "NotifyRuleChanged": "rule changes action",
        "NotifyRuleDeleted": "rule configuration action",
        "WebhookChanged": "connector_name field new_value action",
        "EventsExported": "format events filter action",
        "TeamCreated": "team tags action",
        "TeamUpdated": "team changes action",
        "TeamDeleted": "team tags action",
        "ViewSaved": "view filter audience action",
        "ViewChanged": "view changes action",
        "ViewDeleted": "view filter audience action",
        "NoteAdded": "connector_name text event event_id action",
        "RetentionChanged": "field old_value new_value action",
        "EventsPruned": "of_source events before oldest newest rule cause action",
        "BackupRestored": "backup_time events backup_size abandoned_size abandoned_head old_key action",
        "KeyRotated": "old_key new_key sealed action",
        "KeyReplaced": "old_key new_key unverified dropped action",
        "KeyCopyConfirmed": "key action",
        "SetupListHidden": "remaining action",
        "CheckpointMade": "events head action",
        "ChainBegun": "events action",
        "ChainBroken": "why of_event how action",
        "ChainMended": "was action",
        "PersonAdded": "person role action",
        "PersonChanged": "person changes action",
        "PersonDisabled": "person action",
        "PersonEnabled": "person action",
        "PersonRemoved": "person role tokens views action",
        "PasswordSet": "person action",
        "PasswordLinkMade": "person action",
        "SignedIn": "person way address browser action",
        "SignedOut": "person action",
        "SignInFailed": "person why way address action",
        "TokenCreated": "token role person days action",
        "TokenRevoked": "token person action",
    },
}

TITLES_OF_FIELDS = {
    "connector_name": "Connector Name",
    "connector_type": "Connector Type",
    "changes": "Changes",
    "action": "Action",
    "field": "Field",
    "old_value": "Old Value",
    "new_value": "New Value",
    "event_type": "Event Type",
    "visible": "Visible",
}

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


def field(address: str) -> Field:
    """Return a field by "type.key"."""
    type_key, key = address.split(".")
    result = TYPES[type_key].field(key)
    assert result is not None
    return result


def test_these_types_can_be_added_and_painchain_is_built_in():
    assert list(ADDABLE) == ["github", "gitlab", "kubernetes"]
    assert set(TYPES) == {*ADDABLE, "painchain", "api"}
    assert BUILTIN is TYPES["painchain"]
    assert [kind.key for kind in TYPES.values() if kind.builtin] == ["painchain"]


@pytest.mark.parametrize(
    ("type_key", "key", "caption", "kind", "default", "required", "range_"), FIELDS, ids=lambda value: str(value)[:20]
)
def test_a_field_is_as_specified(type_key, key, caption, kind, default, required, range_):
    result = field(f"{type_key}.{key}")
    assert (result.caption, result.kind, result.required) == (caption, kind, required)
    assert result.normalize(result.default) == default
    assert ((result.minimum, result.maximum) if result.maximum else None) == range_


@pytest.mark.parametrize("type_key", TYPES)
def test_a_type_has_these_fields_and_no_others_in_this_order(type_key):
    own = [key for owner, key, *_ in FIELDS if owner == type_key]
    assert [field.key for field in TYPES[type_key].all_fields] == ["name", "tags", *own]


@pytest.mark.parametrize("type_key", TYPES)
def test_every_type_has_a_required_name_and_optional_tags(type_key):
    name, tags = TYPES[type_key].all_fields[:2]
    assert (name.label, name.kind, name.required, name.max_length) == ("Connection Name", "text", True, 100)
    assert (tags.label, tags.kind, tags.required) == ("Tags", "tags", False)


def test_the_built_in_connector_has_the_specified_name_and_tags():
    assert (SYSTEM_NAME, SYSTEM_TAGS) == ("PainChain System", ["system", "audit"])


@pytest.mark.parametrize("type_key", TYPES)
def test_a_type_has_these_event_types_with_these_fields(type_key):
    fields_by_type = {
        event_type.name: " ".join(field.key for field in event_type.fields)
        for event_type in TYPES[type_key].event_types
    }
    assert fields_by_type == EVENT_FIELDS[type_key]


def test_the_fields_of_the_audit_trail_are_labelled_as_specified():
    own = {
        "EventsExported",
        "TeamCreated",
        "TeamUpdated",
        "TeamDeleted",
        "ViewSaved",
        "ViewChanged",
        "ViewDeleted",
        "NoteAdded",
        "RetentionChanged",
        "EventsPruned",
        "BackupRestored",
        "KeyRotated",
        "KeyReplaced",
        "KeyCopyConfirmed",
        "SetupListHidden",
        "CheckpointMade",
        "ChainBegun",
        "ChainBroken",
        "ChainMended",
        "ConnectorFailing",
        "ConnectorRecovered",
        *(event_type.name for event_type in PEOPLE),
        "WebhookChanged",
        "NotifyRuleCreated",
        "NotifyRuleChanged",
        "NotifyRuleDeleted",
    }  # these are not in the specification
    for event_type in BUILTIN.event_types:
        for field in event_type.fields if event_type.name not in own else ():
            assert field.label.casefold() == TITLES_OF_FIELDS[field.key].casefold()


@pytest.mark.parametrize("type_key", TYPES)
def test_keys_are_unique_within_a_type(type_key):
    connector_type = TYPES[type_key]
    for keys in (
        [field.key for field in connector_type.all_fields],
        [event_type.name for event_type in connector_type.event_types],
        *([field.key for field in event_type.fields] for event_type in connector_type.event_types),
    ):
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize("type_key", ADDABLE)
def test_the_defaults_of_a_type_are_valid_except_required_values(type_key):
    cleaned, errors = TYPES[type_key].clean(TYPES[type_key].defaults())
    assert set(errors) == {"name"}
    assert cleaned == {key: value for key, value in TYPES[type_key].defaults().items() if key != "name"}


def test_turning_off_certificate_checks_shows_a_warning():
    assert "not verified" in field("kubernetes.verify_ssl").off_warning


@pytest.mark.parametrize(("address", "value", "reason"), REFUSED, ids=lambda value: repr(value)[:40])
def test_an_invalid_value_is_rejected_with_a_reason(address, value, reason):
    with pytest.raises(FieldError, match=re.escape(reason)):
        field(address).clean(value)


@pytest.mark.parametrize(("address", "given", "stored"), TAKEN, ids=lambda value: repr(value)[:40])
def test_a_valid_value_is_accepted(address, given, stored):
    cleaned = field(address).clean(given)
    assert cleaned == stored
    assert type(cleaned) is type(stored)


@pytest.mark.parametrize("address", [f"{row[0]}.{row[1]}" for row in FIELDS if row[5] and row[3] != "secret"])
@pytest.mark.parametrize("empty", [None, "", []], ids=repr)
def test_a_required_field_must_not_be_empty(address, empty):
    with pytest.raises(FieldError, match="is required"):
        field(address).clean(empty)


@pytest.mark.parametrize("address", [f"{row[0]}.{row[1]}" for row in FIELDS if not row[5]])
@pytest.mark.parametrize("empty", [None, "", []], ids=repr)
def test_an_optional_field_may_be_left_empty(address, empty):
    assert field(address).clean(empty) in (None, [])


@pytest.mark.parametrize("type_key", [None, "", "unknown"])
def test_for_an_unknown_type_a_field_is_secret_if_any_type_has_it_secret(type_key):
    assert connectors.field(type_key, "token").kind is Kind.SECRET
    assert connectors.field(type_key, "poll_interval").kind is Kind.NUMBER
    assert connectors.field(type_key, "no_such_field") is None


def test_a_field_or_event_type_is_that_of_its_own_type():
    assert connectors.field("kubernetes", "poll_interval").minimum == 10
    assert connectors.field("painchain", "token") is None
    assert connectors.event_type("gitlab", "Pipeline").label == "Pipeline"
    assert connectors.event_type("github", "Pipeline") is None
    assert connectors.event_type("unknown", "Pipeline") is None


def test_every_invalid_field_is_named_and_valid_values_remain():
    cleaned, errors = TYPES["github"].clean({"name": "Work", "poll_interval": "7", "base_url": "ftp://host.example"})
    assert cleaned == {"name": "Work"}
    assert set(errors) == {"poll_interval", "base_url"}


def test_an_error_about_an_address_does_not_repeat_its_password():
    with pytest.raises(FieldError) as refused:
        field("github.base_url").clean("https://person:planted@host.example")
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
    ca_certificate = field("kubernetes.ca_certificate")
    assert ca_certificate.clean(pem.replace("\n", "\r\n")) == pem.strip()
    assert ca_certificate.clean(pem + pem) == (pem + pem).strip()


def test_a_private_key_is_rejected_alone_and_with_a_certificate(certificate):
    pem, private = certificate
    for text in (private, pem + private, private + pem):
        with pytest.raises(FieldError, match="private key"):
            field("kubernetes.ca_certificate").clean(text)


def test_invalid_certificates_are_rejected(certificate):
    pem, _ = certificate
    broken = pem[: len(pem) // 2]
    wrapped = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"
    for text in ("nonsense", broken, wrapped, pem + wrapped, pem.replace("CERTIFICATE", "PUBLIC KEY")):
        with pytest.raises(FieldError, match="PEM"):
            field("kubernetes.ca_certificate").clean(text)


def shared_files() -> list[Path]:
    """Return the files that may not name a connector type. The demo plays the sources, so it names them."""
    own_folders = {ROOT / "painchain" / "connectors", ROOT / "painchain" / "maintenance" / "demo"}
    code = [path for path in (ROOT / "painchain").rglob("*.py") if own_folders.isdisjoint(path.parents)]
    return [*code, ROOT / "app.py", *(ROOT / "templates").rglob("*.html")]


@pytest.mark.parametrize("path", shared_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_shared_code_names_no_connector_type(path):
    names = "|".join(ADDABLE)
    assert re.findall(names, path.read_text(encoding="utf-8"), re.IGNORECASE) == []


def test_each_type_is_one_file_or_package_and_one_line_of_the_registry():
    folder = ROOT / "painchain" / "connectors"
    files = [path for path in folder.rglob("*.py") if "\nTYPE = " in path.read_text(encoding="utf-8")]
    assert {path.parent.name if path.name == "__init__.py" else path.stem for path in files} == set(TYPES)
    assert len(files) == len(TYPES)
    lines = [line for line in (folder / "__init__.py").read_text().splitlines() if "module.TYPE" in line]
    assert len(lines) == 1


@pytest.fixture
def sample_type(monkeypatch) -> ConnectorType:
    """A sample connector type, added to the registry."""
    connector_type = ConnectorType(
        key="forge",
        label="Forge",
        summary="Casts of a forge.",
        icon="circle",
        colour="grey",
        fields=(
            Field("passphrase", "Passphrase", Kind.SECRET),
            Field("heat", "Heat", Kind.NUMBER, 900, True, "degrees", minimum=100, maximum=2000),
        ),
        event_types=(EventType("Cast", "Cast", fields(metal="Metal")),),
    )
    monkeypatch.setitem(connectors.TYPES, "forge", connector_type)
    monkeypatch.setitem(connectors.ADDABLE, "forge", connector_type)
    return connector_type


def test_storage_redaction_labels_and_visibility_follow_from_a_new_types_fields(sample_type, client, events):
    new = {"name": "Anvil", "type": "forge", "config": {"passphrase": "planted-passphrase"}}
    created = client.post("/api/connectors", json=new)
    assert created.status_code == 201
    assert created.json["config"] == {"passphrase": {"set": True}, "heat": 900}
    assert created.json["visibility"] == {"Cast": {"metal": True}}
    address, etag = f"/api/connectors/{created.json['id']}", {"If-Match": created.headers["ETag"]}
    assert client.patch(address, json={"config": {"heat": 99}}, headers=etag).status_code == 422
    changed = {"config": {"heat": "1000", "passphrase": "planted-again"}}
    assert client.patch(address, json=changed, headers=etag).status_code == 200
    assert client.put(f"{address}/visibility/Cast/metal", json={"visible": False}).status_code == 200
    texts = [event["description"]["text"] for event in events(connector="Anvil")]
    assert texts == [
        "Created the Forge connector “Anvil”",
        "Passphrase replaced in “Anvil”",
        "Heat changed from 900 to 1000 in “Anvil”",
        "Updated “Anvil”: Passphrase replaced; Heat changed from 900 to 1000",
        "Metal of Cast events hidden",
    ]
    assert "planted" not in str(events())
