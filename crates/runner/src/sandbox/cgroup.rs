//! Control groups: the limits of memory, processes and processor time, by either version.
//!
//! Version 2 where a group below or beside the runner's own may be made, else version 1 where its
//! controllers are writable, else none (then `watch` and resource limits act alone).
//! Invariant: groups are made below one named `nightshift-<hash of the data directory>`; what is there
//! when a runner starts is nobody's, because the data directory is locked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::spec::{Cap, Limits};

/// Which control groups this host lets the runner make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// The one directory of version 2.
    V2(PathBuf),
    /// A directory for each controller of version 1.
    V1 {
        memory: PathBuf,
        pids: PathBuf,
        cpu: Option<PathBuf>,
    },
    /// Neither is usable.
    None,
}

impl Cgroups {
    /// Looks at the mounted hierarchies and makes our own directory in them.
    pub(super) fn detect(root: &Path, own: &str, name: &str) -> Self {
        Self::version_2(root, own, name)
            .or_else(|| Self::version_1(root, own, name))
            .unwrap_or(Self::None)
    }

    fn version_2(root: &Path, own: &str, name: &str) -> Option<Self> {
        let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
        let group = root.join(path.trim_start_matches('/'));
        let found = Self::delegated(root, &group, name);
        found
            .or_else(|| Self::beside(root, &group, name))
            .map(Self::V2)
    }

    /// Below our own group, where nobody but this program lives in it: a service.
    fn delegated(root: &Path, group: &Path, name: &str) -> Option<PathBuf> {
        let own = fs::read_link("/proc/self/exe").ok()?;
        let members = processes(group);
        let ours = members.iter().all(|pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == own)
        });
        if group == root || !ours || !lists(&group.join("cgroup.controllers")) {
            return None;
        }
        // A group with processes may not hand controllers down: we move into a leaf first.
        let leaf = group.join("runner");
        make(&leaf).ok()?;
        for pid in members {
            fs::write(leaf.join("cgroup.procs"), pid.to_string()).ok()?;
        }
        hand_down(group)?;
        Self::base(group, name)
    }

    /// Beside our own group, below the nearest one that hands the controllers down already: a
    /// session, where our own group is also a person's shell.
    fn beside(root: &Path, group: &Path, name: &str) -> Option<PathBuf> {
        let above = group.ancestors().skip(1);
        above
            .take_while(|ancestor| ancestor.starts_with(root))
            .filter(|ancestor| lists(&ancestor.join("cgroup.subtree_control")))
            .find_map(|ancestor| Self::base(ancestor, name))
    }

    fn base(parent: &Path, name: &str) -> Option<PathBuf> {
        let base = parent.join(name);
        make(&base).ok()?;
        hand_down(&base)?;
        Some(base)
    }

    fn version_1(root: &Path, own: &str, name: &str) -> Option<Self> {
        let find = |controller: &str| {
            let path = own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (names, path) = rest.split_once(':')?;
                names.split(',').any(|n| n == controller).then_some(path)
            })?;
            let base = root
                .join(controller)
                .join(path.trim_start_matches('/'))
                .join(name);
            make(&base).ok()?;
            Some(base)
        };
        let (memory, pids) = (find("memory")?, find("pids")?);
        let cpu = find("cpu");
        Some(Self::V1 { memory, pids, cpu })
    }

    fn bases(&self) -> Vec<&PathBuf> {
        match self {
            Self::V2(base) => vec![base],
            Self::V1 { memory, pids, cpu } => [memory, pids].into_iter().chain(cpu).collect(),
            Self::None => Vec::new(),
        }
    }

    /// For people: which one it is.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::V2(_) => "control groups, version 2",
            Self::V1 { .. } => "control groups, version 1",
            Self::None => "resource limits and watching only: no control group is writable",
        }
    }

    /// Makes the group of one step and sets its limits.
    pub(super) fn create(&self, name: &str, limits: &Limits) -> io::Result<Group> {
        let group = Group {
            paths: self
                .bases()
                .into_iter()
                .map(|base| base.join(name))
                .collect(),
            limits: limits.clone(),
            unified: matches!(self, Self::V2(_)),
        };
        for path in &group.paths {
            fs::create_dir_all(path)?;
        }
        group.set_limits()?;
        Ok(group)
    }

    /// Ends and removes every group that an earlier runner left; returns how many.
    pub(super) fn sweep(&self) -> usize {
        let mut swept = 0;
        for base in self.bases() {
            let Ok(entries) = fs::read_dir(base) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    kill_all(&entry.path());
                    swept += usize::from(remove(&entry.path(), Duration::from_secs(2)));
                }
            }
        }
        swept
    }
}

