//! The table of the hosts that the operator speaks to, in `docs/install.md`.

use crate::generated::{code, is_current, row};
use database_backup_operator::cloud::{
    endpoints::{EndpointPolicy, Endpoints, Overrides, regions},
    engine::{Cloud, Engine},
};

#[test]
fn the_table_of_the_hosts_is_that_of_the_endpoints() {
    let heads: Vec<&str> = ["cloud", "region", "IAM"].into_iter().chain(Engine::all().map(Engine::as_str)).collect();
    let mut text = row(&heads) + &"|---".repeat(heads.len()) + "|\n";
    for cloud in [Cloud::HuaweiCloud, Cloud::OpenTelekomCloud] {
        for region in regions(cloud) {
            let resolved = Endpoints::resolve(cloud, region, &Overrides::default(), &EndpointPolicy::default());
            let endpoints = resolved.unwrap_or_else(|error| panic!("{region}: {error}"));
            let engines = Engine::all().map(|engine| endpoints.engine(engine).map(|endpoint| code(&endpoint.host)).unwrap_or_default());
            let cells: Vec<String> = [code(cloud.as_str()), code(region), code(&endpoints.iam.host)].into_iter().chain(engines).collect();
            text += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    is_current("docs/install.md", "egress-hosts", &text);
}
