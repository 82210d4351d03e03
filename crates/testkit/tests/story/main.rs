//! Stories: the loop as people and runners live it, through the public doors.

mod answer;
mod awry;
mod budget;
mod drain;
mod guideline;
mod happy;
mod harness;
mod host;
mod image;
mod inside;
mod preflight;
mod secret;
mod settings;
mod steer;
mod suggest;
mod told;
mod trial;
mod tried;
