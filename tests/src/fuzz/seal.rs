//! Target: the header of a sealed file with changed bytes. It opens to the truth or is refused; whoever may write to it gives the
//! hashes that belong to it.

use tidewater_engine::store::{Location, Pages, Seal, Sealed};
use tidewater_sync::{CreateOptions, Database};
use xxhash_rust::xxh3::xxh3_64;

use super::people::options;
use super::script::Script;
use super::{Memory, Target};
use crate::disk::{Disk, Image};

pub(super) const TARGET: Target = Target {
    name: "seal",
    run,
    seeds,
    input_bytes_max: 256,
    memory: Memory { fixed: 16 << 20, per_byte: 4 << 10 },
    executions: 20_000,
};

/// Where the records of a header stand, how long each is, and where its hashes stand: `docs/spec/file.md`.
const PLACES: [usize; 2] = [0, 2048];
const RECORD_BYTES: usize = 144;
const HASHES: [usize; 2] = [24, 136];
const HEADER_BYTES: usize = 4096;

fn seal() -> Seal {
    Seal::key(&[0x5E; 32]).expect("32 bytes")
}

/// A sealed file with a database in it.
fn file() -> &'static [u8] {
    static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FILE.get_or_init(|| {
        let disk = Disk::default();
        let create = CreateOptions { open: options(62), identity: None, home: false };
        drop(Database::create(disk.location().sealed(seal()), create).expect("a database"));
        let mut database = disk.image().database;
        // The header, and as much behind it as says which database it is.
        database.truncate(8 * HEADER_BYTES);
        database
    })
}

/// A few times: a byte of the header and what is done to it. An odd first byte: both records get their hashes.
fn run(input: &[u8]) -> bool {
    let mut database = file().to_vec();
    let mut script = Script::new(input);
    let gets_hashes = script.byte() & 1 > 0;
    while !script.is_over() {
        let place = script.short() % HEADER_BYTES;
        database[place] ^= script.byte();
    }
    if gets_hashes {
        for (place, hash) in PLACES.into_iter().flat_map(|place| HASHES.map(|hash| (place, hash))) {
            let record = &mut database[place..place + RECORD_BYTES];
            let sum = xxh3_64(&record[..hash]).to_le_bytes();
            record[hash..hash + 8].copy_from_slice(&sum);
        }
    }
    let disk = Disk::holding(Image { database, ..Image::default() });
    let opened = Sealed::open(Box::new(disk.database()), &seal());
    let is_open = opened.is_ok();
    if let Ok(sealed) = opened {
        let pages = Pages::new(Box::new(sealed));
        let length = redb::StorageBackend::len(&pages).expect("what opens is what was sealed");
        assert!(length > 0);
    }
    let location: Location = disk.location();
    assert!(Database::open(location, options(63)).is_err(), "nothing opens without the secret");
    is_open
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new(), vec![0, 0, 9, 1], vec![1, 0, 16, 1]];
    // Each part of the first record, and of both.
    for at in [0u8, 16, 20, 24, 32, 40, 44, 48, 52, 56, 88, 120, 136] {
        seeds.push(vec![0, 0, at, 1]);
        seeds.push(vec![1, 0, at, 1, 8, at, 1]);
    }
    seeds
}
