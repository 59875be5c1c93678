//! Every flag, each with its environment variable.

use crate::{
    cloud::{
        client::agents::{AgencyOptions, PodAgent},
        endpoints::{AllowedHosts, EndpointPolicy},
    },
    controller::{checks::permissions::LeaseName, context::Options},
    plan::{backup::description::ClusterName, settings::Settings},
};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// Takes backups of managed cloud databases, exactly once, and says truthfully how they went.
#[derive(Debug, Parser)]
#[command(name = "database-backup-operator", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(Box<Run>),
    /// Ask the cluster whether everything is there that `run` with the same flags needs: definitions and rights. With `--account`, verify that account step by
    /// step, and print a table. Ends with 0 if all is well, else with 1.
    Check(Box<Check>),
    /// Print the CustomResourceDefinitions as YAML.
    Crd,
    /// Wait until backups are Completed, with a line for each change. Ends with 0 when all are; 1: an error; 2: wrong arguments; 3: one is Failed, Missing,
    /// Expired or Lapsed; 4: the time is over; 5: there is no such object; 6: one is blocked (Stalled).
    Wait(Wait),
}

/// The arguments of `wait`.
#[derive(Args, Debug)]
pub struct Wait {
    /// Names of the DatabaseBackups, or what `kubectl create -o name` printed of them.
    #[arg(required = true, value_name = "NAME", value_parser = backup_name)]
    pub names: Vec<String>,

    /// Where they are. Default: the namespace of the kubeconfig's context; in a Pod its own.
    #[arg(short, long, env = "DBBACKUP_WAIT_NAMESPACE", value_parser = namespace)]
    pub namespace: Option<String>,

    /// How long to wait for all of them together.
    #[arg(long, env = "DBBACKUP_WAIT_TIMEOUT", default_value = "30m", value_parser = duration)]
    pub timeout: Duration,
}

/// The arguments of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The account to verify: NAMESPACE/NAME of a CloudAccount, or NAME of a ClusterCloudAccount. The flags that say where have to be those of `run`.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = account_name)]
    pub account: Option<AccountName>,

    /// Those of `run`.
    #[command(flatten)]
    pub run: Run,
}

/// An account as it is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// Namespace of a CloudAccount; absent for a ClusterCloudAccount.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// The flags of `run`, and of `check`, which heeds those that say where.
#[derive(Args, Debug)]
pub struct Run {
    /// Namespaces to watch, separated by commas. Default: all of them.
    #[arg(long, env = "DBBACKUP_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,

    /// Where the Secrets of ClusterCloudAccounts are. Default: the operator's own namespace.
    #[arg(long, env = "DBBACKUP_CLUSTER_RESOURCE_NAMESPACE")]
    pub cluster_resource_namespace: Option<String>,

    /// Whether one of several replicas is chosen to act.
    #[arg(long, env = "DBBACKUP_LEADER_ELECT", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub leader_elect: bool,

    /// Name of the Lease that the acting replica holds.
    #[arg(long, env = "DBBACKUP_LEASE_NAME", default_value = "database-backup-operator")]
    pub lease_name: String,

    /// Namespace of the Lease. Default: the operator's own namespace.
    #[arg(long, env = "DBBACKUP_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// How long a Lease that is not renewed keeps others from acting; at least 2s.
    #[arg(long, env = "DBBACKUP_LEASE_DURATION", default_value = "15s", value_parser = lease_duration)]
    pub lease_duration: Duration,

    /// Address of /healthz, /readyz and /metrics. Default: `[::]:8080`, or `0.0.0.0:8080` where there is no IPv6.
    #[arg(long, env = "DBBACKUP_LISTEN", default_value = "[::]:8080")]
    pub listen: String,

    /// Between two looks at running backups.
    #[arg(long, env = "DBBACKUP_POLL_INTERVAL", default_value = "15s", value_parser = duration)]
    pub poll_interval: Duration,

    /// How long a create call without an answer may take to show up in the cloud's listings.
    #[arg(long, env = "DBBACKUP_SETTLE_DELAY", default_value = "300s", value_parser = duration)]
    pub settle_delay: Duration,

