//! Where the API server is, and how it is reached: by a kubeconfig or by the ServiceAccount of a Pod, through a proxy or not. Nothing here shows what a
//! kubeconfig or the address of a proxy holds.

use crate::controller::api_error::explained;
use http::{Request, Uri};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::{legacy::connect::HttpConnector, proxy::matcher::Matcher},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt},
    config::{ExecAuthCluster, Kubeconfig, KubeconfigError},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::time::Duration;
use tower::{BoxError, ServiceBuilder, service_fn};

/// Answers of the API server to single requests; a reconcile must not wait longer for one.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const HINT: &str = "in a Pod, mount its ServiceAccount; outside, set KUBECONFIG";

/// By the kubeconfig of `KUBECONFIG` or `~/.kube/config`; where there is none that names a cluster, by the ServiceAccount of this Pod, whose API server is
/// never behind a proxy.
///
/// # Errors
/// What is wrong, in one line.
pub fn config() -> Result<Config, String> {
    let kubeconfig = Kubeconfig::read().map_err(|error| readable(&error)).and_then(from_kubeconfig);
    match kubeconfig {
        Ok((mut config, named)) => {
            config.proxy_url = proxy(named.as_deref(), &config.cluster_url, variable)?;
            Ok(config)
        }
        Err(problem) => Config::incluster().map_err(|_| format!("no cluster to talk to: {problem} ({HINT})")),
    }
}

/// Speaks to the API server; an answer may take this long, and of a watch the next piece of it.
///
/// # Errors
/// What of the configuration cannot be used, in one line.
pub fn client(mut config: Config, timeout: Duration) -> Result<Client, String> {
    config.read_timeout = Some(timeout);
    config.connect_timeout = Some(Duration::from_secs(5));
    config.reset_reader_on_write = true;
    // Whoever asks tries again in its own time. A retry down here would hold a reconcile for minutes, and make a conflict of a write whose answer was
    // lost.
    config.default_retry = false;
    let client = if config.proxy_url.is_some() { Client::try_from(config) } else { direct(config) };
    client.map_err(|error| format!("no client for the Kubernetes API: {}", explained(&error)))
}

/// A client as kube makes it, but without Nagle's algorithm, by which something small waits until the server has confirmed what went before. A server that has
/// nothing to say confirms after 40 ms; so each new connection with TLS took that much longer (kube issue 2056). Through a proxy kube's own client is used.
fn direct(config: Config) -> kube::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http = hyper_util::client::legacy::Builder::new(TokioExecutor::new()).build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(service_fn(move |request: Request<Body>| {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let answer = http.request(request);
            async move {
                let answer = answer.await;
                let status = answer.as_ref().map(|answer| answer.status().as_u16()).ok();
                tracing::debug!(%method, path, status, "Kubernetes request");
                answer
            }
        }));
    Ok(Client::new(service, config.default_namespace))
}

/// What is wrong with each variable that names a proxy. The client of the cloud reads them, too, and passes over what it does not understand.
pub fn unusable_proxies() -> Vec<String> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names.into_iter().filter_map(|name| parsed(name, &variable(name)?).err()).collect()
}

/// kube's own loader compares `NO_PROXY` with the address of the proxy rather than with that of the API server, and does not start over an entry that it
/// cannot read (kube 5.0); so its parts are put together here. Answers with the `proxy-url` of the cluster, too.
fn from_kubeconfig(kubeconfig: Kubeconfig) -> Result<(Config, Option<String>), String> {
    let name = kubeconfig.current_context.ok_or("the kubeconfig has no current context")?;
    let context = kubeconfig.contexts.into_iter().find(|named| named.name == name).and_then(|named| named.context);
    let context = context.ok_or_else(|| format!("the kubeconfig has no context {name}"))?;
    let cluster = kubeconfig.clusters.into_iter().find(|named| named.name == context.cluster).and_then(|named| named.cluster);
    let cluster = cluster.ok_or_else(|| format!("the kubeconfig has no cluster {}", context.cluster))?;
    let user = kubeconfig.auth_infos.into_iter().find(|named| Some(&named.name) == context.user.as_ref());
    let about = ExecAuthCluster::try_from(&cluster).map_err(|error| readable(&error))?;

    let mut config = Config::new(server(cluster.server.as_deref().unwrap_or_default())?);
    config.default_namespace = context.namespace.unwrap_or_else(|| "default".into());
    config.root_cert = about.certificate_authority_data.as_deref().map(certificates).transpose()?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or_default();
    config.tls_server_name = cluster.tls_server_name;
    config.auth_info = user.and_then(|named| named.auth_info).unwrap_or_default();
    if let Some(exec) = config.auth_info.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(about);
    }
    Ok((config, cluster.proxy_url))
}

