//! What is thrown at every parser of bytes from outside, and what has to be true of whatever comes out.
//!
//! The same functions serve `cargo fuzz` (the programs in `fuzz/`) and `cargo test --test hostile`, which needs no nightly toolchain. Each takes the
//! bytes as they come from outside; those that need several texts divide them at [`DIVIDER`].

#![allow(dead_code, reason = "each fuzz program uses one of them")]
#![allow(clippy::expect_used, clippy::panic, reason = "that is how a find is told")]

use database_backup_operator::{
    api::{
        account::{CloudAccount, ClusterCloudAccount},
        backup::DatabaseBackup,
        crds,
    },
    cloud::{
        backup::{NewBackup, RemoteBackup, RemoteState},
        client::agents::read_keys,
        codes::Class,
        endpoints::{EndpointPolicy, Endpoints, Overrides},
        engine::{Cloud, Engine},
        errors::{Error, Failure, Refusal},
        iam,
        listing::{Listing, Progress},
        login::{Credentials, access_key::AccessKey, password::Password, token::Token},
        parse,
        request::Hints,
    },
    plan::{clock::Moment, lease},
    process::config::{Cli, Command},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

#[path = "life.rs"]
mod life;

/// Divides the texts of an input that has several.
pub const DIVIDER: &str = "\n---\n";

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: [Target; 12] = [
    ("created", created),
    ("page", page),
    ("listing", listing),
    ("times", times),
    ("texts", texts),
    ("errors", errors),
    ("iam", iam_answers),
    ("secrets", secrets),
    ("objects", objects),
    ("accounts", accounts),
    ("cluster", cluster),
    ("flags", flags),
];

/// Answers to create calls, of every engine.
pub fn created(body: &[u8]) {
    for engine in Engine::all() {
        let Ok(created) = engine.service().read_created(body) else { continue };
        check_id(&created.backup_id);
        if let Some(id) = &created.job_id {
            check_id(id);
        }
        created.start_time.into_iter().for_each(check_time);
        if let Some(word) = &created.cloud_status {
            check_line(word, 40);
        }
    }
}

/// Pages of listings, of every engine.
pub fn page(body: &[u8]) {
    for engine in Engine::all() {
        for status in [200, 204] {
            if let Ok(page) = engine.service().read_page(status, body) {
                for record in &page.records {
                    check_backup(record);
                }
            }
        }
    }
}

/// Whole listings: the pages of the input one after the other.
pub fn listing(pages: &[u8]) {
    for engine in Engine::all() {
        let service = engine.service();
        let (mut listing, mut ids, mut offset) = (Listing::new(service.api().page_size), HashSet::new(), 0);
        for body in divided(pages) {
            let Ok(page) = service.read_page(200, body.as_bytes()) else { break };
            ids.extend(page.records.iter().map(|record| record.id.clone()));
            let (total, is_full) = (page.total, page.records.len() >= service.api().page_size);
            match listing.take(page) {
                Progress::More(next) if next > offset => offset = next,
                Progress::More(next) => panic!("from offset {offset} back to {next}"),
                Progress::End => {
                    check_listing(listing, &ids, total, is_full);
                    break;
                }
            }
        }
    }
}

/// What a listing came to whose pages showed these ids.
fn check_listing(listing: Listing, ids: &HashSet<String>, total: u64, is_full: bool) {
    let (backups, gap) = listing.into_parts();
    let shown: HashSet<String> = backups.iter().map(|backup| backup.id.clone()).collect();
    assert_eq!((shown.len(), &shown), (backups.len(), ids), "everything that was shown, and each once");
    if let Some(gap) = gap {
        return check_line(&gap.to_string(), 100);
    }
    assert!(ids.len() as u64 >= total, "complete with {} of {total}", ids.len());
    assert!(!is_full || ids.len() as u64 == total, "complete with a full page, and {} of {total}", ids.len());
}

/// Times in the clouds' forms.
pub fn times(text: &[u8]) {
    let Some(time) = parse::time(&String::from_utf8_lossy(text)) else { return };
    check_time(time);
    assert_eq!(parse::time(&parse::query_time(time)).map(Timestamp::as_second), Some(time.as_second()), "{time}");
    assert_eq!(parse::time(&time.to_string()), Some(time), "as it is stored");
}

/// Sizes, counts, names and texts: a value by itself, as JSON, or else as a text.
pub fn texts(text: &[u8]) {
    let value = serde_json::from_slice(text).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(text)));
    for unit in [parse::unit::BYTE, parse::unit::KB, parse::unit::MB] {
        let size = parse::size(&value, unit);
        assert!(size.is_none_or(|size| (0..=1 << 53).contains(&size)), "{size:?}");
    }
    let _ = parse::count(Some(&value));
    if let Some(id) = &parse::id(Some(&value)) {
        check_id(id);
    }
    if let Some(name) = &parse::exact(Some(&value)) {
        check_name(name);
    }
    for max in [1, 2, 40, 256] {
        if let Some(text) = &parse::text(Some(&value), max.max(40)) {
            check_line(text, max.max(40));
        }
        let Some(text) = value.as_str() else { continue };
        let line = parse::clean(text, max);
        check_line(&line, max);
        assert_eq!(parse::clean(&line, max), line, "cleaned twice");
    }
}

