//! Hostile bytes: what is kept is run again, and so are mutations of it. `TIDEWATER_SEED=n` makes others.

use tidewater_tests::figures::print;
use tidewater_tests::fuzz::drive::{Broken, run, run_mutated, shrunk, warm_up};
use tidewater_tests::fuzz::{Meter, TARGETS, Target, corpus};
use tidewater_tests::seeds::seed;

#[global_allocator]
static METER: Meter = Meter;

/// Makes one test for each target, and one that no target lacks its own.
macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                hold(stringify!($name));
            }
        )*

        #[test]
        fn every_target_has_a_test() {
            let tested = [$(stringify!($name)),*];
            let targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(tested, *targets);
        }
    };
}

targets! {
    audit, body, card, change, commit, control, cursor, file, filter, head, header, http, import, message, profile, proof, record,
    row, schema, seal, session, ticket, value, value_json, writer,
}

fn hold(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    if std::env::var_os("TIDEWATER_BLESS").is_some() {
        corpus::bless(target).expect("the corpus is written");
    }
    warm_up(target);
    let inputs = kept(target);
    let seed = seed(1);
    let tally = run_mutated(target, &inputs, seed, target.executions, &mut |_| {});
    let tally = tally.unwrap_or_else(|broken| fail(target, shrunk(target, broken)));
    print(&format!("fuzzing, {name}"), format_args!("{} kept inputs, {tally:?}", inputs.len()));
    assert!(tally.taken > 0, "no mutated input was taken: nothing was tested but refusals");
}

/// Runs everything that is kept. The seeds among it are those of today's formats, and each is taken.
fn kept(target: &Target) -> Vec<Vec<u8>> {
    let kept = corpus::kept(target).expect("the corpus is read");
    let seeds: Vec<_> = kept.iter().filter(|(name, _)| name.starts_with("seed-")).cloned().collect();
    let current = corpus::seeds(target);
    assert!(seeds == current, "the kept seeds are not those that {} makes: TIDEWATER_BLESS=1 writes them", target.name);
    let mut taken = 0;
    for (name, input) in &kept {
        println!("{name}");
        let (was_taken, _) = run(target, input).unwrap_or_else(|broken| fail(target, broken));
        taken += usize::from(was_taken && name.starts_with("seed-"));
    }
    assert!(taken > 0, "no seed is taken");
    kept.into_iter().map(|(_, input)| input).collect()
}

fn fail(target: &Target, broken: Broken) -> ! {
    let hex: String = broken.input.iter().map(|byte| format!("{byte:02x}")).collect();
    panic!("{}: {}\ninput: {hex}", target.name, broken.why);
}