fn server(address: &str) -> Result<Uri, String> {
    let uri: Uri = address.parse().map_err(|_| "the server of the kubeconfig is not an address")?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.as_str().contains('@') => Ok(uri),
        (Some("http" | "https"), Some(_)) => Err("the server of the kubeconfig has a login in its address: write it under users".into()),
        _ => Err("the server of the kubeconfig is not an address that begins with https://".into()),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).map(|read| read.map(|certificate| certificate.to_vec()));
    certificates.collect::<Result<_, _>>().map_err(|error| format!("the certificate authority of the kubeconfig cannot be read: {error}"))
}

/// Without what the file holds at that place, which may be a credential.
fn readable(error: &KubeconfigError) -> String {
    let KubeconfigError::Parse(parse) = error else { return error.to_string() };
    let place = parse.location().map(|place| format!(", at line {} column {}", place.line(), place.column())).unwrap_or_default();
    format!("the kubeconfig is not YAML of the form that was expected{place}")
}

/// A variable of the environment; an empty one is none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The proxy to an API server: the one that the kubeconfig names for it (then `NO_PROXY` does not count, as for kubectl), or that of the environment, by
/// the rules that the client of the cloud keeps.
fn proxy(named: Option<&str>, server: &Uri, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Uri>, String> {
    if let Some(address) = named.filter(|address| !address.is_empty()) {
        return parsed("proxy-url of the kubeconfig", address).map(Some);
    }
    let of_scheme = if server.scheme_str() == Some("http") { ["HTTP_PROXY", "http_proxy"] } else { ["HTTPS_PROXY", "https_proxy"] };
    let mut names = of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]);
    let Some((name, address)) = names.find_map(|name| Some((name, variable(name)?))) else { return Ok(None) };
    let exempt = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
    if is_exempt(&exempt, server) { Ok(None) } else { parsed(name, &address).map(Some) }
}

/// Whether `NO_PROXY` names a server: by a name or a domain, an address or a network, any of these with its port, or `*`.
fn is_exempt(exempt: &str, server: &Uri) -> bool {
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 }).to_string();
    let without_port = |entry: &str| match entry.split_once(':') {
        Some((host, of_entry)) if of_entry == port => host.to_owned(),
        _ => entry.to_owned(),
    };
    let entries: Vec<String> = exempt.split(',').map(str::trim).map(without_port).collect();
    // The matcher takes `*` for names alone. Which proxy it is does not matter, only whether there is one for this host.
    entries.iter().any(|entry| entry == "*")
        || Matcher::builder().all("http://proxy").no(entries.join(",")).build().intercept(server).is_none()
}

/// The address of a proxy, which may hold a password and is not shown.
fn parsed(name: &str, address: &str) -> Result<Uri, String> {
    let form =
        "write http://HOST:PORT or https://HOST:PORT, and USER:PASSWORD@ before HOST where it wants a login, with %40 for @ and so on";
    let address = address.trim();
    let uri: Result<Uri, _> = if address.contains("://") { address.parse() } else { format!("http://{address}").parse() };
    match uri {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && names_a_host(&uri) => Ok(uri),
        Ok(uri) if uri.scheme_str().is_some_and(|scheme| scheme.starts_with("socks")) => {
            Err(format!("{name}: SOCKS proxies are not supported: {form}"))
        }
        _ => Err(format!("{name} is not the address of a proxy: {form}")),
    }
}

/// A host, and a port that is a number where there is one. A login with an `@` of its own is split in different ways by those who read it.
fn names_a_host(uri: &Uri) -> bool {
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let place = authority.split_once('@').map_or(authority, |(_, place)| place);
    let has_port = || uri.port_u16().is_some_and(|port| port > 0);
    !place.is_empty() && !place.contains('@') && (uri.host() == Some(place) || has_port())
}

#[cfg(test)]
mod tests;
