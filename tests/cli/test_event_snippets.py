"""The snippets of `docs/events.md` record what they say, as far as a machine without those systems can try them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import jinja2
import pytest
import yaml

from painchain.cli.event import event as command
from painchain.connectors.change_event import ChangeEvent
from painchain.core.config import CLIENT_VARIABLES
from painchain.web.help import documents
from tests.cli.conftest import RunningServer
from tests.support.server_process import PATIENCE

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
SHA = "0123456789abcdef0123456789abcdef01234567"
PROGRAMS = {
    "painchain": f'exec {sys.executable} -c "from painchain.cli.main import main; main()" "$@"',
    "git": f"echo {SHA}",
    "terraform": "true",
}
STEPS = ("deploy.sh", "migrate.sh", "import.sh", "clean-up.sh")


def snippets() -> dict[str, list[str]]:
    """Return the code blocks of the document by the heading that they are under."""
    found: dict[str, list[str]] = {}
    heading, tokens = "", documents.markdown().parse(DOCUMENT)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = tokens[index + 1].content
        elif token.type == "code_block":
            found.setdefault(heading, []).append(token.content)
    return found


SNIPPETS = snippets()


@pytest.fixture
def folder(client_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scripts that the snippets call, and their programs on the path."""
    for folder, files in (("bin", PROGRAMS), ("work", dict.fromkeys(STEPS, "true"))):
        (tmp_path / folder).mkdir()
        for name, line in files.items():
            (tmp_path / folder / name).write_text(f"#!/bin/sh\n{line}\n")
            (tmp_path / folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "work"


def github() -> tuple[str, dict[str, str]]:
    """Return the shell code of the step of GitHub Actions and its environment."""
    (step,) = [
        step for step in yaml.safe_load(SNIPPETS["GitHub Actions"][0])["jobs"]["deploy"]["steps"] if "env" in step
    ]
    assert step["env"].keys() == {"PAINCHAIN_URL", "PAINCHAIN_TOKEN", "JOB_STATUS"}
    return step["run"], {
        "JOB_STATUS": "success",
        "GITHUB_REF_NAME": "v1.4.2",
        "GITHUB_SHA": SHA,
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_ACTOR": "ada",
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": "1",
    }


def gitlab() -> tuple[str, dict[str, str]]:
    """Return the shell code of the job of GitLab CI and its environment: one without a tag."""
    (line,) = yaml.safe_load(SNIPPETS["GitLab CI"][0])["deploy"]["after_script"]
    return line, {
        "CI_PROJECT_NAME": "shop",
        "CI_COMMIT_REF_NAME": "main",
        "CI_ENVIRONMENT_NAME": "production",
        "CI_COMMIT_TAG": "",
        "CI_COMMIT_SHA": SHA,
        "CI_PROJECT_PATH": "acme/shop",
        "GITLAB_USER_LOGIN": "ada",
        "CI_JOB_STATUS": "failed",
        "CI_JOB_URL": "https://gitlab.example/acme/shop/-/jobs/78",
        "CI_JOB_ID": "78",
    }


def jenkins() -> tuple[str, dict[str, str]]:
    """Return the shell code of the pipeline of Jenkins and its environment."""
    (code,) = re.findall(r"sh '''(.*?)'''", SNIPPETS["Jenkins"][0], re.DOTALL)
    own = {"BUILD_NUMBER": "79", "BUILD_URL": "https://jenkins.example/job/shop/79/", "BUILD_TAG": "jenkins-shop-79"}
    return code, {"GIT_COMMIT": SHA, "RESULT": "success", **own}


def terraform() -> tuple[str, dict[str, str]]:
    """Return the command that Terraform runs and its environment."""
    (command,) = re.findall(r'command\s+= ("(?:[^"\\]|\\.)*")', SNIPPETS["Terraform"][0])
    return json.loads(command), {"VERSION": "1.4.3"}


def test_every_snippet_records_its_event(running_server: RunningServer, folder: Path) -> None:
    cases: list[tuple[tuple[str, Mapping[str, str]], str, dict[str, Any]]] = [
        ((SNIPPETS["curl"][0], {}), "Deployed shop 1.4.2", {"external_id": "deploy-4711", "status": "success"}),
        ((SNIPPETS["painchain event"][0], {}), "Deployed shop 1.4.2", {"sha": SHA, "version": "1.4.2"}),
        ((SNIPPETS["painchain run"][0], {}), "Migrate orders", {"data": {"exit_status": 0}, "status": "success"}),
        (github(), "Deployed shop v1.4.2", {"sha": SHA, "repository": "acme/shop", "external_id": "github-77-1"}),
        (gitlab(), "Deployed shop main", {"sha": SHA, "status": "failed", "external_id": "gitlab-78"}),
        (jenkins(), "Deployed shop, build 79", {"sha": SHA, "external_id": "jenkins-shop-79"}),
        (terraform(), "Deployed shop 1.4.3", {"version": "1.4.3"}),
        ((SNIPPETS["Batches and errors"][0], {}), "Disabled old-cart", {}),
    ]
    expected = []
    for (code, own), title, metadata in cases:
        if any(re.search(rf"^ *{tool} ", code, re.MULTILINE) and not shutil.which(tool) for tool in ("curl", "jq")):
            continue
        done = subprocess.run(
            ["bash", "-ec", code], cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False
        )
        assert (done.returncode, "Error" in done.stderr) == (0, False), (title, done.stdout, done.stderr)
        expected.append((title, metadata))
    recorded = [event for event in running_server.events("shop") if event["title"] != "Enabled new-cart"]
    assert [event["title"] for event in recorded] == [title for title, _ in expected]
    for event, (title, metadata) in zip(recorded, expected, strict=True):
        assert {name: event["metadata"].get(name) for name in metadata} == metadata, title


def test_the_snippet_for_ansible_is_a_valid_request(running_server: RunningServer, folder: Path) -> None:
    variables = {"painchain_url": running_server.url, "painchain_token": running_server.token}
    variables |= {"shop_version": "1.5.0", "target_environment": "staging"}

    def rendered(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: rendered(item) for name, item in value.items()}
        return jinja2.Template(value).render(variables) if isinstance(value, str) else value

    (task,) = yaml.safe_load(SNIPPETS["Ansible"][0])
    call = rendered(task["ansible.builtin.uri"])
    headers = {**call["headers"], "Content-Type": "application/json"}  # what body_format: json adds
    request = Request(call["url"], json.dumps(call["body"]).encode(), headers, method=call["method"])
    with urlopen(request, timeout=PATIENCE) as response:
        assert response.status in call["status_code"]
    assert "Deployed shop 1.5.0" in {event["title"] for event in running_server.events("shop")}


def test_the_trap_of_a_shell_script_records_success_and_failure(running_server: RunningServer, folder: Path) -> None:
    (folder / "nightly.sh").write_text(SNIPPETS["Shell"][0])
    for import_code in (0, 6):
        (folder / "import.sh").write_text(f"#!/bin/sh\nexit {import_code}\n")
        done = subprocess.run(["sh", "nightly.sh"], cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (import_code, "")
    recorded = running_server.events("import")
    assert [(event["status"], event["metadata"]["data"]) for event in recorded] == [
        ("success", {"exit_status": 0}),
        ("failure", {"exit_status": 6}),
    ]


def test_terraform_itself_can_run_as_a_command(running_server: RunningServer, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-ec", f"{SNIPPETS['Terraform'][1].strip()} --version"], cwd=folder, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_document_lists_every_member_option_and_variable() -> None:
    members = DOCUMENT.split("## Members", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", members, re.MULTILINE)))) == set(
        ChangeEvent.model_fields
    )
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    named = set(re.findall(r"--[a-z-]+", DOCUMENT))
    assert {"--service", "--no-spool"} <= options <= named
    assert tuple(re.findall(r"^\| `(PAINCHAIN_\w+)`", DOCUMENT, re.MULTILINE)) == CLIENT_VARIABLES
