//! Two people, five devices and a hub, as people live with them: they meet, share, write while they are apart, part, lose
//! everything and get it back. Every device is a process of `tide` with a database of its own, over QUIC.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use tidewater_tests::program::{Desk, Running};
use tidewater_tests::sealed::holds;

/// Ada's devices; the first has the root key.
const ADA: [&str; 3] = ["laptop", "phone", "desk"];
/// Ben's devices.
const BEN: [&str; 2] = ["bens-laptop", "bens-phone"];

/// A folder of databases, and the hub, which is always there.
struct Story {
    desk: Desk,
    hub: Running,
}

impl Story {
    /// Runs a command that has to go well.
    fn ok(&self, name: &str, arguments: &[&str]) -> Json {
        self.desk.run(name, &[arguments, &["--json"]].concat()).json()
    }

    fn text(&self, name: &str, arguments: &[&str], field: &str) -> String {
        self.ok(name, arguments)[field].as_str().unwrap_or_else(|| panic!("tide {arguments:?}: no {field}")).to_owned()
    }

    fn identity(&self, name: &str) -> String {
        self.text(name, &["identity", "show"], "identity")
    }

    /// Asks until the answer is as it should be: what was said is on its way.
    fn until(&self, name: &str, arguments: &[&str], fits: impl Fn(&Json) -> bool) -> Json {
        let mut last = Json::Null;
        for _ in 0..1_500 {
            last = self.ok(name, arguments);
            if fits(&last) {
                return last;
            }
        }
        panic!("{name}: tide {arguments:?} never showed it: {last}");
    }

    /// The hub as `--add` and `--from` take it.
    fn hub_at(&self) -> String {
        format!("{}={}", self.hub.text("device"), self.hub.p2p())
    }

    fn put(&self, name: &str, space: &str, id: &str, fields: &Json) {
        let put = self.desk.run(name, &["put", "notes", id, &fields.to_string(), "--space", space]);
        assert_eq!(put.code, 0, "{put:?}");
    }

    /// How many entries a device holds of each space.
    fn entries(&self, name: &str, spaces: &[&str]) -> Vec<u64> {
        let status = self.ok(name, &["status"]);
        let of = |space: &&str| {
            let mut held = status["spaces"].as_array().expect("a list").iter();
            held.find(|held| held["space"] == **space).and_then(|held| held["entries"].as_u64()).unwrap_or(0)
        };
        spaces.iter().map(of).collect()
    }

    /// Serves a device while nobody but the hub is there, until both hold the same of these spaces.
    fn visit(&self, name: &str, spaces: &[&str]) {
        let serving = self.desk.serve(name);
        self.settle(name, spaces);
        assert_eq!(serving.stop(), 0);
    }

    /// Waits until a served device and the hub hold the same of these spaces.
    fn settle(&self, name: &str, spaces: &[&str]) {
        let hub = self.hub.text("device");
        for _ in 0..1_500 {
            let peers = self.ok(name, &["peers"]);
            let with = peers.as_array().expect("a list").iter().find(|peer| peer["device"] == hub);
            let is_quiet = with.is_some_and(|with| {
                with["connected"] == true
                    && !with["last_success"].is_null()
                    && with["behind"] == 0
                    && with["ahead"] == 0
            });
            if is_quiet && self.entries(name, spaces) == self.entries("hub", spaces) {
                return;
            }
        }
        let held = (self.entries(name, spaces), self.entries("hub", spaces));
        panic!("{name} and the hub never held the same: {held:?} {}", self.ok(name, &["peers"]));
    }

    /// All that a member knows of a space, but for where it stands in the list: who is a member, and what was said and counts.
    fn knows(&self, name: &str, space: &str) -> (Json, Json, BTreeSet<String>) {
        let digest = self.ok(name, &["digest", "--space", space])[0]["digest"].clone();
        let mut members = self.ok(name, &["members", "--space", space]);
        for member in members.as_array_mut().expect("a list") {
            member["devices"].as_array_mut().expect("a list").sort_by_key(ToString::to_string);
        }
        let trail = self.ok(name, &["audit", "list", "--space", space, "--first", "1000"]);
        let trail = trail.as_array().expect("a list").iter().map(said).collect();
        (digest, members, trail)
    }

