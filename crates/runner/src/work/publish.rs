//! From the working tree to one commit on the run's own ref, made and pushed inside the sandbox.
//!
//! A repository of the platform's own is used for it: the one in the tree, with its configuration,
//! hooks, index and branches, is the agent's and is not read. Invariants: the commit has exactly one
//! parent, the run's start; sealed files are in it as they were filed; "pushed" means that the
//! server was asked afterwards and named this very commit. Deliberately absent: judging the change.

use std::path::Path;
use std::time::{Duration, Instant};

use nightshift_api::runner::AuthorOrder;
use nightshift_domain::failure::Reason;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::told::failure as say;
use nightshift_domain::transcript::{self, Entry, Stream};
use tokio::time::sleep;

use super::bench::Bench;
use super::check::Printed;
use super::cut::Cut;
use super::step::{self, Guard, Reader, Stepped};
use crate::sandbox::{self, Exit, Stdin, System, spec};

/// Makes the commit and prints it, or prints `unchanged`. `$1` is the start. What is printed before
/// tells whose fault a failure is: the tree's from `reading` on, the platform's again from `read` on.
const COMMIT: &str = r#"
place=$HOME/.nightshift-publish
rm -rf -- "$place"
mkdir -- "$place"
git init -q --bare --template= -- "$place/repository"
export GIT_DIR="$place/repository" GIT_WORK_TREE=/workspace
printf '%s\n' /nightshift/objects >"$GIT_DIR/objects/info/alternates"
sealed() {
    blob=$(git hash-object -w --no-filters -- "/nightshift/acceptance/$2")
    git update-index --add --replace --cacheinfo "100$1,$blob,$2"
}
base() {
    export GIT_INDEX_FILE="$place/base"
    git read-tree "$1"
    . /nightshift/sealed.sh
    git write-tree
}
without=$(base "$1")
if [ -f /nightshift/index ]; then
    cp -p -- /nightshift/index "$GIT_DIR/index"
    chmod u+w -- "$GIT_DIR/index"
    # What is as old as the index is compared here once; `add` would write each of them anew.
    git update-index -q --refresh >/dev/null || :
else
    git read-tree "$1"
fi
echo reading
git add -A -- . || { chmod -R u+rwX -- . && git add -A -- .; }
git diff-index --cached --raw "$1" | sed -n 's/^:[0-7]* 160000 .*\t/nested /p'
echo read
. /nightshift/sealed.sh
tree=$(git write-tree)
if [ "$tree" = "$without" ]; then
    echo unchanged
else
    echo "commit $(git commit-tree -p "$1" -F /nightshift/message "$tree")"
fi
"#;

/// Pushes the commit `$2` to the ref `$3` at `$1`, then asks what the ref is.
const PUSH: &str = r#"
export GIT_DIR="$HOME/.nightshift-publish/repository"
git push --porcelain --no-verify -- "$1" "$2:$3" || echo "push ended with $?"
git ls-remote -- "$1" "$3" | sed 's/^/remote /'
"#;

/// What no configuration in the tree can change.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.autocrlf", "false"),
    ("core.safecrlf", "false"),
    ("core.checkStat", "default"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.http.allow", "always"),
    ("http.followRedirects", "false"),
    ("http.proxy", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("push.gpgSign", "false"),
    ("advice.addEmbeddedRepo", "false"),
];

/// What became of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Snapshot {
    /// It is as it was at the start, but for sealed files.
    Unchanged,
    /// This commit has it.
    Commit(ObjectId),
}

/// Makes one commit of the tree as it is.
pub(crate) async fn commit(
    bench: &Bench<'_>,
    author: &AuthorOrder,
    guard: Guard,
    timeout: Duration,
) -> Result<Snapshot, Cut> {
    let order = &author.commit;
    bench.control(Path::new("message"), order.message.as_bytes())?;
    let when = format!("@{} +0000", (bench.task.worker.clock)().as_second());
    let mut env = git_env(&[]);
    for role in ["AUTHOR", "COMMITTER"] {
        env.push((format!("GIT_{role}_NAME"), order.author_name.clone()));
        env.push((format!("GIT_{role}_EMAIL"), order.author_email.clone()));
        env.push((format!("GIT_{role}_DATE"), when.clone()));
    }
    let start = &bench.task.order.start;
    let printed = shell(bench, COMMIT, &[start.as_str()], env, guard, timeout).await?;
    let said = printed.lines.iter().find_map(|line| {
        if line == "unchanged" {
            return Some(Snapshot::Unchanged);
        }
        let commit = line.strip_prefix("commit ")?.parse().ok()?;
        Some(Snapshot::Commit(commit))
    });
    if let Some(place) = printed.lines.iter().find_map(|l| l.strip_prefix("nested ")) {
        return Err(Cut::failed(
            Reason::AgentFailed,
            say::nested_repository(format!("{place:?}"), place),
        ));
    }
    said.filter(|_| printed.good).ok_or_else(|| {
        let has = |word: &str| printed.lines.iter().any(|line| line == word);
        let reason = if has("reading") && !has("read") {
            Reason::AgentFailed
        } else {
            Reason::WorkspaceFailed
        };
        Cut::failed(reason, say::not_committed(printed.printed.tail().trim()))
    })
}

