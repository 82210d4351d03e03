//! Users, identities, tokens, passwords, runners, projects, members.

use nightshift_domain::access::Role;
use nightshift_domain::config::ConfigError;
use nightshift_domain::id::{IdentityId, ProjectId, TokenId, UserId};
use nightshift_domain::sentence::Kept;
use nightshift_domain::view::Filter;
use nightshift_store::*;

use crate::world::{World, at, commit};

pub(crate) async fn users(w: World) {
    let bob = w.user("bob").await;
    let alice = w.user("alice").await;
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(user_get(&mut tx, bob.id).await.unwrap(), Some(bob.clone()));
    assert_eq!(
        user_by_name(&mut tx, "alice").await.unwrap(),
        Some(alice.clone())
    );
    assert_eq!(user_by_name(&mut tx, "Alice").await.unwrap(), None);
    assert_eq!(user_list(&mut tx).await.unwrap(), [alice, bob.clone()]);
    let again = User {
        id: UserId(w.id()),
        ..bob
    };
    let refused = user_insert(&mut tx, &again).await.unwrap_err();
    assert!(
        matches!(refused, Error::Duplicate { what: "user" }),
        "{refused:?}"
    );
}

pub(crate) async fn secrets(w: World) {
    let (p, q) = (w.project("p").await.id, w.project("q").await.id);
    let sealed = |name: &str, byte: u8, now: i64| SealedSecret {
        name: name.to_owned(),
        sealed: vec![byte, 0, 255],
        set_by: "alice".to_owned(),
        set_at: at(now),
    };
    let mut tx = w.db.write().await.unwrap();
    for (project, secret) in [
        (p, sealed("B", 1, 1)),
        (p, sealed("A", 2, 2)),
        (q, sealed("A", 3, 3)),
        (p, sealed("B", 4, 4)),
    ] {
        secret_set(&mut tx, project, &secret).await.unwrap();
    }
    let of_p = [sealed("A", 2, 2), sealed("B", 4, 4)];
    assert_eq!(secret_list(&mut tx, p).await.unwrap(), of_p);
    assert!(!secret_remove(&mut tx, q, "B").await.unwrap());
    assert!(secret_remove(&mut tx, p, "A").await.unwrap());
    assert_eq!(secret_list(&mut tx, p).await.unwrap(), of_p[1..]);
    assert_eq!(secret_list(&mut tx, q).await.unwrap(), [sealed("A", 3, 3)]);
}

pub(crate) async fn views(w: World) {
    let (alice, bob) = (w.user("alice").await.id, w.user("bob").await.id);
    let about = |label: &str| Filter {
        label: Some(label.to_owned()),
        ..Filter::default()
    };
    let names = |views: &[View]| -> Vec<(String, Option<String>, bool)> {
        let of = |view: &View| {
            (
                view.name.clone(),
                view.filter.label.clone(),
                view.is_default,
            )
        };
        views.iter().map(of).collect()
    };
    let row = |name: &str, label: &str, default| (name.to_owned(), Some(label.to_owned()), default);
    let mut tx = w.db.write().await.unwrap();
    for (user, name, label, now) in [
        (alice, "b", "ui", 1),
        (alice, "a", "api", 2),
        (bob, "a", "his", 1),
        (alice, "b", "web", 3),
    ] {
        view_save(&mut tx, user, name, &about(label), at(now))
            .await
            .unwrap();
    }
    view_set_default(&mut tx, alice, Some("b")).await.unwrap();
    view_set_default(&mut tx, alice, Some("a")).await.unwrap();
    view_save(&mut tx, alice, "a", &about("api 2"), at(9))
        .await
        .unwrap();
    assert!(view_rename(&mut tx, alice, "a", "A").await.unwrap());
    assert!(!view_rename(&mut tx, bob, "b", "c").await.unwrap());
    let found = view_list(&mut tx, alice).await.unwrap();
    assert_eq!(
        names(&found),
        [row("b", "web", false), row("A", "api 2", true)]
    );
    assert_eq!(found[0].created_at, at(1), "the first save counts");
    let his = view_list(&mut tx, bob).await.unwrap();
    assert_eq!(names(&his), [row("a", "his", false)]);
    view_set_default(&mut tx, alice, None).await.unwrap();
    assert!(view_remove(&mut tx, alice, "A").await.unwrap());
    assert!(!view_remove(&mut tx, alice, "A").await.unwrap());
    let found = view_list(&mut tx, alice).await.unwrap();
    assert_eq!(names(&found), [row("b", "web", false)]);
    view_save(&mut tx, alice, "c", &about("x"), at(4))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = w.db.write().await.unwrap();
    let refused = view_rename(&mut tx, alice, "c", "b").await.unwrap_err();
    assert!(
        matches!(refused, Error::Duplicate { what: "view" }),
        "{refused:?}"
    );
}