    /// Between two looks at settled backups.
    #[arg(long, env = "DBBACKUP_RESYNC_INTERVAL", default_value = "12h", value_parser = duration)]
    pub resync_interval: Duration,

    /// How long a blocked object stays Reconciling before it is Stalled.
    #[arg(long, env = "DBBACKUP_BLOCKED_GRACE", default_value = "5m", value_parser = duration)]
    pub blocked_grace: Duration,

    /// How far apart two listings must lack a backup before it counts as gone.
    #[arg(long, env = "DBBACKUP_GONE_AFTER", default_value = "10m", value_parser = duration)]
    pub gone_after: Duration,

    /// Before the next attempt after the cloud reported FAILED; then 4 and 16 times that.
    #[arg(long, env = "DBBACKUP_RETRY_BACKOFF", default_value = "1m", value_parser = duration)]
    pub retry_backoff: Duration,

    /// Reconciles at once.
    #[arg(long, env = "DBBACKUP_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,

    /// Allow endpoints with plain http. For demonstrations and tests only.
    #[arg(long, env = "DBBACKUP_ALLOW_INSECURE_ENDPOINTS", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub allow_insecure_endpoints: bool,

    /// Hosts that the endpoints of ClusterCloudAccounts may name besides the cloud's own, separated by commas: names, which allow their subdomains, too, and
    /// IP addresses. Credentials are sent there. Default: none.
    #[arg(long, env = "DBBACKUP_ALLOWED_ENDPOINT_HOSTS", default_value = "", hide_default_value = true, value_name = "HOSTS")]
    pub allowed_endpoint_hosts: AllowedHosts,

    /// File with certificates (PEM) of authorities that the cloud's certificates may be signed by, besides the public ones; for a proxy that opens TLS, or a
    /// cloud of your own. It is read at the start.
    #[arg(long, env = "DBBACKUP_CA_BUNDLE", value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,

    /// Where the node's metadata service is, which hands out the keys of the node's agency (`instanceAgency`). No proxy is used for it.
    #[arg(long, env = "DBBACKUP_METADATA_ENDPOINT", default_value = "http://169.254.169.254", value_name = "URL", value_parser = metadata_endpoint)]
    pub metadata_endpoint: String,

    /// What this cluster is called in the description that a backup gets in the cloud when its object has none: up to 40 printable ASCII characters, none of
    /// `> ! < " & ' =`. Default: the cluster is not named.
    #[arg(long, env = "DBBACKUP_CLUSTER_NAME", default_value = "", hide_default_value = true, value_name = "NAME")]
    pub cluster_name: ClusterName,

    /// Form of the log lines.
    #[arg(long, env = "DBBACKUP_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// What is logged: a level, or a filter as in `info,database_backup_operator=debug`. Libraries log no bodies and no headers at any level.
    #[arg(long, env = "DBBACKUP_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl Run {
    /// The flags that reconciles depend on.
    pub fn options(&self, own_namespace: String) -> Options {
        Options {
            namespaces: self.watch_namespaces.clone(),
            settings: Settings {
                poll_interval: self.poll_interval,
                settle_delay: self.settle_delay,
                resync_interval: self.resync_interval,
                blocked_grace: self.blocked_grace,
                gone_after: self.gone_after,
                retry_backoff: self.retry_backoff,
            },
            cluster_resource_namespace: self.cluster_resource_namespace.clone().unwrap_or(own_namespace),
            endpoint_policy: EndpointPolicy {
                allow_insecure: self.allow_insecure_endpoints,
                allowed_hosts: self.allowed_endpoint_hosts.clone(),
            },
            agencies: AgencyOptions { metadata_endpoint: self.metadata_endpoint.clone(), pod: pod_agent(|name| std::env::var(name).ok()) },
            cluster_name: self.cluster_name.clone(),
        }
    }

    /// The Lease that the acting replica holds; absent without leader election.
    pub fn lease(&self, own_namespace: &str) -> Option<LeaseName> {
        let namespace = self.lease_namespace.as_deref().unwrap_or(own_namespace).to_owned();
        self.leader_elect.then(|| LeaseName { namespace, name: self.lease_name.clone() })
    }
}

