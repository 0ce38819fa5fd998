//! What is in a cluster: namespaces, the loader's account and its rights, registrations.

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Cluster;

/// What the chart lets the loader do.
const ROLE: &str = include_str!("../../charts/favn-host/files/loader-role.yaml");
/// The account's name, in the namespace of the pods.
const LOADER: &str = "pilar-loader";

/// A service account as which a loader runs.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Of the pod.
    pub(crate) namespace: String,
    /// Where its token is, as a kubelet would write it.
    pub(crate) token_file: PathBuf,
}

impl Cluster {
    pub(crate) async fn create_namespace(&self, name: &str) {
        let namespace = json!({ "metadata": { "name": name } });
        create(&Api::<Namespace>::all(self.admin()), namespace).await;
    }

    /// The loader's account in `namespace`, without any right, and a token for it.
    pub(crate) async fn loader_account(&self, namespace: &str) -> Account {
        let api: Api<ServiceAccount> = Api::namespaced(self.admin(), namespace);
        create(&api, json!({ "metadata": { "name": LOADER } })).await;
        let token_file = self.room.path().join(format!("{namespace}.token"));
        let account = Account { namespace: namespace.to_owned(), token_file };
        self.renew_token(&account).await;
        account
    }

    /// Writes a new token for `account`, as a kubelet does.
    pub(crate) async fn renew_token(&self, account: &Account) {
        let api: Api<ServiceAccount> = Api::namespaced(self.admin(), &account.namespace);
        let request: TokenRequest = serde_json::from_value(json!({ "metadata": {}, "spec": {
            "audiences": ["https://kubernetes.default.svc"],
        }}))
        .unwrap();
        let reply = api.create_token_request(LOADER, &PostParams::default(), &request).await;
        fs::write(&account.token_file, reply.unwrap().status.unwrap().token).unwrap();
    }

    /// Gives `account` the loader's rights in `namespace`, as the chart does.
    pub(crate) async fn grant(&self, account: &Account, namespace: &str) {
        let role: Role = serde_saphyr::from_str(ROLE).unwrap();
        let api: Api<Role> = Api::namespaced(self.admin(), namespace);
        create(&api, serde_json::to_value(role).unwrap()).await;
        let binding = json!({
            "metadata": { "name": LOADER },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "pilar-loader",
            },
            "subjects": [{
                "kind": "ServiceAccount", "name": LOADER, "namespace": account.namespace,
            }],
        });
        create(&Api::<RoleBinding>::namespaced(self.admin(), namespace), binding).await;
    }

    /// Takes the loader's rights in `namespace` away.
    pub(crate) async fn revoke(&self, namespace: &str) {
        let bindings: Api<RoleBinding> = Api::namespaced(self.admin(), namespace);
        bindings.delete(LOADER, &DeleteParams::default()).await.unwrap();
        let roles: Api<Role> = Api::namespaced(self.admin(), namespace);
        roles.delete("pilar-loader", &DeleteParams::default()).await.unwrap();
    }

    /// Creates a registration with these data.
    pub(crate) async fn register(&self, namespace: &str, name: &str, data: Value) {
        create(&self.registrations(namespace), registration(name, data)).await;
    }

    /// Replaces the data of a registration.
    pub(crate) async fn change(&self, namespace: &str, name: &str, data: Value) {
        let api = self.registrations(namespace);
        let patch = Patch::Merge(json!({ "data": data }));
        api.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub(crate) async fn unregister(&self, namespace: &str, name: &str) {
        self.registrations(namespace).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Deletes a namespace and what is in it, in the order in which the namespace controller may do it:
    /// rights first.
    pub(crate) async fn delete_namespace(&self, name: &str) {
        let admin = self.admin();
        let namespaces: Api<Namespace> = Api::all(admin.clone());
        namespaces.delete(name, &DeleteParams::default()).await.unwrap();
        clear::<RoleBinding>(&Api::namespaced(admin.clone(), name)).await;
        clear::<Role>(&Api::namespaced(admin.clone(), name)).await;
        clear::<ConfigMap>(&Api::namespaced(admin.clone(), name)).await;
        clear::<ServiceAccount>(&Api::namespaced(admin.clone(), name)).await;
        let mut namespace = namespaces.get(name).await.unwrap();
        namespace.spec.as_mut().unwrap().finalizers = None;
        let body = serde_json::to_vec(&namespace).unwrap();
        let path = format!("/api/v1/namespaces/{name}/finalize");
        let request = http::Request::put(path).header("content-type", "application/json");
        admin.request_text(request.body(body).unwrap()).await.unwrap();
    }

    fn registrations(&self, namespace: &str) -> Api<ConfigMap> {
        Api::namespaced(self.admin(), namespace)
    }
}

fn registration(name: &str, data: Value) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": { "pilar-runtime/feature-registration": "true" },
        },
        "data": data,
    })
}

async fn create<K>(api: &Api<K>, object: Value)
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

async fn clear<K>(api: &Api<K>)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
}
