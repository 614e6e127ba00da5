//! Pages beside a plain file: whatever is read was written, whatever crashes and rots.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::place::{self, GROUP_PAGES};
use super::{DamagedPage, PAGE_BYTES, Pages};
use crate::value::sample::Sampler;

const SECTOR: usize = 512;
type Sector = [u8; SECTOR];

/// A disk that knows what was synced. Only sectors that were written take room.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Medium>>);

#[derive(Debug, Clone, Default)]
struct Medium {
    sectors: BTreeMap<u64, Sector>,
    length: u64,
    synced: BTreeMap<u64, Sector>,
    synced_length: u64,
    /// Pages that were written, and syncs, since somebody looked.
    written: Vec<u64>,
    syncs: usize,
    /// After so many changes every call fails.
    calls_left: Option<usize>,
}

impl Medium {
    fn change(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.calls_left {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("no power"))?;
        }
        Ok(())
    }
}

impl Disk {
    fn with<T>(&self, work: impl FnOnce(&mut Medium) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn pages(&self) -> Pages {
        Pages::new(Box::new(self.clone()))
    }

    /// What a power cut leaves: of every sector that was not synced the old or the new.
    fn cut(&self, sampler: &mut Sampler) -> Self {
        let now = self.with(|medium| medium.clone());
        let mut left = Medium { sectors: now.synced, length: now.synced_length, ..Medium::default() };
        if now.length != left.length && sampler.below(2) == 0 {
            left.length = now.length;
            left.sectors.split_off(&(now.length / SECTOR as u64));
        }
        for (place, sector) in now.sectors {
            if left.sectors.get(&place) != Some(&sector) && sampler.below(2) == 0 {
                left.length = left.length.max((place + 1) * SECTOR as u64);
                left.sectors.insert(place, sector);
            }
        }
        (left.synced, left.synced_length) = (left.sectors.clone(), left.length);
        Self(Arc::new(Mutex::new(left)))
    }

    fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.with(|medium| medium.clone()))))
    }

    fn page(&self, page: u64) -> Vec<u8> {
        let mut bytes = vec![0; PAGE_BYTES];
        self.read(place::offset(page), &mut bytes).unwrap();
        bytes
    }

    fn put(&self, page: u64, bytes: &[u8]) {
        self.write(place::offset(page), bytes).unwrap();
    }
}

/// The sectors of a stretch: number, where in it, and the part of the stretch.
fn sectors(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % SECTOR as u64) as usize;
        let end = length.min(done + SECTOR - within);
        let range = done..end;
        done = end;
        (!range.is_empty()).then_some((at / SECTOR as u64, within, range))
    })
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|medium| medium.length))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|medium| {
            if offset + out.len() as u64 > medium.length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            for (sector, within, range) in sectors(offset, out.len()) {
                match medium.sectors.get(&sector) {
                    Some(found) => out[range.clone()].copy_from_slice(&found[within..within + range.len()]),
                    None => out[range].fill(0),
                }
            }
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.with(|medium| {
            medium.change()?;
            assert_eq!(length % PAGE_BYTES as u64, 0);
            medium.sectors.split_off(&(length / SECTOR as u64));
            medium.length = length;
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|medium| {
            medium.change()?;
            medium.syncs += 1;
            (medium.synced, medium.synced_length) = (medium.sectors.clone(), medium.length);
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|medium| {
            medium.change()?;
            assert!(offset + data.len() as u64 <= medium.length, "nothing is written beyond the end");
            medium.written.extend(offset / PAGE_BYTES as u64..(offset + data.len() as u64).div_ceil(PAGE_BYTES as u64));
            for (sector, within, range) in sectors(offset, data.len()) {
                let sector = medium.sectors.entry(sector).or_insert([0; SECTOR]);
                sector[within..within + range.len()].copy_from_slice(&data[range]);
            }
            Ok(())
        })
    }
}

/// A header like redb's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Head {
    chosen: u8,
    slots: [u8; 2],
    open: bool,
    pages: u8,
}

