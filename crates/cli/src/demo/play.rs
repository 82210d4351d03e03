//! The demo as it goes: files the issues, watches, plays the reviewer.
//!
//! Invariant: every tick looks at everything; what was done is remembered by issue, round and phase,
//! so nothing is done twice. Deliberately absent: anything that a person could not do with the other
//! commands.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nightshift_api::issue::{IssuePath, IssueQuery, Words};
use nightshift_api::project::{EventQuery, ProjectPath};
use nightshift_api::pull::{Decision, NewReview};
use nightshift_api::{Nothing, operations};

use super::example::PROJECT;
use super::scene::{Decide, SCENES, Scene};
use super::story;
use crate::command::issue::new;
use crate::connection::Connection;
use crate::failure::{Done, Failure};
use crate::screen::{bold, dim, plain};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(150);
/// How long nothing may happen while agents are at work.
const PATIENCE: Duration = Duration::from_secs(120);

/// How far the reviewer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Shows each kind of decision once, and leaves the rest to the person.
    Guide,
    /// Decides on everything.
    Whole,
}

/// The demo under way.
pub(crate) struct Play<'a> {
    connection: &'a Connection,
    role: Role,
    began: Instant,
    /// Where the event log has been told to.
    told: i64,
    moved: Instant,
    done: BTreeSet<(i64, i64, String)>,
    /// Event numbers of landings and of first starts, by issue.
    landed: Vec<(i64, i64)>,
    started: Vec<(i64, i64)>,
}

impl<'a> Play<'a> {
    pub(crate) fn new(connection: &'a Connection, role: Role, began: Instant) -> Self {
        Self {
            connection,
            role,
            began,
            told: 0,
            moved: began,
            done: BTreeSet::new(),
            landed: Vec::new(),
            started: Vec::new(),
        }
    }

    /// Begins at the end of what happened so far.
    pub(crate) async fn skip_told(&mut self) -> Done {
        let query = EventQuery {
            after: 0,
            project: Some(PROJECT.to_owned()),
            limit: Some(500),
        };
        loop {
            let query = EventQuery {
                after: self.told,
                ..query.clone()
            };
            let events = self
                .connection
                .call::<operations::EventList>(&Nothing {}, &query, &Nothing {})
                .await?;
            match events.items.last() {
                Some(last) => self.told = last.seq,
                None => return Ok(()),
            }
        }
    }

    /// One line about a step, with its time.
    pub(crate) fn step(&self, number: Option<i64>, words: &str) -> Done {
        let mut screen = self.connection.output.screen();
        let number = number.map_or_else(|| "    ".to_owned(), |n| format!("#{n:<3}"));
        screen.line([
            dim(format!("{:6.1} s  ", self.began.elapsed().as_secs_f64())),
            bold(number),
            plain(words),
        ]);
        self.connection.output.show(&mut screen)
    }

    /// Files the issues of the folder.
    pub(crate) async fn file(&self, folder: &Path) -> Done {
        let files = SCENES
            .iter()
            .map(|(stem, _)| folder.join(format!("{stem}.md")));
        let project = project();
        let issues = new::Args::ready(files.collect())
            .file_all(self.connection, &project)
            .await?;
        if self.role == Role::Guide {
            return Ok(());
        }
        self.step(
            None,
            &format!("{} issues are filed and ready", issues.len()),
        )?;
        let blocked = self.number_of(Scene::IsBlocked)?;
        let issue = self
            .connection
            .call::<operations::IssueGet>(&path(blocked), &Nothing {}, &Nothing {})
            .await?;
        let first = self.number_of(Scene::LandsAtOnce)?;
        let why = issue.line.waiting.unwrap_or_default();
        if why != format!("blocked by #{first}") {
            return Err(Failure::failed(format!(
                "#{blocked} must say that it is blocked by #{first}, and says {why:?}"
            )));
        }
        self.step(Some(blocked), &format!("waits: {why}"))
    }

    /// The files are filed in order, so their place is their number.
    fn number_of(&self, scene: Scene) -> Done<i64> {
        let place = SCENES.iter().position(|(_, other)| *other == scene);
        place
            .and_then(|place| i64::try_from(place + 1).ok())
            .ok_or_else(|| Failure::failed("the demo has lost an issue"))
    }

