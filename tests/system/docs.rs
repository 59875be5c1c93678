//! What the documentation tells people to type: each `sh` block runs here as it is written, page by page, against a real control plane with a running
//! operator; the simulated cloud stands behind the real host names. `sh example` says that a block does not run here, since it has placeholders or needs
//! nodes, a registry or a real cloud. Each object of ours in a `yaml` block is taken by the API server in a dry run.
//!
//! What a page needs to be there first, and does not show, stands in a comment that begins with `<!-- before`.

use crate::{
    authority::{Authority, BOTH, DAY},
    markdown::{Block, Page, ROOT},
    simulator::{ACCESS_KEY, DOMAIN, PASSWORD, SECRET_KEY, USER},
    support::{connect_proxy::ConnectProxy, tools::Tools},
    world::World,
};
use database_backup_operator::cloud::{
    endpoints::{EndpointPolicy, Endpoints, Overrides, regions},
    engine::{Cloud, Engine},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// Long enough for the slowest machine; the waits in the pages have ends of their own.
const BLOCK: Duration = Duration::from_secs(300);
/// A token that somebody else keeps fresh.
const TOKEN: &str = "a-token-of-somebody-else";
/// What the pages ask their readers to put into variables: the cloud's account and its credentials.
const VARIABLES: [(&str, &str); 6] = [
    ("CLOUD_ACCOUNT", DOMAIN),
    ("CLOUD_USER", USER),
    ("CLOUD_PASSWORD", PASSWORD),
    ("CLOUD_ACCESS_KEY", ACCESS_KEY),
    ("CLOUD_SECRET_KEY", SECRET_KEY),
    ("CLOUD_TOKEN", TOKEN),
];
/// Pages at a time: each has a control plane.
const AT_ONCE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_documentation_succeeds_and_every_manifest_is_taken() {
    let pages =
        Page::documentation().into_iter().filter(|page| page.blocks().iter().any(|block| is_run(block) || ours(block) != Ok(Vec::new())));
    let said: Vec<Vec<String>> =
        stream::iter(pages).map(|page| async move { tried(&page).await }).buffer_unordered(AT_ONCE).collect().await;
    let wrong = said.concat();
    assert!(wrong.is_empty(), "{} of the documentation's blocks do not do what they say:\n{}", wrong.len(), wrong.join("\n"));
}

fn is_run(block: &Block) -> bool {
    block.info.as_deref() == Some("sh")
}

/// What is wrong with a page. The first block that fails ends it, since others build on it.
async fn tried(page: &Page) -> Vec<String> {
    let blocks = page.blocks();
    let commands: Vec<(usize, String)> =
        before(page).into_iter().chain(blocks.iter().filter(|block| is_run(block)).map(|block| (block.line, block.text.clone()))).collect();
    let stage = Stage::set(&commands).await;
    let mut wrong = Vec::new();
    for (line, text) in &commands {
        if let Err(said) = stage.run(text).await {
            wrong.push(format!("{}:{line}: {said}\n{}", page.path, stage.world.newest_lines()));
            break;
        }
    }
    let manifests: Vec<(usize, Result<Vec<Value>, String>)> = blocks.iter().map(|block| (block.line, ours(block))).collect();
    if manifests.iter().any(|(_, objects)| objects.as_ref().is_ok_and(|objects| !objects.is_empty())) {
        stage.define().await;
    }
    for (line, objects) in manifests {
        let taken = match objects {
            Ok(objects) => stage.are_taken(objects).await,
            Err(said) => Err(said),
        };
        wrong.extend(taken.err().map(|said| format!("{}:{line}: {said}", page.path)));
    }
    wrong
}

/// The commands in comments that begin with `<!-- before`.
fn before(page: &Page) -> Vec<(usize, String)> {
    let parts = page.text.split("<!-- before\n").skip(1);
    parts.filter_map(|rest| rest.split_once("-->")).map(|(commands, _)| (0, commands.to_owned())).collect()
}

/// The objects of ours in a block of YAML that is no example, or what is wrong with it.
fn ours(block: &Block) -> Result<Vec<Value>, String> {
    if block.info.as_deref() != Some("yaml") {
        return Ok(Vec::new());
    }
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&block.text).map_err(|error| format!("not YAML, nor `yaml example`: {error}"))?;
    let is_ours = |object: &Value| object["apiVersion"].as_str().is_some_and(|version| version.starts_with("dbbackup.dev/"));
    Ok(documents.into_iter().filter(is_ours).collect())
}

/// A control plane and an operator for a page, and the cloud behind the names that the page uses.
struct Stage {
    world: World,
    path: String,
    _proxy: ConnectProxy,
}

