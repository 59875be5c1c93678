use super::*;

const PASSWORD: &str = "s3cret-of-the-proxy";

fn uri(text: &str) -> Uri {
    text.parse().expect("an address")
}

/// The proxy to `server` with these variables.
fn with(server: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    proxy(None, &uri(server), variable).map(|found| found.map(|uri| uri.to_string()))
}

#[test]
fn the_variables_count_in_either_case_and_those_of_the_scheme_before_those_of_all() {
    const SERVER: &str = "https://10.0.0.1:6443";
    for (variables, expected) in [
        (&[][..], None),
        (&[("HTTPS_PROXY", "http://a:1")], Some("http://a:1/")),
        (&[("https_proxy", "http://a:1")], Some("http://a:1/")),
        (&[("all_proxy", "http://b:2"), ("https_proxy", "http://a:1")], Some("http://a:1/")),
        (&[("ALL_PROXY", "http://b:2")], Some("http://b:2/")),
        (&[("HTTPS_PROXY", "a:1")], Some("http://a:1/")),
        (&[("HTTPS_PROXY", "https://me:pw%40@a")], Some("https://me:pw%40@a/")),
        (&[("HTTP_PROXY", "http://a:1")], None),
    ] {
        assert_eq!(with(SERVER, variables), Ok(expected.map(ToOwned::to_owned)), "{variables:?}");
    }
    assert_eq!(with("http://10.0.0.1:8080", &[("http_proxy", "http://a:1")]), Ok(Some("http://a:1/".into())));
}

#[test]
fn no_proxy_is_compared_with_the_api_server_in_every_form_that_people_write() {
    for (exempt, server, is_exempt) in [
        ("10.0.0.1", "https://10.0.0.1:6443", true),
        ("localhost,10.0.0.0/8", "https://10.0.0.1:6443", true),
        ("localhost, 10.0.0.0/8,", "https://10.0.0.1:6443", true),
        (".example.com", "https://api.example.com:6443", true),
        ("example.com", "https://api.example.com", true),
        ("*", "https://api.example.com", true),
        (" * ", "https://10.0.0.1:6443", true),
        ("10.0.0.1:6443", "https://10.0.0.1:6443", true),
        ("api.example.com:443", "https://api.example.com", true),
        ("10.0.0.1:443", "https://10.0.0.1:6443", false),
        ("a/b,*", "https://api.example.com", true),
        ("::1,fd00::/8", "https://[fd00::1]:6443", true),
        ("proxy.example.org", "https://api.example.com", false),
        ("192.168.0.0/16,,", "https://10.0.0.1:6443", false),
        ("ample.com", "https://api.example.com", false),
    ] {
        for name in ["NO_PROXY", "no_proxy"] {
            let found = with(server, &[("HTTPS_PROXY", "http://proxy.example.org:3128"), (name, exempt)]);
            assert_eq!(found.map(|found| found.is_none()), Ok(is_exempt), "{exempt} {server}");
        }
    }
}

#[test]
fn the_proxy_of_a_kubeconfig_counts_before_the_environment_and_whatever_is_exempt() {
    let variable = |name: &str| Some(if name.eq_ignore_ascii_case("NO_PROXY") { "*" } else { "http://other:1" }.to_owned());
    let found = proxy(Some("http://named:2"), &uri("https://10.0.0.1"), variable);
    assert_eq!(found, Ok(Some(uri("http://named:2"))));
}

#[test]
fn what_is_no_proxy_is_named_without_what_it_holds() {
    for address in [
        format!("socks5://me:{PASSWORD}@proxy:1080"),
        format!("socks5h://{PASSWORD}@proxy"),
        format!("{PASSWORD}://proxy"),
        format!("http://me:{PASSWORD}@"),
        format!("http://me:{PASSWORD}@proxy:port"),
        format!("http://me:{PASSWORD}@@proxy:1"),
        format!("http://me:{PASSWORD} @proxy:1"),
        format!("http:/me:{PASSWORD}@proxy:1"),
        "http://".to_owned(),
    ] {
        let error = with("https://10.0.0.1", &[("HTTPS_PROXY", &address)]).expect_err(&address);
        assert!(error.starts_with("HTTPS_PROXY") && error.contains("http://HOST:PORT") && !error.contains(PASSWORD), "{error}");
        // What is exempt need not be understood.
        assert_eq!(with("https://10.0.0.1", &[("HTTPS_PROXY", &address), ("NO_PROXY", "*")]), Ok(None));
    }
}

fn kubeconfig(cluster: &str, user: &str) -> Kubeconfig {
    Kubeconfig::from_yaml(&format!(
        "current-context: here
contexts: [{{name: here, context: {{cluster: there, user: me, namespace: operator}}}}]
clusters: [{{name: there, cluster: {{{cluster}}}}}]
users: [{{name: me, user: {{{user}}}}}]
"
    ))
    .expect("a kubeconfig")
}

#[test]
fn a_kubeconfig_becomes_what_kube_makes_of_it() {
    let certificate = rcgen::generate_simple_self_signed(["api".to_owned()]).expect("a certificate").cert.pem();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, certificate).expect("it is written");
    let cluster = format!(
        "server: 'https://10.0.0.1:6443', certificate-authority: {}, tls-server-name: api, insecure-skip-tls-verify: true, proxy-url: 'http://p:1'",
        file.display()
    );
    let user = "token: abc, exec: {command: login, provideClusterInfo: true, apiVersion: client.authentication.k8s.io/v1}";
    let (own, proxy) = from_kubeconfig(kubeconfig(&cluster, user)).expect("it is whole");
    assert_eq!(proxy.as_deref(), Some("http://p:1"));
    let theirs = Config::try_from(kubeconfig(&cluster, user)).expect("it is whole");
    let shown = |config: &Config| {
        let Config { cluster_url, default_namespace, root_cert, accept_invalid_certs, tls_server_name, auth_info, .. } = config.clone();
        let exec = serde_json::to_value(&auth_info.exec).expect("JSON");
        (cluster_url, default_namespace, root_cert, accept_invalid_certs, tls_server_name, exec, format!("{auth_info:?}"))
    };
    assert_eq!(shown(&own), shown(&theirs));
}

#[test]
fn what_is_wrong_with_a_kubeconfig_is_said_without_what_it_holds() {
    let secret = |text: &str| Kubeconfig::from_yaml(text).map_err(|error| readable(&error)).and_then(from_kubeconfig).map(drop);
    for (text, expected) in [
        ("", "no current context"),
        ("current-context: here", "no context here"),
        (&format!("users: [{{name: me, user: {{token: [{PASSWORD}]}}}}]"), "not YAML of the form that was expected, at line 1"),
        (&format!("users: [{{name: me, user: {{token: {PASSWORD}"), "not YAML of the form that was expected"),
    ] {
        let error = secret(text).expect_err(text);
        assert!(error.contains(expected) && !error.contains(PASSWORD) && !error.contains('\n'), "{error}");
    }
    for (cluster, expected) in [
        (format!("server: 'https://me:{PASSWORD}@10.0.0.1'"), "has a login in its address"),
        (format!("server: '10.0.0.1 {PASSWORD}'"), "is not an address"),
        (String::new(), "is not an address"),
        ("server: 'https://10.0.0.1', certificate-authority: /not/there".to_owned(), "/not/there"),
    ] {
        let error = from_kubeconfig(kubeconfig(&cluster, "")).map(drop).expect_err(&cluster);
        assert!(error.contains(expected) && !error.contains(PASSWORD), "{error}");
    }
}
