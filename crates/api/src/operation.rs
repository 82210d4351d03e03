//! What an operation is, and the macro that declares one.
//!
//! Every operation says at its declaration which kind of token it needs: there is no route
//! without that word.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// HTTP methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Sets something whole.
    Put,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Which kind of token an operation needs. What its holder may touch is decided further inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Needs {
    /// None.
    Nobody,
    /// A person's.
    Person,
    /// A runner's.
    Runner,
    /// A live run's own.
    Run,
}

impl Needs {
    /// The word used in the OpenAPI document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Person => "person",
            Self::Runner => "runner",
            Self::Run => "run",
        }
    }
}

/// An operation with JSON in and out.
pub trait Operation: 'static {
    /// Its name in the OpenAPI document.
    const ID: &'static str;
    /// Its method.
    const METHOD: Method;
    /// Its path, with `{names}` that are the fields of [`Operation::Path`].
    const PATH: &'static str;
    /// The token it needs.
    const NEEDS: Needs;
    /// One line for the OpenAPI document.
    const SUMMARY: &'static str;
    /// The values in the path.
    type Path: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// The query.
    type Query: Serialize + DeserializeOwned + JsonSchema + Default + Send + 'static;
    /// The body.
    type Input: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// The answer.
    type Output: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// An operation whose body or answer is bytes, or a stream; bound to its handler by hand.
#[derive(Debug, Clone, Copy)]
pub struct RawOperation {
    /// Its name in the OpenAPI document.
    pub id: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
    /// The token it needs.
    pub needs: Needs,
    /// One line.
    pub summary: &'static str,
    /// Names of query values.
    pub query: &'static [&'static str],
    /// The media type of the answer.
    pub answers: &'static str,
}

/// Declares operations: `/// doc` `Name = "id" METHOD "path" Needs (Path, Query, Input) -> Output;`
#[macro_export]
macro_rules! operations {
    ($(
        #[doc = $doc:literal]
        $name:ident = $id:literal $method:ident $path:literal $needs:ident ($p:ty, $q:ty, $i:ty) -> $o:ty;
    )+) => {
        $(
            #[doc = $doc]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;
            impl $crate::Operation for $name {
                const ID: &'static str = $id;
                const METHOD: $crate::Method = $crate::Method::$method;
                const PATH: &'static str = $path;
                const NEEDS: $crate::Needs = $crate::Needs::$needs;
                const SUMMARY: &'static str = $doc;
                type Path = $p;
                type Query = $q;
                type Input = $i;
                type Output = $o;
            }
        )+

        /// Every operation with JSON in and out, in the order of the document.
        #[must_use]
        pub fn all() -> Vec<$crate::openapi::Declared> {
            vec![$($crate::openapi::Declared::of::<$name>()),+]
        }
    };
}
