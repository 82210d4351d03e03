//! From a specification to the exact container that an engine is asked for.
//!
//! Invariant: the walls (no network, no capability, no new privilege, a read-only system, namespaces
//! of its own) are constants of this file; a specification can add visible paths and limits, never
//! remove a wall. Deliberately absent: the command and its variables, which never go to the engine;
//! devices, namespaces of the host, privileges, and the engine's own socket.
//!
//! What an image says about its containers is replaced here, all of it: entry point, command, user,
//! working directory, variables, health check, volumes. The container that adds to an image is root
//! inside and may write the image's copy; it has the few capabilities that package managers use, and
//! sees nothing of a run but one socket, read-only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    Mount, MountBindOptions, MountTmpfsOptions, MountType,
};

use super::image::Image;
use super::loader::Loader;
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
    "/sys",
];

/// Covered as well where no package manager keeps its locks there.
const RUN: &str = "/run";
/// Covered as well where the system is the machine's own.
const MACHINES: &str = "/var";

/// Files that engines write into `/etc` by themselves; ours are put over them.
const OVERWRITTEN: &[&str] = &["hostname", "hosts", "resolv.conf"];
/// Who there is. What adds to an image adds users, too, and has the image's.
const USERS: &[&str] = &["group", "passwd"];
/// What the loader would have us begin with; ours is empty.
pub(super) const PRELOAD: &str = "ld.so.preload";

/// What a package manager needs: to give files to their owners, and to become one of them.
const INSTALLERS: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "SETGID",
    "SETUID",
];

/// Whose system a container has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Root<'a> {
    /// This machine's.
    Machine,
    /// An image's.
    Image(&'a Image),
    /// An image's, to be added to, by root.
    Install(&'a Image),
}

impl<'a> Root<'a> {
    fn image(self) -> Option<&'a Image> {
        match self {
            Self::Machine => None,
            Self::Image(image) | Self::Install(image) => Some(image),
        }
    }

    fn installs(self) -> bool {
        matches!(self, Self::Install(_))
    }
}

