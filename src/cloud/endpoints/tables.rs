//! The endpoint tables, as data: the region files of the vendor's SDK (`iam_region.py`, `gaussdbfornosql_region.py`, `gaussdb_region.py` and
//! `dcs_region.py` of version 3.1.219), and Open Telekom Cloud's list of regions and endpoints. A test in `tests/simulator/` compares them with the SDK.

use crate::cloud::engine::{Cloud, Engine};
use std::collections::BTreeSet;

/// The IAM of Huawei Cloud for every region that has none of its own; the SDK asks it there, too.
pub(super) const GLOBAL_IAM: &str = "iam.myhuaweicloud.com";

/// The host of IAM in a region.
pub(super) fn iam(cloud: Cloud, region: &str) -> Option<String> {
    match cloud {
        Cloud::HuaweiCloud if region == "eu-west-101" => Some("iam.eu-west-101.myhuaweicloud.eu".into()),
        Cloud::HuaweiCloud if IAM.contains(&region) => Some(format!("iam.{region}.myhuaweicloud.com")),
        Cloud::HuaweiCloud => Some(GLOBAL_IAM.into()),
        // The Swiss cloud; it serves none of the engines, so they need endpoints of their own there.
        Cloud::OpenTelekomCloud if region == "eu-ch2" => Some("iam-pub.eu-ch2.sc.otc.t-systems.com".into()),
        Cloud::OpenTelekomCloud => TELEKOM.contains(&region).then(|| format!("iam.{region}.otc.t-systems.com")),
    }
}

/// The regions where an engine is served.
pub(super) fn regions(cloud: Cloud) -> BTreeSet<&'static str> {
    match cloud {
        Cloud::HuaweiCloud => {
            let taurusdb = TAURUSDB.iter().flat_map(|(_, regions)| regions.iter());
            GEMINIDB.iter().chain(taurusdb).chain(DCS).copied().collect()
        }
        Cloud::OpenTelekomCloud => TELEKOM.iter().copied().collect(),
    }
}

/// The host that serves an engine in a region.
pub(super) fn engine(cloud: Cloud, region: &str, engine: Engine) -> Option<String> {
    match cloud {
        Cloud::HuaweiCloud => huawei(region, engine),
        Cloud::OpenTelekomCloud => telekom(region, engine),
    }
}

fn huawei(region: &str, engine: Engine) -> Option<String> {
    if (region, engine) == ("eu-west-101", Engine::GeminiDB) {
        return Some("gaussdb-nosql.eu-west-101.myhuaweicloud.eu".into());
    }
    let prefix = match engine {
        Engine::GeminiDB => GEMINIDB.contains(&region).then_some("gaussdb-nosql"),
        // The same prefix is another product in other regions, so none is a default.
        Engine::TaurusDB | Engine::GaussDBforMySQL => {
            TAURUSDB.iter().find(|(_, regions)| regions.contains(&region)).map(|(prefix, _)| *prefix)
        }
        Engine::DCS => DCS.contains(&region).then_some("dcs"),
    }?;
    Some(format!("{prefix}.{region}.myhuaweicloud.com"))
}

fn telekom(region: &str, engine: Engine) -> Option<String> {
    let prefix = match (engine, region) {
        (Engine::GeminiDB, "eu-de") => "gaussdb-nosql",
        (Engine::TaurusDB | Engine::GaussDBforMySQL, "eu-de") => "gaussdb-mysql",
        (Engine::DCS, "eu-de" | "eu-nl") => "dcs",
        _ => return None,
    };
    Some(format!("{prefix}.{region}.otc.t-systems.com"))
}

/// Regions with an IAM of their own. Some are clouds of partners, whose accounts the global one does not know.
const IAM: &[&str] = &[
    "ae-ad-1", "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "cn-east-2", "cn-east-3", "cn-east-4",
    "cn-east-5", "cn-north-1", "cn-north-2", "cn-north-4", "cn-north-9", "cn-north-12", "cn-south-1", "cn-south-2", "cn-southwest-2",
    "eu-west-0", "la-north-2", "la-south-2", "me-east-1", "my-kualalumpur-1", "na-mexico-1", "ru-moscow-1", "sa-brazil-1", "tr-west-1",
];

/// Regions of Open Telekom Cloud.
const TELEKOM: &[&str] = &["eu-de", "eu-nl"];

const GEMINIDB: &[&str] = &[
    "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "cn-east-2", "cn-east-3",
    "cn-east-4", "cn-north-1", "cn-north-2", "cn-north-4", "cn-north-9", "cn-north-11", "cn-south-1", "cn-south-2", "cn-south-4",
    "cn-southwest-2", "cn-southwest-3", "la-north-2", "la-south-2", "me-east-1", "ru-moscow-1", "ru-northwest-2", "sa-brazil-1",
    "tr-west-1",
];

const TAURUSDB: &[(&str, &[&str])] = &[
    (
        "gaussdb",
        &[
            "ap-southeast-3", "ap-southeast-4", "cn-east-3", "cn-north-2", "cn-north-4", "cn-north-9", "cn-south-1", "cn-south-4",
            "cn-southwest-2", "ru-northwest-2", "sa-brazil-1",
        ],
    ),
    ("gaussdbformysql", &["ap-southeast-1", "ap-southeast-2", "cn-north-11", "me-east-1", "tr-west-1"]),
    ("gaussdb-mysql", &["af-south-1", "cn-east-5", "cn-southwest-3", "la-north-2"]),
];

const DCS: &[&str] = &[
    "ae-ad-1", "af-north-1", "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "cn-east-2", "cn-east-3", "cn-east-4", "cn-east-5", "cn-north-1", "cn-north-2", "cn-north-4", "cn-north-9", "cn-north-11",
    "cn-north-12", "cn-south-1", "cn-south-2", "cn-south-4", "cn-southwest-2", "cn-southwest-3", "eu-west-0", "eu-west-101", "la-north-2",
    "la-south-2", "me-east-1", "my-kualalumpur-1", "na-mexico-1", "ru-moscow-1", "ru-northwest-2", "sa-brazil-1", "tr-west-1",
];
