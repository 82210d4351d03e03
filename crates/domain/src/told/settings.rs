//! What is wrong with a project's settings file, in words.
//!
//! The parser's own words are English; what it says about values and keys is read from them
//! (`config::told`), and where the text is no TOML they stand in a sentence as they are. Deliberately
//! absent: places in the file.

use crate::sentence::sentences;

sentences! {
    pub;
    in_file(path, message) = "settings-wrong.in-file": "{path}: {message}";
    at_line(path, line, message) = "settings-wrong.at-line": "{path}, line {line}: {message}";
    at_field(field, message) = "settings-wrong.at-field": "`{field}`: {message}";
    not_toml(said) = "settings-wrong.not-toml": "{said}";
    no_toml() = "settings-wrong.no-toml": "the file is no TOML";
    symlink() = "settings-wrong.symlink": "it is a symbolic link, which is not followed";
    large(most) = "settings-wrong.large": "the file is larger than {most} bytes";
    not_utf8() = "settings-wrong.not-utf8": "the file is not UTF-8";

    unknown_key(key) = "settings-wrong.unknown-key": "unknown field {key}";
    unknown_key_of(key, keys) = "settings-wrong.unknown-key-of": "unknown field {key}, expected {keys}";
    unknown_word(word, words) = "settings-wrong.unknown-word": "unknown variant {word}, expected {words}";
    one_of(words) = "settings-wrong.one-of": "one of {words}";
    missing(key) = "settings-wrong.missing": "`{key}` is missing, and has no default: give it";
    wrong_type(found, expected) = "settings-wrong.type": "invalid type: {found}, expected {expected}";
    wrong_value(found, expected) = "settings-wrong.value": "invalid value: {found}, expected {expected}";
    a_string(value) = "settings-found.string": "string {value}";
    an_integer(value) = "settings-found.integer": "integer {value}";
    a_float(value) = "settings-found.float": "floating point {value}";
    a_boolean(value) = "settings-found.boolean": "boolean {value}";
    a_map() = "settings-found.map": "map";
    a_sequence() = "settings-found.sequence": "sequence";
    text() = "settings-expected.text": "a string";
    list() = "settings-expected.list": "a list, such as [\"a\", \"b\"]";
    flag() = "settings-expected.flag": "true or false";
    byte() = "settings-expected.byte": "a number from 0 to 255";
    whole() = "settings-expected.whole": "a whole number";
    number() = "settings-expected.number": "a number";
    table() = "settings-expected.table": "a table";

    no_duration(text) = "settings-wrong.duration": "{text} is no duration between 1s and 24h: write it as \"90s\", \"10m\" or \"2h\"";
    no_money(amount) = "settings-wrong.money": "{amount} is no budget in US dollars: write it as 5.00, from 0.000001 to 1000000";
    no_minutes(minutes, most) = "settings-wrong.minutes": "{minutes} is no budget in minutes: write 1 to {most}";

    check_name(name) = "settings-wrong.check-name": "{name} is no check name: use 1 to 40 letters, digits, `-`, `_` or `.`; `acceptance` and `setup` are taken";
    check_twice(name) = "settings-wrong.check-twice": "check {name} is defined twice: give each check its own name";
    check_empty() = "settings-wrong.check-empty": "a check that runs nothing would always be green: give its command line";
    agent_name(name) = "settings-wrong.agent-name": "{name} is no agent name: use 1 to 40 letters, digits, `-`, `_` or `.`";
    agent_twice(name) = "settings-wrong.agent-twice": "agent {name} is defined twice: give each agent its own name";
    agent_command() = "settings-wrong.agent-command": "`command` belongs to the harnesses \"command\" and \"acp\" and is needed there";
    agent_model() = "settings-wrong.agent-model": "the harness \"native\" has no model of its own: give `model`, as the runner's endpoint names it";
    host(text, why) = "settings-wrong.host": "network.allow: {text} cannot be allowed: {why}; write \"packages.example.com\", \"*.example.com\" or \"example.com:8443\"";
    image(text, why) = "settings-wrong.image": "{text} is no name of an image: {why}; write \"registry.example.com/team/base:1\"";
    install_alone() = "settings-wrong.install": "it adds to an image, and none is named: give `image`, or use `setup`, which needs none";
    cache(text, why) = "settings-wrong.cache": "environment.cache: {text} cannot decide anything: {why}; write \"package-lock.json\" or \"tools/versions\"";
    cache_many(most) = "settings-wrong.cache-many": "environment.cache names more than {most} paths: name the folder that they are in";
    secret_twice(name) = "settings-wrong.secret-twice": "secret {name} is defined twice: name all its steps in one";
    secret_idle(name) = "settings-wrong.secret-idle": "secret {name} is for no step: name those that need it";
    secret_step(name, step, setup, acceptance, agent) = "settings-wrong.secret-step": "secret {name} is for {step}, which is no step: name a check of this file, {setup}, {acceptance} or {agent}";
    secret_agent(name) = "settings-wrong.secret-agent": "secret {name} is for the agent itself: say `author = true` if the agent, and whoever wrote what it reads, may know it";

    cache_empty() = "unfit-cache.empty": "it is empty";
    cache_length() = "unfit-cache.length": "a path has at most 512 bytes, and no control characters";
    cache_pattern() = "unfit-cache.pattern": "a pattern does not say which files count: name each, or their folder";
    cache_place() = "unfit-cache.place": "a path is one within the repository, without `/` at either end, `.`, `..` or `.git`";

    image_length() = "unfit-image.length": "a name has 1 to 255 bytes";
    image_scheme() = "unfit-image.scheme": "a name is written without https://";
    image_path() = "unfit-image.path": "its parts are small letters, digits, and single `.`, `_` or `-` between them";
    image_host() = "unfit-image.host": "the registry before the first `/` is a host name, with `:port` where it needs one";
    image_tag() = "unfit-image.tag": "a tag is 1 to 128 letters, digits, `_`, `.` or `-`, and does not begin with `.` or `-`";
    image_digest() = "unfit-image.digest": "a digest is `sha256:` and 64 hexadecimal digits in small letters";

    no_section(name, names) = "settings-edit.no-section": "there is no section {name}: there are {names}";
    which(section, key) = "settings-edit.which": "say which {section}: `{section}[NAME]{key}`";
    only_one(section) = "settings-edit.only-one": "there is one {section} only: leave out `[…]`";
    which_key(section) = "settings-edit.which-key": "say which key: `{section}.KEY`";
    no_key(section, key, keys) = "settings-edit.no-key": "{section} has no key {key}: it has {keys}";
    no_rows(section) = "settings-edit.no-rows": "{section} has no rows";
    none_named(section, name) = "settings-edit.none-named": "there is no {section} named {name}";
    no_row() = "settings-edit.no-row": "there is no such row, or it is named twice";
}
