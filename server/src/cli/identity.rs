//! The identity of a database: its recovery words and its devices.

use serde_json::{Value as Json, json};
use tidewater_sync::RecoveryWords;
use zeroize::Zeroizing;

use super::arguments::{DeviceCommand, IdentityCommand};
use super::context::Context;
use super::failure::{Done, Failure};
use super::network::hint;
use super::sharing::device_id;
use crate::graphql;

pub(crate) fn identity(context: &mut Context, command: &IdentityCommand) -> Done {
    match command {
        IdentityCommand::Show => show(context),
        IdentityCommand::Words => words(context),
        IdentityCommand::ForgetWords => forget_words(context),
    }
}

fn show(context: &mut Context) -> Done {
    let card = context.database.card()?;
    let record = json!({
        "identity": card.identity().to_string(), "name": card.name, "devices": card.certificates.len(),
        "words_kept": context.database.recovery_words().is_ok(), "card": card.to_string(),
    });
    context.output.record(&record)
}

fn words(context: &mut Context) -> Done {
    let words = context.database.recovery_words()?;
    context.output.say(&words.expose(), &json!({ "words": words.expose().as_str() }))?;
    context.output.flush()?;
    if context.shows_progress {
        hint("write them down on paper, then let this database forget them: tide identity forget-words");
    }
    Ok(())
}

fn forget_words(context: &mut Context) -> Done {
    let words = read_words(context)?;
    context.database.forget_recovery_words(&words)?;
    context.output.say("forgotten; they are where you wrote them down, and nowhere else", &json!({ "forgotten": true }))
}

/// Recovery words from standard input: as an argument other processes could see them.
fn read_words(context: &mut Context) -> Done<RecoveryWords> {
    let text = Zeroizing::new(context.text("-")?);
    parse_words(&text)
}

pub(super) fn parse_words(text: &str) -> Done<RecoveryWords> {
    text.parse().map_err(|error| Failure::usage(format!("standard input: {error}")))
}

pub(crate) fn device(context: &mut Context, command: &DeviceCommand) -> Done {
    match command {
        DeviceCommand::List => list(context),
        DeviceCommand::Remove { device } => {
            let device = device_id(device)?;
            context.database.remove_device(&device)?;
            let record = json!({ "device": device.to_string(), "removed": true });
            context.output.say("removed; what it had read stays with it, new keys are in use from here on", &record)
        }
    }
}

fn list(context: &mut Context) -> Done {
    let own = context.database.device();
    let records: Vec<Json> = context
        .database
        .card()?
        .certificates
        .iter()
        .map(|one| {
            json!({
                "device": one.device.to_string(), "this": one.device == own, "certified": graphql::time(one.issued_ms),
            })
        })
        .collect();
    context.output.records(&["device", "this", "certified"], &records)
}
