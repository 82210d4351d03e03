//! The walls where the system is an image's: a captured agent looks for a way out of it, the image
//! itself tries to steer what is ours, and what adds to an image is root and reaches nothing.

mod kit;
#[path = "kit/image.rs"]
mod picture;

use std::sync::Arc;

use kit::{DONE, Machine, On, Ran, finish, step};
use nightshift_runner::sandbox::{Exit, Image, SandboxError, Step, System};
use picture::Files;

/// A machine whose run sees the system of this image.
async fn machine(name: &str) -> (Machine, Arc<Image>) {
    let mut machine = Machine::on(On::Container).await;
    let image = proved(&machine, name)
        .await
        .expect("an image that can be used");
    machine.spec.image = Some(Arc::clone(&image));
    (machine, image)
}

async fn proved(machine: &Machine, name: &str) -> Result<Arc<Image>, SandboxError> {
    let found = machine.host.image_find(name).await?;
    let image = found.expect("the engine has it");
    machine.host.image_prove(&image).await?;
    Ok(image)
}

/// What adds to an image.
fn install(script: &str) -> Step {
    Step {
        system: System::Install,
        ..step(script)
    }
}

async fn run(machine: &Machine, step: &Step) -> Ran {
    finish(machine.sandbox().spawn(step).await.expect("a start")).await
}

/// What a captured agent can see of the walls with a shell alone.
const LOOKS: &str = r#"
id -u; pwd; echo "$HOME"
grep -E '^(CapEff|CapBnd|CapPrm|NoNewPrivs|Seccomp):' /proc/self/status | tr -d ' \t'
for f in / /bin /etc /usr /srv /nightshift /nightshift/lib /nightshift/sockets /dev /proc/sys/kernel /sys /run; do
    if touch "$f/x" 2>/dev/null; then echo "wrote $f"; fi; done
for f in /etc/passwd /etc/hosts /bin/busybox /nightshift/bin/nightshift /nightshift/lib/program /proc/sysrq-trigger; do
    if echo x 2>/dev/null >>"$f"; then echo "wrote $f"; fi; done
wc -l </proc/net/dev; ls -A /sys; ls -A /run; cat /etc/resolv.conf
if cat /etc/shadow 2>/dev/null; then echo read; fi
if mount -t tmpfs x /tmp 2>/dev/null; then echo mounted; fi
if mknod /tmp/sda b 8 0 2>/dev/null; then echo device; fi
grep agent: /etc/passwd | head -n 1
"#;

