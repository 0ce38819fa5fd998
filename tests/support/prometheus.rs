//! A real Prometheus that reads a real host.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::load::debian_program;
use super::{Client, Host, wait_for};

/// A Prometheus that is running. It ends with the test.
#[derive(Debug)]
pub(crate) struct Prometheus {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Prometheus {
    /// One with these rules that reads the host every second.
    pub(crate) fn start(rules: &str, host: &Host, token: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [path("alerts.yaml")],
            "scrape_configs": [{
                "job_name": "pilar-host",
                "metrics_path": "/_admin/metrics",
                "authorization": { "credentials": token },
                "static_configs": [{ "targets": [format!("127.0.0.1:{}", host.port)] }],
            }],
        });
        fs::write(path("alerts.yaml"), rules).expect("it is empty");
        // JSON is YAML.
        fs::write(path("prometheus.yml"), config.to_string()).expect("it is empty");
        let argument = |name: &str, file: &str| format!("--{name}={}", path(file).display());
        let mut child = debian_program("/usr/bin/prometheus")
            .arg(argument("config.file", "prometheus.yml"))
            .arg(argument("storage.tsdb.path", "data"))
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut said = Vec::new();
        let port = log.by_ref().map_while(Result::ok).find_map(|line| {
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            said.push(line);
            let is_it = entry["msg"] == "Listening on";
            entry["address"].as_str().filter(|_| is_it)?.rsplit(':').next()?.parse().ok()
        });
        let Some(port) = port else {
            let _ = child.wait();
            panic!("Prometheus did not start: {}", said.join("\n"));
        };
        // Nobody reads the rest, and it must not wait for a reader.
        std::thread::spawn(move || log.for_each(drop));
        let prometheus = Self { child, port, _directory: directory };
        wait_for("Prometheus to be ready", || (prometheus.get("/-/ready")? == 200).then_some(()));
        prometheus
    }

    /// Waits until it has read the host, all rules having been evaluated once.
    pub(crate) fn wait_until_read(&self) {
        wait_for("Prometheus to read the host", || {
            (!self.query("up == 1").is_empty()).then_some(())
        });
    }

    /// Its alerting rules.
    pub(crate) fn alerting_rules(&self) -> Vec<Value> {
        let groups = self.data("/api/v1/rules?type=alert")["groups"].clone();
        let groups = groups.as_array().expect("groups").iter();
        groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    /// The alerts that are pending or firing.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.data("/api/v1/alerts")["alerts"].as_array().expect("alerts").clone()
    }

    /// What an expression has for this moment.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.data(&format!("/api/v1/query?query={encoded}"));
        data["result"].as_array().unwrap_or_else(|| panic!("{expression}: {data}")).clone()
    }

    fn data(&self, path: &str) -> Value {
        let mut client = Client::connect(self.port).expect("it listens");
        let reply = client.request("GET", path, &[]).expect("it answers");
        let mut answer = reply.json();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].take()
    }

    fn get(&self, path: &str) -> Option<u16> {
        Some(Client::connect(self.port).ok()?.request("GET", path, &[]).ok()?.status)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
