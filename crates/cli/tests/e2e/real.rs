//! A real bug of a real library, mended by the real Claude Code, the real Codex and the built-in
//! agent against a scripted model: wrong, proved red, repaired in the same session, sent back, mended again on the
//! same branch and in the same session, approved, landed.
//!
//! The library is Python-Markdown 3.3.6 as it was published, whose fenced code blocks let a
//! quotation mark in an attribute end that attribute (its issue 1247, mended in 3.3.7).

use std::path::Path;

use nightshift_testkit::model::{Exchange, ModelServer, Script, Step};
use serde_json::Value;

use super::house::House;
use super::ten::items;

/// The credential of the model, which must not reach a sandbox.
const KEY: &str = "sk-real-CANARY-7731";

/// Looks for the credential wherever an agent can look. The pattern does not find itself; the system's own
/// `grep` is named, since Claude Code puts another one before it that passes over such files.
const LOOK: &str = "found=$(/usr/bin/grep -rls 'sk-real-CANARY-77[3]1' /proc/[0-9]*/environ \
     /proc/[0-9]*/cmdline /home /nightshift /workspace /tmp /run /etc); \
     own=$(/usr/bin/grep -ls HOME=/home/agent /proc/[0-9]*/environ | wc -l); \
     echo \"found=[$found] own=[$own]\"";

