//! What this device accepts without asking.

use serde_json::{Value as Json, json};
use tidewater_sync::PolicyRule;

use super::arguments::{AddRule, PolicyCommand};
use super::context::Context;
use super::failure::{Done, Failure};

pub(crate) fn policy(context: &mut Context, command: &PolicyCommand) -> Done {
    let mut policy = context.database.policy()?;
    match command {
        PolicyCommand::List => {}
        PolicyCommand::Add(rule) => policy.rules.push(rule_of(rule)),
        PolicyCommand::Remove { number } => {
            if *number == 0 || *number > policy.rules.len() {
                let why = format!("there is no rule {number}; see `tide policy list`");
                return Err(Failure::not_found(why));
            }
            policy.rules.remove(number - 1);
        }
    }
    if !matches!(command, PolicyCommand::List) {
        context.database.set_policy(&policy)?;
    }
    let records: Vec<Json> = policy.rules.iter().zip(1..).map(|(rule, number)| record(rule, number)).collect();
    context.output.records(&["number", "proposal", "from", "device", "max_entries", "decision"], &records)
}

fn rule_of(rule: &AddRule) -> PolicyRule {
    let AddRule { proposal, from, decision, device, max_entries } = *rule;
    PolicyRule { proposal, from, device, max_entries, decision }
}

fn record(rule: &PolicyRule, number: usize) -> Json {
    json!({
        "number": number, "proposal": rule.proposal.name(), "from": rule.from.name(),
        "device": rule.device.map(tidewater_sync::DeviceKind::name), "max_entries": rule.max_entries,
        "decision": rule.decision.name(),
    })
}
