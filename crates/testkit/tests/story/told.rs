//! Who else is told: events reach outside targets in order, once each, and a dead one delays nobody.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightshift_api::Nothing;
use nightshift_api::issue::Words;
use nightshift_api::operations as op;
use nightshift_api::project::NotificationQuery;
use nightshift_api::runner::End;
use nightshift_app::reconcile::deliver::Target;
use nightshift_domain::failure::Reason;
use nightshift_testkit::World;
use nightshift_testkit::person::place;
use serde_json::Value;
use uuid::Uuid;

/// A target that keeps what it is told, or fails.
struct Ear {
    name: &'static str,
    alive: bool,
    heard: Arc<Mutex<Vec<(Uuid, Value)>>>,
}

impl Target for Ear {
    fn name(&self) -> &str {
        self.name
    }

    fn send(
        &self,
        id: Uuid,
        event: Value,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async move {
            self.heard.lock().expect("a lock").push((id, event));
            if self.alive {
                Ok(())
            } else {
                Err("gone".to_owned())
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_brought_in_order_and_a_dead_target_delays_nobody() {
    let world = World::with_targets(&["good", "dead"]).await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let number = alice.files_ready("tally", "Say hello").await;
    hand.works(&[("hello.txt", "hello\n")]).await;
    alice.approves("tally", number).await.expect("approved");
    world.settle().await;

    let (good, dead) = (Arc::default(), Arc::default());
    let targets: Vec<Box<dyn Target>> = vec![
        Box::new(Ear {
            name: "dead",
            alive: false,
            heard: Arc::clone(&dead),
        }),
        Box::new(Ear {
            name: "good",
            alive: true,
            heard: Arc::clone(&good),
        }),
    ];
    for _ in 0..20 {
        world.app.deliver(&targets).await.expect("a pass");
    }
    let heard = good.lock().expect("a lock").clone();
    let kinds: Vec<_> = heard
        .iter()
        .map(|(_, event)| event["type"].as_str().expect("a kind"))
        .collect();
    assert_eq!(
        kinds,
        [
            "issue.ready",
            "issue.started",
            "pull.head-adopted",
            "pull.green",
            "pull.approved",
            "pull.landed"
        ]
    );
    assert_eq!(
        dead.lock().expect("a lock").len(),
        1,
        "a dead target is asked without a pause"
    );

    world.clock.pass(Duration::from_secs(6));
    world.app.deliver(&targets).await.expect("a pass");
    let tried = dead.lock().expect("a lock").clone();
    assert_eq!(tried.len(), 2);
    assert_eq!(
        tried[0].0, tried[1].0,
        "a repeated delivery needs the same id"
    );
    assert_eq!(good.lock().expect("a lock").len(), 6, "told twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_was_told_is_past_when_its_cause_is_gone() {
    let world = World::new().await;
    world.project("tally").await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let bob = world
        .person("bob", &[("tally", nightshift_domain::access::Role::Writer)])
        .await;
    let unread = async || -> Vec<String> {
        let query = NotificationQuery { unread: true };
        let page = alice
            .client()
            .call::<op::NotificationList>(&Nothing {}, &query, &Nothing {})
            .await
            .expect("notifications");
        page.items.into_iter().map(|told| told.text).collect()
    };
    let number = alice.files_ready("tally", "Say hello").await;
    let order = hand.claims().await.expect("a job");
    let end = End::Asked {
        question: "Which?".to_owned(),
    };
    hand.ends(&order, end, None).await.expect("asked");
    assert!(unread().await[0].contains("question"));
    // Answered, by whoever.
    let words = Words {
        text: "This.".to_owned(),
    };
    bob.call::<op::IssueAnswer>(place("tally", number), words)
        .await
        .expect("answered");
    assert_eq!(unread().await, [""; 0]);
    // Failed, and tried again.
    let order = hand.claims().await.expect("a job");
    hand.fails(&order, Reason::SetupFailed)
        .await
        .expect("failed");
    assert!(unread().await[0].contains("needs you"));
    bob.call::<op::IssueRetry>(place("tally", number), Nothing {})
        .await
        .expect("tried again");
    assert_eq!(unread().await, [""; 0]);
    // Decided, and landed: which is news until it is seen.
    hand.works(&[("hello.txt", "hello\n")]).await;
    assert!(unread().await[0].contains("your decision"));
    bob.approves("tally", number).await.expect("approved");
    assert_eq!(unread().await, [""; 0]);
    world.settle().await;
    let left = unread().await;
    assert!(left.len() == 1 && left[0].contains("landed"), "{left:?}");
}
