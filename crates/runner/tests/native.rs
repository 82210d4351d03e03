//! The built-in agent against a scripted model, in both interfaces that it speaks.
//!
//! Without a sandbox: HOME and working tree are temporary directories, and the model is reached
//! directly. What it does in a whole run, in the sandbox and through the broker, is in `loops`.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the program"
)]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nightshift_domain::transcript::{Entry, Stream, Usage};
use nightshift_runner::broker::Dialect;
use nightshift_runner::harness::{
    AgentFailure, AgentOrder, AgentOutcome, Exit, PLACEHOLDER_KEY, Paths, Session, by_name,
};
use nightshift_testkit::model::{Fault, ModelServer, Protocol, Script, Step};
use serde_json::{Value, json};

const BOTH: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

/// One run's place: a HOME and a working tree, and a model.
struct Place {
    dir: tempfile::TempDir,
    server: ModelServer,
    dialect: Dialect,
}

/// What one start came to.
#[derive(Debug)]
struct Seen {
    entries: Vec<Entry>,
    outcome: AgentOutcome,
}

impl Place {
    async fn new(dialect: Dialect, script: Script) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for part in ["home", "tree", "control/bin"] {
            fs::create_dir_all(dir.path().join(part)).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_nightshift-sandbox");
        std::os::unix::fs::symlink(program, dir.path().join("control/bin/nightshift")).unwrap();
        let place = Self {
            dir,
            server: ModelServer::start(script.key(PLACEHOLDER_KEY)).await,
            dialect,
        };
        fs::write(place.tree().join("calc.py"), CALC).unwrap();
        fs::write(place.tree().join("AGENTS.md"), "MARK-OF-THE-TREE").unwrap();
        place
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn calc(&self) -> String {
        fs::read_to_string(self.tree().join("calc.py")).unwrap()
    }

    fn order(&self, prompt: &str) -> AgentOrder {
        let mut order = AgentOrder::new(prompt, prompt);
        order.model = Some("scripted".to_owned());
        order.model_base_url = self.server.base_url();
        order.model_dialect = self.dialect;
        order.limits.model_retries = 1;
        order.paths = Paths {
            home: self.dir.path().join("home"),
            workspace: self.tree(),
            control: self.dir.path().join("control"),
        };
        order
    }

    /// Starts it as the runner would, and waits for its end.
    fn start(&self, order: &AgentOrder) -> Seen {
        tokio::task::block_in_place(|| self.run(order))
    }

    fn run(&self, order: &AgentOrder) -> Seen {
        let harness = by_name("native").unwrap();
        let plan = harness.plan(order).unwrap();
        let mut child = Command::new(&plan.argv[0])
            .args(&plan.argv[1..])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &order.paths.home)
            // A proxy is no way to the model.
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .env("http_proxy", "http://127.0.0.1:1")
            .envs(plan.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&order.paths.workspace)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that ends early closes it.
        stdin.write_all(order.prompt.as_bytes()).ok();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let mut parser = harness.parser(order);
        let mut entries = Vec::new();
        for (stream, text) in [
            (Stream::Stderr, &output.stderr),
            (Stream::Stdout, &output.stdout),
        ] {
            for line in text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
                entries.extend(parser.line(stream, line));
            }
        }
        let outcome = parser.finish(Exit::Code(output.status.code().unwrap()));
        Seen { entries, outcome }
    }

    /// The bodies of all requests.
    fn bodies(&self) -> Vec<Value> {
        let journal = self.server.journal();
        journal.into_iter().map(|exchange| exchange.body).collect()
    }
}

impl Seen {
    fn kinds(&self) -> Vec<&'static str> {
        let kind = |entry: &Entry| match entry {
            Entry::Text { .. } => "text",
            Entry::ToolCall { .. } => "call",
            Entry::ToolResult { is_error, .. } => match is_error {
                true => "error",
                false => "result",
            },
            Entry::Output { .. } => "output",
            Entry::Usage(_) => "usage",
            Entry::Question { .. } => "question",
            Entry::Status { .. } => "status",
        };
        self.entries.iter().map(kind).collect()
    }

    fn results(&self) -> Vec<&str> {
        let results = self.entries.iter().filter_map(|entry| match entry {
            Entry::ToolResult { output, .. } => Some(output.as_str()),
            _ => None,
        });
        results.collect()
    }

    fn notes(&self) -> String {
        let said = |entry: &Entry| match entry {
            Entry::Status { text } => Some(text.clone()),
            _ => None,
        };
        let notes: Vec<_> = self.entries.iter().filter_map(said).collect();
        notes.join("\n")
    }
}

const CALC: &str = "def add(a, b):\n    return a - b\n";

fn edit(text: &str, old: &str, new: &str) -> Step {
    let args = json!({"path": "calc.py", "old": old, "new": new});
    Step::tool(text, "edit", args)
}

