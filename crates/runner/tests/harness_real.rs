//! The real Claude Code, Codex and Gemini CLI against a scripted model: what they do is what the
//! harnesses say they do. The other programs: `cargo xtask agents`.
//!
//! Without a sandbox: HOME and working tree are temporary directories, and the programs reach
//! the model directly. Everything of HOME but the harness's session directories is thrown away
//! between two starts, as the runner does. A missing program fails the tests.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the real programs, where the environment says they are"
)]

use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nightshift_domain::transcript::{Entry, Stream, Usage};
use nightshift_runner::harness::{
    AgentFailure, AgentOrder, AgentOutcome, Exit, LineSplitter, PLACEHOLDER_KEY, Paths, Programs,
    Session, Stdin, by_name,
};
use nightshift_testkit::model::{Exchange, Fault, ModelServer, Script, Step};

/// One run's place: a HOME and a working tree.
struct Place {
    dir: tempfile::TempDir,
    harness: &'static str,
}

/// What one start came to.
struct Seen {
    entries: Vec<Entry>,
    outcome: AgentOutcome,
}

impl Place {
    fn new(harness: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir, harness };
        let tree = place.tree();
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("calc.py"), "def add(a, b):\n    return a - b\n").unwrap();
        place
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn calc(&self) -> String {
        fs::read_to_string(self.tree().join("calc.py")).unwrap()
    }

    fn order(&self, prompt: &str, base_url: &str) -> AgentOrder {
        let mut order = AgentOrder::new(prompt, prompt);
        order.programs = programs();
        order.model = (self.harness != "claude-code").then(|| "scripted".to_owned());
        order.model_base_url = base_url.to_owned();
        order.limits.model_retries = 1;
        order.paths = Paths {
            home: self.dir.path().join("home"),
            workspace: self.tree(),
            control: self.dir.path().join("control"),
        };
        order
    }

    /// Starts the program as the runner would, and waits for its end.
    fn start(&self, order: &AgentOrder) -> Seen {
        let harness = by_name(self.harness).unwrap();
        let plan = harness.plan(order).unwrap();
        let home = &order.paths.home;
        self.keep_only(home, &plan.session_dirs);
        for file in &plan.files {
            let path = home.join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &file.contents).unwrap();
        }
        let mut child = Command::new(&plan.argv[0])
            .args(&plan.argv[1..])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", home)
            .envs(plan.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&order.paths.workspace)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let prompt = order.prompt.clone();
        let feed = thread::spawn(move || {
            if plan.stdin == Stdin::Prompt {
                // A program that ends early closes it.
                drop(stdin.write_all(prompt.as_bytes()));
            }
        });
        let stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || lines(stderr));
        let output = lines(child.stdout.take().unwrap());
        let errors = errors.join().unwrap();
        feed.join().unwrap();
        let code = child.wait().unwrap().code().unwrap();
        let mut parser = harness.parser(order);
        let mut entries = Vec::new();
        for (stream, lines) in [(Stream::Stderr, errors), (Stream::Stdout, output)] {
            for line in lines {
                entries.extend(parser.line(stream, &line));
            }
        }
        let outcome = parser.finish(Exit::Code(code));
        Seen { entries, outcome }
    }

    /// What the runner keeps of a HOME.
    fn keep_only(&self, home: &Path, session_dirs: &[PathBuf]) {
        let kept = self.dir.path().join("kept");
        drop(fs::remove_dir_all(&kept));
        for dir in session_dirs {
            if home.join(dir).exists() {
                fs::create_dir_all(kept.join(dir).parent().unwrap()).unwrap();
                fs::rename(home.join(dir), kept.join(dir)).unwrap();
            }
        }
        drop(fs::remove_dir_all(home));
        fs::create_dir_all(home).unwrap();
        for dir in session_dirs {
            if kept.join(dir).exists() {
                fs::create_dir_all(home.join(dir).parent().unwrap()).unwrap();
                fs::rename(kept.join(dir), home.join(dir)).unwrap();
            }
        }
    }
}

