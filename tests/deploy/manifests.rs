//! The plain manifests, for kubectl and Kustomize: what the chart renders with its own values, without what only Helm has a use for.

use crate::render::{path, same_as_committed, template};

const HEAD: &str = "\
# The operator for a whole cluster; made from the chart by `make generate`. The image is one that you built and pushed (`make image`).
apiVersion: v1
kind: Namespace
metadata:
  name: database-backup-operator
  labels:
    pod-security.kubernetes.io/enforce: restricted
";

/// The selector is that of the first ones: it cannot be changed, and one who applies the next ones has a Deployment with it.
#[test]
fn the_plain_manifests_are_the_chart_without_helm() {
    let rendered = template(&["--set", "crds.enabled=false,tests.enabled=false,legacySelector=true"]).expect("rendered");
    let of_helm = |line: &&str| {
        ["# Source: ", "helm.sh/chart: ", "app.kubernetes.io/managed-by: "].iter().any(|start| line.trim_start().starts_with(start))
    };
    let plain: Vec<&str> = rendered.lines().filter(|line| !of_helm(line) && !line.is_empty()).collect();
    assert!(!plain.join("\n").to_lowercase().contains("helm"), "nothing of Helm is left");
    same_as_committed(&path("deploy/manifests/operator.yaml"), &format!("{HEAD}{}\n", plain.join("\n")));
}
