//! The table of real agent programs: each works on a repository through the real runner, broker and
//! sandbox, against a scripted model. Printed by `cargo xtask agents`; not a part of every test run, since
//! the programs take 1.6 GB and the table some minutes.
//!
//! A cell says `yes` where what stands above it was seen, `no` with the reason below the table where it was
//! not, and a dash where it was not tried. `anew` is a send-back that was worked in a new session, with the
//! whole order, by a program that does not find its sessions again. Arguments name the rows to try, by
//! their names or their harnesses; all, if there is none. Ends with 1 if a cell says `no`.
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::print_stdout, reason = "the table is what was asked for")]
#![expect(
    dead_code,
    reason = "the kit of the runner's loops has more than is used here"
)]

#[path = "../loops/house.rs"]
mod house;
mod program;
#[path = "../loops/server.rs"]
mod server;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use nightshift_api::runner::{Complete, End, SessionState};
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_testkit::model::{Exchange, Fault, ModelServer, Script, Step};
use serde_json::{Value, json};

use self::house::check;
use self::program::{Tried, furnished, programs};

const RESUMES: &str = "resumes after a send-back";
const COLUMNS: [&str; 8] = [
    "edits, tests pass",
    RESUMES,
    "usage counted",
    "budget stops it",
    "429 parks and resumes",
    "stopped, leaves nothing",
    "tree configures nothing",
    "MCP tools used",
];

/// The code that is wrong, and its test.
const CALC: &str = "def add(a, b):\n    return a - b\n";
const TEST: &str = "import unittest\nfrom calc import add\n\n\nclass Sum(unittest.TestCase):\n    def test_sum(self):\n        self.assertEqual(add(2, 3), 5)\n";

/// Qwen Code refuses `sed -i` on a file that it has not read.
const FIX: &str = "sed 's/a - b/a + b/' calc.py >fixed && cat fixed >calc.py && rm fixed";

type Seen = Result<(), String>;

#[tokio::main(flavor = "multi_thread")]
async fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--list") {
        // A test runner asks for tests; the table is none of its.
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_row = |word: &String| Tried::ALL.iter().any(|tried| is_named(tried, word));
    if let Some(word) = wanted.iter().find(|word| !is_row(word)) {
        let names: Vec<_> = Tried::ALL.iter().map(|tried| tried.name).collect();
        println!("there is no row {word:?}; there are: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    // What fails is a cell; its words stand below the table.
    std::panic::set_hook(Box::new(|_| {}));
    let head = COLUMNS.map(|column| format!(" {column} |")).concat();
    println!("| harness | version |{head}");
    println!("|---|---|{}", "---|".repeat(COLUMNS.len()));
    let mut reasons = Vec::new();
    for tried in Tried::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|word| is_named(tried, word)) {
            continue;
        }
        let begun = Instant::now();
        let mut cells = String::new();
        for (column, cell) in COLUMNS.iter().zip(row(tried).await) {
            let word = match cell {
                None => "–",
                Some(Ok(())) if *column == RESUMES && !tried.finds_sessions => "anew",
                Some(Ok(())) => "yes",
                Some(Err(why)) => {
                    reasons.push(format!("{}, {column}: {why}", tried.name));
                    "no"
                }
            };
            cells.push_str(&format!(" {word} |"));
        }
        println!("| {} | {} |{cells}", tried.name, version(tried));
        eprintln_took(tried.name, begun.elapsed());
    }
    for reason in &reasons {
        println!("\n{reason}");
    }
    match reasons.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// By its whole name, or by its harness: `acp` is every row of that.
fn is_named(tried: &Tried, word: &str) -> bool {
    let rest = tried.name.strip_prefix(word);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
}

#[expect(clippy::print_stderr, reason = "says how far it is")]
fn eprintln_took(name: &str, took: Duration) {
    eprintln!("{name}: {:.0} s", took.as_secs_f64());
}

fn version(tried: &Tried) -> String {
    let known = programs()
        .of(tried.program)
        .and_then(|program| program.version);
    known.map_or_else(|| "unknown".to_owned(), |version| version.to_string())
}

