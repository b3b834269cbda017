"""What happens on an ordinary day: changes that are reviewed, built and deployed, and the work of operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from painchain.connectors.contract import SourceEvent
from painchain.maintenance.demo.company import (
    EDGE,
    GITHUB,
    GITLAB,
    PRODUCTION,
    RARE,
    STAGING,
    Change,
    Company,
    Service,
    Step,
)
from painchain.maintenance.demo.github import GitHub
from painchain.maintenance.demo.gitlab import GitLab
from painchain.maintenance.demo.kubernetes import BY_CI, BY_HAND, BY_MACHINE, Cluster

IsCollecting = Callable[[str, datetime], bool]  # whether a connector, by its name, is read at a time
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
FAILED_JOBS = ("unit tests", "lint", "integration tests")
HTTP, READ = "80/TCP → 8080 (http)", "pods, configmaps"
BOTH = ["ServiceAccount platform/deployer", "Group demo-operators"]
CLUSTER_OF = {"staging": STAGING, "production": PRODUCTION}


class Stories:
    """The stories of the company. Each returns the steps of one, in order of time."""

    def __init__(self, company: Company, connector_ids: dict[str, int], is_collecting: IsCollecting):
        self.is_collecting = is_collecting
        self.company = company
        self.random = company.random
        self.hosts: dict[str, GitHub | GitLab] = {
            GITHUB: GitHub(company, connector_ids[GITHUB]),
            GITLAB: GitLab(company, connector_ids[GITLAB]),
        }
        self.clusters = {name: Cluster(company, name) for name in (PRODUCTION, STAGING, EDGE)}

    def free_service(self, at: datetime) -> Service:
        """Return a service that nobody deploys at this time, if there is one."""
        services = self.services(at)
        return self.random.choice([service for service in services if service.busy_until <= at] or services)

    def services(self, at: datetime) -> list[Service]:
        """Return the services whose code host is read at this time."""
        return [service for service in self.company.services if self.is_collecting(service.host, at)]

    def cluster(self, at: datetime, *names: str) -> Cluster:
        """Return one of these clusters that is read at this time."""
        return self.clusters[self.random.choice([name for name in names if self.is_collecting(name, at)])]

    def delivery(self, at: datetime) -> list[Step]:
        """Return a change from its pull request to production, or as far as it comes."""
        service = self.free_service(at)
        change = self.company.change(service)
        host = self.hosts[service.host]
        merged_at = at + self.random.randrange(15, 110) * MINUTE
        steps = [Step(at, host.connector, lambda: host.opened(change, at))]
        if self.random.random() < 0.08:
            return [*steps, Step(merged_at, host.connector, lambda: host.closed(change, merged_at))]
        steps += self.merge(change, merged_at)
        built = change  # its own name: the step above still needs the change that was opened
        if self.random.random() < 0.1:
            failed_job = self.random.choice(FAILED_JOBS)
            steps += self.run(change, "Tests", merged_at + 8 * SECOND, self.minutes(3, 7), failed_job)
            built = self.company.change(service, "Fix the tests", change.author)
            built.branch, built.commits = "main", 1
            steps += self.push(built, steps[-1].at + self.random.randrange(6, 25) * MINUTE)
        steps += self.build(built, steps[-1].at + 8 * SECOND)
        steps += self.deploy(built, "staging", steps[-1].at + 20 * SECOND)
        if self.random.random() < 0.65:
            steps += self.deploy(built, "production", steps[-1].at + self.random.randrange(10, 45) * MINUTE)
            if self.random.random() < 0.06:
                steps.append(self.restart(service, steps[-1].at + self.minutes(2, 9)))
        service.busy_until = steps[-1].at
        return steps

    def minutes(self, least: int, most: int) -> timedelta:
        """Return a random time between so many minutes."""
        return self.random.randrange(least * 60, most * 60) * SECOND

    def merge(self, change: Change, at: datetime) -> list[Step]:
        """Return the merge of a pull request, with its push."""
        host = self.hosts[change.service.host]
        return [Step(at, host.connector, lambda: host.merged(change, at)), *self.push(change, at + SECOND)]

    def push(self, change: Change, at: datetime) -> list[Step]:
        """Return the push of a change to the main branch, and its commits."""
        host = self.hosts[change.service.host]

        def commit(index: int) -> Callable[[], SourceEvent]:
            committed_at = at - (change.commits - index) * self.minutes(4, 12)
            return lambda: host.commit(change, index, at, committed_at)

        commits = (Step(at, host.connector, commit(index)) for index in range(change.commits))
        return [Step(at, host.connector, lambda: host.pushed(change, at)), *commits]

    def run(
        self, change: Change, name: str, at: datetime, duration: timedelta, failed_job: str = "", trigger: str = "push"
    ) -> list[Step]:
        """Return the start and the end of a workflow run or pipeline."""
        host = self.hosts[change.service.host]
        run = host.run(change, name, at, trigger)
        end, status = at + duration, host.FAILED if failed_job else host.SUCCEEDED
        jobs = [failed_job] if failed_job else []
        return [
            Step(at, host.connector, lambda: host.ran(change, run, host.STARTED, at)),
            Step(end, host.connector, lambda: host.ran(change, run, status, end, jobs)),
        ]

    def build(self, change: Change, at: datetime) -> list[Step]:
        """Return the tests of a change, and its image."""
        host = self.hosts[change.service.host]
        steps = self.run(change, "Tests", at, self.minutes(3, 9))
        published_at = steps[-1].at + 35 * SECOND
        return [*steps, Step(published_at, host.connector, lambda: host.published(change, published_at))]

    def deploy(self, change: Change, environment: str, at: datetime) -> list[Step]:
        """Return the deployment of a change to an environment, and what it does to the cluster."""
        host, cluster = self.hosts[change.service.host], self.clusters[CLUSTER_OF[environment]]
        service, deployment = change.service, host.deployment(change, environment)
        rolled_out_at, end = at + self.random.randrange(20, 70) * SECOND, at + self.minutes(2, 4)

        def roll_out() -> SourceEvent:
            images = {service.name: f"{service.image}:{change.tag}"}
            return cluster.update("Deployment", service.name, rolled_out_at, BY_CI, images=images)

        return [
            Step(at, host.connector, lambda: host.deployed(change, deployment, host.REQUESTED, at)),
            Step(rolled_out_at, cluster.connector, roll_out),
            Step(end, host.connector, lambda: host.deployed(change, deployment, host.DEPLOYED, end)),
        ]

    def restart(self, service: Service, at: datetime, cluster: str = PRODUCTION) -> Step:
        """Return a pod of a service that is in trouble."""
        reason = self.random.choice(("OOMKilled", "CrashLoopBackOff", "OOMKilled", "ImagePullBackOff"))
        restarts = 0 if reason == "ImagePullBackOff" else self.random.randrange(1, 6)
        return Step(at, cluster, lambda: self.clusters[cluster].trouble(service.name, at, reason, restarts))

    def review(self, at: datetime) -> list[Step]:
        """Return a pull request that is not merged yet."""
        change = self.company.change(self.free_service(at))
        host = self.hosts[change.service.host]
        return [Step(at, host.connector, lambda: host.opened(change, at))]

    def release(self, at: datetime) -> list[Step]:
        """Return a release of a service."""
        service = self.random.choice(self.services(at))
        host = self.hosts[service.host]
        return [Step(at, host.connector, lambda: host.released(service, service.team[0], at))]

    def by_rare_author(self, at: datetime, number: int) -> list[Step]:
        """Return a release or an open pull request on GitHub by somebody who seldom does anything."""
        service = self.company.service("storefront" if number % 2 else "api")
        host = self.hosts[service.host]
        if number % 3 == 0:
            return [Step(at, host.connector, lambda: host.released(service, RARE, at))]
        change = self.company.change(service, author=RARE)
        return [Step(at, host.connector, lambda: host.opened(change, at))]

    def checks(self, at: datetime, service: Service) -> list[Step]:
        """Return a scheduled run that succeeds."""
        change = self.company.change(service)
        return self.run(change, "Smoke tests", at, self.minutes(2, 4), trigger="schedule")

    def migration(self, at: datetime) -> list[Step]:
        """Return a job that migrates a database: created, then finished."""
        cluster = self.cluster(at, PRODUCTION, STAGING)
        name = f"migrate-{self.random.choice(self.company.services).name}-{self.company.next('migration', 300)}"
        duration = self.random.randrange(6, 140)
        end = at + duration * SECOND
        status = "failed" if self.random.random() < 0.1 else "succeeded"
        return [
            Step(at, cluster.connector, lambda: cluster.create("Job", name, at, BY_CI)),
            Step(
                end,
                cluster.connector,
                lambda: cluster.update("Job", name, end, "kube-controller-manager", status=status, duration=duration),
            ),
        ]

    def node_pressure(self, at: datetime) -> list[Step]:
        """Return a node that is short of memory for some minutes."""
        cluster = self.cluster(at, PRODUCTION, STAGING, EDGE)
        name = f"node-{self.random.randrange(1, 5)}.{cluster.name}.demo.invalid"
        end = at + self.minutes(3, 25)

        def pressure(time: datetime) -> SourceEvent:
            conditions = dict(cluster.state("Node", name)["conditions"])
            conditions["MemoryPressure"] = "True" if conditions["MemoryPressure"] == "False" else "False"
            return cluster.update("Node", name, time, BY_MACHINE, conditions=conditions, unschedulable=False)

        return [
            Step(at, cluster.connector, lambda: pressure(at)),
            Step(end, cluster.connector, lambda: pressure(end)),
        ]

    def small(self) -> Iterator[Callable[[datetime], list[Step]]]:
        """Yield stories of one or two events in turn, each kind of object of a cluster as often as the others."""
        while True:
            yield self.review
            yield self.migration
            yield lambda at: [self.restart(self.random.choice(self.company.services), at, STAGING)]
            yield self.release
            yield self.node_pressure
            for number in range(len(_OPERATIONS)):
                yield partial(self.operation, number)
                if number % 3 == 2:
                    yield self.review

    def operation(self, number: int, at: datetime) -> list[Step]:
        """Return one change that an operator or a tool makes in a cluster."""
        cluster = self.cluster(at, PRODUCTION, STAGING, STAGING, EDGE)
        service = self.random.choice(self.company.services).name
        return [Step(at, cluster.connector, lambda: _OPERATIONS[number](cluster, service, at))]


Operation = Callable[[Cluster, str, datetime], SourceEvent]


def _marked(kind: str, field: str, key: str, author: str, suffix: str = "") -> Operation:
    """Return the operation that gives one key of a map another value."""

    def change(cluster: Cluster, name: str, at: datetime) -> SourceEvent:
        marks = {**cluster.state(kind, name + suffix)[field], key: cluster.mark()}
        return cluster.update(kind, name + suffix, at, author, **{field: marks})

    return change


def _other(kind: str, object_name: str, field: str, author: str, *values: object) -> Operation:
    """Return the operation that gives a field the next of these values; without a name, to the object of a service."""

    def change(cluster: Cluster, name: str, at: datetime) -> SourceEvent:
        current = cluster.state(kind, object_name or name).get(field)
        following = values[(values.index(current) + 1) % len(values)] if current in values else values[0]
        return cluster.update(kind, object_name or name, at, author, **{field: following})

    return change


def _upgraded(kind: str, object_name: str) -> Operation:
    """Return the operation that gives a workload of the platform a newer image."""

    def upgrade(cluster: Cluster, name: str, at: datetime) -> SourceEvent:
        path, _, tag = cluster.state(kind, object_name)["images"][object_name].rpartition(":")
        major, minor = tag.split(".")[:2]
        images = {object_name: f"{path}:{major}.{int(minor) + 1}"}
        return cluster.update(kind, object_name, at, BY_CI, images=images)

    return upgrade


def _drain(cluster: Cluster, name: str, at: datetime) -> SourceEvent:
    """Take a node out of service, or put it back."""
    node = f"node-5.{cluster.name}.demo.invalid"
    drained = not cluster.state("Node", node)["unschedulable"]
    taints = ["demo.invalid/maintenance:NoSchedule"] if drained else []
    return cluster.update("Node", node, at, BY_HAND, unschedulable=drained, taints=taints)


_OPERATIONS: tuple[Operation, ...] = (
    _marked("ConfigMap", "keys", "FEATURES", BY_HAND),
    _other("Deployment", "", "replicas", BY_HAND, 3, 5, 4, 6),
    _marked("Secret", "keys", "DATABASE_PASSWORD", BY_CI, "-credentials"),
    _upgraded("StatefulSet", "postgres"),
    lambda cluster, name, at: cluster.upgraded("ingress-nginx", at),
    _other("Service", "", "ports", BY_CI, [HTTP], [HTTP, "9102/TCP (metrics)"]),
    _marked("Ingress", "annotations", "nginx.ingress.kubernetes.io/proxy-body-size", BY_HAND),
    _upgraded("DaemonSet", "log-shipper"),
    _other("CronJob", "backup", "schedule", BY_HAND, "15 3 * * *", "45 2 * * *", "15 4 * * 1-6"),
    _other("Role", "deployer", "rules", BY_HAND, [f"get, list, watch: {READ}"], [f"get, list, watch, patch: {READ}"]),
    _other("RoleBinding", "deployer", "subjects", BY_HAND, ["ServiceAccount platform/deployer"], BOTH),
    _drain,
    lambda cluster, name, at: cluster.delete("ConfigMap", f"{name}-old", at),
    lambda cluster, name, at: cluster.create("Ingress", f"{name}-preview-{cluster.mark()[:4]}", at, BY_CI),
    _upgraded("DaemonSet", "node-exporter"),
)