/// A duration such as `15s`, `5m`, `12h` or `250ms`; more than nothing, and at most a year.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a duration: write a number with a unit, such as 250ms, 15s, 5m or 12h");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let duration = Duration::try_from(parsed).map_err(|_| wrong())?;
    if duration.is_zero() || duration > Duration::from_secs(366 * 24 * 3600) {
        return Err(format!("\"{text}\" is out of range: more than nothing, at most a year"));
    }
    Ok(duration)
}

/// A URL of a host alone, by http: the metadata service has no certificate.
fn metadata_endpoint(text: &str) -> Result<String, String> {
    let url: Option<http::Uri> = text.parse().ok();
    let is_host_alone =
        |url: &http::Uri| url.scheme_str() == Some("http") && url.path() == "/" && url.query().is_none() && url.host().is_some();
    let is_usable = url.as_ref().is_some_and(is_host_alone) && !text.contains('@');
    let why = || format!("\"{text}\" is no address of a metadata service: write http://HOST or http://HOST:PORT");
    is_usable.then(|| text.trim_end_matches('/').to_owned()).ok_or_else(why)
}

/// What CCE Pod Identity puts into the environment of the containers of a Pod (the vendor's SDK, `PodIdentityCredentialProvider`).
fn pod_agent(variable: impl Fn(&str) -> Option<String>) -> Option<PodAgent> {
    let uri = variable("HC_CONTAINER_CREDENTIALS_FULL_URI").filter(|uri| !uri.is_empty())?;
    let token_file = variable("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE").filter(|file| !file.is_empty())?;
    Some(PodAgent { uri, token_file: token_file.into() })
}

/// The API keeps whole seconds, and five requests have to fit in.
fn lease_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        short if short < Duration::from_secs(2) => Err(format!("\"{text}\" is too short for a lease: at least 2s")),
        long => Ok(long),
    }
}

/// A name alone, or behind the kind as `kubectl -o name` prints it and people write it.
fn backup_name(text: &str) -> Result<String, String> {
    let kinds = ["databasebackup.dbbackup.dev", "databasebackups.dbbackup.dev", "databasebackup", "databasebackups", "dbb"];
    let name = text.split_once('/').filter(|(kind, _)| kinds.contains(kind)).map_or(text, |(_, name)| name);
    is_name(name, 253, ".-")
        .then(|| name.to_owned())
        .ok_or_else(|| format!("\"{text}\" is no name of a DatabaseBackup: write NAME or databasebackup/NAME"))
}

fn account_name(text: &str) -> Result<AccountName, String> {
    let (namespace, name) = text.split_once('/').map_or((None, text), |(namespace, name)| (Some(namespace), name));
    let is_named = is_name(name, 253, ".-") && namespace.is_none_or(|namespace| is_name(namespace, 63, "-"));
    let named = || AccountName { namespace: namespace.map(ToOwned::to_owned), name: name.to_owned() };
    is_named.then(named).ok_or_else(|| {
        format!("\"{text}\" is no name of an account: write NAMESPACE/NAME of a CloudAccount, or NAME of a ClusterCloudAccount")
    })
}

fn namespace(text: &str) -> Result<String, String> {
    is_name(text, 63, "-").then(|| text.to_owned()).ok_or_else(|| format!("\"{text}\" is no name of a namespace"))
}