/// The cells of one program, each in a house of its own.
async fn row(tried: &'static Tried) -> [Option<Seen>; 8] {
    let (works, usage, resumes) = match caught(works(tried)).await {
        Ok(Ok((usage, resumes))) => (Ok(()), usage, resumes),
        Ok(Err(why)) | Err(why) => {
            let not = || Err("it did not come so far".to_owned());
            (Err(why), not(), not())
        }
    };
    let flat = |seen: Result<Seen, String>| seen.unwrap_or_else(Err);
    [
        Some(works),
        Some(resumes),
        Some(usage),
        Some(flat(caught(budget(tried)).await)),
        Some(flat(caught(limited(tried)).await)),
        Some(flat(caught(stopped(tried)).await)),
        match tried.configuration {
            true => Some(flat(caught(configured(tried)).await)),
            false => None,
        },
        match tried.takes_tools() {
            true => Some(flat(caught(tools(tried)).await)),
            false => None,
        },
    ]
}

/// What came of it, or the words it panicked with.
async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let bounded = tokio::time::timeout(Duration::from_secs(300), future);
    match AssertUnwindSafe(bounded).catch_unwind().await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(_)) => Err("five minutes were not enough".to_owned()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| {
                panic
                    .downcast_ref::<&str>()
                    .map(|words| (*words).to_owned())
            })
            .unwrap_or_else(|| "it panicked".to_owned())),
    }
}

fn files() -> [(&'static str, &'static str); 2] {
    [("calc.py", CALC), ("test_calc.py", TEST)]
}

fn script() -> Script {
    Script::new([
        Step::shell("I fix the operator.", FIX),
        Step::shell("I run the test.", "python3 -B -m unittest -q test_calc"),
        Step::say("add() is fixed."),
    ])
    .when(
        "SENT BACK",
        [
            Step::shell(
                "A comment.",
                "{ echo '# sums'; cat calc.py; } >new && cat new >calc.py && rm new",
            ),
            Step::say("It has a comment."),
        ],
    )
}

fn ensure(seen: bool, why: impl FnOnce() -> String) -> Seen {
    if seen { Ok(()) } else { Err(why()) }
}

fn main_requests(model: &ModelServer) -> Vec<Exchange> {
    let all = model.journal().into_iter();
    all.filter(|exchange| exchange.main && exchange.status == 200)
        .collect()
}

fn brought(complete: &Complete) -> Result<(ObjectId, Option<SessionState>), String> {
    match (&complete.end, &complete.attempt) {
        (End::Authored { .. }, Some(attempt)) => Ok((attempt.clone(), complete.session.clone())),
        _ => Err(format!("nothing was brought: {:?}", complete.end)),
    }
}

/// The first three columns: work, then a send-back into the same session.
async fn works(tried: &'static Tried) -> Result<(Seen, Seen), String> {
    let model = ModelServer::start(script()).await;
    let mut house = furnished(tried, &files(), &model).await;
    let mut order = house.author("The test fails. Fix it.");
    tried.drives(&mut order);
    order.checks = vec![check("test", "python3 -B -m unittest -q test_calc")];
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let (attempt, session) = brought(&complete).map_err(|why| {
        let log = house
            .server
            .run(run)
            .map(|run| run.text())
            .unwrap_or_default();
        format!("{why}; its log ends: {}", tail(&log))
    })?;
    let End::Authored { self_checks, .. } = &complete.end else {
        return Err("no result".to_owned());
    };
    ensure(self_checks.iter().all(|check| check.passed()), || {
        "the test is red".to_owned()
    })?;
    let changed = house.git(&["diff", "--name-only", house.base.as_str(), attempt.as_str()]);
    ensure(changed == "calc.py", || format!("it changed {changed}"))?;
    let first = main_requests(&model);
    let usage = complete.usage.unwrap_or_default();
    let sides = model
        .journal()
        .iter()
        .filter(|exchange| !exchange.main && exchange.status == 200)
        .count();
    let least = 34 * u64::try_from(first.len()).unwrap();
    let most = least + 34 * u64::try_from(sides).unwrap();
    let counted = ensure((least..=most).contains(&usage.output_tokens), || {
        format!("{} output tokens of {least}", usage.output_tokens)
    });

    let mut order = house.author(match tried.finds_sessions {
        true => "The test fails. Fix it.",
        false => "The test fails. Fix it.\nSENT BACK: say what it does.",
    });
    order.start = attempt;
    order.round = 2;
    let author = tried.drives(&mut order);
    author.session.clone_from(&session);
    author.resumed_prompt = "SENT BACK: say what it does.".to_owned();
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let resumes = brought(&complete).and_then(|(attempt, resumed)| {
        let calc = house.git(&["show", &format!("{attempt}:calc.py")]);
        ensure(calc.starts_with("# sums"), || format!("it made {calc:?}"))?;
        if !tried.finds_sessions {
            return Ok(());
        }
        let second = &main_requests(&model)[first.len()..];
        let last = first.last().map_or(0, |exchange| exchange.items);
        ensure(
            second.first().is_some_and(|exchange| exchange.items > last),
            || "the conversation began anew".to_owned(),
        )?;
        let same = |session: Option<SessionState>| session.map(|session| session.id);
        ensure(same(resumed) == same(session), || {
            "the session is another".to_owned()
        })
    });
    Ok((counted, resumes))
}

