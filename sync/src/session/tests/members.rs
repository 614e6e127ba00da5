//! Ranks: who gets what, and who gets nothing any more.

use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;
use tidewater_engine::store::{TransactionError, WriteError};

use super::super::pair::{Pair, Replica, assert_equal};
use super::super::{Input, SessionEvent};

/// `member` gets a rank in the home space of `owner`.
fn join(owner: &Replica, member: &Replica, rank: Rank) {
    let ticket = owner.share_ticket(&owner.home_space(), rank, vec![], 60_000).unwrap();
    let mut pair = Pair::joining(member, owner, &ticket);
    pair.drive();
    assert_eq!((pair.dialer.closed, pair.acceptor.closed), (None, None));
}

fn forbidden(replica: &Replica, owner: &Replica) -> bool {
    let written = replica.try_write(owner.home_space(), &[("x".into(), "y".into())]);
    matches!(
        written,
        Err(TransactionError::Aborted(WriteError::Forbidden { .. })
            | TransactionError::Write(WriteError::Forbidden { .. }))
    )
}

#[test]
fn a_reader_reads_and_may_not_write() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    ada.write(ada.home_space(), "note", "read me");
    join(&ada, &ben, Rank::Reader);
    assert_eq!(ben.read(ada.home_space(), "note").as_deref(), Some("read me"));
    assert!(forbidden(&ben, &ada));
}

#[test]
fn what_a_member_fetches_is_remembered_at_once_then_once_a_minute_and_at_the_end() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    ada.write(home, "note", "read me");
    join(&ada, &ben, Rank::Reader);
    let accesses = || ada.accesses(Some(&home), 100).unwrap();
    let of = |plane| -> u64 {
        let accesses = accesses().into_iter().filter(|access| access.plane == plane);
        accesses.map(|access| access.entries).sum()
    };
    assert_eq!(of(Plane::Data), ben.vector(&home, Plane::Data).unwrap().total());
    // Who joins is told some of it twice: before it says what it has, and after.
    assert!(of(Plane::Control) >= ben.vector(&home, Plane::Control).unwrap().total());
    assert!(accesses().iter().all(|one| one.device == ben.device() && one.identity == ben.identity()));
    let before = accesses().len();
    let mut pair = Pair::new(&ben, &ada);
    pair.drive();
    assert_eq!(accesses().len(), before, "who lacks nothing fetches nothing");
    for (number, (passed_ms, remembered)) in [(0, 1), (0, 1), (60_000, 3), (59_999, 3)].into_iter().enumerate() {
        ada.host.advance(passed_ms);
        ada.write(home, "note", &format!("{number}"));
        pair.drive();
        assert_eq!((accesses().len(), accesses()[0].entries), (before + 1, remembered), "{number}");
    }
    drop(pair);
    let last = accesses().remove(0);
    assert_eq!((last.entries, last.last_ms - last.first_ms), (4, 119_999));
}

/// A stranger learns no space and leaves no trace.
#[test]
fn attack_stranger_gets_a_hello_and_nothing_else() {
    let (ada, eve) = (Replica::person(1, "Ada"), Replica::person(2, "Eve"));
    let home = ada.home_space();
    ada.write(home, "note", "secret");
    let mut pair = Pair::new(&eve, &ada);
    pair.drive();
    assert!(pair.acceptor.sent_bytes() < 600, "{} bytes", pair.acceptor.sent_bytes());
    assert_eq!(pair.acceptor.sent.len(), 3, "hello, proof, and an empty list");
    assert!(pair.acceptor.sent.iter().all(|frame| !contains(frame, home.as_bytes())));
    assert!(ada.status().peers.is_empty() && ada.peers().unwrap().is_empty(), "strangers leave no trace");
    assert_eq!(ada.accesses(None, 9).unwrap(), []);
}

/// Who may not see a space gets the answer that it would get where nobody ever heard of the space.
#[test]
fn attack_probing_for_a_space_tells_nothing() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    join(&ada, &ben, Rank::Writer);
    ada.revoke(&ada.home_space(), &ben.identity().unwrap()).unwrap();
    let stranger = Replica::person(3, "Cid");
    // Ben, who hasn't heard, offers the space to Ada and brings its control plane; the same frames, replayed by kind,
    // get the same answers from someone who never heard of the space.
    let answers = |acceptor: &Replica, extra: &[Vec<u8>]| {
        let mut pair = Pair::new(&ben, acceptor);
        pair.drive();
        extra.iter().for_each(|frame| pair.acceptor.handle(Input::Frame(frame.clone())));
        let unasked: Vec<_> = pair.dialer.sent.iter().filter(|frame| matches!(frame[0], 6 | 8)).cloned().collect();
        pair.step();
        (pair.acceptor.sent.iter().map(Vec::len).collect::<Vec<_>>(), unasked)
    };
    let (from_ada, unasked) = answers(&ada, &[]);
    assert_eq!(unasked.len(), 2, "an invitation and a batch");
    let (from_stranger, _) = answers(&stranger, &unasked);
    assert_eq!(from_ada, from_stranger);
}