pub(crate) async fn identities(w: World) {
    let (alice, bob) = (w.user("alice").await, w.user("bob").await);
    let new = |user: UserId, issuer: &str, subject: &str| Identity {
        id: IdentityId(w.id()),
        user,
        provider: "house".to_owned(),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        email: None,
        created_at: at(1),
        used_at: at(1),
    };
    let one = new(alice.id, "https://a.test", "1");
    let two = new(alice.id, "https://b.test", "1");
    let mut tx = w.db.write().await.unwrap();
    for identity in [&one, &two] {
        identity_insert(&mut tx, identity).await.unwrap();
    }
    tx.commit().await.unwrap();
    // One issuer and subject are one person.
    let mut tx = w.db.write().await.unwrap();
    let refused = identity_insert(&mut tx, &new(bob.id, "https://a.test", "1")).await;
    assert!(matches!(
        refused.unwrap_err(),
        Error::Duplicate { what: "identity" }
    ));
    drop(tx);
    let mut tx = w.db.write().await.unwrap();
    let of = identity_list_of_user(&mut tx, alice.id).await.unwrap();
    assert_eq!(of, [one.clone(), two.clone()]);
    identity_used(&mut tx, one.id, Some("a@a.test"), at(9))
        .await
        .unwrap();
    let found = identity_by_subject(&mut tx, "https://a.test", "1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.email.as_deref(), found.used_at),
        (Some("a@a.test"), at(9))
    );
    for (issuer, subject) in [("https://A.test", "1"), ("https://a.test", "2")] {
        let none = identity_by_subject(&mut tx, issuer, subject).await.unwrap();
        assert_eq!(none, None);
    }
    assert!(!identity_remove(&mut tx, one.id, bob.id).await.unwrap());
    assert!(identity_remove(&mut tx, one.id, alice.id).await.unwrap());
    let of = identity_list_of_user(&mut tx, alice.id).await.unwrap();
    assert_eq!(of, [two]);
    assert!(user_set_admin(&mut tx, bob.id, true).await.unwrap());
    let bob = user_get(&mut tx, bob.id).await.unwrap().unwrap();
    assert!(bob.is_admin);
    assert!(!user_set_admin(&mut tx, UserId(w.id()), true).await.unwrap());
}

pub(crate) async fn sign_ins_come_back_once(w: World) {
    let mut tx = w.db.write().await.unwrap();
    for (state, new) in [(1, true), (2, true), (1, false)] {
        let inserted = sign_in_insert(&mut tx, &[state; 32], at(i64::from(state)))
            .await
            .unwrap();
        assert_eq!(inserted, new, "{state}");
    }
    sign_in_sweep(&mut tx, at(2)).await.unwrap();
    for (state, new) in [(1, true), (2, false)] {
        let inserted = sign_in_insert(&mut tx, &[state; 32], at(3)).await.unwrap();
        assert_eq!(inserted, new, "{state}");
    }
}

pub(crate) async fn tokens(w: World) {
    let (project, user, issue) = w.one_issue().await;
    let runner = w.runner("r").await;
    let job = w.order(&issue, 0);
    w.queue(&job).await;
    let (_, run) = w.claim(&job, &runner, 10).await;
    let of_run = Holder::Run {
        run: run.id,
        project: project.id,
    };
    let mut tx = w.db.write().await.unwrap();
    let mut made = Vec::new();
    for (place, holder) in [Holder::Person(user.id), Holder::Runner(runner.id), of_run]
        .into_iter()
        .enumerate()
    {
        let token = Token {
            id: TokenId(w.id()),
            holder,
            label: "laptop".to_owned(),
            expires_at: (place == 0).then(|| at(1000)),
            revoked_at: None,
            created_at: at(1),
            used_at: None,
        };
        let hash = [u8::try_from(place).unwrap(); 32];
        token_insert(&mut tx, &token, &hash).await.unwrap();
        assert_eq!(
            token_by_hash(&mut tx, &hash).await.unwrap(),
            Some(token.clone())
        );
        made.push(token);
    }
    assert_eq!(token_by_hash(&mut tx, &[9; 32]).await.unwrap(), None);
    assert_eq!(
        token_list_of_user(&mut tx, user.id).await.unwrap(),
        made[..1]
    );
    assert!(token_revoke(&mut tx, made[0].id, at(5)).await.unwrap());
    assert!(!token_revoke(&mut tx, made[0].id, at(6)).await.unwrap());
    token_revoke_run(&mut tx, run.id, at(7)).await.unwrap();
    // The latest use counts, in whatever order uses are told.
    for now in [8, 6] {
        token_used(&mut tx, made[1].id, at(now)).await.unwrap();
    }
    let used = token_by_hash(&mut tx, &[1; 32]).await.unwrap().unwrap();
    assert_eq!(used.used_at, Some(at(8)));
    let revoked = |token: Option<Token>| token.unwrap().revoked_at;
    assert_eq!(
        revoked(token_by_hash(&mut tx, &[0; 32]).await.unwrap()),
        Some(at(5))
    );
    assert_eq!(
        revoked(token_by_hash(&mut tx, &[1; 32]).await.unwrap()),
        None
    );
    assert_eq!(
        revoked(token_by_hash(&mut tx, &[2; 32]).await.unwrap()),
        Some(at(7))
    );
    // Those of people, whether they count or not; others and unknown ones are left out.
    let held = token_list_held(&mut tx, &[[0; 32], [1; 32], [2; 32], [9; 32]]);
    let gone = Token {
        revoked_at: Some(at(5)),
        ..made[0].clone()
    };
    assert_eq!(held.await.unwrap(), [([0; 32], gone, user.clone())]);
    assert_eq!(token_list_held(&mut tx, &[]).await.unwrap(), []);
    tx.commit().await.unwrap();
    let mut tx = w.db.write().await.unwrap();
    let twice = Token {
        id: TokenId(w.id()),
        ..made[0].clone()
    };
    let refused = token_insert(&mut tx, &twice, &[0; 32]).await.unwrap_err();
    assert!(
        matches!(refused, Error::Duplicate { what: "token" }),
        "{refused:?}"
    );
}