impl Drop for Cgroups {
    /// Removes our own directories if nothing is left in them.
    fn drop(&mut self) {
        for base in self.bases() {
            fs::remove_dir(base).ok();
        }
    }
}

/// The control group of one step; empty where there are none.
#[derive(Debug, Default)]
pub(super) struct Group {
    paths: Vec<PathBuf>,
    limits: Limits,
    unified: bool,
}

impl Group {
    /// One that somebody else made with these limits, at its directories.
    pub(super) fn found(paths: Vec<PathBuf>, limits: Limits, unified: bool) -> Self {
        Self {
            paths,
            limits,
            unified,
        }
    }

    /// The files through which a process joins.
    pub(super) fn join_files(&self) -> Vec<PathBuf> {
        self.paths
            .iter()
            .map(|path| path.join("cgroup.procs"))
            .collect()
    }

    /// Whether the kernel limits memory and processes here.
    pub(super) fn limits(&self) -> bool {
        !self.paths.is_empty()
    }

    fn set_limits(&self) -> io::Result<()> {
        let Limits {
            memory_bytes,
            processes,
            cpu_millis,
            ..
        } = &self.limits;
        // Our two processes outside, and the first one's relay threads, count as well.
        let processes = processes.saturating_add(16).to_string();
        let memory = memory_bytes.to_string();
        let quota = cpu_millis.map(|millis| (millis * 100).to_string());
        for path in &self.paths {
            if self.unified {
                fs::write(path.join("memory.max"), &memory)?;
                optional(&path.join("memory.swap.max"), "0")?;
                optional(&path.join("memory.oom.group"), "1")?;
                fs::write(path.join("pids.max"), &processes)?;
                if let Some(quota) = &quota {
                    optional(&path.join("cpu.max"), &format!("{quota} 100000"))?;
                }
                continue;
            }
            if path.join("memory.limit_in_bytes").exists() {
                fs::write(path.join("memory.limit_in_bytes"), &memory)?;
                // Absent where swap is not accounted; then swap is the host's own decision.
                optional(&path.join("memory.memsw.limit_in_bytes"), &memory)?;
            }
            if path.join("pids.max").exists() {
                fs::write(path.join("pids.max"), &processes)?;
            }
            if let (Some(quota), true) = (&quota, path.join("cpu.cfs_quota_us").exists()) {
                fs::write(path.join("cpu.cfs_period_us"), "100000")?;
                fs::write(path.join("cpu.cfs_quota_us"), quota)?;
            }
        }
        Ok(())
    }

    /// The limit that was hit, if any.
    pub(super) fn hit(&self) -> Option<Cap> {
        for path in &self.paths {
            let memory = if self.unified {
                "memory.events"
            } else {
                "memory.oom_control"
            };
            if counter(&path.join(memory), "oom_kill") > 0 {
                return Some(Cap::Memory(self.limits.memory_bytes));
            }
            if counter(&path.join("pids.events"), "max") > 0 {
                return Some(Cap::Processes(self.limits.processes));
            }
        }
        None
    }

    /// Sends SIGKILL to every member.
    pub(super) fn kill(&self) {
        for path in &self.paths {
            kill_all(path);
        }
    }