/// A relay holds no epoch key, label or name, and no frame to or from it holds plaintext.
#[test]
fn attack_hub_reads_nothing_of_what_it_carries() {
    let (ada, ben, hub) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Hub"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Writer);
    join(&ada, &hub, Rank::Relay);
    ada.rename_space(&home, "plaintext label").unwrap();
    ada.write(home, "note", "plaintext of a note");
    let mut up = Pair::new(&ada, &hub);
    up.drive();
    assert_eq!(hub.read(home, "note"), None);
    assert!(hub.effective(&home).unwrap().epochs.is_empty());
    assert_eq!(hub.spaces_info().unwrap().iter().find(|info| info.space == home).unwrap().label, "");
    assert!(hub.members(&home).unwrap().iter().all(|member| member.name.is_empty()));
    let mut down = Pair::new(&ben, &hub);
    down.drive();
    assert_eq!(ben.read(home, "note").as_deref(), Some("plaintext of a note"));
    ben.write(home, "answer", "plaintext of an answer");
    down.drive();
    up.drive();
    assert_eq!(ada.read(home, "answer").as_deref(), Some("plaintext of an answer"));
    assert_equal(home, &[&ada, &ben]);
    for frame in [&up.dialer, &up.acceptor, &down.dialer, &down.acceptor].iter().flat_map(|end| &end.sent) {
        assert!(!contains(frame, b"plaintext") && !contains(frame, b"Ada") && !contains(frame, b"Ben"));
    }
}

#[test]
fn three_people_through_a_hub_that_was_away_when_one_was_granted() {
    let (ada, ben, hub) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Hub"));
    let home = ada.home_space();
    join(&ada, &hub, Rank::Relay);
    // The hub hears nothing of this grant from Ada: Ben has to bring it himself.
    join(&ada, &ben, Rank::Writer);
    ben.write(home, "note", "by way of the hub");
    let mut pair = Pair::new(&ben, &hub);
    pair.drive();
    assert_eq!((pair.dialer.closed, pair.acceptor.closed), (None, None));
    assert!(hub.members(&home).unwrap().iter().any(|member| Some(member.identity) == ben.identity()));
    Pair::new(&ada, &hub).drive();
    assert_eq!(ada.read(home, "note").as_deref(), Some("by way of the hub"));
    assert_equal(home, &[&ada, &ben]);
}

#[test]
fn a_relay_keeps_causal_order_between_many_writers() {
    let (ada, hub, late) = (Replica::person(1, "Ada"), Replica::person(2, "Hub"), Replica::person(3, "Late"));
    let home = ada.home_space();
    join(&ada, &hub, Rank::Relay);
    let writers: Vec<Replica> = (10..14).map(|seed| Replica::person(seed, "W")).collect();
    for writer in &writers {
        join(&ada, writer, Rank::Writer);
        Pair::new(&ada, &hub).drive();
    }
    for round in 0..6 {
        for writer in &writers {
            writer.write(home, "shared", &format!("round {round}"));
            Pair::new(writer, &hub).drive();
        }
    }
    Pair::new(&ada, &hub).drive();
    join(&ada, &late, Rank::Reader);
    // Every batch can be applied when it comes.
    let mut pair = Pair::new(&late, &hub);
    let mut most_parked = 0;
    while pair.step() {
        let status = late.status();
        let parked = status.peers.get(&hub.device()).and_then(|peer| peer.spaces.get(&home));
        most_parked = most_parked.max(parked.map_or(0, |space| space.parked_entries));
    }
    assert_equal(home, &[&ada, &late]);
    assert!(most_parked <= 24, "{most_parked} entries waited at once");
}

