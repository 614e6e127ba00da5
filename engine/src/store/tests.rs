//! The store through its public methods: replicas in memory that share a space and exchange logs by hand.

mod commits;
mod conflicts;
mod damage;
mod documents;
mod faults;
mod files;
mod following;
mod forks;
mod hostile;
mod indexes;
mod logs;
mod seals;
mod touches;
mod world;