fn fix() -> Script {
    Script::new([
        Step::tool("", "read", json!({"path": "calc.py"})),
        edit("I fix the operator.", "a - b", "a + b"),
        Step::shell("Now I look.", "cat calc.py; exit 3"),
        Step::say("add() is fixed."),
    ])
    .when(
        "SENT BACK",
        [
            edit("A name.", "add", "plus"),
            Step::say("It is called plus now."),
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_and_goes_on_in_its_session() {
    for dialect in BOTH {
        let place = Place::new(dialect, fix()).await;
        let long = format!("The test fails. Fix it.\n{}", "x".repeat(300 << 10));
        let first = place.start(&place.order(&long));
        assert_eq!(first.outcome.failure, None, "{dialect:?}: {first:?}");
        assert_eq!(place.calc(), CALC.replace('-', "+"));
        assert_eq!(first.outcome.final_text.as_deref(), Some("add() is fixed."));
        assert_eq!(
            first.kinds(),
            [
                "status", "call", "result", "text", "call", "result", "text", "call", "error",
                "text", "usage"
            ]
        );
        let fixed = CALC.replace('-', "+");
        let ended = format!("{fixed}[exit code 3]");
        assert_eq!(first.results(), [CALC, "calc.py: replaced", &ended]);
        let used = Usage {
            input_tokens: 800,
            cached_input_tokens: 4000,
            output_tokens: 136,
            cost_micro_usd: None,
        };
        assert_eq!(first.outcome.usage, used);
        let before = place.server.journal();
        let wanted = match dialect {
            Dialect::Anthropic => Protocol::Anthropic,
            Dialect::OpenAi | Dialect::Gemini => Protocol::Chat,
        };
        assert!(before.iter().all(|request| request.protocol == wanted));
        assert!(before[0].prompt.contains("Fix it.") && before[0].body["stream"] == true);

        let mut order = place.order("SENT BACK: call it plus.");
        order.session = first.outcome.session.clone();
        let second = place.start(&order);
        assert_eq!(second.outcome.failure, None, "{dialect:?}: {second:?}");
        assert_eq!(place.calc(), "def plus(a, b):\n    return a + b\n");
        assert_eq!(
            second.outcome.usage.output_tokens, 68,
            "of this start alone"
        );
        let session = second.outcome.session.unwrap();
        assert_eq!(session.id, order.session.unwrap().id);
        assert_eq!(session.totals.output_tokens, 204);
        let after = &place.server.journal()[before.len()];
        assert!(after.items > before[before.len() - 1].items);
        assert!(after.body.to_string().contains("add() is fixed."));
        let all = format!("{:?}", place.bodies());
        assert!(!all.contains("MARK-OF-THE-TREE"), "the tree says nothing");
    }
}

fn status(status: u16) -> Fault {
    Fault {
        status: Some(status),
        ..Fault::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_model_does_not_answer_is_told_apart() {
    use AgentFailure::{BudgetExhausted, Crashed, Overloaded, RateLimited, Unauthorized};
    for dialect in BOTH {
        for (fault, requests) in [
            (status(401), 1),
            (status(402), 1),
            (status(404), 1),
            (status(429).header("retry-after", "600"), 1),
            (
                Fault {
                    times: 2,
                    ..status(500)
                },
                2,
            ),
        ] {
            let place = Place::new(dialect, fix().fault(fault.clone())).await;
            let seen = place.start(&place.order("Fix it."));
            let failure = seen.outcome.failure.as_ref().expect("a failure");
            let right = match fault.status {
                Some(401) => matches!(failure, Unauthorized { .. }),
                Some(402) => matches!(failure, BudgetExhausted { .. }),
                Some(429) => {
                    matches!(failure, RateLimited { retry_after: Some(wait), .. } if wait.as_secs() == 600)
                }
                Some(500) => matches!(failure, Overloaded { .. }),
                _ => {
                    matches!(failure, Crashed { detail } if detail.to_string() == "scripted 404 (404)")
                }
            };
            assert!(right, "{dialect:?} {fault:?}: {failure:?}");
            assert_eq!(place.server.journal().len(), requests, "{fault:?}");
            assert!(seen.outcome.session.is_some(), "it can go on later");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_work_soon_is_tried_again() {
    for dialect in BOTH {
        let cut = Fault {
            at: 1,
            cut: true,
            ..Fault::default()
        };
        let place = Place::new(dialect, fix().fault(cut)).await;
        let seen = place.start(&place.order("Fix it."));
        assert_eq!(seen.outcome.failure, None, "{dialect:?}: {seen:?}");
        assert!(
            seen.notes().contains("tried again in 1 s"),
            "{}",
            seen.notes()
        );
        assert_eq!(place.calc(), CALC.replace('-', "+"));
        assert_eq!(place.server.journal().len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_end_that_the_model_did_not_reach_is_a_success() {
    for dialect in BOTH {
        let script = Script::new([Step::default()]).when(
            "answer was empty",
            [Step::say("I have nothing to do here.")],
        );
        // Empty once: it is told, and says something.
        let place = Place::new(dialect, script.clone()).await;
        let told = place.start(&place.order("Fix it."));
        assert_eq!(told.outcome.failure, None, "{told:?}");
        assert_eq!(
            told.outcome.final_text.as_deref(),
            Some("I have nothing to do here.")
        );
        // Empty again and again.
        let mut script = script;
        script.rules.clear();
        let place = Place::new(dialect, script).await;
        let seen = place.start(&place.order("Fix it."));
        let Some(AgentFailure::Crashed { detail }) = &seen.outcome.failure else {
            panic!("{dialect:?}: {seen:?}");
        };
        assert_eq!(
            detail.to_string(),
            "the model's answers were empty, one after the other"
        );
        assert_eq!(place.server.journal().len(), 3);
        // It never comes to an end.
        let place = Place::new(dialect, Script::new([Step::shell("", "true")])).await;
        let mut order = place.order("Fix it.");
        order.limits.max_turns = Some(5);
        let seen = place.start(&order);
        assert!(
            matches!(
                seen.outcome.failure,
                Some(AgentFailure::BudgetExhausted { .. })
            ),
            "{seen:?}"
        );
        assert_eq!(place.server.journal().len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_makes_no_sense_is_answered() {
    for dialect in BOTH {
        let script = Script::new([
            Step::tool("", "edit", json!("{\"path\": \"calc.py\", \"old")),
            Step::tool("", "apply_patch", json!({"patch": "x"})),
            Step::tool("", "read", json!({"path": "/etc/passwd"})),
            edit("", "a * b", "a + b"),
            edit("", "a - b", "a + b"),
            Step::say("Now it is right."),
        ]);
        let place = Place::new(dialect, script).await;
        let seen = place.start(&place.order("Fix it."));
        assert_eq!(seen.outcome.failure, None, "{dialect:?}: {seen:?}");
        let told = [
            "the arguments of this call of edit cannot be read",
            "there is no tool \"apply_patch\"",
            "/etc/passwd is outside of the working tree",
            "calc.py: `old` does not occur in it",
            "calc.py: replaced",
        ];
        let results = seen.results();
        assert_eq!(results.len(), told.len());
        for (result, told) in results.iter().zip(told) {
            assert!(result.starts_with(told), "{dialect:?}: {result}");
        }
        assert_eq!(place.calc(), CALC.replace('-', "+"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_made_where_a_conversation_is_too_long() {
    for dialect in BOTH {
        let print = |n: usize| Step::shell("", &format!("echo part {n}; seq 1 4000"));
        let mut steps: Vec<_> = (0..8).map(print).collect();
        steps.push(Step::say("I read it all."));
        let too_long =
            json!({"error": {"message": "the request exceeds the available context size"}});
        let fault = Fault {
            at: 8,
            body: Some(too_long.clone()),
            ..status(400)
        };
        let place = Place::new(dialect, Script::new(steps.clone()).fault(fault)).await;
        let seen = place.start(&place.order("Read it."));
        assert_eq!(seen.outcome.failure, None, "{dialect:?}: {seen:?}");
        assert!(seen.notes().contains("were taken out"), "{}", seen.notes());
        let bodies = place.bodies();
        let sizes: Vec<_> = bodies.iter().map(|body| body.to_string().len()).collect();
        assert_eq!(sizes.len(), 10);
        assert!(sizes[9] * 3 < sizes[8] * 2, "{sizes:?}");
        let last = bodies[9].to_string();
        assert!(last.contains("Read it.") && last.contains("part 7"));

        // Where nothing helps, it ends and says why.
        let fault = Fault {
            times: u32::MAX,
            body: Some(too_long),
            ..status(400)
        };
        let place = Place::new(dialect, Script::new(steps).fault(fault)).await;
        let seen = place.start(&place.order("Read it."));
        let failure = seen.outcome.failure.expect("a failure").to_string();
        assert!(failure.contains("does not fit"), "{failure}");
        assert_eq!(place.server.journal().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_there_is_lost() {
    let place = Place::new(Dialect::OpenAi, fix()).await;
    let mut order = place.order("Go on.");
    order.session = Some(Session {
        id: "7d2b6e52-5b0e-4f43-8c38-6cc4b3a7d001".to_owned(),
        totals: Usage::default(),
    });
    let seen = place.start(&order);
    assert!(
        matches!(seen.outcome.failure, Some(AgentFailure::SessionLost { .. })),
        "{seen:?}"
    );
    assert_eq!(seen.outcome.session, None);
    assert!(place.server.journal().is_empty());
}
