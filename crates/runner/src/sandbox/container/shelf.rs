//! The images that the engine has: looked up, fetched, kept, and the runner's own cleaned away.
//!
//! Invariant: only images that this runner made are ever removed: they have both its label and a name
//! that registries cannot give. Deliberately absent: whether an image may be fetched, which is the
//! operator's to say (`work::image`).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::{ContainerConfig, CreateImageInfo, ImageSummary};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptionsBuilder,
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::StreamExt as _;
use tokio::time::sleep;

use super::image::Image;
use super::plan::LABEL;
use crate::sandbox::error::{Part, SandboxError};

/// What images of this runner are called, before their key.
const INSTALLED: &str = "localhost/nightshift-installed-";
/// What all images of runners are called.
const OWN: &str = "localhost/nightshift-";
/// How many of its own images a runner keeps that no run uses.
const KEPT: usize = 10;
/// How often the engine is asked about a container that has just ended, and after which pause.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// How long the engine may take to write a container's changes down.
const COMMIT: Duration = Duration::from_secs(1800);

/// A registry's user.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password, or a token.
    pub password: crate::secret::Secret,
    /// The registry.
    pub host: String,
}

/// The image of this name, if the engine has it.
pub(in crate::sandbox) async fn find(
    docker: &Docker,
    name: &str,
) -> Result<Option<Image>, SandboxError> {
    if name.starts_with(OWN) {
        let cause = format!("names that begin with {OWN} are the runner's own");
        return Err(refused(name, cause));
    }
    look(docker, name, name).await
}

/// The image that was made for this key, if it is there.
pub(in crate::sandbox) async fn installed(
    docker: &Docker,
    base: &Image,
    key: &str,
) -> Result<Option<Image>, SandboxError> {
    let found = look(docker, &format!("{INSTALLED}{key}"), base.name()).await?;
    Ok(found.map(|found| base.grown(found)))
}

/// `name` is for the engine, `shown` for people.
async fn look(docker: &Docker, name: &str, shown: &str) -> Result<Option<Image>, SandboxError> {
    let name = for_engine(name);
    match docker.inspect_image(&name).await {
        Ok(found) => Image::read(shown, found)
            .map(Some)
            .map_err(|cause| refused(shown, cause)),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(error) => Err(SandboxError::part(
            Part::Engine,
            format!("looking for the image {shown}: {error}"),
        )),
    }
}

/// Fetches an image from its registry; `tell` hears how it goes. Dropped, it is given up.
pub(in crate::sandbox) async fn pull(
    docker: &Docker,
    name: &str,
    credentials: Option<&Credentials>,
    mut tell: impl FnMut(String) + Send,
) -> Result<(), SandboxError> {
    let failed = |cause: String| SandboxError::Pull {
        name: name.to_owned(),
        cause,
    };
    let asked = for_engine(name);
    // What has neither a tag nor a digest would be all tags there are.
    let last = asked.rsplit('/').next().unwrap_or(&asked);
    let whole = match last.contains([':', '@']) {
        true => asked,
        false => format!("{asked}:latest"),
    };
    let options = CreateImageOptionsBuilder::new().from_image(&whole).build();
    let credentials = credentials.map(|known| DockerCredentials {
        username: Some(known.user.clone()),
        password: Some(known.password.expose().to_owned()),
        serveraddress: Some(known.host.clone()),
        ..DockerCredentials::default()
    });
    let mut progress = docker.create_image(Some(options), None, credentials);
    while let Some(said) = progress.next().await {
        let said = said.map_err(|error| failed(error.to_string()))?;
        if let Some(words) = words(said) {
            tell(words);
        }
    }
    Ok(())
}

/// What a line of a fetch says, without the many that only count bytes.
fn words(said: CreateImageInfo) -> Option<String> {
    let counts = said.progress_detail.as_ref();
    if counts.is_some_and(|detail| detail.current.is_some()) {
        return None;
    }
    let status = said.status.unwrap_or_default();
    let status = status.trim();
    match said.id {
        _ if status.is_empty() => None,
        Some(id) if id != status => Some(format!("{id}: {status}")),
        Some(_) | None => Some(status.to_owned()),
    }
}

/// A digest says more than a tag, and not every engine takes both.
fn for_engine(name: &str) -> String {
    let Some((tagged, digest)) = name.split_once('@') else {
        return name.to_owned();
    };
    let path = tagged.rfind('/').map_or(0, |slash| slash + 1);
    let end = tagged[path..]
        .find(':')
        .map_or(tagged.len(), |colon| path + colon);
    format!("{}@{digest}", &tagged[..end])
}

