//! Images that come from a registry: a real one on this machine, which wants a user. The engine of the
//! tests knows that it speaks plain HTTP (`scripts/containers/engine.sh`).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use futures_util::TryStreamExt as _;
use nightshift_api::runner::End;
use nightshift_domain::failure::Reason;
use nightshift_runner::registry::{Password, Registries, RegistryUser};

use super::house::{House, container};
use super::image::{failed, names, text};
use super::picture::{self, Files};

/// Where the engine expects it.
const PLACE: &str = "127.0.0.1:7313";
/// A user of the registry; the file has `secret-7315` as bcrypt keeps it.
const USER: &str = "robot";
const PASSWORD: &str = "secret-7315";
const USERS: &str = "robot:$2b$04$r.0FnxxLh0XCDQPahFyhwugzPRvTRoJcNZUoSU66/rE58C2AUmFfC\n";

/// A registry; it ends when this is dropped.
struct Registry(Child);

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Registry {
    #[expect(clippy::disallowed_methods, reason = "a program that the test needs")]
    async fn start(folder: &Path) -> Self {
        let settings = folder.join("registry.yml");
        std::fs::write(folder.join("users"), USERS).unwrap();
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {0}/blobs}}}}\nhttp: {{addr: {PLACE}}}\nauth: {{htpasswd: {{realm: tests, path: {0}/users}}}}\n",
            folder.display()
        );
        std::fs::write(&settings, text).unwrap();
        let start = |name: &str| {
            Command::new(name)
                .arg("serve")
                .arg(&settings)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let child = start("docker-registry").or_else(|_| start("registry"));
        let registry = Self(child.expect("docker-registry is missing: run scripts/setup"));
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(PLACE).await.is_ok() {
                return registry;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the registry does not answer");
    }
}

/// Puts an image with this word into the registry, and takes it from the engine.
async fn push(name: &str, word: &str) {
    let mut files = Files::plain();
    files.file("word", 0o644, word.as_bytes());
    picture::import(name, picture::archive(files), &[]).await;
    let credentials = DockerCredentials {
        username: Some(USER.to_owned()),
        password: Some(PASSWORD.to_owned()),
        serveraddress: Some(PLACE.to_owned()),
        ..DockerCredentials::default()
    };
    let options = bollard::query_parameters::PushImageOptionsBuilder::new()
        .tag("latest")
        .build();
    let docker = picture::docker();
    let pushed = docker.push_image(name, Some(options), Some(credentials));
    let pushed: Result<Vec<_>, _> = pushed.try_collect().await;
    pushed.expect("pushed");
    picture::remove(name).await;
}

fn registries(rule: &str, password: &str) -> Registries {
    Registries {
        pull: vec![rule.parse().unwrap()],
        users: vec![RegistryUser {
            host: PLACE.to_owned(),
            user: USER.to_owned(),
            password: Password::Known(nightshift_runner::secret::Secret::new(password)),
        }],
    }
}

mod container {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_operator_allows_is_pulled_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::start(folder.path()).await;
        let allowed = format!("{PLACE}/team/base");
        let other = format!("{PLACE}/other/base");
        push(&allowed, "first\n").await;
        push(&other, "other\n").await;

        let mut house = House::empty(&[("a.txt", "one\n")]).await;
        let mut config = house.config();
        config.backend = super::container();
        config.registries = registries(&format!("{PLACE}/team/*"), PASSWORD);
        house.runner(config);
        let house = &mut house;
        let body = "```sh\ncat /word; echo two >a.txt\n```\n";
        let mut order = house.author(body);
        names(&mut order, &other);
        let run = house.give(&order);
        let failure = failed(house, run).await;
        assert_eq!(failure.reason, Reason::Misconfigured, "{failure:?}");
        assert!(
            failure.detail.as_str().contains("do not allow to pull it"),
            "{failure:?}"
        );

        let pull = async |house: &mut House, name: &str| {
            let mut order = house.author(body);
            names(&mut order, name);
            let run = house.give(&order);
            let complete = house.server.ended(run).await;
            let said = text(house, run);
            assert!(
                matches!(complete.end, End::Authored { .. }),
                "{complete:?}\n{said}"
            );
            assert!(!said.contains(PASSWORD), "{said}");
            said
        };
        let said = pull(house, &allowed).await;
        assert!(
            said.contains(&format!("fetches the image {allowed}")),
            "{said}"
        );
        assert!(
            said.contains("\nfirst\n") && said.contains(", digest sha256:"),
            "{said}"
        );
        // It is there, and fresh.
        let said = pull(house, &allowed).await;
        assert!(!said.contains("fetches"), "{said}");
        let digest = said.split("digest ").nth(1).unwrap();
        let digest = digest.lines().next().unwrap().to_owned();

        // The content of a digest is fetched where it is gone, whatever the tag means now.
        let id = said.split("id ").nth(1).unwrap().split(',').next().unwrap();
        picture::remove(id).await;
        push(&allowed, "second\n").await;
        let said = pull(house, &format!("{allowed}:latest@{digest}")).await;
        assert!(
            said.contains("fetches") && said.contains("\nfirst\n"),
            "{said}"
        );
        house.drain().await;

        // A registry that does not let it in is a failure that may pass.
        picture::remove(&format!("{allowed}@{digest}")).await;
        picture::remove(&allowed).await;
        let mut house = House::empty(&[("a.txt", "one\n")]).await;
        let mut config = house.config();
        config.backend = super::container();
        config.registries = registries(&allowed, "wrong");
        house.runner(config);
        let house = &mut house;
        let mut order = house.author(body);
        names(&mut order, &allowed);
        let run = house.give(&order);
        let failure = failed(house, run).await;
        assert_eq!(failure.reason, Reason::SandboxUnavailable, "{failure:?}");
        assert!(
            failure.detail.as_str().contains("could not be pulled"),
            "{failure:?}"
        );
        assert!(!failure.detail.as_str().contains("wrong"), "{failure:?}");
        house.drain().await;
        drop(registry);
    }
}
