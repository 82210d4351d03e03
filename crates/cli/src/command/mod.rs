//! Every command: its words, its options, its help. One file per command below.
//!
//! The doc comments are the help text. Invariant: a command reads no environment, no clock and no
//! settings by itself; what it works with is passed in. Deliberately absent: rules, which are the
//! server's.

pub(crate) mod agent;
pub(crate) mod broker;
pub(crate) mod completion;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod inbox;
pub(crate) mod issue;
pub(crate) mod login;
pub(crate) mod operator;
pub(crate) mod pr;
pub(crate) mod project;
pub(crate) mod queue;
pub(crate) mod run;
pub(crate) mod runner;
pub(crate) mod runners;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod sign_in_link;
pub(crate) mod speak;
pub(crate) mod states;
mod status;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod user;
pub(crate) mod view;

use clap::{Args, Parser, Subcommand};

use crate::connection::Connection;
use crate::demo;
use crate::desk;
use crate::environment::Environment;
use crate::failure::{CODES, Done};
use crate::output::Output;

/// File issues by day, agents work the night shift, review in the morning.
#[derive(Debug, Parser)]
#[command(
    name = "nightshift",
    version,
    after_help = CODES,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// Address of the server; otherwise the one of the last `login` or `up`
    #[arg(
        long,
        global = true,
        env = "NIGHTSHIFT_SERVER",
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub(crate) server: Option<String>,
    /// Token to sign in with; better in the variable than in a command line that others can see
    #[arg(
        long,
        global = true,
        env = "NIGHTSHIFT_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Global options"
    )]
    pub(crate) token: Option<String>,
    /// Project; otherwise the one that this checkout belongs to, or the only one
    #[arg(
        long,
        short,
        global = true,
        env = "NIGHTSHIFT_PROJECT",
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub(crate) project: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything on this machine: server and runner
    Up(up::Args),
    /// Show the whole loop on a small program: no key, no account
    Demo(demo::Args),
    /// Make projects and say who may do what in them
    #[command(subcommand)]
    Project(project::Command),
    /// File issues, answer questions, say what may start
    #[command(subcommand, visible_alias = "issues")]
    Issue(issue::Command),
    /// Look at results and decide: approve, or send back
    #[command(subcommand, visible_alias = "prs")]
    Pr(pr::Command),
    /// Watch agents at work
    #[command(subcommand, visible_alias = "runs")]
    Run(run::Command),
    /// Set values that the steps of a project need and nobody is to read
    #[command(subcommand)]
    Secret(secret::Command),
    /// Keep filters of the board under names
    #[command(subcommand)]
    View(view::Command),
    /// Show what is about to land, and what it waits for
    Queue,
    /// Decide on what waits for you, in the terminal
    Desk,
    /// Show what waits for you
    Inbox(inbox::Args),
    /// Show what happened
    Events(events::Args),
    /// List runners
    Runners,
    /// Show whether the server is well, and how much room it takes (administrators)
    Status,
    /// Make and revoke tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Make people known to the server
    #[command(subcommand)]
    User(user::Command),
    /// Start a server alone
    Serve(serve::Args),
    /// Start a runner alone: it claims jobs and carries them out in sandboxes
    Runner(Box<runner::Args>),
    /// What a runner starts as the only way out of its sandboxes
    #[command(hide = true)]
    Broker(broker::Args),
    /// On the server's own machine: make the first administrator, make tokens
    Operator(operator::Args),
    /// Sign in to a server with a token
    Login(login::Args),
    /// Print an address that signs a browser in, once
    SignInLink(sign_in_link::Args),
    /// Look for what is missing or broken on this machine
    Doctor(doctor::Args),
    /// The agent programs of this machine
    #[command(subcommand)]
    Agent(agent::Command),
    /// Print a completion script for a shell
    Completion(completion::Args),
    /// Print the OpenAPI document of the server's API
    Openapi,
    /// Print the state machines, as Markdown with diagrams
    States,
    /// Inside a run: ask the person who filed the issue
    Ask(speak::Args),
    /// Inside a run: say how far the work is
    Progress(speak::Args),
}

impl Cli {
    /// Does what was asked for.
    pub(crate) async fn run(self) -> Done {
        let environment = Environment::read();
        let output = Output::new(self.global.json, environment.no_colour);
        let global = &self.global;
        let connect = |environment| Connection::open(global, environment, output);
        match self.command {
            Command::Up(args) => args.run(&environment, output).await,
            Command::Demo(args) => args.run(environment, output).await,
            Command::Serve(args) => args.run(&environment, output).await,
            Command::Runner(args) => args.run(global, environment, output).await,
            Command::Broker(args) => args.run(&environment),
            Command::Operator(args) => args.run(&environment, output).await,
            Command::Project(command) => command.run(&connect(environment)?).await,
            Command::Issue(command) => command.run(&connect(environment)?).await,
            Command::Pr(command) => command.run(&connect(environment)?).await,
            Command::Run(command) => command.run(&connect(environment)?).await,
            Command::Secret(command) => command.run(&connect(environment)?).await,
            Command::View(command) => command.run(&connect(environment)?).await,
            Command::Queue => queue::run(&connect(environment)?).await,
            Command::Desk => desk::run(connect(environment)?).await,
            Command::Inbox(args) => args.run(&connect(environment)?).await,
            Command::Events(args) => args.run(&connect(environment)?).await,
            Command::Runners => runners::run(&connect(environment)?).await,
            Command::Status => status::run(&connect(environment)?).await,
            Command::Token(command) => command.run(&connect(environment)?).await,
            Command::User(command) => command.run(&connect(environment)?).await,
            Command::Login(args) => args.run(global, &environment, output).await,
            Command::SignInLink(args) => args.run(&connect(environment)?).await,
            Command::Doctor(args) => args.run(global, environment, output).await,
            Command::Agent(command) => command.run(&environment, output),
            Command::Completion(args) => args.run(output),
            Command::Openapi => output.json(&nightshift_api::openapi::document()),
            Command::States => states::run(output),
            Command::Ask(args) => args.ask(&environment, output).await,
            Command::Progress(args) => args.progress(&environment, output).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// clap keeps values by name: an argument named as a global one would take its place.
    #[test]
    fn no_argument_is_named_as_a_global_one() {
        fn walk(command: &clap::Command) {
            for below in command.get_subcommands() {
                for argument in below.get_arguments() {
                    let id = argument.get_id().as_str();
                    let global = ["server", "token", "project", "json"].contains(&id);
                    assert!(!global, "{} {id}", below.get_name());
                }
                walk(below);
            }
        }
        walk(&Cli::command());
    }

    /// Help texts are read by people: all of them in one place, so that a review sees them change.
    #[test]
    fn help_texts() {
        let mut root = Cli::command();
        root.build();
        let mut out = String::new();
        collect(&root, "", &mut out);
        insta::assert_snapshot!(out);
    }

    fn collect(command: &clap::Command, above: &str, out: &mut String) {
        let name = format!("{above}{}", command.get_name());
        let about = command.get_about().map(ToString::to_string);
        out.push_str(&format!("{name}: {}\n", about.unwrap_or_default()));
        for argument in command.get_arguments() {
            let is_own = !argument.is_global_set() || above.is_empty();
            if is_own && !["help", "version"].contains(&argument.get_id().as_str()) {
                let help = argument.get_help().map(ToString::to_string);
                out.push_str(&format!("    {argument}: {}\n", help.unwrap_or_default()));
            }
        }
        for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
            collect(below, &format!("{name} "), out);
        }
    }
}
