//! The command line `tide`.

mod arguments;
mod audit;
mod collections;
mod conflicts;
mod contacts;
mod context;
mod control;
mod documents;
mod failure;
mod identity;
mod input;
mod key;
mod leaving;
mod network;
mod output;
mod policy;
mod profile;
mod progress;
mod queries;
mod recovery;
mod serve;
mod sharing;
mod state;
mod transfer;

use std::io;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, AuditCommand, Command, ContactCommand, KeyCommand};
use context::{Context, Interrupt};
use failure::{Code, Done, Failure};
use input::Input;
use output::Output;

use crate::demo::{self, Plan};

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed stream is nobody to show help to.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Code::Usage as u8));
        }
    };
    let filter = EnvFilter::try_from_env("TIDE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let storage_panicked = keep_panics_of_the_storage_short();
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| execute(&arguments)));
    let done = done.unwrap_or_else(|_| Err(panicked(storage_panicked.load(Ordering::Acquire))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The storage may panic on a damaged file. That is told as damage in one line, and its own words go to the log. Gives
/// whether it happened.
fn keep_panics_of_the_storage_short() -> Arc<AtomicBool> {
    let happened = Arc::new(AtomicBool::new(false));
    let (usual, happens) = (std::panic::take_hook(), Arc::clone(&happened));
    std::panic::set_hook(Box::new(move |panic| {
        match panic.location().filter(|place| place.file().contains("/redb-")) {
            Some(place) => {
                happens.store(true, Ordering::Release);
                tracing::debug!(%place, "the storage panicked");
            }
            None => usual(panic),
        }
    }));
    happened
}

fn panicked(in_storage: bool) -> Failure {
    if in_storage {
        let why = "the database is damaged: the storage could not be read; restore a backup, or join again from another device";
        return Failure::new(Code::Damaged, why);
    }
    Failure::failed("the program failed inside, as told above; this is a fault of it")
}

/// Threads that may block at once: those of commands and sessions, which have limits of their own, and of requests. Each
/// keeps its stack.
const MAX_BLOCKING_THREADS: usize = 64;

fn execute(arguments: &Arguments) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .map_err(|error| Failure::failed(format!("the runtime did not start: {error}")))?;
    let mut output = Output::new(&arguments.global, Box::new(io::stdout()));
    let interrupted = Interrupt::default();
    let done = dispatch(arguments, &mut output, runtime.handle(), &interrupted);
    let flushed = output.flush();
    // What still runs in the background has nothing to say any more.
    runtime.shutdown_background();
    done.and(flushed)
}

fn dispatch(
    arguments: &Arguments,
    output: &mut Output,
    runtime: &tokio::runtime::Handle,
    interrupted: &Interrupt,
) -> Done {
    let global = &arguments.global;
    if arguments.command.ends_in_good_order() {
        listen_for_signals(runtime, interrupted)?;
    }
    match &arguments.command {
        Command::Init(init) => state::init(global, init, output),
        Command::Join(join) => network::join(global, join, output, runtime, interrupted),
        Command::Recover(recover) => recovery::recover(global, recover, output, runtime, interrupted),
        Command::Serve(serve) => serve::serve(global, serve, output, runtime, interrupted),
        Command::Demo(demo) => {
            let plan = Plan {
                input: demo.input.clone(),
                collection: demo.collection.clone(),
                id: demo.id.clone(),
                records: demo.records,
            };
            demo::run(&plan).map_err(Failure::failed)
        }
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Arguments::command(), "tide", &mut output.writer());
            Ok(())
        }
        Command::Key(KeyCommand::New { file }) => key::new(file, output),
        Command::Key(KeyCommand::Change(change)) => key::change(global, change, output),
        // A file that proves itself needs no database.
        Command::Audit(AuditCommand::Verify(wanted)) => audit::verify(output, &wanted.file, wanted),
        command => {
            let database = match context::open(global) {
                Err(failure) if failure.code == Code::InUse => {
                    return control::call(&context::path(global)?, runtime, interrupted).unwrap_or(Err(failure));
                }
                opened => opened?,
            };
            let mut context = Context {
                database,
                node: None,
                output: std::mem::replace(output, Output::new(global, Box::new(io::sink()))),
                input: Box::new(io::BufReader::new(Input::new(interrupted.clone()))),
                interrupted: interrupted.clone(),
                runtime: runtime.clone(),
                shows_progress: true,
                folder: std::env::current_dir().unwrap_or_default(),
            };
            let done = run_open(command, &mut context);
            let flushed = context.output.flush();
            done.and(flushed)
        }
    }
}

