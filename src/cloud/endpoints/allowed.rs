//! Which hosts of `endpoints` an account's credentials may be sent to. Whoever may write an account names a Secret as well, perhaps one that is not
//! theirs to read; so where it goes is not left to them, but to whoever installs the operator.

use super::tables::GLOBAL_IAM;
use crate::cloud::engine::Cloud;
use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// What an account's own addresses have to keep to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointPolicy {
    /// Whether they may be plain HTTP, and on this machine.
    pub allow_insecure: bool,
    /// Where they may be besides the cloud's own hosts.
    pub allowed_hosts: AllowedHosts,
}

impl EndpointPolicy {
    /// Whether credentials for a cloud may be sent to a host, given without its port.
    pub(super) fn allows(&self, cloud: Cloud, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        is_of_cloud(cloud, host) || self.allowed_hosts.allow(host) || (self.allow_insecure && is_loopback(host))
    }
}

/// The hosts that the operator's `--allowed-endpoint-hosts` names: names, which stand for their subdomains, too, and addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<AllowedHost>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum AllowedHost {
    Name(String),
    Address(IpAddr),
}

impl FromStr for AllowedHosts {
    type Err = String;

    /// Reads `a,b`; nothing allows nothing.
    fn from_str(list: &str) -> Result<Self, String> {
        if list.trim().is_empty() {
            return Ok(Self::default());
        }
        list.split(',').map(|entry| read(entry.trim())).collect::<Result<_, _>>().map(Self)
    }
}

impl AllowedHosts {
    fn allow(&self, host: &str) -> bool {
        self.0.iter().any(|allowed| match allowed {
            AllowedHost::Name(name) => host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            AllowedHost::Address(address) => address_of(host) == Some(*address),
        })
    }
}

/// One entry. As with cookies and `NO_PROXY`, a dot in front of a name changes nothing.
fn read(entry: &str) -> Result<AllowedHost, String> {
    if let Some(address) = address_of(entry).or_else(|| entry.parse::<Ipv6Addr>().ok().map(IpAddr::V6)) {
        return Ok(AllowedHost::Address(address));
    }
    let name = entry.strip_prefix('.').unwrap_or(entry);
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_number = name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    if name.len() > 253 || is_number || !name.split('.').all(is_label) {
        return Err(format!(
            "\"{}\" is no host: write a name such as cloud.example.com, which allows its subdomains, too, or an IP address; no scheme, port, path or *",
            entry.escape_debug()
        ));
    }
    Ok(AllowedHost::Name(name))
}

fn is_label(label: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=63).contains(&label.len()) && label.chars().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
}

/// An address as it stands in a URL.
fn address_of(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || address_of(host).is_some_and(|address| address.is_loopback())
}

/// The domains under which a cloud serves its own APIs: all that the vendor's SDK (the region files of version 3.1.219) and Open Telekom Cloud's list of
/// regions and endpoints name. The clouds of other partners have others, for which `--allowed-endpoint-hosts` is there.
fn domains(cloud: Cloud) -> &'static [&'static str] {
    match cloud {
        Cloud::HuaweiCloud => &["myhuaweicloud.com", "myhuaweicloud.eu"],
        Cloud::OpenTelekomCloud => &["otc.t-systems.com", "sc.otc.t-systems.com"],
    }
}

/// Whether a host is a service of the cloud: `<service>.<region>.<domain>`, or the global IAM. Not whatever lies under the domain: the clouds hand out names
/// there to their customers, such as `<bucket>.obs.<region>.<domain>` and `<bucket>.obs.<domain>`, and a customer must not receive what is another's. Each
/// of those has a label more in front, or no region behind the first one.
fn is_of_cloud(cloud: Cloud, host: &str) -> bool {
    let in_domain = |domain: &&str| host.strip_suffix(*domain).and_then(|rest| rest.strip_suffix('.'));
    (cloud == Cloud::HuaweiCloud && host == GLOBAL_IAM)
        || domains(cloud)
            .iter()
            .filter_map(in_domain)
            .any(|rest| rest.split_once('.').is_some_and(|(service, region)| is_label(service) && is_region(region)))
}

