//! Programs that others wrote, pinned and built by `tests/tools/build`.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// What is built, or found, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tools {
    /// etcd, kube-apiserver, kubectl and, unless `KUBEBUILDER_ASSETS` has none, kube-controller-manager: of the newest Kubernetes, or, with
    /// `DBBACKUP_CONTROL_PLANE=oldest`, the two servers of Kubernetes of the oldest that the chart takes.
    ControlPlane,
    /// helm.
    Helm,
    /// helm-docs.
    HelmDocs,
    /// prometheus and promtool.
    Prometheus,
    /// actionlint.
    Actionlint,
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
        let name = self.name()?;
        // What it says on the way is for whoever waits.
        let built = Command::new("bash").args([script, name]).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let built = built.map_err(|error| format!("{script}: {error}"))?;
        if !built.status.success() {
            return Err(format!("no {name}; the reason is above, and `tests/tools/build {name}` repeats it"));
        }
        let folder = PathBuf::from(String::from_utf8_lossy(&built.stdout).trim());
        found.push((self, folder.clone()));
        Ok(folder)
    }

    /// The path of one of them. Panics with the reason where there is none.
    pub fn program(self, name: &str) -> PathBuf {
        self.folder().unwrap_or_else(|reason| panic!("{reason}")).join(name)
    }

    fn name(self) -> Result<&'static str, String> {
        Ok(match self {
            Self::ControlPlane => match std::env::var("DBBACKUP_CONTROL_PLANE").as_deref() {
                Err(_) | Ok("" | "newest") => "control-plane",
                Ok("oldest") => "control-plane-oldest",
                Ok(other) => return Err(format!("DBBACKUP_CONTROL_PLANE is {other:?}: there is only newest and oldest")),
            },
            Self::Helm => "helm",
            Self::HelmDocs => "helm-docs",
            Self::Prometheus => "prometheus",
            Self::Actionlint => "actionlint",
            Self::Crds => "crds",
        })
    }
}
