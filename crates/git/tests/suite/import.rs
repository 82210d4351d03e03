//! Taking over existing repositories.

use nightshift_git::{GitError, ImportSource, Imported, Repository};

use crate::world::{Below, Served, World};

async fn import(world: &World, source: &str) -> Result<Imported, GitError> {
    let source: ImportSource = source.parse().expect("a source");
    let path = world.path("imported.git");
    Repository::import(&world.git, &source, &path, None, |_| {}).await
}

#[tokio::test]
async fn a_worktree_is_taken_with_its_branches_and_tags() {
    let world = World::new().await;
    let path = world.worktree("work");
    world.client("work", &["branch", "-m", "trunk"]);
    world.client("work", &["tag", "-a", "v1", "-m", "one"]);
    world.client("work", &["branch", "feature/x"]);
    world.client("work", &["branch", "nightshift/3"]);
    world.client("work", &["update-ref", "refs/notes/x", "HEAD"]);
    let mut lines = Vec::new();
    let source: ImportSource = path.to_str().expect("text").parse().expect("a source");
    let place = world.path("imported.git");
    let made = Repository::import(&world.git, &source, &place, None, |line| {
        lines.push(line.to_owned());
    })
    .await;
    let made = made.expect("imported");
    assert_eq!(made.default_branch.as_str(), "trunk");
    assert_eq!(
        (made.branches, made.tags),
        (2, 1),
        "branches of the platform are not taken"
    );
    let refs = made.repository.list_refs("refs/").await.expect("refs");
    let names: Vec<_> = refs.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(
        names,
        ["refs/heads/feature/x", "refs/heads/trunk", "refs/tags/v1"]
    );
    assert_eq!(
        made.repository
            .default_branch()
            .await
            .expect("HEAD")
            .as_str(),
        "trunk"
    );
    assert!(lines.iter().any(|line| line.contains("trunk")), "{lines:?}");
    assert_eq!(
        made.repository.fsck().await.expect("fsck"),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn an_empty_repository_is_taken_too() {
    let world = World::new().await;
    let path = world.repo.path().to_str().expect("text").to_owned();
    let made = import(&world, &path).await.expect("imported");
    assert_eq!((made.default_branch.as_str(), made.branches), ("main", 0));
}

#[tokio::test]
async fn a_detached_head_gives_a_branch_that_exists() {
    let world = World::new().await;
    let path = world.worktree("work");
    world.client("work", &["branch", "-m", "master"]);
    world.client("work", &["checkout", "-q", "--detach"]);
    let made = import(&world, path.to_str().expect("text"))
        .await
        .expect("imported");
    assert_eq!(made.default_branch.as_str(), "master");
}

#[tokio::test]
async fn a_url_is_fetched() {
    let world = World::new().await;
    let tip = world.commit(&[], &[("a", "1")]).await;
    world.branch("main", &tip).await;
    let served = Served::start(&world.repo, Below::CAREFUL).await;
    let made = import(&world, &served.url).await.expect("imported");
    let name = "refs/heads/main".parse().expect("a ref");
    assert_eq!(
        made.repository.resolve(&name).await.expect("resolve"),
        Some(tip)
    );
}

#[tokio::test]
async fn a_failure_leaves_nothing_and_says_why() {
    let world = World::new().await;
    let before = std::fs::read_dir(world.dir.path())
        .expect("a directory")
        .count();
    let missing = import(&world, "/nowhere/at/all").await;
    assert!(
        matches!(missing, Err(GitError::BadSource { .. })),
        "{missing:?}"
    );
    let no_repository = import(&world, world.dir.path().to_str().expect("text")).await;
    assert!(
        matches!(no_repository, Err(GitError::Failed { .. })),
        "{no_repository:?}"
    );
    let closed = import(&world, "http://127.0.0.1:1/x.git").await;
    assert!(matches!(closed, Err(GitError::Failed { .. })), "{closed:?}");
    let after = std::fs::read_dir(world.dir.path())
        .expect("a directory")
        .count();
    assert_eq!(before, after);
}
