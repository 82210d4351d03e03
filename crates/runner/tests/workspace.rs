//! From a server's repository to a run's tree: fetched with a token that stays secret, checked out
//! once, shared by overlays, brought to the start commit inside the sandbox.

mod kit;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kit::{DONE, Ran, config, finish, step};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{ProjectId, RunId};
use nightshift_runner::sandbox::{Limits, Sandbox, SandboxHost, Tree};
use nightshift_runner::secret::Secret;
use nightshift_runner::workspace::{Source, Workspace, WorkspaceError, Workspaces};
use tokio::net::TcpListener;

const TOKEN: &str = "run-token-CANARY-8812";

/// A repository served over smart HTTP to whoever has the token.
struct Forge {
    dir: tempfile::TempDir,
    url: String,
    _task: tokio::task::JoinSet<()>,
}

impl Forge {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        git(dir.path(), &["init", "-q", "-b", "main", "work"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url = format!("http://{address}/work/.git");
        let root = dir.path().to_owned();
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let root = root.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| backend(root.clone(), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    http.serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Self {
            dir,
            url,
            _task: task,
        }
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn commit(&self, files: &[(&str, &str)]) -> ObjectId {
        for (name, text) in files {
            let path = self.work().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            std::fs::write(path, text).expect("a file");
        }
        git(&self.work(), &["add", "-A"]);
        git(
            &self.work(),
            &[
                "-c",
                "user.name=T",
                "-c",
                "user.email=t@example.com",
                "commit",
                "-q",
                "-m",
                "c",
            ],
        );
        git(&self.work(), &["rev-parse", "HEAD"])
            .trim()
            .parse()
            .expect("an id")
    }

    fn source(&self, token: &str) -> Source {
        Source {
            project: ProjectId(uuid::Uuid::from_u128(7)),
            url: self.url.clone(),
            token: Secret::new(token),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the test's own git")]
fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .output()
        .expect("git");
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// `git http-backend` behind one token.
#[expect(clippy::disallowed_methods, reason = "the test's own git")]
async fn backend(
    root: PathBuf,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let refuse = |status| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        Ok(response)
    };
    if header("authorization") != format!("Bearer {TOKEN}") {
        return refuse(StatusCode::UNAUTHORIZED);
    }
    let mut command = tokio::process::Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", request.uri().path())
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("git http-backend");
    let body = request
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    let mut stdin = child.stdin.take().expect("input");
    let write = async move {
        tokio::io::AsyncWriteExt::write_all(&mut stdin, &body)
            .await
            .ok()
    };
    let (_, output) = tokio::join!(write, child.wait_with_output());
    let output = output.expect("an answer").stdout;
    let Some(end) = output.windows(4).position(|w| w == b"\r\n\r\n") else {
        return refuse(StatusCode::BAD_GATEWAY);
    };
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(&output[end + 4..])));
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        if let Some(("Content-Type", value)) = line.split_once(": ") {
            response
                .headers_mut()
                .insert("content-type", value.parse().expect("a value"));
        }
        if let Some(("Status", value)) = line.split_once(": ") {
            *response.status_mut() = value[..3].parse().expect("a status");
        }
    }
    Ok(response)
}

struct Runner {
    host: Arc<SandboxHost>,
    workspaces: Workspaces,
    dir: tempfile::TempDir,
}

impl Runner {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let host = SandboxHost::open(config(dir.path()))
            .await
            .expect("a machine");
        let workspaces = Workspaces::new(Arc::clone(&host), "git".into());
        Self {
            host,
            workspaces,
            dir,
        }
    }

    /// Brings the workspace to its start and runs a script in it.
    async fn sh(&self, workspace: &Workspace, script: &str) -> Ran {
        let limits = Limits {
            host_free_bytes: 0,
            ..Limits::default()
        };
        let sandbox = Sandbox::new(Arc::clone(&self.host), workspace.spec(limits));
        if let Some(command) = workspace.adjust() {
            let mut adjust = step("");
            adjust.command = command;
            let ran = finish(sandbox.spawn(&adjust).await.expect("a start")).await;
            assert_eq!(ran.exit, DONE, "{ran:?}");
        }
        finish(sandbox.spawn(&step(script)).await.expect("a start")).await
    }
}

fn run(number: u128) -> RunId {
    RunId(uuid::Uuid::from_u128(number))
}

/// Every file below `dir` that holds `text`.
fn holding(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            found.extend(holding(&entry.path(), text));
        } else if kind.is_file()
            && String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap_or_default())
                .contains(text)
        {
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test]
async fn runs_see_their_start_commit_and_not_each_other() {
    let forge = Forge::new().await;
    let first = forge.commit(&[
        ("a.txt", "one"),
        ("dir/b.txt", "b"),
        (".gitattributes", "*.txt filter=evil\n"),
    ]);
    let second = forge.commit(&[("a.txt", "two"), ("new/c.txt", "c")]);
    let runner = Runner::new().await;
    let source = forge.source(TOKEN);
    let one = runner
        .workspaces
        .prepare(&source, run(1), &first)
        .await
        .expect("a workspace");
    assert!(matches!(
        one.spec(Limits::default()).tree,
        Tree::Overlay { .. }
    ));
    assert_eq!(
        one.adjust(),
        None,
        "the warm checkout is of the very commit"
    );
    let look = "cat a.txt; git status --porcelain; git rev-parse HEAD; ls";
    let ran = runner.sh(&one, look).await;
    assert_eq!(ran.out, format!("one{first}\na.txt\ndir\n"), "{ran:?}");
    // The second commit comes as a difference over the first one's checkout.
    let two = runner
        .workspaces
        .prepare(&source, run(2), &second)
        .await
        .expect("a workspace");
    assert!(two.adjust().is_some());
    let ran = runner.sh(&two, look).await;
    assert_eq!(
        ran.out,
        format!("two{second}\na.txt\ndir\nnew\n"),
        "{ran:?}"
    );
    let ran = runner.sh(&one, "echo mine > a.txt; rm -r dir; mv .git/HEAD .git/H2; mv .git/H2 .git/HEAD; git -c user.name=a -c user.email=a@b commit -qam x && git log --format=%s").await;
    assert_eq!(ran.out, "x\nc\n", "{ran:?}");
    // A directory of the checkout can be renamed, as `git mv` does.
    let ran = runner
        .sh(
            &two,
            "cat a.txt; git mv new moved && git status --porcelain",
        )
        .await;
    if runner.host.support().identity.is_some() {
        assert_eq!(ran.out, "twoR  new/c.txt -> moved/c.txt\n", "{ran:?}");
    }
    let three = runner
        .workspaces
        .prepare(&source, run(3), &first)
        .await
        .expect("a workspace");
    let ran = runner.sh(&three, look).await;
    assert_eq!(ran.out, format!("one{first}\na.txt\ndir\n"), "{ran:?}");
    assert_eq!(holding(runner.dir.path(), TOKEN), Vec::<PathBuf>::new());
    let path = one.run_dir().path().to_owned();
    one.remove().expect("removed");
    assert!(!path.exists());
}

