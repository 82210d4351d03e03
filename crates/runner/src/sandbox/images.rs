//! The images of projects on this machine, and who is at work on which of them.
//!
//! Invariants: what is fetched, looked at or made is so once, however many runs of this runner want it
//! at one time; an image is used only after every wall was seen from inside it; what a run holds is not
//! cleaned away. Deliberately absent: which images a project may have, and where they may come from
//! (`work::image`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::container::Container;
use super::container::{Credentials, Image};
use super::error::{Part, SandboxError};
use super::host::{Engine, SandboxHost};
use super::prove;
use super::spec::{Cap, Exit};
use super::{Sandbox, container};

/// Held by whoever does something of which one at a time is enough; when it was done last.
pub(crate) type Turn = Arc<tokio::sync::Mutex<Option<Instant>>>;

/// How often, and after which pause, a container is removed that somebody dropped.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of images while a runner lives.
#[derive(Debug, Default)]
pub(super) struct Images {
    turns: Mutex<HashMap<String, Turn>>,
    held: Mutex<Vec<Weak<Image>>>,
}

impl Images {
    fn turn(&self, what: &str) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(what.to_owned()).or_default())
    }

    /// Keeps an image from being cleaned away while somebody holds it.
    fn hold(&self, image: Image) -> Arc<Image> {
        let image = Arc::new(image);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|image| image.strong_count() > 0);
        held.push(Arc::downgrade(&image));
        image
    }

    fn used(&self) -> HashSet<String> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = held.iter().filter_map(Weak::upgrade);
        alive.map(|image| image.id().to_owned()).collect()
    }
}

impl SandboxHost {
    /// Waits for the turn to do `what`.
    pub(crate) fn image_turn(&self, what: &str) -> Turn {
        self.images.turn(what)
    }

    /// The image of this name, if the engine has it.
    ///
    /// # Errors
    /// The engine does not answer, has no images, or the image cannot be used.
    pub async fn image_find(&self, name: &str) -> Result<Option<Arc<Image>>, SandboxError> {
        let found = container::find(self.container()?.docker(), name).await?;
        Ok(found.map(|image| self.images.hold(image)))
    }

    /// Fetches an image from its registry; `tell` hears how it goes. Dropped, it is given up.
    ///
    /// # Errors
    /// The engine's own words.
    pub async fn image_pull(
        &self,
        name: &str,
        credentials: Option<&Credentials>,
        limit: Duration,
        tell: impl FnMut(String) + Send,
    ) -> Result<(), SandboxError> {
        let docker = self.container()?.docker().clone().with_timeout(limit);
        let pulled = container::pull(&docker, name, credentials, tell);
        match tokio::time::timeout(limit, pulled).await {
            Ok(pulled) => pulled,
            Err(_elapsed) => Err(SandboxError::Pull {
                name: name.to_owned(),
                cause: format!("it was not there after {} s", limit.as_secs()),
            }),
        }
    }

    /// Sees that every wall holds in this image, once.
    ///
    /// # Errors
    /// One does not, or a command cannot be started in it.
    pub async fn image_prove(self: &Arc<Self>, image: &Arc<Image>) -> Result<(), SandboxError> {
        let turn = self.images.turn(&format!("prove {}", image.id()));
        let mut proved = turn.lock().await;
        if proved.is_none() {
            prove::image(self, image).await?;
            *proved = Some(Instant::now());
        }
        Ok(())
    }

    /// What a shell script prints in an image, over nothing; none where it fails.
    ///
    /// # Errors
    /// It did not run.
    pub(crate) async fn image_ask(
        self: &Arc<Self>,
        image: &Arc<Image>,
        script: &str,
        words: &[&str],
    ) -> Result<Option<String>, SandboxError> {
        let mut command = ["/bin/sh", "-c", script, "look"]
            .map(str::to_owned)
            .to_vec();
        command.extend(words.iter().map(|word| (*word).to_owned()));
        let said = prove::inside(self, image, command).await?;
        Ok((said.exit == Exit::Exited { code: 0 }).then_some(said.out))
    }

