//! Which host serves an engine in a region: the vendor SDK's region files and the clouds' endpoint tables, as data.

use super::engine::{Cloud, Engine};
use http::{
    Uri,
    uri::{Authority, Scheme},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Other addresses than those of the endpoint table, each a URL such as `https://gaussdb.example.com`, without a path.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Identity and Access Management: tokens and projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<String>,
    /// GeminiDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geminidb: Option<String>,
    /// GaussDB(for MySQL), the older API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaussdbformysql: Option<String>,
    /// TaurusDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taurusdb: Option<String>,
    /// Distributed Cache Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dcs: Option<String>,
}

/// Why an account's addresses cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Plain HTTP.
    #[error("endpoints.{service} is plain http: use https (the operator's --allow-insecure-endpoints is for tests)")]
    Insecure {
        /// Field of `endpoints`.
        service: &'static str,
    },
    /// Not a URL of a host alone.
    #[error("endpoints.{service} must be a URL of a host alone, such as https://iam.example.com")]
    Invalid {
        /// Field of `endpoints`.
        service: &'static str,
    },
    /// The region is not in the table.
    #[error("region {region} of {} is not in the endpoint table: correct it, or use a ClusterCloudAccount with endpoints", cloud.as_str())]
    UnknownRegion {
        /// The cloud.
        cloud: Cloud,
        /// The region.
        region: String,
    },
}

/// Scheme and host of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https`, or `http` where that is allowed.
    pub scheme: Scheme,
    /// Host, with a port if there is one: what the `Host` header says and what is signed.
    pub host: String,
}

/// The addresses of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Identity and Access Management.
    pub iam: Endpoint,
    engines: Vec<(Engine, Endpoint)>,
}

impl Endpoints {
    /// The addresses in a region, an override before the table's. An engine that is in neither is missing only when it is used.
    pub fn resolve(cloud: Cloud, region: &str, overrides: &Overrides, allow_insecure: bool) -> Result<Self, EndpointError> {
        let choose = |service: &'static str, given: &Option<String>, table: Option<String>| match given {
            Some(url) => parse(service, url, allow_insecure).map(Some),
            None => Ok(table.map(|host| Endpoint { scheme: Scheme::HTTPS, host })),
        };
        let unknown = || EndpointError::UnknownRegion { cloud, region: region.to_owned() };
        let iam = choose("iam", &overrides.iam, iam_host(cloud, region))?.ok_or_else(unknown)?;
        let mut engines = Vec::new();
        for engine in Engine::all() {
            let given = match engine {
                Engine::GeminiDB => &overrides.geminidb,
                Engine::GaussDBforMySQL => &overrides.gaussdbformysql,
                Engine::TaurusDB => &overrides.taurusdb,
                Engine::DCS => &overrides.dcs,
            };
            if let Some(endpoint) = choose(engine.api().label, given, host(cloud, region, engine))? {
                engines.push((engine, endpoint));
            }
        }
        if engines.is_empty() { Err(unknown()) } else { Ok(Self { iam, engines }) }
    }

    /// Where an engine is served, if it is in this region.
    pub fn engine(&self, engine: Engine) -> Option<&Endpoint> {
        self.engines.iter().find(|(known, _)| *known == engine).map(|(_, endpoint)| endpoint)
    }
}

fn parse(service: &'static str, url: &str, allow_insecure: bool) -> Result<Endpoint, EndpointError> {
    let invalid = || EndpointError::Invalid { service };
    let uri: Uri = url.parse().map_err(|_| invalid())?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(invalid()) };
    let is_host_alone = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@') && !authority.host().is_empty();
    if !is_host_alone || ![Scheme::HTTP, Scheme::HTTPS].contains(scheme) {
        return Err(invalid());
    }
    if *scheme == Scheme::HTTP && !allow_insecure {
        return Err(EndpointError::Insecure { service });
    }
    Ok(Endpoint { scheme: scheme.clone(), host: as_sent(scheme, authority).ok_or_else(invalid)? })
}

/// The host as it goes into the `Host` header, since that is what is signed: in lower case, without the port that the scheme implies.
fn as_sent(scheme: &Scheme, authority: &Authority) -> Option<String> {
    let host = Some(authority.host().to_ascii_lowercase()).filter(|host| is_host(host))?;
    let implied = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    match authority.port_u16() {
        Some(port) if port != implied => Some(format!("{host}:{port}")),
        Some(_) => Some(host),
        // Something stands behind the host that is no port.
        None => (host.len() == authority.as_str().len()).then_some(host),
    }
}

/// A name, or an address in the one spelling that no library changes on the way.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    let is_number = host.trim_end_matches('.').rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    is_name && (!is_number || host.parse::<Ipv4Addr>().is_ok())
}

fn iam_host(cloud: Cloud, region: &str) -> Option<String> {
    match cloud {
        Cloud::HuaweiCloud if region == "eu-west-101" => Some("iam.eu-west-101.myhuaweicloud.eu".into()),
        Cloud::HuaweiCloud => {
            Some(if IAM_REGIONS.contains(&region) { format!("iam.{region}.myhuaweicloud.com") } else { "iam.myhuaweicloud.com".into() })
        }
        // The Swiss cloud; it serves none of the engines, so they need endpoints of their own there.
        Cloud::OpenTelekomCloud if region == "eu-ch2" => Some("iam-pub.eu-ch2.sc.otc.t-systems.com".into()),
        Cloud::OpenTelekomCloud => ["eu-de", "eu-nl"].contains(&region).then(|| format!("iam.{region}.otc.t-systems.com")),
    }
}

