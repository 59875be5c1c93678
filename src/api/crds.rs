//! The CustomResourceDefinitions: printed by `database-backup-operator crd`, committed in `crds/`, compared with what the API server serves.

use super::{
    account::{CloudAccount, ClusterCloudAccount},
    backup::DatabaseBackup,
    schedule::DatabaseBackupSchedule,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::{CustomResourceExt, ResourceExt};
use serde_json::json;

/// Their names.
pub const NAMES: [&str; 4] = [
    "cloudaccounts.dbbackup.dev",
    "clustercloudaccounts.dbbackup.dev",
    "databasebackups.dbbackup.dev",
    "databasebackupschedules.dbbackup.dev",
];

/// Every CustomResourceDefinition, in the order in which they are applied.
pub fn all() -> Vec<CustomResourceDefinition> {
    [CloudAccount::crd(), ClusterCloudAccount::crd(), DatabaseBackup::crd(), DatabaseBackupSchedule::crd()]
        .map(unseen_until_observed)
        .into()
}

/// All of them as one YAML stream.
///
/// # Errors
/// None is known; what the serialiser reports is passed on.
pub fn yaml() -> Result<String, serde_saphyr::ser::Error> {
    let documents = all().iter().map(serde_saphyr::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.iter().map(|document| format!("---\n{document}")).collect())
}

/// Gives a fresh object `status.observedGeneration: -1`: kstatus would otherwise take an object that nobody has looked at for a finished one.
fn unseen_until_observed(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(status) = root_schema(version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut())) {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

fn root_schema(schema: Option<&mut JSONSchemaProps>) -> Option<&mut JSONSchemaProps> {
    schema?.properties.as_mut()?.get_mut("status")
}

/// What the served definition lacks that this program needs, as paths such as `spec.source.dcs`; empty when it has everything.
/// A field that the served definition does not know is dropped silently by the API server, so nothing may be started with one missing.
pub fn missing_in(served: &CustomResourceDefinition, own: &CustomResourceDefinition) -> Vec<String> {
    let mut missing = Vec::new();
    for version in &own.spec.versions {
        let theirs = served.spec.versions.iter().find(|v| v.name == version.name && v.served);
        let (Some(theirs), Some(ours)) = (theirs, version.schema.as_ref()) else {
            missing.push(format!("version {}", version.name));
            continue;
        };
        match (&ours.open_api_v3_schema, theirs.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref())) {
            (Some(ours), Some(theirs)) => compare(ours, theirs, "", &mut missing),
            _ => missing.push("schema".into()),
        }
    }
    missing
}

fn compare(ours: &JSONSchemaProps, theirs: &JSONSchemaProps, path: &str, missing: &mut Vec<String>) {
    if theirs.x_kubernetes_preserve_unknown_fields == Some(true) {
        return;
    }
    for (name, field) in ours.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match theirs.properties.as_ref().and_then(|p| p.get(name)) {
            Some(other) => compare(field, other, &path, missing),
            None => missing.push(path),
        }
    }
    let known = theirs.enum_.as_deref().unwrap_or_default();
    for value in ours.enum_.iter().flatten().filter(|value| !known.is_empty() && !known.contains(value)) {
        missing.push(format!("{path} value {}", value.0));
    }
    if let (Some(JSONSchemaPropsOrArray::Schema(ours)), Some(JSONSchemaPropsOrArray::Schema(theirs))) = (&ours.items, &theirs.items) {
        compare(ours, theirs, &format!("{path}[]"), missing);
    }
}

/// The file in `crds/` that holds a definition.
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}.yaml", crd.name_any().split('.').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make generate` rewrites the committed files.
    #[test]
    fn the_committed_crds_are_those_of_the_types() {
        assert_eq!(all().iter().map(ResourceExt::name_any).collect::<Vec<_>>(), NAMES);
        for crd in all() {
            let path = format!("{}/crds/{}", env!("CARGO_MANIFEST_DIR"), file_name(&crd));
            let generated = serde_saphyr::to_string(&crd).unwrap();
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&path, &generated).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == generated, "{path} differs from the types: run `make generate` and commit the result");
        }
    }

    #[test]
    fn no_schema_uses_a_format_that_the_api_server_does_not_know() {
        assert!(!yaml().unwrap().contains("uint"), "the API server knows int32, int64, float and double only");
    }

    #[test]
    fn client_side_apply_can_hold_every_definition() {
        for crd in all() {
            let size = serde_json::to_string(&crd).unwrap().len();
            assert!(size < 262_144, "{} has {size} bytes", crd.name_any());
        }
    }

    #[test]
    fn every_field_is_explained() {
        fn walk(schema: &JSONSchemaProps, path: &str, silent: &mut Vec<String>) {
            for (name, field) in schema.properties.iter().flatten() {
                let path = format!("{path}.{name}");
                if field.description.as_deref().unwrap_or_default().is_empty() {
                    silent.push(path.clone());
                }
                walk(field, &path, silent);
            }
        }
        let mut silent = Vec::new();
        for crd in all() {
            for version in &crd.spec.versions {
                let schema = version.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref()).unwrap();
                walk(schema, &crd.spec.names.kind, &mut silent);
            }
        }
        silent.retain(|path| !path.ends_with(".metadata"));
        assert!(silent.is_empty(), "`kubectl explain` has nothing to say of {silent:?}");
    }

    #[test]
    fn an_older_definition_is_found_out_by_field_and_by_enum_value() {
        let own = DatabaseBackup::crd();
        assert_eq!(missing_in(&own, &own), Vec::<String>::new());
        let mut old = own.clone();
        let schema = old.spec.versions[0].schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()).unwrap();
        let properties = schema.properties.as_mut().unwrap();
        properties.get_mut("status").unwrap().properties.as_mut().unwrap().remove("requestTime");
        let spec = properties.get_mut("spec").unwrap().properties.as_mut().unwrap();
        let engine = spec.get_mut("source").unwrap().properties.as_mut().unwrap().get_mut("engine").unwrap();
        engine.enum_ = Some(vec![JSON(json!("GeminiDB"))]);
        let missing = missing_in(&old, &own);
        assert!(missing.contains(&"status.requestTime".to_owned()), "{missing:?}");
        assert!(missing.contains(&"spec.source.engine value \"DCS\"".to_owned()), "{missing:?}");
    }
}
