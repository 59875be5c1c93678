//! A real Prometheus that scrapes one operator.

use super::{NO_PROXY, child::Leashed, eventually, tools::Tools};
use serde_json::Value;
use std::{net::TcpListener, time::Duration};
use tempfile::TempDir;

/// A running Prometheus; it ends when it is dropped.
pub struct Prometheus {
    _process: Leashed,
    url: String,
    client: reqwest::Client,
    _folder: TempDir,
}

/// The job, as the chart's ServiceMonitor makes it.
pub const JOB: &str = "database-backup-operator-metrics";

impl Prometheus {
    /// Starts one that scrapes `host:port` every second and has these rules; waits until it has scraped twice.
    pub async fn start(target: &str, rules: &Value) -> Self {
        let folder = tempfile::Builder::new().prefix("dbbackup-prometheus-").tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let config = serde_json::json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [place("rules.yml")],
            "scrape_configs": [{
                "job_name": JOB, "honor_labels": true,
                "static_configs": [{ "targets": [target], "labels": { "pod": "operator-0", "namespace": "operator" } }],
            }],
        });
        // JSON is YAML.
        std::fs::write(place("rules.yml"), rules.to_string()).expect("written");
        std::fs::write(place("prometheus.yml"), config.to_string()).expect("written");
        let program = tokio::task::spawn_blocking(|| Tools::Prometheus.program("prometheus")).await.expect("a program");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let args = [
            format!("--config.file={}", place("prometheus.yml")),
            format!("--storage.tsdb.path={}", place("data")),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=warn".into(),
        ];
        let process = Leashed::start(&program, &args, &NO_PROXY, &folder.path().join("log")).expect("it starts");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let prometheus = Self { _process: process, url: format!("http://127.0.0.1:{port}"), client, _folder: folder };
        eventually("Prometheus has scraped twice", Duration::from_secs(60), async || {
            match prometheus.query(&format!("count_over_time(up{{job=\"{JOB}\"}}[1m])")).await?.first() {
                Some(count) if count["value"][1].as_str().is_some_and(|count| count != "0" && count != "1") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        prometheus
    }

    /// What an instant query results in; an error says why it is none.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let encoded: String = percent_encoding::utf8_percent_encode(expression, percent_encoding::NON_ALPHANUMERIC).to_string();
        let data = self.get(&format!("/api/v1/query?query={encoded}")).await?;
        Ok(data["result"].as_array().cloned().unwrap_or_default())
    }

    /// The `data` of an answer of its API.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(text) }
    }
}
