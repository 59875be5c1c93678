//! The vendor's own Python SDK drives the simulator.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    DDS, ENGINES, GAUSS, GEMINI, PROJECT, RDS, REDIS, TAURUS,
    simulator::{ACCESS_KEY, DOMAIN, DOMAIN_ID, PASSWORD, PROJECTS, SECRET_KEY, Simulator, USER, identity::Provider, issuer::Issuer},
};

#[test]
fn the_vendors_python_sdk_understands_the_simulator() {
    let python = sdk_python();
    let cloud = Simulator::launch();
    for (engine, id) in ENGINES {
        cloud.add_instance(engine, id);
    }
    let (huawei_region, huawei_project) = PROJECTS[2];
    for (engine, id) in [("dds", "huawei-dds"), ("gaussdb", "huawei-gaussdb")] {
        cloud.add_instance_in(huawei_region, engine, id);
    }
    cloud.add_read_replica("read-replica");
    cloud.add_single_node_dcs("single-node");
    let urls = cloud.endpoints();
    let given = json!({
        "iam": urls.iam, "geminidb": urls.geminidb, "taurusdb": urls.taurusdb, "dcs": urls.dcs, "rds": urls.rds, "dds": urls.dds, "gaussdb": urls.gaussdb,
        "project": PROJECT, "region": "eu-de", "huawei_project": huawei_project, "domain_id": DOMAIN_ID, "domain": DOMAIN, "user": USER, "password": PASSWORD,
        "access_key": ACCESS_KEY, "secret_key": SECRET_KEY,
        "geminidb_instance": GEMINI, "taurusdb_instance": TAURUS, "dcs_instance": REDIS, "dcs_single": "single-node",
        "rds_instance": RDS, "rds_replica": "read-replica", "dds_instance": DDS, "dds_huawei": "huawei-dds",
        "gaussdb_instance": GAUSS, "gaussdb_huawei": "huawei-gaussdb",
    });
    // A proxy that a machine may be set up with has no way to our loopback.
    let output = run(Command::new(&python).arg(here().join("sdk_check.py")).arg(given.to_string()).env("NO_PROXY", "127.0.0.1"));
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["iam", "project_lookup", "geminidb", "taurusdb", "dcs", "rds", "dds", "gaussdb"] {
        assert!(text.contains(&format!("ok {part}")), "{part} is missing in: {text}");
    }
}

#[test]
fn the_vendors_python_sdk_logs_in_at_the_agents_and_with_an_id_token() {
    let python = sdk_python();
    let cloud = Simulator::launch();
    let issuer = Issuer::new("https://cluster.example.com", "a-key");
    let provider = Provider::new("cluster-oidc", "iam-client-id", "https://cluster.example.com", &issuer.jwks());
    cloud.add_identity_provider(provider.admit("system:serviceaccount:shop:backups"));
    let jwt = issuer.sign(&issuer.claims("iam-client-id", "shop", "backups", jiff::Timestamp::now().as_second()));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("{content}\n")).unwrap();
        path
    };
    let urls = cloud.endpoints();
    let given = json!({
        "iam": urls.iam, "taurusdb": urls.taurusdb, "admin": cloud.admin_url(), "metadata": cloud.metadata_url(), "pod_identity": cloud.pod_identity_uri(),
        "project": PROJECT, "domain_id": DOMAIN_ID, "pod_token_file": file("pod-token", &cloud.pod_identity_token()),
        "idp": "cluster-oidc", "id_token_file": file("id-token", &jwt),
    });
    let output = run(Command::new(&python).arg(here().join("sdk_logins.py")).arg(given.to_string()).env("NO_PROXY", "127.0.0.1"));
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["metadata", "pod_identity", "federation"] {
        assert!(text.contains(&format!("ok {part}")), "{part} is missing in: {text}");
    }
}

pub(super) fn here() -> PathBuf {
    // The crate may be a scratch one that only points here, so the manifest's directory will not do.
    let file = Path::new(file!());
    let file = if file.is_absolute() { file.to_path_buf() } else { Path::new(env!("CARGO_MANIFEST_DIR")).join(file) };
    file.parent().unwrap().to_path_buf()
}

/// The interpreter of a virtual environment that has the SDK, made once and kept.
pub(super) fn sdk_python() -> PathBuf {
    let requirements = here().join("requirements.txt");
    let version = Command::new("python3")
        .arg("--version")
        .output()
        .unwrap_or_else(|why| panic!("python3 is needed to drive the simulator with the vendor's SDK, and it could not be run: {why}"));
    // Another Python needs another environment.
    let mut hash = Sha256::new();
    hash.update(fs::read(&requirements).unwrap());
    hash.update(&version.stdout);
    let name = format!("sdk-venv-{}", &hex::encode(hash.finalize())[..16]);
    let folder = cache().join(name);
    let python = folder.join("bin").join("python");
    if !python.exists() {
        build(&folder, &requirements);
    }
    python
}

/// Builds next to the final place and renames, so that an interrupted build, or two at once, leave nothing half done.
fn build(folder: &Path, requirements: &Path) {
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let draft = folder.with_extension(format!("{}.draft", uuid::Uuid::new_v4().simple()));
    run(Command::new("python3").args(["-m", "venv"]).arg(&draft));
    run(Command::new(draft.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(requirements));
    match fs::rename(&draft, folder) {
        Ok(()) => {}
        Err(_) if folder.exists() => fs::remove_dir_all(&draft).unwrap(),
        Err(why) => panic!("{} could not be put in place: {why}", folder.display()),
    }
}

fn cache() -> PathBuf {
    let given = env::var_os("DBBACKUP_CACHE").or_else(|| env::var_os("XDG_CACHE_HOME")).map(PathBuf::from);
    let base = given.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("database-backup-operator")
}

pub(super) fn run(command: &mut Command) -> Output {
    let output: io::Result<Output> = command.output();
    let output = output.unwrap_or_else(|why| panic!("{command:?} could not be run: {why}"));
    let text = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} failed:\n{}", command.get_program().display(), text());
    output
}