/// Whether a label has the form of a region: two letters of a country or continent, and more after a hyphen (`eu-de`, `cn-north-4`, `my-kualalumpur-1`).
/// Which there are is not asked: new ones come, and their hosts are given while no table has them.
fn is_region(label: &str) -> bool {
    label.split_once('-').is_some_and(|(area, rest)| area.len() == 2 && area.chars().all(|c| c.is_ascii_lowercase()) && is_label(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(list: &str) -> AllowedHosts {
        list.parse().unwrap()
    }

    #[test]
    fn a_name_allows_itself_and_its_subdomains_and_no_name_that_only_ends_like_it() {
        for list in ["example.com", ".example.com", "EXAMPLE.com.", " example.com ", "other.org,example.com"] {
            for host in ["example.com", "x.example.com", "a.b.example.com"] {
                assert!(hosts(list).allow(host), "{list}: {host}");
            }
            for host in ["notexample.com", "example.com.evil.org", "example.org", "com", "xample.com"] {
                assert!(!hosts(list).allow(host), "{list}: {host}");
            }
        }
        assert!(!hosts("").allow("example.com") && !hosts(" ").allow(""), "nothing allows nothing");
    }

    #[test]
    fn an_address_allows_itself_alone() {
        for (list, host) in [("192.0.2.1", "192.0.2.1"), ("fd00::1", "[fd00::1]"), ("[FD00:0::1]", "[fd00::1]")] {
            assert!(hosts(list).allow(host), "{list}: {host}");
        }
        for (list, host) in
            [("192.0.2.1", "192.0.2.10"), ("192.0.2.1", "1.192.0.2.1"), ("fd00::1", "[fd00::10]"), ("192.0.2.1", "x.192.0.2.1")]
        {
            assert!(!hosts(list).allow(host), "{list}: {host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_in_one_line() {
        for wrong in [
            "https://example.com",
            "example.com:443",
            "example.com/",
            "*.example.com",
            "a,,b",
            "a,",
            "user@example.com",
            "exa mple.com",
            "exämple.com",
            ".",
            "..",
            "a..b",
            "-a.com",
            "a-.com",
            "10.0.0.0/8",
            "300.1.1.1",
            "127.1",
            "[::1",
            "[::1]:443",
            "example.com\nx",
            "192.0.2.1:80",
        ] {
            let error = wrong.parse::<AllowedHosts>().expect_err(wrong);
            assert!(error.contains("is no host") && !error.contains('\n'), "{error}");
        }
        assert!("a.".repeat(127).parse::<AllowedHosts>().is_ok(), "253 characters and a dot");
        assert!("aa.".repeat(100).parse::<AllowedHosts>().is_err());
    }

    #[test]
    fn the_services_of_a_cloud_are_its_own_and_what_customers_own_under_its_domain_is_not() {
        let none = EndpointPolicy::default();
        for (cloud, host) in [
            (Cloud::HuaweiCloud, "iam.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "iam.cn-north-13.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "iam.cn-north-4.myhuaweicloud.com."),
            (Cloud::HuaweiCloud, "gaussdb-mysql.me-east-1.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "dcs.eu-west-101.myhuaweicloud.eu"),
            (Cloud::OpenTelekomCloud, "iam.eu-de.otc.t-systems.com"),
            (Cloud::OpenTelekomCloud, "iam-pub.eu-ch2.sc.otc.t-systems.com"),
        ] {
            assert!(none.allows(cloud, host), "{host}");
        }
        for (cloud, host) in [
            (Cloud::HuaweiCloud, "iam.evil.example"),
            (Cloud::HuaweiCloud, "evilmyhuaweicloud.com"),
            (Cloud::HuaweiCloud, "iam.cn-north-4.evilmyhuaweicloud.com"),
            (Cloud::HuaweiCloud, "iam.cn-north-4.myhuaweicloud.com.evil.example"),
            (Cloud::HuaweiCloud, "myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "cn-north-4.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, ".cn-north-4.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "bucket.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "bucket.obs.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "bucket.obs.cn-north-4.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "bucket.obs-website.cn-north-4.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "0f.apig.cn-north-4.myhuaweicloud.com"),
            (Cloud::HuaweiCloud, "iam.eu-de.otc.t-systems.com"),
            (Cloud::OpenTelekomCloud, "bucket.obs.eu-de.otc.t-systems.com"),
            (Cloud::OpenTelekomCloud, "iam.cn-north-4.myhuaweicloud.com"),
            (Cloud::OpenTelekomCloud, "iam.myhuaweicloud.com"),
        ] {
            assert!(!none.allows(cloud, host), "{host}");
        }
    }

    #[test]
    fn this_machine_is_allowed_where_plain_http_is() {
        let insecure = EndpointPolicy { allow_insecure: true, ..EndpointPolicy::default() };
        for host in ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"] {
            assert!(insecure.allows(Cloud::HuaweiCloud, host), "{host}");
            assert!(!EndpointPolicy::default().allows(Cloud::HuaweiCloud, host), "{host}");
        }
        for host in ["localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "128.0.0.1", "192.168.0.1", "169.254.169.254"] {
            assert!(!insecure.allows(Cloud::HuaweiCloud, host), "{host}");
        }
    }
}
