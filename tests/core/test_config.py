"""Every setting has a default, accepts valid values, and refuses invalid ones with a message."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from painchain.core import config

ME = Path(__file__)
TOKEN = ME.parent / "made_up.token"
# The settings that a setting requires.
BESIDE = {"oidc_issuer": {"oidc_client_id": "painchain", "public_url": "https://painchain.example"}}
GOOD: dict[str, tuple[str, Any]] = {
    "host": ("[::1]", "::1"),
    "port": ("0", 0),
    "instance": ("/srv/painchain", Path("/srv/painchain")),
    "database_url": ("postgresql+psycopg://me@db.example/painchain", "postgresql+psycopg://me@db.example/painchain"),
    "secret_key": ("a key", "a key"),
    "trusted_hosts": (" painchain.example, audit.example,", ("painchain.example", "audit.example")),
    "public_url": ("https://PainChain.example:8443/", "https://painchain.example:8443"),
    "trusted_proxies": ("5", 5),
    "allow_private_addresses": ("10.0.0.0/8, ::1", (ip_network("10.0.0.0/8"), ip_network("::1"))),
    "threads": ("256", 256),
    "max_request_bytes": ("1024", 1024),
    "session_idle_minutes": ("30", 30),
    "session_days": ("1", 1),
    "oidc_issuer": ("https://id.example/realms/one/", "https://id.example/realms/one/"),
    "oidc_client_id": ("painchain", "painchain"),
    "oidc_client_secret": ("hunter2", "hunter2"),
    "oidc_client_secret_file": (str(ME), ME),
    "secret_key_file": (str(ME), ME),
    "oidc_name": ("Example ID", "Example ID"),
    "oidc_role": ("viewer", "viewer"),
    "oidc_domains": ("People.example, @other.example,", ("people.example", "other.example")),
    "max_webhook_bytes": ("26214400", 26214400),
    "checkpoint_file": ("/mnt/elsewhere/checkpoints", Path("/mnt/elsewhere/checkpoints")),
    "checkpoint_url": ("https://keep.example/take?key=hunter2", "https://keep.example/take?key=hunter2"),
    "log_level": ("WARNING", "warning"),
    "log_format": ("JSON", "json"),
    "metrics_token": ("a-long-made-up-token", "a-long-made-up-token"),
    "metrics_token_file": (str(TOKEN), TOKEN),
}
DEFAULTS = {
    "host": "127.0.0.1",
    "port": 8000,
    "instance": Path.cwd() / "instance",
    "database_url": f"sqlite:///{Path.cwd()}/instance/painchain.db",
    "secret_key": "",
    "trusted_hosts": ("127.0.0.1", "localhost", "::1"),
    "public_url": "",
    "trusted_proxies": 0,
    "allow_private_addresses": (),
    "threads": 32,
    "max_request_bytes": 1048576,
    "session_idle_minutes": 720,
    "session_days": 14,
    "oidc_issuer": "",
    "oidc_client_id": "",
    "oidc_client_secret": "",
    "oidc_client_secret_file": None,
    "secret_key_file": None,
    "oidc_name": "single sign-on",
    "oidc_role": "",
    "oidc_domains": (),
    "max_webhook_bytes": 5242880,
    "checkpoint_file": Path.cwd() / "instance" / "checkpoints.ndjson",
    "checkpoint_url": "",
    "log_level": "info",
    "log_format": "",
    "metrics_token": "",
    "metrics_token_file": None,
}
BAD = [
    ("host", "http://host.example"),
    ("host", "host.example:8000"),
    ("host", "two words"),
    ("host", "[]"),
    ("port", "http"),
    ("port", "-1"),
    ("port", "65536"),
    ("port", "80.0"),
    ("port", "٨٠"),
    ("port", "9" * 5000),
    ("instance", "~there-is-no-such-person/painchain"),
    ("instance", "not-utf-8-\udcff"),
    ("database_url", "painchain.db"),
    ("database_url", "sqlite://"),
    ("database_url", "sqlite:///:memory:"),
    ("database_url", "mysql://me:hunter2@db.example/painchain"),
    ("database_url", "postgresql://me:hunter2@db.example/painchain"),
    ("database_url", "postgresql+psycopg://me:hunter2@db.example:port/painchain"),
    ("database_url", "me:hunter2@db.example"),
    ("threads", "0"),
    ("threads", "257"),
    ("trusted_proxies", "6"),
    ("allow_private_addresses", "gitlab.lan"),
    ("allow_private_addresses", "10.0.0.1/8"),
    ("max_request_bytes", "1023"),
    ("max_request_bytes", "67108865"),
    ("session_idle_minutes", "0"),
    ("session_days", "366"),
    ("public_url", "painchain.example"),
    ("public_url", "https://painchain.example/under"),
    ("public_url", "https://me@painchain.example"),
    ("public_url", "https://painchain.example:port"),
    ("oidc_issuer", "id.example"),
    ("oidc_issuer", "http://id.example"),
    ("oidc_issuer", "https://id.example?tenant=1"),
    ("oidc_issuer", "https://[id.example"),
    ("oidc_issuer", "https://id.example"),
    ("oidc_client_secret_file", "/there/is/no/such/file"),
    ("oidc_client_secret_file", "/"),
    ("secret_key_file", "/there/is/no/such/file"),
    ("oidc_name", "n" * 41),
    ("oidc_role", "owner"),
    ("oidc_domains", "me@people.example"),
    ("oidc_domains", ".example"),
    ("max_webhook_bytes", "26214401"),
    ("checkpoint_file", "~there-is-no-such-person/checkpoints"),
    ("checkpoint_url", "http://keep.example/"),
    ("checkpoint_url", "https://me:hunter2@keep.example/"),
    ("checkpoint_url", "https://keep.example/#hunter2"),
    ("checkpoint_url", "ftp://127.0.0.1/"),
    ("log_level", "loud"),
    ("log_format", "xml"),
    ("metrics_token", "fifteen-letters"),
    ("metrics_token", "a token with blanks"),
    ("metrics_token_file", "/there/is/no/such/file"),
]


def load(**values: str) -> config.Settings:
    """Load the settings from an environment with these variables."""
    return config.load({f"PAINCHAIN_{name.upper()}": value for name, value in values.items()})


def test_the_tables_of_this_test_cover_every_setting() -> None:
    names = [setting.name for setting in config.SETTINGS]
    assert sorted(GOOD) == sorted(DEFAULTS) == sorted(names)
    # Any text is valid for these: keys are checked when they are loaded, client credentials by the provider.
    assert {name for name, _ in BAD} == set(names) - {
        "secret_key",
        "trusted_hosts",
        "oidc_client_id",
        "oidc_client_secret",
    }


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_missing_setting_has_its_default(name: str) -> None:
    assert getattr(load(), name) == DEFAULTS[name]


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_setting_has_its_default(name: str, empty: str) -> None:
    assert getattr(load(**{name: empty}), name) == DEFAULTS[name]


@pytest.mark.parametrize(("name", "text", "value"), [(name, *pair) for name, pair in GOOD.items()])
def test_a_valid_value_is_used(name: str, text: str, value: Any) -> None:
    assert getattr(load(**BESIDE.get(name, {}), **{name: text}), name) == value


@pytest.mark.parametrize(("name", "text"), BAD)
def test_an_invalid_value_fails_with_one_line_that_names_the_variable(name: str, text: str) -> None:
    with pytest.raises(config.ConfigError) as stopped:
        load(**{name: text})
    message = str(stopped.value)
    assert message.startswith(f"PAINCHAIN_{name.upper()}")
    assert message.endswith(".")
    assert message.isprintable()
    assert "hunter2" not in message


def test_an_invalid_value_is_shown_unless_it_may_contain_a_secret() -> None:
    with pytest.raises(
        config.ConfigError, match=r"PAINCHAIN_PORT \('eighty'\): must be an integer between 0 and 65535\."
    ):
        load(port="eighty")
    with pytest.raises(config.ConfigError, match=r"must be an integer between 0 and 65535\.$"):
        load(port="9" * 5000)
    with pytest.raises(config.ConfigError) as stopped:
        load(database_url="a-secret-by-mistake")
    assert "a-secret-by-mistake" not in str(stopped.value)
    for name in ("secret_key_file", "metrics_token_file", "oidc_client_secret_file"):
        with pytest.raises(config.ConfigError, match="cannot read the file: No such file") as stopped:
            load(**{name: "a-secret-by-mistake"})
        assert "a-secret-by-mistake" not in str(stopped.value)


def test_printed_settings_show_no_secret() -> None:
    """The settings may appear in a traceback with local variables, or in a debug line."""
    secret = [setting.name for setting in config.SETTINGS if setting.secret]
    printed = repr(load(**{name: GOOD[name][0] for name in secret}))
    assert [name for name in secret if f"{name}=" in printed or GOOD[name][0] in printed] == []
    assert "port=8000" in printed


def test_settings_that_may_contain_a_password_are_marked_as_secret() -> None:
    secret = {setting.name for setting in config.SETTINGS if setting.secret}
    assert secret == {"database_url", "secret_key", "oidc_client_secret", "metrics_token", "checkpoint_url"}


def test_every_setting_has_a_description() -> None:
    assert [setting.name for setting in config.SETTINGS if not setting.help.endswith(".")] == []


@pytest.mark.parametrize("name", ["plain", "with space", "what?", "50%41", "a#b", "smörgås"])
def test_the_database_is_in_the_instance_folder_with_any_name(tmp_path: Path, name: str) -> None:
    url = load(instance=str(tmp_path / name)).database_url
    assert make_url(url).database == str(tmp_path / name / "painchain.db")


def test_the_instance_folder_can_be_relative_or_in_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert load(instance="~/here").instance == tmp_path / "here"
    assert load(instance="here").instance == tmp_path / "here"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_on_loopback_only_loopback_host_names_are_trusted(host: str) -> None:
    assert load(host=host).trusted_hosts == config.LOOPBACK


def test_beyond_loopback_every_host_name_is_trusted_unless_names_are_set() -> None:
    assert load(host="0.0.0.0").trusted_hosts == ()
    assert load(host="0.0.0.0", trusted_hosts="painchain.example").trusted_hosts == ("painchain.example",)


def test_the_public_address_is_trusted_and_requires_signing_in() -> None:
    assert load(public_url="https://painchain.example").trusted_hosts == (*config.LOOPBACK, "painchain.example")
    assert load(public_url="http://localhost:8000").trusted_hosts == config.LOOPBACK
    assert load(host="0.0.0.0", public_url="https://painchain.example").trusted_hosts == ()
    assert load().is_loopback_only
    assert load(public_url="http://localhost:8000").is_loopback_only
    assert not load(public_url="https://painchain.example").is_loopback_only
    assert not load(host="0.0.0.0", public_url="http://localhost:8000").is_loopback_only


def test_the_key_is_configured_in_only_one_place(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hunter2\n")
    assert load(secret_key_file=str(file)).secret_key_file == file
    with pytest.raises(config.ConfigError, match="PAINCHAIN_SECRET_KEY is set too") as refused:
        load(secret_key_file=str(file), secret_key="hunter2")
    assert "hunter2" not in str(refused.value)


def test_the_client_secret_can_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    assert load(oidc_client_secret_file=str(file)).oidc_client_secret == "hunter2"
    with pytest.raises(config.ConfigError, match="is set too"):
        load(oidc_client_secret_file=str(file), oidc_client_secret="x")
    file.write_text(" ")
    with pytest.raises(config.ConfigError, match="the file is empty"):
        load(oidc_client_secret_file=str(file))


def test_a_misspelt_variable_is_detected() -> None:
    environ = {"PAINCHAIN_PROT": "1", "PAINCHAIN_PORT": "1", "PAINCHAIN_TEST_POSTGRES": "x", "PATH": "/bin"}
    environ |= dict.fromkeys(config.CLIENT_VARIABLES, "x")
    assert config.unknown(environ) == ["PAINCHAIN_PROT"]


def test_the_metrics_token_must_be_long_and_can_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-long-made-up-token\n")
    assert load(metrics_token_file=str(file)).metrics_token == "a-long-made-up-token"
    assert load().metrics_token == ""
    with pytest.raises(config.ConfigError, match="is set too"):
        load(metrics_token_file=str(file), metrics_token="another-made-up-token")
    file.write_text("short")
    for values in ({"metrics_token": "short"}, {"metrics_token_file": str(file)}):
        with pytest.raises(config.ConfigError, match="at least 16 characters") as refused:
            load(**values)
        assert "short" not in str(refused.value)
