//! The endpoint tables, as data: the region files of the vendor's SDK (`iam_region.py`, `gaussdbfornosql_region.py`, `gaussdb_region.py`,
//! `dcs_region.py`, `rds_region.py`, `dds_region.py` and `gaussdbforopengauss_region.py` of version 3.1.219), and Open Telekom Cloud's list of regions and
//! endpoints. A test in `tests/simulator/` compares them with the SDK.

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
        Cloud::OpenTelekomCloud if region == SWITZERLAND => Some("iam-pub.eu-ch2.sc.otc.t-systems.com".into()),
        Cloud::OpenTelekomCloud => TELEKOM.contains(&region).then(|| format!("iam.{region}.otc.t-systems.com")),
    }
}

/// The regions where an engine is served.
pub(super) fn regions(cloud: Cloud) -> BTreeSet<&'static str> {
    match cloud {
        Cloud::HuaweiCloud => Engine::all().flat_map(huawei_regions).flat_map(|(_, regions)| *regions).copied().collect(),
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
    let (prefix, _) = huawei_regions(engine).iter().find(|(_, regions)| regions.contains(&region))?;
    // DCS is the only one that the SDK has below `.com` there.
    let domain = if region == "eu-west-101" && engine != Engine::DCS { "eu" } else { "com" };
    Some(format!("{prefix}.{region}.myhuaweicloud.{domain}"))
}

/// The first word of an engine's hosts, and in which regions it is that. `gaussdb` is TaurusDB in some regions and GaussDB in others, so no word is a default.
fn huawei_regions(engine: Engine) -> &'static [(&'static str, &'static [&'static str])] {
    match engine {
        Engine::GeminiDB => &[("gaussdb-nosql", GEMINIDB)],
        Engine::TaurusDB | Engine::GaussDBforMySQL => TAURUSDB,
        Engine::DCS => &[("dcs", EVERYWHERE)],
        Engine::RDS => &[("rds", EVERYWHERE)],
        Engine::DDS => &[("dds", EVERYWHERE)],
        Engine::GaussDB => GAUSSDB,
    }
}

fn telekom(region: &str, engine: Engine) -> Option<String> {
    let prefix = match (engine, region) {
        (Engine::RDS, SWITZERLAND) => return Some("rds.eu-ch2.sc.otc.t-systems.com".into()),
        (Engine::GeminiDB, "eu-de") => "gaussdb-nosql",
        (Engine::TaurusDB | Engine::GaussDBforMySQL, "eu-de") => "gaussdb-mysql",
        (Engine::DCS, "eu-de" | "eu-nl") => "dcs",
        (Engine::RDS, "eu-de" | "eu-nl") => "rds",
        (Engine::DDS, "eu-de" | "eu-nl") => "dds",
        // Seen in the examples of the API's reference only; the list of endpoints does not have it.
        (Engine::GaussDB, "eu-de") => "gaussdb",
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
const TELEKOM: &[&str] = &["eu-ch2", "eu-de", "eu-nl"];

/// Its Swiss cloud, with hosts of its own; of the engines it serves RDS.
const SWITZERLAND: &str = "eu-ch2";

const GEMINIDB: &[&str] = &[
    "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "cn-east-2", "cn-east-3",
    "cn-east-4", "cn-north-1", "cn-north-2", "cn-north-4", "cn-north-9", "cn-north-11", "cn-south-1", "cn-south-2", "cn-south-4",
    "cn-southwest-2", "cn-southwest-3", "eu-west-101", "la-north-2", "la-south-2", "me-east-1", "ru-moscow-1", "ru-northwest-2",
    "sa-brazil-1", "tr-west-1",
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

const GAUSSDB: &[(&str, &[&str])] = &[
    (
        "gaussdb-opengauss",
        &[
            "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "cn-east-3", "cn-north-2", "cn-north-4",
            "cn-north-9", "cn-south-1", "cn-south-2", "cn-south-4", "cn-southwest-2", "la-north-2", "la-south-2", "ru-northwest-2",
            "sa-brazil-1",
        ],
    ),
    ("gaussdb", &["af-north-1", "ap-southeast-5", "cn-east-2", "cn-east-4", "cn-east-5", "cn-north-12", "me-east-1", "tr-west-1"]),
];

/// Where DCS, RDS and DDS are.
const EVERYWHERE: &[&str] = &[
    "ae-ad-1", "af-north-1", "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "cn-east-2", "cn-east-3", "cn-east-4", "cn-east-5", "cn-north-1", "cn-north-2", "cn-north-4", "cn-north-9", "cn-north-11",
    "cn-north-12", "cn-south-1", "cn-south-2", "cn-south-4", "cn-southwest-2", "cn-southwest-3", "eu-west-0", "eu-west-101", "la-north-2",
    "la-south-2", "me-east-1", "my-kualalumpur-1", "na-mexico-1", "ru-moscow-1", "ru-northwest-2", "sa-brazil-1", "tr-west-1",
];
