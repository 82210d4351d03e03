//! What all tests use: a bare repository, a client with a worktree, a server, raw pushes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::TryStreamExt as _;
use nightshift_domain::git_name::{ObjectId, RefName};
use nightshift_git::{
    Git, Limits, Movement, NewCommit, Person, Protocol, PushPolicy, Received, RefUpdate,
    Repository, Service, Settings,
};
use tempfile::TempDir;
use tokio_util::io::StreamReader;

/// A temporary directory with the bare repository `server.git`.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) git: Git,
    pub(crate) repo: Repository,
}

pub(crate) fn git_with(limits: Limits) -> Git {
    Git::new(Settings {
        program: PathBuf::from("git"),
        path: std::env::var_os("PATH").expect("PATH"),
        proxy: None,
        ca_file: None,
        limits,
    })
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let git = git_with(limits);
        let main = "main".parse().expect("a branch");
        let repo = Repository::init_bare(&git, &dir.path().join("server.git"), &main)
            .await
            .expect("a repository");
        Self { dir, git, repo }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a client's git in a directory of the world; returns success and all it said.
    pub(crate) fn try_client(&self, at: &str, args: &[&str]) -> (bool, String) {
        client(&self.path(at), args)
    }

    pub(crate) fn client(&self, at: &str, args: &[&str]) -> String {
        let (good, said) = self.try_client(at, args);
        assert!(good, "git {args:?}: {said}");
        said.trim().to_owned()
    }

    /// A worktree with one commit on `main`.
    pub(crate) fn worktree(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).expect("a directory");
        self.client(name, &["init", "-q", "-b", "main"]);
        std::fs::write(path.join("a.txt"), "one\ntwo\nthree\n").expect("a file");
        self.client(name, &["add", "."]);
        self.client(name, &["commit", "-q", "-m", "first"]);
        path
    }

    /// A commit of these files on the server, on no ref.
    pub(crate) async fn commit(&self, parents: &[ObjectId], files: &[(&str, &str)]) -> ObjectId {
        commit(&self.repo, parents, files).await
    }

    pub(crate) async fn branch(&self, name: &str, to: &ObjectId) {
        let update = update(&format!("refs/heads/{name}"), None, Some(to));
        self.repo
            .update_refs(&[update], "test")
            .await
            .expect("a branch");
    }

    pub(crate) async fn tip(&self, name: &str) -> Option<ObjectId> {
        let name: RefName = name.parse().expect("a ref");
        self.repo.resolve(&name).await.expect("resolve")
    }

    /// Files in the object directory of the server, without what maintenance makes.
    pub(crate) fn object_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.repo.path().join("objects"), &mut files);
        files.sort();
        files
    }

    pub(crate) async fn assert_sound(&self) {
        assert_eq!(self.repo.fsck().await.expect("fsck"), Vec::<String>::new());
        let mut files = Vec::new();
        walk(self.repo.path(), &mut files);
        for file in files {
            let text = file.display().to_string();
            let left = text.ends_with(".lock") || text.ends_with(".keep") || text.contains("/tmp_");
            assert!(!left, "{text} was left behind");
        }
    }
}

pub(crate) async fn commit(
    repo: &Repository,
    parents: &[ObjectId],
    files: &[(&str, &str)],
) -> ObjectId {
    let changes: Vec<_> = files
        .iter()
        .map(|(path, text)| nightshift_git::FileChange {
            path: (*path).into(),
            content: nightshift_git::FileContent::Bytes(
                nightshift_git::Mode::File,
                text.as_bytes().to_vec(),
            ),
        })
        .collect();
    let tree = repo.write_tree_with(None, &changes).await.expect("a tree");
    commit_of(repo, &tree, parents).await
}

pub(crate) async fn commit_of(
    repo: &Repository,
    tree: &ObjectId,
    parents: &[ObjectId],
) -> ObjectId {
    let person = Person {
        name: "Test".to_owned(),
        email: "test@example.com".to_owned(),
    };
    let new = NewCommit {
        tree,
        parents,
        author: &person,
        committer: &person,
        message: "a commit\n",
        time: 1_700_000_000,
    };
    repo.commit_tree(new).await.expect("a commit")
}

pub(crate) fn client(at: &Path, args: &[&str]) -> (bool, String) {
    client_with(at, args, &[], &[])
}

/// A client's git with input; returns success and output with error output.
pub(crate) fn client_with(
    at: &Path,
    args: &[&str],
    env: &[(&str, &str)],
    input: &[u8],
) -> (bool, String) {
    let (good, out, err) = client_bytes(at, args, env, input);
    (good, format!("{}{err}", String::from_utf8_lossy(&out)))
}

pub(crate) fn client_bytes(
    at: &Path,
    args: &[&str],
    env: &[(&str, &str)],
    input: &[u8],
) -> (bool, Vec<u8>, String) {
    use std::io::Write as _;
    let mut child = Command::new("git")
        .args(args)
        .current_dir(at)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("PATH"))
        .env("HOME", at)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Client")
        .env("GIT_AUTHOR_EMAIL", "client@example.com")
        .env("GIT_COMMITTER_NAME", "Client")
        .env("GIT_COMMITTER_EMAIL", "client@example.com")
        .envs(env.iter().copied())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("git");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("git ends");
    drop(feed.join());
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), output.stdout, err)
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