/// The broker refuses the call that the budget has no room for.
async fn budget(tried: &'static Tried) -> Seen {
    let model = ModelServer::start(script()).await;
    let mut house = furnished(tried, &files(), &model).await;
    let mut order = house.author("The test fails. Fix it.");
    tried.drives(&mut order);
    order.limits.cost_micro_usd = Some(300);
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let End::Failed { failure } = &complete.end else {
        return Err(format!("it went on: {:?}", complete.end));
    };
    ensure(failure.reason == Reason::BudgetExhausted, || {
        format!("{failure:?}")
    })?;
    ensure(main_requests(&model).len() < 3, || {
        "every call was made".to_owned()
    })
}

/// The provider says to come back after longer than the broker waits: the run ends with that time, and the
/// next one, then, does the work.
async fn limited(tried: &'static Tried) -> Seen {
    let limit = Fault {
        times: 1,
        ..Fault::always(429).header("retry-after", "25")
    };
    let model = ModelServer::start(script().fault(limit)).await;
    let mut house = furnished(tried, &files(), &model).await;
    let begun = Instant::now();
    let mut order = house.author("The test fails. Fix it.");
    tried.drives(&mut order);
    let run = house.give(&order);
    let complete = house.server.ended(run).await;
    let End::Failed { failure } = &complete.end else {
        return Err(format!("it did not park: {:?}", complete.end));
    };
    ensure(
        failure.reason == Reason::RateLimited && failure.retry_at.is_some(),
        || format!("{failure:?}"),
    )?;
    let parked = begun.elapsed();
    ensure(parked < Duration::from_secs(60), || "it waited".to_owned())?;
    // The account stays left out for as long as the provider said.
    tokio::time::sleep(Duration::from_secs(26).saturating_sub(parked)).await;
    let mut order = house.author("The test fails. Fix it.");
    let author = tried.drives(&mut order);
    author.session = complete.session;
    author.resumed_prompt = "The test fails. Go on.".to_owned();
    let run = house.give(&order);
    brought(&house.server.ended(run).await).map(|_| ())
}

