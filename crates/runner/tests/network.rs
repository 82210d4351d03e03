//! The allow-listed network: what a captured agent gets through the broker's proxy, and what not.
//!
//! Invariant of every test: what was refused was never dialled.

mod kit;
#[macro_use]
#[path = "kit/on_each.rs"]
mod on_each;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kit::{DONE, Machine, On, Ran, finish, step};
use nightshift_runner::broker::{
    Broker, BrokerProgram, Budget, Event, Grant, NetworkWay, Room, Settings, Ways,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

on_each_engine! {
    an_allowed_host_is_reached_plainly_and_through_a_tunnel,
    no_other_spelling_reaches_anything,
    a_tunnel_carries_nothing_for_another_host,
    a_private_address_is_refused_unless_the_operator_named_it,
    budgets_stop_an_upload_and_a_flood,
    a_tunnel_ends_with_its_run,
}

/// A server of one's own that answers everything in the same way, and remembers what came.
struct Outside {
    port: u16,
    /// The first bytes of each connection.
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    _task: tokio::task::JoinSet<()>,
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine";

async fn outside() -> Outside {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let record = Arc::clone(&seen);
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let record = Arc::clone(&record);
            let at = {
                let mut seen = record.lock().expect("a lock");
                seen.push(Vec::new());
                seen.len() - 1
            };
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                let mut answered = false;
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let whole = {
                        let mut seen = record.lock().expect("a lock");
                        if seen[at].len() < 64 << 10 {
                            seen[at].extend_from_slice(&buffer[..count]);
                        }
                        seen[at].windows(4).any(|four| four == b"\r\n\r\n")
                    };
                    if whole && !answered {
                        answered = true;
                        stream.write_all(ANSWER).await.ok();
                    }
                }
            });
        }
    });
    Outside {
        port,
        seen,
        _task: task,
    }
}

impl Outside {
    fn connections(&self) -> usize {
        self.seen.lock().expect("a lock").len()
    }

    fn bytes(&self) -> usize {
        self.seen.lock().expect("a lock").iter().map(Vec::len).sum()
    }
}

struct Setting {
    machine: Machine,
    room: Room,
    told: Arc<Mutex<Vec<Event>>>,
    _broker: Broker,
}

impl Setting {
    async fn new(on: On, allow: &[&str], private: &[&str], budget: Budget) -> Self {
        let mut machine = Machine::on(on).await;
        let program = BrokerProgram {
            path: kit::program(),
            args: vec!["broker".to_owned()],
        };
        let settings = Settings {
            private: private
                .iter()
                .map(|text| text.parse().expect(text))
                .collect(),
            ..Settings::default()
        };
        let broker = Broker::start(program, settings).await.expect("a broker");
        let grant = |text: &&str| Grant {
            entry: text.parse().expect(text),
            by: "project".to_owned(),
        };
        let ways = Ways {
            network: Some(NetworkWay {
                allow: allow.iter().map(grant).collect(),
                budget,
            }),
            ..Ways::default()
        };
        let told: Arc<Mutex<Vec<Event>>> = Arc::default();
        let heard = Arc::clone(&told);
        let lever = Box::new(move |event| heard.lock().expect("a lock").push(event));
        let room = broker.open(&machine.host, &machine.run, ways, lever).await;
        let room = room.expect("a room");
        machine.spec.relays = room.relays();
        Self {
            machine,
            room,
            told,
            _broker: broker,
        }
    }

    /// Runs a Python script inside that has the helpers below.
    async fn python(&self, script: &str) -> Ran {
        let script = format!("{HELPERS}\n{script}");
        let mut python = step("");
        python.command = ["/usr/bin/python3", "-c", &script]
            .map(str::to_owned)
            .to_vec();
        let started = self.machine.sandbox().spawn(&python).await;
        finish(started.expect("a start")).await
    }
}

const HELPERS: &str = r#"
import socket, ssl, sys, time
def raw(data, more=None, port=7072):
    s = socket.create_connection(('127.0.0.1', port), timeout=20)
    s.sendall(data if isinstance(data, bytes) else data.encode('latin-1'))
    head = b''
    while b'\r\n\r\n' not in head:
        part = s.recv(1)
        if not part: break
        head += part
    status = head.split(b' ')[1].decode() if head.startswith(b'HTTP/') else repr(head)
    return status, s
def get(host, path='/', header=None):
    return raw(f'GET http://{host}{path} HTTP/1.1\r\nHost: {header or host}\r\nConnection: close\r\n\r\n')[0]
def connect(host, header=None):
    return raw(f'CONNECT {host} HTTP/1.1\r\nHost: {header or host}\r\n\r\n')
def rest(s):
    data = b''
    try:
        while True:
            part = s.recv(65536)
            if not part: return data
            data += part
    except OSError: return data
"#;

