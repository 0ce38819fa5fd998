//! `cargo xtask measure`: the time from `pilar publish` to the first reply from the new version.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{build_release, output};
use crate::{Failure, Workspace};

/// Versions that are published and waited for.
const ROUNDS: u32 = 30;
const FEATURE: &str = "measured";
/// A version that does not serve by then never will.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Publishes one version after the other to a watching host and prints how long each took to serve.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    build_release(workspace)?;
    let pilar = workspace.release_binary("pilar")?;
    let room = std::env::temp_dir().join(format!("pilar-measure-{}", std::process::id()));
    let outcome = measure(&pilar, &workspace.release_binary("pilar-host")?, &room);
    // The numbers are printed by now; a directory that stays is not worth failing for.
    let _ = fs::remove_dir_all(&room);
    outcome
}

fn measure(pilar: &Path, host: &Path, room: &Path) -> Result<(), Failure> {
    let io = |error: std::io::Error| format!("{}: {error}", room.display());
    let source = room.join(FEATURE);
    let artifacts = room.join("artifacts");
    fs::create_dir_all(source.join("src")).map_err(io)?;
    fs::create_dir_all(&artifacts).map_err(io)?;
    let pilar = |arguments: &[&str]| {
        output(Command::new(pilar).current_dir(room).args(arguments).args(["--json"]))
    };
    let build = |round| {
        write_version(&source, round).map_err(io)?;
        pilar(&["build", FEATURE, "--dev"])
    };
    let publish = || pilar(&["publish", "--local", "--dev", "--artifacts", "artifacts"]);
    build(0)?;
    publish()?;
    let (_host, port) = start(host, room)?;
    wait_for(port, 0)?;
    let mut published = Vec::new();
    let mut served = Vec::new();
    for round in 1..=ROUNDS {
        build(round)?;
        let start = Instant::now();
        publish()?;
        published.push(start.elapsed());
        wait_for(port, round)?;
        served.push(start.elapsed());
    }
    println!(
        "{ROUNDS} versions of a feature of three files, published one after the other to a watching host"
    );
    println!(
        "{:<44} {:>8} {:>8} {:>8}",
        "milliseconds from the start of publish", "min", "median", "max"
    );
    print_row("until publish returned", &mut published);
    print_row("until the first reply from the new version", &mut served);
    Ok(())
}

fn write_version(source: &Path, round: u32) -> std::io::Result<()> {
    let manifest = format!(
        r#"{{ "id": "{FEATURE}", "version": "1.0.{round}", "displayName": "Measured",
             "mount": {{ "pathPrefix": "/{FEATURE}", "domElementId": "root" }},
             "entrypoints": {{ "js": "main.js", "css": "style.css" }} }}"#
    );
    write(&source.join("manifest.json"), &manifest)?;
    write(
        &source.join("src/main.js"),
        &format!("import {{ mount }} from './view.js';\nexport {{ mount }};\n// {round}\n"),
    )?;
    write(
        &source.join("src/view.js"),
        "export function mount(element) { element.textContent = 'measured'; }\n",
    )?;
    write(&source.join("src/style.css"), ".measured { color: CanvasText; }\n")
}

#[expect(clippy::disallowed_methods, reason = "sources in a directory of this run alone")]
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    fs::write(path, text)
}

/// Stops the host when it is dropped.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(host: &Path, room: &Path) -> Result<(Host, u16), Failure> {
    let mut child = Command::new(host)
        .current_dir(room)
        .env("HOST_BIND", "127.0.0.1")
        .env("PORT", "0")
        .env("ARTIFACTS_DIR", "artifacts")
        .env("HOT_REFRESH_WATCH", "1")
        .env("FEATURE_ALLOW_INSECURE_DEV_KEYS", "1")
        .env("FEATURE_TRUST_PUBLIC_KEYS_PATH", ".pilar/keys/trusted-keys.json")
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("could not start {}: {error}", host.display()))?;
    let stdout = child.stdout.take();
    let host = Host(child);
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    Ok((host, port.ok_or("the host did not say where it listens")?))
}

/// Asks until version `1.0.<round>` serves.
fn wait_for(port: u16, round: u32) -> Result<(), Failure> {
    let wanted = format!("\"servingVersion\":\"1.0.{round}\"");
    let start = Instant::now();
    while start.elapsed() < LONGEST_WAIT {
        if ask(port).map_err(|error| error.to_string())?.contains(&wanted) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(format!("version 1.0.{round} did not serve within {LONGEST_WAIT:?}"))
}

fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let request =
        format!("GET /_health/{FEATURE} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

fn print_row(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |index: usize| times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let last = times.len().saturating_sub(1);
    println!("{what:<44} {:>8.1} {:>8.1} {:>8.1}", at(0), at(last / 2), at(last));
}
