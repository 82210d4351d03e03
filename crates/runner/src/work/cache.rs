//! The cache of set-ups: whether a run starts from what an earlier set-up left, and what may be left
//! for others.
//!
//! Invariants, so that no change can reach into another one's run: what is kept was left by the set-up
//! command of the base on a clean checkout of the base, in a sandbox of its own in which nothing else
//! ever ran, with the network of the project's and the operator's lists and nothing that belongs to an
//! issue; a set-up that is given a secret is never kept. A run takes what is kept under the key of its
//! own tree, and can read it only. Where anything is missing the set-up runs in the run's own tree, as it
//! does without a cache, and nothing of that is kept. Deliberately absent: how it is kept and laid
//! (`workspace`).

mod key;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nightshift_domain::check::CheckResult;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::Step;

use super::bench::{self, Bench};
use super::check::{self, SETUP};
use super::cut::Cut;
use super::image::in_time;
use super::{Task, usage};
use crate::sandbox::Image;
use crate::workspace::{About, Clean, NotKept, Setup, WorkspaceError};
use key::{Entry, Unfit};

/// What a run's set-up is.
pub(super) enum Prepared {
    /// It runs in the run's own tree, if there is one.
    Runs,
    /// What it left before.
    Taken(Setup),
    /// It ran on this very commit, to be kept, and failed.
    Failed(CheckResult),
}

/// Held by whoever makes what is to be kept under a key; why it cannot be, where that is known.
type Turn = Arc<tokio::sync::Mutex<Option<String>>>;

/// Who is at work on which key.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Turn>>);

impl Turns {
    fn of(&self, key: &str) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(key.to_owned()).or_default())
    }
}

/// Where what is kept is from, in a sentence.
pub(super) fn origin(about: &About) -> String {
    format!(
        "taken from the cache: key {}, made {} by run {} on {}",
        short(&about.key),
        about.made,
        about.run,
        about.commit.short()
    )
}

/// What a run at `start` begins with. What a set-up sent that was made to be kept is added to `traffic`.
pub(super) async fn of(
    task: &Task,
    start: &ObjectId,
    image: Option<&Arc<Image>>,
    traffic: &mut Traffic,
) -> Result<Prepared, Cut> {
    let order = &task.order;
    let (Some(line), false) = (&order.environment.setup, order.environment.cache.is_empty()) else {
        return Ok(Prepared::Runs);
    };
    let not = |why: String| {
        task.say(Step::Setup, format!("{SETUP}: not from the cache: {why}"));
        Ok(Prepared::Runs)
    };
    let given = order.secrets.iter().flat_map(|secret| &secret.steps);
    if given.chain(&order.withheld).any(|step| step == SETUP) {
        return not("a secret of the project is for it, and could be in what it leaves".to_owned());
    }
    let want = Want {
        task,
        line,
        system: task.worker.host.system(image.map(Arc::as_ref)),
    };
    let own = match want.entries(start).await? {
        Ok(entries) => entries,
        Err(unfit) => return not(unfit.to_string()),
    };
    let key = want.key(&own);
    if let Some(setup) = want.take(&key).await? {
        return Ok(Prepared::Taken(setup));
    }
    let base = match want.entries(&order.base).await? {
        Ok(entries) => entries,
        Err(unfit) => return not(unfit.to_string()),
    };
    let differing = key::differing(&own, &base);
    if !differing.is_empty() {
        return not(format!(
            "{} is not as on the base, and only what the base's set-up leaves is kept",
            differing.join(", ")
        ));
    }
    if !order.grants.is_empty() {
        return not(
            "nothing is kept for its key, and hosts are allowed for this issue alone".to_owned(),
        );
    }
    let turn = task.worker.setups.of(&key);
    let mut known = match turn.try_lock() {
        Ok(turn) => turn,
        Err(_) => {
            task.say(
                Step::Setup,
                format!("{SETUP}: waits for another run that makes the same"),
            );
            in_time(task, say::time_up_workspace(), turn.lock()).await?
        }
    };
    if let Some(why) = &*known {
        return not(why.clone());
    }
    if let Some(setup) = want.take(&key).await? {
        return Ok(Prepared::Taken(setup));
    }
    let absent = own.iter().filter(|entry| entry.what.is_none());
    for Entry { path, .. } in absent {
        task.say(
            Step::Setup,
            format!("{SETUP}: {path}, which environment.cache names, is not in the tree"),
        );
    }
    match want.make(&key, start, image.cloned(), traffic).await? {
        Made::Kept(setup) => {
            task.say(Step::Setup, format!("{SETUP}: {}", origin(&setup.about)));
            Ok(Prepared::Taken(setup))
        }
        Made::Failed(result) if *start == order.base => Ok(Prepared::Failed(result)),
        Made::Failed(_) => not("it fails on the base".to_owned()),
        Made::Refused(why) => {
            let why = format!("what it leaves cannot be kept: {why}");
            *known = Some(why.clone());
            not(why)
        }
        Made::Lost(why) => not(format!("what it left could not be kept: {why}")),
    }
}

