//! The endpoint tables of Huawei Cloud are those of the vendor's own SDK.

use std::{collections::BTreeMap, process::Command};

use database_backup_operator::cloud::{
    endpoints::{EndpointPolicy, Endpoints, Overrides},
    engine::{Cloud, Engine},
};

use super::test_sdk::{run, sdk_python};

/// Prints what the SDK knows: service, region, host.
const PRINT: &str = "
from huaweicloudsdkdcs.v2.region.dcs_region import DcsRegion
from huaweicloudsdkdds.v3.region.dds_region import DdsRegion
from huaweicloudsdkgaussdb.v3.region.gaussdb_region import GaussDBRegion
from huaweicloudsdkgaussdbfornosql.v3.region.gaussdbfornosql_region import GaussDBforNoSQLRegion
from huaweicloudsdkgaussdbforopengauss.v3.region.gaussdbforopengauss_region import GaussDBforopenGaussRegion
from huaweicloudsdkiam.v3.region.iam_region import IamRegion
from huaweicloudsdkrds.v3.region.rds_region import RdsRegion

services = {
    'iam': IamRegion, 'geminidb': GaussDBforNoSQLRegion, 'taurusdb': GaussDBRegion, 'dcs': DcsRegion, 'rds': RdsRegion, 'dds': DdsRegion,
    'gaussdb': GaussDBforopenGaussRegion,
}
for service, regions in services.items():
    for region in regions.static_fields.values():
        for endpoint in region.endpoints:
            print(service, region.id, endpoint.removeprefix('https://'))
";

/// Host by service and region.
fn sdk() -> BTreeMap<(String, String), String> {
    let output = run(Command::new(sdk_python()).args(["-c", PRINT]));
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().expect("three words");
        ((next(), next()), next())
    };
    text.lines().map(row).collect()
}

const ENGINES: [Engine; 7] =
    [Engine::GeminiDB, Engine::TaurusDB, Engine::GaussDBforMySQL, Engine::DCS, Engine::RDS, Engine::DDS, Engine::GaussDB];

/// The service behind an engine, as [`PRINT`] calls it.
fn service(engine: Engine) -> &'static str {
    match engine {
        Engine::GeminiDB => "geminidb",
        Engine::TaurusDB | Engine::GaussDBforMySQL => "taurusdb",
        Engine::DCS => "dcs",
        Engine::RDS => "rds",
        Engine::DDS => "dds",
        Engine::GaussDB => "gaussdb",
    }
}

#[test]
fn every_region_has_the_hosts_that_the_vendors_sdk_has() {
    let sdk = sdk();
    assert!(sdk.len() > 200, "{sdk:?}");
    assert!(ENGINES.iter().all(|engine| sdk.keys().any(|(known, _)| known == service(*engine))), "{sdk:?}");
    let of = |service: &str, region: &str| sdk.get(&(service.to_owned(), region.to_owned())).cloned();
    for region in sdk.keys().map(|(_, region)| region) {
        let hosts = ENGINES.map(|engine| of(service(engine), region));
        let resolved = Endpoints::resolve(Cloud::HuaweiCloud, region, &Overrides::default(), &EndpointPolicy::default());
        if hosts.iter().all(Option::is_none) {
            assert!(resolved.is_err(), "{region} has IAM and no engine");
            continue;
        }
        let endpoints = resolved.unwrap_or_else(|error| panic!("{region}: {error}"));
        assert_eq!(endpoints.iam.host, of("iam", region).unwrap_or_else(|| "iam.myhuaweicloud.com".into()), "{region}");
        for (engine, host) in ENGINES.into_iter().zip(hosts) {
            assert_eq!(endpoints.engine(engine).map(|endpoint| endpoint.host.clone()), host, "{region} {}", engine.as_str());
        }
    }
}
