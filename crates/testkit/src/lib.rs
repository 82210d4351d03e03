//! placeholder

pub mod model;
pub mod postgres;