/// Cancelled in the middle of a tool that leaves children behind in sessions of their own.
async fn stopped(tried: &'static Tried) -> Seen {
    let mark = format!("98{:05}", std::process::id() % 100_000);
    let command = format!("setsid sleep {mark} & setsid setsid sleep {mark} & sleep {mark}");
    let model = ModelServer::start(Script::new([Step::shell("I wait.", &command)])).await;
    let mut house = furnished(tried, &files(), &model).await;
    let mut order = house.author("Wait.");
    tried.drives(&mut order);
    let run = house.give(&order);
    let begun = Instant::now();
    while alive(&mark) < 3 {
        if begun.elapsed() > Duration::from_secs(90) {
            return Err("its tool did not start".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    house.server.cancel(run);
    let complete = house.server.ended(run).await;
    ensure(complete.end == End::Stopped, || {
        format!("{:?}", complete.end)
    })?;
    let left = alive(&mark);
    ensure(left == 0, || format!("{left} processes are left"))
}

/// Processes of this machine that have the mark among their words.
fn alive(mark: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let words = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    words
        .filter(|line| {
            let mut words = line.split(|byte| *byte == 0);
            words.any(|word| word == mark.as_bytes())
        })
        .count()
}

/// A repository with what would run a command or lead the calls elsewhere, for every program at once.
async fn configured(tried: &'static Tried) -> Seen {
    let model = ModelServer::start(script()).await;
    let traps = program::traps();
    let mut all: Vec<(&str, &str)> = files().to_vec();
    all.extend(
        traps
            .iter()
            .filter(|(path, _)| tried.takes(path))
            .map(|(path, text)| (path.as_str(), text.as_str())),
    );
    let mut house = furnished(tried, &all, &model).await;
    let mut order = house.author("The test fails. Fix it.");
    tried.drives(&mut order);
    let run = house.give(&order);
    let (attempt, _) = brought(&house.server.ended(run).await)?;
    let changed = house.git(&["diff", "--name-only", house.base.as_str(), attempt.as_str()]);
    ensure(changed == "calc.py", || {
        format!("it executed what the tree says: {changed}")
    })?;
    ensure(main_requests(&model).len() == 3, || {
        "a call went elsewhere".to_owned()
    })?;
    if !tried.refuses {
        return Ok(());
    }
    // What it would load all the same keeps it from starting.
    for (path, text) in traps.iter().filter(|(path, _)| !tried.takes(path)) {
        let before = main_requests(&model).len();
        let with = [&files()[..], &[(path.as_str(), text.as_str())]].concat();
        let base = house::commit(&house.server, &[house.base.clone()], &with).await;
        let mut order = house.author("The test fails. Fix it.");
        tried.drives(&mut order);
        order.start = base;
        let run = house.give(&order);
        let complete = house.server.ended(run).await;
        let End::Failed { failure } = &complete.end else {
            return Err(format!("{path}: it started"));
        };
        ensure(failure.reason == Reason::Misconfigured, || {
            format!("{path}: {failure:?}")
        })?;
        ensure(main_requests(&model).len() == before, || {
            format!("{path}: it asked the model")
        })?;
    }
    Ok(())
}

/// By the platform's tools it looks its issue up, runs the checks before and after, and says how far it is.
async fn tools(tried: &'static Tried) -> Seen {
    let tool =
        |name: &str, args: Value| Step::tool(name, &format!("mcp__nightshift__{name}"), args);
    let script = Script::new([
        tool("get_issue", json!({})),
        tool("run_checks", json!({})),
        Step::shell("I fix the operator.", FIX),
        tool("run_checks", json!({})),
        tool("progress", json!({ "text": "it adds" })),
        Step::say("add() is fixed."),
    ]);
    let model = ModelServer::start(script).await;
    let mut house = furnished(tried, &files(), &model).await;
    let mut order = house.author("The test fails. Fix it.");
    tried.drives(&mut order);
    order.checks = vec![check("test", "python3 -B -m unittest -q test_calc")];
    let run = house.give(&order);
    brought(&house.server.ended(run).await)?;
    let said = house.server.run(run).map(|run| run.said);
    let progress = ("progress".to_owned(), json!({ "text": "it adds" }));
    ensure(said.as_deref() == Some(&[progress]), || {
        format!("it said {said:?}")
    })?;
    let told = main_requests(&model)
        .last()
        .map(|last| last.body.to_string())
        .unwrap_or_default();
    for words in [
        "The test fails. Fix it.",
        "test: failed with exit status 1",
        "all 1 passed",
    ] {
        ensure(told.contains(words), || {
            format!("it was not told {words:?}: {}", tail(&told))
        })?;
    }
    Ok(())
}

fn tail(log: &str) -> String {
    let start = log.len().saturating_sub(1500);
    let start = (start..log.len()).find(|at| log.is_char_boundary(*at));
    log[start.unwrap_or(0)..].replace('\n', " ")
}