async fn an_allowed_host_is_reached_plainly_and_through_a_tunnel(on: On) {
    let outside = outside().await;
    let host = format!("localhost:{}", outside.port);
    let setting = Setting::new(on, &[&host], &[&host], Budget::NETWORK).await;
    let ran = setting
        .python(&format!(
            "host = '{host}'
print(get(host, '/a?b=c'))
status, s = connect(host); print(status)
s.sendall(f'GET /inner HTTP/1.1\\r\\nHost: {{host}}\\r\\nConnection: close\\r\\n\\r\\n'.encode()); print(rest(s)[-4:])
status, s = connect(host); s.settimeout(3)
try: ssl.create_default_context().wrap_socket(s, server_hostname='localhost')
except (OSError, ssl.SSLError) as e: print('tls', 'alert' in str(e).lower())"
        ))
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert_eq!(ran.out, "200\n200\nb'fine'\ntls False\n", "{ran:?}");
    let seen = outside.seen.lock().expect("a lock").clone();
    let starts = |with: &[u8]| seen.iter().filter(|bytes| bytes.starts_with(with)).count();
    assert_eq!(starts(b"GET /a?b=c HTTP/1.1\r\n"), 1, "{seen:?}");
    assert_eq!(starts(b"GET /inner HTTP/1.1\r\n"), 1, "{seen:?}");
    assert_eq!(
        starts(&[22, 3]),
        1,
        "the tunnel carries TLS as it is: {seen:?}"
    );
    let report = setting.room.report().await;
    let used = &report.hosts[0];
    assert_eq!(
        (used.host.as_str(), used.allowed_by.as_deref()),
        (host.as_str(), Some("project"))
    );
    assert_eq!((used.requests, used.refused), (4, 0));
    assert!(used.bytes_sent > 200 && used.bytes_received > 8, "{used:?}");
}

async fn no_other_spelling_reaches_anything(on: On) {
    let outside = outside().await;
    let host = format!("localhost:{}", outside.port);
    let setting = Setting::new(on, &[&host, "*.allowed.test"], &[&host], Budget::NETWORK).await;
    let ran = setting
        .python(&format!(
            "port = {}
bad = ['evil.test:443', 'evil.test\\0.allowed.test:443', 'evil.test#.allowed.test:443', 'evil.test%00.allowed.test:443',
 'a.allowed.test.:443', 'xn--allowed-.test:443', 'allowed.test.evil.test:443', 'allowed.test:443', 'evilallowed.test:443',
 f'localhost.:{{port}}', f'127.0.0.1:{{port}}', f'127.1:{{port}}', f'2130706433:{{port}}', f'0x7f000001:{{port}}', f'017700000001:{{port}}',
 f'[::1]:{{port}}', f'[::ffff:127.0.0.1]:{{port}}', f'user@localhost:{{port}}', f'localhost:{{port}}@evil.test:443', 'localhost:22', 'localhost',
 f'localhost:0{{port}}', '169.254.169.254:80', '[fe80::1%25eth0]:80']
for host in bad:
    for status in (connect(host)[0], get(host)):
        if status not in ('400', '403', '421'): print(host, status)
good = f'localhost:{{port}}'
print(connect(good, 'evil.test')[0], get(good, header='evil.test'), get('evil.test', header=good))
print(raw(f'GET http://{{good}}/ HTTP/1.1\\r\\nHost: {{good}}\\r\\nHost: evil.test\\r\\n\\r\\n')[0])
print(raw(f'GET / HTTP/1.1\\r\\nHost: {{good}}\\r\\n\\r\\n')[0], raw(f'GET https://{{good}}/ HTTP/1.1\\r\\nHost: {{good}}\\r\\n\\r\\n')[0])",
            outside.port
        ))
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert_eq!(ran.out, "421 421 421\n400\n400 400\n", "{ran:?}");
    assert_eq!(outside.connections(), 0);
    let told = setting.told.lock().expect("a lock").clone();
    let blocked = told
        .iter()
        .filter(|event| matches!(event, Event::Blocked { place, .. } if place == "evil.test:443"));
    assert_eq!(blocked.count(), 1, "said once: {told:?}");
}

async fn a_tunnel_carries_nothing_for_another_host(on: On) {
    let outside = outside().await;
    let host = format!("localhost:{}", outside.port);
    let setting = Setting::new(on, &[&host], &[&host], Budget::NETWORK).await;
    let ran = setting
        .python(&format!(
            "host = '{host}'
status, s = connect(host); c = ssl.create_default_context()
try: c.wrap_socket(s, server_hostname='evil.test'); print('open')
except ssl.SSLError as e: print('unrecognized' in str(e).lower())
status, s = connect(host); s.sendall(b'GET / HTTP/1.1\\r\\nHost: evil.test\\r\\nConnection: close\\r\\n\\r\\n'); print(rest(s)[:12])
status, s = connect(host); s.sendall(b'GET http://evil.test/ HTTP/1.1\\r\\nHost: evil.test\\r\\nConnection: close\\r\\n\\r\\n'); print(rest(s)[:12])
status, s = connect(host); s.sendall(b'CONNECT evil.test:443 HTTP/1.1\\r\\nHost: evil.test\\r\\nConnection: close\\r\\n\\r\\n'); print(rest(s)[:12])
status, s = connect(host); s.sendall(b'\\0anything'); print(rest(s))
status, s = connect(host); s.sendall(b'SSH-2.0-x\\r\\n'); print(rest(s)[:12])"
        ))
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        lines[..3],
        ["True", "b'HTTP/1.1 421'", "b'HTTP/1.1 421'"],
        "{ran:?}"
    );
    assert!(!ran.out.contains(" 200"), "{ran:?}");
    assert_eq!(outside.bytes(), 0, "nothing reached the other end");
    let report = setting.room.report().await;
    assert!(report.hosts[0].refused >= 2, "{report:?}");
}