fn lines(mut from: impl Read) -> Vec<Vec<u8>> {
    let mut splitter = LineSplitter::default();
    let mut lines = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer).unwrap() {
            0 => break,
            read => lines.extend(splitter.push(&buffer[..read])),
        }
    }
    lines.extend(splitter.end());
    lines
}

/// The programs `scripts/agents/install.sh` installed, without the sandbox's paths.
fn programs() -> Programs {
    let dir = std::env::var_os("NIGHTSHIFT_AGENTS_DIR").map_or_else(
        || {
            let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
                || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"),
                PathBuf::from,
            );
            cache.join("nightshift/agents")
        },
        PathBuf::from,
    );
    let programs = Programs::find(Some(&dir), None).on_host();
    assert!(
        CHEAP.iter().all(|harness| programs.of(harness).is_some()),
        "the agent programs are not in {}: run scripts/agents/install.sh, or set NIGHTSHIFT_AGENTS_DIR",
        dir.display()
    );
    programs
}

fn main_requests(server: &ModelServer) -> Vec<Exchange> {
    server.journal().into_iter().filter(|e| e.main).collect()
}

fn fix() -> Script {
    Script::new([
        Step::shell("I fix the operator.", "sed -i 's/a - b/a + b/' calc.py"),
        Step::shell("Now I look.", "cat calc.py; exit 3"),
        Step::say("add() is fixed."),
    ])
    .when(
        "SENT BACK",
        [
            Step::shell("A name.", "sed -i 's/add/plus/' calc.py"),
            Step::say("It is called plus now."),
        ],
    )
}

const FIX_USAGE: Usage = Usage {
    input_tokens: 600,
    cached_input_tokens: 3000,
    output_tokens: 102,
    cost_micro_usd: None,
};

const BOTH: [&str; 2] = ["claude-code", "codex"];

/// Those that every run of the tests drives.
const CHEAP: [&str; 3] = ["claude-code", "codex", "gemini"];

