//! What happens to a replica's machine: stops and starts, power losses, failing and full disks, old images, copies, clocks.

use tidewater_engine::host::Host;

use super::Failure;
use super::connection::{Connection, End};
use super::fault::Fault;
use super::model::Model;
use super::replica::Replica;
use super::world::{Event, World};
use crate::disk::{self, Disk, Faults, Image, Kind, Loss};
use crate::random::Random;

/// 1 January of year 0 and 31 December of year 9999, in milliseconds since 1970.
const CALENDAR_MS: (i64, i64) = (-62_167_219_200_000, 253_402_214_400_000);
/// Ten years, in milliseconds.
const DECADE_MS: usize = 315_576_000_000;
/// A line that has more to carry than takes so long is given up when all is well again, in milliseconds.
const CLOGGED_MS: i64 = 10_000;
/// There are at most so many replicas more than at first.
const COPIES: usize = 2;

impl World {
    /// One fault of a replica's machine.
    pub(super) fn break_machine(&mut self, fault: Fault, random: &mut Random) -> Result<(), Failure> {
        let number = random.below(self.replicas.len());
        let runs = self.replicas[number].running.is_some();
        match fault {
            Fault::ClockJump | Fault::ClockFar => self.turn_clock(number, fault, random),
            Fault::LostWrites | Fault::TornPages if runs => self.lose_power(number, fault, random)?,
            Fault::FailedReads | Fault::FailedWrites | Fault::Full if runs => self.fail_disk(number, fault, random)?,
            Fault::Restored if runs => self.restore(number, random)?,
            Fault::Copied | Fault::Forked if runs => self.copy(number, fault, random)?,
            _ => {}
        }
        Ok(())
    }

    fn turn_clock(&mut self, number: usize, fault: Fault, random: &mut Random) {
        let host = &self.replicas[number].host;
        if fault == Fault::ClockFar {
            let span = (CALENDAR_MS.1 - CALENDAR_MS.0) as usize;
            host.set_ms(CALENDAR_MS.0 + random.below(span) as i64);
        } else {
            host.advance_ms(random.below(2 * DECADE_MS) as i64 - DECADE_MS as i64);
        }
        let now_ms = host.now_ms();
        self.faults.note(fault);
        self.tell(&format!("the clock of {number} shows {now_ms}"));
    }

    /// Stops a replica in good order, or with its power.
    pub(super) fn stop(&mut self, number: usize) {
        if let Some(database) = self.replicas[number].database() {
            self.ledger.note_stop(number, database.writer());
        }
        for (connection, end) in self.ends_of(number) {
            let other = if end == 0 { (40, 0) } else { (0, 40) };
            self.lose(connection, end);
            self.lose_later(connection, other.1, other.0);
        }
        self.replicas[number].running = None;
    }

    pub(super) fn restart(&mut self, number: usize, after_ms: i64) {
        self.tell(&format!("{number} stops, and starts again after {after_ms} ms"));
        self.trace.count("restarts");
        self.stop(number);
        self.schedule(after_ms, Event::Start { replica: number });
    }

    fn lose_power(&mut self, number: usize, fault: Fault, random: &mut Random) -> Result<(), Failure> {
        let loss = match fault {
            Fault::LostWrites => Loss::All,
            _ if random.one_in(6) => Loss::Nothing,
            _ => Loss::Some,
        };
        self.write_until_dark(number, random);
        let (disk, calls) = self.replicas[number].disk.lose_power(loss, random);
        self.stop(number);
        self.replicas[number].disk = disk;
        if calls > 0 || fault == Fault::LostWrites {
            self.faults.note(fault);
        }
        self.tell(&format!("the power of {number} goes, with {calls} calls not synced: {loss:?} lost"));
        self.schedule(random.below(5_000) as i64, Event::Start { replica: number });
        Ok(())
    }

