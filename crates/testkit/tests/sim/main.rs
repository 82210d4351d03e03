//! Seeded random lives: persons and runners do whatever they like in whatever order, time jumps, the
//! server ends now and then. All the while the invariants hold, and when everybody then does their
//! part, every issue ends. A failing seed is in the message; put it into `KNOWN` to keep it.

use std::time::Duration;

use nightshift_api::client::CallError;
use nightshift_api::issue::{EditIssue, NewIssue, Words};
use nightshift_api::operations as op;
use nightshift_api::pull::{Decision, NewReview};
use nightshift_api::runner::{End, WorkOrder};
use nightshift_api::{Nothing, Operation};
use nightshift_domain::access::Role;
use nightshift_domain::check::Acceptance;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_store::Location;
use nightshift_testkit::finish::{SHARED, finish};
use nightshift_testkit::hand::{report, tried};
use nightshift_testkit::person::place;
use nightshift_testkit::postgres::Server;
use nightshift_testkit::{Hand, Person, World, invariants};

/// Seeds that once found something.
const KNOWN: &[u64] = &[];
/// Steps of one life.
const STEPS: u64 = 45;

/// The generator `SplitMix64` (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Luck(u64);

impl Luck {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.below(all.len() as u64);
        &all[usize::try_from(at).expect("an index")]
    }
}

/// One life.
struct Life {
    world: World,
    luck: Luck,
    people: Vec<Person>,
    hands: Vec<Hand>,
    /// Runs that some runner works on, with who does.
    live: Vec<(usize, WorkOrder)>,
    /// Ends that were told already, to be told again.
    told: Vec<(usize, WorkOrder, End, Option<ObjectId>)>,
    filed: i64,
    story: Vec<String>,
}

impl Life {
    async fn begin(world: World, seed: u64) -> Self {
        let config =
            "[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n[merge]\ndirect_push = true\n";
        world.project_with("tally", config).await;
        let writer = world.person("writer", &[("tally", Role::Writer)]).await;
        let people = vec![world.alice(), writer];
        let hands = vec![world.hand("r1").await, world.hand("r2").await];
        Self {
            world,
            luck: Luck(seed),
            people,
            hands,
            live: Vec::new(),
            told: Vec::new(),
            filed: 0,
            story: Vec::new(),
        }
    }

    fn say(&mut self, what: String) {
        self.story.push(what);
    }

    /// A rule may refuse; anything else is our fault.
    fn allowed<T>(&mut self, what: &str, answer: Result<T, CallError>) -> Option<T> {
        match answer {
            Ok(value) => {
                self.say(format!("{what}: done"));
                Some(value)
            }
            Err(error) => {
                let rule = error.kind().unwrap_or("no answer").to_owned();
                self.say(format!("{what}: {rule}: {error}"));
                let rules = [
                    "refused",
                    "conflict",
                    "stale-head",
                    "stale-epoch",
                    "not-found",
                    "invalid",
                ];
                assert!(rules.contains(&rule.as_str()), "{}", self.story.join("\n"));
                None
            }
        }
    }

    fn person(&mut self) -> Person {
        self.luck.pick(&self.people).clone()
    }

    fn number(&mut self) -> i64 {
        1 + i64::try_from(self.luck.below(self.filed.max(1).unsigned_abs())).expect("a number")
    }

    async fn call<O: Operation>(&mut self, number: i64, path: O::Path, input: O::Input) {
        let answer = self.person().call::<O>(path, input).await;
        self.allowed(&format!("{} #{number}", O::ID), answer);
    }

    async fn step(&mut self) {
        match self.luck.below(20) {
            0..=2 => self.files().await,
            3..=6 => self.claims().await,
            7..=11 => self.works().await,
            12..=13 => self.decides().await,
            14 => self.meddles().await,
            15 => self.pushes(),
            16 => self.passes(),
            17 => self.repeats().await,
            18 => {
                self.say("tick".to_owned());
                self.world.app.tick().await.expect("a tick");
            }
            _ => self.cancels().await,
        }
    }

    async fn files(&mut self) {
        if self.filed >= 6 {
            return self.decides().await;
        }
        let blocked_by = if self.filed > 0 && self.luck.one_in(4) {
            vec![self.number()]
        } else {
            Vec::new()
        };
        let new = NewIssue {
            title: format!("Issue {}", self.filed + 1),
            priority: Some(i64::try_from(self.luck.below(4)).expect("a priority")),
            ready: !self.luck.one_in(5),
            blocked_by,
            acceptance: self.luck.one_in(3).then(|| Acceptance {
                run: "sh accept.sh".to_owned(),
                already_green: self.luck.one_in(4),
                timeout_s: 60,
                files: Vec::new(),
            }),
            ..NewIssue::default()
        };
        let answer = self.person().files("tally", new).await;
        if self.allowed("file", answer).is_some() {
            self.filed += 1;
        }
    }

