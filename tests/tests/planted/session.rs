//! Faults in what is said to other devices.

use tidewater_engine::planted::Fault;

use super::harness::WORLD;

#[test]
fn planted_stale_listing_is_found() {
    WORLD.finds(Fault::ListingStale, 0, "don't agree on the data");
}