/// After a removal the member is sent nothing, and what it writes counts with nobody who heard of the removal.
#[test]
fn attack_removed_member_gets_nothing_new_and_what_it_writes_later_counts_nowhere() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Writer);
    join(&ada, &cid, Rank::Writer);
    let mut live = Pair::new(&ben, &ada);
    live.drive();
    ben.write(home, "early", "counts");
    live.drive();
    ada.revoke(&home, &ben.identity().unwrap()).unwrap();
    let before = live.acceptor.sent_bytes();
    ada.write(home, "new", "not for Ben");
    ben.write(home, "late", "counts nowhere");
    live.drive();
    assert!(live.acceptor.events.contains(&SessionEvent::SpaceClosed { space: home }));
    let after = live.acceptor.sent_bytes();
    assert!(after - before < 32, "an acknowledgement at most, not {} bytes", after - before);
    assert_eq!(ben.read(home, "new"), None);
    drop(live);
    let mut again = Pair::new(&ben, &ada);
    again.drive();
    assert_eq!(ben.read(home, "new"), None);
    assert_eq!(ada.read(home, "late"), None);
    assert_eq!(ada.read(home, "early").as_deref(), Some("counts"));

    // Cid, who hears of both, agrees with Ada, and reads what is sealed under the new epoch.
    Pair::new(&cid, &ada).drive();
    assert_eq!(cid.read(home, "new").as_deref(), Some("not for Ben"));
    assert_eq!(cid.read(home, "late"), None);
    assert_equal(home, &[&ada, &cid]);
}

/// What a removed writer gave to somebody who had not heard yet is taken back when the removal arrives.
#[test]
fn attack_removed_writer_is_taken_back_where_the_removal_is_heard_late() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Writer);
    join(&ada, &cid, Rank::Writer);
    Pair::new(&cid, &ada).drive();
    ada.revoke(&home, &ben.identity().unwrap()).unwrap();
    Pair::new(&ben, &cid).drive();
    ben.write(home, "late", "x");
    Pair::new(&ben, &cid).drive();
    assert_eq!(cid.read(home, "late").as_deref(), Some("x"), "Cid hasn't heard yet");
    Pair::new(&cid, &ada).drive();
    assert_eq!(cid.read(home, "late"), None);
    assert_equal(home, &[&ada, &cid]);
    let mut pair = Pair::new(&cid, &ada);
    pair.drive();
    assert!(pair.dialer.in_sync().contains(&home), "what lies beyond the cut is not exchanged, and not missed");
}

/// A removed writer who sets its clock back by years, and finds somebody to carry what it writes then, writes for nobody.
#[test]
fn attack_revoked_writer_backdates_in_vain() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Writer);
    join(&ada, &cid, Rank::Writer);
    ben.write(home, "early", "counts");
    Pair::new(&ben, &ada).drive();
    ada.revoke(&home, &ben.identity().unwrap()).unwrap();
    ben.host.advance(-100_000_000_000);
    ben.write(home, "late", "backdated");
    ben.write(home, "early", "backdated");
    Pair::new(&ben, &cid).drive();
    assert_eq!(cid.read(home, "late").as_deref(), Some("backdated"), "Cid hasn't heard yet");
    Pair::new(&cid, &ada).drive();
    for replica in [&ada, &cid] {
        assert_eq!(replica.read(home, "late"), None);
        assert_eq!(replica.read(home, "early").as_deref(), Some("counts"));
    }
    assert_equal(home, &[&ada, &cid]);
}

#[test]
fn a_granted_card_becomes_an_offer_that_is_accepted_or_declined() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    let other = ada.new_space("other").unwrap();
    ada.write(home, "note", "x");
    let card = ben.card().unwrap().to_string().parse().unwrap();
    ada.grant(&home, &card, Rank::Reader).unwrap();
    ada.grant(&other, &card, Rank::Reader).unwrap();
    let mut pair = Pair::new(&ben, &ada);
    pair.drive();
    assert!(pair.dialer.events.contains(&SessionEvent::Offered { space: home }));
    assert_eq!(ben.spaces().len(), 1, "nothing is followed without being asked");
    assert_eq!(ben.space_offers().unwrap().len(), 2);
    ben.decline_space(&other).unwrap();
    ben.accept_space(&home).unwrap();
    pair.drive();
    assert_eq!(ben.read(home, "note").as_deref(), Some("x"));
    assert!(ben.space_offers().unwrap().is_empty());
    assert!(ben.decline_space(&other).is_err());
}