    async fn claims(&mut self) {
        let at = usize::try_from(self.luck.below(2)).expect("an index");
        let kinds: &[Kind] = match self.luck.below(4) {
            0 => &[Kind::Author],
            1 => &[Kind::Verify, Kind::Trial],
            _ => Kind::ALL,
        };
        if let Some(order) = self.hands[at].claims_of(kinds).await {
            let kind = order.kind.as_str();
            self.say(format!("r{at} claims {kind} of #{}", order.number));
            self.live.push((at, order));
        }
    }

    async fn works(&mut self) {
        if self.live.is_empty() {
            return self.claims().await;
        }
        let at = usize::try_from(self.luck.below(self.live.len() as u64)).expect("an index");
        let (who, order) = self.live.swap_remove(at);
        let number = order.number;
        let (end, attempt) = match (order.kind, self.luck.below(10)) {
            (_, 0) => {
                self.say(format!("r{who} falls silent on #{number}"));
                return;
            }
            (_, 1) => {
                let beat = self.hands[who].beats(&order).await;
                let stop = self.allowed(&format!("beat of #{number}"), beat);
                if stop.is_some_and(|beat| beat.stop) {
                    (End::Stopped, None)
                } else {
                    self.live.push((who, order));
                    return;
                }
            }
            (_, 2) => (self.fails(), None),
            (Kind::Author, 3) => {
                let question = "Which one?".to_owned();
                (End::Asked { question }, None)
            }
            (Kind::Author, 4) => (authored(), Some(order.start.clone())),
            (Kind::Author, _) => match self.attempts(who, &order) {
                Some(attempt) => (authored(), Some(attempt)),
                None => return,
            },
            (Kind::Verify | Kind::Trial, outcome) => {
                let report = report(&order, outcome > 3);
                (End::Proved { report }, None)
            }
            (Kind::Tryout, outcome) => {
                let code = [0, 127, 1, 1, 1, 1, 1][usize::try_from(outcome - 3).expect("an index")];
                (tried(&order, code, ""), None)
            }
        };
        self.tells(who, &order, &end, attempt.clone()).await;
        self.told.push((who, order, end, attempt));
    }

    fn fails(&mut self) -> End {
        let failure = Failure {
            reason: *self.luck.pick(Reason::ALL),
            detail: Kept::quoted("as luck has it"),
            retry_at: None,
        };
        End::Failed { failure }
    }

    /// Pushes an attempt; `None` when the run's token does not work any more.
    fn attempts(&mut self, who: usize, order: &WorkOrder) -> Option<ObjectId> {
        let url = format!("{}{}", self.world.url, order.git_path);
        let tree = nightshift_testkit::Checkout::empty(&url, &order.token);
        if !tree
            .run(&["fetch", "--quiet", "origin", order.start.as_str()])
            .status
            .success()
        {
            self.say(format!("r{who} is too late for #{}", order.number));
            return None;
        }
        tree.git(&["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"]);
        let own = format!("file-{}.txt", order.number);
        let text = format!("{}\n", self.luck.next());
        let name = if self.luck.one_in(3) { SHARED } else { &own };
        tree.write(name, &text);
        let author = order.author.as_ref().expect("an author");
        let commit = tree.commit(&author.commit.message);
        let pushed = tree.push(&[&format!("HEAD:{}", author.attempt_ref)]);
        let words = if pushed.is_ok() {
            "pushes"
        } else {
            "cannot push"
        };
        self.say(format!("r{who} {words} {name} for #{}", order.number));
        pushed.ok().map(|_| commit.parse().expect("a commit"))
    }

    async fn tells(&mut self, who: usize, order: &WorkOrder, end: &End, attempt: Option<ObjectId>) {
        let word = match end {
            End::Authored { .. } => "authored",
            End::Asked { .. } => "asked",
            End::Proved { .. } => "proved",
            End::Tried { .. } => "tried",
            End::Stopped => "stopped",
            End::Failed { .. } => "failed",
        };
        let what = format!(
            "r{who} ends {} of #{}: {word}",
            order.kind.as_str(),
            order.number
        );
        let answer = self.hands[who].ends(order, end.clone(), attempt).await;
        self.allowed(&what, answer);
    }

    async fn repeats(&mut self) {
        if self.told.is_empty() {
            return;
        }
        let at = usize::try_from(self.luck.below(self.told.len() as u64)).expect("an index");
        let (who, order, end, attempt) = self.told[at].clone();
        self.tells(who, &order, &end, attempt).await;
    }