/// Keeps what was made in a container as the image for this key; returns it.
pub(in crate::sandbox) async fn commit(
    docker: &Docker,
    container: &str,
    base: &Image,
    key: &str,
    label: &str,
) -> Result<Image, SandboxError> {
    let failed = |cause: &dyn std::fmt::Display| {
        SandboxError::part(
            Part::Engine,
            format!(
                "keeping what was added to the image {}: {cause}",
                base.name()
            ),
        )
    };
    // Docker reads the configuration, Podman the changes.
    let options = CommitContainerOptionsBuilder::new()
        .container(container)
        .repo(&format!("{INSTALLED}{key}"))
        .tag("latest")
        .pause(false)
        .changes(&format!("LABEL {LABEL}={label}"))
        .build();
    let config = ContainerConfig {
        labels: Some(HashMap::from([(LABEL.to_owned(), label.to_owned())])),
        ..ContainerConfig::default()
    };
    let patient = docker.clone().with_timeout(COMMIT);
    let made = patient.commit_container(options, config).await;
    made.map_err(|e| failed(&e))?;
    installed(docker, base, key)
        .await?
        .ok_or_else(|| failed(&"the engine took it and has it not"))
}

/// Removes the oldest images of this runner beyond [`KEPT`] that are not `used`; returns how many.
pub(in crate::sandbox) async fn clean(
    docker: &Docker,
    label: &str,
    used: &HashSet<String>,
) -> Result<usize, SandboxError> {
    let ours = HashMap::from([("label", vec![format!("{LABEL}={label}")])]);
    let options = ListImagesOptionsBuilder::new().filters(&ours).build();
    let found = docker.list_images(Some(options)).await;
    let found = found
        .map_err(|e| SandboxError::part(Part::Engine, format!("looking for old images: {e}")))?;
    let mut removed = 0;
    for name in surplus(found, used) {
        let options = RemoveImageOptionsBuilder::new().build();
        match docker.remove_image(&name, Some(options), None).await {
            Ok(_) => removed += 1,
            // A container is still made of it.
            Err(Error::DockerResponseServerError {
                status_code: 404 | 409,
                ..
            }) => {}
            Err(error) => tracing::warn!(name, %error, "an old image stays"),
        }
    }
    Ok(removed)
}

/// The names of images to remove.
fn surplus(mut found: Vec<ImageSummary>, used: &HashSet<String>) -> Vec<String> {
    found.sort_by_key(|image| std::cmp::Reverse(image.created));
    let own = |image: ImageSummary| {
        let mut names = image.repo_tags.into_iter();
        let name = names.find(|name| name.starts_with(INSTALLED))?;
        (!used.contains(&image.id)).then_some(name)
    };
    found.into_iter().filter_map(own).skip(KEPT).collect()
}

/// What a container has written into its own file system, bytes; none where the engine does not count.
pub(in crate::sandbox) async fn written(
    docker: &Docker,
    container: &str,
) -> Result<Option<u64>, SandboxError> {
    let options = InspectContainerOptionsBuilder::new().size(true).build();
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match docker
            .inspect_container(container, Some(options.clone()))
            .await
        {
            Ok(found) => return Ok(found.size_rw.and_then(|bytes| u64::try_from(bytes).ok())),
            // Podman has a word of its own for the moment after an end.
            Err(Error::JsonDataError { .. }) if tries > 0 => sleep(PAUSE).await,
            Err(error) => {
                return Err(SandboxError::part(
                    Part::Engine,
                    format!("asking how much a container has written: {error}"),
                ));
            }
        }
    }
}

fn refused(name: &str, cause: String) -> SandboxError {
    SandboxError::Image {
        name: name.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_goes_before_a_tag() {
        for (name, asked) in [
            ("base", "base"),
            ("localhost:5000/base:1", "localhost:5000/base:1"),
            (
                "localhost:5000/base@sha256:1",
                "localhost:5000/base@sha256:1",
            ),
            (
                "localhost:5000/base:1@sha256:1",
                "localhost:5000/base@sha256:1",
            ),
            ("base:1@sha256:1", "base@sha256:1"),
        ] {
            assert_eq!(for_engine(name), asked);
        }
    }

    #[test]
    fn the_newest_images_stay_and_those_in_use_and_those_of_others() {
        let image = |number: i64, name: &str| ImageSummary {
            id: format!("id-{number}"),
            created: number,
            repo_tags: vec![name.to_owned()],
            ..ImageSummary::default()
        };
        let mut found: Vec<_> = (0..14)
            .map(|number| image(number, &format!("{INSTALLED}{number}:latest")))
            .collect();
        // With our label, and a name that we do not give.
        found.push(image(0, "registry.example.com/base:1"));
        let used = HashSet::from(["id-1".to_owned()]);
        let surplus = surplus(found, &used);
        let names = [3, 2, 0].map(|number| format!("{INSTALLED}{number}:latest"));
        assert_eq!(surplus, names);
    }
}
