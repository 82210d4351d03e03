//! A test of one name for each engine, so that neither is forgotten.
//!
//! Invariant: both modules have the same tests.

/// Makes each of these functions a test on both engines.
macro_rules! on_each_engine {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {
        mod bubblewrap {
            $($(#[$meta])* #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::kit::On::Bubblewrap).await; })+
        }
        mod container {
            $($(#[$meta])* #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::kit::On::Container).await; })+
        }
    };
}