impl Head {
    fn bytes(self, has_magic: bool) -> Vec<u8> {
        let mut bytes = vec![0; 320];
        if has_magic {
            bytes[..9].copy_from_slice(b"redb\x1A\x0A\xA9\x0D\x0A");
        }
        bytes[9] = self.chosen | u8::from(self.open) << 1 | 4;
        bytes[13] = 16;
        bytes[28] = self.pages;
        bytes[64..192].fill(self.slots[0]);
        bytes[192..320].fill(self.slots[1]);
        bytes
    }

    fn of(pages: &Pages) -> io::Result<Self> {
        let mut bytes = [0; 320];
        pages.read(0, &mut bytes)?;
        let found =
            Self { chosen: bytes[9] & 1, slots: [bytes[64], bytes[192]], open: bytes[9] & 2 > 0, pages: bytes[28] };
        assert_eq!(bytes[..], found.bytes(true));
        Ok(found)
    }

    fn commit(&self) -> u8 {
        self.slots[usize::from(self.chosen)]
    }
}

/// As redb makes a file.
fn create(pages: &Pages, count: u64) -> io::Result<Head> {
    assert_eq!(pages.len()?, 0);
    pages.set_len(place::offset(count))?;
    let head = Head::default();
    pages.write(0, &head.bytes(false))?;
    pages.sync_data()?;
    pages.write(0, &head.bytes(true))?;
    pages.sync_data()?;
    Ok(head)
}

fn made(count: u64) -> (Disk, Pages) {
    let disk = Disk::default();
    let pages = disk.pages();
    create(&pages, count).unwrap();
    (disk, pages)
}

fn noise(sampler: &mut Sampler, length: usize) -> Vec<u8> {
    (0..length).map(|_| sampler.below(256) as u8).collect()
}

/// The page that a read fails at.
fn damaged(read: io::Result<()>) -> u64 {
    DamagedPage::of(&read.unwrap_err()).expect("a damaged page").page
}

#[test]
fn what_is_read_is_what_a_plain_file_would_give() {
    for seed in 0..60 {
        let mut sampler = Sampler::new(seed);
        let (disk, mut pages) = made(3);
        let mut plain = vec![0; 3 * PAGE_BYTES];
        for step in 0..60 {
            let place = format!("seed {seed} step {step}");
            let at = PAGE_BYTES + sampler.below(plain.len() - PAGE_BYTES + 1);
            let length = [sampler.below(9), sampler.below(3 * PAGE_BYTES), sampler.below(40) * PAGE_BYTES];
            let length = length[sampler.below(3)].min(plain.len() - at);
            match sampler.below(8) {
                0 | 1 => {
                    let data = noise(&mut sampler, length);
                    pages.write(at as u64, &data).unwrap();
                    plain[at..at + length].copy_from_slice(&data);
                }
                2 | 3 => {
                    let (at, length) = (at / PAGE_BYTES * PAGE_BYTES, length / PAGE_BYTES * PAGE_BYTES);
                    let data = noise(&mut sampler, length);
                    pages.write(at as u64, &data).unwrap();
                    plain[at..at + length].copy_from_slice(&data);
                }
                4 => {
                    let most = [8, 600, 1_300][sampler.below(3)];
                    plain.resize((1 + sampler.below(most)) * PAGE_BYTES, 0);
                    pages.set_len(plain.len() as u64).unwrap();
                }
                5 => {
                    pages.sync_data().unwrap();
                    pages = disk.pages();
                }
                _ => {}
            }
            assert_eq!(pages.len().unwrap(), plain.len() as u64, "{place}");
            let mut out = vec![1; length.min(plain.len().saturating_sub(at))];
            pages.read(at.min(plain.len()) as u64, &mut out).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(plain[at.min(plain.len())..].starts_with(&out), "{place}");
        }
        let mut all = vec![0; plain.len()];
        pages.read(0, &mut all).unwrap();
        assert!(all[PAGE_BYTES..] == plain[PAGE_BYTES..], "seed {seed}");
    }
}

/// Commits as redb makes them, with what each reaches.
struct Commits {
    head: Head,
    /// What the pages hold that each commit reaches; the last two can be found.
    reached: BTreeMap<u8, BTreeMap<u64, Vec<u8>>>,
    length: u64,
}

