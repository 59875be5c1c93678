//! Helm against a control plane.

use super::{NO_PROXY, control_plane::ControlPlane, tools::Tools};
use std::process::Stdio;
use tokio::process::Command;

/// The chart's folder.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/helm/database-backup-operator");

impl ControlPlane {
    /// Runs helm: what it printed, or its complaint. Its settings and caches are in the control plane's folder.
    pub async fn helm(&self, args: &[&str]) -> Result<String, String> {
        let program = tokio::task::spawn_blocking(|| Tools::Helm.program("helm")).await.map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        for (name, _) in NO_PROXY {
            command.env_remove(name);
        }
        // Settings of whoever runs the tests are not for this one.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HELM_")) {
            command.env_remove(name);
        }
        for name in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{name}_HOME"), self.folder().join("helm").join(name));
        }
        command.args(args).env("KUBECONFIG", self.kubeconfig()).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
    }

    /// Runs helm, which must succeed, and answers with what it printed.
    pub async fn helm_ok(&self, args: &[&str]) -> String {
        self.helm(args).await.unwrap_or_else(|error| panic!("helm {args:?}: {error}"))
    }

    /// Runs helm, which must fail, and answers with its complaint.
    pub async fn helm_fails(&self, args: &[&str]) -> String {
        match self.helm(args).await {
            Err(error) => error,
            Ok(output) => panic!("helm {args:?} succeeded: {output}"),
        }
    }
}
