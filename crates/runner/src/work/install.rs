//! What a project adds to its image: a command line of its base, run once as root inside, and kept.
//!
//! Invariants: nothing of a run is there: neither its tree, nor a token, nor a secret, nor a way to the
//! server or a model; of the network it has what the project's and the operator's lists name, by the
//! proxy. What is kept depends on the image's content, the line and the project, and on nothing else, so
//! it is made once. Its container is removed whatever happens. Deliberately absent: the project's own
//! set-up, which runs in each tree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_domain::check::{Outcome, ended};
use nightshift_domain::failure::Reason;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::Step;
use sha2::{Digest as _, Sha256};

use super::Task;
use super::bench::Bench;
use super::check::{MAX_LINE, Printed, last_lines};
use super::cut::Cut;
use super::image::unless_cut;
use super::step::{self, Guard, Stepped};
use super::usage;
use crate::sandbox::{self, Exit, Image, Stdin, System};

/// What a key is made of; another number makes all images anew.
const SCHEME: &str = "1";

/// Where root's things are in an image.
const ROOT: &[(&str, &str)] = &[
    ("HOME", "/root"), // tidy-ok(local): of the image, not of this machine
    ("USER", "root"),
    // Nobody answers, and a package that asks must not wait.
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// The image with what this line adds: the one that is there, or a new one.
pub(super) async fn grown(
    task: &Task,
    base: &Arc<Image>,
    line: &str,
    traffic: &mut Traffic,
) -> Result<Arc<Image>, Cut> {
    let host = &task.worker.host;
    let key = key(task, base, line);
    let turn = host.image_turn(&format!("install {key}"));
    let _turn = match turn.try_lock() {
        Ok(turn) => turn,
        Err(_) => {
            task.say(
                Step::Setup,
                "waits for another run that adds the same to the image",
            );
            unless_cut(task, turn.lock()).await?
        }
    };
    if let Some(image) = unless_cut(task, host.image_installed(base, &key)).await?? {
        return Ok(image);
    }
    task.say(Step::Setup, format!("install: {line}"));
    let run = host.run_dir(&format!("install-{}", task.order.run))?;
    let made = make(task, base, line, &key, &run, traffic).await;
    let removed = tokio::task::spawn_blocking(move || run.remove()).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(%error, "the directory of an installation stays until the next start");
    }
    let image = made?;
    host.image_clean().await;
    Ok(image)
}

async fn make(
    task: &Task,
    base: &Arc<Image>,
    line: &str,
    key: &str,
    run: &sandbox::RunDir,
    traffic: &mut Traffic,
) -> Result<Arc<Image>, Cut> {
    let bench = Bench::install(task, base, run).await?;
    let making = bench.sandbox.making();
    let outcome = install(&bench, line).await;
    let done = match outcome {
        Ok(()) => making.keep(base, key).await.map_err(Cut::from),
        Err(cut) => {
            making.discard().await;
            Err(cut)
        }
    };
    let sent = bench.close().await;
    let done = done.map_err(|cut| out_of_reach(cut, &sent));
    usage::add(traffic, sent);
    done
}

async fn install(bench: &Bench<'_>, line: &str) -> Result<(), Cut> {
    let task = bench.task;
    let seconds = task.order.environment.setup_timeout_s;
    let left = task.left();
    let own = ROOT.iter();
    let own = own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let command = sandbox::Step {
        command: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        env: own.chain(bench.plain_env()).collect(),
        system: System::Install,
        stdin: Stdin::Closed,
        timeout: Duration::from_secs(seconds).min(left),
    };
    let mut printed = Printed::default();
    let begun = Instant::now();
    let stepped = step::run(
        bench,
        Step::Setup,
        &command,
        Guard::Work,
        MAX_LINE,
        &mut printed,
    );
    let outcome = match stepped.await? {
        Stepped::Ended(Exit::Exited { code: 0 }) => Outcome::Passed,
        Stepped::Ended(Exit::Exited { code }) => Outcome::Failed { code },
        Stepped::Ended(Exit::Signalled { signal }) => Outcome::Failed { code: 128 + signal },
        Stepped::Ended(Exit::Capped(cap)) => return Err(Cut::capped(cap)),
        Stepped::Ended(Exit::TimedOut) if left <= Duration::from_secs(seconds) => {
            return Err(Cut::failed(
                Reason::TimeLimit,
                say::time_up_in("environment.install"),
            ));
        }
        Stepped::Ended(Exit::TimedOut | Exit::Killed)
        | Stepped::Impatient
        | Stepped::Interrupted => Outcome::TimedOut,
    };
    let how = ended(&outcome);
    task.say(
        Step::Setup,
        format!("install: {how} after {:.1?}", begun.elapsed()),
    );
    match outcome {
        Outcome::Passed => Ok(()),
        Outcome::Failed { .. } | Outcome::TimedOut | Outcome::Capped { .. } => Err(Cut::failed(
            Reason::SetupFailed,
            say::its_last_words(say::install(how), last_lines(&printed.tail())),
        )),
    }
}

/// The failure with the hosts that it may come from. What is allowed for one issue does not count here.
fn out_of_reach(cut: Cut, sent: &Traffic) -> Cut {
    let blocked: Vec<&str> = sent
        .blocked()
        .take(10)
        .map(|host| host.host.as_str())
        .collect();
    match cut {
        Cut::Failed(failure) if !blocked.is_empty() => Cut::failed(
            failure.reason,
            say::out_of_reach_of_project(&failure.detail, blocked.join(", ")),
        ),
        other => other,
    }
}

/// What the result depends on. The project is a part of it: its list of hosts decides what the line
/// can fetch, and one project's result is not another's.
fn key(task: &Task, base: &Image, line: &str) -> String {
    let mut hash = Sha256::new();
    for part in [SCHEME, &task.order.project_id.to_string(), base.id(), line] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}
