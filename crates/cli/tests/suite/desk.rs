//! The desk in a real terminal, against a real server: a morning decided by keys alone, and a
//! terminal that is as it was, whatever ends it.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nightshift_api::runner::End;
use nightshift_domain::job::Kind;
use nightshift_testkit::{Hand, World};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use super::kit::Person;

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// The program in a terminal.
struct Desk {
    pty: Pty,
    child: Child,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    cooked: LocalFlags,
}

impl Desk {
    fn open(world: &World) -> Self {
        let (pty, pts) = open().expect("a terminal");
        pty.resize(Size::new(ROWS, COLUMNS)).expect("a size");
        let cooked = tcgetattr(&pty).expect("its state").local_flags;
        let child = Command::new(env!("CARGO_BIN_EXE_nightshift"))
            .arg("desk")
            .env_clear()
            .env("HOME", world.data())
            .env("TERM", "xterm-256color")
            .env("NIGHTSHIFT_SERVER", &world.url)
            .env("NIGHTSHIFT_TOKEN", world.alice().token())
            .spawn(pts)
            .expect("it starts");
        let (send, output) = channel();
        let copy = std::os::fd::AsFd::as_fd(&pty).try_clone_to_owned();
        let mut reading = std::fs::File::from(copy.expect("a copy"));
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // It ends with an error when nobody has the other side any more.
            while let Ok(read @ 1..) = reading.read(&mut bytes) {
                if send.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size = |cells| NonZeroU16::new(cells).expect("a size");
        Self {
            pty,
            child,
            output,
            screen: vt100::Parser::new(size(ROWS), size(COLUMNS), 0),
            cooked,
        }
    }

    fn press(&mut self, keys: &str) {
        (&self.pty).write_all(keys.as_bytes()).expect("keys");
    }

    /// Waits until the screen pleases.
    #[track_caller]
    fn until(&mut self, what: &str, pleases: impl Fn(&str) -> bool) {
        let began = Instant::now();
        loop {
            let text = self.screen.screen().contents();
            if pleases(&text) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{what}:\n{text}");
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(50)) {
                self.screen.process(&bytes);
            }
        }
    }

    #[track_caller]
    fn shows(&mut self, text: &str) {
        self.until(text, |screen| screen.contains(text));
    }

    /// Waits for its end, and looks at the terminal that it leaves.
    fn ends(self) -> i32 {
        self.ends_saying().0
    }

    /// The same, with what then stands on the terminal.
    fn ends_saying(mut self) -> (i32, String) {
        let ended = self.child.wait().expect("an end");
        // Until the reader has come to the end, which it does by itself.
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_secs(30)) {
            self.screen.process(&bytes);
        }
        assert!(!self.screen.screen().alternate_screen(), "the other screen");
        assert!(!self.screen.screen().hide_cursor(), "a hidden cursor");
        let left = tcgetattr(&self.pty).expect("its state").local_flags;
        assert_eq!(left, self.cooked, "the terminal's modes");
        let said = self.screen.screen().contents();
        (ended.code().unwrap_or(-1), said)
    }

    /// Waits until it is stopped: what is sent to go on before that has no effect.
    #[track_caller]
    fn stands_still(&self) {
        let began = Instant::now();
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
            let stat = stat.expect("a process");
            stat.rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next())
        };
        while state() != Some('T') {
            assert!(began.elapsed() < Duration::from_secs(30), "it goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("an id"))
    }
}

async fn result(world: &World, hand: &Hand, title: &str, green: bool) -> i64 {
    let number = world.alice().files_ready("night", title).await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let path = format!("src/part-{number}.txt");
    let files = [(path.as_str(), "a line \u{1b}[2J of 林\n")];
    hand.authors(&order, &files).await.expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, green).await.expect("proved");
    number
}

