//! How things are built and tested: what is said meanwhile, for which platforms, and on which versions of Kubernetes.

use crate::render::{chart, parse, path};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn executable(file: &Path, text: &str) {
    fs::write(file, text).expect("written");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("executable");
}

/// Runs a program of the repository: its exit code, what it printed, and what it said.
fn run(program: &str, args: &[&str], envs: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(path(program));
    command.args(args).env_remove("PLATFORMS").envs(envs.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_chart_takes_the_kubernetes_that_is_tested_and_none_that_is_older() {
    let chart: Value = parse(&fs::read_to_string(Path::new(&chart()).join("Chart.yaml")).expect("the chart")).remove(0);
    let modules = read("tests/tools/kubernetes-oldest/go.mod");
    let pinned = modules.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v")).expect("the version");
    let minor = pinned.split('.').nth(1).expect("a minor version");
    assert_eq!(chart["kubeVersion"], format!(">=1.{minor}.0-0"));
}

#[test]
fn every_name_in_the_core_set_is_that_of_a_test() {
    let script = read("tests/tools/oldest");
    let (_, rest) = script.split_once("\ncore=(\n").expect("the list");
    let (names, _) = rest.split_once("\n)\n").expect("its end");
    assert!(names.lines().count() > 10, "{names}");
    for name in names.lines().map(str::trim) {
        let (module, test) = name.split_once("::").expect("a module");
        assert!(
            read(&format!("tests/system/{module}.rs")).contains(&format!("async fn {test}() ")),
            "{name}: that would be left out in silence"
        );
    }
}

#[test]
fn whoever_waits_for_cargo_hears_what_for_and_that_it_goes_on_and_gets_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    // Until it was told of once.
    let cargo = "#!/bin/sh\necho \"args: $*\"\nuntil grep -q still \"$SAID\"; do sleep 0.1; done\nexit 7\n";
    executable(&folder.path().join("cargo"), cargo);
    let said = folder.path().join("said");
    let search = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a PATH"));
    let script = format!("exec '{}' 'the demo' 4 build --bin x 2>'{}'", path("tests/tools/compile").display(), said.display());
    let mut command = Command::new("bash");
    command.args(["-c", &script]).env("PATH", search).env("SAID", &said).env("COMPILE_SAYS_EVERY", "1").stdin(Stdio::null());
    let output = command.output().expect("bash");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "args: build --bin x --quiet\n");
    let said = fs::read_to_string(said).expect("text");
    assert!(said.starts_with("building the demo: about 4 min on 2 cores the first time"), "{said}");
    let goes_on = |line: &str| line.starts_with("still building the demo, ") && line.ends_with(" s so far");
    assert!(said.lines().any(goes_on), "{said}");
    for target in ["demo", "test", "test-oldest", "bench"] {
        let makefile = read("Makefile");
        let (_, recipe) = makefile.split_once(&format!("\n{target}: tools ")).expect("the target");
        let before = recipe.split("\tcargo ").next().and_then(|recipe| recipe.split("\t@cargo ").next()).expect("a recipe");
        assert!(before.contains("@tests/tools/compile "), "{target} compiles in silence");
    }
}

#[test]
fn platforms_that_are_named_are_taken_or_refused() {
    let (code, printed, _) = run("deploy/release/platforms", &[], &[("PLATFORMS", "amd64 arm64")]);
    assert_eq!((code, printed.as_str()), (Some(0), "amd64\narm64\n"));
    let (code, _, said) = run("deploy/release/platforms", &[], &[("PLATFORMS", "arm64 riscv64")]);
    assert!(code == Some(1) && said.contains("riscv64"), "{said}");
}

#[test]
fn a_binary_that_does_not_start_or_is_of_another_version_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = folder.path().join("binary");
    let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let starts = |version: &str, definitions: &str| {
        executable(&binary, &format!("#!/bin/sh\ncase $1 in --version) echo x {version} ;; crd) {definitions} ;; esac\n"));
        let (code, _, said) = run("deploy/release/starts", &[&binary.display().to_string(), own], &[]);
        (code == Some(0), said)
    };
    let definitions = format!("cat '{}'/*", path("crds").display());
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(starts(version, &definitions), (true, format!("starts: the binary for {own} runs (x {version})\n")));
    assert!(!starts("0.0.1", &definitions).0);
    assert!(!starts(version, "true").0, "it prints no definitions");
    assert!(!starts(version, "exit 1").0);
}