    async fn decides(&mut self) {
        let number = self.number();
        let person = self.person();
        let path = place("tally", number);
        let Ok(pull) = person.call::<op::PullGet>(path, Nothing {}).await else {
            return self.meddles().await;
        };
        let old = pull.heads.first().map(|head| head.head.clone());
        let head = match old {
            Some(old) if self.luck.one_in(6) => old,
            _ => pull.line.head,
        };
        let decision = if self.luck.one_in(3) {
            Decision::SendBack
        } else {
            Decision::Approve
        };
        let review = NewReview {
            head,
            decision,
            body: "as luck has it".to_owned(),
            comments: Vec::new(),
            accept_unproven: self.luck.one_in(2),
            hold_s: if self.luck.one_in(4) { 5 } else { 0 },
        };
        let answer = person
            .call::<op::PullReview>(place("tally", number), review)
            .await;
        self.allowed(&format!("{decision:?} #{number}"), answer);
        if self.luck.one_in(5) {
            let path = place("tally", number);
            self.call::<op::PullWithdraw>(number, path, Nothing {})
                .await;
        }
    }

    async fn meddles(&mut self) {
        let number = self.number();
        let at = || place("tally", number);
        let words = || Words {
            text: "as luck has it".to_owned(),
        };
        match self.luck.below(9) {
            0 | 1 => self.call::<op::IssueReady>(number, at(), Nothing {}).await,
            2 => self.call::<op::IssueDraft>(number, at(), Nothing {}).await,
            3 => self.call::<op::IssueRetry>(number, at(), Nothing {}).await,
            4 => self.call::<op::IssueClose>(number, at(), words()).await,
            5 | 6 => self.call::<op::IssueReopen>(number, at(), Nothing {}).await,
            7 => self.call::<op::IssueAnswer>(number, at(), words()).await,
            _ => {
                let edit = EditIssue {
                    body: Some("Something else.".to_owned()),
                    blocked_by: Some(vec![self.number()]),
                    ..EditIssue::default()
                };
                self.call::<op::IssueEdit>(number, at(), edit).await;
            }
        }
    }

    /// A person pushes to the branch of an issue, or to the default branch.
    fn pushes(&mut self) {
        let branch = if self.luck.one_in(3) {
            "main".to_owned()
        } else {
            format!("nightshift/{}", self.number())
        };
        let tree = self.world.checkout("tally", self.people[0].token());
        if !tree
            .run(&["fetch", "--quiet", "origin", &branch])
            .status
            .success()
        {
            return;
        }
        tree.git(&["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"]);
        let text = format!("{}\n", self.luck.next());
        let name = if self.luck.one_in(3) {
            SHARED
        } else {
            "by-hand.txt"
        };
        tree.write(name, &text);
        tree.commit("by hand");
        let pushed = tree.push(&[&format!("HEAD:refs/heads/{branch}")]);
        self.say(format!("a push to {branch}: {}", pushed.is_ok()));
    }

    fn passes(&mut self) {
        let seconds = *self.luck.pick(&[1, 10, 30, 61, 61, 1_200]);
        self.say(format!("{seconds} s pass"));
        self.world.clock.pass(Duration::from_secs(seconds));
    }

    async fn cancels(&mut self) {
        let number = self.number();
        let person = self.person();
        if self.filed == 0 {
            return;
        }
        let runs = person.runs("tally", number).await;
        if let Some(run) = runs.first() {
            let path = nightshift_api::run::RunPath { run: run.id };
            self.call::<op::RunCancel>(number, path, Nothing {}).await;
        }
    }

    async fn look(&self, seed: u64) {
        let broken = invariants::broken(&self.world).await;
        assert!(
            broken.is_empty(),
            "seed {seed}: broken:\n{}\nafter:\n{}",
            broken.join("\n"),
            self.story.join("\n")
        );
    }
}

fn authored() -> End {
    End::Authored {
        summary: "did it".to_owned(),
        self_checks: Vec::new(),
    }
}

/// Prints the seed of a life that did not go well.
struct Named(u64);

impl Drop for Named {
    #[expect(
        clippy::print_stderr,
        reason = "says which seed failed, on the way out of a panic"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing seed is {}", self.0);
        }
    }
}

async fn live(world: World, seed: u64) {
    let named = Named(seed);
    let mut life = Life::begin(world, seed).await;
    for step in 1..=STEPS {
        life.step().await;
        if step % 15 == 0 {
            if life.luck.one_in(2) {
                life.say("the server ends and is opened again".to_owned());
                life.world = life.world.reopen().await;
            }
            life.world.settle().await;
            life.look(seed).await;
        }
    }
    finish(&life.world, "tally").await;
    life.look(seed).await;
    drop(named);
}

async fn lives(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        live(World::new().await, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_once() {
    for seed in KNOWN {
        live(World::new().await, *seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_1_to_4() {
    lives(1..5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_5_to_8() {
    lives(5..9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_13_to_16() {
    lives(13..17).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_seeds_101_and_102() {
    let server = Server::start(&[]).expect("PostgreSQL");
    for seed in 101..103 {
        let url = server.database(&format!("life{seed}")).expect("a database");
        live(World::on(Location::Postgres(url)).await, seed).await;
    }
}