impl Stage {
    async fn set(commands: &[(usize, String)]) -> Self {
        let authority = Authority::new();
        let world = World::bare_over_tls(authority.certify_all(&names(), -DAY..DAY, BOTH)).await;
        let all: String = commands.iter().map(|(_, text)| text.as_str()).collect();
        // What installs the definitions itself must not find them there; the operator waits for them.
        let installs = ["helm install", "helm upgrade", "apply -k", "crds"].iter().any(|word| all.contains(word));
        let mut world = if installs { world } else { world.with_crds().await };
        world.cloud.any_instance(true);
        world.cloud.add_token(TOKEN);
        let roots = world.plane.folder().join("roots.pem");
        std::fs::write(&roots, authority.pem()).expect("written");
        let proxy = ConnectProxy::start_towards(None, doors(&world));
        let envs = [("HTTPS_PROXY", format!("http://{}", proxy.address())), ("SSL_CERT_FILE", roots.display().to_string())];
        let envs = envs.each_ref().map(|(name, value)| (*name, value.as_str()));
        world.start_operator_with_env(
            &["--cluster-resource-namespace=database-backup-operator"],
            &[envs[0], envs[1], ("NO_PROXY", "127.0.0.1")],
        );
        let tools = tokio::task::spawn_blocking(|| [Tools::ControlPlane.program("kubectl"), Tools::Helm.program("helm")]).await;
        let tools = tools.expect("they are built").map(|program| folder_of(&program));
        let own = folder_of(Path::new(env!("CARGO_BIN_EXE_database-backup-operator")));
        let path = format!("{}:{}:{own}:{}", tools[0], tools[1], std::env::var("PATH").unwrap_or_default());
        Self { world, path, _proxy: proxy }
    }

    /// Runs commands as they are written, from the root of the repository.
    async fn run(&self, commands: &str) -> Result<(), String> {
        let home = self.world.plane.folder().join("home");
        std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", commands])
            .current_dir(ROOT)
            .env_clear()
            .envs(VARIABLES)
            .envs([("PATH", self.path.as_str()), ("LANG", "C.UTF-8")]);
        bash.env("HOME", &home).env("KUBECONFIG", self.world.plane.kubeconfig()).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(BLOCK, bash.output()).await.map_err(|_| format!("not within {BLOCK:?}:\n{commands}"))?;
        let output = output.map_err(|error| error.to_string())?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(()) } else { Err(format!("{}\n{}\n{commands}", said(&output.stderr), said(&output.stdout))) }
    }

    /// Applies the definitions, whatever the page did with them.
    async fn define(&self) {
        self.world
            .plane
            .kubectl_ok(&["apply", "--server-side", "--force-conflicts", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")])
            .await;
        self.world.plane.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    }

    /// Whether the API server would create them, under names and in a namespace where nothing else is in their way.
    async fn are_taken(&self, objects: Vec<Value>) -> Result<(), String> {
        for object in objects {
            self.is_taken(object).await?;
        }
        Ok(())
    }

    async fn is_taken(&self, mut object: Value) -> Result<(), String> {
        let metadata = object["metadata"].as_object_mut().ok_or("no metadata")?;
        metadata.remove("namespace");
        if let Some(name) = metadata.get("name").and_then(Value::as_str).map(|name| format!("{name}-dry-run")) {
            metadata.insert("name".into(), name.into());
        }
        let taken =
            self.world.plane.with_input(&["create", "--dry-run=server", "--namespace=default", "-f", "-"], &object.to_string()).await;
        taken.map(drop).map_err(|said| format!("{said}\n{object}"))
    }
}

fn folder_of(program: &Path) -> String {
    program.parent().unwrap_or(program).display().to_string()
}

/// Every host of every region.
fn hosts() -> impl Iterator<Item = Endpoints> {
    let of = |cloud: Cloud| {
        regions(cloud)
            .into_iter()
            .filter_map(move |region| Endpoints::resolve(cloud, region, &Overrides::default(), &EndpointPolicy::default()).ok())
    };
    of(Cloud::HuaweiCloud).chain(of(Cloud::OpenTelekomCloud))
}

/// What the cloud's certificate is for.
fn names() -> Vec<String> {
    let engines =
        |endpoints: &Endpoints| Engine::all().filter_map(|engine| Some(endpoints.engine(engine)?.host.clone())).collect::<Vec<_>>();
    let mut names: Vec<String> = hosts().flat_map(|endpoints| [engines(&endpoints), vec![endpoints.iam.host]].concat()).collect();
    names.sort();
    names.dedup();
    names
}

/// Which of the simulated cloud's ports is behind a host.
fn doors(world: &World) -> impl Fn(&str) -> String + Send + Sync + 'static {
    let simulated = json!(world.cloud.endpoints());
    let port = |service: &str| simulated[service].as_str().expect(service).trim_start_matches("https://").to_owned();
    let mut doors = BTreeMap::new();
    for endpoints in hosts() {
        doors.insert(format!("{}:443", endpoints.iam.host), port("iam"));
        let served = Engine::all().filter_map(|engine| Some((endpoints.engine(engine)?, engine.api().label)));
        doors.extend(served.map(|(endpoint, service)| (format!("{}:443", endpoint.host), port(service))));
    }
    // What the page does not know is nowhere.
    move |target| doors.get(target).cloned().unwrap_or_else(|| "127.0.0.1:1".to_owned())
}
