//! Push and clone with the stock client, through our server and through git's own `http-backend`.
//!
//! Ours also checks the token, every object and the policy, and writes an event; the reference does
//! none of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::backend;
use crate::floor::{millis, percentiles};
use crate::house::{House, git, repository};
use crate::row;

const FILES: usize = 5_000;
const PUSHES: usize = 30;
const CLONES: usize = 5;
/// The size of the repository that is cloned: blobs that cannot be packed.
const BLOBS: usize = 24;
const BLOB: usize = 2 << 20;
const MIB: usize = (BLOBS * BLOB) >> 20;

pub(crate) async fn rows(house: &House) -> Vec<String> {
    let root = house.path("reference");
    fs::create_dir_all(&root).expect("a folder");
    let reference = backend::serve(&root).await;
    let source = house.path("push-source");
    fs::create_dir_all(&source).expect("a folder");
    repository(&source, FILES);
    let big = house.path("clone-source");
    fs::create_dir_all(&big).expect("a folder");
    blobs(&big);
    for (path, name) in [(&source, "push"), (&big, "clone")] {
        house.add(path, name);
        let bare = root.join(format!("{name}.git"));
        let bare = bare.to_string_lossy();
        git(path, &["clone", "-q", "--bare", ".", &bare]);
        git(Path::new(&*bare), &["config", "http.receivepack", "true"]);
        // A push leaves one pack; so has the reference one.
        git(Path::new(&*bare), &["repack", "-a", "-d", "-q"]);
    }
    // git is waited for on threads of its own, while this runtime serves the reference.
    let ours_url = |name: &str| house.git_url(name);
    let theirs_url = |name: &str| format!("{reference}/{name}.git");
    let urls = [ours_url("push"), theirs_url("push")];
    let folder = house.path("clients");
    let pushes = tokio::task::spawn_blocking(move || push(&folder, &urls));
    let [mut ours, mut theirs] = pushes.await.expect("pushes");
    let (o50, o99) = percentiles(&mut ours);
    let (t50, t99) = percentiles(&mut theirs);
    let urls = [ours_url("clone"), theirs_url("clone")];
    let folder = house.path("clones");
    let clones = tokio::task::spawn_blocking(move || clone(&folder, &urls));
    let [mut fetched, mut given] = clones.await.expect("clones");
    let (ours, _) = percentiles(&mut fetched);
    let (theirs, _) = percentiles(&mut given);
    let megabytes = f64::from(u32::try_from(MIB).expect("a size")) * 1000.0;
    vec![
        row("push of one commit, p50", o50, t50, "≤ 1.2"),
        row("push of one commit, p99", o99, t99, ""),
        format!(
            "| clone of {MIB} MiB | {:.0} MiB/s | {:.0} MiB/s | {:.2} | ≥ 1 |",
            megabytes / ours,
            megabytes / theirs,
            theirs / ours
        ),
    ]
}

/// Milliseconds of each push, to either.
fn push(folder: &Path, urls: &[String; 2]) -> [Vec<f64>; 2] {
    fs::create_dir_all(folder).expect("a folder");
    let clients: Vec<PathBuf> = (0..2)
        .map(|which| {
            let path = folder.join(which.to_string());
            let to = path.to_string_lossy();
            git(folder, &["clone", "-q", &urls[which], &to]);
            path
        })
        .collect();
    let mut took = [Vec::new(), Vec::new()];
    // The first of each makes the branch and is not counted.
    for round in 0..=PUSHES {
        for (client, took) in clients.iter().zip(&mut took) {
            fs::write(client.join("d7/f700.txt"), format!("round {round}\n")).expect("a file");
            git(client, &["commit", "-q", "-a", "-m", "one more"]);
            let begin = Instant::now();
            git(client, &["push", "-q", "origin", "HEAD:refs/heads/bench"]);
            if round > 0 {
                took.push(millis(begin.elapsed()));
            }
        }
    }
    took
}

/// Milliseconds of each clone, from either.
fn clone(folder: &Path, urls: &[String; 2]) -> [Vec<f64>; 2] {
    fs::create_dir_all(folder).expect("a folder");
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..CLONES {
        for (which, took) in took.iter_mut().enumerate() {
            let path = folder.join(format!("{which}-{round}"));
            let to = path.to_string_lossy();
            let begin = Instant::now();
            git(folder, &["clone", "-q", "--bare", &urls[which], &to]);
            took.push(millis(begin.elapsed()));
            fs::remove_dir_all(&path).expect("removed");
        }
    }
    took
}

/// A repository of bytes that look like luck, the same every time.
fn blobs(path: &Path) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..BLOBS {
        let mut bytes = Vec::with_capacity(BLOB);
        while bytes.len() < BLOB {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        fs::write(path.join(format!("{number}.bin")), bytes).expect("a file");
    }
    git(path, &["init", "-q", "-b", "main"]);
    git(path, &["add", "-A"]);
    git(path, &["commit", "-q", "-m", "blobs"]);
}
