//! From a specification to the exact arguments of bubblewrap. Pure but for looking at which of the
//! fixed system paths this host has.
//!
//! Invariant: the walls (namespaces, capabilities, read-only system) are constants of this file; a
//! specification can add visible paths and variables, never remove a wall. Deliberately absent:
//! `/sys`, `/run`, `/var`, the host's home.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use super::spec::{self, Bind, Spec, Stdin, Step, Tree};

/// One argument of bubblewrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Arg {
    /// As it stands.
    Plain(String),
    /// A path of the host, which the entering program may have to stage first.
    Source(PathBuf),
}

/// The walls; every sandbox has all of them.
const WALLS: &[&str] = &[
    "--unshare-user",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-net",
    "--unshare-cgroup-try",
    "--hostname",
    "nightshift",
    "--die-with-parent",
    "--as-pid-1",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--clearenv",
];

/// Top-level names that are links into `/usr` on merged systems and directories elsewhere.
const TOP: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Where nothing may be put: what is the system's, the tree's or the platform's own.
const TAKEN: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/proc",
    "/dev",
    "/sys",
    "/tmp",
    "/workspace",
];

/// The arguments before the command, without those that carry file descriptors.
///
/// `etc` is what [`super::etc`] composed. What lies below [`spec::CONTROL`] is mounted before, by
/// [`below_control`].
pub(super) fn arguments(
    spec: &Spec,
    step: &Step,
    operator: &[Bind],
    etc: &Path,
) -> Result<Vec<Arg>, SandboxError> {
    let mut plan = Plan::default();
    plan.plain(WALLS);
    for (name, value) in environment(&step.env) {
        plan.plain(&["--setenv", &name, &value]);
    }
    plan.system(etc);
    let tmp = spec.limits.tmp_bytes.to_string();
    plan.plain(&["--proc", "/proc", "--dev", "/dev"]);
    plan.plain(&["--perms", "1777", "--size", &tmp, "--tmpfs", "/dev/shm"]);
    plan.plain(&["--remount-ro", "/dev"]);
    plan.plain(&["--perms", "1777", "--size", &tmp, "--tmpfs", "/tmp"]);
    plan.bind("--bind", &spec.run_dir.join("home"), spec::HOME);
    let tree = match spec.tree {
        Tree::Overlay { .. } => "merged",
        Tree::Plain => "tree",
    };
    plan.bind("--bind", &spec.run_dir.join(tree), spec::WORKSPACE);
    plan.bind("--ro-bind", &spec.run_dir.join("control"), spec::CONTROL);
    for bind in operator.iter().chain(&spec.read_only) {
        if bind.target != Path::new(spec::OBJECTS) {
            plan.bind("--ro-bind", &bind.source, place(&bind.target)?);
        }
    }
    for bind in &spec.writable {
        plan.bind("--bind", &bind.source, place(&bind.target)?);
    }
    plan.plain(&["--remount-ro", "/", "--chdir", spec::WORKSPACE]);
    Ok(plan.args)
}

/// What is mounted onto the run's control directory before bubblewrap makes it visible as a whole:
/// places relative to the run's directory. Fewer mounts for bubblewrap are a faster start.
pub(super) fn below_control(spec: &Spec, program: &Path) -> Vec<Bind> {
    let bind = |source: &Path, target: &str| Bind {
        source: source.to_owned(),
        target: PathBuf::from(target),
    };
    let mut binds = vec![
        bind(program, "control/bin/nightshift"),
        bind(&spec.run_dir.join("sockets"), "control/sockets"),
    ];
    let objects = spec
        .read_only
        .iter()
        .find(|b| b.target == Path::new(spec::OBJECTS));
    binds.extend(objects.map(|objects| bind(&objects.source, "control/objects")));
    binds
}

/// The command that bubblewrap executes: our own first program with the step's command.
pub(super) fn command(
    spec: &Spec,
    step: &Step,
    prefix: &[String],
    processes: Option<u64>,
) -> Vec<String> {
    let mut words = vec![spec::PROGRAM.to_owned()];
    words.extend_from_slice(prefix);
    words.extend(["sandbox-init", "--report", super::report::PLACEHOLDER].map(str::to_owned));
    for relay in &spec.relays {
        words.push("--relay".to_owned());
        words.push(format!("{}={}/{}", relay.port, spec::SOCKETS, relay.socket));
    }
    words.push("--file-bytes".to_owned());
    words.push(spec.limits.file_bytes.to_string());
    if let Some(processes) = processes {
        words.push("--processes".to_owned());
        words.push(processes.to_string());
    }
    match &step.stdin {
        Stdin::Closed => {}
        Stdin::File(path) => {
            words.push("--stdin".to_owned());
            words.push(path.display().to_string());
        }
        Stdin::Pipe => words.push("--inherit-stdin".to_owned()),
    }
    words.push("--".to_owned());
    words.extend_from_slice(&step.command);
    words
}

#[derive(Default)]
struct Plan {
    args: Vec<Arg>,
}

impl Plan {
    fn plain(&mut self, words: &[&str]) {
        self.args
            .extend(words.iter().map(|w| Arg::Plain((*w).to_owned())));
    }

    fn bind(&mut self, how: &str, source: &Path, target: &str) {
        self.plain(&[how]);
        self.args.push(Arg::Source(source.to_owned()));
        self.plain(&[target]);
    }

    fn system(&mut self, etc: &Path) {
        self.bind("--ro-bind", Path::new("/usr"), "/usr");
        for name in TOP {
            let path = format!("/{name}");
            if let Ok(link) = std::fs::read_link(&path) {
                self.plain(&["--symlink", &link.display().to_string(), &path]);
            } else if Path::new(&path).is_dir() {
                self.bind("--ro-bind", Path::new(&path), &path);
            }
        }
        self.bind("--ro-bind", etc, "/etc");
    }
}

/// All variables of a command that is given these.
pub(crate) fn environment(given: &[(String, String)]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [
        (
            "PATH",
            "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        ),
        ("HOME", spec::HOME),
        ("USER", "agent"),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", "/tmp"),
    ]
    .into_iter()
    .filter(|(name, _)| given.iter().all(|(other, _)| other != name))
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    all.extend(given.iter().cloned());
    all
}

/// Checks that `target` is a plain absolute path where nothing else lives.
fn place(target: &Path) -> Result<&str, SandboxError> {
    let refused = || SandboxError::Place(target.to_owned());
    let text = target.to_str().ok_or_else(refused)?;
    let plain = text.starts_with('/')
        && text.len() > 1
        && target
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let taken = TAKEN
        .iter()
        .chain(&[spec::CONTROL])
        .any(|own| target.starts_with(own))
        || Path::new(spec::HOME).starts_with(target);
    if plain && !taken {
        Ok(text)
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_never_covers_the_system_or_the_platform() {
        for bad in [
            "/",
            "/usr/bin",
            "/etc/passwd",
            "/proc",
            "/workspace/x",
            "/nightshift/bin",
            "/home",
            "/home/agent",
            "relative",
            "/opt/../etc",
            "/dev/null",
            "/tmp/x",
        ] {
            assert!(place(Path::new(bad)).is_err(), "{bad} was accepted");
        }
        for good in ["/opt/node", "/home/agent/.claude", "/srv/.tools"] {
            assert!(place(Path::new(good)).is_ok(), "{good} was refused");
        }
    }
}
