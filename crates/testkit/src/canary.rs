//! Secrets that are looked for: in every form in which one could be written down.
//!
//! A test puts a canary into a slot, lets everything happen, and searches what was written. The same
//! search goes into a sandbox as a program that holds the canaries disguised, so that it does not find
//! itself. Deliberately absent: encryption and compression; what is packed is unpacked by the caller.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// From this length on a secret's end is looked for alone: it may be kept without its prefix.
const LONG: usize = 40;

/// The forms in which a secret could be written down: as it is, reversed, in hexadecimal digits, as
/// part of an address, as part of JSON, and in base64 at each of the three alignments (without the
/// ends that depend on neighbours).
///
/// # Panics
/// When the secret is shorter than twelve bytes: such a canary would be found by chance.
pub fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let raw = secret.as_bytes();
    assert!(raw.len() >= 12, "a canary has twelve bytes or more");
    let mut forms = BTreeSet::from([raw.to_vec(), raw.iter().rev().copied().collect()]);
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    forms.insert(hex.to_uppercase().into_bytes());
    forms.insert(hex.into_bytes());
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let encoded: String = raw
        .iter()
        .map(|byte| match plain(byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    forms.insert(encoded.into_bytes());
    let json = serde_json::Value::from(secret).to_string();
    forms.insert(json.as_bytes()[1..json.len() - 1].to_vec());
    for shift in 0..3 {
        let padded = [&vec![0; shift], raw].concat();
        for text in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            forms.insert(text.as_bytes()[4..text.len() - 4].to_vec());
        }
    }
    if raw.len() >= LONG {
        forms.insert(raw[raw.len() - 24..].to_vec());
    }
    forms
}

/// A way to search many secrets in many bytes: by the first eight bytes of each form.
#[derive(Debug, Default)]
pub struct Canaries {
    by_head: HashMap<[u8; 8], Vec<(String, Vec<u8>)>>,
}

impl Canaries {
    /// Looks for these, each with the name of its slot.
    ///
    /// # Panics
    /// When one is too short.
    pub fn of<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut by_head: HashMap<[u8; 8], Vec<_>> = HashMap::new();
        for (slot, secret) in secrets {
            for form in forms(secret) {
                let head = form[..8].try_into().expect("eight bytes");
                let forms = by_head.entry(head).or_default();
                forms.push((slot.to_owned(), form));
            }
        }
        Self { by_head }
    }

    /// The slot of a secret that stands in these bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<&str> {
        bytes.windows(8).enumerate().find_map(|(at, window)| {
            let forms = self.by_head.get(window)?;
            let found = forms.iter().find(|(_, form)| bytes[at..].starts_with(form));
            found.map(|(slot, _)| slot.as_str())
        })
    }

    /// Every file below a folder that holds a secret, with its slot; and how many are there. The
    /// system's `grep` looks first, since there may be gigabytes.
    ///
    /// # Panics
    /// When the folder cannot be read, or there is no `grep`.
    #[expect(clippy::disallowed_methods, reason = "searches with the system's grep")]
    pub fn in_files(
        &self,
        folder: &Path,
        but: &dyn Fn(&Path) -> bool,
    ) -> (Vec<(PathBuf, String)>, usize) {
        let forms: Vec<_> = self.by_head.values().flatten().collect();
        let forms: Vec<&[u8]> = forms.iter().map(|(_, form)| form.as_slice()).collect();
        let mut list = tempfile::NamedTempFile::new().expect("a file");
        let written = list.write_all(&forms.join(&b"\n"[..]));
        written.expect("written");
        let output = std::process::Command::new("grep")
            .args(["-raFlZf"])
            .args([list.path(), Path::new("--"), folder])
            .env("LC_ALL", "C")
            .output()
            .expect("grep");
        let names = output.stdout.split(|byte| *byte == 0);
        let suspects = names.filter(|name| !name.is_empty());
        let found = suspects
            .map(|name| PathBuf::from(OsStr::from_bytes(name)))
            .filter(|path| !but(path))
            // What is gone meanwhile holds nothing.
            .filter_map(|path| {
                let slot = self.find(&std::fs::read(&path).ok()?)?.to_owned();
                Some((path, slot))
            });
        (found.collect(), count(folder))
    }

    /// The same search for a sandbox, in Python: environments, command lines, memory and open files
    /// of all processes, and all files. It holds the canaries disguised, and prints one line:
    /// `look: files=N processes=N planted=N found=[slot place, ..]`. To show that it works it
    /// starts a process with a word of its own, which it must find.
    pub fn program(&self) -> String {
        let mut all: Vec<_> = self.by_head.values().flatten().collect();
        all.sort();
        let list: Vec<_> = all
            .iter()
            .map(|(slot, form)| {
                let hidden = form.iter().map(|byte| format!("{:02x}", byte ^ 0x55));
                format!("({slot:?},{:?})", hidden.collect::<String>())
            })
            .collect();
        LOOK.replace("CANARIES", &list.join(","))
    }
}

