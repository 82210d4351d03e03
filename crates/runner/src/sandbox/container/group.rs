//! The control group into which an engine put a container: read to see which cap was reached.
//!
//! Invariant: it is the engine's; we make nothing in it and remove nothing.

use std::path::{Path, PathBuf};

use crate::sandbox::cgroup::Group;
use crate::sandbox::spec::Limits;

/// The group of a process; empty where it cannot be read.
pub(super) fn of(pid: i32, limits: &Limits) -> Group {
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    find(Path::new("/sys/fs/cgroup"), &own, limits)
}

fn find(root: &Path, own: &str, limits: &Limits) -> Group {
    let below = |root: PathBuf, path: &str| root.join(path.trim_start_matches('/'));
    let unified = own.lines().find_map(|line| line.strip_prefix("0::"));
    let unified = unified.map(|path| below(root.to_owned(), path));
    if let Some(group) = unified.filter(|group| group.join("memory.max").exists()) {
        return Group::found(vec![group], limits.clone(), true);
    }
    let controller = |wanted: &str| {
        own.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            let group = below(root.join(wanted), path);
            (names.split(',').any(|name| name == wanted) && group.is_dir()).then_some(group)
        })
    };
    match (controller("memory"), controller("pids")) {
        (Some(memory), Some(pids)) => Group::found(vec![memory, pids], limits.clone(), false),
        (None, _) | (_, None) => Group::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sandbox::spec::Cap;

    #[test]
    fn both_versions_are_found_and_read() {
        let root = tempfile::tempdir().expect("a directory");
        let limits = Limits {
            processes: 9,
            ..Limits::default()
        };
        let none = find(root.path(), "0::/a\n", &limits);
        assert!(!none.limits());
        let group = root.path().join("a");
        fs::create_dir(&group).expect("a group");
        fs::write(group.join("memory.max"), "1").expect("a file");
        fs::write(group.join("pids.events"), "max 1\n").expect("a file");
        let found = find(root.path(), "0::/a\n", &limits);
        assert_eq!(found.hit(), Some(Cap::Processes(9)));

        let memory = root.path().join("memory/b");
        fs::create_dir_all(&memory).expect("a group");
        fs::create_dir_all(root.path().join("pids/b")).expect("a group");
        fs::write(memory.join("memory.oom_control"), "oom_kill 2\n").expect("a file");
        let own = "9:memory:/b\n8:pids:/b\n0::/x\n";
        let found = find(root.path(), own, &limits);
        assert_eq!(found.hit(), Some(Cap::Memory(limits.memory_bytes)));
    }
}