/// Refusals: an HTTP status on the first line, and the body. Without a status it is 400.
pub fn errors(answer: &[u8]) {
    let line = answer.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let given = std::str::from_utf8(&answer[..line]).ok().and_then(|line| line.trim().parse().ok());
    let (status, body) = given.map_or((400, answer), |status: u16| (status.clamp(100, 999), &answer[line + 1..]));
    let new = NewBackup { instance_id: "i-1".into(), mark: "dbb-1".into(), description: "d".into(), backup_format: None };
    let creates = Engine::all().map(|engine| engine.service().create("p-1", &new));
    let token = iam::token("d", "u", &SecretString::from("p"), None, "eu-de");
    for request in creates.chain([iam::projects("eu-de"), token]) {
        check_error(&Error::refused(&request, status, Hints::default(), body));
        check_error(&Error::unreadable(&request, 200 + status % 100, None, "it makes no sense", body));
    }
}

fn check_error(error: &Error) {
    check_line(&error.to_string(), 256);
    if let Failure::Refused(Refusal { message, .. }) | Failure::Unreadable { message, .. } = &error.failure {
        check_line(message, 120);
    }
    if let Some(id) = error.request_id() {
        check_line(id, 48);
    }
    if let Some(code) = error.code() {
        check_line(code, 40);
        assert!(!code.is_empty());
    }
    let label = error.label();
    assert!(label.len() <= 20 && label.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c)), "{label}");
    assert!(error.is_known() || label.starts_with("http_"), "a label out of a body: {label}");
    if error.is_definite_rejection() {
        assert!(matches!(error.status(), Some(400..=499)), "{error}");
        assert!(error.is_known() || matches!(error.status(), Some(401 | 403 | 429)), "{error}");
        assert!(error.class() != Class::Unreadable, "{error}");
    }
}

/// Answers of IAM.
pub fn iam_answers(body: &[u8]) {
    match read_keys(body, jiff::Timestamp::UNIX_EPOCH) {
        Ok(keys) => check_credentials(&Credentials::AccessKey(keys.into())),
        Err(error) => check_line(&error.to_string(), 100),
    }
    if let Ok(facts) = iam::read_token(body) {
        check_time(facts.expires_at);
        if let Some(id) = &facts.project_id {
            check_id(id);
        }
    }
    if let Ok(projects) = iam::read_projects(body, "eu-de") {
        for id in &projects {
            check_id(id);
        }
    }
}

/// Secrets: an object of the Kubernetes API, or else one value for every key.
pub fn secrets(bytes: &[u8]) {
    let data = serde_json::from_slice::<Secret>(bytes).ok().and_then(|secret| secret.data);
    let read = data.map(|data| data.into_iter().map(|(key, value)| (key, value.0)).collect());
    let keys = ["domainName", "username", "password", "accessKey", "secretKey", "securityToken", "token"];
    let values: BTreeMap<String, Vec<u8>> = read.unwrap_or_else(|| keys.map(|key| (key.to_owned(), bytes.to_vec())).into());
    let password = Password::read(&values).map(Credentials::Password);
    let access_key = AccessKey::read(&values).map(Credentials::AccessKey);
    for read in [password, access_key, Token::read(&values).map(Credentials::Token)] {
        match read {
            Ok(credentials) => check_credentials(&credentials),
            Err(error) => {
                check_line(&error.to_string(), 100);
                assert!(keys.iter().any(|key| error.to_string().contains(key)), "it names a key: {error}");
            }
        }
    }
}