impl Commits {
    fn new(head: Head, length: u64) -> Self {
        Self { head, reached: BTreeMap::from([(head.commit(), BTreeMap::new())]), length }
    }

    /// Writes a commit. What it reaches is known before its first call.
    fn commit(&mut self, pages: &Pages, sampler: &mut Sampler) -> io::Result<()> {
        let now = self.reached[&self.head.commit()].clone();
        self.reached.retain(|commit, _| *commit == self.head.commit());
        let mut next = now.clone();
        let mut written = BTreeSet::new();
        for _ in 0..sampler.below(6) {
            let page = 1 + sampler.below(self.length as usize - 1) as u64;
            if !now.contains_key(&page) && written.insert(page) {
                next.insert(page, noise(sampler, PAGE_BYTES));
            } else if !written.contains(&page) {
                next.remove(&page);
            }
        }
        let mut head = Head { open: true, ..self.head };
        let other = usize::from(head.chosen ^ 1);
        head.slots[other] = head.commit().wrapping_add(1);
        self.reached.insert(head.slots[other], next.clone());
        if sampler.below(4) == 0 {
            self.length += 1 + sampler.below(700) as u64;
            pages.set_len(place::offset(self.length))?;
            pages.sync_data()?;
            head.pages = head.pages.wrapping_add(1);
        }
        for page in written {
            pages.write(place::offset(page), &next[&page])?;
        }
        pages.write(0, &head.bytes(true))?;
        pages.sync_data()?;
        head.chosen ^= 1;
        pages.write(0, &head.bytes(true))?;
        pages.sync_data()?;
        self.head = head;
        let last = next.last_key_value().map_or(1, |(page, _)| *page);
        if sampler.below(4) == 0 && last + 1 < self.length {
            self.length = last + 1;
            pages.set_len(place::offset(self.length))?;
        }
        Ok(())
    }

    /// Goes on from what is found. All that its commit reaches is there.
    fn recover(&mut self, pages: &Pages, what: &str) {
        self.head = Head::of(pages).unwrap_or_else(|error| panic!("{what}: {error}"));
        let reached = self.reached.get(&self.head.commit()).unwrap_or_else(|| panic!("{what}: {:?}", self.head));
        for (page, expected) in reached {
            let mut bytes = vec![0; PAGE_BYTES];
            pages.read(place::offset(*page), &mut bytes).unwrap_or_else(|error| panic!("{what}: page {page}: {error}"));
            assert!(bytes == *expected, "{what}: page {page}");
        }
        self.length = pages.len().unwrap() / PAGE_BYTES as u64;
    }
}

#[test]
fn a_power_cut_at_any_call_leaves_the_last_commit_or_the_next() {
    for seed in 0..400 {
        let mut sampler = Sampler::new(seed);
        let mut disk = Disk::default();
        let mut commits: Option<Commits> = None;
        for round in 0..6 {
            let what = format!("seed {seed} round {round}");
            let pages = disk.pages();
            disk.with(|medium| medium.calls_left = Some(sampler.below(70)));
            let mut run = || -> io::Result<()> {
                let commits = match &mut commits {
                    Some(commits) => commits,
                    None => commits.insert(Commits::new(create(&pages, 4)?, 4)),
                };
                (0..6).try_for_each(|_| commits.commit(&pages, &mut sampler))
            };
            let acknowledged = run().is_ok();
            disk = disk.cut(&mut sampler);
            let pages = disk.pages();
            match &mut commits {
                Some(commits) => {
                    let before = commits.head.commit();
                    commits.recover(&pages, &what);
                    assert!(!acknowledged || commits.head.commit() == before, "{what}: a commit is gone");
                }
                // Not created yet: what is left counts as empty, or is not one of ours.
                None => match pages.len() {
                    Ok(0) => {}
                    Ok(_) => commits = Some(Commits::new(Head::of(&pages).unwrap(), 4)),
                    Err(error) => {
                        assert_eq!(DamagedPage::of(&error).unwrap().page, 0, "{what}");
                        disk = Disk::default();
                    }
                },
            }
        }
    }
}