/// How many files are below a folder.
fn count(folder: &Path) -> usize {
    let mut seen = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // One that is gone meanwhile has none.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) => seen += usize::from(kind.is_file()),
                Err(_) => {}
            }
        }
    }
    seen
}

const LOOK: &str = r#"
import glob, os, subprocess, sys, time
canaries = [(slot, bytes(b ^ 0x55 for b in bytes.fromhex(form))) for slot, form in (CANARIES,)]
word = bytes(b ^ 0x55 for b in b'PLANTED-WORD-OF-ITS-OWN')
found, planted, files, processes = set(), set(), 0, 0
def look(place, data):
    for slot, form in canaries:
        if form in data: found.add(slot + ' ' + place)
    if word in data: planted.add(place)
def read(path, most=64 << 20):
    try:
        with open(path, 'rb') as file: return file.read(most)
    except OSError: return b''
child = subprocess.Popen(['sh', '-c', 'read x; :'], env={'PLANTED': word.decode('latin-1')}, stdin=subprocess.PIPE)
time.sleep(0.2)
own = str(os.getpid())
for process in glob.glob('/proc/[0-9]*'):
    pid = process.split('/')[2]
    for part in ('environ', 'cmdline', 'status', 'mountinfo', 'stack', 'auxv'):
        look(process + '/' + part, read(process + '/' + part))
    for fd in glob.glob(process + '/fd/*'):
        if os.path.isfile(fd): look(fd, read(fd))
    # This process alone holds them, as it was told.
    if pid == own: continue
    processes += 1
    try: memory = open(process + '/mem', 'rb', 0)
    except OSError: continue
    for line in read(process + '/maps').decode('latin-1').splitlines():
        span, rights = line.split()[:2]
        # What is only read is a program's own text.
        if rights[:2] != 'rw': continue
        start, end = (int(part, 16) for part in span.split('-'))
        while start < end:
            size = min(end - start, 8 << 20)
            try:
                memory.seek(start)
                look(process + '/mem', memory.read(size))
            except (OSError, OverflowError, ValueError): pass
            # Over the border of two pieces, too.
            start += size if start + size == end else size - 4096
for top in [name for name in os.listdir('/') if name not in ('proc', 'sys', 'usr', 'dev', 'bin', 'sbin', 'lib', 'lib64')] + ['dev/shm']:
    for folder, _, names in os.walk('/' + top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) < 64 << 20:
                files += 1
                look(path, os.fsencode(path) + read(path))
for place in ('/proc/net/unix', '/proc/net/tcp', '/proc/keys', '/proc/self/mountinfo', '/proc/cmdline', '/proc/version'):
    look(place, read(place))
for command in (['git', 'config', '--list'], ['git', 'remote', '-v'], ['env']):
    try: look(' '.join(command), subprocess.run(command, capture_output=True).stdout)
    except OSError: pass
child.stdin.close()
child.wait()
print('look: files=%d processes=%d planted=%d found=%s' % (files, processes, len(planted), sorted(found)))
"#;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-a\"b/c+d CANARY-0123456789-and-some-more";

    #[test]
    fn each_form_is_found_wherever_it_stands() {
        let canaries = Canaries::of([("key", SECRET)]);
        let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
        let mut written = vec![
            SECRET.to_owned(),
            SECRET.chars().rev().collect(),
            hex.to_uppercase(),
            hex,
            serde_json::json!({ "a": SECRET }).to_string(),
            "sk-a%22b%2Fc%2Bd%20CANARY-0123456789-and-some-more".to_owned(),
            "CANARY-0123456789-and-some-more".to_owned(),
        ];
        for before in ["", "x", "xy"] {
            let text = format!("{before}{SECRET}");
            written.push(STANDARD_NO_PAD.encode(&text));
            written.push(URL_SAFE_NO_PAD.encode(text + "tail"));
        }
        for text in written {
            let bytes = format!("before {text} behind");
            assert_eq!(canaries.find(bytes.as_bytes()), Some("key"), "{text}");
        }
        assert_eq!(canaries.find(b"sk-a\"b/c+d CANARY-0123"), None);
        assert_eq!(canaries.find(b""), None);
    }

    #[test]
    fn the_program_for_a_sandbox_does_not_hold_what_it_looks_for() {
        let canaries = Canaries::of([("key", SECRET)]);
        assert_eq!(canaries.find(canaries.program().as_bytes()), None);
        assert!(canaries.program().contains("\"key\""));
    }

    #[test]
    fn files_are_searched_below_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("folders");
        std::fs::write(deep.join("one"), SECRET).expect("a file");
        std::fs::write(deep.join("slot"), SECRET).expect("a file");
        std::fs::write(folder.path().join("two"), "nothing").expect("a file");
        let canaries = Canaries::of([("key", SECRET)]);
        let (found, seen) = canaries.in_files(folder.path(), &|path| path.ends_with("slot"));
        assert_eq!(found, [(deep.join("one"), "key".to_owned())]);
        assert_eq!(seen, 3);
    }
}