    /// The image that was made of `base` for this key, if it is there.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn image_installed(
        &self,
        base: &Image,
        key: &str,
    ) -> Result<Option<Arc<Image>>, SandboxError> {
        let engine = self.container()?;
        let key = whole(engine.label(), key);
        let found = container::installed(engine.docker(), base, &key).await?;
        Ok(found.map(|image| self.images.hold(image)))
    }

    /// Removes this runner's own images beyond the newest that no run uses.
    pub async fn image_clean(&self) {
        let Engine::Container(engine) = &self.engine else {
            return;
        };
        let used = self.images.used();
        match container::clean(engine.docker(), engine.label(), &used).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old images are removed"),
            Err(error) => tracing::warn!(%error, "old images stay"),
        }
    }

    fn container(&self) -> Result<&Container, SandboxError> {
        let why = match &self.engine {
            Engine::Container(engine) => match engine.no_images() {
                None => return Ok(engine),
                Some(why) => why.to_owned(),
            },
            Engine::Bubblewrap(_) => self.support().no_images.clone().unwrap_or_default(),
        };
        Err(SandboxError::part(
            Part::Engine,
            format!("no images of projects on this runner: {why}"),
        ))
    }
}

impl Sandbox {
    /// What the step [`super::System::Install`] of this sandbox is about to make; it must be its first.
    #[must_use]
    pub fn making(&self) -> Making {
        let container = self.host.container();
        Making {
            host: Arc::clone(&self.host),
            container: container.ok().map(|engine| engine.name(&self.spec, 0)),
            most: self.spec.limits.disk_bytes,
        }
    }
}

/// A container in which an image is made. It is removed, also when this is dropped.
#[derive(Debug)]
pub struct Making {
    host: Arc<SandboxHost>,
    /// None once it is removed.
    container: Option<String>,
    most: u64,
}

impl Making {
    /// Keeps what was made of `base`, as an image for this key, and removes the container.
    ///
    /// # Errors
    /// The engine does not write it down, or it is larger than the sandbox's disk cap.
    pub async fn keep(mut self, base: &Image, key: &str) -> Result<Arc<Image>, SandboxError> {
        let host = Arc::clone(&self.host);
        let engine = host.container()?;
        let (docker, label) = (engine.docker(), engine.label());
        let container = self.container.clone().unwrap_or_default();
        let kept = match container::written(docker, &container).await {
            Err(error) => Err(error),
            Ok(Some(bytes)) if bytes > self.most => Err(SandboxError::Image {
                name: base.name().to_owned(),
                cause: format!("environment.install {}", Cap::DiskBytes(self.most)),
            }),
            Ok(Some(_) | None) => {
                let key = whole(label, key);
                container::commit(docker, &container, base, &key, label).await
            }
        };
        self.remove().await;
        kept.map(|image| host.images.hold(image))
    }

    /// Removes the container.
    pub async fn discard(mut self) {
        self.remove().await;
    }

    async fn remove(&mut self) {
        if let (Some(container), Engine::Container(engine)) = (&self.container, &self.host.engine) {
            container::remove(engine.docker(), container).await;
        }
        self.container = None;
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let (Some(container), Engine::Container(engine)) =
            (self.container.take(), &self.host.engine)
        else {
            return;
        };
        let docker = engine.docker().clone();
        // Without a runtime the runner is at its end; its next start removes what is left.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let _detached = runtime.spawn(async move {
                // It may be on its way down, or up.
                for _ in 0..TRIES {
                    tokio::time::sleep(PAUSE).await;
                    if container::remove(&docker, &container).await {
                        return;
                    }
                }
            });
        }
    }
}

/// A key with whose it is: several runners may use one engine, and each cleans up after itself alone.
fn whole(label: &str, key: &str) -> String {
    format!("{}-{key}", label.trim_start_matches("nightshift-"))
}