const ISSUE: &str = "An attribute of a fenced code block may hold any character, but the extension \
`fenced_code` writes it into the page as it is. With

    ``` { #a\" .b\" .c\" title='say \"so\"' }

the quotation mark ends the attribute, and what follows becomes part of the tag: a text can put \
attributes and elements of its own there. Write the id, the language, the classes and the values of \
other attributes as the body of the block is written already: escaped.
";

/// The sealed test, in our own words.
const TEST: &str = r##"import unittest
from html.parser import HTMLParser

import markdown


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def tags(attributes):
    text = "``` { %s }\ncode\n```" % attributes
    seen = Seen()
    seen.feed(markdown.markdown(text, extensions=["fenced_code", "attr_list"]))
    return seen.tags


class FencedAttributes(unittest.TestCase):
    def test_a_language_stays_inside(self):
        self.assertEqual(tags('.a"><b>'), [("pre", {}), ("code", {"class": 'language-a"><b>'})])

    def test_an_id_and_classes_stay_inside(self):
        self.assertEqual(
            tags('#i" .py .x"y'),
            [("pre", {"id": 'i"', "class": 'x"y'}), ("code", {"class": "language-py"})],
        )

    def test_a_value_stays_inside(self):
        self.assertEqual(
            tags(".py title='say \"so\" & <b>'"),
            [("pre", {}), ("code", {"class": "language-py", "title": 'say "so" & <b>'})],
        )


if __name__ == "__main__":
    unittest.main()
"##;

/// What the model says, whichever program asks it.
fn script() -> Script {
    let code = "markdown/extensions/fenced_code.py";
    let language =
        format!("sed -i \"s/'language-'), lang)/'language-'), self._escape(lang))/\" {code}");
    let rest = format!(
        "sed -i \
         -e \"s/format(' '.join(classes))/format(self._escape(' '.join(classes)))/\" \
         -e \"s/' id=\\\"{{}}\\\"'.format(id)/' id=\\\"{{}}\\\"'.format(self._escape(id))/\" \
         -e \"s/format(k=k, v=v)/format(k=k, v=self._escape(str(v)))/\" {code}"
    );
    let log = "sed -i '0,/^Nov 17, 2021/s//Under development: version 3.3.7 (a bug-fix release).\\n\\n\
         * Escape the attributes of fenced code blocks.\\n\\nNov 17, 2021/' docs/change_log/index.md";
    Script::new([
        Step::shell("I look around.", LOOK),
        Step::shell("I escape the language.", &language),
        Step::say("The language of a fenced code block is escaped."),
    ])
    .when(
        "The platform proved your last change",
        [
            Step::shell("The other attributes as well.", &rest),
            Step::say("Every attribute of a fenced code block is escaped."),
        ],
    )
    .when(
        "MISSING-IN-LOG",
        [
            Step::shell("I add the line.", log),
            Step::say("The change log has it."),
        ],
    )
    .key(KEY)
}

/// Unpacks the library and makes a project of it.
#[expect(
    clippy::disallowed_methods,
    reason = "the package client of the tests' set-up"
)]
fn project(house: &House, harness: &str) {
    let fetch = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/library/fetch.sh");
    let fetched = std::process::Command::new("sh")
        .arg(fetch)
        .arg(house.path("markdown"))
        .status();
    assert!(
        fetched.expect("it runs").success(),
        "the library is fetched"
    );
    house.write(
        "markdown/.nightshift/config.toml",
        &format!(
            "[[check]]\nname = \"test\"\nrun = \"python3 -B -m unittest discover -q tests\"\n\
             timeout = \"5m\"\n[[agent]]\nname = \"author\"\nharness = \"{harness}\"\n\
             model = \"scripted\"\n[repair]\nin_run = 0\nafter_verdict = 1\n"
        ),
    );
    house.project("markdown");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the programs are where the environment says"
)]
fn agents() -> String {
    let named = |name: &str| std::env::var(name).ok();
    let cache = named("XDG_CACHE_HOME")
        .or_else(|| Some(format!("{}/.cache", named("HOME")?)))
        .map(|cache| format!("{cache}/nightshift/agents"));
    let agents = named("NIGHTSHIFT_AGENTS_DIR").or(cache);
    format!("{}/node_modules/.bin", agents.expect("a home"))
}

/// From the filing to the landing.
fn story(model: &ModelServer, harness: &str, header: &str) {
    let mut settings = format!(
        "[endpoint.house]\nurl = \"{}\"\nheader = \"{header}\"\nkey_env = \"MODEL_KEY\"\n",
        model.base_url(),
    );
    if harness != "native" {
        settings.push_str(&format!("[program]\n{harness} = \"{}\"\n", agents()));
    }
    let mut house = House::with_runner(2, KEY, &settings);
    project(&house, harness);
    let base = house.git("markdown", &["rev-parse", "main"]);
    house.write("sealed/sealed/test_fenced_attributes.py", TEST);
    let run = "python3 -B -m unittest -q sealed/test_fenced_attributes.py";
    let title = "Attributes of fenced code blocks are not escaped";
    house
        .run([
            "issue",
            "new",
            "--ready",
            "--agent",
            "author",
            "--title",
            title,
            "--body",
            ISSUE,
            "--acceptance",
            "sealed",
            "--acceptance-run",
            run,
        ])
        .ok();

    // Wrong, proved red by the platform, resumed, green.
    let in_review = |pull: &Value| pull["phase"] == "in-review" && pull["verdict"] == "green";
    house.until(&["issue", "show", "1"], |issue| {
        assert_eq!(issue["failed"], Value::Null, "{issue:#}");
        issue["phase"] == "in-review"
    });
    let pull = house.until(&["pr", "show", "1"], in_review);
    assert_eq!(pull["round"], 1);
    let heads = heads(&pull);
    assert_eq!(
        heads.iter().map(|(_, round)| *round).collect::<Vec<_>>(),
        [1, 1]
    );
    let proof = &pull["proof"];
    assert_eq!(
        proof["acceptance_on_base"]["outcome"]["outcome"], "failed",
        "{proof:#}"
    );
    assert_eq!(
        proof["acceptance_on_head"]["outcome"]["outcome"], "passed",
        "{proof:#}"
    );
    let green = heads[1].0.clone();

    // Sent back with a comment: the same branch, the same session.
    house
        .run([
            "pr",
            "send-back",
            "1",
            "MISSING-IN-LOG: say it in the change log, too.",
            "--comment",
            "docs/change_log/index.md:5:here",
            "--head",
            &green,
        ])
        .ok();
    let pull = house.until(&["pr", "show", "1"], |pull| {
        pull["round"] == 2 && in_review(pull)
    });
    let last = pull["head"].as_str().expect("a head").to_owned();
    house.run(["pr", "approve", "1", "--head", &last]).ok();
    let issue = house.until(&["issue", "show", "1"], |issue| issue["phase"] == "done");
    at_the_api(&house);
    in_git(&house, &base, issue["landed"].as_str().expect("a commit"));
    at_the_model(model, &house);
    house.stop();
    house.nothing_is_left();
}

/// Commits and rounds of a pull request.
fn heads(pull: &Value) -> Vec<(String, i64)> {
    let heads = pull["heads"].as_array().expect("heads");
    let line = |head: &Value| {
        let commit = head["head"].as_str().expect("a commit").to_owned();
        (commit, head["round"].as_i64().expect("a round"))
    };
    heads.iter().map(line).collect()
}

/// Three runs of one session, each with what it used; three heads, the first of them proved red.
fn at_the_api(house: &House) {
    let page = house.json(&["run", "list", "1"]);
    let mut runs: Vec<_> = items(&page).iter().collect();
    runs.reverse();
    let of = |kind: &str| -> Vec<&Value> {
        let all = runs.iter().filter(|run| run["kind"] == kind);
        all.copied().collect()
    };
    let field = |runs: &[&Value], name: &str| -> Vec<Value> {
        runs.iter().map(|run| run[name].clone()).collect()
    };
    let authors = of("author");
    assert_eq!(field(&authors, "round"), [1, 1, 2], "{page:#}");
    assert!(
        runs.iter().all(|run| run["state"] == "succeeded"),
        "{page:#}"
    );
    let sessions = field(&authors, "session");
    assert!(sessions[0].is_string(), "{page:#}");
    assert!(
        sessions.iter().all(|session| *session == sessions[0]),
        "{page:#}"
    );
    // Of each run alone, though the programs count over the whole session.
    for (run, answers) in authors.iter().zip([3, 2, 2]) {
        let usage = &run["usage"];
        assert_eq!(usage["input_tokens"], answers * 200, "{page:#}");
        assert_eq!(usage["cached_input_tokens"], answers * 1000, "{page:#}");
        assert_eq!(usage["output_tokens"], answers * 34, "{page:#}");
    }
    let pull = house.json(&["pr", "show", "1"]);
    let heads: Vec<_> = heads(&pull)
        .into_iter()
        .map(|(head, _)| Value::String(head))
        .collect();
    assert_eq!(field(&authors, "attempt"), heads);
    assert_eq!(
        field(&of("verify"), "start"),
        heads,
        "each head is proved once"
    );
    let events = house.json(&["events", "-n", "500"]);
    let kinds = items(&events)
        .iter()
        .filter_map(|event| event["kind"].as_str());
    let told: Vec<_> = kinds.filter(|kind| kind.starts_with("pull.")).collect();
    assert_eq!(
        told,
        [
            "pull.head-adopted",
            "pull.not-green",
            "pull.head-adopted",
            "pull.green",
            "pull.sent-back",
            "pull.head-adopted",
            "pull.green",
            "pull.approved",
            "pull.landed",
        ]
    );
}

/// One branch with a commit of each run; main with one commit of all; both say who and why.
fn in_git(house: &House, base: &str, landed: &str) {
    let remote = house.remote("markdown", &house.token);
    house.git("", &["clone", "-q", &remote, "clone"]);
    let git = |words: &[&str]| house.git("clone", words);
    let branch = format!("{base}..origin/nightshift/1");
    let commits = git(&["rev-list", "--reverse", &branch]);
    let commits: Vec<_> = commits.lines().collect();
    let runs = house.json(&["run", "list", "1"]);
    let authors = items(&runs)
        .iter()
        .rev()
        .filter(|run| run["kind"] == "author");
    let authors: Vec<_> = authors.collect();
    assert_eq!((commits.len(), authors.len()), (3, 3));
    for (run, commit) in authors.iter().zip(&commits) {
        assert_eq!(run["attempt"], **commit);
        assert_eq!(git(&["show", "-s", "--format=%an", commit]), "author");
        let trailers = git(&["show", "-s", "--format=%(trailers:only,unfold)", commit]);
        let wanted = [
            "Co-authored-by: alice <alice@users.nightshift.invalid>".to_owned(),
            "Nightshift-Issue: markdown#1".to_owned(),
            format!("Nightshift-Run: {}", run["id"].as_str().expect("an id")),
        ];
        assert_eq!(trailers.lines().collect::<Vec<_>>(), wanted);
    }
    // Anybody who clones sees the same as the platform: red, green, green.
    let green = |commit: &str| {
        git(&["clean", "-fdq"]);
        git(&["checkout", "-q", commit]);
        tests(house, &["sealed/test_fenced_attributes.py"])
    };
    assert_eq!(
        [base, commits[0], commits[1], commits[2]].map(green),
        [false, false, true, true]
    );

    assert_eq!(git(&["rev-parse", "origin/main"]), landed);
    assert_eq!(
        git(&["rev-list", "--parents", "-1", landed]),
        format!("{landed} {base}")
    );
    let tree = |commit: &str| git(&["rev-parse", &format!("{commit}^{{tree}}")]);
    assert_eq!(
        tree(landed),
        tree(commits[2]),
        "what was proved is what landed"
    );
    // Nothing of the agent's program; the sealed test as it was filed.
    assert_eq!(
        git(&["diff", "--name-only", base, landed]),
        "docs/change_log/index.md\nmarkdown/extensions/fenced_code.py\n\
         sealed/test_fenced_attributes.py"
    );
    let sealed = git(&[
        "show",
        &format!("{landed}:sealed/test_fenced_attributes.py"),
    ]);
    assert_eq!(sealed, TEST.trim());
    assert!(green(landed) && tests(house, &["discover", "tests"]));
}

/// Whether tests pass in the clone, with the sealed ones laid over it.
#[expect(clippy::disallowed_methods, reason = "the library's own tests")]
fn tests(house: &House, which: &[&str]) -> bool {
    house.write("clone/sealed/test_fenced_attributes.py", TEST);
    let ended = std::process::Command::new("python3")
        .args(["-B", "-m", "unittest"])
        .args(which)
        .current_dir(house.path("clone"))
        .output();
    ended.expect("it runs").status.success()
}

/// The model got the credential and one conversation; the sandbox and the disk had no credential.
#[expect(
    clippy::disallowed_methods,
    reason = "a search over everything that was written"
)]
fn at_the_model(model: &ModelServer, house: &House) {
    let journal = model.journal();
    assert!(
        journal
            .iter()
            .all(|exchange| exchange.credential() == Some(KEY))
    );
    let mut bodies = journal.iter().map(|exchange| exchange.body.to_string());
    let found = bodies.find_map(|body| {
        let from = body.rfind("found=[")?;
        let found: String = body[from..].chars().take(80).collect();
        (!found.contains("$found")).then_some(found)
    });
    let found = found.expect("the sandbox was searched");
    assert!(
        found.starts_with("found=[] own=[") && !found.contains("own=[0]"),
        "{found}"
    );
    let first = |words: &str| -> &Exchange {
        let mut all = journal.iter().filter(|exchange| exchange.main);
        let found = all.find(|exchange| exchange.prompt.contains(words));
        found.expect("a prompt")
    };
    let repair = first("The platform proved your last change")
        .body
        .to_string();
    assert!(
        repair.contains("in a fresh sandbox. It is red:") && repair.contains("FAILED (failures=2)")
    );
    let review = first("MISSING-IN-LOG");
    assert!(review.prompt.contains("docs/change_log/index.md"));
    let review = review.body.to_string();
    assert!(review.contains("I escape the language.") && review.contains("The other attributes"));
    let grep = std::process::Command::new("grep")
        .args(["-rl", KEY])
        .arg(house.path(""))
        .output()
        .expect("a search");
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_real_claude_code_mends_a_real_bug() {
    let model = ModelServer::start(script()).await;
    tokio::task::block_in_place(|| story(&model, "claude-code", "x-api-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_real_codex_mends_a_real_bug() {
    let model = ModelServer::start(script()).await;
    tokio::task::block_in_place(|| story(&model, "codex", "authorization"));
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_native_mends_a_real_bug() {
    let model = ModelServer::start(script()).await;
    tokio::task::block_in_place(|| story(&model, "native", "authorization"));
}