    /// Checks that devices know the same of a space, the hub as much of it as it can read, and that all of them prove it.
    fn agree(&self, names: &[&str], space: &str, when: &str) {
        let (digest, members, trail) = self.knows(names[0], space);
        for name in &names[1..] {
            let (other_digest, other_members, other_trail) = self.knows(name, space);
            assert_eq!((&other_members, &other_trail), (&members, &trail), "{when}: {} and {name}", names[0]);
            assert_eq!(other_digest, digest, "{when}: {} and {name}", names[0]);
        }
        assert_eq!(self.knows("hub", space).2, trail, "{when}: the hub's trail");
        let proofs: BTreeSet<String> =
            [names, &["hub"]].concat().iter().map(|name| self.proof(name, space, when)).collect();
        assert_eq!(proofs.len(), 1, "{when}: one history, whoever exports it");
    }

    /// The digest of an exported trail, once it is verified.
    fn proof(&self, name: &str, space: &str, when: &str) -> String {
        let file = self.desk.path(&format!("{name} {space} {when}.tideaudit")).display().to_string();
        self.ok(name, &["audit", "export", "--space", space, &file]);
        let report = self.ok("nobody", &["audit", "verify", &file, "--space", space]);
        assert_eq!((&report["findings"], &report["waiting"]), (&json!([]), &json!(0)), "{report}");
        report["digest"].as_str().expect("a digest").to_owned()
    }
}

/// What an entry of a trail says and is worth, without names, which a relay can't read.
fn said(entry: &Json) -> String {
    let fields = ["writer", "sequence", "claimed", "identity", "action", "subject", "rank", "verdict"];
    fields.map(|field| entry[field].to_string()).join(" ")
}

/// Ada and Ben with all of their devices, and a hub that takes what it is offered.
fn beginning() -> Story {
    let desk = Desk::new();
    for (name, who) in [("laptop", "Ada"), ("bens-laptop", "Ben"), ("hub", "Hub")] {
        assert_eq!(desk.run(name, &["init", "--name", who]).code, 0);
    }
    for (first, others, email) in [(ADA[0], &ADA[1..], "ada@example.org"), (BEN[0], &BEN[1..], "ben@example.org")] {
        assert_eq!(desk.run(first, &["profile", "set", "--email", email]).code, 0);
        let serving = desk.serve(first);
        others.iter().for_each(|other| desk.link(first, other));
        assert_eq!(serving.stop(), 0);
    }
    assert_eq!(desk.run("hub", &["policy", "add", "space", "stranger", "accept"]).code, 0);
    let hub = desk.serve("hub");
    let story = Story { desk, hub };
    for name in ADA.iter().chain(&BEN) {
        story.ok(name, &["peers", "--add", &story.hub_at()]);
    }
    story
}

/// The two meet by the address of a device, become contacts, and compare their number.
fn meet(story: &Story, ben: &Running) {
    let (adas, bens) = (story.identity("laptop"), story.identity("bens-laptop"));
    let whom = format!("{}={}", ben.text("device"), ben.p2p());
    assert_eq!(story.text("laptop", &["contact", "request", &whom, "--note", "we met"], "identity"), bens);
    let waiting = story.until("bens-laptop", &["contact", "requests"], |requests| requests[0]["state"] == "waiting");
    assert_eq!((&waiting[0]["identity"], &waiting[0]["note"]), (&json!(adas), &json!("we met")));
    story.ok("bens-laptop", &["contact", "accept", &adas]);
    for (name, other, email) in [("laptop", &bens, "ben@example.org"), ("bens-laptop", &adas, "ada@example.org")] {
        story.until(name, &["contact", "list"], |contacts| contacts[0]["answered"] == true);
        assert_eq!(story.ok(name, &["contact", "show", other])["profile"]["email"], email);
    }
    for (name, other, shown_by, whom) in
        [("laptop", &bens, "bens-laptop", &adas), ("bens-laptop", &adas, "laptop", &bens)]
    {
        let number = story.text(shown_by, &["contact", "number", whom], "number");
        story.ok(name, &["contact", "verify", other, "--number", &number]);
        assert_eq!(story.ok(name, &["contact", "show", other])["verified"], true);
    }
}