/// What is the same for all containers of a runner.
#[derive(Debug)]
pub(super) struct Frame {
    /// The empty image, by its id, on which the machine's system is shown.
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
    /// How our program starts where the system is not the machine's, if it needs help there.
    pub(super) loader: Option<&'a Loader>,
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
    root: Root<'_>,
    door: &str,
) -> Result<ContainerCreateBody, SandboxError> {
    let cmd = ["sandbox-init", "--door", door].map(str::to_owned);
    let (uid, gid) = match root.installs() {
        true => (0, 0),
        false => frame.user,
    };
    let image = root.image();
    let folder = match root.installs() {
        true => "/",
        false => spec::WORKSPACE,
    };
    // There is no way to take a variable of the image away, so each of them is empty.
    let variables = image.into_iter().flat_map(|image| &image.named);
    Ok(ContainerCreateBody {
        image: Some(image.map_or(&frame.image, |image| &image.id).clone()),
        hostname: Some("nightshift".to_owned()),
        user: Some(format!("{uid}:{gid}")),
        working_dir: Some(folder.to_owned()),
        entrypoint: Some(program(house, image.is_some())),
        cmd: Some(cmd.to_vec()),
        env: Some(variables.map(|name| format!("{name}=")).collect()),
        healthcheck: image.map(|_| HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        network_disabled: Some(true),
        labels: Some(HashMap::from([(LABEL.to_owned(), frame.label.clone())])),
        host_config: Some(host_config(frame, house, spec, root)?),
        ..ContainerCreateBody::default()
    })
}

/// The words that start our own program inside.
pub(super) fn program(house: &House<'_>, in_image: bool) -> Vec<String> {
    match house.loader {
        Some(loader) if in_image => loader.words().to_vec(),
        Some(_) | None => {
            let mut words = vec![spec::PROGRAM.to_owned()];
            words.extend_from_slice(&house.program.prefix_args);
            words
        }
    }
}

fn host_config(
    frame: &Frame,
    house: &House<'_>,
    spec: &Spec,
    root: Root<'_>,
) -> Result<HostConfig, SandboxError> {
    let Limits {
        memory_bytes,
        processes,
        cpu_millis,
        tmp_bytes,
        ..
    } = spec.limits;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut masked: Vec<String> = MASKED.iter().map(|p| (*p).to_owned()).collect();
    if !root.installs() {
        masked.push(RUN.to_owned());
    }
    if root.image().is_none() {
        masked.push(MACHINES.to_owned());
    }
    let mut security = vec!["no-new-privileges".to_owned(), "label=disable".to_owned()];
    if frame.podman {
        security.push(format!("mask={}", masked.join(":")));
    }
    // The first process and its threads count as well.
    let processes = processes.saturating_add(16);
    let limited = |value: u64| frame.limits.then(|| number(value));
    let installs = root.installs();
    let mut mounts = match root {
        Root::Machine => mounts(house, spec)?,
        Root::Image(_) => image_mounts(house, spec)?,
        Root::Install(_) => install_mounts(house, spec)?,
    };
    if !frame.podman {
        mounts.extend(covers(root, tmp_bytes));
    }
    Ok(HostConfig {
        mounts: Some(mounts),
        tmpfs: Some(temporary(frame, root, tmp_bytes)),
        shm_size: Some(number(tmp_bytes)),
        network_mode: Some("none".to_owned()),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        readonly_rootfs: Some(!installs),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: installs.then(|| INSTALLERS.iter().map(|c| (*c).to_owned()).collect()),
        security_opt: Some(security),
        masked_paths: (!frame.podman).then_some(masked),
        memory: limited(memory_bytes),
        memory_swap: limited(memory_bytes),
        pids_limit: limited(processes),
        nano_cpus: cpu_millis.map(|millis| number(millis.saturating_mul(1_000_000))),
        init: Some(false),
        // What was added to an image is in its container.
        auto_remove: Some(!installs),
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        ..HostConfig::default()
    })
}

/// File systems in memory, by their places.
fn temporary(frame: &Frame, root: Root<'_>, bytes: u64) -> HashMap<String, String> {
    let options = format!("rw,exec,nosuid,nodev,mode=1777,size={bytes}");
    let Some(image) = root.image() else {
        return HashMap::from([("/tmp".to_owned(), options)]);
    };
    let run = root.installs().then_some(RUN);
    let places = ["/tmp", "/var/tmp"].into_iter().chain(run);
    let places = places.map(str::to_owned);
    if !frame.podman {
        return places.map(|place| (place, options.clone())).collect();
    }
    // It alone would copy into them what the image has there.
    let options = format!("{options},notmpcopyup");
    places
        .chain(image.volumes.iter().cloned())
        .map(|place| (place, options.clone()))
        .collect()
}

/// What lies over an image's volumes where the engine is Docker: it makes no store of its own for a
/// volume over which there is a mount, and does for one with a file system of the other list.
fn covers(root: Root<'_>, bytes: u64) -> Vec<Mount> {
    let volumes = root.image().into_iter().flat_map(|image| &image.volumes);
    volumes
        .map(|place| Mount {
            typ: Some(MountType::TMPFS),
            target: Some(place.clone()),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: Some(i64::try_from(bytes).unwrap_or(i64::MAX)),
                mode: Some(0o1777),
                ..MountTmpfsOptions::default()
            }),
            ..Mount::default()
        })
        .collect()
}

/// The places that must be mounts of their own in a container of an image; none in another.
pub(super) fn places(body: &ContainerCreateBody, root: Root<'_>) -> Vec<String> {
    if root.image().is_none() {
        return Vec::new();
    }
    let host = body.host_config.as_ref();
    let mounts = host.and_then(|host| host.mounts.as_ref());
    let tmpfs = host.and_then(|host| host.tmpfs.as_ref());
    mounts
        .into_iter()
        .flatten()
        .filter_map(|mount| mount.target.clone())
        .chain(tmpfs.into_iter().flat_map(|tmpfs| tmpfs.keys().cloned()))
        // Images have links where these are; whatever is read there is ours.
        .filter(|place| !Path::new(place).starts_with("/etc"))
        .collect()
}

/// What is visible inside, in an order in which nothing covers what came before it.
fn mounts(house: &House<'_>, spec: &Spec) -> Result<Vec<Mount>, SandboxError> {
    let mut visible = Visible::new(house);
    visible.read_only(Path::new("/usr"), "/usr")?;
    for name in TOP {
        let path = PathBuf::from(format!("/{name}"));
        if path.is_dir() && !path.is_symlink() {
            visible.read_only(&path, &format!("/{name}"))?;
        }
    }
    visible.read_only(house.etc, "/etc")?;
    visible.etc(house, &[OVERWRITTEN, USERS])?;
    visible.run(spec)?;
    visible.read_only(&house.program.path, spec::PROGRAM)?;
    visible.sockets(spec)?;
    visible.more(house, spec)?;
    Ok(visible.mounts)
}