pub(crate) async fn labelled_tokens(w: World) {
    let (alice, bob) = (w.user("alice").await, w.user("bob").await);
    let mut tx = w.db.write().await.unwrap();
    let tokens = [
        (alice.id, "browser", None),
        (alice.id, "browser", Some(at(2))),
        (alice.id, "Browser", None),
        (alice.id, "browser", None),
        (bob.id, "browser", None),
    ];
    for (place, (user, label, revoked_at)) in tokens.into_iter().enumerate() {
        let token = Token {
            id: TokenId(w.id()),
            holder: Holder::Person(user),
            label: label.to_owned(),
            expires_at: None,
            revoked_at,
            created_at: at(1),
            used_at: None,
        };
        let hash = [u8::try_from(place).unwrap(); 32];
        token_insert(&mut tx, &token, &hash).await.unwrap();
    }
    for (time, expected) in [(5, 2), (6, 0)] {
        let revoked = token_revoke_labelled(&mut tx, alice.id, "browser", at(time)).await;
        assert_eq!(revoked.unwrap(), expected);
    }
    let mut revoked = Vec::new();
    for user in [alice.id, bob.id] {
        let tokens = token_list_of_user(&mut tx, user).await.unwrap();
        revoked.extend(tokens.into_iter().map(|token| token.revoked_at));
    }
    let expected = [Some(at(5)), Some(at(2)), None, Some(at(5)), None];
    assert_eq!(revoked, expected);
}

pub(crate) async fn passwords(w: World) {
    let (alice, bob) = (w.user("alice").await, w.user("bob").await);
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(password_get(&mut tx, alice.id).await.unwrap(), None);
    for (user, hash) in [(alice.id, "$a"), (bob.id, "$b"), (alice.id, "$c")] {
        password_set(&mut tx, user, hash, at(1)).await.unwrap();
    }
    assert!(password_clear(&mut tx, bob.id).await.unwrap());
    assert!(!password_clear(&mut tx, bob.id).await.unwrap());
    for (user, hash) in [(alice.id, Some("$c")), (bob.id, None)] {
        let found = password_get(&mut tx, user).await.unwrap();
        assert_eq!(found.as_deref(), hash);
    }
    let refused = password_set(&mut tx, UserId(w.id()), "$d", at(1))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused:?}");
}

pub(crate) async fn runners(w: World) {
    let mut runner = w.runner("r2").await;
    let first = w.runner("r1").await;
    let mut tx = w.db.write().await.unwrap();
    let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
    runner.slots = 8;
    runner.version = "0.2.0".to_owned();
    runner.kinds = words(&["author", "tryout"]);
    runner.harnesses = words(&[]);
    runner.images = true;
    runner.draining = true;
    let seen = Seen {
        slots: 8,
        version: "0.2.0",
        kinds: runner.kinds.as_deref(),
        harnesses: runner.harnesses.as_deref(),
        images: true,
    };
    runner_seen(&mut tx, runner.id, &seen, at(50))
        .await
        .unwrap();
    runner.last_seen_at = at(50);
    runner_drain(&mut tx, runner.id, true).await.unwrap();
    // A call of its own changes nothing about it.
    runner_seen(&mut tx, runner.id, &seen, at(50))
        .await
        .unwrap();
    assert_eq!(
        runner_get(&mut tx, runner.id).await.unwrap(),
        Some(runner.clone())
    );
    assert_eq!(
        runner_by_name(&mut tx, "r2").await.unwrap(),
        Some(runner.clone())
    );
    assert_eq!(runner_list(&mut tx).await.unwrap(), [first, runner.clone()]);
    runner_drain(&mut tx, runner.id, false).await.unwrap();
    let back = runner_get(&mut tx, runner.id).await.unwrap().unwrap();
    assert!(!back.draining);
    let unknown = nightshift_domain::id::RunnerId(w.id());
    let refused = runner_drain(&mut tx, unknown, true).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused:?}");
    let refused = runner_seen(&mut tx, unknown, &seen, at(1))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::NotFound { what: "runner" }),
        "{refused:?}"
    );
}

