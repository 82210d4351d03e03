//! From a specification to the exact container that an engine is asked for.
//!
//! Invariant: the walls (no network, no capability, no new privilege, a read-only system, namespaces
//! of its own) are constants of this file; a specification can add visible paths and limits, never
//! remove a wall. Deliberately absent: the command and its variables, which never go to the engine;
//! devices, namespaces of the host, privileges, and the engine's own socket.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount,
    MountBindOptions, MountType,
};

use crate::sandbox::error::{Part, SandboxError};
use crate::sandbox::layout::{TOP, place};
use crate::sandbox::spec::{self, Bind, Limits, SandboxProgram, Spec};

/// The label of everything that belongs to a data directory.
pub(super) const LABEL: &str = "nightshift.data";

/// Covered, so that nothing of the host or of the engine is read there.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/run",
    "/sys",
    "/var",
];

/// Files that engines write into `/etc` by themselves; ours are put over them.
const OVERWRITTEN: &[&str] = &["group", "hostname", "hosts", "passwd", "resolv.conf"];

/// What is the same for all containers of a runner.
#[derive(Debug)]
pub(super) struct Frame {
    /// The image, by its id.
    pub(super) image: String,
    /// As whom its processes run, on the host as inside.
    pub(super) user: (u32, u32),
    /// The value of [`LABEL`].
    pub(super) label: String,
    /// Whether the engine is Podman, which has its own word for what is masked.
    pub(super) podman: bool,
    /// Whether the engine limits memory and processes.
    pub(super) limits: bool,
}

/// What is the same for all runs of a runner.
pub(super) struct House<'a> {
    pub(super) program: &'a SandboxProgram,
    pub(super) read_only: &'a [Bind],
    pub(super) etc: &'a Path,
    /// What is mounted on this machine, as `/proc/self/mountinfo` tells it.
    pub(super) mounts: &'a str,
}

/// The container for one step; `door` is the place of its door inside.
pub(super) fn body(
    frame: &Frame,
    house: &House<'_>,
    spec: &Spec,
    door: &str,
) -> Result<ContainerCreateBody, SandboxError> {
    let mut entrypoint = vec![spec::PROGRAM.to_owned()];
    entrypoint.extend_from_slice(&house.program.prefix_args);
    let cmd = ["sandbox-init", "--door", door].map(str::to_owned);
    let (uid, gid) = frame.user;
    Ok(ContainerCreateBody {
        image: Some(frame.image.clone()),
        hostname: Some("nightshift".to_owned()),
        user: Some(format!("{uid}:{gid}")),
        working_dir: Some(spec::WORKSPACE.to_owned()),
        entrypoint: Some(entrypoint),
        cmd: Some(cmd.to_vec()),
        env: Some(Vec::new()),
        network_disabled: Some(true),
        labels: Some(HashMap::from([(LABEL.to_owned(), frame.label.clone())])),
        host_config: Some(host_config(frame, house, spec)?),
        ..ContainerCreateBody::default()
    })
}

fn host_config(frame: &Frame, house: &House<'_>, spec: &Spec) -> Result<HostConfig, SandboxError> {
    let Limits {
        memory_bytes,
        processes,
        cpu_millis,
        tmp_bytes,
        ..
    } = spec.limits;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut security = vec!["no-new-privileges".to_owned(), "label=disable".to_owned()];
    if frame.podman {
        security.push(format!("mask={}", MASKED.join(":")));
    }
    let tmp = format!("rw,exec,nosuid,nodev,mode=1777,size={tmp_bytes}");
    // The first process and its threads count as well.
    let processes = processes.saturating_add(16);
    let limited = |value: u64| frame.limits.then(|| number(value));
    Ok(HostConfig {
        mounts: Some(mounts(house, spec)?),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), tmp)])),
        shm_size: Some(number(tmp_bytes)),
        network_mode: Some("none".to_owned()),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        readonly_rootfs: Some(true),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(security),
        masked_paths: (!frame.podman).then(|| MASKED.iter().map(|p| (*p).to_owned()).collect()),
        memory: limited(memory_bytes),
        memory_swap: limited(memory_bytes),
        pids_limit: limited(processes),
        nano_cpus: cpu_millis.map(|millis| number(millis.saturating_mul(1_000_000))),
        init: Some(false),
        auto_remove: Some(true),
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        ..HostConfig::default()
    })
}

/// What is visible inside, in an order in which nothing covers what came before it.
fn mounts(house: &House<'_>, spec: &Spec) -> Result<Vec<Mount>, SandboxError> {
    let run = |part: &str| spec.run_dir.join(part);
    let mut visible = Visible {
        mounts: Vec::new(),
        known: house.mounts,
    };
    visible.read_only(Path::new("/usr"), "/usr")?;
    for name in TOP {
        let path = PathBuf::from(format!("/{name}"));
        if path.is_dir() && !path.is_symlink() {
            visible.read_only(&path, &format!("/{name}"))?;
        }
    }
    visible.read_only(house.etc, "/etc")?;
    for name in OVERWRITTEN {
        visible.read_only(&house.etc.join(name), &format!("/etc/{name}"))?;
    }
    visible.writable(&run("home"), spec::HOME)?;
    visible.writable(&run("tree"), spec::WORKSPACE)?;
    visible.read_only(&run("control"), spec::CONTROL)?;
    visible.read_only(&house.program.path, spec::PROGRAM)?;
    visible.read_only(&run("sockets"), spec::SOCKETS)?;
    for bind in house.read_only.iter().chain(&spec.read_only) {
        let target = match bind.target == Path::new(spec::OBJECTS) {
            true => spec::OBJECTS,
            false => place(&bind.target)?,
        };
        visible.read_only(&bind.source, target)?;
    }
    for bind in &spec.writable {
        visible.writable(&bind.source, place(&bind.target)?)?;
    }
    Ok(visible.mounts)
}