#[test]
fn a_commit_costs_no_sync_and_each_page_of_sums_once() {
    let (disk, pages) = made(3 * GROUP_PAGES);
    let mut head = Head { open: true, ..Head::default() };
    pages.write(0, &head.bytes(true)).unwrap();
    pages.sync_data().unwrap();
    for round in 0..3 {
        disk.with(|medium| (medium.written, medium.syncs) = (Vec::new(), 0));
        for page in [1, 2, 3, GROUP_PAGES + round, GROUP_PAGES + 9, GROUP_PAGES + 10] {
            pages.write(place::offset(page), &[round as u8 + 1; PAGE_BYTES]).unwrap();
        }
        head.slots[usize::from(head.chosen ^ 1)] = round as u8 + 1;
        pages.write(0, &head.bytes(true)).unwrap();
        pages.sync_data().unwrap();
        head.chosen ^= 1;
        pages.write(0, &head.bytes(true)).unwrap();
        pages.sync_data().unwrap();
        let (written, syncs) = disk.with(|medium| (medium.written.clone(), medium.syncs));
        assert_eq!(syncs, 2);
        let times = |page| written.iter().filter(|written| **written == page).count();
        assert_eq!([times(place::of_sums(0)), times(place::of_sums(1)), times(place::of_sums(2))], [1, 1, 0]);
        assert_eq!(times(0), 2, "what the header may be, and what it is");
        assert_eq!(written.len(), 6 + 2 + 2 + 2);
    }
}

#[test]
fn a_damaged_page_is_named_and_the_others_are_read() {
    let (disk, pages) = made(GROUP_PAGES + 8);
    for page in [1, 2, 3, GROUP_PAGES] {
        pages.write(place::offset(page), &[page as u8 + 1; PAGE_BYTES]).unwrap();
    }
    pages.sync_data().unwrap();
    let stale = disk.copy();
    for page in [1, 2] {
        pages.write(place::offset(page), &[7; PAGE_BYTES]).unwrap();
    }
    pages.sync_data().unwrap();
    let [one, two, three, far] = [1, 2, 3, GROUP_PAGES].map(place::of_page);
    let sums = place::of_sums(0);
    let all = [1, 2, 3, 4, GROUP_PAGES, GROUP_PAGES + 1];
    let rotten = |what: &str, rot: &dyn Fn(&Disk), expected: &[u64]| {
        let disk = disk.copy();
        rot(&disk);
        let pages = disk.pages();
        for page in all {
            for attempt in 0..2 {
                let read = pages.read(place::offset(page), &mut [0; PAGE_BYTES]);
                let what = format!("{what}: page {page}, attempt {attempt}");
                if expected.contains(&place::of_page(page)) {
                    assert_eq!(damaged(read), place::of_page(page), "{what}");
                } else {
                    read.unwrap_or_else(|error| panic!("{what}: {error}"));
                }
            }
        }
        // What is written is well again.
        pages.write(place::offset(1), &[9; PAGE_BYTES]).unwrap();
        pages.read(place::offset(1), &mut [0; PAGE_BYTES]).unwrap();
    };
    let flip = |disk: &Disk, page: u64, at: usize| {
        let mut bytes = disk.page(page);
        bytes[at] ^= 4;
        disk.put(page, &bytes);
    };
    rotten("nothing", &|_| {}, &[]);
    rotten("a bit", &|disk| flip(disk, one, 4_095), &[one]);
    rotten("zeros", &|disk| disk.put(two, &[0; PAGE_BYTES]), &[two]);
    rotten("another page of the same bytes", &|disk| disk.put(three, &disk.page(one)), &[three]);
    rotten("an old page", &|disk| disk.put(one, &stale.page(one)), &[one]);
    rotten("a page never written", &|disk| flip(disk, place::of_page(4), 0), &[place::of_page(4)]);
    rotten("a sum", &|disk| flip(disk, sums, 8), &[one]);
    rotten("the sum of a page never written", &|disk| flip(disk, sums, 4 * 8), &[place::of_page(4)]);
    rotten("no sums", &|disk| disk.put(sums, &[0; PAGE_BYTES]), &[one, two, three]);
    rotten("old sums", &|disk| disk.put(sums, &stale.page(sums)), &[one, two]);
    let swapped = |disk: &Disk| {
        let (first, second) = (disk.page(sums), disk.page(place::of_sums(1)));
        disk.put(sums, &second);
        disk.put(place::of_sums(1), &first);
    };
    let next = place::of_page(GROUP_PAGES + 1);
    rotten("swapped sums", &swapped, &[one, two, three, far, next]);
}