/// Pushes the commit and reads it back, again and again until `within` has passed.
pub(crate) async fn push(
    bench: &Bench<'_>,
    author: &AuthorOrder,
    commit: &ObjectId,
    guard: Guard,
    within: Duration,
) -> Result<(), Cut> {
    let begun = Instant::now();
    let url = format!(
        "http://127.0.0.1:{}{}",
        spec::PLATFORM_PORT,
        bench.task.order.git_path
    );
    let header = format!("Authorization: Bearer {}", bench.task.order.token);
    let name = author.attempt_ref.as_str();
    let remote = format!("remote {commit}\t{name}");
    let mut pause = Duration::from_millis(500);
    loop {
        let left = within.saturating_sub(begun.elapsed());
        let env = git_env(&[("http.extraHeader", &header)]);
        let words = [url.as_str(), commit.as_str(), name];
        let printed = shell(bench, PUSH, &words, env, guard, left.max(pause)).await?;
        if printed.lines.contains(&remote) {
            bench.task.say(
                transcript::Step::Publish,
                format!("pushed {} to {name}", commit.short()),
            );
            return Ok(());
        }
        let refused = printed
            .lines
            .iter()
            .find(|line| line.starts_with("!\t"))
            .cloned();
        if let Some(line) = refused {
            return Err(Cut::failed(
                Reason::PublishRejected,
                say::push_refused(line.replace('\t', " ")),
            ));
        }
        if begun.elapsed() + pause >= within {
            return Err(Cut::failed(
                Reason::PublishFailed,
                say::push_failed(within.as_secs(), printed.printed.tail().trim()),
            ));
        }
        let halted = async {
            match guard {
                Guard::Work => bench.task.control.until_halted().await,
                Guard::Rescue => {
                    bench.task.control.until_lost().await;
                }
            }
        };
        tokio::select! {
            // The next step says which it was.
            () = halted => {}
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Runs one of the scripts above; all values are arguments, never part of the script.
async fn shell(
    bench: &Bench<'_>,
    script: &str,
    words: &[&str],
    env: Vec<(String, String)>,
    guard: Guard,
    timeout: Duration,
) -> Result<Said, Cut> {
    let mut command = ["/bin/sh", "-euc", script, "publish"]
        .map(str::to_owned)
        .to_vec();
    command.extend(words.iter().map(|word| (*word).to_owned()));
    let command = sandbox::Step {
        command,
        env,
        // An image may have no git.
        system: System::Machine,
        stdin: Stdin::Closed,
        timeout,
    };
    let mut said = Said::default();
    let phase = transcript::Step::Publish;
    match step::run(bench, phase, &command, guard, 64 << 10, &mut said).await? {
        Stepped::Ended(Exit::Exited { code }) => said.good = code == 0,
        Stepped::Ended(Exit::Capped(cap)) => return Err(Cut::capped(cap)),
        Stepped::Ended(_) | Stepped::Impatient | Stepped::Interrupted => {}
    }
    Ok(said)
}

fn git_env(extra: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_ASKPASS", "true"),
        ("LC_ALL", "C"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let mut count = 0;
    for (name, value) in SETTINGS.iter().chain(extra) {
        env.push((format!("GIT_CONFIG_KEY_{count}"), (*name).to_owned()));
        env.push((format!("GIT_CONFIG_VALUE_{count}"), (*value).to_owned()));
        count += 1;
    }
    env.push(("GIT_CONFIG_COUNT".to_owned(), count.to_string()));
    env
}

/// What a script said: what it answers, and all of it for a message.
#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    printed: Printed,
    good: bool,
}

impl Reader for Said {
    fn line(&mut self, stream: Stream, line: &[u8]) -> Vec<Entry> {
        if stream == Stream::Stdout {
            self.lines.push(String::from_utf8_lossy(line).into_owned());
        }
        self.printed.line(stream, line)
    }
}