/// Runs a command on an open database.
fn run_open(command: &Command, context: &mut Context) -> Done {
    match command {
        Command::Import(import) => transfer::import(context, import),
        Command::Export(export) => transfer::export(context, export),
        Command::Get(place) => documents::get(context, place),
        Command::Put(put) => documents::put(context, put),
        Command::Update(update) => documents::update(context, update),
        Command::Delete(place) => documents::delete(context, place),
        Command::Restore(place) => documents::restore(context, place),
        Command::Conflicts(wanted) => conflicts::conflicts(context, wanted),
        Command::Resolve(resolve) => conflicts::resolve(context, resolve),
        Command::Undo(undo) => conflicts::undo(context, undo),
        Command::Query(query) => queries::query(context, query),
        Command::Watch(watch) => network::watch(context, watch),
        Command::Collection(command) => collections::collection(context, command),
        Command::Index(command) => collections::index(context, command),
        Command::Space(command) => sharing::space(context, command),
        Command::Offer(command) => sharing::offer(context, command),
        Command::Share(share) => network::share(context, share),
        Command::Link(invite) => network::link(context, invite),
        Command::Identity(command) => identity::identity(context, command),
        Command::Device(command) => identity::device(context, command),
        Command::Contact(command) => contacts::contact(context, command),
        Command::Profile(command) => profile::profile(context, command),
        Command::Policy(command) => policy::policy(context, command),
        Command::Members(named) => sharing::members(context, named),
        Command::Rank(change) => sharing::change_rank(context, change),
        Command::Revoke(revoke) => sharing::revoke(context, revoke),
        Command::Leave(leave) => leaving::leave(context, leave),
        Command::Peers(peers) => sharing::peers(context, peers),
        Command::Status => state::status(context),
        Command::Void(void) => state::void(context, void),
        Command::Audit(command) => audit::audit(context, command),
        Command::Digest(digest) => state::digest(context, digest),
        Command::Verify => state::verify(context),
        Command::Init(_)
        | Command::Join(_)
        | Command::Recover(_)
        | Command::Serve(_)
        | Command::Demo(_)
        | Command::Key(_)
        | Command::Completions { .. } => Err(Failure::usage("this command can't be run inside another process")),
    }
}

impl Command {
    /// Whether a signal asks the command to end in good order, instead of ending the process.
    fn ends_in_good_order(&self) -> bool {
        matches!(
            self,
            Self::Import(_)
                | Self::Export(_)
                | Self::Watch(_)
                | Self::Share(_)
                | Self::Link(_)
                | Self::Join(_)
                | Self::Contact(ContactCommand::Request(_))
                | Self::Recover(_)
                | Self::Serve(_)
        )
    }
}

/// The first SIGINT or SIGTERM raises `interrupted`; the second ends the process.
fn listen_for_signals(runtime: &tokio::runtime::Handle, interrupted: &Interrupt) -> Done {
    use tokio::signal::unix::{SignalKind, signal};
    let _inside = runtime.enter();
    let listen =
        |kind| signal(kind).map_err(|error| Failure::failed(format!("signals can't be listened for: {error}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let interrupted = interrupted.clone();
    runtime.spawn(async move {
        for raised in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if raised {
                std::process::exit(Code::Interrupted as i32);
            }
            interrupted.raise();
        }
    });
    Ok(())
}