pub(crate) async fn projects(w: World) {
    let mut project = w.project("zebra").await;
    let other = w.project("Ant").await;
    let mut tx = w.db.write().await.unwrap();
    assert_eq!(
        project_get(&mut tx, project.id).await.unwrap(),
        Some(project.clone())
    );
    let error = ConfigError {
        field: Some("check[0].run".to_owned()),
        line: Some(3),
        message: Kept::quoted("unknown key"),
    };
    let tip = commit(7);
    project_set_config(
        &mut tx,
        project.id,
        &project.config,
        Some(&error),
        Some(&tip),
    )
    .await
    .unwrap();
    project.config_error = Some(error);
    project.config_commit = Some(tip);
    assert_eq!(
        project_by_name(&mut tx, "zebra").await.unwrap(),
        Some(project.clone())
    );
    assert_eq!(
        project_list(&mut tx).await.unwrap(),
        [other, project.clone()]
    );
    assert_eq!(project_next_number(&mut tx, project.id).await.unwrap(), 1);
    assert_eq!(project_next_number(&mut tx, project.id).await.unwrap(), 2);
    project_lock(&mut tx, project.id).await.unwrap();
    let nowhere = ProjectId(w.id());
    for refused in [
        project_lock(&mut tx, nowhere).await.unwrap_err(),
        project_next_number(&mut tx, nowhere).await.unwrap_err(),
    ] {
        assert!(
            matches!(refused, Error::NotFound { what: "project" }),
            "{refused:?}"
        );
    }
}

pub(crate) async fn members(w: World) {
    let project = w.project("p").await;
    let other = w.project("o").await;
    let other_id = other.id;
    let (bob, alice) = (w.user("bob").await, w.user("alice").await);
    let mut tx = w.db.write().await.unwrap();
    member_set(&mut tx, project.id, bob.id, Role::Reader)
        .await
        .unwrap();
    member_set(&mut tx, project.id, bob.id, Role::Maintainer)
        .await
        .unwrap();
    member_set(&mut tx, other.id, bob.id, Role::Reader)
        .await
        .unwrap();
    member_set(&mut tx, project.id, alice.id, Role::Writer)
        .await
        .unwrap();
    let list = member_list(&mut tx, project.id).await.unwrap();
    assert_eq!(
        list,
        [
            (alice.clone(), Role::Writer),
            (bob.clone(), Role::Maintainer)
        ]
    );
    assert_eq!(
        member_projects(&mut tx, bob.id).await.unwrap(),
        [other, project.clone()]
    );
    assert_eq!(
        member_role(&mut tx, project.id, bob.id).await.unwrap(),
        Some(Role::Maintainer)
    );
    let mut roles = vec![
        (bob.id, project.id, "p".to_owned(), Role::Maintainer),
        (bob.id, other_id, "o".to_owned(), Role::Reader),
        (alice.id, project.id, "p".to_owned(), Role::Writer),
    ];
    roles.sort_by_key(|role| (role.0.0, role.1.0));
    let of_both = member_list_of_users(&mut tx, &[alice.id, bob.id]).await;
    assert_eq!(of_both.unwrap(), roles);
    roles.retain(|role| role.0 == alice.id);
    let of_alice = member_list_of_users(&mut tx, &[alice.id, UserId(w.id())]).await;
    assert_eq!(of_alice.unwrap(), roles);
    assert!(member_remove(&mut tx, project.id, alice.id).await.unwrap());
    assert!(!member_remove(&mut tx, project.id, alice.id).await.unwrap());
    assert_eq!(
        member_role(&mut tx, project.id, alice.id).await.unwrap(),
        None
    );
    let refused = member_set(&mut tx, project.id, UserId(w.id()), Role::Reader)
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused:?}");
}

pub(crate) async fn the_database_has_a_size(w: World) {
    let mut tx = w.db.read().await.unwrap();
    assert!(database_size(&mut tx).await.unwrap() > 4_096);
}
