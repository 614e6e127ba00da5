//! What happens, step by step.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::device::Device;
use super::report::Report;
use super::{Plan, argument, records};

const SCHEMA: &str = r#"{"fields": {
    "title": {"type": "string"}, "views": {"kind": "counter"},
    "tags": {"kind": "set", "type": "string"}, "body": {"kind": "text"}}}"#;
const NOTE: &str =
    r#"{"title": "Written before we parted", "views": 10, "tags": ["shared", "start"], "body": "One text."}"#;

/// Tells the whole story.
pub(super) fn tell(plan: &Plan, folder: &Path, report: &mut Report) -> Result<(), String> {
    let mut first = Device::new("first", folder);
    let mut second = Device::new("second", folder);
    import(plan, folder, &first, report)?;
    link(&mut first, &second, report)?;
    live(plan, &first, &mut second, report)?;
    part(&mut first, &mut second, report)?;
    meet(&mut first, &mut second, report)?;
    converged(plan, &first, &second, report)?;
    first.kill()?;
    second.kill()?;
    report.step("Check every record, signature and index of both files")?;
    for device in [&first, &second] {
        let verified = device.run(&["verify"])?;
        let problems = verified["problems"].as_array().map_or(usize::MAX, Vec::len);
        let what = format!("tide verify finds nothing on the {} device ({} entries)", device.name, verified["entries"]);
        report.check(&what, problems == 0)?;
    }
    Ok(())
}

fn import(plan: &Plan, folder: &Path, first: &Device, report: &mut Report) -> Result<(), String> {
    report.step("Create a database and import records into it")?;
    first.make_key()?;
    first.run(&["init", "--name", "Demo"])?;
    let input: PathBuf = match &plan.input {
        Some(input) => input.clone(),
        None => {
            let path = folder.join("records.ndjson");
            records::write(&path, plan.records).map_err(|error| format!("{}: {error}", path.display()))?;
            path
        }
    };
    let bytes = std::fs::metadata(&input).map_err(|error| format!("{}: {error}", input.display()))?.len();
    let started = Instant::now();
    let imported = first.run(&["import", "--collection", &plan.collection, "--id", &plan.id, argument(&input)?])?;
    let records = imported["imported"].as_u64().unwrap_or(0);
    report.say(&format!("   {records} records, {bytes} bytes, in {}", seconds(started.elapsed())))?;
    report.check("records were imported", records > 0)?;
    first.run(&["collection", "declare", "notes", SCHEMA])?;
    first.run(&["put", "notes", "shared", NOTE])?;
    Ok(())
}

fn link(first: &mut Device, second: &Device, report: &mut Report) -> Result<(), String> {
    report.step("Link a second device by ticket, over QUIC")?;
    first.serve()?;
    let answer = first.ask("mutation { link { ticket } }", &Json::Null)?;
    let ticket = answer["link"]["ticket"].as_str().ok_or("GraphQL gave no ticket")?.to_owned();
    let shown: String = ticket.chars().take(40).collect();
    report.say(&format!("   ticket {shown}…"))?;
    let started = Instant::now();
    second.make_key()?;
    let joined = second.run(&["join", &ticket, "--p2p", "127.0.0.1:0"])?;
    let documents = joined["documents"].as_u64().unwrap_or(0);
    report.say(&format!("   {documents} documents synced in {}", seconds(started.elapsed())))?;
    let digests = second.run(&["digest"])?;
    let equal = first.digests()?.iter().all(|(space, digest)| {
        digests.as_array().is_some_and(|all| all.iter().any(|one| one["space"] == **space && one["digest"] == **digest))
    });
    report.check("both devices have the same digest of every space", equal)
}

fn live(plan: &Plan, first: &Device, second: &mut Device, report: &mut Report) -> Result<(), String> {
    report.step("Serve both, and see a change travel")?;
    second.serve()?;
    report.say(&format!("   processes {} and {}", first.process_number(), second.process_number()))?;
    let watching = second.watch("notes")?;
    first.ask("mutation { updateNote(id: \"shared\", patch: {views: {increment: 1}}) { views } }", &Json::Null)?;
    let seen = watching.until(&[&|note| note["views"] == 11]);
    let after = seen.map_or(String::new(), |after| format!(" ({} ms later)", after.as_millis()));
    report.check(&format!("a change on the first device shows on the second{after}"), seen.is_some())?;
    let peers = second.ask("{ peers { connected } }", &Json::Null)?;
    let connected = peers["peers"].as_array().is_some_and(|peers| peers.iter().any(|peer| peer["connected"] == true));
    report.check("the devices are connected", connected)?;
    let query = "query($c: String!) { documents(collection: $c, first: 1) { totalCount } }";
    let count = |device: &Device| device.ask(query, &json!({ "c": plan.collection }));
    let (there, here) = (count(first)?, count(second)?);
    report.check(&format!("both count {} documents", there["documents"]["totalCount"]), there == here)
}