    fn fail_disk(&mut self, number: usize, fault: Fault, random: &mut Random) -> Result<(), Failure> {
        let some = 1 + random.below(3);
        if self.replicas[number].is_sick() {
            return Ok(());
        }
        let disk = &self.replicas[number].disk;
        let next = |kind| Faults { calls: Some(disk::Fault { kind, at: 0, times: some }), ..Faults::default() };
        let faults = match fault {
            Fault::FailedReads => next(Kind::Read),
            Fault::FailedWrites => {
                next(*random.pick(&[Kind::Change, Kind::Change, Kind::Short, Kind::Sync, Kind::Loss]))
            }
            _ => Faults { capacity: Some(disk.image().size()), ..Faults::default() },
        };
        disk.set_faults(faults);
        self.tell(&format!("the disk of {number}: {fault}, {:?}", faults.calls));
        self.schedule(random.below(3_000) as i64, Event::Mend { replica: number });
        match fault {
            // Little is read but at a start.
            Fault::FailedReads => self.restart(number, 0),
            // A file grows by so much at once that others may never fill it.
            Fault::Full => self.write_until_full(number)?,
            _ => {}
        }
        Ok(())
    }

    /// A disk works again. Who met the fault goes on, or is started anew.
    pub(super) fn mend(&mut self, number: usize) -> Result<(), Failure> {
        let disk = &self.replicas[number].disk;
        let before = disk.counts();
        disk.set_faults(Faults::default());
        let kinds = [
            (before.failed_reads, Fault::FailedReads),
            (before.failed_writes, Fault::FailedWrites),
            (before.full, Fault::Full),
        ];
        for (_, fault) in kinds.iter().filter(|(times, _)| *times > 0) {
            self.faults.note(*fault);
        }
        if before.failed() == 0 || self.replicas[number].running.is_none() {
            return Ok(());
        }
        if self.chance.one_in(2) {
            self.restart(number, 10);
            return Ok(());
        }
        self.resume(number)
    }

    /// A disk that works again can be written to, without a restart. What was only buffered is gone.
    fn resume(&mut self, number: usize) -> Result<(), Failure> {
        let Some(running) = &mut self.replicas[number].running else { return Ok(()) };
        let lost = running.database.flush();
        running.database.flush().map_err(|error| self.failure(format!("replica {number} can't go on: {error}")))?;
        let running = self.replicas[number].running.as_mut().expect("seen above");
        running.model = Model::default();
        running.follower.miss();
        drop(running.take_changes());
        self.trace.count("disks written to again without a restart");
        self.tell(&format!("{number} goes on, buffered commits are gone: {}", lost.is_err()));
        self.schedule(0, Event::News { replica: number });
        self.check_start(number)
    }

    fn restore(&mut self, number: usize, random: &mut Random) -> Result<(), Failure> {
        if self.replicas[number].is_sick() {
            return Ok(());
        }
        let Some(database) = self.replicas[number].backup.take().filter(|_| random.one_in(2)) else {
            self.replicas[number].backup = Some(self.replicas[number].disk.durable().database);
            self.tell(&format!("a backup of {number}"));
            return Ok(());
        };
        self.stop(number);
        // The mirror is no part of a backup.
        let replica = &mut self.replicas[number];
        replica.disk = Disk::holding(Image { database, ..replica.disk.image() });
        replica.keeps_writer = false;
        self.faults.note(Fault::Restored);
        self.ledger.forget_disk(number);
        self.tell(&format!("the backup of {number} is put back"));
        self.schedule(random.below(2_000) as i64, Event::Start { replica: number });
        Ok(())
    }