    /// Goes on until all that this role decides is decided, and nothing moves by itself any more.
    pub(crate) async fn until_settled(&mut self) -> Done {
        loop {
            if self.tick().await? {
                return Ok(());
            }
            if self.moved.elapsed() > PATIENCE {
                return Err(Failure::failed(format!(
                    "nothing has happened for {} s; `nightshift issue list` says what waits",
                    PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells what happened since, decides what is to be decided. `true` if nothing is left.
    async fn tick(&mut self) -> Done<bool> {
        self.tell().await?;
        let query = IssueQuery {
            limit: Some(200),
            ..IssueQuery::default()
        };
        let issues = self
            .connection
            .call::<operations::IssueList>(&project(), &query, &Nothing {})
            .await?;
        let mut settled = true;
        for issue in issues.items.iter().rev() {
            let key = (issue.number, issue.round, issue.phase.clone());
            let scene = usize::try_from(issue.number - 1)
                .ok()
                .and_then(|place| SCENES.get(place));
            let Some((_, scene)) = scene else {
                continue;
            };
            let decided = self.done.contains(&key);
            match issue.phase.as_str() {
                "done" if decided => {}
                "done" => {
                    self.done.insert(key);
                    self.landed_well(issue.number, *scene).await?;
                }
                "closed" | "draft" => {
                    return Err(Failure::failed(format!(
                        "#{} is {}, which no step of the demo brings about",
                        issue.number, issue.phase
                    )));
                }
                // Who has decided on everything must not be asked again.
                "needs-input" | "in-review" if decided && self.role == Role::Whole => {
                    return Err(self.came_back(issue.number).await?);
                }
                "needs-input" | "in-review" if decided => {}
                "needs-input" => {
                    settled &= !self.answer(issue.number, *scene).await?;
                    self.done.insert(key);
                }
                "in-review" => match self.decide(issue.number, *scene).await? {
                    Some(acted) => {
                        settled &= !acted;
                        self.done.insert(key);
                    }
                    None => settled = false,
                },
                _ => {
                    let waiting = issue.waiting.as_deref().unwrap_or_default();
                    if waiting.ends_with("retry, edit, or close") {
                        return Err(Failure::failed(format!("#{}: {waiting}", issue.number)));
                    }
                    // What is blocked by something that the person must decide moves no more.
                    settled &= self.role == Role::Guide && waiting.starts_with("blocked by");
                }
            }
        }
        Ok(settled && !issues.items.is_empty())
    }

    /// Reads what happened since the last look; tells it if somebody watches.
    pub(crate) async fn tell(&mut self) -> Done {
        let query = EventQuery {
            after: self.told,
            project: Some(PROJECT.to_owned()),
            limit: Some(500),
        };
        let events = self
            .connection
            .call::<operations::EventList>(&Nothing {}, &query, &Nothing {})
            .await?;
        for event in &events.items {
            self.told = event.seq;
            self.moved = Instant::now();
            let Some(number) = event.number else {
                continue;
            };
            match event.kind.as_str() {
                "pull.landed" => self.landed.push((number, event.seq)),
                "issue.started" => self.started.push((number, event.seq)),
                _ => {}
            }
            let Some(words) = story::told(event).filter(|_| self.role == Role::Guide) else {
                continue;
            };
            let mut screen = self.connection.output.screen();
            screen.line([
                dim(format!("{:6.1} s  ", self.began.elapsed().as_secs_f64())),
                bold(format!("#{number:<3}")),
                words,
            ]);
            self.connection.output.show(&mut screen)?;
        }
        Ok(())
    }

    /// Why an issue that was decided on waits again: the last thing that was said on it.
    async fn came_back(&self, number: i64) -> Done<Failure> {
        let issue = self
            .connection
            .call::<operations::IssueGet>(&path(number), &Nothing {}, &Nothing {})
            .await?;
        let said = issue.messages.last().map(|message| message.body.as_str());
        Ok(Failure::failed(format!(
            "#{number} was decided on and came back: {}",
            said.unwrap_or("nobody says why")
        )))
    }

    /// Answers if this role does. `true` if it did.
    async fn answer(&self, number: i64, scene: Scene) -> Done<bool> {
        let issue = self
            .connection
            .call::<operations::IssueGet>(&path(number), &Nothing {}, &Nothing {})
            .await?;
        let question = issue.question.unwrap_or_default();
        if scene != Scene::Asks || !question.contains("Monday") {
            return Err(Failure::failed(format!(
                "#{number} must not ask: {question:?}"
            )));
        }
        if self.role == Role::Guide {
            return Ok(false);
        }
        self.step(Some(number), &format!("asks: {}", question.trim()))?;
        let words = Words {
            text: "On Monday.".to_owned(),
        };
        self.connection
            .call::<operations::IssueAnswer>(&path(number), &Nothing {}, &words)
            .await?;
        self.step(Some(number), "answered: On Monday.")?;
        Ok(true)
    }

    /// Decides if this role does: `None` if it cannot be decided yet, else whether it did.
    async fn decide(&self, number: i64, scene: Scene) -> Done<Option<bool>> {
        let pull = self
            .connection
            .call::<operations::PullGet>(&path(number), &Nothing {}, &Nothing {})
            .await?;
        if pull.line.phase != "in-review" || pull.proof.is_none() {
            return Ok(None);
        }
        let (decide, seen) = scene
            .review(&pull)
            .map_err(|why| Failure::failed(format!("#{number}: {why}")))?;
        let shown = match scene {
            Scene::LandsAtOnce => true,
            Scene::IsRepaired => pull.line.round == 1,
            Scene::IsBlocked | Scene::Asks | Scene::LooksGood => false,
        };
        if self.role == Role::Guide && !shown {
            return Ok(Some(false));
        }
        if self.role == Role::Whole {
            self.step(Some(number), &seen)?;
        }
        let (decision, body) = match decide {
            Decide::Approve => (Decision::Approve, ""),
            Decide::SendBack(why) => (Decision::SendBack, why),
        };
        let review = NewReview {
            head: pull.line.head.clone(),
            decision,
            body: body.to_owned(),
            comments: Vec::new(),
            accept_unproven: false,
            hold_s: 0,
        };
        self.connection
            .call::<operations::PullReview>(&path(number), &Nothing {}, &review)
            .await?;
        let words = match (self.role, decision) {
            (Role::Guide, Decision::Approve) => {
                format!("the demo plays you: nightshift pr approve {number}")
            }
            (Role::Guide, Decision::SendBack) => {
                format!("the demo plays you: nightshift pr send-back {number} {body:?}")
            }
            (Role::Whole, Decision::Approve) => "approved".to_owned(),
            (Role::Whole, Decision::SendBack) => format!("sent back: {body}"),
        };
        self.step(Some(number), &words)?;
        Ok(Some(true))
    }

    async fn landed_well(&self, number: i64, scene: Scene) -> Done {
        if self.role == Role::Guide {
            return Ok(());
        }
        let pull = self
            .connection
            .call::<operations::PullGet>(&path(number), &Nothing {}, &Nothing {})
            .await?;
        let wrong = |why: &str| Err(Failure::failed(format!("#{number} landed, and {why}")));
        let Some(commit) = &pull.landed else {
            return wrong("says no commit");
        };
        let rounds = match scene {
            Scene::IsRepaired | Scene::LooksGood => 2,
            Scene::LandsAtOnce | Scene::IsBlocked | Scene::Asks => 1,
        };
        if pull.line.round != rounds {
            return wrong("took another number of rounds than it must");
        }
        if scene == Scene::IsBlocked {
            let first = self.number_of(Scene::LandsAtOnce)?;
            let of = |list: &[(i64, i64)], number| {
                list.iter().find(|(n, _)| *n == number).map(|(_, seq)| *seq)
            };
            let (before, after) = (of(&self.landed, first), of(&self.started, number));
            if !matches!((before, after), (Some(before), Some(after)) if before < after) {
                return wrong("started before what blocks it had landed");
            }
        }
        let commit = crate::words::short_commit(commit);
        self.step(Some(number), &format!("landed as {commit}"))
    }
}

pub(crate) fn project() -> ProjectPath {
    ProjectPath {
        project: PROJECT.to_owned(),
    }
}

fn path(number: i64) -> IssuePath {
    IssuePath {
        project: PROJECT.to_owned(),
        number,
    }
}