fn part(first: &mut Device, second: &mut Device, report: &mut Report) -> Result<(), String> {
    report.step("Kill both processes, and edit the same document on each device, apart")?;
    first.kill()?;
    second.kill()?;
    let on_first = r#"{"title": {"set": "From the first device"}, "views": {"increment": 2},
        "tags": {"add": ["first"], "remove": ["start"]}, "body": {"splice": {"at": 0, "delete": 0, "insert": "First here. "}}}"#;
    let on_second = r#"{"title": {"set": "From the second device"}, "views": {"increment": 3},
        "tags": {"add": ["second", "start"]}, "body": {"splice": {"at": 9, "delete": 0, "insert": " Second here."}}}"#;
    for (device, patch) in [(&*first, on_first), (&*second, on_second)] {
        let edited = device.run(&["update", "notes", "shared", patch])?;
        report.say(&format!("   {:6} {edited}", device.name))?;
    }
    first.run(&["put", "notes", "only-first", r#"{"title": "Made on the first device while apart"}"#])?;
    second.run(&["put", "notes", "only-second", r#"{"title": "Made on the second device while apart"}"#])?;
    Ok(())
}

fn meet(first: &mut Device, second: &mut Device, report: &mut Report) -> Result<(), String> {
    report.step("Start both again, and let them converge")?;
    first.serve()?;
    second.serve()?;
    // Each device wrote its own of these last, and a device gets everything in the order it was written in.
    let last: [&dyn Fn(&Json) -> bool; 2] = [&|note| note["id"] == "only-first", &|note| note["id"] == "only-second"];
    let took = [first.watch("notes")?.until(&last), second.watch("notes")?.until(&last)];
    let after = match took {
        [Some(first), Some(second)] => format!(" ({} later)", seconds(first + second)),
        _ => String::new(),
    };
    let equal = first.digests()? == second.digests()?;
    report.check(&format!("both devices have the same digest of every space{after}"), equal)?;
    for (space, digest) in first.digests()? {
        report.say(&format!("   space {}…  digest {digest}", &space[..space.len().min(12)]))?;
    }
    Ok(())
}

fn converged(plan: &Plan, first: &Device, second: &Device, report: &mut Report) -> Result<(), String> {
    report.step("Look at the document that both edited, on the second device")?;
    let (there, here) = (note(first)?, note(second)?);
    report.say(&indented(&format!("{here:#}")))?;
    report.check("the document is the same on both devices", there == here)?;
    report.check("the counter has every increment: 10 + 1 + 2 + 3", here["views"] == 16)?;
    let tags: Vec<&str> = here["tags"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let expected = ["first", "second", "shared", "start"];
    report
        .check("the set has what either added, and an add wins over a remove that did not see it", tags == expected)?;
    let body = here["body"].as_str().unwrap_or_default();
    report.check("the text has what both typed", body == "First here. One text. Second here.")?;
    let values = here["_meta"]["conflicts"][0]["values"].as_array().cloned().unwrap_or_default();
    let has = |text: &str| values.iter().any(|value| value == text);
    let kept = values.len() == 2 && has("From the first device") && has("From the second device");
    report.check("the field that both set keeps both values, one of them shown", kept && values[0] == here["title"])?;

    report.step("Ask the second device a question in GraphQL")?;
    let query = "query($c: String!) { documents(collection: $c, orderBy: [{id: DESC}], first: 2) { nodes { id _fields } totalCount } }";
    let variables = json!({ "c": plan.collection });
    report.say(&format!("   {query}\n   {variables}"))?;
    let answer = second.ask(query, &variables)?;
    report.say(&indented(&format!("{answer:#}")))?;
    let nodes = answer["documents"]["nodes"].as_array().map_or(0, Vec::len);
    report.check("it answers", nodes > 0)
}

fn note(device: &Device) -> Result<Json, String> {
    let query = "{ note(id: \"shared\") { id title views tags body _meta { conflicts { field values } } } }";
    Ok(device.ask(query, &Json::Null)?["note"].take())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}
