//! A captured agent in a whole run: what it finds, what it reaches, and what it costs.

use std::time::Duration;

use nightshift_api::runner::{Complete, End};
use nightshift_domain::config::Harness;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::transcript::Entry;
use nightshift_runner::broker::{Dialect, EndpointSpec, KeySource, Price};
use nightshift_runner::sandbox::Backend;
use nightshift_testkit::Canaries;
use nightshift_testkit::model::{Fault, ModelServer, Script, Step};

use super::house::{House, NOW, bubblewrap};
use super::server::RUNNER_TOKEN;

const KEY: &str = "sk-real-CANARY-9917";

/// What must be nowhere.
fn canaries() -> Canaries {
    Canaries::of([
        ("the model's key", KEY),
        ("the runner's token", RUNNER_TOKEN),
    ])
}

/// Prints all that it can read, and tries every way out that is none.
const LOOKS: &str = r#"
import glob, os, socket, time, urllib.request
for name, value in os.environ.items(): print('env', name, value)
for pattern in ('/proc/[0-9]*/environ', '/proc/[0-9]*/cmdline', '/proc/[0-9]*/mountinfo', '/proc/net/unix', '/nightshift/*',
                '/nightshift/home/*', '/nightshift/home/.*', '/home/agent/.*', '/home/agent/*', '/etc/*', '/workspace/.git/config', '/tmp/*', '/var/*', '/run/*'):
    for path in glob.glob(pattern):
        try: print('file', path, open(path, 'rb').read(65536))
        except OSError: print('closed', path)
def tries(name, act):
    begun = time.monotonic()
    try: act(); print('OPEN', name)
    except OSError: print('shut', name)
    if time.monotonic() - begun > 2.5: print('SLOW', name)
def tcp(family, place):
    s = socket.socket(family); s.settimeout(2); s.connect(place)
