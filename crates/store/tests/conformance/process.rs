//! Several processes, killed processes, full disks.
#![expect(
    clippy::disallowed_methods,
    reason = "starts this test binary again as a process that can be killed"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nightshift_store::*;

use crate::world::{World, at};

/// What the child shall do, `<task>:<database file>`.
const TASK: &str = "NIGHTSHIFT_STORE_TEST_CHILD";

fn file(w: &World) -> PathBuf {
    match &w.location {
        Location::Sqlite(path) => path.clone(),
        Location::Postgres(_) => panic!("a case for SQLite"),
    }
}

fn spawn(mut command: Command, task: &str, database: &Path) -> Child {
    command
        .args(["--exact", "child_of_sqlite", "--nocapture"])
        .env(TASK, format!("{task}:{}", database.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn this_binary() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// The lines a child says to its parent, without what the test harness adds.
fn said(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| Some(line.split_once("said ")?.1.to_owned()))
}

fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout();
    writeln!(out, "said {text}").unwrap();
    out.flush().unwrap();
}

pub(crate) fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let (task, path) = task.split_once(':').unwrap();
    let location = Location::Sqlite(PathBuf::from(path));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        match task {
            "open" => match Db::open(&location).await {
                Ok(_) => say("opened"),
                Err(error) => say(error),
            },
            "commit" => commit_for_ever(World::open(location).await).await,
            "fill" => fill(World::open(location).await).await,
            other => panic!("no task {other}"),
        }
    });
}

async fn commit_for_ever(w: World) {
    loop {
        let mut tx = w.db.write().await.unwrap();
        let seq = event_append(&mut tx, &w.happened("a", None), at(1))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        say(seq);
    }
}

pub(crate) async fn a_second_process_is_refused(w: World) {
    let path = file(&w);
    let open = || {
        let mut child = spawn(this_binary(), "open", &path);
        let words: Vec<String> = said(&mut child).collect();
        child.wait().unwrap();
        words.join("; ")
    };
    let refused = open();
    let lock = format!("{}.lock is locked", path.display());
    let pid = format!("(process {})", std::process::id());
    assert!(
        refused.contains(&lock) && refused.contains(&pid),
        "{refused}"
    );
    assert!(matches!(
        Db::open(&w.location).await,
        Err(Error::Locked { .. })
    ));
    w.db.close().await;
    assert_eq!(open(), "opened");
}

pub(crate) async fn a_killed_process_loses_nothing_it_acknowledged(w: World) {
    let path = file(&w);
    let mut db = w.db;
    let mut acknowledged = 0;
    for kills in 1..=12 {
        db.close().await;
        let mut child = spawn(this_binary(), "commit", &path);
        let mut lines = said(&mut child);
        for line in lines.by_ref().take(kills * 3) {
            acknowledged = line.parse::<i64>().unwrap();
        }
        // It goes on committing until the signal arrives.
        child.kill().unwrap();
        for line in lines {
            acknowledged = line.parse::<i64>().unwrap();
        }
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(9), "it ended by itself: {ended}");
        db = Db::open(&w.location).await.unwrap();
        db.check().await.unwrap();
        let mut tx = db.read().await.unwrap();
        let kept = event_verify_chain(&mut tx).await.unwrap();
        assert!(kept >= acknowledged, "{kept} kept of {acknowledged}");
        drop(tx);
        acknowledged = kept;
    }
    assert!(acknowledged >= 100, "only {acknowledged} were written");
}

/// Fills the disk it is on; the parent gave it a small one.
async fn fill(w: World) {
    let mut written = 0;
    let refused = loop {
        let mut event = w.happened("a", None);
        event.data = serde_json::Value::String("x".repeat(20_000));
        let mut tx = w.db.write().await.unwrap();
        if let Err(error) = event_append(&mut tx, &event, at(1)).await {
            break error;
        }
        match tx.commit().await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    say(matches!(refused, Error::Full(_)));
    say(format!("{refused:?}"));
    let mut tx = w.db.read().await.unwrap();
    let kept = event_verify_chain(&mut tx).await.unwrap();
    say(kept == written && kept > 10);
    drop(tx);
    say(w.db.check().await.is_ok());
}

pub(crate) async fn a_full_disk_refuses_writes_and_keeps_reads(_: World) {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=2m none \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap());
    let mut child = spawn(command, "fill", &folder.path().join("n.db"));
    let words: Vec<String> = said(&mut child).collect();
    child.wait().unwrap();
    assert_eq!(words.len(), 4, "{words:?}");
    let good = words[0] == "true" && words[2] == "true" && words[3] == "true";
    assert!(good, "{words:?}");
}

pub(crate) async fn replicas_start_together(w: World) {
    w.raw("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
        .unwrap();
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let location = w.location.clone();
        starts.spawn(async move { Db::open(&location).await.map(|_| ()) });
    }
    for started in starts.join_all().await {
        started.unwrap();
    }
    w.db.check().await.unwrap();
}
