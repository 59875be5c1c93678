//! Programs that others wrote, pinned and built by `tests/tools/build`.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// What is built, or found, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tools {
    /// etcd, kube-apiserver, kubectl and, unless `KUBEBUILDER_ASSETS` has none, kube-controller-manager.
    ControlPlane,
    /// helm.
    Helm,
    /// helm-docs.
    HelmDocs,
    /// prometheus and promtool.
    Prometheus,
    /// No programs: the definitions of kinds of the Prometheus operator and of Flux.
    Crds,
}

impl Tools {
    /// The folder that holds them. They are built where nobody has, which takes minutes; an error says what is missing.
    pub fn folder(self) -> Result<PathBuf, String> {
        static FOUND: Mutex<Vec<(Tools, PathBuf)>> = Mutex::new(Vec::new());
        // Held while they are built: whoever waits wants the same.
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, folder)) = found.iter().find(|(tools, _)| *tools == self) {
            return Ok(folder.clone());
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/build");
        // What it says on the way is for whoever waits.
        let built = Command::new("bash").args([script, self.name()]).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let built = built.map_err(|error| format!("{script}: {error}"))?;
        if !built.status.success() {
            return Err(format!("no {0}; the reason is above, and `tests/tools/build {0}` repeats it", self.name()));
        }
        let folder = PathBuf::from(String::from_utf8_lossy(&built.stdout).trim());
        found.push((self, folder.clone()));
        Ok(folder)
    }

    /// The path of one of them. Panics with the reason where there is none.
    pub fn program(self, name: &str) -> PathBuf {
        self.folder().unwrap_or_else(|reason| panic!("{reason}")).join(name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Helm => "helm",
            Self::HelmDocs => "helm-docs",
            Self::Prometheus => "prometheus",
            Self::Crds => "crds",
        }
    }
}
