//! Random stories of an embedded database through its public API, held to plain maps. `TIDEWATER_SEED=n` tells one alone,
//! `TIDEWATER_SEEDS=n` so many; `prove model` more. A story that goes wrong is shortened and told.

use tidewater_tests::figures::print;
use tidewater_tests::seeds::seeds;
use tidewater_tests::story::tell_all;

/// Stories, when the environment doesn't say.
const STORIES: u64 = 2_000;
/// Steps of one.
const STEPS: usize = 100;

#[test]
fn an_embedded_database_does_what_plain_maps_do() {
    let seeds = seeds(STORIES);
    let reached =
        tell_all(seeds.clone(), STEPS).unwrap_or_else(|(seed, wrong)| panic!("TIDEWATER_SEED={seed}\n{wrong}"));
    print("stories of the API", format_args!("{} of {STEPS} steps: {reached:?}", seeds.end - seeds.start));
    if seeds.end - seeds.start >= STORIES {
        assert_eq!(reached.len(), 12, "every kind of step was taken: {reached:?}");
    }
}