async fn question(world: &World, hand: &Hand) -> i64 {
    let number = world.alice().files_ready("night", "Paint it").await;
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let question = "Red or blue?".to_owned();
    hand.ends(&order, End::Asked { question }, None)
        .await
        .expect("asked");
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e2e_desk_a_morning_by_keys_alone() {
    let world = World::new().await;
    world.project("night").await;
    let hand = world.hand("r1").await;
    for number in 1..=3 {
        result(&world, &hand, &format!("Write part {number}"), true).await;
    }
    result(&world, &hand, "Break it", false).await;
    question(&world, &hand).await;

    let mut desk = Desk::open(&world);
    desk.shows("5 waiting for you");
    desk.shows("Red or blue?");
    // The question comes first: an agent waits.
    desk.press("sBlue.\r");
    desk.shows("4 waiting for you");
    // A change is looked at, and approved from there; then taken back.
    desk.press("\r");
    desk.shows("verdict");
    desk.press("n");
    desk.shows("diff --git");
    desk.shows("a line \\u{1b}[2J of 林");
    desk.press("a");
    desk.shows("u takes it back");
    desk.shows("3 waiting for you");
    desk.press("u");
    desk.shows("4 waiting for you");
    // The red one is sent back, the green ones land as one.
    desk.press("/break\r");
    desk.shows("1 waiting for you");
    desk.press("sput it together again\r");
    desk.shows("sent #4 back");
    desk.press("\u{1b}");
    desk.until("three are left", |screen| {
        screen.contains("3 waiting for you") && screen.contains("Write part 1")
    });
    desk.press("xjxjxA");
    desk.shows("approved 3 together");
    desk.shows("Nothing waits for you.");
    // What happens elsewhere is seen without asking.
    let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let files = [("src/paint.txt", "blue\n")];
    hand.authors(&order, &files).await.expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    desk.shows("1 waiting for you");
    desk.shows("Paint it");
    desk.press("p");
    desk.shows("1 parked");
    desk.press("q");
    assert_eq!(desk.ends(), 0);

    world.after(Duration::from_secs(11)).await;
    while let Some(trial) = hand.claims_of(&[Kind::Trial]).await {
        hand.proves(&trial, true).await.expect("tried");
        world.settle().await;
    }
    let alice = world.alice();
    for number in 1..=3 {
        assert_eq!(alice.phase("night", number).await, "done", "#{number}");
    }
    assert_eq!(alice.sees("night", 4).await.line.round, 2);
    let answered = alice.sees("night", 5).await;
    assert!(answered.messages.iter().any(|one| one.body == "Blue."));
    assert_eq!(answered.line.phase, "in-review");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e2e_desk_loses_no_decision_to_whoever_leaves_at_once() {
    let world = World::new().await;
    world.project("night").await;
    let hand = world.hand("r1").await;
    for number in 1..=3 {
        result(&world, &hand, &format!("Write part {number}"), true).await;
    }
    let mut desk = Desk::open(&world);
    desk.shows("3 waiting for you");
    // Two are approved, the second one is taken back, the third is sent back, in one breath.
    desk.press("aaussmaller\rq");
    assert_eq!(desk.ends(), 0);
    let alice = world.alice();
    let decided = ["landing", "in-review", "ready"];
    let mut seen = Vec::new();
    for number in 1..=3 {
        seen.push(alice.phase("night", number).await);
    }
    seen.sort();
    let mut decided = decided.map(str::to_owned).to_vec();
    decided.sort();
    assert_eq!(seen, decided);

    // What does not arrive is said, and is no success: behind one's back, and where it stood on the
    // screen for no longer than it takes to read.
    let mut desks = [Desk::open(&world), Desk::open(&world)];
    for desk in &mut desks {
        desk.shows("1 waiting for you");
    }
    let _data = world.close().await;
    let [mut blind, mut quick] = desks;
    blind.press("aq");
    quick.press("a");
    quick.shows("Connection refused");
    quick.press("q");
    for desk in [blind, quick] {
        let (code, said) = desk.ends_saying();
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains("not all that you decided last was taken"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e2e_desk_leaves_the_terminal_as_it_was() {
    let world = World::new().await;
    world.project("night").await;
    // By a key, by Ctrl-C, and from outside.
    for (keys, signal) in [
        ("q", None),
        ("\u{3}", None),
        ("", Some(Signal::SIGTERM)),
        ("", Some(Signal::SIGHUP)),
    ] {
        let mut desk = Desk::open(&world);
        desk.shows("Nothing waits for you.");
        assert!(desk.screen.screen().alternate_screen());
        desk.press(keys);
        if let Some(signal) = signal {
            kill(desk.id(), signal).expect("a signal");
        }
        assert_eq!(desk.ends(), 0, "{keys:?} {signal:?}");
    }
    // Stopped, the shell has it; going on, the desk is there again.
    let mut desk = Desk::open(&world);
    desk.shows("Nothing waits for you.");
    kill(desk.id(), Signal::SIGTSTP).expect("a signal");
    desk.until("the first screen", |screen| screen.trim().is_empty());
    let stopped = tcgetattr(&desk.pty).expect("its state").local_flags;
    assert_eq!(stopped, desk.cooked);
    desk.stands_still();
    kill(desk.id(), Signal::SIGCONT).expect("a signal");
    desk.shows("Nothing waits for you.");
    desk.press("q");
    assert_eq!(desk.ends(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_terminal_it_says_what_to_use() {
    let world = World::new().await;
    world.project("night").await;
    let hand = world.hand("r1").await;
    result(&world, &hand, "Write it", true).await;
    let person = Person::alone();
    let token = world.alice().token().to_owned();
    let variables = [
        ("NIGHTSHIFT_SERVER", world.url.as_str()),
        ("NIGHTSHIFT_TOKEN", token.as_str()),
    ];
    let refused = person.run_env(["desk"], &variables).fails(2);
    assert!(refused.contains("nightshift desk --json"), "{refused}");
    let list = person.run_env(["desk", "--json"], &variables).json();
    let card = &list["cards"][0];
    assert_eq!(card["title"], "Write it");
    assert_eq!(card["proof"]["colour"], "green");
    assert_eq!(card["reasons"][0]["reason"], "proved");
    assert_eq!(card["size"]["largest"][0]["additions"], 1);
}
