//! A captured agent: everything it can try with its run's token is refused and written down, and no
//! secret is found anywhere it should not be.

mod canary;
mod reach;