/// The same in an image: its own system instead of the machine's.
fn image_mounts(house: &House<'_>, spec: &Spec) -> Result<Vec<Mount>, SandboxError> {
    let mut visible = Visible::new(house);
    visible.etc(house, &[OVERWRITTEN, USERS, &[PRELOAD]])?;
    visible.run(spec)?;
    visible.program(house)?;
    visible.sockets(spec)?;
    visible.more(house, spec)?;
    Ok(visible.mounts)
}

/// The least, for what adds to an image: our program, and the sockets.
fn install_mounts(house: &House<'_>, spec: &Spec) -> Result<Vec<Mount>, SandboxError> {
    let mut visible = Visible::new(house);
    visible.etc(house, &[OVERWRITTEN, &[PRELOAD]])?;
    visible.read_only(&spec.run_dir.join("control"), spec::CONTROL)?;
    visible.program(house)?;
    visible.sockets(spec)?;
    Ok(visible.mounts)
}

struct Visible<'a> {
    mounts: Vec<Mount>,
    known: &'a str,
}

impl<'a> Visible<'a> {
    fn new(house: &House<'a>) -> Self {
        Self {
            mounts: Vec::new(),
            known: house.mounts,
        }
    }

    fn etc(&mut self, house: &House<'_>, lists: &[&[&str]]) -> Result<(), SandboxError> {
        for name in lists.iter().copied().flatten() {
            self.read_only(&house.etc.join(name), &format!("/etc/{name}"))?;
        }
        Ok(())
    }

    /// What belongs to the run.
    fn run(&mut self, spec: &Spec) -> Result<(), SandboxError> {
        self.writable(&spec.run_dir.join("home"), spec::HOME)?;
        self.writable(&spec.run_dir.join("tree"), spec::WORKSPACE)?;
        self.read_only(&spec.run_dir.join("control"), spec::CONTROL)
    }

    /// Our own program in an image.
    fn program(&mut self, house: &House<'_>) -> Result<(), SandboxError> {
        let Some(loader) = house.loader else {
            return self.read_only(&house.program.path, spec::PROGRAM);
        };
        for (source, target) in loader.binds(&house.program.path) {
            self.read_only(&source, &target)?;
        }
        Ok(())
    }

    fn sockets(&mut self, spec: &Spec) -> Result<(), SandboxError> {
        self.read_only(&spec.run_dir.join("sockets"), spec::SOCKETS)
    }

    /// What the operator and the caller add.
    fn more(&mut self, house: &House<'_>, spec: &Spec) -> Result<(), SandboxError> {
        for bind in house.read_only.iter().chain(&spec.read_only) {
            let target = match bind.target == Path::new(spec::OBJECTS) {
                true => spec::OBJECTS,
                false => place(&bind.target)?,
            };
            self.read_only(&bind.source, target)?;
        }
        for bind in &spec.writable {
            self.writable(&bind.source, place(&bind.target)?)?;
        }
        Ok(())
    }

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
pub(super) fn unescaped(text: &str) -> String {
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

    fn made(spec: &Spec, root: Root<'_>) -> Result<ContainerCreateBody, SandboxError> {
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
            loader: None,
            read_only: &[],
            etc: Path::new("/data/etc"),
            mounts: "1 2 0:1 / /usr rw - ext4 x rw\n3 1 0:2 / /usr/with\\040space rw - ext4 y rw\n4 1 0:2 / /srv rw - z z z\n",
        };
        body(&frame, &house, spec, root, "/nightshift/sockets/0.door")
    }

    fn spec(run_dir: &str) -> Spec {
        Spec {
            run_dir: run_dir.into(),
            tree: Tree::Plain,
            image: None,
            read_only: Vec::new(),
            writable: Vec::new(),
            relays: Vec::new(),
            limits: Limits::default(),
        }
    }

