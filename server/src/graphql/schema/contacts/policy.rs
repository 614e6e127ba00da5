//! What this device accepts without asking.

use async_graphql::Error;
use async_graphql::Value as Answer;
use async_graphql::Value as Argument;
use async_graphql::dynamic::{Field, FieldValue, Object, TypeRef};
use tidewater_sync::{Database, Decision, DeviceKind, Policy, PolicyRule, Proposal, Relationship};

use super::failed;
use crate::graphql::error::{self, Code};
use crate::graphql::schema::operator::{optional, text};
use crate::graphql::schema::{Answered, Call, Parts, root};
use crate::graphql::{lower, output};

pub(super) fn register(parts: &mut Parts) {
    parts.register(rule_type());
    parts.queries.push(rules());
    parts.mutations.push(add());
    parts.mutations.push(remove());
}

fn rule_type() -> Object {
    Object::new("PolicyRule")
        .field(text("proposal", |rule: &PolicyRule| rule.proposal.name().to_owned()).description("space or request."))
        .field(
            text("from", |rule: &PolicyRule| rule.from.name().to_owned())
                .description("own, verified, contact or stranger."),
        )
        .field(optional("device", TypeRef::STRING, |rule: &PolicyRule| {
            rule.device.map(|kind| Answer::from(kind.name()))
        }))
        .field(optional("maxEntries", "Int64", |rule: &PolicyRule| {
            rule.max_entries.map(|most| output::int(i64::try_from(most).unwrap_or(i64::MAX)))
        }))
        .field(
            text("decision", |rule: &PolicyRule| rule.decision.name().to_owned()).description("accept, ask or refuse."),
        )
}

fn listed(policy: Policy) -> Answered {
    Ok(Some(FieldValue::list(policy.rules.into_iter().map(FieldValue::owned_any))))
}

fn rules() -> Field {
    root("policyRules", TypeRef::named_nn_list_nn("PolicyRule"), &[], |call| async move {
        listed(call.scope.run(|database| database.policy().map_err(failed)).await?)
    })
    .description("What this device accepts without asking: the first rule that fits decides.")
}

fn add() -> Field {
    let arguments = [
        ("proposal", TypeRef::named_nn(TypeRef::STRING)),
        ("from", TypeRef::named_nn(TypeRef::STRING)),
        ("decision", TypeRef::named_nn(TypeRef::STRING)),
        ("device", TypeRef::named(TypeRef::STRING)),
        ("maxEntries", TypeRef::named(TypeRef::INT)),
    ];
    root("addPolicyRule", TypeRef::named_nn_list_nn("PolicyRule"), &arguments, |call| async move {
        let device = lower::given(&call.arguments, "device");
        let most = lower::given(&call.arguments, "maxEntries").map(|argument| lower::count("maxEntries", argument));
        let rule = PolicyRule {
            proposal: named(&call, "proposal", Proposal::named)?,
            from: named(&call, "from", Relationship::named)?,
            device: device.map(|_| named(&call, "device", DeviceKind::named)).transpose()?,
            max_entries: most.transpose().map_err(error::lowering)?.map(|most| most as u64),
            decision: named(&call, "decision", Decision::named)?,
        };
        listed(change(&call, move |policy| policy.rules.push(rule)).await?)
    })
    .description("Adds a rule after the others; gives all.")
}

fn remove() -> Field {
    let arguments = [("number", TypeRef::named_nn(TypeRef::INT))];
    root("removePolicyRule", TypeRef::named_nn_list_nn("PolicyRule"), &arguments, |call| async move {
        let number = lower::count("number", call.arguments.get("number").unwrap_or(&Argument::Null));
        let number = number.map_err(error::lowering)?;
        let rules = call.scope.run(|database| database.policy().map_err(failed)).await?.rules.len();
        if number == 0 || number > rules {
            return Err(Code::NotFound.error(format!("there is no rule {number}; there are {rules}, from 1")));
        }
        listed(change(&call, move |policy| drop(policy.rules.drain(number - 1..number))).await?)
    })
    .description("Removes a rule by its number in the list, from 1; gives all.")
}

async fn change(call: &Call, change: impl FnOnce(&mut Policy) + Send + 'static) -> Result<Policy, Error> {
    let change = move |database: &Database| {
        let mut policy = database.policy()?;
        change(&mut policy);
        database.set_policy(&policy)?;
        Ok(policy)
    };
    call.scope.run(move |database| change(database).map_err(failed)).await
}

fn named<T>(call: &Call, argument: &str, named: fn(&str) -> Option<T>) -> Result<T, Error> {
    let name = lower::text(argument, call.arguments.get(argument).unwrap_or(&Argument::Null));
    let name = name.map_err(error::lowering)?;
    named(name).ok_or_else(|| Code::BadInput.error(format!("{argument}: there is no {name:?}")))
}