#[test]
fn an_offer_by_somebody_who_is_no_owner_is_followed_in_the_session_in_which_it_is_accepted() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Admin);
    ada.write(home, "note", "x");
    Pair::new(&ben, &ada).drive();
    let card = cid.card().unwrap().to_string().parse().unwrap();
    ben.grant(&home, &card, Rank::Reader).unwrap();
    let mut pair = Pair::new(&cid, &ben);
    pair.drive();
    cid.accept_space(&home).unwrap();
    // All that Cid knows now is who founded it: not that Ben has a rank.
    pair.drive();
    assert_eq!(cid.read(home, "note").as_deref(), Some("x"));
    assert_equal(home, &[&ada, &ben, &cid]);
}

#[test]
fn a_newcomer_reads_what_was_sealed_under_every_epoch() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    for epoch in 0..4 {
        ada.write(home, &format!("note {epoch}"), "x");
        ada.rotate(&home).unwrap();
    }
    join(&ada, &ben, Rank::Reader);
    for epoch in 0..4 {
        assert_eq!(ben.read(home, &format!("note {epoch}")).as_deref(), Some("x"));
    }
    assert_equal(home, &[&ada, &ben]);
}

/// A member who was added beside a rotation, and so got no key of it, is given the key by an admin.
#[test]
fn attack_add_beside_rotate_leaves_nobody_without_the_key() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Writer);
    // Apart: Ben rotates without knowing of Cid, Ada grants without knowing of the new epoch.
    ben.rotate(&home).unwrap();
    ben.write(home, "note", "under Ben's epoch");
    join(&ada, &cid, Rank::Reader);
    Pair::new(&ben, &ada).drive();
    Pair::new(&cid, &ada).drive();
    assert_eq!(cid.read(home, "note").as_deref(), Some("under Ben's epoch"));
    assert_equal(home, &[&ada, &ben, &cid]);
}

#[test]
fn a_newcomer_gets_the_key_of_an_epoch_that_was_started_beside_its_grant_and_is_not_the_newest() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Writer);
    ben.rotate(&home).unwrap();
    ben.write(home, "note", "under Ben's epoch");
    join(&ada, &cid, Rank::Writer);
    // Before anybody could give it the key of Ben's epoch, the newcomer starts another one.
    cid.rotate(&home).unwrap();
    cid.rotate(&home).unwrap();
    Pair::new(&cid, &ada).drive();
    Pair::new(&ben, &ada).drive();
    Pair::new(&cid, &ada).drive();
    assert_eq!(cid.read(home, "note").as_deref(), Some("under Ben's epoch"));
    assert_equal(home, &[&ada, &ben, &cid]);
}

#[test]
fn a_writer_who_became_a_relay_carries_what_it_cannot_read() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Writer);
    ben.write(home, "note", "from Ben");
    Pair::new(&ben, &ada).drive();
    ada.revoke(&home, &ben.identity().unwrap()).unwrap();
    ada.grant(&home, &ben.card().unwrap(), Rank::Relay).unwrap();
    ada.write(home, "note", "for readers");
    Pair::new(&ben, &ada).drive();
    assert_eq!(ben.vector(&home, Plane::Data).unwrap(), ada.vector(&home, Plane::Data).unwrap());
    assert_eq!(ben.effective(&home).unwrap().rank(&ben.device()), Some(Rank::Relay));
    assert_eq!(ben.snapshot().unwrap().report(&home).unwrap().parked, 0, "a relay waits for no key");
}

/// Two removals, each of which gave its new key to the one whom the other removes, end in an epoch that neither has.
#[test]
fn attack_revoke_beside_revoke_leaves_an_epoch_to_write_with() {
    let people: Vec<Replica> =
        ["Ada", "Ben", "Cid", "Dora"].iter().zip(1..).map(|(name, seed)| Replica::person(seed, name)).collect();
    let [ada, ben, cid, dora] = &people[..] else { unreachable!() };
    let home = ada.home_space();
    join(ada, ben, Rank::Admin);
    join(ada, cid, Rank::Writer);
    join(ada, dora, Rank::Writer);
    Pair::new(ben, ada).drive();
    // Each of the two new epochs was given to the one whom the other removal removes.
    ada.revoke(&home, &cid.identity().unwrap()).unwrap();
    ben.revoke(&home, &dora.identity().unwrap()).unwrap();
    Pair::new(ben, ada).drive();
    let (for_ada, for_ben) = (ada.effective(&home).unwrap(), ben.effective(&home).unwrap());
    assert!(for_ada.write_epoch.is_some());
    assert_eq!(for_ada.write_epoch, for_ben.write_epoch);
    ada.write(home, "note", "for those who stay");
    Pair::new(ben, ada).drive();
    assert_eq!(ben.read(home, "note").as_deref(), Some("for those who stay"));
    assert_equal(home, &[ada, ben]);
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