    #[test]
    fn every_wall_is_asked_for() {
        let body = made(&spec("/data/runs/1"), Root::Machine).expect("a container");
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
        for path in ["/sys", "/run", "/var"] {
            assert!(masked.iter().any(|other| other == path), "{masked:?}");
        }
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

    fn image() -> Image {
        Image {
            name: "base:1".to_owned(),
            id: "sha256:2".to_owned(),
            digest: None,
            env: vec![("PATH".to_owned(), "/opt/bin".to_owned())],
            named: vec!["PATH".to_owned(), "LD_PRELOAD".to_owned()],
            volumes: vec!["/data".to_owned()],
        }
    }

    #[test]
    fn a_volume_is_covered_in_the_way_of_each_engine() {
        let image = image();
        let over = |podman| {
            let frame = Frame {
                image: String::new(),
                user: (7, 8),
                label: String::new(),
                podman,
                limits: true,
            };
            let volumes = temporary(&frame, Root::Image(&image), 9);
            volumes.get("/data").cloned()
        };
        let podman = over(true).expect("a file system");
        assert!(
            podman.contains("size=9") && podman.contains("notmpcopyup"),
            "{podman}"
        );
        assert_eq!(over(false), None);
        let docker = covers(Root::Image(&image), 9);
        assert_eq!(docker[0].target.as_deref(), Some("/data"));
        assert_eq!(docker[0].typ, Some(MountType::TMPFS));
        let size = docker[0]
            .tmpfs_options
            .as_ref()
            .and_then(|all| all.size_bytes);
        assert_eq!(size, Some(9));
        assert!(covers(Root::Machine, 9).is_empty());
    }

    fn written(host: &HostConfig) -> Vec<&str> {
        let mounts = host.mounts.iter().flatten();
        mounts
            .filter(|mount| mount.read_only == Some(false))
            .filter_map(|mount| mount.target.as_deref())
            .collect()
    }

    #[test]
    fn an_image_says_nothing_about_its_containers() {
        let image = image();
        let root = Root::Image(&image);
        let body = made(&spec("/data/runs/1"), root).expect("a container");
        assert_eq!(body.image.as_deref(), Some("sha256:2"));
        assert_eq!(body.user.as_deref(), Some("7:8"));
        let empty = ["PATH=", "LD_PRELOAD="].map(str::to_owned);
        assert_eq!(body.env.as_deref(), Some(&empty[..]));
        let health = body.healthcheck.as_ref().and_then(|all| all.test.clone());
        assert_eq!(health, Some(vec!["NONE".to_owned()]));
        let places = places(&body, root);
        for place in ["/workspace", "/home/agent", "/nightshift", "/tmp", "/data"] {
            assert!(places.iter().any(|other| other == place), "{places:?}");
        }
        let host = body.host_config.expect("a host configuration");
        assert_eq!(host.readonly_rootfs, Some(true));
        assert!(host.cap_add.is_none());
        assert_eq!(written(&host), ["/home/agent", "/workspace"]);
        let seen = |target: &str| {
            let mut all = host.mounts.iter().flatten();
            all.any(|mount| mount.target.as_deref() == Some(target))
        };
        assert!(seen("/etc/passwd") && seen("/etc/ld.so.preload"));
        assert!(!seen("/usr") && !seen("/etc"));
        let masked = host.masked_paths.expect("masked paths");
        assert!(!masked.iter().any(|path| path == "/var"), "{masked:?}");
    }

    #[test]
    fn what_adds_to_an_image_is_root_over_nothing_of_ours() {
        let image = image();
        let root = Root::Install(&image);
        let body = made(&spec("/data/runs/1"), root).expect("a container");
        assert_eq!(body.user.as_deref(), Some("0:0"));
        let host = body.host_config.expect("a host configuration");
        assert_eq!(host.readonly_rootfs, Some(false));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.cap_add.as_ref().map(Vec::len), Some(6));
        let masked = host.masked_paths.as_ref().expect("masked paths");
        assert!(masked.iter().any(|path| path == "/sys"), "{masked:?}");
        assert!(!masked.iter().any(|path| path == "/run"), "{masked:?}");
        let tmpfs = host.tmpfs.as_ref().expect("file systems in memory");
        assert!(tmpfs["/run"].contains("size="), "{tmpfs:?}");
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(written(&host), [""; 0]);
        let security = host.security_opt.expect("options");
        assert!(security.iter().any(|o| o == "no-new-privileges"));
        assert!(host.devices.is_none() && host.privileged == Some(false));
        let seen = |target: &str| {
            let mut all = host.mounts.iter().flatten();
            all.any(|mount| mount.target.as_deref() == Some(target))
        };
        assert!(!seen("/workspace") && !seen("/home/agent") && !seen("/etc/passwd"));
    }

    #[test]
    fn a_path_that_an_engine_would_misread_is_refused() {
        let refused = made(&spec("/data/a,rw=x/runs/1"), Root::Machine).expect_err("a comma");
        assert!(refused.to_string().contains("comma"), "{refused}");
    }
}