struct Visible<'a> {
    mounts: Vec<Mount>,
    known: &'a str,
}

impl Visible<'_> {
    /// Read-only with everything that is mounted below it: engines make only the top of it so.
    fn read_only(&mut self, source: &Path, target: &str) -> Result<(), SandboxError> {
        self.bind(source, target, true)?;
        for below in below(self.known, source) {
            if let Ok(rest) = below.strip_prefix(source) {
                let target = Path::new(target).join(rest).display().to_string();
                self.bind(&below, &target, true)?;
            }
        }
        Ok(())
    }

    fn writable(&mut self, source: &Path, target: &str) -> Result<(), SandboxError> {
        self.bind(source, target, false)
    }

    fn bind(&mut self, source: &Path, target: &str, read_only: bool) -> Result<(), SandboxError> {
        let text = source.to_str().filter(|text| {
            // Engines read a mount as a list of words with commas between.
            !text.contains([',', '"', '\n', '\r'])
        });
        let text = text.ok_or_else(|| {
            let shown = source.display();
            SandboxError::part(
                Part::Bind,
                format!("{shown}: no container can see a path with a comma, a quote, a line end or bytes that are not UTF-8"),
            )
        })?;
        self.mounts.push(Mount {
            typ: Some(MountType::BIND),
            source: Some(text.to_owned()),
            target: Some(target.to_owned()),
            read_only: Some(read_only),
            bind_options: Some(MountBindOptions {
                non_recursive: Some(true),
                ..MountBindOptions::default()
            }),
            ..Mount::default()
        });
        Ok(())
    }
}

/// What is mounted below `source`, parents first.
fn below(mounts: &str, source: &Path) -> Vec<PathBuf> {
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let mut found: Vec<PathBuf> = places
        .map(|place| PathBuf::from(unescaped(place)))
        .filter(|place| place != source && place.starts_with(source))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// A path as the kernel writes it: some characters as three octal digits.
fn unescaped(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::spec::Tree;

    fn made(spec: &Spec) -> Result<ContainerCreateBody, SandboxError> {
        let frame = Frame {
            image: "sha256:1".to_owned(),
            user: (7, 8),
            label: "nightshift-1".to_owned(),
            podman: false,
            limits: true,
        };
        let house = House {
            program: &SandboxProgram {
                path: "/opt/nightshift".into(),
                prefix_args: Vec::new(),
            },
            read_only: &[],
            etc: Path::new("/data/etc"),
            mounts: "1 2 0:1 / /usr rw - ext4 x rw\n3 1 0:2 / /usr/with\\040space rw - ext4 y rw\n4 1 0:2 / /srv rw - z z z\n",
        };
        body(&frame, &house, spec, "/nightshift/sockets/0.door")
    }

    fn spec(run_dir: &str) -> Spec {
        Spec {
            run_dir: run_dir.into(),
            tree: Tree::Plain,
            read_only: Vec::new(),
            writable: Vec::new(),
            relays: Vec::new(),
            limits: Limits::default(),
        }
    }

    #[test]
    fn every_wall_is_asked_for() {
        let body = made(&spec("/data/runs/1")).expect("a container");
        assert_eq!(body.user.as_deref(), Some("7:8"));
        assert_eq!(body.env, Some(Vec::new()));
        let host = body.host_config.expect("a host configuration");
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.privileged, Some(false));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.auto_remove, Some(true));
        assert!(host.memory.is_some() && host.pids_limit.is_some());
        assert!(host.devices.is_none() && host.cap_add.is_none() && host.pid_mode.is_none());
        let masked = host.masked_paths.expect("masked paths");
        assert!(masked.iter().any(|path| path == "/sys"), "{masked:?}");
        let security = host.security_opt.expect("options");
        assert!(security.iter().any(|o| o == "no-new-privileges"));
        assert!(!security.iter().any(|o| o.contains("unconfined")));
        let mounts = host.mounts.expect("mounts");
        let written: Vec<_> = mounts
            .iter()
            .filter(|mount| mount.read_only == Some(false))
            .filter_map(|mount| mount.target.as_deref())
            .collect();
        assert_eq!(written, ["/home/agent", "/workspace"]);
        let seen = |target: &str| mounts.iter().any(|m| m.target.as_deref() == Some(target));
        assert!(seen("/usr/with space") && !seen("/srv"), "{mounts:?}");
    }

    #[test]
    fn a_path_that_an_engine_would_misread_is_refused() {
        let refused = made(&spec("/data/a,rw=x/runs/1")).expect_err("a comma");
        assert!(refused.to_string().contains("comma"), "{refused}");
    }
}
