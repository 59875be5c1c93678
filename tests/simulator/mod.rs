//! A simulated Huawei Cloud / Open Telekom Cloud: IAM, `GeminiDB`, `TaurusDB` (also as `GaussDB`(for `MySQL`)), DCS, RDS, DDS and `GaussDB` over plain
//! HTTP or TLS on loopback ports, as strict as `cloud-apis.md` says the real services are, with dials for everything that can go wrong.
//!
//! It was written from the vendor's documents and knows nothing of the operator's own client. It runs on a thread of its own, so a test
//! may block, or stop tokio's clock, without stopping the cloud.
//!
//! The parts: [`wire`], [`mod@tls`] and [`door`] are connections and ports, [`serve`] is a request's way through, [`auth`] and [`access`] say who may
//! call, [`keys`], [`identity`] and [`attempts`] hold what they check, [`agents`] are what a node has beside the cloud, one file per service answers, [`state`] is what the cloud knows, [`settings`] its dials, [`faults`] is trouble, [`admin`] is all of it for other processes.

#![allow(dead_code, reason = "three programs include this, and each uses a part")]

pub mod access;
pub mod admin;
pub mod agents;
pub mod attempts;
pub mod auth;
pub mod backup;
pub mod calls;
pub mod common;
pub mod control;
pub mod dcs;
pub mod dds;
pub mod door;
pub mod faults;
pub mod gaussdb;
pub mod geminidb;
pub mod iam;
pub mod identity;
pub mod issuer;
pub mod keys;
pub mod logins;
pub mod message;
pub mod metadata;
pub mod mysql;
pub mod pace;
pub mod pod_identity;
pub mod rds;
pub mod rules;
pub mod serve;
pub mod service;
pub mod settings;
pub mod state;
pub mod tls;
pub mod wire;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use serde::Serialize;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};
use tokio_rustls::rustls::ServerConfig;

use self::{door::Door, faults::Faults, serve::Shared, service::Service, tls::Tls};

/// The account.
pub const DOMAIN: &str = "sim-domain";
/// The account's id.
pub const DOMAIN_ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
/// The IAM user.
pub const USER: &str = "sim-user";
/// The IAM user's id.
pub const USER_ID: &str = "1b2c3d4e5f60718293a4b5c6d7e8f90a";
/// The IAM user's password, until it is changed.
pub const PASSWORD: &str = "sim-password";
/// The IAM user's access key.
pub const ACCESS_KEY: &str = "AKSIMULATOR000000001";
/// The secret half of [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "SKSimulatorSecret0123456789ABCDEFGHIJKLM";
/// Projects that exist from the start: region name and id. The first one is the default.
pub const PROJECTS: [(&str, &str); 4] = [
    ("eu-de", "054b04b03b8026fa2f50c011a0c5a02b"),
    ("eu-nl", "0483b6b16e954cb88930a360d2c4e663"),
    ("ap-southeast-1", "054e292c9880d4992f02c0196d3ea468"),
    ("cn-north-4", "619d3e78f61b4be68bc5aa0b59edcf7b"),
];

/// Another account of the same cloud, whose projects have the same names and other ids.
pub const OTHER_DOMAIN: &str = "other-domain";
/// The other account's id.
pub const OTHER_DOMAIN_ID: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";
/// Its IAM user.
pub const OTHER_USER: &str = "other-user";
/// Its IAM user's id.
pub const OTHER_USER_ID: &str = "8e7d6c5b4a39281706f5e4d3c2b1a09f";
/// Its IAM user's password.
pub const OTHER_PASSWORD: &str = "other-password";
/// Its IAM user's access key.
pub const OTHER_ACCESS_KEY: &str = "AKSIMULATOR000000002";
/// The secret half of [`OTHER_ACCESS_KEY`].
pub const OTHER_SECRET_KEY: &str = "SKOtherSimulatorSecret0123456789ABCDEFGH";
/// The other account's projects.
pub const OTHER_PROJECTS: [(&str, &str); 4] = [
    ("eu-de", "7c9b0f3e5d2a4c6b8e1f0a9d3b5c7e21"),
    ("eu-nl", "8dac1f4e6e3b4d7c9f2a1bae4c6d8f32"),
    ("ap-southeast-1", "9ebd2a5f7f4c4e8da03b2cbf5d7e9a43"),
    ("cn-north-4", "afce3b6a805d4f9eb14c3dca6e8fab54"),
];

/// Where the services are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// IAM.
    pub iam: String,
    /// `GeminiDB`.
    pub geminidb: String,
    /// `GaussDB`(for `MySQL`), the older interface; the same server as `taurusdb`.
    pub gaussdbformysql: String,
    /// `TaurusDB`.
    pub taurusdb: String,
    /// Distributed Cache Service.
    pub dcs: String,
    /// Relational Database Service.
    pub rds: String,
    /// Document Database Service.
    pub dds: String,
    /// `GaussDB` (openGauss).
    pub gaussdb: String,
}