    /// A copy of a disk runs beside the original: as another life of the device, or, with the randomness of the
    /// original too, as the same one.
    fn copy(&mut self, number: usize, fault: Fault, random: &mut Random) -> Result<(), Failure> {
        let original = &self.replicas[number];
        let forks = fault == Fault::Forked;
        if original.is_sick() || self.replicas.len() >= self.settings.replicas + COPIES || forks == original.honest {
            return Ok(());
        }
        let image = original.disk.durable();
        // Another machine has no mirror of it, unless everything there is a clone.
        let disk = Disk::holding(if forks { image.clone() } else { image.database.clone().into() });
        // Two machines draw different things from the world, unless one is a clone of the other with all that it will draw.
        let host = if forks { original.host.twin() } else { original.host.beside(random.number()) };
        let twin = original.twin(host, disk);
        let copy = self.replicas.len();
        self.replicas.push(twin);
        self.faults.note(fault);
        self.tell(&format!("{copy} is a copy of {number}; the same life of it: {forks}"));
        if forks {
            // Both open the same image with the same randomness.
            self.replicas[number].disk = Disk::holding(image);
            self.stop(number);
            self.start(number)?;
        }
        self.start(copy)?;
        if forks && let Some(database) = self.replicas[copy].database() {
            let writer = database.writer();
            self.ledger.note_fork(writer);
            // Both at once, while they draw the same: what they put at one place must be sealed differently all the same.
            for twin in [number, copy] {
                self.write_as_twin(twin)?;
            }
        }
        for other in self.others(copy) {
            if other == 0 || random.one_in(2) {
                self.dial_now((other.min(copy), other.max(copy)));
            }
        }
        Ok(())
    }

    /// Starts a replica; what it acknowledged before it stopped is there.
    pub(super) fn start(&mut self, number: usize) -> Result<(), Failure> {
        if self.replicas[number].running.is_some() {
            return Ok(());
        }
        let replica: &mut Replica = &mut self.replicas[number];
        if let Err(error) = replica.open() {
            let sick = replica.is_sick();
            // It may have come as far as the mirror, and not to the file.
            replica.keeps_writer = false;
            self.tell(&format!("{number} does not start: {error}"));
            if !sick {
                return Err(self.failure(format!("replica {number} does not open: {error}")));
            }
            self.schedule(1_000, Event::Start { replica: number });
            return Ok(());
        }
        self.tell(&format!("{number} starts"));
        self.trace.count("starts");
        self.check_start(number)?;
        self.check_writer(number)?;
        let replica = &mut self.replicas[number];
        // A mirror that can't be written makes another writer of the next start too.
        replica.keeps_writer = !replica.is_sick();
        for pair in self.pairs.keys().copied().collect::<Vec<_>>() {
            if pair.0 == number || pair.1 == number {
                self.dial_later(pair, false);
            }
        }
        Ok(())
    }

    /// From now on nothing goes wrong, everybody runs, and all may talk to all.
    pub(super) fn stop_faults(&mut self) -> Result<(), Failure> {
        self.tell("nothing goes wrong from here on");
        self.faults.stop();
        self.mischief.stop();
        self.weather.clear();
        for number in 0..self.replicas.len() {
            self.mend(number)?;
            self.start(number)?;
            let flushed = self.replicas[number].database().map_or(Ok(()), |database| database.flush());
            flushed.map_err(|error| self.failure(format!("a flush of replica {number}: {error}")))?;
            self.settle_own(number)?;
        }
        // What a slow line still has to carry would take as long as it took when it was slow.
        let is_clogged = |end: &End| end.last_arrival_ms > self.now_ms + CLOGGED_MS;
        let is_bad = |one: &Connection| one.damaged || one.ends.iter().any(is_clogged);
        let bad: Vec<u64> = self.connections.iter().filter(|(_, one)| is_bad(one)).map(|(number, _)| *number).collect();
        bad.into_iter().for_each(|number| self.lose_later(number, 0, 0));
        self.accept_all()?;
        let numbers = 0..self.replicas.len();
        for pair in numbers.clone().flat_map(|one| numbers.clone().map(move |other| (one, other))) {
            if pair.0 < pair.1 {
                self.dial_now(pair);
            }
        }
        Ok(())
    }
}