pub(crate) fn update(name: &str, old: Option<&ObjectId>, new: Option<&ObjectId>) -> RefUpdate {
    RefUpdate {
        name: name.parse().expect("a ref name"),
        old: old.cloned().unwrap_or_else(ObjectId::zero),
        new: new.cloned().unwrap_or_else(ObjectId::zero),
    }
}

/// A policy of the tests: refs below one prefix, perhaps forced, perhaps deleted.
#[derive(Clone, Copy)]
pub(crate) struct Below {
    pub(crate) prefix: &'static str,
    pub(crate) force: bool,
    pub(crate) delete: bool,
}

impl Below {
    pub(crate) const ANY: Self = Self {
        prefix: "refs/",
        force: true,
        delete: true,
    };
    pub(crate) const CAREFUL: Self = Self {
        prefix: "refs/",
        force: false,
        delete: false,
    };
}

impl PushPolicy for Below {
    fn may_name(&self, update: &RefUpdate) -> Result<(), String> {
        if update.name.as_str().starts_with(self.prefix) {
            Ok(())
        } else {
            Err(format!("this token can write {} only", self.prefix))
        }
    }

    fn may_move(&self, _update: &RefUpdate, movement: Movement) -> Result<(), String> {
        match movement {
            Movement::Forced if !self.force => Err("force is not allowed".to_owned()),
            Movement::Delete if !self.delete => Err("deletion is not allowed".to_owned()),
            Movement::Create | Movement::FastForward | Movement::Forced | Movement::Delete => {
                Ok(())
            }
        }
    }
}

/// The request of a push as a client would send it.
pub(crate) fn push_body(commands: &[(&str, &ObjectId, &ObjectId)], pack: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut capabilities = "\0report-status side-band-64k";
    for (name, old, new) in commands {
        let line = format!("{old} {new} {name}{capabilities}");
        body.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
        capabilities = "";
    }
    body.extend_from_slice(b"0000");
    body.extend_from_slice(pack);
    body
}

/// A pack of everything that `include` reaches and `exclude` does not.
pub(crate) fn pack(at: &Path, include: &ObjectId, exclude: &[&ObjectId], args: &[&str]) -> Vec<u8> {
    let mut revisions = format!("{include}\n");
    for id in exclude {
        revisions.push_str(&format!("^{id}\n"));
    }
    let args = [&["pack-objects", "--revs", "--stdout", "-q"], args].concat();
    let (good, pack, said) = client_bytes(at, &args, &[], revisions.as_bytes());
    assert!(good, "{said}");
    pack
}

pub(crate) async fn receive(repo: &Repository, body: Vec<u8>, policy: Below) -> Received {
    repo.receive_pack(std::io::Cursor::new(body), &policy, "push by test", &|_| {})
        .await
        .expect("an answer")
}

/// A server of one repository.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) repo: Repository,
    pub(crate) policy: Below,
    pub(crate) url: String,
    pub(crate) received: Arc<Mutex<Vec<Received>>>,
}

impl Served {
    pub(crate) async fn start(repo: &Repository, policy: Below) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = Self {
            repo: repo.clone(),
            policy,
            url: format!("http://{address}/p.git"),
            received: Arc::default(),
        };
        let router = Router::new()
            .route("/p.git/info/refs", get(info_refs))
            .route("/p.git/git-upload-pack", post(upload))
            .route("/p.git/git-receive-pack", post(receive_push))
            .layer(tower_http::decompression::RequestDecompressionLayer::new())
            .with_state(served.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        served
    }
}

fn protocol(headers: &HeaderMap) -> Protocol {
    Protocol::from_header(headers.get("git-protocol").map(|value| value.as_bytes()))
}

async fn info_refs(
    State(served): State<Served>,
    Query(query): Query<std::collections::HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let service = query
        .get("service")
        .and_then(|name| Service::from_name(name));
    let Some(service) = service else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let body = match service {
        Service::UploadPack => served.repo.advertise_upload(protocol(&headers)).await,
        Service::ReceivePack => served.repo.advertise_receive(|_| true).await,
    };
    let media = format!("application/x-{}-advertisement", service.name());
    ([("content-type", media)], body.expect("an advertisement")).into_response()
}

async fn upload(State(served): State<Served>, request: Request) -> Response {
    let version = protocol(request.headers());
    let body = StreamReader::new(
        request
            .into_body()
            .into_data_stream()
            .map_err(std::io::Error::other),
    );
    let answer = served
        .repo
        .upload_pack(version, Box::pin(body))
        .expect("git starts");
    let media = "application/x-git-upload-pack-result";
    ([("content-type", media)], Body::from_stream(answer)).into_response()
}

async fn receive_push(State(served): State<Served>, request: Request) -> Response {
    let body = StreamReader::new(
        request
            .into_body()
            .into_data_stream()
            .map_err(std::io::Error::other),
    );
    let received = served
        .repo
        .receive_pack(Box::pin(body), &served.policy, "push by client", &|_| {})
        .await;
    match received {
        Ok(received) => {
            let response = received.response.clone();
            served.received.lock().expect("lock").push(received);
            let media = "application/x-git-receive-pack-result";
            ([("content-type", media)], response).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}
