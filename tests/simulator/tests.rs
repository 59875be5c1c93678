//! Tests of the simulated cloud itself: what other tests believe of it is checked here, at last by the vendor's own SDK.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::format_push_string, reason = "these are tests")]

#[path = "mod.rs"]
mod simulator;

mod probe;

mod test_access;
mod test_agents;
mod test_backups;
mod test_control;
mod test_engines;
mod test_faults;
mod test_given;
mod test_identity;
mod test_locks;
mod test_pace;
mod test_regions;
mod test_sdk;
mod test_sign;

use probe::{Answer, Probe};
use serde_json::json;
use simulator::{PROJECTS, Simulator};

const GEMINI: &str = "a4d8ea2584e047439a667703c0684119in06";
const TAURUS: &str = "07033b125fd94a8a96896f8bcfee6ddain07";
const REDIS: &str = "c11d4e2e-2c5f-4b37-8f9c-1a2b3c4d5e6f";
const RDS: &str = "d8e6ca5a624745bcb546a227aa3ae1cfin01";
const DDS: &str = "a89dab5e39394eccbdb77b19d57b0180in02";
const GAUSS: &str = "7e01ac5ac5274957ba506f3851d11d51in14";
const ENGINES: [(&str, &str); 6] =
    [("geminidb", GEMINI), ("taurusdb", TAURUS), ("dcs", REDIS), ("rds", RDS), ("dds", DDS), ("gaussdb", GAUSS)];
const TOKEN: &str = "a-token-of-the-tests";
const PROJECT: &str = PROJECTS[0].1;

/// A cloud with one instance of each engine and a token, and a way to ask each service.
struct Stage {
    cloud: Simulator,
    iam: Probe,
    gemini: Probe,
    taurus: Probe,
    dcs: Probe,
    rds: Probe,
    dds: Probe,
    gauss: Probe,
}

async fn stage() -> Stage {
    let cloud = Simulator::start().await;
    for (engine, id) in ENGINES {
        cloud.add_instance(engine, id);
    }
    cloud.add_token(TOKEN);
    let urls = cloud.endpoints();
    Stage {
        iam: Probe::new(&urls.iam),
        gemini: Probe::new(&urls.geminidb).token(TOKEN),
        taurus: Probe::new(&urls.taurusdb).token(TOKEN),
        dcs: Probe::new(&urls.dcs).token(TOKEN),
        rds: Probe::new(&urls.rds).token(TOKEN),
        dds: Probe::new(&urls.dds).token(TOKEN),
        gauss: Probe::new(&urls.gaussdb).token(TOKEN),
        cloud,
    }
}

impl Stage {
    async fn create_gemini(&self, name: &str) -> Answer {
        let body = json!({ "name": name, "description": "made by a test" }).to_string();
        self.gemini.ask(&gemini_create(), Some(&body)).await
    }

    async fn create_taurus(&self, name: &str) -> Answer {
        let body = json!({ "instance_id": TAURUS, "name": name }).to_string();
        self.taurus.ask(&format!("POST /v3/{PROJECT}/backups/create"), Some(&body)).await
    }

    async fn create_dcs(&self, remark: &str) -> Answer {
        let body = json!({ "remark": remark }).to_string();
        self.dcs.ask(&dcs_line("POST", ""), Some(&body)).await
    }

    async fn create_rds(&self, name: &str) -> Answer {
        let body = json!({ "instance_id": RDS, "name": name, "description": "made by a test" }).to_string();
        self.rds.ask(&line("POST", ""), Some(&body)).await
    }

    async fn create_dds(&self, name: &str) -> Answer {
        let body = json!({ "backup": { "instance_id": DDS, "name": name, "description": "made by a test" } }).to_string();
        self.dds.ask(&line("POST", ""), Some(&body)).await
    }

    async fn create_gauss(&self, name: &str) -> Answer {
        let body = json!({ "instance_id": GAUSS, "name": name, "description": "made by a test" }).to_string();
        self.gauss.ask(&line("POST", ""), Some(&body)).await
    }
}

fn gemini_create() -> String {
    format!("POST /v3/{PROJECT}/instances/{GEMINI}/backups")
}

fn gemini_list(query: &str) -> String {
    format!("GET /v4/{PROJECT}/backups{query}")
}

fn taurus_list(query: &str) -> String {
    format!("GET /v3/{PROJECT}/backups{query}")
}

/// A request to RDS, DDS or `GaussDB`, whose paths are the same.
fn line(method: &str, rest: &str) -> String {
    format!("{method} /v3/{PROJECT}/backups{rest}")
}

fn dcs_line(method: &str, rest: &str) -> String {
    format!("{method} /v2/{PROJECT}/instances/{REDIS}/backups{rest}")
}
