//! Objects of the real operator, and what Argo CD's health checks say of them.

use crate::support::{
    argo_health::{Health, SCRIPTS, health, script},
    control_plane::ControlPlane,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What Argo CD says of an object.
pub fn argo(object: &Value) -> Health {
    let kind = object["kind"].as_str().expect("a kind");
    health(&script(kind), object).unwrap_or_else(|error| panic!("{object}: {error}"))
}

/// An object as it is served, and as `kubectl get -o yaml` prints it.
async fn served(plane: &ControlPlane, kind: &str, name: &str) -> (Value, String) {
    let yaml = plane.kubectl_ok(&["get", kind, name, "-o", "yaml"]).await;
    (serde_saphyr::from_str(&yaml).expect("YAML"), yaml)
}

/// With `BLESS` the objects become the cases of the health checks, in the layout that Argo CD takes.
#[derive(Default)]
pub struct Cases(BTreeMap<String, Vec<(String, Health)>>);

impl Cases {
    /// What Argo CD has to say of an object as it is now.
    pub async fn take(&mut self, plane: &ControlPlane, kind: &str, name: &str, case: &str, expected: &str) {
        let (object, yaml) = served(plane, kind, name).await;
        let said = argo(&object);
        assert_eq!(said.status, expected, "{case}: {yaml}");
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(format!("{SCRIPTS}/{kind}/testdata/{case}.yaml"), elsewhere(&yaml)).expect("written");
        }
        self.0.entry(kind).or_default().push((case.to_owned(), said));
    }

    /// Writes the list of the cases, under `BLESS`.
    pub fn bless(&self) {
        if std::env::var_os("BLESS").is_none() {
            return;
        }
        for (kind, cases) in &self.0 {
            let text = |text: &str| serde_json::to_string(text).expect("text");
            let case = |(case, said): &(String, Health)| {
                format!(
                    "- healthStatus:\n    status: {}\n    message: {}\n  inputPath: testdata/{case}.yaml\n",
                    said.status,
                    text(&said.message)
                )
            };
            let tests: String = cases.iter().map(case).collect();
            std::fs::write(format!("{SCRIPTS}/{kind}/health_test.yaml"), format!("tests:\n{tests}")).expect("written");
        }
    }
}

/// The simulated cloud's addresses are nobody's business, neither as URLs nor as hosts.
fn elsewhere(yaml: &str) -> String {
    let yaml = yaml.replace("http://127.0.0.1:", "https://127.0.0.1:");
    let mut parts = yaml.split("127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    let others = parts.map(|part| format!("cloud.example.org{}", part.trim_start_matches(|digit: char| digit.is_ascii_digit())));
    first + &others.collect::<String>()
}

/// What Argo CD said of each version that was served, oldest first.
pub fn argo_all_along<K: serde::Serialize>(versions: &[K]) -> Vec<String> {
    let mut said: Vec<String> = versions.iter().map(|object| argo(&serde_json::to_value(object).expect("JSON")).status).collect();
    said.dedup();
    said
}
