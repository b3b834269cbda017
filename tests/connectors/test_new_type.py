"""A connector type is one file or package, and everything else follows from its fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from painchain import connectors
from painchain.connectors import ADDABLE, TYPES
from painchain.connectors.base import ConnectorType, EventType, Field, Kind, fields
from tests.connectors.specification import ROOT


def shared_files() -> list[Path]:
    """Return the files that may not name a connector type. The demo plays the sources, so it names them."""
    own_folders = {ROOT / "painchain" / "connectors", ROOT / "painchain" / "maintenance" / "demo"}
    code = [path for path in (ROOT / "painchain").rglob("*.py") if own_folders.isdisjoint(path.parents)]
    return [*code, ROOT / "app.py", *(ROOT / "templates").rglob("*.html")]


def test_shared_code_names_no_connector_type():
    names = "|".join(key for key in ADDABLE if key != "webhook")
    for path in shared_files():
        text = path.read_text(encoding="utf-8")
        assert re.findall(names, text, re.IGNORECASE) == [], path
        # Every type can have a webhook, so the word alone does not name the type.
        assert re.findall(r"connectors\.webhook|connectors import .*\bwebhook\b", text) == [], path
        compared = r"(?:type|key|source)\w*(?:\.key)?\)? *(?:==|!=|in) *.{0,20}[\"']webhook[\"']"
        assert re.findall(compared, text) == [], path
        assert re.findall(r"(?:TYPES|ADDABLE|EXTERNAL)\[[\"']webhook|preset", text, re.IGNORECASE) == [], path


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