fn works_and_resumes(harness: &'static str, server: &ModelServer) {
    let place = Place::new(harness);
    let long = format!("The test fails. Fix it.\n{}", "x".repeat(300 << 10));
    let first = place.start(&place.order(&long, &server.base_url()));
    assert_eq!(first.outcome.failure, None, "{:?}", first.entries);
    assert_eq!(place.calc(), "def add(a, b):\n    return a + b\n");
    assert_eq!(first.outcome.final_text.as_deref(), Some("add() is fixed."));
    let tokens_only = |usage: Usage| Usage {
        cost_micro_usd: None,
        ..usage
    };
    assert_eq!(tokens_only(first.outcome.usage), FIX_USAGE);
    let kinds: Vec<&str> = first.entries.iter().map(kind).collect();
    let told: Vec<&str> = kinds
        .iter()
        .copied()
        .filter(|kind| *kind != "output" && *kind != "status")
        .collect();
    // Gemini CLI does not tell how a command ended.
    let exit_3 = match harness {
        "gemini" => "tool_result",
        _ => "tool_error",
    };
    assert_eq!(
        told,
        [
            "text",
            "tool_call",
            "tool_result",
            "text",
            "tool_call",
            exit_3,
            "text",
            "usage"
        ]
    );
    let before = main_requests(server);
    assert!(before[0].prompt.contains("Fix it."));

    let mut order = place.order("SENT BACK: call it plus.", &server.base_url());
    order.session = first.outcome.session.clone();
    let second = place.start(&order);
    assert_eq!(second.outcome.failure, None, "{:?}", second.entries);
    assert_eq!(place.calc(), "def plus(a, b):\n    return a + b\n");
    assert_eq!(
        tokens_only(second.outcome.usage),
        Usage {
            input_tokens: 400,
            cached_input_tokens: 2000,
            output_tokens: 68,
            cost_micro_usd: None,
        },
        "usage is of this start alone"
    );
    if harness == "claude-code" {
        let cost = |seen: &Seen| seen.outcome.usage.cost_micro_usd.unwrap();
        assert!(cost(&second) < cost(&first), "cost is of this start alone");
    }
    let session = second.outcome.session.unwrap();
    assert_eq!(session.id, order.session.unwrap().id);
    assert_eq!(session.totals.input_tokens, 1000);
    let after = &main_requests(server)[before.len()];
    assert!(
        after.items > before[before.len() - 1].items,
        "the conversation goes on: {} items",
        after.items
    );
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Text { .. } => "text",
        Entry::ToolCall { .. } => "tool_call",
        Entry::ToolResult {
            is_error: false, ..
        } => "tool_result",
        Entry::ToolResult { is_error: true, .. } => "tool_error",
        Entry::Output { .. } => "output",
        Entry::Usage(_) => "usage",
        Entry::Question { .. } => "question",
        Entry::Status { .. } => "status",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_works_and_resumes() {
    let server = ModelServer::start(fix().key(PLACEHOLDER_KEY)).await;
    tokio::task::block_in_place(|| works_and_resumes("claude-code", &server));
    let git = |e: &Exchange| e.body.to_string().contains("Co-Authored-By");
    assert!(
        !server.journal().iter().any(git),
        "no attribution is asked for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_works_and_resumes() {
    let server = ModelServer::start(fix().key(PLACEHOLDER_KEY)).await;
    tokio::task::block_in_place(|| works_and_resumes("codex", &server));
}

#[tokio::test(flavor = "multi_thread")]
async fn gemini_works_and_resumes() {
    let server = ModelServer::start(fix().key(PLACEHOLDER_KEY)).await;
    tokio::task::block_in_place(|| works_and_resumes("gemini", &server));
}

/// Runs both programs against a model that fails like this.
async fn failing(fault: Fault) -> Vec<(&'static str, AgentOutcome)> {
    let mut outcomes = Vec::new();
    for harness in BOTH {
        let server =
            ModelServer::start(Script::new([Step::say("done")]).fault(fault.clone())).await;
        let place = Place::new(harness);
        let order = place.order("Fix it.", &server.base_url());
        let seen = tokio::task::block_in_place(|| place.start(&order));
        outcomes.push((harness, seen.outcome));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_rate_limit_is_told() {
    for (harness, outcome) in failing(Fault::always(429).header("retry-after", "1")).await {
        assert!(
            matches!(outcome.failure, Some(AgentFailure::RateLimited { .. })),
            "{harness}: {outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_is_told() {
    for (harness, outcome) in failing(Fault::always(401)).await {
        assert!(
            matches!(outcome.failure, Some(AgentFailure::Unauthorized { .. })),
            "{harness}: {outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_provider_is_told() {
    for status in [500, 529] {
        for (harness, outcome) in failing(Fault::always(status)).await {
            assert!(
                matches!(outcome.failure, Some(AgentFailure::Overloaded { .. })),
                "{harness}: {outcome:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_always_break_off_are_a_provider_that_does_not_answer() {
    let cut = Fault {
        cut: true,
        times: u32::MAX,
        ..Fault::default()
    };
    for (harness, outcome) in failing(cut).await {
        assert!(
            matches!(outcome.failure, Some(AgentFailure::Overloaded { .. })),
            "{harness}: {outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_out_of_reach_is_told() {
    let base_url = ModelServer::start(Script::default()).await.base_url();
    for harness in BOTH {
        let place = Place::new(harness);
        let order = place.order("Fix it.", &base_url);
        let seen = tokio::task::block_in_place(|| place.start(&order));
        assert!(
            matches!(seen.outcome.failure, Some(AgentFailure::Overloaded { .. })),
            "{harness}: {:?} {:?}",
            seen.outcome,
            seen.entries
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_is_told() {
    for harness in BOTH {
        let server = ModelServer::start(fix()).await;
        let place = Place::new(harness);
        let mut order = place.order("Go on.", &server.base_url());
        order.session = Some(Session {
            id: "7d2b6e52-5b0e-4f43-8c38-6cc4b3a7d001".to_owned(),
            totals: Usage::default(),
        });
        let seen = tokio::task::block_in_place(|| place.start(&order));
        assert!(
            matches!(seen.outcome.failure, Some(AgentFailure::SessionLost { .. })),
            "{harness}: {:?}",
            seen.outcome
        );
        assert_eq!(seen.outcome.session, None);
        assert!(main_requests(&server).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_of_turns_or_money_is_told() {
    let server = ModelServer::start(fix()).await;
    let place = Place::new("claude-code");
    let mut turns = place.order("Fix it.", &server.base_url());
    turns.limits.max_turns = Some(1);
    let mut money = place.order("Fix it.", &server.base_url());
    money.limits.max_cost_micro_usd = Some(100);
    for order in [turns, money] {
        let outcome = tokio::task::block_in_place(|| place.start(&order)).outcome;
        assert!(
            matches!(outcome.failure, Some(AgentFailure::BudgetExhausted { .. })),
            "{outcome:?}"
        );
        assert!(outcome.usage.output_tokens > 0, "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_of_money_is_for_one_start() {
    let server = ModelServer::start(fix()).await;
    let place = Place::new("claude-code");
    let mut order = place.order("Fix it.", &server.base_url());
    order.limits.max_cost_micro_usd = Some(6000);
    let first = tokio::task::block_in_place(|| place.start(&order)).outcome;
    assert_eq!(
        (first.failure, first.usage.cost_micro_usd),
        (None, Some(5040))
    );
    order.session = first.session;
    let second = tokio::task::block_in_place(|| place.start(&order)).outcome;
    assert_eq!(
        (second.failure, second.usage.cost_micro_usd),
        (None, Some(5040))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_configures_nothing() {
    for harness in CHEAP {
        let server = ModelServer::start(fix()).await;
        let place = Place::new(harness);
        let tree = place.tree();
        let touched = place.dir.path().join("touched");
        let touch = format!("touch {}", touched.display());
        for dir in [".claude", ".codex", ".gemini"] {
            fs::create_dir_all(tree.join(dir)).unwrap();
        }
        let hooks = format!(
            r#"{{"SessionStart":[{{"hooks":[{{"type":"command","command":"{touch}"}}]}}]}}"#
        );
        let away = "http://127.0.0.1:9";
        for (path, text) in [
            (
                ".claude/settings.json",
                format!(
                    r#"{{"env":{{"ANTHROPIC_BASE_URL":"{away}"}},"apiKeyHelper":"{touch}","hooks":{hooks}}}"#
                ),
            ),
            (
                ".claude/settings.local.json",
                format!(r#"{{"hooks":{hooks}}}"#),
            ),
            (
                ".mcp.json",
                format!(r#"{{"mcpServers":{{"x":{{"command":"sh","args":["-c","{touch}"]}}}}}}"#),
            ),
            (".codex/hooks.json", format!(r#"{{"hooks":{hooks}}}"#)),
            (
                ".gemini/settings.json",
                format!(
                    r#"{{"security":{{"auth":{{"selectedType":"vertex-ai"}}}},"hooksConfig":{{"enabled":true}},"hooks":{hooks},"tools":{{"discoveryCommand":"{touch}"}},"mcpServers":{{"x":{{"command":"sh","args":["-c","{touch}"]}}}}}}"#
                ),
            ),
            (
                ".env",
                format!(
                    "GOOGLE_GEMINI_BASE_URL={away}\nANTHROPIC_BASE_URL={away}\nGEMINI_API_KEY=x\n"
                ),
            ),
            (
                ".gemini/.env",
                format!("GEMINI_SANDBOX=docker\nGOOGLE_GEMINI_BASE_URL={away}\n"),
            ),
            (
                ".codex/config.toml",
                format!(
                    "model_provider = \"away\"\n[model_providers.away]\nname = \"away\"\nbase_url = \"{away}\"\n[mcp_servers.x]\ncommand = \"sh\"\nargs = [\"-c\", \"{touch}\"]\n"
                ),
            ),
        ] {
            fs::write(tree.join(path), text).unwrap();
        }
        let order = place.order("Fix it.", &server.base_url());
        let seen = tokio::task::block_in_place(|| place.start(&order));
        assert_eq!(seen.outcome.failure, None, "{harness}: {:?}", seen.entries);
        assert!(!touched.exists(), "{harness} executed what the tree says");
        assert_eq!(main_requests(&server).len(), 3, "{harness}");
    }
}