/// An OCI archive as a builder writes it.
struct Layout(tempfile::TempDir);

impl Layout {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("blobs/sha256")).expect("a folder");
        Self(folder)
    }

    fn blob(&self, content: &[u8]) -> Value {
        let digest = hex::encode(Sha256::digest(content));
        fs::write(self.0.path().join("blobs/sha256").join(&digest), content).expect("written");
        json!({ "digest": format!("sha256:{digest}"), "size": content.len() })
    }

    /// An image whose binary is for this machine, and has so many bytes.
    fn image(&self, architecture: &str, machine: u8, size: usize) -> Value {
        let root = tempfile::tempdir().expect("a folder");
        let mut binary = b"\x7fELF".to_vec();
        binary.resize(size, 0);
        binary[18] = machine;
        for (file, content) in [
            ("database-backup-operator", binary.as_slice()),
            ("etc/ssl/certs/ca-certificates.crt", b"x"),
            ("licenses/LICENSE", b"x"),
            ("licenses/THIRD-PARTY-NOTICES", b"x"),
        ] {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(&file, content).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
        }
        let layer = self.blob(&tar(root.path()));
        let settings = json!({ "User": "65532:65532", "Entrypoint": ["/database-backup-operator"] });
        let config = self.blob(json!({ "os": "linux", "architecture": architecture, "config": settings }).to_string().as_bytes());
        let mut image = self.blob(json!({ "config": config, "layers": [layer] }).to_string().as_bytes());
        image["platform"] = json!({ "os": "linux", "architecture": architecture });
        image
    }

    /// What is said of an archive with these images.
    fn inspected(&self, images: &[Value], platforms: &[&str]) -> (bool, String, String) {
        let index = self.blob(json!({ "manifests": images }).to_string().as_bytes());
        fs::write(self.0.path().join("index.json"), json!({ "manifests": [index] }).to_string()).expect("written");
        let archive = tempfile::NamedTempFile::new().expect("a file");
        fs::write(archive.path(), tar(self.0.path())).expect("written");
        let args: Vec<&str> = [archive.path().to_str().expect("a path")].into_iter().chain(platforms.iter().copied()).collect();
        let (code, printed, said) = run("deploy/release/inspect", &args, &[]);
        assert!(code != Some(0) || printed.trim() == index["digest"], "{printed}");
        (code == Some(0), printed, said)
    }
}

fn tar(folder: &Path) -> Vec<u8> {
    let output = Command::new("tar").arg("-C").arg(folder).args(["-cf", "-", "."]).output().expect("tar");
    assert!(output.status.success());
    output.stdout
}

#[test]
fn an_image_that_is_too_large_altered_or_for_another_machine_is_refused() {
    const X86: u8 = 62;
    const ARM: u8 = 183;
    let layout = Layout::new();
    let (amd64, arm64) = (layout.image("amd64", X86, 100), layout.image("arm64", ARM, 100));
    let both = ["amd64", "arm64"];
    let (fine, _, said) = layout.inspected(&[amd64.clone(), arm64.clone()], &both);
    assert!(fine && said.contains("linux/arm64 has 103 bytes"), "{said}");

    let refused = |images: &[Value]| {
        let (fine, _, said) = layout.inspected(images, &both);
        assert!(!fine, "{said}");
        said
    };
    assert!(refused(std::slice::from_ref(&amd64)).contains("not for ['amd64', 'arm64']"), "one is missing");
    assert!(refused(&[amd64.clone(), layout.image("arm64", X86, 100)]).contains("another machine"));
    assert!(refused(&[amd64.clone(), layout.image("arm64", ARM, 20_000_000)]).contains("more than 20000000"));
    let altered = arm64["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:")).expect("a digest");
    fs::write(layout.0.path().join("blobs/sha256").join(altered), "{}").expect("written");
    assert!(refused(&[amd64, arm64]).contains("other content"));
}