/// Ada offers one space to write in, one to read, and both, with her own, to the hub. Gives the two.
fn share(story: &Story) -> (String, String) {
    let mut ada = story.desk.serve("laptop");
    let ben = story.desk.serve("bens-laptop");
    meet(story, &ben);
    let (bens, hubs) = (story.identity("bens-laptop"), story.identity("hub"));
    let plans = story.text("laptop", &["space", "new", "Plans"], "space");
    let album = story.text("laptop", &["space", "new", "Album"], "space");
    story.put("laptop", &plans, "trip", &json!({ "where": "canary at the sea" }));
    story.put("laptop", &album, "picture", &json!({ "of": "canary in the sun" }));
    for space in story.ok("laptop", &["space", "list"]).as_array().expect("a list") {
        let space = space["space"].as_str().expect("an id");
        story.ok("laptop", &["share", "--space", space, "--rank", "relay", "--to", &hubs]);
    }
    story.ok("laptop", &["share", "--space", &plans, "--rank", "write", "--to", &bens]);
    story.ok("laptop", &["share", "--space", &album, "--rank", "read", "--to", &bens]);

    // Offers are told when a session begins.
    assert_eq!(ada.stop(), 0);
    ada = story.desk.serve("laptop");
    let offers = story.until("bens-laptop", &["space", "offers"], |offers| offers.as_array().map(Vec::len) == Some(2));
    for (space, rank) in [(&plans, "write"), (&album, "read")] {
        let mut offered = offers.as_array().expect("a list").iter();
        assert!(offered.any(|offer| offer["space"] == **space && offer["rank"] == rank), "{offers}");
        story.ok("bens-laptop", &["space", "accept", space]);
        story.desk.run("bens-laptop", &["space", "accept", space]).assert_refused(1, "accepted");
    }
    assert_eq!(ben.stop(), 0);
    // Ada's laptop has moved since the offers were made.
    story.ok("bens-laptop", &["peers", "--add", &format!("{}={}", ada.text("device"), ada.p2p())]);
    let ben = story.desk.serve("bens-laptop");
    for (space, rank) in [(&plans, "write"), (&album, "read")] {
        story.until("bens-laptop", &["space", "list"], |spaces| {
            let mut spaces = spaces.as_array().expect("a list").iter();
            spaces.any(|known| known["space"] == **space && known["rank"] == rank)
        });
    }
    let offers = story.until("laptop", &["offer", "list"], |offers| {
        offers.as_array().expect("a list").iter().all(|offer| offer["state"] == "used")
    });
    let offered = offers.as_array().expect("a list").iter().filter(|offer| !offer["to"].is_null());
    assert_eq!(offered.count(), 6, "{offers}");
    story.settle("laptop", &[&plans, &album]);
    story.settle("bens-laptop", &[&plans, &album]);
    assert_eq!((ada.stop(), ben.stop()), (0, 0));
    let members = story.ok("hub", &["members", "--space", &plans]);
    let rank_of = |of: &str| {
        members.as_array().expect("a list").iter().find(|one| one["identity"] == of).map(|one| one["rank"].clone())
    };
    assert_eq!((rank_of(&bens), rank_of(&hubs)), (Some(json!("write")), Some(json!("relay"))));
    (plans, album)
}

/// Each other device meets the hub alone, and takes what the hub holds for it.
fn spread(story: &Story, plans: &str, album: &str) {
    for name in [ADA[1], ADA[2], BEN[1]] {
        let serving = story.desk.serve(name);
        let offered = |offers: &Json| offers.as_array().map(Vec::len) == Some(2);
        story.until(name, &["space", "offers"], offered);
        for space in [plans, album] {
            story.ok(name, &["space", "accept", space]);
        }
        assert_eq!(serving.stop(), 0);
        story.visit(name, &[plans, album]);
    }
}