async fn a_private_address_is_refused_unless_the_operator_named_it(on: On) {
    let outside = outside().await;
    let host = format!("localhost:{}", outside.port);
    let address = format!("127.0.0.1:{}", outside.port);
    let allow = [
        host.as_str(),
        &address,
        "169.254.169.254",
        "[fe80::1]",
        "10.0.0.1",
    ];
    let setting = Setting::new(on, &allow, &["169.254.169.254"], Budget::NETWORK).await;
    let ran = setting
        .python(&format!(
            "for host in ('{host}', '{address}', '169.254.169.254:80', '[fe80::1]:80', '10.0.0.1:80'): print(connect(host)[0], get(host))"
        ))
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert_eq!(ran.out, "403 403\n".repeat(5), "{ran:?}");
    assert_eq!(outside.connections(), 0);
    let report = setting.room.report().await;
    let metadata = report
        .hosts
        .iter()
        .find(|used| used.host == "169.254.169.254:80");
    let why = metadata.and_then(|used| used.refused_because.as_deref());
    assert_eq!(why, Some("its address is a link-local address"));
}

async fn budgets_stop_an_upload_and_a_flood(on: On) {
    let outside = outside().await;
    let host = format!("localhost:{}", outside.port);
    let budget = Budget {
        requests: 30,
        bytes_sent: 1 << 20,
        bytes_received: 1 << 20,
    };
    let setting = Setting::new(on, &[&host], &[&host], budget).await;
    let ran = setting
        .python(&format!(
            "host = '{host}'
codes = [get(host, '/' + 'x' * 2000) for i in range(40)]
print(codes.count('200'), codes.count('429'))"
        ))
        .await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "30 10\n"),
        "{ran:?}"
    );
    let told = setting.told.lock().expect("a lock").clone();
    assert!(
        told.iter()
            .any(|event| matches!(event, Event::Spent { .. })),
        "{told:?}"
    );

    let budget = Budget {
        requests: 30,
        ..budget
    };
    let setting = Setting::new(on, &[&host], &[&host], budget).await;
    let before = outside.bytes();
    let ran = setting
        .python(&format!(
            "host = '{host}'
try:
    status, s = raw(f'PUT http://{{host}}/up HTTP/1.1\\r\\nHost: {{host}}\\r\\nContent-Length: 50000000\\r\\n\\r\\n'.encode() + b'x' * 50000000)
    print('up', status)
except OSError: print('cut')
status, s = connect(host); print(status)"
        ))
        .await;
    assert_eq!(ran.exit, DONE, "{ran:?}");
    assert!(ran.out.ends_with("429\n"), "{ran:?}");
    let sent = setting.room.report().await.hosts[0].bytes_sent;
    assert!((1 << 20..2 << 20).contains(&sent), "{sent}");
    assert!(outside.bytes() - before <= 2 << 20);
    let told = setting.told.lock().expect("a lock").clone();
    assert!(
        told.iter()
            .any(|event| matches!(event, Event::Spent { .. })),
        "{told:?}"
    );
}

async fn a_tunnel_ends_with_its_run(on: On) {
    let outside = outside().await;
    let host = format!("localhost:{}", outside.port);
    let setting = Setting::new(on, &[&host], &[&host], Budget::NETWORK).await;
    let script = format!(
        "{HELPERS}
status, s = connect('{host}'); s.settimeout(20)
o = ssl.MemoryBIO(); t = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), o, server_hostname='localhost')
try: t.do_handshake()
except ssl.SSLWantReadError: pass
s.sendall(o.read()); print(status, flush=True); print(s.recv(1))"
    );
    let mut python = step("");
    python.command = ["/usr/bin/python3", "-c", &script]
        .map(str::to_owned)
        .to_vec();
    let running = setting.machine.sandbox().spawn(&python).await;
    let begun = Instant::now();
    while outside.bytes() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "no tunnel");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let Setting {
        room,
        machine,
        _broker,
        ..
    } = setting;
    let report = room.close().await;
    assert!(report.hosts[0].bytes_sent > 100, "{report:?}");
    let ran = finish(running.expect("a start")).await;
    assert_eq!(
        (ran.exit.clone(), ran.out.as_str()),
        (DONE, "200\nb''\n"),
        "{ran:?}"
    );
    drop(machine);
}
