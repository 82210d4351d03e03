//! The floor of a start: one overlay mount and one bubblewrap with namespaces of its own, until
//! the first byte of its command. Shared by the benchmarks of this crate and of the whole program.
//!
//! Deliberately absent: everything that makes a sandbox safe or a tree right.

mod percentile;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

pub(crate) use percentile::{millis, percentiles};

/// One mount in a namespace of its own, and one bubblewrap until its command's first byte.
pub(crate) fn once(dir: &Path, lower: &Path, command: &[&str]) -> f64 {
    let (base, lower) = (dir.join("floor"), lower.to_owned());
    let mounted = std::thread::spawn(move || {
        for part in ["upper", "work", "merged"] {
            fs::create_dir_all(base.join(part)).expect("directories");
        }
        unshare(CloneFlags::CLONE_NEWNS).expect("a namespace; run as root");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private");
        let merged = base.join("merged");
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            base.join("upper").display(),
            base.join("work").display()
        );
        let begin = Instant::now();
        mount(
            Some("overlay"),
            &merged,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .expect("a mount");
        let took = begin.elapsed();
        umount2(&merged, MntFlags::empty()).expect("unmounted");
        took
    });
    let mounted = mounted.join().expect("a mount");
    let begin = Instant::now();
    let mut child = Command::new("/usr/bin/bwrap")
        .args([
            "--unshare-all",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--cap-drop",
            "ALL",
            "--die-with-parent",
            "--new-session",
            "--ro-bind",
            "/usr",
            "/usr",
            "--symlink",
            "usr/bin",
            "/bin",
            "--symlink",
            "usr/lib",
            "/lib",
            "--symlink",
            "usr/lib64",
            "/lib64",
            "--ro-bind",
            "/etc",
            "/etc",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--bind",
        ])
        .arg(dir)
        .args(["/workspace", "--chdir", "/workspace"])
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bubblewrap");
    let mut byte = [0];
    std::io::Read::read_exact(child.stdout.as_mut().expect("output"), &mut byte).expect("a byte");
    let took = mounted + begin.elapsed();
    child.wait().expect("an end");
    millis(took)
}
