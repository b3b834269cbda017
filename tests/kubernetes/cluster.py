"""A real Kubernetes API server with its etcd, on ports and in a folder of its own."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

BUILD = Path(__file__).with_name("build")
ADMIN, READER, NOBODY = "made-up-admin", "made-up-reader", "made-up-nobody"
TOKENS = f"""{ADMIN},admin,1,system:masters
{READER},system:serviceaccount:painchain:reader,2
{NOBODY},system:serviceaccount:painchain:nobody,3
"""
PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    url: str
    certificate: str
    etcd: str

    def ask(self, method: str, path: str, value: Any = None, kind: str = "application/json", who: str = ADMIN) -> Any:
        """Return the answer of the API server, as kubectl would get it."""
        headers = {"Authorization": f"Bearer {who}", "Content-Type": kind, "User-Agent": "kubectl-create"}
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        trust = ssl.create_default_context(cadata=self.certificate)
        with urllib.request.urlopen(request, timeout=20, context=trust) as answer:
            return json.loads(answer.read() or b"null")

    def make(self, path: str, name: str, **more: Any) -> Any:
        """Create an object."""
        return self.ask("POST", path, {"metadata": {"name": name, **more.pop("metadata", {})}, **more})

    def patch(self, path: str, value: Any) -> Any:
        """Change an object as a person with an editor does."""
        return self.ask("PATCH", f"{path}?fieldManager=kubectl-edit", value, PATCH)

    def set_status(self, path: str, status: Any) -> Any:
        """Change the status of an object as its controller does."""
        return self.ask("PATCH", f"{path}/status?fieldManager=a-controller", {"status": status}, PATCH)

    def remove(self, path: str) -> Any:
        """Delete an object."""
        return self.ask("DELETE", path, {"gracePeriodSeconds": 0})

    def forget(self) -> None:
        """Let etcd forget all but the present (compaction)."""
        key = b64encode(b"/registry").decode()
        revision = _etcd(self.etcd, "/v3/kv/range", {"key": key})["header"]["revision"]
        _etcd(self.etcd, "/v3/kv/compaction", {"revision": revision, "physical": True})


@contextmanager
def cluster(binaries: Path, folder: Path) -> Iterator[Cluster]:
    """Run a cluster in a folder. Config maps are watched through the server's cache, secrets straight from etcd."""
    etcd, peers, port = (_free_port() for _ in range(3))
    (folder / "tokens.csv").write_text(TOKENS)
    subprocess.run(["openssl", "genrsa", "-out", folder / "account.key", "2048"], check=True, capture_output=True)
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str, **options: Any) -> None:
        flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        with (folder / f"{name}.log").open("wb") as log:
            started.append(subprocess.Popen([binaries / name, *flags], stdout=log, stderr=log, cwd=folder))

    try:
        store = f"http://127.0.0.1:{etcd}"
        run(
            "etcd",
            data_dir=folder / "etcd",
            listen_client_urls=store,
            advertise_client_urls=store,
            listen_peer_urls=f"http://127.0.0.1:{peers}",
            initial_advertise_peer_urls=f"http://127.0.0.1:{peers}",
            initial_cluster=f"default=http://127.0.0.1:{peers}",
        )
        run(
            "kube-apiserver",
            etcd_servers=store,
            etcd_compaction_interval=0,
            cert_dir=folder / "certificates",
            bind_address="127.0.0.1",
            secure_port=port,
            authorization_mode="RBAC",
            token_auth_file=folder / "tokens.csv",
            service_account_issuer="https://cluster.example",
            service_account_key_file=folder / "account.key",
            service_account_signing_key_file=folder / "account.key",
            service_cluster_ip_range="10.0.0.0/24",
            disable_admission_plugins="ServiceAccount,TaintNodesByCondition",
            watch_cache_sizes="secrets#0",
        )
        yield _ready(f"https://127.0.0.1:{port}", folder, store, started)
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def why_not(binaries: Path) -> str:
    """Build what is missing; return why that cannot be done, or ""."""
    for tool in ("openssl", "dpkg-source", "apt-get"):
        if shutil.which(tool) is None:
            return f"a cluster cannot be built here: there is no {tool}"
    built = subprocess.run([BUILD, binaries], capture_output=True, text=True)
    return (built.returncode and f"the cluster was not built: {(built.stderr.splitlines() or ['?'])[-1]}") or ""


def _ready(url: str, folder: Path, etcd: str, started: list[subprocess.Popen[bytes]]) -> Cluster:
    end = time.monotonic() + 60
    certificate = folder / "certificates" / "apiserver.crt"
    while time.monotonic() < end:
        try:
            running = Cluster(url, certificate.read_text(), etcd)
            running.ask("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/view")
            running.ask("GET", "/api/v1/namespaces/default")
            return running
        except (OSError, HTTPError, ssl.SSLError):
            for process in started:
                assert process.poll() is None, (folder / "kube-apiserver.log").read_text()[-3000:]
            time.sleep(0.2)
    raise AssertionError((folder / "kube-apiserver.log").read_text()[-3000:])


def _etcd(url: str, path: str, value: Any) -> Any:
    request = urllib.request.Request(url + path, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