#[test]
fn an_old_header_or_first_page_is_found_out() {
    let (disk, pages) = made(8);
    let mut commits = Commits::new(Head::default(), 8);
    let mut sampler = Sampler::new(1);
    let header = place::of_page(0);
    let mut before: Vec<Disk> = Vec::new();
    for _ in 0..8 {
        commits.commit(&pages, &mut sampler).unwrap();
        for old in &before {
            for page in [0, header] {
                let rotten = disk.copy();
                rotten.put(page, &old.page(page));
                assert_eq!(damaged(rotten.pages().len().map(drop)), header);
                assert_eq!(damaged(rotten.pages().read(0, &mut [0; 320])), header);
            }
        }
        before.push(disk.copy());
    }
    let opens = |rot: &dyn Fn(&Disk)| {
        let rotten = disk.copy();
        rot(&rotten);
        Head::of(&rotten.pages())
    };
    assert_eq!(opens(&|_| {}).unwrap(), commits.head);
    for (page, named) in [(0, 0), (header, header)] {
        let error = opens(&|disk| disk.put(page, &[0; PAGE_BYTES])).unwrap_err();
        assert_eq!(DamagedPage::of(&error).unwrap().page, named);
    }
    let chosen = SLOT_STARTS[usize::from(commits.head.chosen)];
    for at in [0, 8, 9, 13, chosen, chosen + 127] {
        let flip = |disk: &Disk| {
            let mut bytes = disk.page(header);
            bytes[at] ^= 1;
            disk.put(header, &bytes);
        };
        assert!(opens(&flip).is_err(), "byte {at}");
    }
    // One of the two records may go: the other one says the same or more.
    for record in [512, 1024] {
        let flip = |disk: &Disk| {
            let mut bytes = disk.page(0);
            bytes[record] ^= 1;
            disk.put(0, &bytes);
        };
        assert_eq!(opens(&flip).unwrap(), commits.head);
    }
}

/// Where the commit slots stand in a header.
const SLOT_STARTS: [usize; 2] = [64, 192];

#[test]
fn a_header_that_changes_under_an_open_file_is_found_out() {
    let (disk, pages) = made(8);
    let mut bytes = disk.page(place::of_page(0));
    bytes[20] ^= 1;
    disk.put(place::of_page(0), &bytes);
    assert_eq!(damaged(pages.read(0, &mut [0; 320])), place::of_page(0));
}

#[test]
fn more_sums_than_are_kept_in_memory_are_stored_and_read_again() {
    let groups = 1_100;
    let (disk, pages) = made(groups * GROUP_PAGES);
    for group in 1..groups {
        pages.write(place::offset(group * GROUP_PAGES + 5), &[group as u8; PAGE_BYTES]).unwrap();
    }
    pages.sync_data().unwrap();
    for pages in [pages, disk.pages()] {
        for group in 1..groups {
            let mut bytes = [0; PAGE_BYTES];
            pages.read(place::offset(group * GROUP_PAGES + 5), &mut bytes).unwrap();
            assert_eq!(bytes, [group as u8; PAGE_BYTES]);
        }
    }
}

#[test]
fn a_file_that_is_cut_is_damaged_or_ends_earlier() {
    let (disk, pages) = made(8);
    Commits::new(Head::default(), 8).commit(&pages, &mut Sampler::new(4)).unwrap();
    for sectors in 1..disk.len().unwrap() / SECTOR as u64 {
        let cut = disk.copy();
        cut.with(|medium| medium.length = sectors * SECTOR as u64);
        match cut.pages().len() {
            Ok(length) => assert!((1..8).contains(&(length / PAGE_BYTES as u64)), "{sectors} sectors: {length}"),
            Err(error) => assert!(DamagedPage::of(&error).is_some(), "{sectors} sectors: {error}"),
        }
    }
}