def udp(place):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.sendto(b'x', place)
tries('tcp', lambda: tcp(socket.AF_INET, ('192.0.2.1', 80)))
tries('metadata', lambda: tcp(socket.AF_INET, ('169.254.169.254', 80)))
tries('ipv6', lambda: tcp(socket.AF_INET6, ('2001:db8::1', 443)))
tries('dns', lambda: udp(('8.8.8.8', 53)))
tries('quic', lambda: udp(('192.0.2.1', 443)))
tries('icmp', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
tries('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
tries('vsock', lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
tries('abstract', lambda: tcp(socket.AF_UNIX, '\0nightshift'))
tries('name', lambda: socket.getaddrinfo('label.evil.test', 80))
for url in ('http://evil.test/', 'http://169.254.169.254/latest/meta-data/', 'http://10.0.0.1/'):
    try: print('proxy', urllib.request.urlopen(url, timeout=10).status)
    except urllib.error.HTTPError as error: print('proxy', error.code)
"#;

/// Calls its model, and does something.
const CALLS: &str = r#"
import json, os, sys, time, urllib.request
def call():
    request = urllib.request.Request(os.environ['NIGHTSHIFT_MODEL_URL'] + '/v1/chat/completions',
        json.dumps({'model': 'm-1', 'messages': [{'role': 'user', 'content': 'hello'}],
                    'tools': [{'type': 'function', 'function': {'name': 'bash', 'parameters': {}}}]}).encode(),
        {'Authorization': 'Bearer ' + os.environ['NIGHTSHIFT_MODEL_KEY'], 'Content-Type': 'application/json'})
    try:
        answer = urllib.request.urlopen(request, timeout=60); answer.read(); print('model', answer.status)
    except urllib.error.HTTPError as error: print('model', error.code, error.read())
    sys.stdout.flush()
open('a.txt', 'w').write('two\n')
"#;

/// A run of a captured agent that is this program.
async fn captured(
    backend: Backend,
    program: &str,
    faults: Vec<Fault>,
    most: Option<u64>,
) -> (Complete, String) {
    let mut script = Script::new([Step::say("hello")]).key(KEY);
    script.faults = faults;
    let model = ModelServer::start(script).await;
    let house = &mut House::empty(&[("a.txt", "one\n"), ("agent.py", program)]).await;
    let key = house.dir.path().join("key");
    std::fs::write(&key, KEY).unwrap();
    let mut config = house.config();
    config.backend = backend;
    config.endpoints.default = vec![(Harness::Command, "house".to_owned())];
    config.endpoints.by_name.insert(
        "house".to_owned(),
        EndpointSpec {
            url: model.base_url(),
            header: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            dialect: Dialect::OpenAi,
            keys: vec![KeySource::File(key)],
        },
    );
    config.prices = vec![Price {
        model: "m-1".to_owned(),
        input: 1.0,
        cached: None,
        cache_write: None,
        output: 1.0,
    }];
    house.runner(config);
    let mut order = house.author("Do it.");
    order.limits.cost_micro_usd = most;
    let author = order.author.as_mut().unwrap();
    author.agent.harness = Harness::Command;
    author.agent.command = Some("python3 agent.py".to_owned());
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let run = house.server.run(run).unwrap();
    let raw = run.text();
    assert_eq!(canaries().find(raw.as_bytes()), None, "in the log");
    let (found, seen) = canaries().in_files(&house.dir.path().join("data"), &|_| false);
    assert_eq!(found, [], "in what the runner keeps");
    assert!(seen > 3, "{seen} files");
    let said = run
        .records()
        .into_iter()
        .filter_map(|record| match record.entry {
            Entry::Output { text, .. } => text,
            Entry::Status { text } => Some(text),
            _ => None,
        });
    (complete, said.collect::<Vec<_>>().join("\n"))
}

fn failed(complete: &Complete) -> &Failure {
    match &complete.end {
        End::Failed { failure } => failure,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_finds_no_key_and_no_way_out_and_is_counted() {
    looks_around(bubblewrap()).await;
}

/// Under the name by which tests of the other engine are found.
mod container {
    #[tokio::test(flavor = "multi_thread")]
    async fn it_finds_no_key_and_no_way_out_and_is_counted() {
        super::looks_around(super::super::house::container()).await;
    }
}

async fn looks_around(backend: Backend) {
    let look = canaries().program();
    let program = format!("{LOOKS}\n{CALLS}\ncall()\n{look}");
    let (complete, text) = captured(backend, &program, Vec::new(), None).await;
    assert!(
        matches!(complete.end, End::Authored { .. }),
        "{complete:?}\n{text}"
    );
    // Nor in the memory of what answered the model's call inside.
    let look = text.lines().find(|line| line.starts_with("look: "));
    let look = look.unwrap_or_else(|| panic!("{text}"));
    assert!(look.ends_with(" found=[]"), "{look}");
    assert!(
        !look.contains(" planted=0 ") && !look.contains(" processes=0 "),
        "{look}"
    );
    let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((lines("OPEN "), lines("SLOW ")), (0, 0), "{text}");
    assert_eq!(lines("shut "), 10, "{text}");
    assert_eq!(text.matches("proxy 403").count(), 3, "{text}");
    assert!(
        text.contains("model 200") && text.contains("blocked: evil.test:80"),
        "{text}"
    );
    let usage = complete
        .usage
        .expect("usage of a program that reports none");
    assert!(
        usage.output_tokens > 0 && usage.cost_micro_usd > Some(0),
        "{usage:?}"
    );
    let traffic = complete.traffic.expect("what it asked for");
    let blocked: Vec<&str> = traffic.blocked().map(|host| host.host.as_str()).collect();
    assert_eq!(
        blocked,
        ["10.0.0.1:80", "169.254.169.254:80", "evil.test:80"]
    );
    assert_eq!((traffic.models.len(), traffic.models[0].requests), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_parked_until_the_providers_reset() {
    let limited = Fault {
        times: 9,
        status: Some(429),
        headers: [("retry-after".to_owned(), "600".to_owned())].into(),
        ..Fault::default()
    };
    let program = format!("{CALLS}\nwhile True: call(); time.sleep(0.2)");
    let (complete, text) = captured(bubblewrap(), &program, vec![limited], None).await;
    let failure = failed(&complete);
    assert_eq!(failure.reason, Reason::RateLimited, "{text}");
    let at = failure.retry_at.expect("a time").duration_since(NOW);
    assert!((590..=610).contains(&at.as_secs()), "{at:?}");
    assert!(complete.attempt.is_some(), "what it had is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_spends_no_more_than_its_budget() {
    let program = format!("{CALLS}\nwhile True: call(); time.sleep(0.2)");
    let begun = std::time::Instant::now();
    let (complete, text) = captured(bubblewrap(), &program, Vec::new(), Some(1)).await;
    assert_eq!(failed(&complete).reason, Reason::BudgetExhausted, "{text}");
    assert_eq!(text.matches("model 200").count(), 1, "{text}");
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(complete.usage.expect("usage").cost_micro_usd > Some(0));
}
