//! Stories: the loop as people and runners live it, through the public doors.

mod awry;
mod happy;
mod told;
