//! Finding documents: by the short language, by JSON, by GraphQL.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value as Json, json};
use tidewater_engine::query::{Access, Cursor, Found, Order, Page, Plan, Query as Find};

use super::arguments::Query;
use super::context::{Context, filter};
use super::documents::to_json;
use super::failure::{Code, Done, Failure};
use crate::graphql::{Graph, Operation};

/// How many columns a table of documents has at most.
const MAX_COLUMNS: usize = 8;

pub(crate) fn query(context: &mut Context, query: &Query) -> Done {
    let text = context.text(&query.text)?;
    if query.text == "-" || text.contains('{') { graphql(context, query, text) } else { find(context, query, text) }
}

fn graphql(context: &mut Context, query: &Query, text: String) -> Done {
    let variables = match &query.variables {
        Some(json) => serde_json::from_str(json).map_err(|error| Failure::usage(format!("--variables: {error}")))?,
        None => Json::Null,
    };
    let graph = match &context.node {
        Some(node) => Graph::with_node(node.clone()),
        None => Graph::new(context.database.clone()),
    };
    let operation = Operation { query: text, operation_name: query.operation.clone(), variables };
    let outcome = context.runtime.block_on(graph.execute(operation, false));
    let answer: Json = serde_json::from_str(&outcome.to_json()).map_err(Failure::failed)?;
    if context.output.is_table() {
        context.output.text(&format!("{answer:#}\n"))?;
    } else {
        context.output.text(&format!("{answer}\n"))?;
    }
    match answer["errors"][0]["message"].as_str() {
        None => Ok(()),
        Some(why) => {
            let code = if outcome.refused.is_some() { Code::Usage } else { Code::Failed };
            Err(Failure::new(code, format!("GraphQL: {}", why.replace('\n', " "))))
        }
    }
}

fn find(context: &mut Context, query: &Query, collection: String) -> Done {
    let after = query.after.as_ref().map(|text| {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        bytes.map(Cursor).map_err(|_| Failure::usage("--after takes the cursor that an earlier page gave"))
    });
    let find = Find {
        spaces: context.space(&query.space)?.map(|space| vec![space]),
        filter: filter(query.filter.as_deref())?,
        order: query.order.iter().map(|text| Order::parse(text)).collect::<Result<_, _>>()?,
        page: Page { limit: Some(query.first), after: after.transpose()?, count: query.count },
        ..Find::all(collection.as_str())
    };
    let snapshot = context.database.snapshot()?;
    let found = snapshot.find(&find)?;
    if found.documents.is_empty() && !snapshot.collections()?.contains(&collection) {
        return Err(Failure::not_found(format!("no collection {collection:?}; see `tide collection list`")));
    }
    show(context, query, &found)
}

fn show(context: &mut Context, query: &Query, found: &Found) -> Done {
    let records: Vec<Json> = found.documents.iter().map(to_json).collect();
    let next = found.cursors.last().filter(|_| found.has_more).map(|cursor| BASE64URL_NOPAD.encode(&cursor.0));
    if context.output.is_table() {
        context.output.records(&columns(&records), &records)?;
        let mut notes = String::new();
        if let Some(total) = found.total {
            notes += &format!("{total} match\n");
        }
        if let Some(cursor) = &next {
            notes += &format!("more: --after {cursor}\n");
        }
        if query.explain {
            notes += &format!("{}\n", explained(&found.plan));
        }
        let space = if notes.is_empty() { "" } else { "\n" };
        return context.output.text(&format!("{space}{notes}"));
    }
    if !query.count && !query.explain && next.is_none() {
        return context.output.records(&[], &records);
    }
    let mut page = json!({ "documents": records, "next": next });
    if let Some(total) = found.total {
        page["total"] = total.into();
    }
    if query.explain {
        page["plan"] = explained(&found.plan).into();
    }
    context.output.record(&page)
}

/// The id and the fields that most documents have.
fn columns(records: &[Json]) -> Vec<&str> {
    let mut seen: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for name in records.iter().filter_map(Json::as_object).flat_map(|fields| fields.keys()) {
        *seen.entry(name).or_default() += 1;
    }
    seen.remove("id");
    let mut names: Vec<(&str, usize)> = seen.into_iter().collect();
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    std::iter::once("id").chain(names.into_iter().map(|(name, _)| name)).take(MAX_COLUMNS).collect()
}

fn explained(plan: &Plan) -> String {
    let access = match &plan.access {
        Access::Ids => "looked ids up".to_owned(),
        Access::Scan => "read the whole collection".to_owned(),
        Access::Range => "read a range of ids".to_owned(),
        Access::Index { name, equal, range, .. } => {
            let ranged = if *range { " and a range" } else { "" };
            format!("read index {name} ({equal} equal{ranged})")
        }
        other => format!("{other:?}"),
    };
    let sorted = if plan.ordered { "in order" } else { "then sorted" };
    format!("{access}, {sorted}: {} read, {} returned", plan.read, plan.returned)
}
