//! A hundred hostile peers at once against one real process: honest devices go on to sync, its memory stays within its bound,
//! and no handle stays open. `TIDEWATER_SEED=n` makes others; `prove siege` more.

use tidewater_tests::figures::print;
use tidewater_tests::seeds::seed;
use tidewater_tests::siege::{Plan, besiege};

/// What a hundred peers may cost, in KiB: 64 MiB, and the storage's cache, which is 64 MiB here.
const MOST_KIB: u64 = (64 + 64) << 10;

/// A hundred hostile peers at once cost a bounded share of memory, and the honest ones nothing.
#[test]
fn attack_hundred_hostile_peers_cost_no_more_than_their_share() {
    let seed = seed(1);
    let outcome = besiege(Plan { peers: 100, messages: 300, seed });
    print("siege", format_args!("{outcome:?}"));
    assert_eq!(outcome.weapons.len(), 7, "every kind of besieger got something across: {outcome:?}");
    assert!(outcome.rounds > 3 && outcome.at_once > 25, "{outcome:?}");
    assert!(outcome.handles.1 <= outcome.handles.0, "no handle stays open: {outcome:?}");
    assert!(outcome.peak_kib - outcome.before_kib <= MOST_KIB, "{outcome:?} of {MOST_KIB} KiB");
}
