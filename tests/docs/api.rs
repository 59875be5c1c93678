//! `docs/reference/api.md`: every field of every kind, from the definitions.

use crate::generated::{code, is_current, row};
use database_backup_operator::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};

#[test]
fn the_reference_of_the_kinds_is_current() {
    let kinds: Vec<String> = crds::all().iter().map(kind).collect();
    is_current("docs/reference/api.md", "api", &kinds.join("\n"));
}

fn kind(crd: &CustomResourceDefinition) -> String {
    let (names, version) = (&crd.spec.names, crd.spec.versions.first().expect("a version"));
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).expect("a schema");
    let group = &crd.spec.group;
    let short: Vec<String> = names.short_names.iter().flatten().map(|name| code(name)).collect();
    let described = format!(
        "## {}\n\n`apiVersion: {group}/{}`, `{}.{group}`, short {}, {}.\n\n{}\n\n",
        names.kind,
        version.name,
        names.plural,
        short.join(", "),
        if crd.spec.scope == "Namespaced" { "in a namespace" } else { "of the whole cluster" },
        schema.description.as_deref().unwrap_or_default(),
    );
    let selectable: Vec<String> =
        version.selectable_fields.iter().flatten().map(|field| code(field.json_path.trim_start_matches('.'))).collect();
    let selectors = if selectable.is_empty() { String::new() } else { format!("`--field-selector` knows {}.\n\n", selectable.join(", ")) };
    let tables = ["spec", "status"].map(|part| {
        let root = schema.properties.iter().flatten().find(|(name, _)| *name == part).map(|(_, root)| root).expect("both are there");
        let heads = row(&["field", "type", "default", "what it says, and its rules"]) + "|---|---|---|---|\n";
        format!("### The {part} of a {}\n\n{heads}{}{}\n", names.kind, rules_of_all(part, root), fields(part, root))
    });
    let columns = columns(version.additional_printer_columns.as_deref().unwrap_or_default());
    [described, columns, selectors, tables.concat()].concat()
}

fn columns(columns: &[CustomResourceColumnDefinition]) -> String {
    let of = |wide: bool| {
        let shown = columns.iter().filter(|column| (column.priority.unwrap_or_default() > 0) == wide);
        shown.map(|column| column.name.clone()).collect::<Vec<_>>().join(", ")
    };
    let wide = of(true);
    let more = if wide.is_empty() { String::new() } else { format!("; `-o wide` adds {wide}") };
    format!("`kubectl get` shows {}{more}.\n\n", of(false))
}

/// The rules that speak of several fields of a part at once.
fn rules_of_all(path: &str, schema: &JSONSchemaProps) -> String {
    let rules = validations(schema);
    if rules.is_empty() { String::new() } else { row(&[&code(path), "object", "", &rules.join(" ")]) }
}

fn fields(path: &str, schema: &JSONSchemaProps) -> String {
    let mut text = String::new();
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let is_required = schema.required.iter().flatten().any(|required| required == name);
        let default = match &field.default {
            Some(JSON(default)) => code(&default.to_string()),
            None if is_required => "required".to_owned(),
            None => String::new(),
        };
        let described = field.description.as_deref().unwrap_or_default();
        let said: Vec<String> = std::iter::once(described.to_owned()).chain(bounds(field)).chain(validations(field)).collect();
        text += &row(&[&code(&path), &type_of(field), &default, said.join(" ").trim()]);
        text += &fields(&path, field);
        if let Some(JSONSchemaPropsOrArray::Schema(item)) = &field.items {
            text += &fields(&format!("{path}[]"), item);
        }
    }
    text
}

fn type_of(schema: &JSONSchemaProps) -> String {
    let type_ = schema.type_.as_deref().unwrap_or("integer or string");
    match (&schema.format, &schema.items, &schema.additional_properties) {
        (Some(format), ..) => format!("{type_} ({format})"),
        (_, Some(JSONSchemaPropsOrArray::Schema(item)), _) => format!("list of {}", type_of(item)),
        (_, _, Some(_)) => "map".to_owned(),
        _ => type_.to_owned(),
    }
}

fn bounds(schema: &JSONSchemaProps) -> Vec<String> {
    let words: Vec<String> = schema.enum_.iter().flatten().map(|JSON(word)| code(word.as_str().unwrap_or_default())).collect();
    [
        (!words.is_empty()).then(|| format!("One of {}.", words.join(", "))),
        range(schema.minimum.map(|least| least.to_string()), schema.maximum.map(|most| most.to_string()), ""),
        range(schema.min_length.map(|least| least.to_string()), schema.max_length.map(|most| most.to_string()), " characters"),
        range(None, schema.max_items.map(|most| most.to_string()), " items"),
        schema.pattern.as_deref().map(|pattern| format!("Matches {}.", code(pattern))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn range(least: Option<String>, most: Option<String>, of_what: &str) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{of_what}.")),
        (Some(least), None) => Some(format!("At least {least}{of_what}.")),
        (None, Some(most)) => Some(format!("At most {most}{of_what}.")),
        (None, None) => None,
    }
}

fn validations(schema: &JSONSchemaProps) -> Vec<String> {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    rules.filter_map(|rule| rule.message.as_deref()).map(|message| format!("Rule: {}.", message.trim_end_matches('.'))).collect()
}
