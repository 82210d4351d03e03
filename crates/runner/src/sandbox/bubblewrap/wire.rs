//! How the plan of a sandbox reaches `sandbox-enter`: eight hexadecimal digits of length and JSON, on
//! standard input.
//!
//! Invariant: not a byte more than the plan is taken; what follows is the command's.

use std::io::{self, Read as _};

use super::enter::Plan;

/// The plan as bytes for [`receive_plan`].
pub(super) fn encode_plan(plan: &Plan) -> serde_json::Result<Vec<u8>> {
    let json = serde_json::to_vec(plan)?;
    let mut bytes = format!("{:08x}", json.len()).into_bytes();
    bytes.extend(json);
    Ok(bytes)
}

/// Reads exactly the plan from standard input and leaves what follows to the command.
pub(super) fn receive_plan() -> io::Result<Plan> {
    let mut input = Unbuffered;
    let mut digits = [0; 8];
    input.read_exact(&mut digits)?;
    let length = std::str::from_utf8(&digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .filter(|length| *length <= 16 << 20)
        .ok_or_else(|| io::Error::other("no length"))?;
    let mut json = vec![0; length];
    input.read_exact(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

struct Unbuffered;

impl io::Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(io::stdin(), buffer)?)
    }
}
