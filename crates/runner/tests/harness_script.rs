//! The harness `script` with a real shell: blocks, rounds, questions, failures.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start a shell"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nightshift_domain::transcript::{Entry, Stream};
use nightshift_runner::harness::{
    AgentOrder, AgentOutcome, Exit, Harness as _, LineSplitter, Paths, Script, Session,
};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tree")).unwrap();
        let bin = dir.path().join("control/bin");
        fs::create_dir_all(&bin).unwrap();
        // Stands for the real `nightshift ask`: it only says what it was given.
        let ask = bin.join("nightshift");
        fs::write(&ask, "#!/bin/sh\nprintf '%s|' \"$@\" >asked\n").unwrap();
        fs::set_permissions(&ask, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn order(&self, issue: &str) -> AgentOrder {
        let mut order = AgentOrder::new("", issue);
        order.paths = Paths {
            home: self.dir.path().join("it's home"),
            workspace: self.dir.path().join("tree"),
            control: self.dir.path().join("control"),
        };
        order
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join("tree").join(file)).ok()
    }

    fn start(&self, order: &AgentOrder) -> (Vec<Entry>, AgentOutcome) {
        let plan = Script.plan(order).unwrap();
        for file in &plan.files {
            let path = order.paths.home.join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &file.contents).unwrap();
        }
        let done = Command::new(&plan.argv[0])
            .args(&plan.argv[1..])
            .current_dir(&order.paths.workspace)
            .output()
            .unwrap();
        let mut parser = Script.parser(order);
        let mut entries = Vec::new();
        for (stream, bytes) in [(Stream::Stderr, done.stderr), (Stream::Stdout, done.stdout)] {
            let mut splitter = LineSplitter::default();
            let mut lines = splitter.push(&bytes);
            lines.extend(splitter.end());
            for line in lines {
                entries.extend(parser.line(stream, &line));
            }
        }
        let code = done.status.code().unwrap();
        (entries, parser.finish(Exit::Code(code)))
    }
}

fn shown(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| match entry {
            Entry::ToolCall { tool, input, .. } => format!("{tool} {}", input["line"]),
            Entry::ToolResult {
                is_error, output, ..
            } => format!("{is_error} {output}"),
            Entry::Output {
                text: Some(text), ..
            } => format!("> {text}"),
            Entry::Question { text } => format!("? {text}"),
            Entry::Status { text } => format!("- {text}"),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn blocks_run_one_after_the_other_and_the_first_failure_ends_it() {
    let place = Place::new();
    let order = place.order(
        "```sh\nprintf 'no line end'; echo one >a\n```\n```bash\nx=(two); echo \"${x[0]}\"\n```\n```sh\nls /nowhere\necho never >b\n```\n```sh\necho never >c\n```\n",
    );
    let (entries, outcome) = place.start(&order);
    assert_eq!(place.read("a").as_deref(), Some("one\n"));
    assert_eq!((place.read("b"), place.read("c")), (None, None));
    let shown = shown(&entries);
    assert!(shown[0].contains("/nowhere"), "{shown:?}");
    assert_eq!(
        shown[1..],
        [
            "sh 1",
            "> no line end",
            "false exit code 0",
            "bash 4",
            "> two",
            "false exit code 0",
            "sh 7",
            "true exit code 2",
        ]
    );
    assert_eq!(
        outcome.final_text.as_deref(),
        Some("2 of 4 blocks of the issue ran.")
    );
    let failure = outcome.failure.unwrap().to_string();
    assert!(
        failure.contains("the block at line 7 of the issue exited with code 2: ls: "),
        "{failure}"
    );
}

#[test]
fn a_question_ends_the_start_and_the_next_one_goes_on_behind_it() {
    let place = Place::new();
    let mut order = place.order(
        "```sh\necho one >>log\n```\n```ask\nRed or \"$(blue)\"?\n```\n```sh\necho two >>log\n```\n",
    );
    let (entries, outcome) = place.start(&order);
    assert_eq!(outcome.failure, None);
    assert_eq!(place.read("log").as_deref(), Some("one\n"));
    assert_eq!(
        place.read("asked").as_deref(),
        Some("ask|Red or \"$(blue)\"?|")
    );
    assert!(shown(&entries).contains(&"? Red or \"$(blue)\"?\n".to_owned()));

    order.session = outcome.session;
    assert!(matches!(&order.session, Some(Session { id, .. }) if id == "issue.1.0.2"));
    let (_, outcome) = place.start(&order);
    assert_eq!(place.read("log").as_deref(), Some("one\ntwo\n"));
    assert_eq!((outcome.session, outcome.failure), (None, None));
}

#[test]
fn a_round_without_blocks_says_so() {
    let place = Place::new();
    let mut order = place.order("```sh\necho one >a\n```\n");
    order.round = 2;
    order.feedback = Some("Please not.\n\n> ```sh\n> echo quoted >a\n> ```\n".to_owned());
    let (entries, outcome) = place.start(&order);
    assert_eq!((entries.len(), place.read("a")), (0, None));
    assert_eq!(
        outcome.final_text.as_deref(),
        Some(
            "Nothing was run: the issue has no shell block for round 2. Write one, fenced with ```sh."
        )
    );
    order.feedback = Some("Rather:\n```sh\necho two >a\n```\n".to_owned());
    place.start(&order);
    assert_eq!(place.read("a").as_deref(), Some("two\n"));
}
