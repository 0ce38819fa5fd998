//! From the start of `pilar publish` to the first reply from the new version, as who develops sees it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::host::Host;
use crate::Failure;
use crate::corpus::write;
use crate::http::Connection;
use crate::server::output;
use crate::statistics::Spread;

/// Versions that are published and waited for.
pub(super) const ROUNDS: u32 = 30;
const FEATURE: &str = "measured";
/// A version that does not serve by then never will.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Milliseconds from the start of `pilar publish`.
#[derive(Debug)]
pub(super) struct Publish {
    /// Until it returned.
    pub(super) returned: Spread,
    /// Until the first reply from the new version.
    pub(super) served: Spread,
}

/// Publishes one version after the other to a watching host.
pub(super) fn run(host: &Path, pilar: &Path, room: &Path) -> Result<Publish, Failure> {
    println!("{ROUNDS} versions published");
    let io = |error: std::io::Error| format!("{}: {error}", room.display());
    let source = room.join(FEATURE);
    let artifacts = room.join("artifacts");
    fs::create_dir_all(source.join("src")).map_err(io)?;
    fs::create_dir_all(&artifacts).map_err(io)?;
    let pilar = |arguments: &[&str]| {
        output(Command::new(pilar).current_dir(room).args(arguments).arg("--json"))
    };
    let build = |round| {
        write_version(&source, round)?;
        pilar(&["build", FEATURE, "--dev"])
    };
    let publish = || pilar(&["publish", "--local", "--dev", "--artifacts", "artifacts"]);
    build(0)?;
    publish()?;
    let mut command = Command::new(host);
    command
        .env("HOT_REFRESH_WATCH", "1")
        .env("FEATURE_ALLOW_INSECURE_DEV_KEYS", "1")
        .env("FEATURE_TRUST_PUBLIC_KEYS_PATH", room.join(".pilar/keys/trusted-keys.json"));
    let host = Host::start(&mut command, &artifacts)?;
    let mut connection = Connection::open(host.port)?;
    let (mut returned, mut served) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        build(round)?;
        let start = Instant::now();
        let milliseconds = || start.elapsed().as_secs_f64() * 1000.0;
        publish()?;
        returned.push(milliseconds());
        wait_for(&mut connection, round)?;
        served.push(milliseconds());
    }
    let spread = |values: Vec<f64>| Spread::of(values).ok_or("nothing was published");
    let publish = Publish { returned: spread(returned)?, served: spread(served)? };
    println!("{publish:.1?}");
    Ok(publish)
}

fn write_version(source: &Path, round: u32) -> Result<(), Failure> {
    let manifest = format!(
        r#"{{ "id": "{FEATURE}", "version": "1.0.{round}", "displayName": "Measured",
             "mount": {{ "pathPrefix": "/{FEATURE}", "domElementId": "root" }},
             "entrypoints": {{ "js": "main.js", "css": "style.css" }} }}"#
    );
    let main = format!("import {{ mount }} from './view.js';\nexport {{ mount }};\n// {round}\n");
    let view = "export function mount(element) { element.textContent = 'measured'; }\n";
    write(&source.join("manifest.json"), manifest.as_bytes())?;
    write(&source.join("src/main.js"), main.as_bytes())?;
    write(&source.join("src/view.js"), view.as_bytes())?;
    write(&source.join("src/style.css"), b".measured { color: CanvasText; }\n")
}

/// Asks until version `1.0.<round>` serves.
fn wait_for(connection: &mut Connection, round: u32) -> Result<(), Failure> {
    let wanted = format!("1.0.{round}");
    let start = Instant::now();
    while start.elapsed() < LONGEST_WAIT {
        let health = connection.get_json(&format!("/_health/{FEATURE}"))?;
        if health.get("servingVersion").and_then(Value::as_str) == Some(&wanted) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(format!("version {wanted} did not serve within {LONGEST_WAIT:?}"))
}