/// All write while nobody is there, in one document at once too; then each meets the hub alone.
fn write_apart(story: &Story, plans: &str, album: &str) {
    let all: Vec<&str> = ADA.into_iter().chain(BEN).collect();
    for name in &all {
        story.put(name, plans, "trip", &json!({ "last": name }));
        story.put(name, plans, name, &json!({ "by": name }));
    }
    let album_by_ben = ["put", "notes", "picture", "{}", "--space", album];
    assert_eq!(story.desk.run("bens-phone", &album_by_ben).code, 6, "who reads does not write");
    for name in all.iter().chain(&all) {
        story.visit(name, &[plans, album]);
    }
}

/// Ben is removed from the space while his devices write on, and the hub has not heard of it.
fn part(story: &Story, plans: &str, album: &str) {
    let bens = story.identity("bens-laptop");
    story.ok("laptop", &["revoke", &bens, "--space", plans]);
    story.put("bens-laptop", plans, "late", &json!({ "by": "Ben" }));
    story.visit("bens-laptop", &[plans, album]);
    story.put("laptop", plans, "after", &json!({ "where": "canary on the mountain" }));
    // The hub has what Ben wrote beyond the cut, which nobody takes from it.
    for name in ADA.iter().chain(&ADA) {
        story.visit(name, &[album]);
    }
    let serving = story.desk.serve("bens-phone");
    story.until("bens-phone", &["peers"], |peers| {
        peers.as_array().expect("a list").iter().any(|one| one["connected"] == true)
    });
    assert_eq!(serving.stop(), 0);
    for name in ADA {
        assert_eq!(story.desk.run(name, &["get", "notes", "late", "--space", plans]).code, 3, "it counts nowhere");
        assert_eq!(story.ok(name, &["get", "notes", "after", "--space", plans])["where"], "canary on the mountain");
    }
    for name in BEN {
        assert_eq!(story.desk.run(name, &["get", "notes", "after", "--space", plans]).code, 3);
        let file = std::fs::read(story.desk.path(&format!("{name}.db"))).expect("it is there");
        assert!(
            holds(&file, "canary at the sea") && !holds(&file, "canary on the mountain"),
            "{name} keeps what it had"
        );
    }
}

/// Ada loses everything, and her words and the hub bring it back.
fn recover(story: &Story, plans: &str, album: &str) {
    let words = story.text("laptop", &["identity", "words"], "words");
    for name in ADA {
        std::fs::remove_file(story.desk.path(&format!("{name}.db"))).expect("it was there");
    }
    let hub_at = story.hub_at();
    let recover = ["recover", "--from", &hub_at, "--remove-others", "--p2p", "127.0.0.1:0", "--json"];
    let recovered = story.desk.run_with("new", &recover, words.as_bytes()).json();
    assert_eq!(recovered["other_devices"], json!([]));
    for (space, id, canary) in [(plans, "trip", "canary at the sea"), (plans, "after", "canary on the mountain")] {
        assert_eq!(story.ok("new", &["get", "notes", id, "--space", space])["where"], canary);
    }
    story.put("new", plans, "again", &json!({ "by": "Ada" }));
    story.ok("new", &["peers", "--add", &hub_at]);
    story.visit("new", &[album]);
}

#[test]
fn two_people_and_five_devices_live_through_a_hub_that_reads_nothing() {
    let story = beginning();
    let (plans, album) = share(&story);
    spread(&story, &plans, &album);
    let all: Vec<&str> = ADA.into_iter().chain(BEN).collect();
    story.agree(&all, &plans, "when all have met");
    story.agree(&all, &album, "when all have met");
    write_apart(&story, &plans, &album);
    story.agree(&all, &plans, "after all wrote apart");
    part(&story, &plans, &album);
    story.agree(&ADA, &plans, "after Ben was removed");
    recover(&story, &plans, &album);
    story.agree(&["new"], &plans, "after the recovery");
    let file = std::fs::read(story.desk.path("hub.db")).expect("it is there");
    assert!(!holds(&file, "canary"), "the hub reads nothing");
    assert_eq!(story.hub.stop(), 0);
}
