//! `docs/schedules.md`: a row for each field of a schedule, and none that there is not.

use crate::markdown::Page;
use database_backup_operator::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use std::collections::BTreeSet;

/// The fields of the spec; those of the template are a backup's, which `docs/backups.md` explains.
fn fields(spec: &JSONSchemaProps) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, field) in spec.properties.iter().flatten() {
        match field.properties.iter().flatten().map(|(part, _)| format!("{name}.{part}")).collect::<Vec<_>>() {
            parts if parts.is_empty() || name == "backupTemplate" => drop(found.insert(name.clone())),
            parts => found.extend(parts),
        }
    }
    found
}

#[test]
fn every_field_of_a_schedule_has_a_row() {
    let crd = crds::all().into_iter().find(|crd| crd.spec.names.kind == "DatabaseBackupSchedule").expect("the kind");
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).expect("a schema");
    let spec = &schema.properties.as_ref().expect("parts")["spec"];
    let rows = Page::read("docs/schedules.md").rows().into_iter().filter(|row| row.section == "What each field does");
    let named: BTreeSet<String> = rows.filter_map(|row| row.cells.into_iter().next()?.into_iter().next()).collect();
    assert_eq!(named, fields(spec), "docs/schedules.md, \"What each field does\"");
}