impl Endpoints {
    /// As they stand in a manifest, where JSON will do.
    pub fn manifest(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// The doors of all services.
pub type Doors = BTreeMap<Service, Door>;

/// The doors of what runs on a node beside the cloud, always over plain http.
pub struct AgentDoors {
    /// The metadata service.
    pub metadata: Door,
    /// The pod identity agent.
    pub pod_identity: Door,
}

/// A running simulated cloud; dropping it stops it. Its methods are in [`control`] and [`logins`].
pub struct Simulator {
    /// Trouble on demand.
    pub faults: Faults,
    shared: Arc<Shared>,
    doors: Arc<Doors>,
    agents: Arc<AgentDoors>,
    tls: Option<Tls>,
    endpoints: Endpoints,
    admin_url: String,
    handle: Handle,
    // Dropped last: the thread ends when it sees the sender gone.
    life: Life,
}

struct Life {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Life {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The ports are free again when this returns.
            let _ = thread.join();
        }
    }
}

impl Simulator {
    /// Starts a cloud on free loopback ports.
    #[allow(clippy::unused_async, reason = "callers are async, and starting may wait one day")]
    pub async fn start() -> Self {
        Self::launch()
    }

    /// The same with services that are reached by https only, and present this.
    #[allow(clippy::unused_async, reason = "as above")]
    pub async fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::launch_with(Some(Tls::new(config)))
    }

    /// The same for callers that are not async.
    pub fn launch() -> Self {
        Self::launch_with(None)
    }

    #[allow(clippy::expect_used, reason = "without loopback ports there is nothing to test")]
    fn launch_with(tls: Option<Tls>) -> Self {
        Self::try_launch(tls).expect("the simulated cloud could not open its ports")
    }

    fn try_launch(tls: Option<Tls>) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("cloud-simulator").enable_all().build()?;
        let handle = runtime.handle().clone();
        let shared = Arc::new(Shared::new());
        let (doors, agents, admin) = {
            let _inside = handle.enter();
            let mut doors = Doors::new();
            for service in Service::ALL {
                doors.insert(service, Door::open(serve::app(&shared, service), tls.clone())?);
            }
            let doors = Arc::new(doors);
            let endpoints = endpoints(&doors);
            let agents = Arc::new(AgentDoors {
                metadata: Door::open(metadata::app(Arc::clone(&shared)), None)?,
                pod_identity: Door::open(pod_identity::app(Arc::clone(&shared)), None)?,
            });
            let admin = Door::open(admin::app(Arc::clone(&shared), Arc::clone(&doors), Arc::clone(&agents), endpoints), None)?;
            (doors, agents, admin)
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("cloud-simulator".to_owned()).spawn(move || keep(runtime, stopped))?;
        Ok(Self {
            faults: shared.faults.clone(),
            endpoints: endpoints(&doors),
            admin_url: admin.url(),
            shared,
            doors,
            agents,
            tls,
            handle,
            life: Life { stop: Some(stop), thread: Some(thread) },
        })
    }

    /// TLS in front of the services, where there is some.
    #[allow(clippy::expect_used, reason = "a test that asks for it started with it")]
    pub fn tls(&self) -> &Tls {
        self.tls.as_ref().expect("it was started without TLS")
    }

    /// Cuts every connection to the services that is open now.
    pub fn hang_up(&self) {
        self.doors.values().for_each(Door::hang_up);
    }

    /// Where the services are reached.
    pub fn endpoints(&self) -> Endpoints {
        self.endpoints.clone()
    }

    /// Where the admin API is reached.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Refuses connections to a service, cutting those that are open, or listens again on the same port.
    pub fn refuse_connections(&self, service: &str, refuse: bool) {
        let service = Service::expect(service);
        let doors = Arc::clone(&self.doors);
        self.shut(async move { doors[&service].refuse(refuse).await });
    }

    /// On the cloud's own runtime, so that the caller's may be any or none.
    #[allow(clippy::expect_used, reason = "a test cannot go on without its port")]
    fn shut(&self, door: impl Future<Output = io::Result<()>> + Send + 'static) {
        let (done, result) = mpsc::channel();
        self.handle.spawn(async move {
            let _ = done.send(door.await);
        });
        result.recv().expect("the simulated cloud has stopped").expect("the port was taken meanwhile");
    }
}

fn endpoints(doors: &Doors) -> Endpoints {
    let url = |service| doors.get(&service).map(Door::url).unwrap_or_default();
    Endpoints {
        iam: url(Service::Iam),
        geminidb: url(Service::GeminiDb),
        gaussdbformysql: url(Service::TaurusDb),
        taurusdb: url(Service::TaurusDb),
        dcs: url(Service::Dcs),
        rds: url(Service::Rds),
        dds: url(Service::Dds),
        gaussdb: url(Service::GaussDb),
    }
}

/// Owns the runtime on a thread where it may be dropped, which an async caller's thread is not.
fn keep(runtime: Runtime, stopped: oneshot::Receiver<()>) {
    let _ = runtime.block_on(stopped);
    runtime.shutdown_timeout(Duration::from_secs(2));
}
