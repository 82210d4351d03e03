//! `states`: the state machines as a document, found by trying every event in every phase.

use nightshift_domain::diagram;

use crate::failure::Done;
use crate::output::Output;

pub(crate) fn run(output: Output) -> Done {
    output.bytes(diagram::document().as_bytes())
}