    /// The members still alive.
    pub(super) fn alive(&self) -> Vec<i32> {
        let mut all: Vec<i32> = self.paths.iter().flat_map(|path| processes(path)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Removes the group; blocks up to two seconds for the kernel to let go of it.
    pub(super) fn remove(&self) -> bool {
        self.paths
            .iter()
            .all(|path| remove(path, Duration::from_secs(2)))
    }
}

/// Whether the file names the two controllers without which a group is of no use.
fn lists(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let has = |name| text.split_whitespace().any(|word| word == name);
    has("memory") && has("pids")
}

/// Lets a group's children have the controllers.
fn hand_down(group: &Path) -> Option<()> {
    let file = group.join("cgroup.subtree_control");
    fs::write(&file, "+memory +pids").ok()?;
    // Processor time is limited where it can be; the two above are what matters.
    fs::write(&file, "+cpu").ok();
    Some(())
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn optional(path: &Path, value: &str) -> io::Result<()> {
    if path.exists() {
        fs::write(path, value)
    } else {
        Ok(())
    }
}

fn counter(path: &Path, name: &str) -> u64 {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| {
            text.lines().find_map(|line| {
                let (key, value) = line.split_once(' ')?;
                (key == name).then(|| value.trim().parse().ok())?
            })
        })
        .unwrap_or(0)
}

fn processes(group: &Path) -> Vec<i32> {
    fs::read_to_string(group.join("cgroup.procs"))
        .map(|text| text.lines().filter_map(|line| line.parse().ok()).collect())
        .unwrap_or_default()
}

fn kill_all(group: &Path) {
    if fs::write(group.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    // Members can fork while we read; a few rounds outrun what SIGKILL leaves.
    for _ in 0..8 {
        let members = processes(group);
        if members.is_empty() {
            return;
        }
        for pid in members {
            // Zero would be ourselves; a member that is gone already is no failure.
            if pid > 0 {
                kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
            }
        }
    }
}

fn remove(group: &Path, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        match fs::remove_dir(group) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Err(_) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delegated_group_of_version_2_is_taken_with_its_limits() {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("system.slice/runner.service");
        fs::create_dir_all(&own).expect("a group");
        fs::write(own.join("cgroup.controllers"), "cpu memory pids\n").expect("a file");
        fs::write(own.join("cgroup.procs"), "").expect("a file");
        let found = Cgroups::detect(root.path(), "0::/system.slice/runner.service\n", "x");
        assert_eq!(found, Cgroups::V2(own.join("x")));
        let limits = Limits {
            memory_bytes: 7,
            processes: 5,
            ..Limits::default()
        };
        let group = found.create("run", &limits).expect("a group");
        let read = |name: &str| fs::read_to_string(own.join("x/run").join(name)).expect("a file");
        assert_eq!(
            (read("memory.max"), read("pids.max")),
            ("7".to_owned(), "21".to_owned())
        );
        assert_eq!(group.hit(), None);
        fs::write(own.join("x/run/memory.events"), "oom 1\noom_kill 1\n").expect("a file");
        assert_eq!(group.hit(), Some(Cap::Memory(7)));
    }

    #[test]
    fn in_a_session_the_group_is_made_beside_the_shells() {
        let root = tempfile::tempdir().expect("a directory");
        let slice = root.path().join("user.slice/app.slice");
        let own = slice.join("shell.scope");
        fs::create_dir_all(&own).expect("a group");
        fs::write(own.join("cgroup.controllers"), "memory pids\n").expect("a file");
        // The first process of the machine is not ours.
        fs::write(own.join("cgroup.procs"), "1\n").expect("a file");
        fs::write(slice.join("cgroup.subtree_control"), "memory pids\n").expect("a file");
        let own = "0::/user.slice/app.slice/shell.scope\n";
        let found = Cgroups::detect(root.path(), own, "x");
        assert_eq!(found, Cgroups::V2(slice.join("x")));
    }

    #[test]
    fn without_memory_and_pids_there_is_no_group() {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("a");
        fs::create_dir_all(&own).expect("a group");
        fs::write(own.join("cgroup.controllers"), "hugetlb\n").expect("a file");
        assert_eq!(Cgroups::detect(root.path(), "0::/a\n", "x"), Cgroups::None);
    }
}
