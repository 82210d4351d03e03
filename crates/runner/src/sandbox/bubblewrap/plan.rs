//! From a specification to the exact arguments of bubblewrap. Pure but for looking at which of the
//! fixed system paths this host has.
//!
//! Invariant: the walls (namespaces, capabilities, read-only system) are constants of this file; a
//! specification can add visible paths and variables, never remove a wall. Deliberately absent:
//! `/sys`, `/run`, `/var`, the host's home.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::enter::Layers;
use crate::sandbox::error::SandboxError;
use crate::sandbox::layout::{TOP, environment, place};
use crate::sandbox::report;
use crate::sandbox::spec::{self, Bind, Spec, Stdin, Step, Tree};

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

/// The arguments before the command, without those that carry file descriptors.
///
/// `etc` is what [`crate::sandbox::etc`] composed. What lies below [`spec::CONTROL`] is mounted before, by
/// [`below_control`].
pub(super) fn arguments(
    spec: &Spec,
    step: &Step,
    operator: &[Bind],
    etc: &Path,
) -> Result<Vec<Arg>, SandboxError> {
    let mut plan = Plan::default();
    plan.plain(WALLS);
    for (name, value) in environment(&[], &step.env) {
        plan.plain(&["--setenv", &name, &value]);
    }
    plan.system(etc);
    let tmp = spec.limits.tmp_bytes.to_string();
    plan.plain(&["--proc", "/proc", "--dev", "/dev"]);
    plan.plain(&["--perms", "1777", "--size", &tmp, "--tmpfs", "/dev/shm"]);
    plan.plain(&["--remount-ro", "/dev"]);
    plan.plain(&["--perms", "1777", "--size", &tmp, "--tmpfs", "/tmp"]);
    let (tree, home) = match &spec.tree {
        Tree::Overlay { setup: None, .. } => ("merged", "home"),
        Tree::Overlay { setup: Some(_), .. } => ("merged", "home-merged"),
        Tree::Plain => ("tree", "home"),
    };
    plan.bind("--bind", &spec.run_dir.join(home), spec::HOME);
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

/// The overlays of a run, each with its layers from top to bottom.
pub(super) fn layers(spec: &Spec) -> Vec<Layers> {
    let Tree::Overlay { lower, setup } = &spec.tree else {
        return Vec::new();
    };
    let layer = |source: PathBuf, target: &str| Bind {
        source,
        target: target.into(),
    };
    let mut tree = Layers::new("merged", "upper", "work");
    tree.lower.push(layer(lower.clone(), "lower"));
    let Some(setup) = setup else {
        return vec![tree];
    };
    tree.lower.push(layer(setup.join("tree"), "setup"));
    let mut home = Layers::new("home-merged", "home", "home-work");
    home.lower.push(layer(setup.join("home"), "home-lower"));
    vec![tree, home]
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
    words.extend(["sandbox-init", "--report", report::PLACEHOLDER].map(str::to_owned));
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

#[cfg(test)]
mod tests {
    use crate::sandbox::Limits;

    use super::*;

    #[test]
    fn what_a_set_up_left_is_the_lowest_layer_of_the_tree_and_lies_under_the_home() {
        let spec = |setup: Option<&str>| Spec {
            run_dir: "/data/run".into(),
            tree: Tree::Overlay {
                lower: "/data/warm".into(),
                setup: setup.map(PathBuf::from),
            },
            image: None,
            read_only: Vec::new(),
            writable: Vec::new(),
            relays: Vec::new(),
            limits: Limits::default(),
        };
        let sources = |spec: &Spec| -> Vec<Vec<PathBuf>> {
            let sources = |layers: &Layers| layers.lower.iter().map(|l| l.source.clone()).collect();
            layers(spec).iter().map(sources).collect()
        };
        assert_eq!(
            sources(&spec(None)),
            [["/data/warm"].map(PathBuf::from).to_vec()]
        );
        let over = spec(Some("/data/kept"));
        assert_eq!(
            sources(&over),
            [
                ["/data/warm", "/data/kept/tree"]
                    .map(PathBuf::from)
                    .to_vec(),
                ["/data/kept/home"].map(PathBuf::from).to_vec(),
            ]
        );
        // Neither of the two is visible by itself.
        let step = Step {
            command: vec!["true".to_owned()],
            env: Vec::new(),
            system: crate::sandbox::System::Project,
            stdin: Stdin::Closed,
            timeout: std::time::Duration::from_secs(1),
        };
        let args = arguments(&over, &step, &[], Path::new("/data/etc")).expect("arguments");
        let shown = |path: &str| args.contains(&Arg::Source(path.into()));
        assert!(shown("/data/run/merged") && shown("/data/run/home-merged"));
        assert!(!shown("/data/run/home"));
        let kept = |arg: &Arg| matches!(arg, Arg::Source(path) if path.starts_with("/data/kept"));
        assert!(!args.iter().any(kept));
    }
}
