//! What a sandbox finds when it looks at its own walls; run inside, once per start of a runner.
//!
//! Invariant: every wall that the policy names is tried or read here, so a kernel or a bubblewrap
//! that lets one fall keeps the runner from starting.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{geteuid, getpid};

/// The first wall that does not hold where the system is this machine's.
pub(super) fn machine(user: u32) -> Result<(), String> {
    wall("nothing of the host", !Path::new("/etc/shadow").exists())?;
    wall("nothing of the host", empty(Path::new("/var/run")))?;
    look(user)
}

/// The same where it is an image's; besides, what commands are started with must be there.
pub(super) fn image(user: u32) -> Result<(), String> {
    for place in ["/bin/sh", "/etc/passwd"] {
        let closed = fs::metadata(place).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
        if closed {
            return Err(format!(
                "nobody but root may enter the folder of {place}: give it the rights 755"
            ));
        }
    }
    let shell = fs::metadata("/bin/sh");
    let program =
        shell.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if !program {
        return Err("it has no /bin/sh, with which commands are started".to_owned());
    }
    if fs::write("/tmp/x", "x").is_err() {
        return Err("its /tmp cannot be written by everybody: give it the rights 1777".to_owned());
    }
    look(user)
}

fn look(user: u32) -> Result<(), String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map_or("", str::trim)
    };
    wall("no new privileges", field("NoNewPrivs") == "1")?;
    wall("the system call filter is active", field("Seccomp") == "2")?;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        wall("no capabilities", field(set).bytes().all(|b| b == b'0'))?;
    }
    wall("an ordinary user", user != 0 && geteuid().as_raw() == user)?;
    wall("a process namespace of its own", getpid().as_raw() < 16)?;
    wall(
        "no new user namespace",
        unshare(CloneFlags::CLONE_NEWUSER) == Err(Errno::EPERM),
    )?;
    let none = None::<&str>;
    wall(
        "no mounts",
        mount(none, "/tmp", Some("tmpfs"), MsFlags::empty(), none) == Err(Errno::EPERM),
    )?;
    for path in ["/usr/x", "/etc/x", "/x", "/dev/x", "/nightshift/x"] {
        wall("a read-only system", fs::write(path, "x").is_err())?;
    }
    for path in ["/sys", "/run"] {
        wall("nothing of the host", empty(Path::new(path)))?;
    }
    let names = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    wall("no name server", names.is_empty())?;
    let interfaces = fs::read_to_string("/proc/net/dev").map_err(|e| e.to_string())?;
    let other = interfaces
        .lines()
        .skip(2)
        .any(|line| !line.trim_start().starts_with("lo:"));
    wall("no network but the loopback", !other)?;
    let outside = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 80));
    let reached = TcpStream::connect_timeout(&outside, Duration::from_secs(2));
    wall("no route", reached.is_err())?;
    let seen = fs::read_to_string("/workspace/seen").unwrap_or_default();
    wall(
        "the working tree",
        seen == "below" && fs::write("/workspace/seen", "above").is_ok(),
    )?;
    wall("a home", fs::write("/home/agent/x", "x").is_ok())
}

/// Whether nothing is there, or a directory with nothing in it.
fn empty(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !path.exists(),
    }
}

fn wall(name: &str, holds: bool) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("this wall does not hold inside: {name}"))
    }
}
