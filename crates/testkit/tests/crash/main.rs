//! Crashes: the server ends at each step of an issue's life, and messages come twice, late or in
//! another order. Afterwards everything must be as `testkit::invariants` says, and every issue must
//! still come to its end.

mod cut;
mod late;
mod postgres;
mod sweep;