#[tokio::test]
async fn ten_runs_at_once_make_one_checkout() {
    let forge = Forge::new().await;
    let commit = forge.commit(&[("a.txt", "one")]);
    let runner = Runner::new().await;
    let source = forge.source(TOKEN);
    let all = (0..10).map(|number| runner.workspaces.prepare(&source, run(number), &commit));
    let all = futures_util::future::join_all(all).await;
    for workspace in all {
        let workspace = workspace.expect("a workspace");
        assert_eq!(runner.sh(&workspace, "cat a.txt").await.out, "one");
    }
    let again = runner.workspaces.prepare(&source, run(3), &commit).await;
    assert!(again.is_err(), "a run has one workspace");
}

#[tokio::test]
async fn warming_ahead_saves_the_difference() {
    let forge = Forge::new().await;
    let first = forge.commit(&[("a.txt", "one")]);
    let second = forge.commit(&[("a.txt", "two")]);
    let runner = Runner::new().await;
    let source = forge.source(TOKEN);
    runner.workspaces.warm(&source, &first).await.expect("warm");
    runner
        .workspaces
        .warm(&source, &second)
        .await
        .expect("warm");
    let workspace = runner
        .workspaces
        .prepare(&source, run(1), &second)
        .await
        .expect("a workspace");
    assert_eq!(workspace.adjust(), None);
    // What is used now is not swept, however much later it is.
    let later = std::fs::metadata(runner.dir.path())
        .expect("a time")
        .modified()
        .expect("a time")
        + Duration::from_secs(9 * 86_400);
    assert_eq!(
        runner.workspaces.sweep(later).expect("a sweep"),
        0,
        "two are kept"
    );
    assert_eq!(runner.sh(&workspace, "cat a.txt").await.out, "two");
}

#[tokio::test]
async fn a_refused_token_is_told_without_the_token() {
    let forge = Forge::new().await;
    let commit = forge.commit(&[("a.txt", "one")]);
    let runner = Runner::new().await;
    let source = forge.source("wrong-token-CANARY");
    let error = runner
        .workspaces
        .prepare(&source, run(1), &commit)
        .await
        .expect_err("refused");
    let text = format!("{error} {error:?}");
    assert!(matches!(error, WorkspaceError::Fetch { .. }), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    let unknown = "0123456789012345678901234567890123456789"
        .parse()
        .expect("an id");
    let error = runner
        .workspaces
        .prepare(&forge.source(TOKEN), run(2), &unknown)
        .await;
    assert!(
        matches!(error, Err(WorkspaceError::Fetch { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_start_sweeps_what_a_killed_runner_left() {
    let forge = Forge::new().await;
    let commit = forge.commit(&[("a.txt", "one")]);
    let Runner {
        host,
        workspaces,
        dir,
    } = Runner::new().await;
    let workspace = workspaces
        .prepare(&forge.source(TOKEN), run(1), &commit)
        .await
        .expect("a workspace");
    let path = workspace.run_dir().path().to_owned();
    drop((workspace, workspaces, host));
    assert!(path.exists());
    let host = SandboxHost::open(config(dir.path()))
        .await
        .expect("a machine");
    assert_eq!(host.support().swept, 1);
    assert!(!path.exists());
}

#[test]
fn all_of_this_holds_for_an_ordinary_user() {
    kit::again_as_an_ordinary_user("all_of_this_holds_for_an_ordinary_user");
}