/// Whatever goes into a header can be written there.
fn check_credentials(credentials: &Credentials) {
    let one_line = |text: &str| assert!(!text.is_empty() && !text.chars().any(char::is_control));
    let header = |text: &str| assert!(http::HeaderValue::from_str(text).is_ok() && !text.is_empty());
    match credentials {
        Credentials::Password(Password { domain_name, username, password }) => {
            [domain_name, username, password.expose_secret()].map(one_line)
        }
        Credentials::AccessKey(AccessKey { access_key, secret_key, security_token, .. }) => {
            one_line(secret_key.expose_secret());
            let token = security_token.as_ref().map_or("x", ExposeSecret::expose_secret);
            [access_key, token, access_key].map(header)
        }
        Credentials::Token(Token { token }) => [token.expose_secret(); 3].map(header),
        // Nothing of it is read from a text.
        Credentials::WorkloadIdentity(_) => [(); 3],
    };
}

/// A `DatabaseBackup` as JSON, and after dividers the bodies that the cloud answers with: lived through, decision by decision.
pub fn objects(input: &[u8]) {
    let mut texts = divided(input).into_iter();
    let Some(object) = texts.next().and_then(|text| serde_json::from_str::<DatabaseBackup>(&text).ok()) else { return };
    life::live(&object, &texts.collect::<Vec<_>>());
}

/// Accounts of both kinds as JSON, with their endpoints.
pub fn accounts(input: &[u8]) {
    if let Ok(account) = serde_json::from_slice::<CloudAccount>(input) {
        let spec = &account.spec;
        check_account(spec.account.cloud, &spec.account.region, &Overrides::default());
    }
    if let Ok(account) = serde_json::from_slice::<ClusterCloudAccount>(input) {
        let spec = &account.spec;
        check_account(spec.account.cloud, &spec.account.region, &spec.endpoints.clone().unwrap_or_default());
        let _ = spec.allowed_namespaces.selector.clone().map(kube::core::Selector::try_from);
    }
    let url = String::from_utf8_lossy(input).into_owned();
    check_account(Cloud::HuaweiCloud, "nowhere-1", &Overrides { iam: Some(url.clone()), dcs: Some(url), ..Overrides::default() });
}

/// Whatever is accepted as an address is a host alone, in the form in which it is sent.
fn check_account(cloud: Cloud, region: &str, overrides: &Overrides) {
    for insecure in [false, true] {
        let policy = EndpointPolicy { allow_insecure: insecure, allowed_hosts: "example.com".parse().expect("a host") };
        let resolved = Endpoints::resolve(cloud, region, overrides, &policy);
        life::check_account(&resolved, cloud, region);
        let Ok(endpoints) = resolved else { continue };
        for endpoint in Engine::all().filter_map(|engine| endpoints.engine(engine)).chain([&endpoints.iam]) {
            let (scheme, host) = (endpoint.scheme.as_str(), endpoint.host.as_str());
            assert!(insecure || scheme == "https", "{scheme}");
            let sent: http::Uri = format!("{scheme}://{host}/v3/p/backups").parse().expect("an address");
            assert_eq!(sent.authority().map(http::uri::Authority::as_str), Some(host));
            assert!(http::HeaderValue::from_str(host).is_ok() && !host.contains(['@', '/', '?', '#']), "{host}");
            assert_eq!(host, host.to_ascii_lowercase());
            check_allowed(insecure, host);
        }
    }
}

/// Credentials go to the clouds, to what is allowed, and in tests to this machine.
fn check_allowed(insecure: bool, host: &str) {
    let uri: http::Uri = format!("https://{host}").parse().expect("an address");
    let host = uri.host().expect("a host").trim_end_matches('.');
    let allowed = ["example.com", "myhuaweicloud.com", "myhuaweicloud.eu", "otc.t-systems.com"];
    let is_allowed = allowed.iter().any(|domain| host == *domain || host.ends_with(&format!(".{domain}")));
    let is_here = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    assert!(is_allowed || (insecure && is_here), "{host}");
}