mod container {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_wall_holds_in_every_kind_of_system() {
        let images = [
            ("no library", Files::plain()),
            ("musl", Files::musl()),
            ("glibc", Files::glibc()),
            ("hostile", Files::hostile()),
        ];
        for (kind, files) in images {
            let (machine, _) = machine(&files.image(&[]).await).await;
            let secret = machine.dir.path().join("data/secret");
            std::fs::write(&secret, "CANARY-5512").expect("a file");
            let user = machine.host.support().identity.expect("the tests are root");
            let ran = machine.sh(LOOKS).await;
            let caps = "0000000000000000";
            let expected = format!(
                "{user}\n/workspace\n/home/agent\nCapPrm:{caps}\nCapEff:{caps}\nCapBnd:{caps}\nNoNewPrivs:1\nSeccomp:2\n3\nagent:x:{user}:{user}:agent:/home/agent:/bin/sh\n"
            );
            assert_eq!(ran.exit, DONE, "{kind}: {ran:?}");
            assert_eq!(ran.out, expected, "{kind}: {ran:?}");
            // Nothing of this machine's system, nor of the runner's directory.
            let seen = machine
                .sh("test ! -e /usr/bin/git || echo git; test ! -e /var/lib/dpkg || echo dpkg; cat /proc/self/mountinfo; find / -xdev -name secret; grep -rs CANARY /etc /tmp /home /workspace /srv; true")
                .await;
            assert_eq!(seen.exit, DONE, "{kind}: {seen:?}");
            for hidden in ["git\n", "dpkg\n", "CANARY-5512", "/secret"] {
                assert!(!seen.out.contains(hidden), "{kind}: {hidden}: {}", seen.out);
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_an_image_says_about_itself_steers_nothing_of_ours() {
        let mut files = Files::hostile();
        files.file("evil", 0o755, b"#!/bin/sh\necho EVIL\n");
        let name = files
            .image(&[
                "ENV PATH=/opt/none:/bin",
                "ENV TOOL=of-the-image",
                "ENV HOME=/elsewhere",
                "ENV LD_PRELOAD=/usr/lib/evil.so",
                "ENV LD_AUDIT=/usr/lib/evil.so",
                "ENV LD_LIBRARY_PATH=/usr/lib:/lib64",
                "ENV GLIBC_TUNABLES=glibc.malloc.check=3",
                "ENTRYPOINT [\"/evil\"]",
                "CMD [\"/evil\"]",
                "USER 0",
                "WORKDIR /srv",
            ])
            .await;
        let (machine, image) = machine(&name).await;
        let ran = machine
            .sh("id -u; pwd; env; /nightshift/bin/nightshift nothing; echo $?; ls -A")
            .await;
        assert_eq!(ran.exit, DONE, "{ran:?}");
        let user = machine.host.support().identity.expect("the tests are root");
        assert!(
            ran.out.starts_with(&format!("{user}\n/workspace\n")),
            "{ran:?}"
        );
        for line in [
            "PATH=/opt/none:/bin",
            "TOOL=of-the-image",
            "HOME=/home/agent",
            "LD_LIBRARY_PATH=/usr/lib:/lib64",
        ] {
            assert!(ran.out.lines().any(|l| l == line), "{line}: {}", ran.out);
        }
        for absent in ["LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES", "EVIL", "STOLEN"] {
            assert!(!ran.out.contains(absent), "{absent}: {}", ran.out);
        }
        // Our own program started, by its path, and knows no such command; nothing came before it.
        assert!(ran.out.ends_with("\n64\n"), "{ran:?}");
        assert!(image.id().len() > 20 && image.name() == name);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_program_with_a_set_user_bit_gives_nothing() {
        let mut files = Files::plain();
        let busybox = std::fs::read("/bin/busybox").expect("a program");
        files.file("bin/su-id", 0o4755, &busybox);
        let (machine, _) = machine(&files.image(&[]).await).await;
        let ran = machine
            .sh("ls -l /bin/su-id | head -c 10; echo; exec -a id /bin/su-id 2>/dev/null || /bin/su-id id -u")
            .await;
        let user = machine.host.support().identity.expect("the tests are root");
        assert!(ran.out.starts_with("-rwsr-xr-x"), "{ran:?}");
        assert!(
            !ran.out.contains("euid=0") && ran.out.contains(&user.to_string()),
            "{ran:?}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_volume_is_small_empty_and_gone_with_its_step() {
        let mut files = Files::plain();
        files.folder("data", 0o1777);
        files.file("data/of-the-image", 0o644, b"x");
        let name = files
            .image(&["VOLUME /data", "VOLUME /tmp", "VOLUME /workspace"])
            .await;
        let (machine, _) = machine(&name).await;
        let ran = machine
            .sh("ls -A /data; echo x >/data/x && echo wrote; grep -c ' /data .* tmpfs ' /proc/self/mountinfo")
            .await;
        assert_eq!(
            (ran.exit.clone(), ran.out.as_str()),
            (DONE, "wrote\n1\n"),
            "{ran:?}"
        );
        assert_eq!(machine.sh("ls -A /data").await.out, "");
        let bad = Files::plain().image(&["VOLUME /nightshift"]).await;
        let refused = machine
            .host
            .image_find(&bad)
            .await
            .expect_err("a bad volume");
        assert!(refused.to_string().contains("VOLUME"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_link_where_a_place_of_ours_is_leads_nowhere() {
        let machine = Machine::on(On::Container).await;
        for (place, target) in [
            ("workspace", "/etc"),
            ("workspace", "/nightshift"),
            ("nightshift", "/"),
            ("nightshift", "/workspace"),
            ("home", "/workspace"),
            ("tmp", "/nightshift"),
            ("var", "/home/agent"),
            ("run", "/workspace"),
        ] {
            let mut files = Files::none();
            let busybox = std::fs::read("/bin/busybox").expect("a program");
            files.file("bin/sh", 0o755, &busybox);
            files.folder("srv", 0o755);
            files.link(place, target);
            let name = files.image(&[]).await;
            let refused = proved(&machine, &name).await;
            let refused = refused.expect_err(&format!("{place} -> {target}"));
            let SandboxError::Image { name: named, .. } = &refused else {
                panic!("{place} -> {target}: {refused}");
            };
            assert_eq!(named, &name);
            let said = refused.to_string();
            assert!(said.contains("next: correct the image"), "{said}");
        }
        // Nothing is left of any of them.
        kit::nothing_left(On::Container, machine.dir.path()).await;
        let runs = std::fs::read_dir(machine.dir.path().join("data/runs")).expect("runs");
        assert_eq!(runs.count(), 1);

        // These Podman fills, and they are refused. Docker puts a folder of its own in the place of
        // the one, and what the other leads to is covered.
        for (place, target, look, seen) in [
            (
                "etc",
                "/home/agent",
                "test -L /etc || echo folder; touch /etc/x || ls -A /home/agent; grep -c agent: /etc/passwd",
                "folder\n1\n",
            ),
            (
                "run",
                "/srv",
                "touch /srv/x || ls -A /srv /run/",
                "/run/:\n\n/srv:\n",
            ),
        ] {
            let mut files = Files::tools();
            files.file("srv/of-the-image", 0o666, b"x");
            files.link(place, target);
            match proved(&machine, &files.image(&[]).await).await {
                Ok(image) => {
                    let mut machine = Machine::on(On::Container).await;
                    machine.spec.image = Some(image);
                    let ran = machine.sh(look).await;
                    let found = (ran.exit.clone(), ran.out.as_str());
                    assert_eq!(found, (DONE, seen), "{place}: {ran:?}");
                    assert!(ran.err.contains("Read-only"), "{place}: {ran:?}");
                }
                Err(refused) => {
                    let said = refused.to_string();
                    assert!(said.contains("next: correct the image"), "{said}");
                }
            }
        }

        let mut files = Files::plain();
        files.link("etc/hosts", "../usr/share/hosts");
        files.file("usr/share/hosts", 0o644, b"192.0.2.1 evil\n");
        let good = files.image(&[]).await;
        proved(&machine, &good)
            .await
            .expect("a link within /etc is ordinary");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_used_says_why() {
        let machine = Machine::on(On::Container).await;
        let mut files = Files::none();
        files.file("hello", 0o755, b"x");
        let empty = proved(&machine, &files.image(&[]).await).await;
        let said = empty.expect_err("no shell").to_string();
        assert!(said.contains("it has no /bin/sh"), "{said}");
        let mut files = Files::none();
        let busybox = std::fs::read("/bin/busybox").expect("a program");
        files.file("bin/sh", 0o755, &busybox);
        files.folder("tmp", 0o700);
        let closed = proved(&machine, &files.image(&[]).await).await;
        let said = closed.expect_err("a closed folder").to_string();
        assert!(said.contains("its /tmp cannot be written"), "{said}");
        for place in ["bin", "etc"] {
            let mut files = Files::none();
            files.folder(place, 0o700);
            files.file("bin/sh", 0o755, &busybox);
            let closed = proved(&machine, &files.image(&[]).await).await;
            let said = closed.expect_err("a folder of root's").to_string();
            assert!(
                said.contains(&format!("may enter the folder of /{place}/")),
                "{said}"
            );
        }
        let mut files = Files::none();
        files.file("home", 0o644, b"a file");
        let file = proved(&machine, &files.image(&[]).await).await;
        let said = file.expect_err("a file").to_string();
        assert!(said.contains("cannot be used"), "{said}");
        let none = machine.host.image_find("localhost/never-was:1").await;
        assert_eq!(none.expect("an answer"), None);
        let own = machine
            .host
            .image_find("localhost/nightshift-installed-1")
            .await;
        let said = own.expect_err("the runner's own").to_string();
        assert!(said.contains("the runner's own"), "{said}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn root_that_adds_to_an_image_reaches_nothing_of_ours() {
        let (machine, image) = machine(&Files::plain().image(&["ENV TOOL=1"]).await).await;
        let sandbox = machine.sandbox();
        let making = sandbox.making();
        let script = r#"
            id -u; pwd; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\t'
            for f in /nightshift /nightshift/bin /nightshift/lib /nightshift/sockets /nightshift/acceptance /sys /proc/sys/kernel; do
                if touch "$f/x" 2>/dev/null; then echo "wrote $f"; fi; done
            for f in /nightshift/lib/program /nightshift/bin/nightshift /etc/hosts /etc/resolv.conf /proc/sysrq-trigger; do
                if echo x 2>/dev/null >>"$f"; then echo "wrote $f"; fi; done
            if mount -o remount,rw /nightshift 2>/dev/null; then echo remounted; fi
            if mknod /sda b 8 0 2>/dev/null; then echo device; fi
            ls -A /workspace /home 2>/dev/null
            if cat /proc/1/environ 2>/dev/null; then echo read; fi
            wc -l </proc/net/dev; ls /nightshift/sockets
            echo lock >/run/lock || echo no place for locks
            mkdir -p /opt/added && echo made >/opt/added/file && chown 1:1 /opt/added/file
            echo "added:x:77:77::/:/bin/sh" >>/etc/passwd
            env | grep -E '^(TOOL|HOME|LD_)'
        "#;
        let ran = finish(sandbox.spawn(&install(script)).await.expect("a start")).await;
        assert_eq!(ran.exit, DONE, "{ran:?}");
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID.
        assert_eq!(
            ran.out,
            "0\n/\nCapEff:00000000000000db\nNoNewPrivs:1\nSeccomp:2\n3\nHOME=/home/agent\nTOOL=1\n",
            "{ran:?}"
        );
        let kept = making.keep(&image, "key-1").await.expect("kept");
        kit::nothing_left(On::Container, machine.dir.path()).await;
        let again = machine.host.image_installed(&image, "key-1").await;
        assert_eq!(again.expect("an answer").as_ref(), Some(&kept));
        assert_ne!(kept.id(), image.id());
        let mut machine = machine;
        machine.host.image_prove(&kept).await.expect("walls");
        machine.spec.image = Some(kept);
        let ran = machine
            .sh("cat /opt/added/file; grep -c added /etc/passwd; echo $TOOL; ls -ln /opt/added/file | head -c 25")
            .await;
        assert!(ran.out.starts_with("made\n0\n1\n-rw-r--r-- "), "{ran:?}");
        for name in picture::made_by(&picture::label(&machine.dir.path().join("data"))).await {
            picture::remove(&name).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_installation_that_ends_early_leaves_nothing() {
        let (machine, image) = machine(&Files::plain().image(&[]).await).await;
        let sandbox = machine.sandbox();
        let making = sandbox.making();
        let mut running = sandbox
            .spawn(&install("echo up; sleep 10007310"))
            .await
            .expect("a start");
        let mut out = running.stdout.take().expect("output");
        let mut said = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut out, &mut said)
            .await
            .expect("it is up");
        drop(running);
        drop(making);
        kit::nothing_left(On::Container, machine.dir.path()).await;
        let none = machine.host.image_installed(&image, "key-2").await;
        assert_eq!(none.expect("an answer"), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn old_images_of_this_runner_go_and_no_others() {
        let machine = Machine::on(On::Container).await;
        let label = picture::label(&machine.dir.path().join("data"));
        let ours = format!("LABEL nightshift.data={label}");
        let hex = label.trim_start_matches("nightshift-");
        let named = |number: u32| format!("localhost/nightshift-installed-{hex}-{number}");
        let archive = |number: u32| {
            let mut files = Files::none();
            files.file("number", 0o644, label.as_bytes());
            files.file("which", 0o644, &number.to_le_bytes());
            picture::archive(files)
        };
        for number in 0..12 {
            picture::import(&named(number), archive(number), &[&ours]).await;
        }
        // With our label, under a name that we do not give; and with our kind of name, another's.
        let foreign = format!("localhost/test-foreign-{hex}");
        picture::import(&foreign, archive(100), &[&ours]).await;
        let others = format!("localhost/nightshift-installed-others-{hex}");
        picture::import(&others, archive(101), &["LABEL nightshift.data=others"]).await;
        let base = machine
            .host
            .image_find(&Files::plain().image(&[]).await)
            .await;
        let base = base.expect("an answer").expect("it is there");
        let first = machine.host.image_installed(&base, "0").await;
        let first = first.expect("an answer").expect("it is there");
        machine.host.image_clean().await;
        let left = picture::made_by(&label).await;
        let count = left
            .iter()
            .filter(|name| name.contains("-installed-"))
            .count();
        // The oldest is held, and does not count.
        assert_eq!(count, 11, "{left:?}");
        assert!(
            left.iter().any(|name| name.starts_with(&named(0))),
            "{left:?}"
        );
        drop(first);
        machine.host.image_clean().await;
        let left = picture::made_by(&label).await;
        let count = left
            .iter()
            .filter(|name| name.contains("-installed-"))
            .count();
        assert_eq!(count, 10, "{left:?}");
        assert!(
            left.iter().any(|name| name.starts_with(&foreign)),
            "{left:?}"
        );
        assert!(!picture::made_by("others").await.is_empty());
        for name in left.iter().chain([&others]) {
            picture::remove(name).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_written_into_an_image_is_bounded() {
        let (mut machine, image) = machine(&Files::plain().image(&[]).await).await;
        machine.spec.limits.disk_bytes = 4 << 20;
        let sandbox = machine.sandbox();
        let making = sandbox.making();
        let fill = install("dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null");
        let ran = finish(sandbox.spawn(&fill).await.expect("a start")).await;
        assert_eq!(ran.exit, Ok(Exit::Exited { code: 0 }), "{ran:?}");
        // It ended before anybody looked; it is not kept all the same.
        let kept = making.keep(&image, "key-3").await.expect_err("too large");
        assert!(kept.to_string().contains("4194304 bytes"), "{kept}");
        kit::nothing_left(On::Container, machine.dir.path()).await;
        assert_eq!(run(&machine, &step("true")).await.exit, DONE);
    }
}