/// Regions with an IAM address of their own that every account can use; elsewhere the global one serves.
const IAM_REGIONS: &[&str] = &[
    "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "cn-east-2", "cn-east-3", "cn-north-1",
    "cn-north-2", "cn-north-4", "cn-north-9", "cn-south-1", "cn-south-2", "cn-southwest-2", "la-north-2", "la-south-2", "sa-brazil-1",
];

fn host(cloud: Cloud, region: &str, engine: Engine) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(cloud: Cloud, region: &str, engine: Engine) -> Option<String> {
        Endpoints::resolve(cloud, region, &Overrides::default(), false).ok()?.engine(engine).map(|endpoint| endpoint.host.clone())
    }

    #[test]
    fn the_tables_know_the_hosts_of_the_vendor_pages() {
        use Cloud::{HuaweiCloud, OpenTelekomCloud};
        assert_eq!(
            host_of(HuaweiCloud, "ap-southeast-1", Engine::GeminiDB).as_deref(),
            Some("gaussdb-nosql.ap-southeast-1.myhuaweicloud.com")
        );
        assert_eq!(host_of(HuaweiCloud, "cn-north-4", Engine::TaurusDB).as_deref(), Some("gaussdb.cn-north-4.myhuaweicloud.com"));
        assert_eq!(host_of(HuaweiCloud, "tr-west-1", Engine::TaurusDB).as_deref(), Some("gaussdbformysql.tr-west-1.myhuaweicloud.com"));
        assert_eq!(host_of(OpenTelekomCloud, "eu-de", Engine::TaurusDB).as_deref(), Some("gaussdb-mysql.eu-de.otc.t-systems.com"));
        assert_eq!(host_of(OpenTelekomCloud, "eu-nl", Engine::DCS).as_deref(), Some("dcs.eu-nl.otc.t-systems.com"));
        assert_eq!(host_of(OpenTelekomCloud, "eu-nl", Engine::TaurusDB), None, "served in eu-de only");
    }

    #[test]
    fn an_unknown_region_needs_endpoints() {
        let none = Overrides::default();
        assert!(matches!(Endpoints::resolve(Cloud::OpenTelekomCloud, "eu-ch2", &none, false), Err(EndpointError::UnknownRegion { .. })));
        assert!(matches!(Endpoints::resolve(Cloud::OpenTelekomCloud, "eu-xx", &none, false), Err(EndpointError::UnknownRegion { .. })));
        assert!(matches!(Endpoints::resolve(Cloud::HuaweiCloud, "nowhere-1", &none, false), Err(EndpointError::UnknownRegion { .. })));
        let given = Overrides { iam: Some("https://iam.example.com".into()), dcs: Some("https://dcs.example.com:8443".into()), ..none };
        let endpoints = Endpoints::resolve(Cloud::OpenTelekomCloud, "eu-xx", &given, false).unwrap();
        assert_eq!(endpoints.engine(Engine::DCS).map(|endpoint| endpoint.host.as_str()), Some("dcs.example.com:8443"));
        assert_eq!(endpoints.engine(Engine::GeminiDB), None);
    }

    #[test]
    fn plain_http_is_refused_unless_it_is_allowed() {
        let given = Overrides { iam: Some("http://127.0.0.1:1".into()), ..Overrides::default() };
        assert_eq!(Endpoints::resolve(Cloud::HuaweiCloud, "cn-north-4", &given, false), Err(EndpointError::Insecure { service: "iam" }));
        assert!(Endpoints::resolve(Cloud::HuaweiCloud, "cn-north-4", &given, true).is_ok());
    }

    #[test]
    fn an_override_is_a_host_alone() {
        for wrong in [
            "iam.example.com",
            "ftp://x",
            "https://",
            "https://x/path",
            "https://x?q=1",
            "https://user:secret@x",
            "https://x:",
            "https://x:99999",
            "not a url",
            "https://x[:]1:8080",
            "https://a%2fb",
            "https://127.1",
            "https://0x7f000001",
            "https://[0:0::1]",
        ] {
            let given = Overrides { iam: Some(wrong.into()), ..Overrides::default() };
            let resolved = Endpoints::resolve(Cloud::HuaweiCloud, "cn-north-4", &given, true);
            assert_eq!(resolved, Err(EndpointError::Invalid { service: "iam" }), "{wrong}");
        }
    }

    #[test]
    fn the_host_is_signed_as_it_is_sent() {
        for (url, host) in [
            ("https://IAM.Example.com", "iam.example.com"),
            ("https://iam.example.com:443/", "iam.example.com"),
            ("https://iam.example.com:80", "iam.example.com:80"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            let given = Overrides { iam: Some(url.into()), ..Overrides::default() };
            assert_eq!(Endpoints::resolve(Cloud::HuaweiCloud, "cn-north-4", &given, true).unwrap().iam.host, host, "{url}");
        }
    }
}
