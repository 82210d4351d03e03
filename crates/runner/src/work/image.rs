//! The system that a run's project names: an image, with what the project adds to it.
//!
//! Its name means something once per run: from then on its id counts, so all commands of a run see one
//! system, and the log says which. Fetched is only what the operator's rules allow. Invariants: nothing
//! of a run is begun in an image before its walls were seen from inside; what one run fetches or adds
//! to, others of this runner wait for instead of doing it again. Deliberately absent: the engine's words
//! for all that (`sandbox`), and the steps that run in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_domain::failure::Reason;
use nightshift_domain::image::Image as Named;
use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::failure as say;
use nightshift_domain::traffic::Traffic;
use nightshift_domain::transcript::Step;

use super::Task;
use super::cut::Cut;
use super::install;
use crate::sandbox::{Image, SandboxError};

/// How long a tag means what it meant when the registry was asked last.
const FRESH: Duration = Duration::from_secs(3600);
/// The longest a fetch may take, where the run has as long.
const PULL: Duration = Duration::from_secs(1800);

/// The image of this run, or none where its project names none. What `environment.install` sent and
/// received is added to `traffic`.
pub(crate) async fn of(task: &Task, traffic: &mut Traffic) -> Result<Option<Arc<Image>>, Cut> {
    let environment = &task.order.environment;
    let Some(named) = &environment.image else {
        return Ok(None);
    };
    let begun = Instant::now();
    if let Some(why) = &task.worker.host.support().no_images {
        return Err(Cut::failed(
            Reason::SandboxUnavailable,
            say::image_unseen(named.as_str(), why),
        ));
    }
    let base = found(task, named).await?;
    prove(task, &base).await?;
    say(task, &base, "the image");
    let image = match &environment.install {
        None => base,
        Some(line) => {
            let image = install::grown(task, &base, line, traffic).await?;
            prove(task, &image).await?;
            say(task, &image, "with what environment.install adds");
            image
        }
    };
    task.say(
        Step::Prepare,
        format!("the image is there after {:.1?}", begun.elapsed()),
    );
    Ok(Some(image))
}

fn say(task: &Task, image: &Image, what: &str) {
    let digest = image.digest().map(|digest| format!(", digest {digest}"));
    task.say(
        Step::Prepare,
        format!(
            "{what} {}: id {}{}",
            image.name(),
            image.id(),
            digest.unwrap_or_default()
        ),
    );
}

async fn prove(task: &Task, image: &Arc<Image>) -> Result<(), Cut> {
    Ok(unless_cut(task, task.worker.host.image_prove(image)).await??)
}

/// What the name means now.
async fn found(task: &Task, named: &Named) -> Result<Arc<Image>, Cut> {
    let host = &task.worker.host;
    let name = named.as_str();
    let may = task.worker.config.registries.allow(named);
    let turn = host.image_turn(&format!("pull {name}"));
    let mut asked = match turn.try_lock() {
        Ok(turn) => turn,
        Err(_) => {
            task.say(
                Step::Prepare,
                format!("waits for another run that fetches the image {name}"),
            );
            unless_cut(task, turn.lock()).await?
        }
    };
    let here = unless_cut(task, host.image_find(name)).await??;
    let fresh = named.is_pinned() || asked.is_some_and(|at| at.elapsed() < FRESH);
    match here {
        Some(image) if !may || fresh => Ok(image),
        None if !may => Err(missing(named)),
        here => {
            let fetched = fetch(task, named).await;
            match (fetched, here) {
                (Ok(()), _) => *asked = Some(Instant::now()),
                (Err(Cut::Failed(failure)), Some(image)) => {
                    task.say(
                        Step::Prepare,
                        format!("{}; the image that is here is used", failure.detail),
                    );
                    return Ok(image);
                }
                (Err(cut), _) => return Err(cut),
            }
            let here = unless_cut(task, host.image_find(name)).await??;
            here.ok_or_else(|| {
                Cut::from(SandboxError::Pull {
                    name: name.to_owned(),
                    cause: "the engine fetched it and has it not".to_owned(),
                })
            })
        }
    }
}

fn missing(named: &Named) -> Cut {
    let way = match named.registry() {
        Some("localhost") => say::image_made_here(named.as_str()),
        Some(_) => say::image_allow(format!("{:?}", named.repository()), named.as_str()),
        None => say::image_no_registry(named.as_str()),
    };
    Cut::failed(
        Reason::Misconfigured,
        say::image_absent(named.as_str(), way),
    )
}

async fn fetch(task: &Task, named: &Named) -> Result<(), Cut> {
    let name = named.as_str();
    let credentials = task.worker.config.registries.credentials(named);
    let credentials = credentials.map_err(|cause| {
        Cut::from(SandboxError::Pull {
            name: name.to_owned(),
            cause,
        })
    })?;
    task.say(Step::Prepare, format!("fetches the image {name}"));
    let tell = |words| task.say(Step::Prepare, words);
    let limit = PULL.min(task.left());
    let host = &task.worker.host;
    let pulled = host.image_pull(name, credentials.as_ref(), limit, tell);
    Ok(unless_cut(task, pulled).await??)
}

/// Waits for something of an image, but not for longer than the run has, and not when it is to end.
pub(super) async fn unless_cut<T>(task: &Task, what: impl Future<Output = T>) -> Result<T, Cut> {
    in_time(task, say::time_up_image(), what).await
}

/// The same for anything, with what is said where the run's time is used up.
pub(super) async fn in_time<T>(
    task: &Task,
    late: Sentence,
    what: impl Future<Output = T>,
) -> Result<T, Cut> {
    tokio::select! {
        biased;
        () = task.control.until_halted() => Err(Cut::of_control(&task.control).unwrap_or(Cut::Lost)),
        done = what => Ok(done),
        () = tokio::time::sleep(task.left()) => Err(Cut::failed(Reason::TimeLimit, late)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_image_is_told_with_the_ways_that_there_are() {
        for (name, way, not) in [
            (
                "registry.example.com/team/base:1",
                "pull = [\"registry.example.com/team/base\"]",
                "podman tag",
            ),
            ("localhost:5000/base", "podman pull", "podman tag"),
            ("localhost/base:1", "make it there", "pull ="),
            ("base:1", "it is never pulled", "pull ="),
        ] {
            let Cut::Failed(failure) = missing(&name.parse().expect("a name")) else {
                panic!("{name}: no failure");
            };
            assert_eq!(failure.reason, Reason::Misconfigured);
            let said = failure.detail.to_string();
            assert!(said.contains(name) && said.contains(way), "{said}");
            assert!(!said.contains(not), "{said}");
        }
    }
}