/// What the Kubernetes API serves besides: definitions and Leases.
pub fn cluster(input: &[u8]) {
    if let Ok(served) = serde_json::from_slice::<CustomResourceDefinition>(input) {
        for own in crds::all() {
            let missing = crds::missing_in(&served, &own);
            for what in &missing {
                check_line(what, 200);
            }
        }
        let whole = served.spec.versions.iter().all(|version| {
            let versions = served.spec.versions.iter().filter(|other| other.name == version.name);
            version.served && versions.count() == 1 && version.schema.as_ref().is_some_and(|schema| schema.open_api_v3_schema.is_some())
        });
        if whole {
            assert_eq!(crds::missing_in(&served, &served), Vec::<String>::new());
        }
    }
    if let Ok(found) = serde_json::from_slice::<Lease>(input) {
        check_lease(&found);
    }
}

/// Another's Lease is never taken at first sight, and always after it stood still for as long as it says.
fn check_lease(found: &Lease) {
    let at = |seconds| Moment { wall: Timestamp::UNIX_EPOCH, mono: Duration::from_secs(seconds) };
    let (mut watched, duration) = (lease::ObservedLease::default(), Duration::from_secs(15));
    let lasts = found.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(15);
    let holder = found.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    let first = watched.claim(Some(found), "me", duration, at(0));
    // The API server takes no Lease of 0 seconds.
    assert!(first != lease::LeaseStep::Wait || !["", "me"].contains(&holder));
    assert!(first == lease::LeaseStep::Wait || ["", "me"].contains(&holder) || lasts == 0);
    let later = watched.claim(Some(found), "me", duration, at(1 << 32));
    assert!(matches!(later, lease::LeaseStep::Write(spec) if spec.holder_identity.as_deref() == Some("me")));
    if let Some(spec) = &found.spec {
        assert_eq!(lease::released(spec).holder_identity, None);
    }
}

/// The durations of the flags.
pub fn flags(text: &[u8]) {
    use clap::Parser;
    let text = String::from_utf8_lossy(text);
    let names = ["poll-interval", "settle-delay", "resync-interval", "blocked-grace", "gone-after", "retry-backoff", "lease-duration"];
    let given = names.map(|name| format!("--{name}={text}"));
    let args = ["database-backup-operator", "run"].into_iter().chain(given.iter().map(String::as_str));
    let Ok(Cli { command: Command::Run(run) }) = Cli::try_parse_from(args) else { return };
    let settings = run.options("operator".into()).settings;
    let year = Duration::from_secs(366 * 24 * 3600);
    for duration in [settings.poll_interval, settings.settle_delay, settings.resync_interval, run.lease_duration] {
        assert!(!duration.is_zero() && duration <= year, "{text}: {duration:?}");
    }
    for number in [0, 1, 5, u32::MAX] {
        let _ = (settings.look_due(number), settings.blocked_retry(number), settings.passing_retry(number));
        let _ = (settings.attempt_backoff(number as usize), settings.resync_after(u64::MAX - u64::from(number)));
    }
    let _ = (settings.intent_lifetime(), settings.poll_after(Duration::MAX), settings.secret_reread(true), settings.secret_reread(false));
}

/// The texts of an input.
fn divided(input: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(input).split(DIVIDER).map(ToOwned::to_owned).collect()
}

fn check_backup(backup: &RemoteBackup) {
    check_id(&backup.id);
    check_name(&backup.mark);
    check_name(&backup.instance_id);
    check_line(&backup.cloud_status, 40);
    backup.start_time.into_iter().chain(backup.completion_time).for_each(check_time);
    assert!(backup.size.is_none_or(|size| size >= 0));
    if let Some(version) = &backup.engine_version {
        check_line(version, 40);
    }
    if let Some(failure) = &backup.failure {
        check_line(failure, 60);
    }
    assert!(backup.state != RemoteState::Completed || !backup.cloud_status.is_empty(), "complete without a word");
}

fn check_id(id: &str) {
    assert!(!id.is_empty() && id.len() <= 256 && id.chars().all(|c| c.is_ascii_graphic()), "{id:?}");
}

/// Compared and never shown before it was compared.
fn check_name(name: &str) {
    assert!(name.len() <= 256 && !name.chars().any(char::is_control), "{name:?}");
}

fn check_line(line: &str, max_chars: usize) {
    let is_bad = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
    assert!(line.chars().count() <= max_chars && !line.chars().any(is_bad), "{line:?}");
}

/// Times go into the status: the Kubernetes API takes years from 0 to 9999.
fn check_time(time: Timestamp) {
    let year = time.to_zoned(jiff::tz::TimeZone::UTC).year();
    assert!((1970..=9999).contains(&year), "{time}");
}