/// What became of a set-up that was to be kept.
enum Made {
    Kept(Setup),
    Failed(CheckResult),
    /// It will be so again.
    Refused(String),
    /// It may be otherwise the next time.
    Lost(String),
}

/// What a run wants to have set up.
struct Want<'a> {
    task: &'a Task,
    line: &'a str,
    system: String,
}

impl Want<'_> {
    async fn entries(&self, commit: &ObjectId) -> Result<Result<Vec<Entry>, Unfit>, Cut> {
        let (task, paths) = (self.task, &self.task.order.environment.cache);
        let source = bench::source(task);
        let listing = task.worker.workspaces.listing(&source, commit, paths);
        match in_time(task, say::time_up_workspace(), listing).await? {
            Ok(listing) => Ok(key::entries(&listing, paths)),
            // Settings of an older version may name what git has no word for.
            Err(WorkspaceError::Git { cause, .. }) => Ok(Err(Unfit::Listing(cause))),
            Err(error) => Err(error.into()),
        }
    }

    fn key(&self, entries: &[Entry]) -> String {
        key::key(self.task.order.project_id, self.line, &self.system, entries)
    }

    async fn take(&self, key: &str) -> Result<Option<Setup>, Cut> {
        let task = self.task;
        let source = bench::source(task);
        let taken = task.worker.workspaces.setup(&source, key);
        let taken = in_time(task, say::time_up_workspace(), taken).await?;
        if let Some(setup) = &taken {
            task.say(Step::Setup, format!("{SETUP}: {}", origin(&setup.about)));
        }
        Ok(taken)
    }

    /// Runs the set-up on the base, where nothing else ever is, and keeps what it leaves.
    async fn make(
        &self,
        key: &str,
        start: &ObjectId,
        image: Option<Arc<Image>>,
        traffic: &mut Traffic,
    ) -> Result<Made, Cut> {
        let task = self.task;
        let base = &task.order.base;
        task.say(
            Step::Setup,
            format!(
                "{SETUP}: nothing is in the cache for key {}; it runs on the base {} by itself, to be kept",
                short(key),
                base.short()
            ),
        );
        let bench = Bench::alone(task, base, image).await?;
        let ran: Result<(Clean, Option<CheckResult>), Cut> =
            async { Ok((bench.clean().await?, check::setup(&bench, base).await?)) }.await;
        let (sent, workspace) = bench.leave().await;
        match &ran {
            // The run ends with it, and what it was refused may be why.
            Ok((_, Some(result))) if !result.passed() && *start == *base => {
                usage::add_whole(traffic, sent);
            }
            Ok(_) | Err(_) => usage::add(traffic, sent),
        }
        let made = match (ran, &workspace) {
            (Err(cut), _) => Err(cut),
            (Ok((_, Some(result))), _) if !result.passed() => Ok(Made::Failed(result)),
            (Ok((clean, _)), Some(workspace)) => {
                let source = bench::source(task);
                let by = (task.order.run, (task.worker.clock)());
                let workspaces = &task.worker.workspaces;
                match workspaces.keep(&source, key, workspace, clean, by).await {
                    Ok(()) => Ok(match workspaces.setup(&source, key).await {
                        Some(setup) => Made::Kept(setup),
                        None => Made::Lost("it is gone again".to_owned()),
                    }),
                    Err(NotKept::Refused(refused)) => Ok(Made::Refused(refused.to_string())),
                    Err(NotKept::Host(cause)) => Ok(Made::Lost(cause)),
                }
            }
            (Ok(_), None) => Ok(Made::Lost("its workspace is gone".to_owned())),
        };
        if let Some(workspace) = workspace {
            bench::remove(workspace).await;
        }
        made
    }
}

/// As much of a key as tells it from the others.
fn short(key: &str) -> &str {
    key.get(..12).unwrap_or(key)
}
