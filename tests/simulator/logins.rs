//! What a test can do to the ways of logging in, and what it can see of them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Simulator, agents::AgentCall, attempts::Attempts, identity::Provider, keys::AccessKey, pod_identity};

impl Simulator {
    /// Adds an access key; with a security token it is a temporary one.
    pub fn add_access_key(&self, access: &str, secret: &str, security_token: Option<&str>, expires: Option<Timestamp>) {
        let mut cloud = self.cloud();
        cloud.access_keys.retain(|key| key.access != access);
        cloud.access_keys.push(AccessKey::new(access, secret, security_token, expires));
    }

    /// Removes an access key.
    pub fn remove_access_key(&self, access: &str) {
        self.cloud().access_keys.retain(|key| key.access != access);
    }

    /// Gives an access key another secret half.
    #[allow(clippy::expect_used, reason = "a misspelt key should stop the test at once")]
    pub fn set_secret_key(&self, access: &str, secret: &str) {
        self.cloud().set_secret_key(access, secret).expect("no such access key");
    }

    /// Switches an access key off, or on again.
    #[allow(clippy::expect_used, reason = "a misspelt key should stop the test at once")]
    pub fn disable_access_key(&self, access: &str, is_disabled: bool) {
        self.cloud().disable_access_key(access, is_disabled).expect("no such access key");
    }

    /// Lifts the locks of all access keys. What was counted stays.
    pub fn unlock_access_keys(&self) {
        self.cloud().ledger.unlock_keys();
    }

    /// Lifts the locks of all users. What was counted stays.
    pub fn unlock_users(&self) {
        self.cloud().ledger.unlock_users();
    }

    /// How often an access key or a user was ever locked.
    pub fn locks(&self) -> usize {
        self.cloud().ledger.locks()
    }

    /// The most bad signatures or passwords in a row that one access key or user ever had.
    pub fn worst_run(&self) -> usize {
        self.cloud().ledger.worst_run()
    }

    /// What was counted of an access key.
    pub fn key_attempts(&self, access: &str) -> Attempts {
        self.cloud().ledger.access_keys.get(access).cloned().unwrap_or_default()
    }

    /// What was counted of a user, by its name.
    pub fn user_attempts(&self, user: &str) -> Attempts {
        self.cloud().ledger.users.get(user).cloned().unwrap_or_default()
    }

    /// Withdraws the permission of a project's user there at every service, or grants it again. New tokens are refused too.
    pub fn deny_project(&self, project: &str, denied: bool) {
        self.cloud().deny_project(project, denied);
    }

    /// Sets up an OIDC identity provider, in place of one of the same name.
    #[allow(clippy::expect_used, reason = "a provider that cannot be should stop the test at once")]
    pub fn add_identity_provider(&self, provider: Provider) {
        self.cloud().add_identity_provider(provider).expect("no such provider can be");
    }

    /// Takes an identity provider away, and with it the tokens that its ID tokens bought.
    pub fn remove_identity_provider(&self, name: &str) -> bool {
        self.cloud().remove_identity_provider(name)
    }

    /// Makes every token invalid that an ID token of this provider bought.
    pub fn revoke_federated_tokens(&self, name: &str) {
        self.cloud().revoke_federated_tokens(name);
    }

    /// Where the metadata service of a node is reached. Its dials are `settings(|dials| dials.metadata…)`.
    pub fn metadata_url(&self) -> String {
        self.agents.metadata.url()
    }

    /// All requests to the metadata service.
    pub fn metadata_calls(&self) -> Vec<AgentCall> {
        self.cloud().agents.metadata.calls().to_vec()
    }

    /// Ends all tokens of the metadata service before their time.
    pub fn expire_metadata_tokens(&self) {
        self.cloud().agents.expire_metadata_tokens();
    }

    /// Refuses connections to the metadata service, or listens again on the same port.
    pub fn refuse_metadata(&self, refuse: bool) {
        let agents = Arc::clone(&self.agents);
        self.shut(async move { agents.metadata.refuse(refuse).await });
    }

    /// The full URI of the pod identity agent. Its dials are `settings(|dials| dials.pod_identity…)`.
    pub fn pod_identity_uri(&self) -> String {
        pod_identity::uri(&self.agents.pod_identity)
    }

    /// What the Pod's token file has to hold for the pod identity agent.
    pub fn pod_identity_token(&self) -> String {
        self.cloud().agents.pod_token().to_owned()
    }

    /// Replaces it: the old one is good for nothing from now on.
    pub fn set_pod_identity_token(&self, token: &str) {
        self.cloud().agents.set_pod_token(token);
    }

    /// All requests to the pod identity agent.
    pub fn pod_identity_calls(&self) -> Vec<AgentCall> {
        self.cloud().agents.pod_identity.calls().to_vec()
    }

    /// Refuses connections to the pod identity agent, or listens again on the same port.
    pub fn refuse_pod_identity(&self, refuse: bool) {
        let agents = Arc::clone(&self.agents);
        self.shut(async move { agents.pod_identity.refuse(refuse).await });
    }

    /// Takes back the access keys that the metadata service and the pod identity agent handed out: the services refuse them at once, and whoever
    /// asks again gets new ones.
    pub fn revoke_agency_keys(&self) {
        self.cloud().revoke_agency_keys();
    }
}
