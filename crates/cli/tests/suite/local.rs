//! `up`: server and runner on one machine, what agents say from inside a run, and what becomes of
//! both when they die.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kit::Person;

/// `nightshift up`, ended when dropped.
struct Up {
    child: Child,
    _out: BufReader<ChildStdout>,
}

impl Up {
    fn start(person: &Person, port: &str) -> Self {
        let mut child = person
            .command(["up", "--slots", "2", "--port", port])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        assert!(
            line.starts_with("nightshift is up at http://127.0.0.1:"),
            "{line}"
        );
        Self { child, _out: out }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("an id"))
    }

    /// The runner, once it is there and is not `but`.
    fn runner(&self, but: Option<Pid>) -> Pid {
        let threads = format!("/proc/{}/task", self.id());
        within("runner", || {
            let threads = fs::read_dir(&threads).expect("threads").flatten();
            let children: String = threads
                .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
                .collect();
            let ids = children.split_whitespace().filter_map(|id| id.parse().ok());
            ids.map(Pid::from_raw).find(|id| Some(*id) != but)
        })
    }

    fn end(mut self) -> Option<i32> {
        kill(self.id(), Signal::SIGTERM).expect("told");
        self.child.wait().expect("an end").code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Looks again until there is something, for at most a minute.
#[track_caller]
fn within<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn gone(id: Pid) {
    within("end of the process", || {
        kill(id, None).is_err().then_some(())
    });
}

/// Files an issue whose agent carries out `block`.
fn order(person: &Person, title: &str, block: &str) {
    let body = format!("Do it.\n\n```sh\n{block}\n```\n");
    person
        .run(["issue", "new", "--ready", "--title", title, "--body", &body])
        .ok();
}

#[test]
fn e2e_up_works_again_after_every_death() {
    let person = Person::alone();
    let up = Up::start(&person, "0");
    let settings = person.path(".config/nightshift/client.toml");
    let first = fs::read_to_string(&settings).expect("settings");
    let port = first
        .lines()
        .find_map(|line| line.strip_prefix("server = \"http://127.0.0.1:"))
        .expect("a server")
        .trim_end_matches('"')
        .to_owned();
    person.write(
        "p/.nightshift/config.toml",
        "[[check]]\nname = \"test\"\nrun = \"test -f a\"\n",
    );
    person.write("p/a", "x");
    person.repository("p");
    person.run(["project", "add", "p"]).ok();

    // An agent speaks with the program that it finds inside, and with nothing else.
    order(
        &person,
        "speak",
        "env -i NIGHTSHIFT_RUN=$NIGHTSHIFT_RUN NIGHTSHIFT_RUN_TOKEN=$NIGHTSHIFT_RUN_TOKEN \
         /nightshift/bin/nightshift progress half way\n\
         /nightshift/bin/nightshift ask 'left or right?'",
    );
    let asked = person.until(&["issue", "show", "1"], |issue| {
        issue["phase"] == "needs-input"
    });
    assert_eq!(asked["question"], "left or right?");
    let runs = person.run(["run", "list", "1", "--json"]).json();
    assert_eq!(runs["items"][0]["progress"], "half way");
    let log = person.run(["run", "log", "1"]).ok();
    assert!(
        log.contains("asked; stop now, you will be resumed with the answer"),
        "{log}"
    );

    // The runner dies: another one is there, and works.
    let runner = up.runner(None);
    kill(runner, Signal::SIGKILL).expect("killed");
    let second = up.runner(Some(runner));
    // What it makes is more than the change: a guideline, by the tools inside.
    let tools = r#"{
say() { printf '%s\n' "$1"; }
say '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"sh","version":"1"}}}'
say '{"jsonrpc":"2.0","method":"notifications/initialized"}'
say '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"run_checks","arguments":{}}}'
say '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"propose_guideline","arguments":{"text":"Say y."}}}'
sleep 2
} | /nightshift/bin/nightshift inside mcp /nightshift/inside.json
echo y > b"#;
    order(&person, "after the runner", tools);
    person.until(&["pr", "list"], |page| {
        page["items"][0]["verdict"] == "green"
    });
    let shown = person.run(["pr", "show", "2"]).ok();
    assert!(
        shown.contains("verdict  green") && shown.contains("added  b  +1  -0"),
        "{shown}"
    );
    assert!(
        shown.contains("proposed guidelines") && shown.contains("Say y."),
        "{shown}"
    );
    let runs = person.run(["run", "list", "2", "--json"]).json();
    let runs = runs["items"].as_array().expect("runs");
    let author = runs.iter().find(|run| run["kind"] == "author");
    let author = author.and_then(|run| run["id"].as_str()).expect("an id");
    let log = person.run(["run", "log", author, "--json"]).ok();
    assert!(log.contains("all 1 passed"), "{log}");
    let diff = person.run(["pr", "diff", "2"]).ok();
    assert!(diff.contains("+++ b/b\n"), "{diff}");
    let followed = person.run(["run", "log", "2", "-f", "--json"]).ok();
    assert!(
        followed.lines().all(|line| line.starts_with('{')),
        "{followed}"
    );
    person
        .run(["pr", "approve", "2", "--head", "0000000"])
        .fails(6);
    person.run(["pr", "approve", "2"]).ok();
    person.until(&["issue", "show", "2"], |issue| issue["phase"] == "done");
    person.run(["pr", "approve", "2"]).fails(1);

    // Told to stop, it takes the runner with it.
    assert_eq!(up.end(), Some(0));
    gone(second);
    let up = Up::start(&person, &port);
    let again = fs::read_to_string(&settings).expect("settings");
    assert_eq!(first, again, "the same address and token");

    // Killed, it leaves no runner behind, and its folder is free.
    let third = up.runner(None);
    drop(up);
    gone(third);
    let up = Up::start(&person, &port);
    order(&person, "after the server", "echo z > c");
    person.until(&["issue", "show", "3"], |issue| {
        issue["phase"] == "in-review"
    });
    let issues = person.run(["issue", "list", "--all", "--json"]).json();
    assert_eq!(issues["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(up.end(), Some(0));
}

/// Under the name by which tests of container engines are found.
mod container {
    use super::Person;

    #[test]
    fn the_doctor_names_the_engine_that_makes_the_walls() {
        let person = Person::alone();
        let doctor = |socket: &std::path::Path| {
            person.write(
                ".config/nightshift/runner.toml",
                &format!("[sandbox]\nengine = \"container\"\nsocket = {socket:?}\n"),
            );
            let output = person.command(["doctor"]).output().expect("it runs");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let socket = nightshift_testkit::containers::socket();
        let good = doctor(&socket);
        assert!(
            good.contains("its walls hold: ")
                && good.contains(&format!(" at {}", socket.display())),
            "{good}"
        );
        assert!(
            good.contains("control groups, by the container engine"),
            "{good}"
        );
        let missing = doctor(&person.path("engine.sock"));
        assert!(
            missing.contains("engine.sock: there is no socket") && missing.contains("[sandbox]"),
            "{missing}"
        );
    }
}
