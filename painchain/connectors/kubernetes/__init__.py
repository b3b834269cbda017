"""Kubernetes: the workloads, configuration, access rules and nodes of one cluster."""

from painchain.connectors.base import (
    ConnectorType,
    EventField,
    EventType,
    Field,
    Kind,
    Shape,
    fields,
    poll_interval,
)
from painchain.connectors.kubernetes import connection_test, helm, poll, watch
from painchain.connectors.kubernetes.api import RESOURCES
from painchain.connectors.outcomes import StatusWords
from painchain.connectors.token_scopes import TokenScopes

PLACE = fields(cluster="Cluster", namespace="Namespace", workload="Workload")
ANNOTATIONS = fields(
    annotations_added=("Annotations added", Shape.LIST),
    annotations_removed=("Annotations removed", Shape.LIST),
    annotations_modified=("Annotations modified", Shape.LIST),
)
KEYS = fields(
    keys_added=("Keys added", Shape.LIST),
    keys_removed=("Keys removed", Shape.LIST),
    keys_modified=("Keys modified", Shape.LIST),
)
LEFT_OUT_KINDS = "|".join((*RESOURCES, helm.KIND))


def _kind(name: str, label: str, icon: str, *own: EventField) -> EventType:
    return EventType(f"K8s{name}", label, (*PLACE, *own, *(ANNOTATIONS if name != "Pod" else ())), icon)


TYPE = ConnectorType(
    key="kubernetes",
    label="Kubernetes",
    summary="Deployments, services, config maps, jobs, roles and troubled pods of a cluster.",
    icon="kubernetes",
    colour="blue",
    poll=poll.poll,
    test_connection=connection_test.run_test,
    watch=watch.watch,
    fields=(
        Field("api_server", "API server URL", Kind.URL, help="Empty: the cluster that PainChain runs in."),
        Field(
            "token",
            "Service account token",
            Kind.SECRET,
            max_length=10_000,
            help="Empty: PainChain's own in-cluster account.",
            scopes=(TokenScopes("ClusterRole", ("list", "watch"), "for 13 kinds of objects; the help has the YAML"),),
            document="connectors/kubernetes.md#service-account",
        ),
        Field(
            "ca_certificate",
            "CA certificate (PEM)",
            Kind.CERTIFICATE,
            max_length=100_000,
            help="The CA certificate that signed the API server's certificate. Empty: the system's trust store.",
        ),
        Field(
            "verify_ssl",
            "Verify TLS certificate",
            Kind.CHECKBOX,
            True,
            True,
            help="Turn this off only to debug a test cluster.",
            off_warning="TLS certificate is not verified: anyone between here and the cluster can read the token.",
        ),
        Field(
            "cluster_name",
            "Cluster name",
            Kind.TEXT,
            "default",
            True,
            max_length=100,
            help="Distinguishes clusters. Part of every event's id.",
        ),
        poll_interval(10, "How often to compare everything (10–3600 s). A watch runs in between."),
        Field(
            "namespaces",
            "Namespaces",
            Kind.LIST,
            help="One per line. Empty: all namespaces.",
            item=r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            item_hint="a namespace (lower-case letters, digits and dashes, 63 at most)",
        ),
        Field(
            "leave_out",
            "Leave out",
            Kind.LIST,
            help="One kind/namespace/name per line; * matches any text. Changes of these objects are not recorded.",
            item=rf"(\*|{LEFT_OUT_KINDS})/[a-z0-9*-]{{1,63}}/[A-Za-z0-9.:*_-]{{1,253}}",
            item_hint="of the form kind/namespace/name, such as ConfigMap/kube-system/* or */ci/*",
        ),
    ),
    event_types=(
        _kind(
            "Deployment",
            "Deployment",
            "rocket",
            *fields(replicas=("Replicas", Shape.MOVES), strategy="Strategy", images=("Images", Shape.MOVES)),
        ),
        _kind(
            "StatefulSet",
            "Stateful set",
            "rocket",
            *fields(replicas=("Replicas", Shape.MOVES), images=("Images", Shape.MOVES)),
        ),
        _kind("DaemonSet", "Daemon set", "rocket", *fields(images=("Images", Shape.MOVES), strategy="Strategy")),
        _kind(
            "Service",
            "Service",
            "network",
            *fields(service_type="Service type", cluster_ip="Cluster IP", ports=("Ports", Shape.LIST)),
        ),
        _kind(
            "ConfigMap",
            "Config map",
            "sliders",
            *KEYS,
        ),
        _kind(
            "Secret",
            "Secret",
            "key",
            *KEYS,
        ),
        _kind("Ingress", "Ingress", "network", *fields(ingress_class="Ingress class", hosts=("Hosts", Shape.LIST))),
        _kind(
            "Job",
            "Job",
            "run",
            *fields(
                status=("Status", Shape.STATUS), duration=("Duration", Shape.SECONDS), images=("Images", Shape.MOVES)
            ),
        ),
        _kind(
            "CronJob",
            "Cron job",
            "clock",
            *fields(schedule="Schedule", suspended=("Suspended", Shape.YES_NO), images=("Images", Shape.MOVES)),
        ),
        _kind(
            "Node",
            "Node",
            "server",
            *fields(
                conditions=("Conditions", Shape.LIST),
                unschedulable=("Unschedulable", Shape.YES_NO),
                taints=("Taints", Shape.LIST),
            ),
        ),
        _kind(
            "Pod",
            "Pod in trouble",
            "alert",
            *fields(reason=("Reason", Shape.STATUS), container="Container", restarts="Restarts"),
        ),
        _kind("Role", "Role", "shield", *fields(rules=("Rules", Shape.LIST))),
        _kind("RoleBinding", "Role binding", "shield", *fields(role="Role", subjects=("Subjects", Shape.LIST))),
        EventType(
            helm.KIND,
            "Helm release",
            (*PLACE, *fields(release="Release", revision="Revision", status=("Status", Shape.STATUS), chart="Chart")),
            "box",
        ),
    ),
    statuses=StatusWords(
        good="complete succeeded deployed ready healthy",
        bad="failed error unhealthy CrashLoopBackOff OOMKilled Evicted ImagePullBackOff ErrImagePull ErrImageNeverPull "
        "InvalidImageName CreateContainerConfigError CreateContainerError RunContainerError ContainerCannotRun "
        "BackoffLimitExceeded DeadlineExceeded FailedScheduling Unschedulable NodeLost "
        # Reasons of the kubelet, when it stops a pod or does not admit it.
        "Terminated Shutdown NodeShutdown Preempting UnexpectedAdmissionError OutOfcpu OutOfmemory OutOfpods "
        "OutOfephemeral-storage NodeAffinity TopologyAffinityError UnknownReason",
        running="running pending pending-install pending-upgrade pending-rollback uninstalling",
        open="suspended",
        neutral="superseded uninstalled",
    ),
)