/// Whether an object can be named so; anything else could mean something of its own where names stand in addresses and selectors.
fn is_name(text: &str, longest: usize, also: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c);
    (1..=longest).contains(&text.len()) && text.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units_and_wrong_ones_say_what_is_wrong() {
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "15", "-5s", "0s", "soon", "9999999h"] {
            let error = duration(wrong).expect_err(wrong);
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn allowed_hosts_are_read_from_one_list_and_an_empty_one_is_none() {
        let run = |list: &str| Cli::try_parse_from(["x", "run", "--allowed-endpoint-hosts", list]);
        let policy = |list: &str| match run(list).unwrap().command {
            Command::Run(run) => run.options("operator".into()).endpoint_policy,
            _ => unreachable!("it is run"),
        };
        assert_eq!(policy("a.example,192.0.2.1").allowed_hosts, "a.example,192.0.2.1".parse().unwrap());
        assert_eq!(policy(""), EndpointPolicy::default());
        let error = run("https://a.example").unwrap_err().to_string();
        assert!(error.contains("\"https://a.example\" is no host"), "{error}");
    }

    #[test]
    fn the_name_of_the_cluster_is_checked_at_the_start() {
        let run = |name: &str| Cli::try_parse_from(["x", "run", "--cluster-name", name]);
        let named = |name: &str| match run(name).unwrap().command {
            Command::Run(run) => run.options("operator".into()).cluster_name,
            _ => unreachable!("it is run"),
        };
        assert_eq!(named("prod-eu"), "prod-eu".parse().unwrap());
        assert_eq!(named(""), ClusterName::default());
        let error = run("prod & test").unwrap_err().to_string();
        assert!(error.contains("--cluster-name <NAME>") && error.contains("printable ASCII"), "{error}");
    }

    #[test]
    fn an_account_is_named_with_its_namespace_or_without_one_and_nothing_else_gets_into_a_selector() {
        let account = |text: &str| match Cli::try_parse_from(["x", "check", "--account", text])?.command {
            Command::Check(check) => Ok(check.account),
            _ => unreachable!("it is check"),
        };
        let named = |namespace: Option<&str>, name: &str| Some(AccountName { namespace: namespace.map(Into::into), name: name.into() });
        assert_eq!(account("shop/default").unwrap(), named(Some("shop"), "default"));
        assert_eq!(account("otc.shared").unwrap(), named(None, "otc.shared"));
        for wrong in ["", "/", "a/", "/a", "a/b/c", "a,metadata.name=b", "A"] {
            assert!(account(wrong).map_err(|error: clap::Error| error.exit_code()).is_err_and(|code| code == 2), "{wrong}");
        }
    }

    #[test]
    fn the_metadata_service_is_a_host_alone_by_http_and_pod_identity_is_what_the_platform_says() {
        assert_eq!(metadata_endpoint("http://169.254.169.254/").as_deref(), Ok("http://169.254.169.254"));
        for wrong in ["169.254.169.254", "https://169.254.169.254", "http://x/path", "http://x?q", "http://a@x", "http://"] {
            assert!(metadata_endpoint(wrong).is_err(), "{wrong}");
        }
        let all = |name: &str| Some(name.to_owned());
        let agent = pod_agent(all).unwrap();
        assert_eq!(
            (agent.uri.as_str(), agent.token_file.to_str()),
            ("HC_CONTAINER_CREDENTIALS_FULL_URI", Some("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
        );
        assert_eq!(pod_agent(|name| all(name).filter(|name| name.ends_with("URI"))), None, "both or none");
    }

    #[test]
    fn leader_election_can_be_switched_off_by_flag() {
        let cli = Cli::parse_from(["x", "run", "--leader-elect=false"]);
        assert!(matches!(cli.command, Command::Run(run) if !run.leader_elect));
        let cli = Cli::parse_from(["x", "run"]);
        assert!(matches!(cli.command, Command::Run(run) if run.leader_elect), "on by default");
    }

    #[test]
    fn what_is_waited_for_is_named_as_people_and_kubectl_write_it_and_nothing_else_gets_into_a_selector() {
        let parsed = |args: &[&str]| match Cli::try_parse_from([&["x", "wait"], args].concat())?.command {
            Command::Wait(wait) => Ok(wait),
            _ => unreachable!("it is wait"),
        };
        let wait = parsed(&["orders-v1.2", "databasebackup.dbbackup.dev/a", "dbb/b", "-n", "shop"]).unwrap();
        assert_eq!(wait.names, ["orders-v1.2", "a", "b"]);
        assert_eq!((wait.namespace.as_deref(), wait.timeout), (Some("shop"), Duration::from_secs(1800)));
        for wrong in
            [&[][..], &[""], &["a,metadata.name=b"], &["pod/a"], &["dbb/"], &["dbb/a/b"], &["A"], &["a", "-n", ""], &["a", "-n", "a/b"]]
        {
            assert_eq!(parsed(wrong).map_err(|error: clap::Error| error.exit_code()).unwrap_err(), 2, "{wrong:?}");
        }
    }
}
