//! Which host serves an engine in a region, and which other ones an account may name.

mod allowed;
mod tables;

use super::engine::{Cloud, Engine};
pub use allowed::{AllowedHosts, EndpointPolicy};
use http::{
    Uri,
    uri::{Authority, Scheme},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

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
    /// Relational Database Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rds: Option<String>,
    /// Document Database Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dds: Option<String>,
    /// GaussDB with its openGauss kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaussdb: Option<String>,
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
    /// A host that credentials may not be sent to.
    #[error("endpoints.{service} is not a host of {}, and the operator's --allowed-endpoint-hosts does not name it: correct it, or have it named there", cloud.as_str())]
    NotAllowed {
        /// Field of `endpoints`.
        service: &'static str,
        /// The cloud.
        cloud: Cloud,
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
    pub fn resolve(cloud: Cloud, region: &str, overrides: &Overrides, policy: &EndpointPolicy) -> Result<Self, EndpointError> {
        let choose = |service: &'static str, given: &Option<String>, table: Option<String>| match given {
            Some(url) => parse(cloud, service, url, policy).map(Some),
            None => Ok(table.map(|host| Endpoint { scheme: Scheme::HTTPS, host })),
        };
        let unknown = || EndpointError::UnknownRegion { cloud, region: region.to_owned() };
        let iam = choose("iam", &overrides.iam, tables::iam(cloud, region))?.ok_or_else(unknown)?;
        let mut engines = Vec::new();
        for engine in Engine::all() {
            let given = match engine {
                Engine::GeminiDB => &overrides.geminidb,
                Engine::GaussDBforMySQL => &overrides.gaussdbformysql,
                Engine::TaurusDB => &overrides.taurusdb,
                Engine::DCS => &overrides.dcs,
                Engine::RDS => &overrides.rds,
                Engine::DDS => &overrides.dds,
                Engine::GaussDB => &overrides.gaussdb,
            };
            if let Some(endpoint) = choose(engine.api().label, given, tables::engine(cloud, region, engine))? {
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

/// The regions of a cloud that accounts can name without `endpoints` of their own, in the order of their names.
pub fn regions(cloud: Cloud) -> BTreeSet<&'static str> {
    tables::regions(cloud)
}

fn parse(cloud: Cloud, service: &'static str, url: &str, policy: &EndpointPolicy) -> Result<Endpoint, EndpointError> {
    let invalid = || EndpointError::Invalid { service };
    let uri: Uri = url.parse().map_err(|_| invalid())?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(invalid()) };
    let is_host_alone = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@') && !authority.host().is_empty();
    if !is_host_alone || ![Scheme::HTTP, Scheme::HTTPS].contains(scheme) {
        return Err(invalid());
    }
    let host = as_sent(scheme, authority).ok_or_else(invalid)?;
    if *scheme == Scheme::HTTP && !policy.allow_insecure {
        return Err(EndpointError::Insecure { service });
    }
    if !policy.allows(cloud, &authority.host().to_ascii_lowercase()) {
        return Err(EndpointError::NotAllowed { service, cloud });
    }
    Ok(Endpoint { scheme: scheme.clone(), host })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Plain HTTP and this machine, or neither; and `example.com`.
    fn policy(allow_insecure: bool) -> EndpointPolicy {
        EndpointPolicy { allow_insecure, allowed_hosts: "example.com,x".parse().unwrap() }
    }

    fn host_of(cloud: Cloud, region: &str, engine: Engine) -> Option<String> {
        Endpoints::resolve(cloud, region, &Overrides::default(), &policy(false)).ok()?.engine(engine).map(|endpoint| endpoint.host.clone())
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
        assert_eq!(host_of(HuaweiCloud, "eu-west-101", Engine::RDS).as_deref(), Some("rds.eu-west-101.myhuaweicloud.eu"));
        assert_eq!(host_of(OpenTelekomCloud, "eu-nl", Engine::DDS).as_deref(), Some("dds.eu-nl.otc.t-systems.com"));
        assert_eq!(host_of(OpenTelekomCloud, "eu-de", Engine::GaussDB).as_deref(), Some("gaussdb.eu-de.otc.t-systems.com"));
        assert_eq!(host_of(OpenTelekomCloud, "eu-ch2", Engine::RDS).as_deref(), Some("rds.eu-ch2.sc.otc.t-systems.com"));
        assert_eq!(host_of(OpenTelekomCloud, "eu-ch2", Engine::DCS), None, "the Swiss cloud has RDS alone");
    }

    #[test]
    fn no_two_products_have_the_same_host() {
        for cloud in [Cloud::HuaweiCloud, Cloud::OpenTelekomCloud] {
            for region in regions(cloud) {
                // The older API of GaussDB(for MySQL) is at TaurusDB's.
                let products = Engine::all().filter(|engine| *engine != Engine::GaussDBforMySQL);
                let hosts: Vec<String> = products.filter_map(|engine| host_of(cloud, region, engine)).collect();
                let different: BTreeSet<&String> = hosts.iter().collect();
                assert_eq!(different.len(), hosts.len(), "{region}: {hosts:?}");
            }
        }
    }

    #[test]
    fn an_unknown_region_needs_endpoints() {
        let none = Overrides::default();
        assert!(matches!(
            Endpoints::resolve(Cloud::OpenTelekomCloud, "eu-xx", &none, &policy(false)),
            Err(EndpointError::UnknownRegion { .. })
        ));
        assert!(matches!(
            Endpoints::resolve(Cloud::HuaweiCloud, "nowhere-1", &none, &policy(false)),
            Err(EndpointError::UnknownRegion { .. })
        ));
        let given = Overrides { iam: Some("https://iam.example.com".into()), dcs: Some("https://dcs.example.com:8443".into()), ..none };
        let endpoints = Endpoints::resolve(Cloud::OpenTelekomCloud, "eu-xx", &given, &policy(false)).unwrap();
        assert_eq!(endpoints.engine(Engine::DCS).map(|endpoint| endpoint.host.as_str()), Some("dcs.example.com:8443"));
        assert_eq!(endpoints.engine(Engine::GeminiDB), None);
    }

    #[test]
    fn each_region_asks_the_iam_that_knows_its_accounts() {
        let iam = |cloud, region| Endpoints::resolve(cloud, region, &Overrides::default(), &policy(false)).unwrap().iam.host;
        for region in [
            "eu-west-0", "ae-ad-1", "ru-moscow-1", "my-kualalumpur-1", "na-mexico-1", "me-east-1", "tr-west-1", "cn-east-4", "cn-east-5",
            "cn-north-12", "cn-north-4", "af-south-1",
        ] {
            assert_eq!(iam(Cloud::HuaweiCloud, region), format!("iam.{region}.myhuaweicloud.com"));
        }
        assert_eq!(iam(Cloud::HuaweiCloud, "eu-west-101"), "iam.eu-west-101.myhuaweicloud.eu");
        assert_eq!(iam(Cloud::HuaweiCloud, "ap-southeast-5"), "iam.myhuaweicloud.com", "the SDK knows none of its own");
        assert_eq!(iam(Cloud::OpenTelekomCloud, "eu-nl"), "iam.eu-nl.otc.t-systems.com");
    }

    #[test]
    fn each_address_of_an_account_has_to_be_allowed() {
        let resolve = |given: &Overrides| Endpoints::resolve(Cloud::OpenTelekomCloud, "eu-de", given, &policy(false));
        let evil = || Some("https://collector.evil.example".to_owned());
        let refused = |service| Err(EndpointError::NotAllowed { service, cloud: Cloud::OpenTelekomCloud });
        assert_eq!(resolve(&Overrides { iam: evil(), ..Overrides::default() }), refused("iam"));
        assert_eq!(resolve(&Overrides { geminidb: evil(), ..Overrides::default() }), refused("geminidb"));
        assert_eq!(resolve(&Overrides { gaussdbformysql: evil(), ..Overrides::default() }), refused("gaussdbformysql"));
        assert_eq!(resolve(&Overrides { taurusdb: evil(), ..Overrides::default() }), refused("taurusdb"));
        assert_eq!(resolve(&Overrides { dcs: evil(), ..Overrides::default() }), refused("dcs"));
        for url in ["https://iam.Example.COM:8443", "https://example.com", "https://iam.eu-nl.otc.t-systems.com:443"] {
            assert!(resolve(&Overrides { iam: Some(url.into()), ..Overrides::default() }).is_ok(), "{url}");
        }
        for url in [
            "https://notexample.com",
            "https://127.0.0.1",
            "https://[::1]:8443",
            "https://localhost",
            "https://iam.cn-north-4.myhuaweicloud.com",
        ] {
            assert_eq!(resolve(&Overrides { iam: Some(url.into()), ..Overrides::default() }), refused("iam"), "{url}");
        }
        assert!(EndpointError::NotAllowed { service: "gaussdbformysql", cloud: Cloud::OpenTelekomCloud }.to_string().len() < 200);
    }

    #[test]
    fn plain_http_is_refused_unless_it_is_allowed() {
        let given = Overrides { iam: Some("http://127.0.0.1:1".into()), ..Overrides::default() };
        assert_eq!(
            Endpoints::resolve(Cloud::HuaweiCloud, "cn-north-4", &given, &policy(false)),
            Err(EndpointError::Insecure { service: "iam" })
        );
        assert!(Endpoints::resolve(Cloud::HuaweiCloud, "cn-north-4", &given, &policy(true)).is_ok());
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
            let resolved = Endpoints::resolve(Cloud::HuaweiCloud, "cn-north-4", &given, &policy(true));
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
            assert_eq!(Endpoints::resolve(Cloud::HuaweiCloud, "cn-north-4", &given, &policy(true)).unwrap().iam.host, host, "{url}");
        }
    }
}
