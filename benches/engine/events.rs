//! Audit events as the API server writes them, 15 KB each where they make a pod.
#![allow(unreachable_pub)]

use serde_json::{Value, json};

/// What asks for a pod here: the controller of a ReplicaSet.
const CONTROLLER: &str = "system:serviceaccount:kube-system:replicaset-controller";

/// A pod as an application has it that meets the Pod Security Standard "restricted".
pub struct Pod<'a> {
    pub namespace: &'a str,
    pub account: &'a str,
    /// A capability that its containers have added.
    pub added: Option<&'a str>,
}

impl Pod<'_> {
    fn container(&self, name: &str) -> Value {
        let capabilities = match self.added {
            Some(added) => json!({"add": [added], "drop": ["ALL"]}),
            None => json!({"drop": ["ALL"]}),
        };
        let env: Vec<Value> = (0..14)
            .map(|n| {
                json!({"name": format!("SETTING_{n:02}"), "value": format!("a value of some length, number {n}")})
            })
            .collect();
        json!({
            "name": name,
            "image": format!("registry.example.com/shop/{name}:1.25.3"),
            "ports": [
                {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
            ],
            "env": env,
            "resources": {
                "limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"},
            },
            "volumeMounts": [
                {"name": "config", "readOnly": true, "mountPath": "/etc/app"},
                {"name": "tmp", "mountPath": "/tmp"},
                {"name": "kube-api-access-x7k2p", "readOnly": true,
                 "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
            ],
            "livenessProbe": {
                "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"},
                "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
            },
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {
                "capabilities": capabilities, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false,
            },
        })
    }

    fn spec(&self) -> Value {
        json!({
            "volumes": [
                {"name": "config", "configMap": {"name": "app", "defaultMode": 420}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "kube-api-access-x7k2p", "projected": {"sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef":
                        {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
                ], "defaultMode": 420}},
            ],
            "initContainers": [self.container("migrate")],
            "containers": [self.container("web"), self.container("proxy")],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": self.account,
            "serviceAccount": self.account,
            "securityContext": {
                "runAsNonRoot": true, "supplementalGroups": [2000], "fsGroup": 2000,
                "seccompProfile": {"type": "RuntimeDefault"}, "appArmorProfile": {"type": "RuntimeDefault"},
            },
            "schedulerName": "default-scheduler",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists",
                "effect": "NoExecute", "tolerationSeconds": 300}],
            "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
        })
    }

    /// The event of its creation.
    pub fn created(&self, number: usize) -> Value {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c6f5d",
            "uid": "11111111-a5b7-42a1-b2d4-1dd49f32aaaa", "controller": true, "blockOwnerDeletion": true});
        let mut sent = json!({
            "generateName": "web-7d4b9c6f5d-", "namespace": self.namespace,
            "creationTimestamp": Value::Null,
            "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5d"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
            "ownerReferences": [owner],
        });
        let request = json!({"kind": "Pod", "apiVersion": "v1", "metadata": sent, "spec": self.spec()});
        let mut stored = json!({"name": format!("web-7d4b9c6f5d-{number:05}")});
        sent["creationTimestamp"] = "2026-01-02T03:04:05Z".into();
        if let (Value::Object(stored), Value::Object(sent)) = (&mut stored, sent) {
            stored.extend(sent);
        }
        let response = json!({"kind": "Pod", "apiVersion": "v1", "metadata": stored, "spec": self.spec(),
            "status": {"phase": "Pending", "qosClass": "Burstable"}});
        event(number, "create", "pods", self.namespace, (201, request, response))
    }
}

fn event(number: usize, verb: &str, resource: &str, namespace: &str, what: (u16, Value, Value)) -> Value {
    let (code, request, response) = what;
    let time = format!("2026-01-02T03:04:05.{:06}Z", number % 1_000_000);
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse",
        "auditID": format!("ed30381a-4aaf-43dc-aef8-{number:012}"), "stage": "ResponseComplete",
        "requestURI": format!("/api/v1/namespaces/{namespace}/{resource}"), "verb": verb,
        "user": {
            "username": CONTROLLER, "uid": "e778b6f6-a5b7-42a1-b2d4-1dd49f32aaaa",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        },
        "sourceIPs": ["10.0.0.1"],
        "userAgent": "kube-controller-manager/v1.31.0 (linux/amd64) kubernetes/9edcffc",
        "objectRef": {"resource": resource, "namespace": namespace, "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": code},
        "requestObject": request, "responseObject": response,
        "requestReceivedTimestamp": time, "stageTimestamp": time,
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    })
}

/// A change to a Deployment whose pods would be like this one.
pub fn deployment(pod: &Pod<'_>, number: usize) -> Value {
    let object = json!({"kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {"name": "web", "namespace": pod.namespace, "creationTimestamp": "2026-01-02T03:04:05Z"},
        "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod.spec()}}});
    event(number, "update", "deployments", pod.namespace, (200, object.clone(), object))
}
