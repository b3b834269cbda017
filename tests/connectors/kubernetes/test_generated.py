"""Generated days of a cluster: a watch, polls, and both in any order agree, and nothing is recorded twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import strategies as st

from tests.counterparts import run_fake_server
from tests.support.fake_cluster import FakeCluster
from tests.support.kubernetes import Observer, job, put_deployment, put_revision, upgrade
from tests.support.thorough import examples


class Model:
    """A cluster in which things happen. Each method changes it and returns the titles of the events to expect."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self._replicas, self._annotation, self._revision, self._minute = 1, 1, 1, 29_500_000
        self._deploy()
        put_revision(self.cluster, 1, "deployed")
        self.cluster.put("ConfigMap", "shop", data={"colour": "1"})
        put_deployment(self.cluster, "shop-1.1.0", "shop/web:1")

    def scale(self) -> list[str]:
        """Change a field."""
        self._replicas += 1
        self._deploy()
        return ["[Deployment Updated] web"]

    def annotate(self) -> list[str]:
        """Change an annotation that configures something."""
        self._annotation += 1
        self._deploy()
        return ["[Deployment Updated] web"]

    def count(self) -> list[str]:
        """Change what machines write."""
        self._deploy(revision=str(self.cluster.version))
        return []

    def upgrade(self) -> list[str]:
        """Upgrade a release of Helm."""
        self._revision += 1
        upgrade(self.cluster, self._revision)
        return ["[ConfigMap Updated] shop", "[Deployment Updated] shop", "[HelmRelease Updated] shop"]

    def run_job(self) -> list[str]:
        """Run a Job of a CronJob."""
        self._minute += 1
        self.cluster.put(**job(self._minute))
        self.cluster.put(**job(self._minute, "Complete"))
        self.cluster.remove("Job", f"backup-{self._minute}")
        return []

    def fail_job(self) -> list[str]:
        """Run a Job of a CronJob, which fails."""
        self._minute += 1
        self.cluster.put(**job(self._minute))
        self.cluster.put(**job(self._minute, "Failed"))
        return [f"[Job Updated] backup-{self._minute}"]

    def restart(self) -> list[str]:
        """Delete an object and create another one with its name."""
        self.cluster.put("Service", "short")
        self.cluster.remove("Service", "short")
        return ["[Service Created] short", "[Service Deleted] short"]

    def _deploy(self, revision: str = "1") -> None:
        annotations = {"team": str(self._annotation), "deployment.kubernetes.io/revision": revision}
        self.cluster.put("Deployment", "web", spec={"replicas": self._replicas}, metadata={"annotations": annotations})


HAPPENINGS: dict[str, Callable[[Model], list[str]]] = {
    name: getattr(Model, name) for name in ("scale", "annotate", "count", "upgrade", "run_job", "fail_job", "restart")
}
steps = st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.sampled_from(["", "hear", "poll"])), max_size=8)


@hypothesis.settings(
    deadline=None,
    max_examples=examples(5),
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate),
)
@hypothesis.given(steps, st.integers(0, 12))
def test_a_watch_and_polls_in_any_order_agree_with_what_happened(steps: Any, again: int) -> None:
    model = Model()
    with run_fake_server(model.cluster) as fake_server:
        watching, polling, both = (Observer(model.cluster, fake_server) for _ in range(3))
        expected = []
        for happening, then in steps:
            expected += HAPPENINGS[happening](model)
            watching.hear(again)
            if then == "poll":
                polling.poll()
                both.poll()
            elif then == "hear":
                both.hear(again)
        for observer in (watching, polling, both):
            observer.poll()
            late = observer.hear(again)  # lines from before the poll: only what came and went is new
            assert set(late) <= (set() if observer is watching else {*Model().restart()})
            assert observer.poll() == []
    assert [event.title for event in watching.events] == expected
    ids = {event.event_id for event in watching.events}
    assert {event.event_id for event in both.events} <= ids | {event.event_id for event in polling.events}
    last_words = [facts_by_object(observer) for observer in (watching, polling, both)]
    for kind_and_name, facts in last_words[0].items():
        assert all(words.get(kind_and_name, facts) == facts for words in last_words)


def facts_by_object(observer: Observer) -> dict[tuple[str, ...], Any]:
    """Return status and revision in the last event of each object, by kind and name."""
    return {
        tuple(event.event_id.split(":")[2:4]): (event.facts.get("status"), event.facts.get("revision"))
        for event in observer.events
    }
